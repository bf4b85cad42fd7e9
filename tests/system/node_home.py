"""A home whose smoke detector hangs on a wireless node: real firmware, the installer's commands, processes."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from device import wire
from device.alarms import parse
from edge import station
from tests import support
from tests.micropython.board import Board, running_board
from tests.system.running import BUZZER, EDGE, Building, Gateway

HARDWARE = "7cdfa1000301"
"""What the simulated board says it is."""
WIFI = "password of the Wi-Fi"
OLD = "0.0.9-flashed"


def node_command(*arguments: str, said: str = "") -> str:
    """What `shouwang-edge node ...` prints."""
    done = subprocess.run([*EDGE, "node", *arguments], input=said, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def typed(printed: str, flash: Path) -> None:
    """Carry out the `mpremote` lines of `node add` on a flash that is a folder."""
    here = Path()
    for line in printed.splitlines():
        words = line.split()
        if words[:1] == ["cd"]:
            here = Path(words[1])
        elif words[:2] == ["mpremote", "mkdir"]:
            (flash / words[2].removeprefix(":")).mkdir(parents=True)
        elif words[:2] == ["mpremote", "cp"]:
            target = flash / words[-1].removeprefix(":")
            for name in words[2:-1]:
                shutil.copy(here / name, target / name if words[-1].endswith("/") else target)


class NodeHome:
    """The running parts; gateway, broker and board may be ended and started again by a test."""

    def __init__(
        self, folder: Path, building: Building, broker: support.Mosquitto, gateway: Gateway, board: Board
    ) -> None:
        self.folder, self.building, self.broker, self.gateway, self.board = folder, building, broker, gateway, board

    def node(self) -> dict[str, Any]:
        """n1 as `status` shows it."""
        found: dict[str, Any] = self.gateway.status()["nodes"][0]
        return found

    def point(self) -> dict[str, Any]:
        """The detector as `status` shows it."""
        points = self.gateway.status()["points"]
        found: dict[str, Any] = next(point for point in points if point["code"] == "smoke-1")
        return found

    def is_well(self) -> bool:
        """Whether the detector is heard at rest."""
        return self.point()["unknown"] is None and self.point()["value"] == 0

    def kept_alarms(self) -> int:
        """How many alarms are whole on the node's flash; a power cut may take one that is being written."""
        path = self.board.folder / "alarms"
        return len(parse(path.read_bytes())[0]) if path.exists() else 0

    def raises(self) -> list[wire.Event]:
        """The fires on record, in order."""
        with sqlite3.connect(f"file:{self.gateway.data / 'journal.sqlite'}?mode=ro", uri=True) as disk:
            rows = disk.execute("SELECT payload FROM event ORDER BY key").fetchall()
        events = [wire.decode_event(row[0]) for row in rows]
        return [event for event in events if (event.kind, event.condition) == ("raise", "fire")]

    def wait(self, condition: Any, what: str, timeout_s: float = 60.0) -> None:
        """Until something is so; the gateway may be starting."""

        def is_so() -> bool:
            try:
                return bool(condition())
            except station.StationError:
                return False

        support.wait_until(is_so, timeout_s=timeout_s, what=what)

    def reset(self) -> None:
        """A person resets, and nothing stands."""
        station.ask(self.gateway.data, {"do": "reset", "who": "李护士"})
        self.wait(lambda: ("fire", "smoke-1") not in self.gateway.active(), "the fire to be reset")


def configuration(folder: Path, port: int, gpio: str) -> str:
    """gateway.toml of a home with one detector on a node, and a buzzer."""
    return f"""
[home]
code = "h01"
name = "和平里养老院"
[gateway]
code = "g1"
data = "{folder / "gw"}"
locks = "{folder / "locks"}"
rules = "cn-2026"
simulated = true
[[zone]]
code = "f1"
name = "一楼"
[[source]]
name = "gpio"
kind = "gpio"
backend = "shouwang-sim"
address = "{gpio}"
[[output]]
name = "buzzer"
role = "buzzer"
source = "gpio"
at = {{ pin = {BUZZER} }}
[[source]]
name = "nodes"
kind = "node"
port = {port}
folder = "{folder / "nodes"}"
[[source.node]]
code = "n1"
hardware = "{HARDWARE}"
[[point]]
code = "smoke-1"
kind = "smoke"
rule = {{ contact = {{ off = "500ms" }} }}
zone = "f1"
place = "院内工具间"
source = "nodes"
at = {{ node = "n1", input = "smoke" }}
"""


@contextmanager
def node_home(folder: Path) -> Iterator[NodeHome]:
    """Enrolled, flashed and started; the node has been heard."""
    nodes, flash = folder / "nodes", folder / "flash"
    flash.mkdir()
    node_command("broker", "--folder", str(nodes), "--store", "")
    with ExitStack() as stack:
        broker = support.Mosquitto(support.need("mosquitto", "the nodes' broker"), folder)
        text = (nodes / "mosquitto.conf").read_text().replace("listener 1884 0.0.0.0", "listener {port} {host}")
        broker.CONFIGURATION = text + "user root\n"  # which is ignored unless one is; else it may not read the folder
        stack.callback(broker.stop)
        port = support.free_port()
        add = [
            "add",
            "n1",
            "--wifi",
            "home",
            "--gateway",
            support.LOOPBACK,
            "--port",
            str(port),
            "--folder",
            str(nodes),
        ]
        typed(node_command(*add, said=WIFI + "\n"), flash)
        (flash / "a" / "release").write_text(f"1 {OLD}")
        with (flash / "a" / "device" / "sleeper.py").open("a") as file:
            file.write("# an older one\n")
        broker.port = port
        broker.start()
        building = Building(folder / "b")
        stack.callback(building.close)
        gateway = Gateway(folder / "gateway.toml")
        gateway.config.write_text(configuration(folder, port, building.ready["gpio"]), "utf-8")
        gateway.start()
        stack.callback(lambda: gateway.process is None or gateway.end())
        board = stack.enter_context(running_board(flash))
        home = NodeHome(folder, building, broker, gateway, board)
        home.wait(home.is_well, f"the node to be heard; {board.lines[-5:]}")
        yield home
