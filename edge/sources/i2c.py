"""Chips on an I2C bus: extinguisher pressures and supervised loops through an ADS1115, rooms through an SHT3x.

    [[source]]
    name = "i2c"
    kind = "i2c"
    bus = 1
    [[source.chip]]                              # and a point's `at`: edge/sources/i2c_chips.py
    address = 0x48
    driver = "ads1115"
    full_scale_mv = 6144

    [[point]]
    at = { chip = 0x48, channel = 0, profile = "transducer-0v5-4v5-2MPa5", period = "60s" }

The bus is read in a thread with a deadline for each place, because the Pi's I2C hangs: a stuck transfer costs the
thread, the bus is opened again, and the chip that was asked rests while the others are read. Only combined transfers
(`i2c_rdwr`) are used.

What user space can do for a bus is to open it again. The nine clock pulses that free a slave which holds the data line
belong to whoever has the pins, and that is the kernel's driver: it sends them where its adapter can (`i2c-gpio` and
adapters with a `bus_recovery_info`; the Pi's own BSC controller does not). A slave that does not let go there needs its
supply cut, and until then all that it holds up is a fault.
"""

import asyncio
import errno
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edge.core.values import Reading, Unknown
from edge.locks import Lock, hold
from edge.sources import backends
from edge.sources.backoff import Backoff
from edge.sources.i2c_bus import BadAnswer, I2cBus
from edge.sources.i2c_chips import ChipConfig, I2cAt, place_of
from edge.sources.seam import Changes, Deliver, Described, Site, SourceKind, Wired
from edge.sources.worker import Stuck, Worker, finish

BUSES = "shouwang.i2c"
# A conversion takes 9 ms and four short transfers; the kernel gives a transfer up after a second.
CHANNEL_DEADLINE_S = 0.5
OPEN_DEADLINE_S = 2.0
CLOSE_DEADLINE_S = 1.0
REOPEN_FIRST_S = 0.5
REOPEN_CAP_S = 10.0
# The kernel gives a transfer up after a second by itself, and until then nobody else gets through.
SETTLE_S = 1.0
_SETTLE_STEP_S = 0.02
# One failed transfer is noise; a row of them is a bus that wants to be opened again.
FAILURES_TO_REOPEN = 3
_NACKS = (errno.EREMOTEIO, errno.ENXIO)


@dataclass(frozen=True, slots=True)
class I2cConfig:
    """An I2C bus. `backend` other than "hardware" names a bus installed as an entry point; `address` is its address."""

    name: str
    kind: Literal["i2c"]
    backend: str = backends.HARDWARE
    address: str | None = None
    bus: int = 1
    chip: tuple[ChipConfig, ...] = ()

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if (self.address is None) is not (self.backend == backends.HARDWARE):
            yield "address", "an address for a simulated back-end, none for the hardware", self.address
        if not self.chip:
            yield "chip", "at least one [[source.chip]]", "none"
        if len({chip.address for chip in self.chip}) != len(self.chip):
            yield "chip", "chips with different addresses", "the same address twice"

    @property
    def where(self) -> str:
        """The bus as a person knows it; also what is locked."""
        return f"i2c-{self.bus}" if self.address is None else self.address


def describe(config: I2cConfig, at: I2cAt) -> Described | str:
    """What readings of a place mean, or what is wrong with it."""
    chip = next((chip for chip in config.chip if chip.address == at.chip), None)
    if chip is None:
        return f"{config.name} has no chip {at.chip:#04x}; configured: {', '.join(hex(c.address) for c in config.chip)}"
    place = place_of(chip, at)
    return place if isinstance(place, str) else Described(*place[:4], f"{config.name}/{at.chip:#04x}")


class _Chip:
    """A chip of the bus. One that hangs the bus, or fails in a row, rests for longer and longer, so that the others are
    read."""

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        self.name = f"chip {config.address:#04x}"
        self.failures = 0
        self.backoff = Backoff(REOPEN_FIRST_S, REOPEN_CAP_S)

    def well(self) -> None:
        """It has answered."""
        self.failures = 0
        self.backoff.reset()


class _Spot:
    """A point of the bus and when it is due next."""

    def __init__(self, wired: Wired, chip: _Chip) -> None:
        at: I2cAt = wired.at
        place = place_of(chip.config, at)
        assert not isinstance(place, str), place
        self.point = wired.point
        self.chip = chip
        self.read = place.read
        self.period_s = at.period / 1000
        self.due_s = 0.0

    def next_after(self, now_s: float) -> None:
        """The first line of the spot's grid after now: a bus that hung does not make up for what it missed."""
        missed = max(0, int((now_s - self.due_s) / self.period_s))
        self.due_s += (missed + 1) * self.period_s


class I2cSource:
    """The source of kind "i2c"."""

    def __init__(self, config: I2cConfig, wired: Sequence[Wired], site: Site) -> None:
        self.name = config.name
        self._config = config
        self._make_bus = bus_maker(config, site.simulated)
        self._lock: Lock = hold(site.locks, config.where)
        chips = {chip.address: _Chip(chip) for chip in config.chip}
        self._spots = [_Spot(each, chips[each.at.chip]) for each in wired]
        self._changes = Changes(logging.getLogger(__name__), config.name)
        self._counters: Counter[str] = Counter()
        self._worker = Worker(f"{config.name}-bus")
        self._backoff = Backoff(REOPEN_FIRST_S, REOPEN_CAP_S)
        self._bus: I2cBus | None = None
        self._is_proven = False

    async def run(self, deliver: Deliver) -> None:
        """Read place by place until cancelled; a bus that hangs or fails in a row is opened again."""
        loop = asyncio.get_running_loop()
        for spot in self._spots:
            spot.due_s = loop.time()
        while True:
            try:
                self._bus = await self._worker.call(self._make_bus, OPEN_DEADLINE_S)
            except (OSError, Stuck) as error:
                self._lost("", f"{self._config.where}: {error}")
                if self._spots:
                    deliver([Reading(spot.point, None, _reason(error)) for spot in self._spots])
                await asyncio.sleep(self._backoff.next_s())
            else:
                self._is_proven = False
                self._backoff.reset()
                self._changes.say("", "")
                await self._read_all(deliver)
            await self._release()
            await self._settle()

    def close(self) -> None:
        """Let the bus go; a thread that hangs in it is left behind."""
        self._worker.close()
        bus, self._bus = self._bus, None
        if bus is not None:
            finish(bus.close, CLOSE_DEADLINE_S)
        self._lock.release()

    def counters(self) -> Mapping[str, int]:
        """conversions; nacks, bus_errors, bad_answers; losses: times the bus was given up; threads_stuck."""
        return {**self._counters, "threads_stuck": self._worker.given_up}

    async def _read_all(self, deliver: Deliver) -> None:
        """Until the bus has to be opened again, because a chip hung it or failed in a row; that chip rests."""
        loop = asyncio.get_running_loop()
        while True:
            spot = min(self._spots, key=lambda each: each.due_s, default=None)
            wait_s = 3600.0 if spot is None else spot.due_s - loop.time()
            if spot is None or wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            spot.next_after(loop.time())
            try:
                deliver([await self._read(spot)])
            except (OSError, Stuck) as error:
                self._lost(spot.chip.name, str(error))
                deliver(self._rested(spot.chip, _reason(error), loop.time()))
                return

    def _lost(self, subject: str, said: str) -> None:
        self._counters["losses"] += 1
        self._changes.say(subject, said)

    def _rested(self, chip: _Chip, reason: Unknown, now_s: float) -> list[Reading]:
        """Nothing of the chip is asked for a while; its points have no value.

        For longer and longer only where something was read since the bus was opened: else the bus may still be held up
        by the chip that was asked before.
        """
        until_s = now_s + (chip.backoff.next_s() if self._is_proven else REOPEN_FIRST_S)
        spots = [spot for spot in self._spots if spot.chip is chip]
        for spot in spots:
            spot.due_s = max(spot.due_s, until_s)
        return [Reading(spot.point, None, reason) for spot in spots]

    async def _read(self, spot: _Spot) -> Reading:
        """The reading. Stuck where the chip hangs the bus, OSError where it has failed in a row."""
        assert self._bus is not None
        bus = self._bus
        self._counters["conversions"] += 1
        try:
            value = await self._worker.call(lambda: spot.read(bus), CHANNEL_DEADLINE_S)
        except (OSError, BadAnswer) as error:
            return Reading(spot.point, None, self._failed(spot.chip, error))
        self._is_proven = True
        spot.chip.well()
        self._changes.say(spot.chip.name, "")
        return Reading(spot.point, None, value) if isinstance(value, Unknown) else Reading(spot.point, value)

    def _failed(self, chip: _Chip, error: OSError | BadAnswer) -> Unknown:
        """Why there is no value. Raises the error when the chip's transfers have failed in a row.

        A missing acknowledge is the chip's own affair and says that the bus works.
        """
        self._changes.say(chip.name, str(error))
        if isinstance(error, BadAnswer):
            self._counters["bad_answers"] += 1
            return Unknown.BAD_REPLY
        if error.errno in _NACKS:
            self._counters["nacks"] += 1
            return Unknown.NACK
        self._counters["bus_errors"] += 1
        chip.failures += 1
        if chip.failures >= FAILURES_TO_REOPEN:
            raise error
        return Unknown.NO_LINK

    async def _settle(self) -> None:
        """Wait for a transfer that hangs to come back, as long as it can be expected to."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SETTLE_S
        while self._worker.given_up and loop.time() < until_s:
            await asyncio.sleep(_SETTLE_STEP_S)

    async def _release(self) -> None:
        bus, self._bus = self._bus, None
        if bus is None:
            return
        try:
            await self._worker.call(bus.close, CLOSE_DEADLINE_S)
        except (OSError, Stuck) as error:
            self._changes.say("", f"{self._config.where}: closing: {error}")


def _reason(error: OSError | Stuck) -> Unknown:
    return Unknown.TIMEOUT if isinstance(error, Stuck) else Unknown.NO_LINK


def bus_maker(config: I2cConfig, is_simulated: bool) -> Any:
    """A function that opens the bus. Raises `backends.NotAllowed` now, rather than at the first opening."""
    if config.backend != backends.HARDWARE:
        open_bus = backends.load(config.backend, BUSES, is_simulated)
        return lambda: open_bus(config.address)

    def hardware() -> I2cBus:
        from smbus2 import SMBus

        bus: I2cBus = SMBus(config.bus)
        return bus

    return hardware


KIND = SourceKind(I2cConfig, I2cAt, describe, I2cSource)
