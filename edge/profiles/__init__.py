"""Device profiles: what a meter's registers, a transducer's volts or a chip's words mean, as data.

A profile is a TOML file. Those shipped stand beside this module and are named by their file ("acrel-asj"); an
installer's own is named by its absolute path ("/etc/shouwang/my-meter.toml"). Every profile names the manual that its
figures are from.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from edge.schema import ConfigError, Mistakes, read_table

FOLDER = Path(__file__).parent
READ_BITS = (1, 2)
READ_REGISTERS = (3, 4)
# A chip's answer has two words: temperature and humidity.
CHIP_WORDS = (0, 1)
_WIDTHS = {"bit": 1, "u16": 1, "i16": 1, "u32": 2, "i32": 2, "float32": 2}

P = TypeVar("P", "MeterProfile", "TransducerProfile", "ChipProfile")


@dataclass(frozen=True, slots=True)
class StatusBits:
    """Bits of a register of their own that say what a value is worth. They hold while any of `mask` is set; with
    `clear` while all of them are clear.
    """

    function: int
    address: int
    mask: int
    clear: bool = False


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing a meter measures: where it stands, and how its registers become a scaled integer.

    Value = raw * `multiply` / `divide`, rounded; the physical value is value * 10**`scale` in `unit`. `low` and
    `high` bound the value that the device can mean; outside them the reading is out of range. `broken` lists raw
    values by which the device says that its sensor is broken. With `mask` the value is 1 where any of these bits is
    set, else 0. While `broken_when` holds, the sensor is broken; while `valid_when` does not, the device itself
    refuses to vouch for the value.
    """

    function: int
    address: int
    unit: str
    type: Literal["u16", "i16", "u32", "i32", "float32", "bit"] = "u16"
    word_order: Literal["high_first", "low_first"] = "high_first"
    multiply: int = 1
    divide: int = 1
    scale: int = 0
    low: int | None = None
    high: int | None = None
    broken: tuple[int, ...] = ()
    mask: int | None = None
    broken_when: StatusBits | None = None
    valid_when: StatusBits | None = None

    @property
    def width(self) -> int:
        """Registers (or bits) that the raw value takes."""
        return _WIDTHS[self.type]

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        allowed = READ_BITS if self.type == "bit" else READ_REGISTERS
        if self.function not in allowed:
            yield "function", f"one of {', '.join(map(str, allowed))} for {self.type}", self.function
        if not 0 <= self.address <= 0xFFFF:
            yield "address", "0 to 0xFFFF", self.address
        if self.divide < 1:
            yield "divide", "1 or more", self.divide
        for key, bits in (("broken_when", self.broken_when), ("valid_when", self.valid_when)):
            if bits is not None and bits.function not in READ_REGISTERS:
                yield f"{key}.function", "3 or 4", bits.function
            if bits is not None and not 0 < bits.mask <= 0xFFFF:
                yield f"{key}.mask", "bits of a 16-bit word", bits.mask


@dataclass(frozen=True, slots=True)
class Sign:
    """A register by which a probe knows the device, and `text` what it is: its word under `mask` is one of `one_of`, or
    lies in `low` … `high`, or with `unit_address` is the unit's own address.
    """

    text: str
    function: int
    address: int
    mask: int = 0xFFFF
    low: int = 0
    high: int = 0xFFFF
    one_of: tuple[int, ...] = ()
    unit_address: bool = False

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if self.function not in READ_REGISTERS:
            yield "function", "3 or 4", self.function
        if not 0 <= self.address <= 0xFFFF:
            yield "address", "0 to 0xFFFF", self.address


@dataclass(frozen=True, slots=True)
class MeterProfile:
    """A Modbus device. `coils` > 0 makes it a relay board, the only thing that is ever written.

    `gap` is how many registers that nobody asked for may be read along to save a request. `sign` is for probing alone.
    """

    title: str
    source: str
    kind: Literal["modbus"]
    supervised: bool = True
    gap: int = 8
    coils: int = 0
    sign: tuple[Sign, ...] = ()
    quantity: dict[str, Quantity] = field(default_factory=dict)

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if not self.quantity and not self.coils:
            yield "quantity", "at least one quantity, or coils", "none"
        if self.quantity and self.coils:
            yield "coils", "0 for a device that is read: a meter is never written", self.coils


@dataclass(frozen=True, slots=True)
class TransducerProfile:
    """A voltage that stands for a quantity: `low_mv` means the value `low`, `high_mv` means `high`, linear between.

    Outside `broken_below_mv` … `broken_above_mv` the wire or the sensor is broken; a value outside `plausible_low` …
    `plausible_high` is out of range. None: no such bound.
    """

    title: str
    source: str
    kind: Literal["transducer"]
    unit: str
    scale: int
    low_mv: int
    high_mv: int
    low: int
    high: int
    broken_below_mv: int | None = None
    broken_above_mv: int | None = None
    plausible_low: int | None = None
    plausible_high: int | None = None
    supervised: bool = True

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if self.high_mv <= self.low_mv:
            yield "high_mv", f"more than low_mv ({self.low_mv})", self.high_mv


@dataclass(frozen=True, slots=True)
class WordQuantity:
    """One 16-bit word of a chip's answer, counted from 0: 0 means the value `low`, 0xFFFF means `high`, linear between.
    A value outside `plausible_low` … `plausible_high` is out of range.
    """

    word: int
    unit: str
    scale: int
    low: int
    high: int
    plausible_low: int | None = None
    plausible_high: int | None = None

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if self.high <= self.low:
            yield "high", f"more than low ({self.low})", self.high
        if self.word not in CHIP_WORDS:
            yield "word", f"one of {', '.join(map(str, CHIP_WORDS))}", self.word


@dataclass(frozen=True, slots=True)
class ChipProfile:
    """A sensor with its own digital output on an I2C bus: what the words of its answer mean. `driver` names how it is
    asked.
    """

    title: str
    source: str
    kind: Literal["chip"]
    driver: Literal["sht3x"]
    supervised: bool = True
    quantity: dict[str, WordQuantity] = field(default_factory=dict)

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if not self.quantity:
            yield "quantity", "at least one quantity", "none"


@cache
def load(name: str, kind: type[P]) -> P:
    """The profile of that name as `kind` (MeterProfile, TransducerProfile or ChipProfile).

    ConfigError says what is wrong: with the name (and lists those shipped), with the file, or with its kind.
    """
    path = Path(name) if name.startswith("/") else FOLDER / f"{name}.toml"
    if not path.is_file() or (not name.startswith("/") and name not in shipped()):
        raise ConfigError([f'no device profile "{name}"; shipped: {", ".join(shipped())}; or an absolute path'])
    mistakes = Mistakes(path.name)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([f"{path.name}: {error}"]) from None
    profile = read_table(kind, table, "", mistakes)
    if profile is None or mistakes.lines:
        raise ConfigError(mistakes.lines)
    return profile


@cache
def shipped() -> tuple[str, ...]:
    """Names of the profiles that come with the gateway."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
