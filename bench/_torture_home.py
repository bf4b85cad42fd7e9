"""The home under torture: a simulated building with contacts to move, and its gateway on a disk of its own."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench._torture_processes import Program, program
from edge import station
from edge.journal.layout import FILE
from simulators.control import Control

HOME, GATEWAY = "h01", "g1"
PINS = (4, 17, 27, 22, 10, 9, 11, 5)
POINTS = tuple(f"n{number:02}" for number in range(1, len(PINS) + 1))
METERS = tuple(f"m{number}" for number in range(1, 5))
DISK_MIB = 64
POWERED_V, DEAD_V = 223.0, 0.0


# --- the building -----------------------------------------------------------------------------------------------------


class Building:
    """`shouwang-sim home` with one relay per numbered point and a meter that moves."""

    def __init__(self, process: Program, folder: Path) -> None:
        folder.mkdir()
        plan, served = folder / "building.toml", folder / "b"
        plan.write_text(_building(), "utf-8")
        process.start(program("simulators.cli", "home", "--dir", str(served), "--building", str(plan)))
        process.wait((served / "ready.json").exists)
        ready = json.loads((served / "ready.json").read_text("utf-8"))
        self.gpio = str(ready["gpio"])
        self.modbus_port = int(ready["modbus_port"])
        self.control = Control(ready["control"])

    def set(self, values: dict[str, float]) -> None:
        """Give quantities other values."""
        self.control.do(set=values)


def _building() -> str:
    parts = ['[building]\nname = "试验之家"\nseed = 4\n', '[sources.meters]\ntransport = "tcp"\n']
    for point, pin in zip(POINTS, PINS, strict=True):
        parts.append(f'[places.{point}]\nname = "{point}"\nmains_v = {POWERED_V}\n')
        parts.append(f'[[input]]\npin = {pin}\nkind = "mains"\nquantity = "{point}.mains_v"\n')
    for meter in METERS:
        parts.append(f'[places.{meter}]\nname = "{meter}"\nleakage_ma = 40\ncable_mc = 30000\n')
    residual = [f"{meter}.leakage_ma" for meter in METERS]
    temperature = [f"{meter}.cable_mc" for meter in METERS]
    parts.append(
        '[[unit]]\nsource = "meters"\nunit = 1\nmodel = "leakage-temperature-monitor"\n'
        f"residual = {residual}\ntemperature = {temperature}\n"
    )
    return "\n".join(parts)


# --- the gateway's configuration --------------------------------------------------------------------------------------


def configuration(data: Path, building: Building, broker_port: int) -> str:
    """The home's gateway.toml: short debounce, because it is the memory that is tried here, not the debounce."""
    parts = [_HEAD.format(data=data, port=broker_port, gpio=building.gpio, modbus=building.modbus_port)]
    parts += [
        f'[[point]]\ncode = "{point}"\nkind = "mains"\nzone = "z1"\nplace = "{point}"\nsource = "gpio"\n'
        f'at = {{ pin = {pin} }}\nrule = {{ contact = {{ on = "20ms", off = "20ms" }} }}\n'
        for point, pin in zip(POINTS, PINS, strict=True)
    ]
    parts += [
        f'[[point]]\ncode = "{meter}"\nkind = "leakage"\nzone = "z1"\nplace = "{meter}"\nsource = "meters"\n'
        f'at = {{ unit = 1, quantity = "residual_current_{number}" }}\n'
        for number, meter in enumerate(METERS, 1)
    ]
    return "\n".join(parts)


_HEAD = f"""\
[home]
code = "{HOME}"
name = "试验之家"

[gateway]
code = "{GATEWAY}"
data = "{{data}}"
locks = "{{data}}"
rules = "demo"
simulated = true

[journal]
readings_every = "1s"

[uplink]
host = "127.0.0.1"
port = {{port}}
keepalive = "5s"

[[zone]]
code = "z1"
name = "一区"

[[source]]
name = "gpio"
kind = "gpio"
backend = "shouwang-sim"
address = "{{gpio}}"

[[source]]
name = "meters"
kind = "modbus"
host = "127.0.0.1"
port = {{modbus}}

[[source.unit]]
address = 1
profile = "monitor-4i4t"

[[output]]
name = "buzzer"
role = "buzzer"
source = "gpio"
at = {{{{ pin = 18 }}}}
"""


# --- its disk ---------------------------------------------------------------------------------------------------------


class Disk:
    """Where the gateway's data lies. As root it is a small file system of its own that can be filled."""

    def __init__(self, folder: Path, is_own: bool) -> None:
        self.folder = folder
        self.is_own = is_own
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take all the space that is left."""
        with contextlib.suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 65_536)
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * 256)

    def free(self) -> None:
        """Give it back."""
        self._ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """A small tmpfs at `folder` where that may be mounted, else the folder itself."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    is_own = os.geteuid() == 0 and subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    try:
        yield Disk(folder, is_own)
    finally:
        if is_own:
            # Lazily, because whoever looks in from outside must not make the end fail.
            subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


# --- the gateway ------------------------------------------------------------------------------------------------------


class Agent:
    """`shouwang-edge run`, and its data folder, which may be damaged while it is dead.

    Where its clock is to lie, the same agent runs under `bench._torture_clock`.
    """

    def __init__(self, process: Program, config: Path, data: Path, skew: Path) -> None:
        self.process = process
        self.data = data
        self.database = data / FILE
        self.log = data / f"{FILE}-wal"
        self._config = config
        self._skew = skew

    def start(self, is_skewed: bool = False) -> None:
        """Begin, unless it runs; `wait` says when it answers."""
        options = ["--config", str(self._config)]
        command = program("edge.cli", "run", *options)
        if is_skewed:
            command = program("bench._torture_clock", *options, "--skew", str(self._skew))
        self.process.start(command)

    def step_clock(self, skew_ms: int, is_trusted: bool) -> None:
        """What a skewed agent's wall clock says from now on."""
        draft = self._skew.with_suffix(".new")
        draft.write_text(f"{skew_ms} {int(is_trusted)}", "ascii")
        draft.replace(self._skew)

    def wait(self) -> None:
        """Until it answers. Raises Trouble where it ended."""
        self.process.wait(lambda: self.status() is not None)

    def status(self) -> dict[str, Any] | None:
        """What `shouwang-edge status` says; None while nobody answers."""
        try:
            return station.ask(self.data, {"do": "status"}, timeout_s=2.0)
        except station.StationError:
            return None

    def replace(self) -> None:
        """Another box with an empty disk takes its place."""
        shutil.rmtree(self.data, ignore_errors=True)
