"""Grouped reads, and registers turned into values, from vectors and from arbitrary profiles."""

import math
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.values import Reading, Unknown
from edge.profiles import MeterProfile, Quantity, StatusBits, load
from edge.sources.modbus.plan import (
    BITS_MAX,
    REGISTERS_MAX,
    Block,
    Field,
    Wanted,
    decoder,
    fields_of,
    group,
    make_plan,
)  # fmt: skip

GROUPS = [
    ([(3, 0, 1), (3, 1, 1)], 0, [(3, 0, 2, False)]),
    ([(3, 0, 1), (3, 9, 1)], 8, [(3, 0, 10, True)]),
    ([(3, 0, 1), (3, 10, 1)], 8, [(3, 0, 1, False), (3, 10, 1, False)]),
    ([(3, 0, 1), (4, 1, 1)], 8, [(3, 0, 1, False), (4, 1, 1, False)]),
    ([(3, 5, 2), (3, 6, 2)], 0, [(3, 5, 3, False)]),
    ([(3, 0, 1), (3, 0, 1)], 8, [(3, 0, 1, False)]),
    ([(3, at, 1) for at in range(130)], 0, [(3, 0, 125, False), (3, 125, 5, False)]),
    ([(3, 120, 2), (3, 123, 2), (3, 0, 1)], 200, [(3, 0, 125, True)]),
]


@pytest.mark.parametrize(("wanted", "gap", "blocks"), GROUPS)
def test_registers_are_grouped(wanted: list[tuple[int, int, int]], gap: int, blocks: list[tuple[Any, ...]]) -> None:
    assert group([Wanted(*each) for each in wanted], gap) == tuple(Block(*each) for each in blocks)


@given(
    wanted=st.lists(st.tuples(st.sampled_from([1, 3, 4]), st.integers(0, 400), st.integers(1, 2)), max_size=40),
    gap=st.integers(0, 20),
)
def test_any_group_holds_all_that_is_wanted_within_the_limits(wanted: list[tuple[int, int, int]], gap: int) -> None:
    blocks = group([Wanted(*each) for each in wanted], gap)
    covered = {(b.function, at) for b in blocks for at in range(b.address, b.address + b.width)}
    assert {(function, at) for function, first, width in wanted for at in range(first, first + width)} <= covered
    assert all(b.width <= (BITS_MAX if b.function == 1 else REGISTERS_MAX) for b in blocks)
    # No block could have been joined to the one before it.
    for before, after in pairwise(blocks):
        is_far = after.address - (before.address + before.width) > gap
        is_long = after.address + after.width - before.address > REGISTERS_MAX
        assert before.function != after.function or is_far or is_long


def quantity(**change: Any) -> Quantity:
    return Quantity(**{"function": 3, "address": 0, "unit": "mA", **change})


VALUES = [
    (quantity(), [300], 300),
    (quantity(high=30_000), [30_001], Unknown.OUT_OF_RANGE),
    (quantity(type="i16", multiply=100), [0x00D7], 21_500),
    (quantity(type="i16", multiply=100), [0xFFFF], -100),
    (quantity(type="i16", multiply=100, low=-60_000), [0x8001], Unknown.OUT_OF_RANGE),
    (quantity(type="i16", broken=(0x7FFF,)), [0x7FFF], Unknown.SENSOR_BROKEN),
    (quantity(type="u32"), [0x0001, 0x0002], 65_538),
    (quantity(type="u32", word_order="low_first"), [0x0002, 0x0001], 65_538),
    (quantity(type="u32", broken=(0xFFFF_FFFF,)), [0xFFFF, 0xFFFF], Unknown.SENSOR_BROKEN),
    (quantity(type="i32"), [0xFFFF, 0xFFFE], -2),
    (quantity(type="float32", multiply=10), [0x41BC, 0x0000], 235),
    (quantity(type="float32", word_order="low_first"), [0x0000, 0x4396], 300),
    (quantity(type="float32"), [0x7FC0, 0x0000], Unknown.SENSOR_BROKEN),
    (quantity(type="float32"), [0x7F80, 0x0000], Unknown.SENSOR_BROKEN),
    (quantity(divide=10), [1235], 124),
    (quantity(mask=0b100), [0b110], 1),
    (quantity(mask=0b100), [0b011], 0),
    (quantity(function=2, type="bit"), [1], 1),
]


@pytest.mark.parametrize(("of", "words", "value"), VALUES)
def test_what_registers_mean(of: Quantity, words: Sequence[int], value: int | Unknown) -> None:
    decoded = decoder(of)(words)
    assert decoded == value and type(decoded) is type(value)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.sampled_from(["u32", "i32", "float32"]))
def test_two_word_types_read_as_the_protocol_orders_them(high: int, low: int, kind: Any) -> None:
    """Against struct: big-endian, and with the words exchanged."""
    (expected,) = struct.unpack({"u32": ">I", "i32": ">i", "float32": ">f"}[kind], struct.pack(">HH", high, low))
    value = decoder(quantity(type=kind))([high, low])
    assert value == decoder(quantity(type=kind, word_order="low_first"))([low, high])
    assert value == (Unknown.SENSOR_BROKEN if not math.isfinite(expected) else round(expected))


# --- a point that needs two blocks


def asj() -> Any:
    profile = load("acrel-asj", MeterProfile)
    return make_plan(fields_of(profile, [("leak", "residual_current"), ("own", "device_alarm")], {}), profile.gap)


ASJ = [
    ([[300], [0b000]], 300, 0),
    ([[300], [0b010]], 300, 1),
    ([[0], [0b100]], Unknown.SENSOR_BROKEN, 0),
    ([Unknown.TIMEOUT, [0b000]], Unknown.TIMEOUT, 0),
    ([[300], Unknown.REFUSED], Unknown.REFUSED, Unknown.REFUSED),
]


@pytest.mark.parametrize(("replies", "leak", "own"), ASJ)
def test_a_broken_transformer_is_told_by_its_status_register(
    replies: list[Any], leak: int | Unknown, own: int | Unknown
) -> None:
    """STANDARDS.md section 4: 0x001B bit 2. Without it a cut wire would read as 0 mA, which clears an alarm."""
    plan = asj()
    assert plan.blocks == (Block(3, 0x0000, 1), Block(3, 0x001B, 1))
    assert plan.slots[0] == (), "neither is complete before the status has come"
    readings = {slot.point: slot.reading(replies) for slot in plan.slots[1]}
    for point, value in (("leak", leak), ("own", own)):
        is_reason = isinstance(value, Unknown)
        assert readings[point] == (Reading(point, None, value) if is_reason else Reading(point, value))  # type: ignore[arg-type]


RHU = [
    ([[0b1, 0b1], [300]], 300),
    ([[0b1, 0b0], [0]], Unknown.SENSOR_BROKEN),
    ([[0b0, 0b1], [300]], Unknown.REFUSED),
    ([[0b0, 0b0], [300]], Unknown.REFUSED),
    ([Unknown.BAD_REPLY, [300]], Unknown.BAD_REPLY),
    ([[0b1, 0b1], Unknown.TIMEOUT], Unknown.TIMEOUT),
]


@pytest.mark.parametrize(("replies", "value"), RHU)
def test_a_value_counts_only_with_its_validity_word_and_its_transformer(replies: list[Any], value: Any) -> None:
    """STANDARDS.md section 4: each status word of the RHU has a validity word before it; 0x00CF: toroid connected."""
    profile = load("schneider-rhu", MeterProfile)
    plan = make_plan(fields_of(profile, [("leak", "residual_current")], {}), profile.gap)
    assert plan.blocks == (Block(3, 0x00CE, 2), Block(3, 0x0190, 1))
    reading = plan.slots[1][0].reading(replies)
    assert reading == (Reading("leak", None, value) if isinstance(value, Unknown) else Reading("leak", value))


def test_quantities_that_this_unit_has_elsewhere_are_read_there() -> None:
    profile = load("lx47le-125", MeterProfile)
    plan = make_plan(fields_of(profile, [("v", "voltage"), ("leak", "residual_current")], {"voltage": 7}), 8)
    assert plan.blocks == (Block(4, 5, 3, True),)
    assert {slot.point: slot.reading([[320, 0, 231]]).value for slot in plan.slots[0]} == {"v": 231, "leak": 320}


def test_a_status_register_and_its_quantity_may_share_a_block() -> None:
    near = Quantity(3, 0, "mA", broken_when=StatusBits(3, 1, 1))
    plan = make_plan([Field("p", near, 0)], 8)
    assert plan.blocks == (Block(3, 0, 2),)
    assert plan.slots[0][0].reading([[5, 0]]) == Reading("p", 5)
    assert plan.slots[0][0].reading([[5, 1]]) == Reading("p", None, Unknown.SENSOR_BROKEN)
