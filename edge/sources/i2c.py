"""Converters on an I2C bus: extinguisher pressures and supervised loops, through an ADS1115.

    [[source]]
    name = "i2c"
    kind = "i2c"
    bus = 1
    [[source.chip]]
    address = 0x48
    driver = "ads1115"
    full_scale_mv = 6144

    [[point]]
    at = { chip = 0x48, channel = 0, profile = "transducer-0v5-4v5-2MPa5", period = "60s" }

The bus is read in a thread with a deadline for each channel, because the Pi's I2C hangs: a stuck transfer costs the
thread, and the bus is opened again. Only combined transfers (`i2c_rdwr`) are used.
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
from edge.profiles import TransducerProfile, load
from edge.schema import ConfigError, Ms
from edge.sources import backends
from edge.sources.ads1115 import CHANNELS, FULL_SCALE_CODES, BadAnswer, I2cBus, read_counts
from edge.sources.backoff import Backoff
from edge.sources.seam import Changes, Deliver, Described, Site, SourceKind, Wired
from edge.sources.worker import Stuck, Worker, finish

BUSES = "shouwang.i2c"
# A conversion takes 9 ms and four short transfers; the kernel gives a transfer up after a second.
CHANNEL_DEADLINE_S = 0.5
OPEN_DEADLINE_S = 2.0
CLOSE_DEADLINE_S = 1.0
REOPEN_FIRST_S = 0.5
REOPEN_CAP_S = 10.0
# One failed transfer is noise; a row of them is a bus that wants to be opened again.
FAILURES_TO_REOPEN = 3
_NACKS = (errno.EREMOTEIO, errno.ENXIO)
_RAILS = (-0x8000, 0x7FFF)


@dataclass(frozen=True, slots=True)
class ChipConfig:
    """A converter: its 7-bit address and the full scale of its input amplifier in mV."""

    address: int
    driver: Literal["ads1115"]
    full_scale_mv: int = 6144

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if not 0x48 <= self.address <= 0x4B:
            yield "address", "0x48 to 0x4B for an ADS1115", hex(self.address)
        if self.full_scale_mv not in FULL_SCALE_CODES:
            yield "full_scale_mv", f"one of {', '.join(map(str, FULL_SCALE_CODES))}", self.full_scale_mv


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


@dataclass(frozen=True, slots=True)
class I2cAt:
    """A channel of a chip, and what its voltage means: the name of a transducer's profile ("volts" for a loop)."""

    chip: int
    channel: int
    profile: str = "volts"
    period: Ms = Ms(1000)

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if not 0 <= self.channel < CHANNELS:
            yield "channel", f"0 to {CHANNELS - 1}", self.channel
        if self.period < 100:
            yield "period", '"100ms" or more', f"{self.period}ms"
        try:
            load(self.profile, TransducerProfile)
        except ConfigError as error:
            yield "profile", "a transducer's profile without mistakes", "; ".join(error.lines)


def describe(config: I2cConfig, at: I2cAt) -> Described | str:
    """What readings of a channel mean, or what is wrong with it."""
    if at.chip not in [chip.address for chip in config.chip]:
        return f"{config.name} has no chip {at.chip:#04x}; configured: {', '.join(hex(c.address) for c in config.chip)}"
    profile = load(at.profile, TransducerProfile)
    return Described(profile.unit, profile.scale, at.profile, profile.supervised, f"{config.name}/{at.chip:#04x}")


def value_of(profile: TransducerProfile, counts: int, full_scale_mv: int) -> int | Unknown:
    """The scaled value that `counts` of the converter stand for, or why they stand for none."""
    if counts in _RAILS:
        return Unknown.OUT_OF_RANGE
    millivolts = counts * full_scale_mv / 32768
    if not _is_between(profile.broken_below_mv, millivolts, profile.broken_above_mv):
        return Unknown.SENSOR_BROKEN
    share = (millivolts - profile.low_mv) / (profile.high_mv - profile.low_mv)
    value = round(profile.low + share * (profile.high - profile.low))
    return value if _is_between(profile.plausible_low, value, profile.plausible_high) else Unknown.OUT_OF_RANGE


def _is_between(low: int | None, value: float, high: int | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


class _Channel:
    """A point of the bus and when it is due next."""

    def __init__(self, wired: Wired, chip: ChipConfig) -> None:
        self.point = wired.point
        self.at: I2cAt = wired.at
        self.chip = chip
        self.profile = load(self.at.profile, TransducerProfile)
        self.period_s = self.at.period / 1000
        self.due_s = 0.0

    def next_after(self, now_s: float) -> None:
        """The first line of the channel's grid after now: a bus that hung does not make up for what it missed."""
        missed = max(0, int((now_s - self.due_s) / self.period_s))
        self.due_s += (missed + 1) * self.period_s


class I2cSource:
    """The source of kind "i2c"."""

    def __init__(self, config: I2cConfig, wired: Sequence[Wired], site: Site) -> None:
        self.name = config.name
        self._config = config
        self._make_bus = _bus_maker(config, site.simulated)
        self._lock: Lock = hold(site.locks, config.where)
        chips = {chip.address: chip for chip in config.chip}
        self._channels = [_Channel(each, chips[each.at.chip]) for each in wired]
        self._changes = Changes(logging.getLogger(__name__), config.name)
        self._counters: Counter[str] = Counter()
        self._worker = Worker(f"{config.name}-bus")
        self._backoff = Backoff(REOPEN_FIRST_S, REOPEN_CAP_S)
        self._failures = 0
        self._bus: I2cBus | None = None

    async def run(self, deliver: Deliver) -> None:
        """Convert channel by channel until cancelled; a bus that hangs or fails in a row is opened again."""
        loop = asyncio.get_running_loop()
        for channel in self._channels:
            channel.due_s = loop.time()
        while True:
            try:
                self._bus = await self._worker.call(self._make_bus, OPEN_DEADLINE_S)
                await self._convert_all(deliver)
            except (OSError, Stuck) as error:
                self._counters["losses"] += 1
                self._changes.say("", f"{self._config.where}: {error}")
                reason = Unknown.TIMEOUT if isinstance(error, Stuck) else Unknown.NO_LINK
                deliver([Reading(channel.point, None, reason) for channel in self._channels])
            await self._release()
            await asyncio.sleep(self._backoff.next_s())

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

    async def _convert_all(self, deliver: Deliver) -> None:
        """Until the bus is stuck (Stuck) or fails in a row (OSError)."""
        loop = asyncio.get_running_loop()
        self._failures = 0
        while True:
            channel = min(self._channels, key=lambda each: each.due_s, default=None)
            wait_s = 3600.0 if channel is None else channel.due_s - loop.time()
            if channel is None or wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            channel.next_after(loop.time())
            deliver([await self._convert(channel)])

    async def _convert(self, channel: _Channel) -> Reading:
        assert self._bus is not None
        bus, chip = self._bus, channel.chip
        self._counters["conversions"] += 1
        try:
            counts = await self._worker.call(
                lambda: read_counts(bus, chip.address, channel.at.channel, chip.full_scale_mv), CHANNEL_DEADLINE_S
            )
        except (OSError, BadAnswer) as error:
            return Reading(channel.point, None, self._failed(chip, error))
        self._failures = 0
        self._backoff.reset()
        self._changes.say(f"chip {chip.address:#04x}", "")
        self._changes.say("", "")
        value = value_of(channel.profile, counts, chip.full_scale_mv)
        return Reading(channel.point, None, value) if isinstance(value, Unknown) else Reading(channel.point, value)

    def _failed(self, chip: ChipConfig, error: OSError | BadAnswer) -> Unknown:
        """Why there is no value. Raises the error when the bus has failed in a row.

        A missing acknowledge is one chip's affair and says that the bus works.
        """
        self._changes.say(f"chip {chip.address:#04x}", str(error))
        if isinstance(error, BadAnswer):
            self._counters["bad_answers"] += 1
            return Unknown.BAD_REPLY
        if error.errno in _NACKS:
            self._counters["nacks"] += 1
            return Unknown.NACK
        self._counters["bus_errors"] += 1
        self._failures += 1
        if self._failures >= FAILURES_TO_REOPEN:
            raise error
        return Unknown.NO_LINK

    async def _release(self) -> None:
        bus, self._bus = self._bus, None
        if bus is None:
            return
        try:
            await self._worker.call(bus.close, CLOSE_DEADLINE_S)
        except (OSError, Stuck) as error:
            self._changes.say("", f"{self._config.where}: closing: {error}")


def _bus_maker(config: I2cConfig, is_simulated: bool) -> Any:
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
