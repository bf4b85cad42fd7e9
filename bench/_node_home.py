"""A home with one detector on a node, for benches: the broker, the enrolment and the firmware that a home has."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench._board import ROOT, NoBoard
from bench._broker import NoBroker, wait_for
from bench._pins import BACKEND
from edge.nodes import broker, enrolment
from edge.nodes.folder import Folder
from edge.nodes.release import carried

NODE, SMOKE_PIN, BUZZER_PIN, FIRE_LAMP_PIN = "n1", 4, 18, 23
HARDWARE = "7cdfa1000301"
_MICROPYTHON = ROOT / "tests" / "micropython"
_PATH = ":/usr/sbin:/usr/local/sbin"

_CONFIGURATION = """\
[home]
code = "h01"
name = "和平里养老院"
[gateway]
code = "g1"
data = "{folder}/data"
locks = "{folder}/locks"
rules = "cn-2026"
simulated = true
[[zone]]
code = "f1"
name = "一楼"
[[source]]
name = "gpio"
kind = "gpio"
backend = "{backend}"
address = "in this process"
[[output]]
name = "buzzer"
role = "buzzer"
source = "gpio"
at = {{ pin = {buzzer} }}
[[output]]
name = "lamp-fire"
role = "lamp_fire"
source = "gpio"
at = {{ pin = {lamp} }}
[[source]]
name = "nodes"
kind = "node"
port = {port}
folder = "{folder}/nodes"
[[source.node]]
code = "{node}"
hardware = "{hardware}"
[[point]]
code = "smoke-n1"
kind = "smoke"
rule = {{ contact = {{ off = "20ms" }} }}
zone = "f1"
place = "院内工具间"
source = "nodes"
at = {{ node = "{node}", input = "smoke" }}
"""


def configuration(folder: Path, port: int) -> Path:
    """Write the home's gateway.toml."""
    path = folder / "gateway.toml"
    text = _CONFIGURATION.format(
        folder=folder, backend=BACKEND, buzzer=BUZZER_PIN, lamp=FIRE_LAMP_PIN, port=port, node=NODE, hardware=HARDWARE
    )
    path.write_text(text, "utf-8")
    return path


@contextlib.contextmanager
def node_broker(folder: Path, port: int) -> Iterator[None]:
    """The broker as `shouwang-edge node broker` configures it, with the node enrolled. Raises NoBroker."""
    program = shutil.which("mosquitto", path=os.environ.get("PATH", os.defpath) + _PATH)
    if program is None:
        raise NoBroker("mosquitto is not installed: apt-get install mosquitto")
    nodes = folder / "nodes"
    broker.write(nodes, "gateway", broker.Listener(port, "127.0.0.1", store=""))
    enrolment.add(Folder(nodes), NODE, "mains", enrolment.Wifi("home", "", "127.0.0.1", port), 0)
    conf = nodes / broker.CONFIGURATION
    conf.write_text(conf.read_text("utf-8") + "user root\n", "utf-8")  # only a root would become somebody else
    process = subprocess.Popen([program, "-c", str(conf)], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait()


class Board:
    """The node: its firmware in real MicroPython on a simulated board. `debounce_ms` is that of its contact."""

    def __init__(self, folder: Path, debounce_ms: int) -> None:
        if shutil.which("node") is None or not (_MICROPYTHON / "node_modules").is_dir():
            raise NoBoard("MicroPython under Node is not installed (./run setup)")
        flash = folder / "flash"
        (flash / "a" / "device").mkdir(parents=True)
        for name, data in carried().files.items():
            (flash / "a" / "device" / name).write_bytes(data)
        (flash / "main.py").write_bytes(carried().files["start.py"])
        board = (folder / "nodes" / NODE / "board.py").read_text("utf-8")
        spec = {
            "name": "smoke",
            "kind": "contact",
            "pin": SMOKE_PIN,
            "active": "low",
            "on_ms": debounce_ms,
            "off_ms": 20,
        }
        (flash / "board.py").write_text(f"{board}INPUTS = ({spec!r},)\n", "utf-8")
        pipe = subprocess.PIPE
        command = ["node", str(_MICROPYTHON / "board.mjs"), str(flash)]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def pin(self, level: int) -> int:
        """Give the detector's contact a level; when (monotonic ns) that was asked for, which is before it happens."""
        assert self._process.stdin is not None and self._process.stdout is not None
        asked_ns = time.monotonic_ns()
        self._process.stdin.write(f"pin {SMOKE_PIN} {level}\n")
        self._process.stdin.flush()
        while (line := self._process.stdout.readline()) != "# ok\n":
            if not line:
                raise NoBoard("the board went away")
        return asked_ns

    def close(self) -> None:
        """Take it off the bench."""
        self._process.kill()
        self._process.communicate()
