"""Looks which chips are on an I2C bus, and knows those that it has a driver for. Nothing in a chip is changed.

Each address is asked for one byte. A register is chosen by a pointer, one byte that is written and changes nothing
else. The SHT3x is asked for its status by a command, and only at its own addresses and where a plain read is not
acknowledged, as its own is not while it rests: to a chip with registers the same two bytes would be a value. 0x69 is
left alone, because clock chips that hang the bus when they are read live there.
"""

import errno
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from smbus2 import i2c_msg

from edge.sources import ads1115, sht3x
from edge.sources.i2c_bus import BadAnswer, I2cBus
from edge.sources.worker import Stuck, Worker, finish

FIRST, LAST = 0x08, 0x77
LEFT_ALONE = (0x69,)
DEADLINE_S = 1.5
"""For all that one address is asked; the kernel gives a transfer up after a second."""
_NACKS = (errno.EREMOTEIO, errno.ENXIO)
_LOW_THRESHOLD, _HIGH_THRESHOLD = (2, 0x8000), (3, 0x7FFF)


class NoBus(Exception):
    """The bus cannot be opened, or hangs; the text says where."""


class Chip(NamedTuple):
    """A chip that answers: `driver` is "" where none is known; `why` says how it was known."""

    address: int
    driver: str
    why: str


class ReadingBus:
    """A bus on which nothing can be changed: it refuses every write but a pointer and the SHT3x's question."""

    def __init__(self, bus: I2cBus) -> None:
        self._bus = bus

    def i2c_rdwr(self, *messages: Any) -> None:
        """As the bus's own. Raises ValueError for a write that could change something."""
        for message in messages:
            written = b"" if message.flags & 1 else bytes(message)
            if len(written) > 1 and written != bytes(sht3x.READ_STATUS):
                raise ValueError(f"a probe does not write {written.hex()}")
        self._bus.i2c_rdwr(*messages)

    def close(self) -> None:
        """Let the bus go."""
        self._bus.close()


async def scan(open_bus: Callable[[], I2cBus], where: str, tell: Callable[[int, int, int], None]) -> list[Chip]:
    """Every chip that answers. Raises NoBus."""
    worker = Worker(f"{where}-probe")
    found: list[Chip] = []
    bus: ReadingBus | None = None
    try:
        bus = ReadingBus(await worker.call(open_bus, DEADLINE_S))
        for address in range(FIRST, LAST + 1):
            if address not in LEFT_ALONE:
                tell(address, LAST, len(found))
                found += await worker.call(partial(look, bus, address), DEADLINE_S)
    except Stuck:
        raise NoBus(f"{where}: the bus hangs; pull the chip that holds it, or cut its supply") from None
    except OSError as error:
        raise NoBus(f"{where}: {error.strerror or error}") from None
    finally:
        worker.close()
        if bus is not None:
            finish(bus.close, DEADLINE_S)
    return found


def look(bus: I2cBus, address: int) -> list[Chip]:
    """The chip at an address, if there is one. Blocks. Raises OSError where the bus itself fails."""
    # The first byte may be the rest of an answer that nobody fetched.
    is_acknowledged = [_read(bus, address, 1) is not None for _ in range(2)][1]
    if address in sht3x.ADDRESSES and not is_acknowledged:
        return _sht3x(bus, address)
    if not is_acknowledged:
        return []
    if address in ads1115.ADDRESSES:
        return [_ads1115(bus, address)]
    return [Chip(address, "", "answers; no driver is known for this address")]


def _sht3x(bus: I2cBus, address: int) -> list[Chip]:
    try:
        bus.i2c_rdwr(i2c_msg.write(address, sht3x.READ_STATUS))
    except OSError as error:
        if error.errno in _NACKS:
            return []
        raise
    answer = _read(bus, address, 3)
    try:
        (status,) = sht3x.words_of(answer or b"")
    except (BadAnswer, ValueError):
        return [Chip(address, "", "answers; its status has not the checksum of an SHT3x")]
    return [Chip(address, "sht3x", f"its status {status:#06x} comes with the right checksum")]


def _ads1115(bus: I2cBus, address: int) -> Chip:
    """Its two thresholds are as after power-up, because no gateway uses them."""
    for register, expected in (_LOW_THRESHOLD, _HIGH_THRESHOLD):
        word = _register(bus, address, register)
        if word != expected:
            shown = "nothing" if word is None else f"{word:#06x}"
            return Chip(address, "", f"answers; register {register} is {shown}, an ADS1115 has {expected:#06x}")
    return Chip(address, "ads1115", "its thresholds are 0x8000 and 0x7fff, as after power-up")


def _register(bus: I2cBus, address: int, register: int) -> int | None:
    answer = i2c_msg.read(address, 2)
    try:
        bus.i2c_rdwr(i2c_msg.write(address, [register]), answer)
    except OSError as error:
        if error.errno in _NACKS:
            return None
        raise
    return int.from_bytes(bytes(answer), "big")


def _read(bus: I2cBus, address: int, length: int) -> bytes | None:
    """The bytes, or None where nobody acknowledges."""
    answer = i2c_msg.read(address, length)
    try:
        bus.i2c_rdwr(answer)
    except OSError as error:
        if error.errno in _NACKS:
            return None
        raise
    return bytes(answer)
