"""A home with all its faces in one process: the building, Modbus TCP and RTU, I2C, GPIO, a modem, the control socket.

In the folder that it is given it makes `rtu` and `modem` (links to ptys), `gpio.sock`, `i2c.sock`, `control.sock` and,
last of all, `ready.json`; it removes them when it stops.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

from simulators.ads1115 import Ads1115
from simulators.building import Building
from simulators.chip import GpioChip
from simulators.control import ControlFace, Controller
from simulators.gpio import GpioFace
from simulators.i2c import Chip, I2cFace, I2cWorld
from simulators.modbus import Bus, TcpFace
from simulators.modbus_rtu import RtuFace, link
from simulators.modem import Modem
from simulators.modem_pty import ModemFace
from simulators.sht3x import Sht3x

# Ramps and detectors need no finer step; 10 Hz costs next to nothing.
TICK_S = 0.1
# A UNIX socket's path has to fit into sockaddr_un.
MAX_SOCKET_PATH = 107


class HomeError(RuntimeError):
    """The home cannot be served from this folder; the text says why."""


class HomeSimulator:
    """Serves `building` from `folder` between `start` and `stop`. `modbus_port` 0 takes a free one."""

    def __init__(self, building: Building, folder: Path, modbus_port: int = 0) -> None:
        self.building = building
        self.folder = folder
        self.chip = GpioChip()
        self.modbus: dict[str, TcpFace | RtuFace] = {}
        self._modbus_port = modbus_port
        self._started_s = 0.0
        self._lock: IO[str] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self.controller = Controller(building, self.chip, self.catch_up)
        self._sockets: dict[str, GpioFace | I2cFace | ControlFace] = {}

    async def start(self) -> dict[str, Any]:
        """Open every face and return what `ready.json` says. Raises HomeError, OSError."""
        self._take_folder()
        self._started_s = time.monotonic() - self.building.now_ms / 1000
        await self._start_sockets()
        for name in self.building.plan.sources:
            self.modbus[name] = await self._start_modbus(name)
        if self.building.plan.modem is not None:
            self._start_modem()
        self._ticking = asyncio.get_running_loop().create_task(self._tick())
        return self._announce()

    async def stop(self) -> None:
        """Close every face and remove what was made."""
        if self._ticking is not None:
            self._ticking.cancel()
        for modbus in self.modbus.values():
            if isinstance(modbus, RtuFace):
                modbus.stop()
            else:
                await modbus.stop()
        if self.controller.modem is not None:
            self.controller.modem.stop()
        for socket in self._sockets.values():
            await socket.stop()
        if self._lock is not None:
            self._clear_folder()
            self._lock.close()
            self._lock = None

    def catch_up(self) -> None:
        """Bring the world's time to now."""
        elapsed_ms = int((time.monotonic() - self._started_s) * 1000) - self.building.now_ms
        if self._started_s and elapsed_ms > 0:
            self.building.advance(elapsed_ms)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.catch_up()

    async def _start_sockets(self) -> None:
        chips = chips_of(self.building)
        self._sockets = {
            "gpio": GpioFace(self.building, self.chip),
            "i2c": I2cFace(I2cWorld(chips, self.building.faults)),
            "control": ControlFace(self.controller),
        }
        for name, face in self._sockets.items():
            await face.start(self.folder / f"{name}.sock")

    async def _start_modbus(self, name: str) -> TcpFace | RtuFace:
        source = self.building.plan.sources[name]
        units = {unit: device for (at, unit), device in self.building.devices.items() if at == name}
        bus = Bus(name, units, self.building.faults)
        bus.written = _in_loop(partial(self.controller.wrote, name))
        if source.transport == "tcp":
            tcp = TcpFace(bus)
            await tcp.start(port=self._modbus_port)
            # Only the first bus gets the port that was asked for.
            self._modbus_port = 0
            return tcp
        rtu = RtuFace(bus, source.baud, source.bits_per_char, source.strict)
        is_first = not any(isinstance(face, RtuFace) for face in self.modbus.values())
        rtu.moved = link(self.folder / ("rtu" if is_first else f"rtu-{name}"))
        rtu.start()
        return rtu

    def _start_modem(self) -> None:
        faults = self.building.faults
        modem = Modem(faults, _in_loop(self.controller.told))
        self.controller.modem = ModemFace(modem, faults, link(self.folder / "modem"))
        self.controller.modem.start()

    def _announce(self) -> dict[str, Any]:
        ready: dict[str, Any] = {"simulated": True, "pid": os.getpid(), "building": self.building.plan.head.name}
        for name, face in self.modbus.items():
            if isinstance(face, TcpFace):
                ready.setdefault("modbus_port", face.port)
                ready[name] = {"port": face.port}
            else:
                path = str(self.folder / ("rtu" if "rtu" not in ready else f"rtu-{name}"))
                ready.setdefault("rtu", path)
                ready[name] = {"path": path}
        if self.controller.modem is not None:
            ready["modem"] = str(self.folder / "modem")
        ready |= {name: str(self.folder / f"{name}.sock") for name in self._sockets}
        draft = self.folder / "ready.json.new"
        draft.write_text(json.dumps(ready, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.folder / "ready.json")
        return ready

    def _take_folder(self) -> None:
        longest = len(os.fsencode(self.folder.absolute() / "control.sock"))
        if longest > MAX_SOCKET_PATH:
            raise HomeError(f"{self.folder}: path too long for a UNIX socket ({longest} > {MAX_SOCKET_PATH} bytes)")
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = (self.folder / "sim.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise HomeError(f"{self.folder}: another simulator serves this folder") from None
        self._lock = lock
        self._clear_folder()

    def _clear_folder(self) -> None:
        """Remove what this simulator, or one that was killed here, left behind."""
        for name in ("ready.json", "gpio.sock", "i2c.sock", "control.sock", "rtu", "modem"):
            (self.folder / name).unlink(missing_ok=True)


def chips_of(building: Building) -> dict[int, Chip]:
    """The chips on the building's I2C bus by their addresses."""
    addresses = sorted({analog.address for analog in building.plan.analogs})
    chips: dict[int, Chip] = {at: Ads1115(partial(building.terminal_volts, at)) for at in addresses}
    for sensor in building.plan.sensors:
        chips[sensor.address] = Sht3x(
            partial(building.sense, sensor.temperature), partial(building.sense, sensor.humidity)
        )
    return chips


def _in_loop(call: Callable[..., None]) -> Callable[..., None]:
    """`call`, made from the event loop whichever thread it is called in: a serial face has a thread of its own."""
    loop = asyncio.get_running_loop()

    def later(*arguments: object) -> None:
        loop.call_soon_threadsafe(call, *arguments)

    return later
