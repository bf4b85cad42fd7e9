"""The simulated home of the soak: the example's building, its buses in the agent's own process and time.

What the agent opens is what it opens in a home: a gpiozero pin factory and an I2C bus by their entry points, and Modbus
connections. Behind them stand the simulators' chips, registers and fault menu.
"""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench._soak_time import SimulatedEvent, SimulatedTime, hang
from edge.sources import ads1115
from simulators import chip as chips
from simulators import plan as plans
from simulators.ads1115 import Ads1115
from simulators.building import Building
from simulators.chip import Change, GpioChip
from simulators.faults import Fault, StuckBus
from simulators.gpio import GpioFace
from simulators.i2c import READ_FLAG, I2cWorld, Message
from simulators.modbus import Bus, TcpFace
from simulators.pins import InProcessPins

BACKEND = "shouwang-soak"
TICK_S = 0.25
"""How often contacts look at their quantities; the noise of all of them has to be worked out each time."""
TRANSFER_NS = 5_000_000
KEPT_CHANGES = 100

world: "World"


class World:
    """A building, and the buses that hang on it. One in a process: an entry point takes no argument but a name."""

    def __init__(self, time: SimulatedTime, seed: int) -> None:
        plan = plans.load("home")
        # A pty has no simulated time; what RTU adds to TCP is tried in the part on real bytes.
        sources = {name: dataclasses.replace(source, transport="tcp") for name, source in plan.sources.items()}
        self.building = Building(dataclasses.replace(plan, sources=sources), seed)
        chips.KEPT_CHANGES = KEPT_CHANGES  # what is kept of the past would grow for a day
        self.time = time
        self.chip = GpioChip()
        self.face = GpioFace(self.building, self.chip)
        addresses = {analog.address for analog in plan.analogs}
        ads = {address: Ads1115(partial(self.building.terminal_volts, address)) for address in addresses}
        self.i2c = I2cWorld(ads, self.building.faults)
        self.healed = threading.Event()
        self.building.faults.watch(self._fault_changed)
        self.ports: dict[str, int] = {}
        self._faces: list[TcpFace] = []
        self._lived_s = time.now_s
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen on every bus, and begin to live."""
        for name in self.building.plan.sources:
            units = {unit: device for (at, unit), device in self.building.devices.items() if at == name}
            face = TcpFace(Bus(name, units, self.building.faults))
            face.bus.writes = face.bus.writes.__class__(maxlen=10)
            await face.start()
            self._faces.append(face)
            self.ports[name] = face.port
        self._tasks.append(asyncio.get_running_loop().create_task(self._live()))

    async def stop(self) -> None:
        """End every fault and every face."""
        self.building.faults.heal_all()
        self.healed.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.face.stop()
        for face in self._faces:
            await face.stop()

    def catch_up(self) -> None:
        """Bring the building's time to now."""
        passed_ms = int((self.time.now_s - self._lived_s) * 1000)
        self._lived_s += passed_ms / 1000
        self.building.advance(passed_ms)

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.catch_up()

    def _fault_changed(self, place: str, fault: Fault | None) -> None:
        if place.startswith("i2c") and not isinstance(fault, StuckBus):
            self.healed.set()
        elif isinstance(fault, StuckBus):
            self.healed.clear()


class SoakPins(InProcessPins):
    """Edges reach the source within the change that caused them, so that no time can pass in between."""

    def deliver(self, change: Change) -> None:
        pin = self._by_number.get(change.pin)
        if change.kind == "edge" and pin is not None:
            pin.edge(change)


class SoakI2cBus:
    """What smbus2 offers for whole transactions, over the simulators' chips."""

    def __init__(self) -> None:
        self._ns = 0

    def i2c_rdwr(self, *i2c_msgs: Any) -> None:
        messages = [_message(message) for message in i2c_msgs]
        self._wait(messages[0].address)
        self._ns = max(self._ns, int(world.time.now_s * 1e9)) + TRANSFER_NS
        read = world.i2c.transact(messages, self._ns)
        for message in i2c_msgs:
            if message.flags & READ_FLAG:
                for at in range(message.len):
                    message.buf[at] = read[at]
                read = read[message.len :]

    def close(self) -> None:
        """Nothing is open."""

    def _wait(self, address: int) -> None:
        faults = world.building.faults
        places = (f"i2c/0x{address:02x}", "i2c")
        if isinstance(faults.at(*places), StuckBus):
            hang(world.time, world.healed.wait)
        fault = faults.at(*places)
        if fault is not None and fault.delay_ms:
            hang(world.time, partial(_pause, world.time, fault.delay_ms / 1000))


def _message(message: Any) -> Message:
    is_read = bool(message.flags & READ_FLAG)
    return Message(message.addr, is_read, message.len, b"" if is_read else bytes(message))


def _pause(time: SimulatedTime, wait_s: float) -> None:
    event = SimulatedEvent(time, threading.current_thread())
    try:
        event.wait(wait_s)
    finally:
        time.events.remove(event)


def open_pins(address: str) -> SoakPins:
    """The pin factory of the entry point."""
    return SoakPins(world.chip)


def open_bus(address: str) -> SoakI2cBus:
    """The I2C bus of the entry point."""
    return SoakI2cBus()


@contextlib.contextmanager
def back_ends(folder: Path, made: World) -> Iterator[None]:
    """`made` behind the entry points of the back-ends, whose metadata is put into `folder` (on the module path)."""
    global world
    world = made
    metadata = folder / "shouwang_soak-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shouwang-soak\nVersion: 1\n", "ascii")
    (metadata / "entry_points.txt").write_text(
        f"[gpiozero_pin_factories]\n{BACKEND} = bench._soak_world:open_pins\n"
        f"[shouwang.i2c]\n{BACKEND} = bench._soak_world:open_bus\n",
        "ascii",
    )
    # A conversion takes 9 ms, and the chip's own clock is simulated.
    read_counts = ads1115.read_counts
    vars(ads1115)["read_counts"] = partial(read_counts, sleep=lambda _: None)
    try:
        yield
    finally:
        vars(ads1115)["read_counts"] = read_counts
