"""How much of a Modbus RTU bus the gateway uses, with the silence that the standard asks for.

    python bench/rtu.py [--seconds 20] [--baud 9600] [--json]

A strict slave on a pty (8N2: 11 bits a character) answers one register a request at the pace of the wire, and drops
every frame that comes earlier than 3.5 characters after its own last byte. The bus allows

    1 / (request 8 characters + 3.5 + reply 7 characters + 3.5)      requests a second.

Beside the gateway's source runs a bare loop over pymodbus's own client, which does not wait for the silence: once with
a slave that forgives it, and once with the strict one.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException

from bench._children import END, ask, child, heard
from bench._report import report
from edge.core.values import Reading
from edge.schema import Ms
from edge.sources import SOURCES, Site, Wired
from edge.sources.modbus import ModbusAt, ModbusConfig, UnitConfig
from simulators.devices import READ_HOLDING, RegisterTable
from simulators.faults import FaultBoard
from simulators.modbus import Bus
from simulators.modbus_rtu import RtuFace

BITS_PER_CHARACTER = 11
UNITS = range(1, 11)
WARM_UP_S = 1.0
CHARACTERS = 8 + 3.5 + 7 + 3.5
TARGET_SHARE = 0.97
PROFILE = """\
title = "One register"
source = "own"
kind = "modbus"

[quantity.residual_current]
function = 3
address = 0
unit = "mA"
"""

Run = Callable[[str, int, float], Awaitable[Mapping[str, float]]]


def serve(pipe: Connection, baud: int, is_strict: bool) -> None:
    """A child's work: sends the terminal's path, and answers with the number of frames that came too early."""
    # The slave stands for hardware, which keeps its time however busy this machine is.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    units = {unit: RegisterTable(READ_HOLDING, {0: lambda: 100}, 1) for unit in UNITS}
    face = RtuFace(Bus("bench", units, FaultBoard({}, {})), baud, BITS_PER_CHARACTER, is_strict)
    face.start()
    pipe.send(face.path)
    while heard(pipe) != END:
        pipe.send(face.dropped_early)
    face.stop()


async def gateway(path: str, baud: int, seconds: float) -> Mapping[str, float]:
    """The gateway's own source, with ten units that are due all the time."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        profile = Path(folder) / "one-register.toml"
        profile.write_text(PROFILE, "utf-8")
        units = tuple(UnitConfig(unit, str(profile), period=Ms(100)) for unit in UNITS)
        config = ModbusConfig("bench", "modbus", device=path, baud=baud, stop_bits=2, unit=units)
        wired = [Wired(f"leak-{unit}", ModbusAt(unit, "residual_current")) for unit in UNITS]
        source = SOURCES["modbus"].open(config, wired, Site(Path(folder)))
        counts = [0, 0]

        def take(readings: Sequence[Reading]) -> None:
            for reading in readings:
                counts[reading.value is None] += 1

        task = asyncio.create_task(source.run(take))
        await asyncio.sleep(WARM_UP_S)
        counts[:] = 0, 0
        figures = await _timed(asyncio.sleep(seconds), lambda: counts[0])
        task.cancel()
        await asyncio.wait([task])
        source.close()
        return {**figures, "failed": counts[1]}


async def bare_pymodbus(path: str, baud: int, seconds: float) -> Mapping[str, float]:
    """A loop over the library's client, as quick as it goes."""
    client = AsyncModbusSerialClient(path, baudrate=baud, stopbits=2, timeout=0.3, retries=0)
    await client.connect()
    client.set_max_no_responses(1_000_000)
    counts = [0, 0]

    async def loop() -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            try:
                await client.read_holding_registers(0, count=1, device_id=UNITS[sum(counts) % len(UNITS)])
                counts[0] += 1
            except ModbusException:
                counts[1] += 1

    figures = await _timed(loop(), lambda: counts[0])
    client.close()
    return {**figures, "failed": counts[1]}


async def _timed(work: Awaitable[object], answered: Callable[[], int]) -> dict[str, float]:
    started_s, cpu_s = time.monotonic(), time.process_time()
    await work
    took_s = time.monotonic() - started_s
    return {"per_s": answered() / took_s, "cpu_cores": (time.process_time() - cpu_s) / took_s}


def row(who: str, run: Run, is_strict: bool, baud: int, seconds: float) -> dict[str, Any]:
    """One master on a slave of its own."""

    async def measured(path: str) -> Mapping[str, float]:
        return await run(path, baud, seconds)

    with child(serve, baud, is_strict) as pipe:
        figures = asyncio.run(measured(ask(pipe)))
        early = ask(pipe, "early")
    return {
        "master": who,
        "slave": "strict" if is_strict else "forgiving",
        "per_s": round(figures["per_s"], 2),
        "share": round(figures["per_s"] / allowed_per_s(baud), 4),
        "too_early": early,
        "failed": int(figures["failed"]),
        "cpu_cores": round(figures["cpu_cores"], 4),
    }


def allowed_per_s(baud: int) -> float:
    """Requests for one register that the wire has room for in a second."""
    return baud / BITS_PER_CHARACTER / CHARACTERS


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement")
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    # That this bus has more work than its periods allow is what is wanted here.
    logging.disable(logging.WARNING)
    masters: list[tuple[str, Run, bool]] = [
        ("shouwang", gateway, True),
        ("bare pymodbus", bare_pymodbus, False),
        ("bare pymodbus", bare_pymodbus, True),
    ]
    rows = [row(*master, options.baud, options.seconds) for master in masters]
    figures = {
        "allowed_per_s": round(allowed_per_s(options.baud), 2),
        "share": rows[0]["share"],
        "target_share": TARGET_SHARE,
        "is_reached": rows[0]["share"] >= TARGET_SHARE and rows[0]["too_early"] == 0,
        "load": round(os.getloadavg()[0], 2),
        "masters": rows,
    }
    report("rtu", figures, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
