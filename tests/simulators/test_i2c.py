"""The I2C face with smbus2's own messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from smbus2 import i2c_msg

from simulators.i2c import SimulatedI2cBus, open_bus
from tests.simulators.running import RunningHome
from tests.support import wait_until

ADDRESS = 0x48


@pytest.fixture
def bus(home: RunningHome) -> Iterator[SimulatedI2cBus]:
    bus = open_bus(home.ready["i2c"])
    yield bus
    bus.close()


def word(bus: SimulatedI2cBus, pointer: int) -> int:
    reply = i2c_msg.read(ADDRESS, 2)
    bus.i2c_rdwr(i2c_msg.write(ADDRESS, [pointer]), reply)
    return int.from_bytes(bytes(reply), "big", signed=pointer == 0)


def volts(bus: SimulatedI2cBus, ain: int) -> float:
    """A single conversion in the range of 6.144 V at 860 a second."""
    bus.i2c_rdwr(i2c_msg.write(ADDRESS, [0x01, 0xC1 | ain << 4, 0xE3]))
    wait_until(lambda: word(bus, 1) & 0x8000, what="the conversion")
    return word(bus, 0) * 6.144 / 32768


class FailingTransfer:
    """A transfer in a thread of its own that blocks at first and has to end with OSError."""

    def __init__(self, bus: SimulatedI2cBus) -> None:
        self._errors: list[OSError] = []
        self._thread = threading.Thread(target=self._transfer, args=(bus,))
        self._thread.start()
        self._thread.join(0.2)
        assert self._thread.is_alive(), "it does not block"

    def _transfer(self, bus: SimulatedI2cBus) -> None:
        try:
            word(bus, 1)
        except OSError as error:
            self._errors.append(error)

    def ended(self) -> bool:
        self._thread.join(5)
        return len(self._errors) == 1


def test_every_input_of_the_wiring_plan_is_read(bus: SimulatedI2cBus) -> None:
    kitchen, floor_2, loop_1, loop_2 = (volts(bus, ain) for ain in range(4))
    assert (kitchen - 0.5) / 1.6 == pytest.approx(1.24, abs=0.02)
    assert (floor_2 - 0.5) / 1.6 == pytest.approx(1.20, abs=0.02)
    assert (loop_1, loop_2) == pytest.approx((1.65, 1.65), abs=0.02)


def test_a_leak_shows(home: RunningHome, bus: SimulatedI2cBus) -> None:
    home.do(set={"ext-2.charge_kpa": 800})
    assert (volts(bus, 1) - 0.5) / 1.6 == pytest.approx(0.80, abs=0.02)


def test_nobody_at_an_address_is_errno_121(bus: SimulatedI2cBus) -> None:
    with pytest.raises(OSError, match="121") as error:
        bus.i2c_rdwr(i2c_msg.write(0x49, [0]), i2c_msg.read(0x49, 2))
    assert error.value.errno == 121
    assert word(bus, 1) == 0x8583, "the bus works on"


def test_a_nack_begins_and_ends(home: RunningHome, bus: SimulatedI2cBus) -> None:
    home.do(fault={"where": "i2c/72", "kind": "nack"})
    with pytest.raises(OSError, match="121"):
        word(bus, 1)
    home.do(heal="i2c/0x48")
    assert word(bus, 1) == 0x8583


def test_garbage_has_the_right_length(home: RunningHome, bus: SimulatedI2cBus) -> None:
    home.do(fault={"where": "i2c/0x48", "kind": "garbage"})
    assert {word(bus, 2) for _ in range(20)} != {0x8000}


@pytest.mark.parametrize("place", ["i2c", "i2c/0x48"])
def test_a_stuck_bus_blocks_until_it_is_healed(home: RunningHome, bus: SimulatedI2cBus, place: str) -> None:
    home.do(fault={"where": place, "kind": "stuck_bus"})
    read: list[int] = []
    transfer = threading.Thread(target=lambda: read.append(word(bus, 1)))
    transfer.start()
    transfer.join(0.3)
    assert transfer.is_alive()
    home.do(heal=place)
    transfer.join(5)
    assert read == [0x8583]


def test_closing_ends_a_transfer_that_blocks(home: RunningHome) -> None:
    home.do(fault={"where": "i2c", "kind": "stuck_bus"})
    bus = open_bus(home.ready["i2c"])
    transfer = FailingTransfer(bus)
    bus.close()
    assert transfer.ended()


def test_a_simulator_that_stops_is_an_oserror(home: RunningHome, bus: SimulatedI2cBus) -> None:
    home.stop()
    with pytest.raises(OSError, match=r"gone|pipe|reset"):
        word(bus, 1)


def test_no_simulator_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_bus(str(tmp_path / "i2c.sock"))


def test_a_home_that_stops_with_a_stuck_bus_ends(home: RunningHome) -> None:
    home.do(fault={"where": "i2c", "kind": "stuck_bus"})
    bus = open_bus(home.ready["i2c"])
    transfer = FailingTransfer(bus)
    home.stop()
    assert transfer.ended()
    bus.close()


def test_it_is_a_registered_back_end() -> None:
    (entry,) = entry_points(group="shouwang.i2c", name="shouwang-sim")
    assert entry.load() is open_bus
