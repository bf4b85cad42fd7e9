"""The chips that an I2C bus may carry: their tables in the configuration, and how a place on each is read.

[[source.chip]]
address = 0x48
driver = "ads1115"

[[point]]
at = { chip = 0x48, channel = 0, profile = "transducer-0v5-4v5-2MPa5" }    # a converter: its channel
at = { chip = 0x44, quantity = "temperature" }                             # a sensor: what it measures
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edge.core.values import Unknown
from edge.profiles import ChipProfile, TransducerProfile, WordQuantity, load
from edge.schema import ConfigError, Ms
from edge.sources import ads1115, sht3x
from edge.sources.i2c_bus import I2cBus
from edge.sources.transducer import is_between, value_at

ADDRESSES: Mapping[str, tuple[int, ...]] = {"ads1115": ads1115.ADDRESSES, "sht3x": sht3x.ADDRESSES}
"""The addresses that a chip's wiring may give it, by driver."""
_RAILS = (-0x8000, 0x7FFF)
_WORD_MAX = 0xFFFF


@dataclass(frozen=True, slots=True)
class ChipConfig:
    """A chip: its 7-bit address and, of a converter, the full scale of its input amplifier in mV."""

    address: int
    driver: Literal["ads1115", "sht3x"]
    full_scale_mv: int | None = None

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        allowed = ADDRESSES[self.driver]
        if self.address not in allowed:
            span = f"0x{allowed[0]:02X} to 0x{allowed[-1]:02X}"
            yield "address", f"{span} for an {self.driver.upper()}", hex(self.address)
        if self.full_scale_mv is None:
            return
        if self.driver != "ads1115":
            yield "full_scale_mv", "nothing: only a converter has a full scale", self.full_scale_mv
        elif self.full_scale_mv not in ads1115.FULL_SCALE_CODES:
            codes = ", ".join(map(str, ads1115.FULL_SCALE_CODES))
            yield "full_scale_mv", f"one of {codes}", self.full_scale_mv

    @property
    def range_mv(self) -> int:
        """The full scale of a converter: the widest where none is given."""
        return self.full_scale_mv or max(ads1115.FULL_SCALE_CODES)


@dataclass(frozen=True, slots=True)
class I2cAt:
    """A place on a chip: a converter's channel and the profile of what hangs there ("volts" for a loop), or a quantity
    of a sensor's own profile."""

    chip: int
    channel: int | None = None
    quantity: str | None = None
    profile: str = ""
    period: Ms = Ms(1000)

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if (self.channel is None) is (self.quantity is None):
            expected = "either channel (of a converter) or quantity (of a sensor)"
            yield "channel", expected, "neither" if self.channel is None else "both"
        if self.channel is not None and not 0 <= self.channel < ads1115.CHANNELS:
            yield "channel", f"0 to {ads1115.CHANNELS - 1}", self.channel
        if self.period < 100:
            yield "period", '"100ms" or more', f"{self.period}ms"
        if self.channel is not None:
            try:
                load(self.transducer, TransducerProfile)
            except ConfigError as error:
                yield "profile", "a transducer's profile without mistakes", "; ".join(error.lines)

    @property
    def transducer(self) -> str:
        """The name of the profile of what hangs on a converter's channel."""
        return self.profile or "volts"


class Place(NamedTuple):
    """What is read at a place: `read` blocks; it gives the scaled value or why there is none, or raises OSError from
    the bus and `BadAnswer`."""

    unit: str
    scale: int
    profile: str
    supervised: bool
    read: Callable[[I2cBus], int | Unknown]


def place_of(chip: ChipConfig, at: I2cAt) -> Place | str:
    """How `at` is read, or a sentence saying what is wrong with it."""
    return _channel(chip, at) if chip.driver == "ads1115" else _quantity(chip, at)


def _channel(chip: ChipConfig, at: I2cAt) -> Place | str:
    if (channel := at.channel) is None:
        return f"chip {chip.address:#04x} is an {chip.driver}: it has channels, and no quantities"
    profile = load(at.transducer, TransducerProfile)

    def read(bus: I2cBus) -> int | Unknown:
        return value_of(profile, ads1115.read_counts(bus, chip.address, channel, chip.range_mv), chip.range_mv)

    return Place(profile.unit, profile.scale, at.transducer, profile.supervised, read)


def _quantity(chip: ChipConfig, at: I2cAt) -> Place | str:
    if at.quantity is None:
        return f"chip {chip.address:#04x} is an {chip.driver}: it has quantities, and no channels"
    name = at.profile or chip.driver
    try:
        profile = load(name, ChipProfile)
    except ConfigError as error:
        return "; ".join(error.lines)
    quantity = profile.quantity.get(at.quantity)
    if quantity is None:
        return f'{name} has no quantity "{at.quantity}"; known: {", ".join(profile.quantity)}'

    def read(bus: I2cBus) -> int | Unknown:
        return value_of_word(quantity, sht3x.measure(bus, chip.address)[quantity.word])

    return Place(quantity.unit, quantity.scale, name, profile.supervised, read)


def value_of(profile: TransducerProfile, counts: int, full_scale_mv: int) -> int | Unknown:
    """The scaled value that `counts` of the converter stand for, or why they stand for none."""
    if counts in _RAILS:
        return Unknown.OUT_OF_RANGE
    return value_at(profile, counts * full_scale_mv / 32768)


def value_of_word(quantity: WordQuantity, word: int) -> int | Unknown:
    """The scaled value that a sensor's word stands for, or why it stands for none."""
    value = round(quantity.low + word / _WORD_MAX * (quantity.high - quantity.low))
    return value if is_between(quantity.plausible_low, value, quantity.plausible_high) else Unknown.OUT_OF_RANGE
