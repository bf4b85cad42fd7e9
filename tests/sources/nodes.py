"""Nodes under test: a broker configured as `shouwang-edge node broker` does it, and a source that listens there."""

import asyncio
import functools
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

from edge.clock import SystemClock
from edge.nodes import broker
from edge.sources import SOURCES, Site
from simulators.node import HARDWARE, SimulatedNode
from tests.sources.field import config_of, wired_of
from tests.support import Mosquitto, need

INPUTS = {"smoke": "contact", "bottle": "voltage"}
POINTS = {
    "smoke-1": {"node": "n1", "input": "smoke"},
    "ext-1": {"node": "n1", "input": "bottle", "profile": "transducer-0v5-4v5-2MPa5"},
    "lid-1": {"node": "n1", "input": "tamper"},
    "cell-1": {"node": "n1", "input": "battery"},
    "smoke-2": {"node": "n2", "input": "smoke"},
}


P = ParamSpec("P")


def on_a_loop(scenario: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that is a coroutine."""

    @functools.wraps(scenario)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(scenario(*args, **kwargs))

    return run


def password_of(node: str) -> str:
    """What the node under test knows."""
    return f"password of {node}"


@contextmanager
def node_broker(folder: Path, certificate: str = "", key: str = "") -> Iterator[Mosquitto]:
    """mosquitto with the gateway, n1 and n2 as users, on a free port. The folder is what `node` commands keep."""
    nodes = folder / "nodes"
    broker.write(nodes, "gateway", broker.Listener(certificate=certificate, key=key, store=""))
    for node in ("n1", "n2"):
        broker.set_user(nodes, node, password_of(node))
    made = Mosquitto(need("mosquitto", "the nodes' broker"), folder)
    text = (nodes / broker.CONFIGURATION).read_text()
    if os.geteuid() == 0:  # it would become a user who may not enter a test's folder
        text += "user root\n"
    made.CONFIGURATION = text.replace("listener 1884 0.0.0.0", "listener {port} {host}")
    try:
        made.start()
        yield made
    finally:
        made.stop()


def stanza(port: int, folder: Path) -> dict[str, Any]:
    """The `[[source]]` with both nodes."""
    nodes = [{"code": code, "hardware": HARDWARE} for code in ("n1", "n2")]
    return {"name": "nodes", "kind": "node", "port": port, "folder": str(folder / "nodes"), "node": nodes}


def open_nodes(port: int, folder: Path, ca: str | None = None, **site: Any) -> Any:
    """The source with its points, not yet running; what it keeps is in `folder`."""
    surroundings = Site(folder / "locks", True, SystemClock(), folder / "kept", **site)
    config = config_of(stanza(port, folder) | ({"ca": ca} if ca is not None else {}))
    return SOURCES["node"].open(config, wired_of("node", POINTS), surroundings)


@contextmanager
def node(code: str, port: int, every_s: float = 20.0, again_s: float = 0.5) -> Iterator[SimulatedNode]:
    """A simulated node at work."""
    made = SimulatedNode(code, password_of(code), port, INPUTS, every_s=every_s, again_s=again_s)
    made.start()
    try:
        yield made
    finally:
        made.stop()
