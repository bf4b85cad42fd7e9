"""Which requests read a unit's points, and what the replies mean. Pure.

Neighbouring registers are read together: a request costs 16 characters and two silences on the wire, a register two
characters. The reading of a point is made as soon as the last block that it needs has come.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge.core.values import Reading, Unknown
from edge.profiles import READ_BITS, MeterProfile, Quantity, StatusBits

REGISTERS_MAX = 125
BITS_MAX = 2000

Decoded = int | Unknown


class Block(NamedTuple):
    """One request: `width` registers (or bits) from `address`. `has_holes` when some of them nobody asked for."""

    function: int
    address: int
    width: int
    has_holes: bool = False


class Wanted(NamedTuple):
    """Registers that a point needs."""

    function: int
    address: int
    width: int


class Field(NamedTuple):
    """A point on a unit: its quantity, and the address where this unit has it."""

    point: str
    quantity: Quantity
    address: int


class Check(NamedTuple):
    """A status word among the replies, and the bits whose being set (or, where not `is_if_set`, clear) is `reason` for
    there being no value."""

    block: int
    offset: int
    mask: int
    is_if_set: bool
    reason: Unknown

    def failure(self, replies: Sequence[Sequence[int] | Unknown]) -> Unknown | None:
        """Why there is no value, or None."""
        words = replies[self.block]
        if isinstance(words, Unknown):
            return words
        return self.reason if bool(words[self.offset] & self.mask) is self.is_if_set else None


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a point's raw registers, and the status words that it depends on, stand among the replies."""

    point: str
    decode: Callable[[Sequence[int]], Decoded]
    block: int
    start: int
    end: int
    checks: tuple[Check, ...]

    @property
    def last_block(self) -> int:
        """The block with which the reading is complete."""
        return max(self.block, *(check.block for check in self.checks), 0)

    def reading(self, replies: Sequence[Sequence[int] | Unknown]) -> Reading:
        """The reading out of the replies, one for each block, each the registers or why there are none."""
        raw = replies[self.block]
        if isinstance(raw, Unknown):
            return Reading(self.point, None, raw)
        for check in self.checks:
            reason = check.failure(replies)
            if reason is not None:
                return Reading(self.point, None, reason)
        value = self.decode(raw[self.start : self.end])
        return Reading(self.point, None, value) if isinstance(value, Unknown) else Reading(self.point, value)


class Plan(NamedTuple):
    """The blocks of a unit in the order of asking, and for each the slots that are complete once it has come."""

    blocks: tuple[Block, ...]
    slots: tuple[tuple[Slot, ...], ...]

    @property
    def points(self) -> tuple[str, ...]:
        """All points of the unit."""
        return tuple(slot.point for slots in self.slots for slot in slots)


def fields_of(profile: MeterProfile, points: Iterable[tuple[str, str]], moved: Mapping[str, int]) -> tuple[Field, ...]:
    """Fields of (point, quantity) pairs; `moved` gives the addresses of quantities that this unit has elsewhere."""
    return tuple(
        Field(point, profile.quantity[name], moved.get(name, profile.quantity[name].address)) for point, name in points
    )


def make_plan(fields: Sequence[Field], gap: int) -> Plan:
    """Group the fields' registers into blocks, bridging at most `gap` registers that nobody asked for."""
    blocks = group((wanted for field in fields for wanted in _wanted(field)), gap)
    slots: list[list[Slot]] = [[] for _ in blocks]
    for field in fields:
        slot = _slot(field, blocks)
        slots[slot.last_block].append(slot)
    return Plan(blocks, tuple(tuple(of_block) for of_block in slots))


def group(wanted: Iterable[Wanted], gap: int) -> tuple[Block, ...]:
    """The fewest blocks in ascending order that hold all wanted registers within the protocol's limits."""
    blocks: list[Block] = []
    for want in sorted(set(wanted)):
        joined = _join(blocks[-1], want, gap) if blocks else None
        if joined is None:
            blocks.append(Block(want.function, want.address, want.width))
        else:
            blocks[-1] = joined
    return tuple(blocks)


def _join(block: Block, want: Wanted, gap: int) -> Block | None:
    end = block.address + block.width
    new_end = max(end, want.address + want.width)
    limit = BITS_MAX if block.function in READ_BITS else REGISTERS_MAX
    if want.function != block.function or want.address - end > gap or new_end - block.address > limit:
        return None
    return block._replace(width=new_end - block.address, has_holes=block.has_holes or want.address > end)


def _wanted(field: Field) -> Iterable[Wanted]:
    yield Wanted(field.quantity.function, field.address, field.quantity.width)
    for status in (field.quantity.valid_when, field.quantity.broken_when):
        if status is not None:
            yield Wanted(status.function, status.address, 1)


def _slot(field: Field, blocks: Sequence[Block]) -> Slot:
    quantity = field.quantity
    index = _index(blocks, quantity.function, field.address)
    start = field.address - blocks[index].address
    return Slot(field.point, decoder(quantity), index, start, start + quantity.width, tuple(_checks(quantity, blocks)))


def _checks(quantity: Quantity, blocks: Sequence[Block]) -> Iterable[Check]:
    """Validity first: a status that is not valid says nothing about the sensor."""
    if (valid := quantity.valid_when) is not None:
        yield _check(valid, blocks, valid.clear, Unknown.REFUSED)
    if (broken := quantity.broken_when) is not None:
        yield _check(broken, blocks, not broken.clear, Unknown.SENSOR_BROKEN)


def _check(bits: StatusBits, blocks: Sequence[Block], is_if_set: bool, reason: Unknown) -> Check:
    index = _index(blocks, bits.function, bits.address)
    return Check(index, bits.address - blocks[index].address, bits.mask, is_if_set, reason)


def _index(blocks: Sequence[Block], function: int, address: int) -> int:
    return next(
        index
        for index, block in enumerate(blocks)
        if block.function == function and block.address <= address < block.address + block.width
    )


def decoder(quantity: Quantity) -> Callable[[Sequence[int]], Decoded]:
    """A function from the quantity's raw registers to its scaled value, or to the reason why they mean none."""
    raw_of = _RAW[quantity.type]
    low = -math.inf if quantity.low is None else quantity.low
    high = math.inf if quantity.high is None else quantity.high
    multiply, divide, mask = quantity.multiply, quantity.divide, quantity.mask
    swapped, broken = quantity.word_order == "low_first", frozenset(quantity.broken)

    def decode(words: Sequence[int]) -> Decoded:
        if broken and _unsigned(words, swapped) in broken:
            return Unknown.SENSOR_BROKEN
        if mask is not None:
            return int(bool(_unsigned(words, swapped) & mask))
        raw = raw_of(words[::-1] if swapped else words)
        if not math.isfinite(raw):
            return Unknown.SENSOR_BROKEN
        value = round(raw * multiply / divide)
        return value if low <= value <= high else Unknown.OUT_OF_RANGE

    return decode


def _unsigned(words: Sequence[int], swapped: bool) -> int:
    if len(words) == 1:
        return words[0]
    first, second = (words[1], words[0]) if swapped else (words[0], words[1])
    return first << 16 | second


def _i16(words: Sequence[int]) -> int:
    return words[0] - 0x10000 if words[0] & 0x8000 else words[0]


def _u32(words: Sequence[int]) -> int:
    return words[0] << 16 | words[1]


def _i32(words: Sequence[int]) -> int:
    raw = _u32(words)
    return raw - 0x1_0000_0000 if raw & 0x8000_0000 else raw


def _float32(words: Sequence[int]) -> float:
    value: float = struct.unpack(">f", struct.pack(">HH", words[0], words[1]))[0]
    return value


def _first(words: Sequence[int]) -> int:
    return int(words[0])


_RAW: dict[str, Callable[[Sequence[int]], float]] = {
    "bit": _first,
    "u16": _first,
    "i16": _i16,
    "u32": _u32,
    "i32": _i32,
    "float32": _float32,
}
