"""From the edge of a contact on a wireless node to the gateway's buzzer, over loopback.

    python bench/node.py [--trials 200] [--debounce-ms 20] [--json]

The node is the firmware as it is flashed, in real MicroPython on a simulated board (tests/micropython/board.mjs), over
TCP to a real mosquitto with the rights that a home's has, to the agent as it is shipped; its buzzer is a pin of a GPIO
chip that stamps its levels. A contact is closed at a random moment. The edge is stamped before the board is told, so
the way to the board counts as well; what is counted is the time beyond the node's own debounce, which the gateway does
not add to. A Wi-Fi is not in it: it adds some milliseconds when it is well, and seconds when it is not.

Beside it, as the floor: the same bytes from a publisher to a subscriber over the same broker, with QoS 1.
"""

import argparse
import asyncio
import contextlib
import functools
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from bench import _broker, _pins
from bench._board import NoBoard
from bench._node_home import BUZZER_PIN, FIRE_LAMP_PIN, Board, configuration, node_broker
from bench._report import report
from device import node_wire
from edge import station
from edge.agent import Agent
from edge.config import load
from simulators.chip import GpioChip

P99_MS = 500.0
DEADLINE_S = 40.0
"""For the node to be heard, an alarm to sound or to be reset, before the bench calls it lost."""
PHASE_S = 0.1
FLOOR_MESSAGES = 500


class Wrong(Exception):
    """Something that had to happen did not; the text says what."""


class Trials:
    """Raises alarms one after the other and resets them, as a person at the panel would."""

    def __init__(self, board: Board, data: Path, debounce_ms: int) -> None:
        self.late_ms: list[float] = []
        self.nodes: dict[str, Any] = {}
        self._board, self._data, self._debounce_ms = board, data, debounce_ms
        self._random = random.Random()

    def run(self, count: int) -> None:
        """`count` trials. Raises Wrong, StationError, NoBoard."""
        self._wait("the node to be heard", lambda: self._point()["value"] == 0)
        chip = _pins.chips[-1]
        for _ in range(count):
            self._wait("silence", lambda: self._status()["sound"] is None)
            time.sleep(self._random.uniform(0, PHASE_S))
            edge_ns = self._board.pin(0)
            self._wait("the alarm", functools.partial(_sounds_ns, chip, edge_ns))
            self.late_ms.append((_sounds_ns(chip, edge_ns) - edge_ns) / 1e6 - self._debounce_ms)
            self._reset(chip)
        self.nodes = self._status()["sources"]["nodes"]

    def _reset(self, chip: GpioChip) -> None:
        station.ask(self._data, {"do": "reset", "who": "bench"})
        self._board.pin(1)
        self._wait("the reset", lambda: not chip.read(FIRE_LAMP_PIN))
        station.ask(self._data, {"do": "acknowledge", "who": "bench"})

    def _status(self) -> dict[str, Any]:
        return station.ask(self._data, {"do": "status"})

    def _point(self) -> dict[str, Any]:
        return next(point for point in self._status()["points"] if point["code"] == "smoke-n1")

    def _wait(self, what: str, is_so: Any) -> None:
        until_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < until_s:
            with contextlib.suppress(station.StationError):
                if is_so():
                    return
            time.sleep(0.005)
        raise Wrong(f"waited {DEADLINE_S:g} s in vain for {what}")


def _sounds_ns(chip: GpioChip, since_ns: int) -> int:
    """When the buzzer was driven first, 0 where it was not. The fire's lamp says that it is the fire that sounds."""
    if not chip.read(FIRE_LAMP_PIN):
        return 0
    changes = (change for change in chip.changes_since(since_ns) if change.kind == "output" and change.level)
    return min((change.monotonic_ns for change in changes if change.pin == BUZZER_PIN), default=0)


def measure(trials: int, debounce_ms: int) -> dict[str, Any]:
    """The home, its trials, and the floor after them."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        _pins.install_pins(folder)
        sys.path.insert(0, str(folder))
        stack.callback(sys.path.remove, str(folder))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        stack.enter_context(node_broker(folder, port))
        agent = Agent(load(configuration(folder, port)))
        board = Board(folder, debounce_ms)
        stack.callback(board.close)
        found = Trials(board, folder / "data", debounce_ms)
        asyncio.run(_watch(agent, found, trials))
    late_ms = sorted(found.late_ms)
    return {
        "trials": len(late_ms),
        "debounce_ms": debounce_ms,
        "p50_ms": at_share(late_ms, 0.5),
        "p99_ms": at_share(late_ms, 0.99),
        "max_ms": at_share(late_ms, 1.0),
        "target_p99_ms": P99_MS,
        "is_reached": at_share(late_ms, 0.99) <= P99_MS,
        "reports": found.nodes["reports"],
        "duplicates": found.nodes.get("duplicates", 0),
        "broker_alone_ms": floor(),
    }


async def _watch(agent: Agent, trials: Trials, count: int) -> None:
    loop = asyncio.get_running_loop()
    failures: list[Exception] = []

    def people() -> None:
        try:
            trials.run(count)
        except Exception as error:
            failures.append(error)
        loop.call_soon_threadsafe(agent.stop)

    thread = threading.Thread(target=people, name="people", daemon=True)
    thread.start()
    await agent.run()
    thread.join()
    if failures:
        raise failures[0]


def floor() -> dict[str, float]:
    """A report's bytes from one client to another over mosquitto, in milliseconds."""
    payload = node_wire.encode(node_wire.Report("boot-0001", 1, 1, 0, True, True, "smoke", 1, None))
    took_ms: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, _broker.mosquitto(Path(name)) as port:
        came = threading.Event()
        listener, speaker = (Client(CallbackAPIVersion.VERSION2) for _ in range(2))
        listener.on_message = lambda *_: came.set()
        listener.on_subscribe = lambda *_: came.set()
        for client in (listener, speaker):
            client.connect("127.0.0.1", port)
            client.loop_start()
        listener.subscribe("bench", 1)
        for _ in range(FLOOR_MESSAGES + 1):
            if not came.wait(DEADLINE_S):
                raise Wrong("the broker alone lost a message")
            came.clear()
            began_ns = time.monotonic_ns()
            speaker.publish("bench", payload, qos=1)
            came.wait(DEADLINE_S)
            took_ms.append((time.monotonic_ns() - began_ns) / 1e6)
        for client in (listener, speaker):
            client.disconnect()
            client.loop_stop()
    took_ms = sorted(took_ms)
    return {"p50": at_share(took_ms, 0.5), "p99": at_share(took_ms, 0.99)}


def at_share(ordered: Sequence[float], share: float) -> float:
    """The value below or at which that share of the ordered values lies."""
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)


def main() -> int:
    """Measure and report. Exit status 1 where an alarm was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--debounce-ms", type=int, default=20, help="of the node's contact in this run")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    try:
        figures = measure(options.trials, options.debounce_ms)
    except (Wrong, station.StationError, NoBoard, _broker.NoBroker) as error:
        print(f"node: {error}", file=sys.stderr)
        return 1
    report("node", figures, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
