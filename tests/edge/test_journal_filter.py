"""Readings by exception: what is kept, and that nothing moves by more than its deadband unseen."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.wire import MAX_INT
from edge.core.values import Reading, Unknown
from edge.journal.filter import ReadingFilter, deadband

HOUR_MS = 3_600_000


def kept(picker: ReadingFilter, value: int | None, mono_ms: int, unknown: Unknown | None = None) -> bool:
    return bool(picker.pick([Reading("leak-k", value, unknown)], mono_ms))


@pytest.mark.parametrize(
    ("first", "second", "is_kept"),
    [
        (100, 100, False),
        (100, 103, False),  # within the deadband of 3
        (100, 97, False),
        (100, 104, True),
        (100, 96, True),
        (100, None, True),  # lost
        (None, None, False),  # still lost
        (None, 100, True),  # found
        (0, 0, False),
        (None, 0, True),  # unknown is not zero
    ],
)
def test_exception(first: int | None, second: int | None, is_kept: bool):
    picker = ReadingFilter({"leak-k": 3}, 100 * HOUR_MS)
    for value, mono_ms, expected in ((first, 0, True), (second, 1, is_kept)):
        assert kept(picker, value, mono_ms, Unknown.TIMEOUT if value is None else None) is expected


def test_another_reason_is_kept():
    picker = ReadingFilter({}, 100 * HOUR_MS)
    assert kept(picker, None, 0, Unknown.TIMEOUT)
    assert not kept(picker, None, 1, Unknown.TIMEOUT)
    assert kept(picker, None, 2, Unknown.NO_LINK)


def test_a_slow_creep_is_kept_against_the_last_kept_value():
    picker = ReadingFilter({"leak-k": 3}, 100 * HOUR_MS)
    values = [value for value in range(20) if kept(picker, value, value)]
    assert values == [0, 4, 8, 12, 16]


def test_heartbeat():
    picker = ReadingFilter({}, 900_000)
    assert kept(picker, 5, 0)
    beats = [at for at in range(0, 4_000_000, 1_000) if kept(picker, 5, at)]
    assert len(beats) in (4, 5)  # the first one early, by the point's own jitter
    assert all(later - earlier == 900_000 for earlier, later in pairwise(beats))


def test_heartbeats_of_many_points_are_spread():
    picker = ReadingFilter({}, 900_000)
    points = [f"leak-{number}" for number in range(200)]
    picker.pick([Reading(point, 1) for point in points], 0)
    busiest = max(len(picker.pick([Reading(point, 1) for point in points], at)) for at in range(0, 900_000, 9_000))
    assert busiest <= 12  # of 200 points, in one of 100 slots


def test_a_number_too_big_for_the_wire_is_unknown():
    (sample,) = ReadingFilter({}).pick([Reading("leak-k", MAX_INT + 1)], 0)
    assert (sample.value, sample.unknown) == (None, "out_of_range")


@pytest.mark.parametrize(("alarm", "expected"), [(None, 1), (0, 1), (50, 1), (300, 3), (-20_000, 200)])
def test_default_deadband(alarm: int | None, expected: int):
    assert deadband(alarm) == expected


@given(st.lists(st.integers(-1000, 1000), min_size=1), st.integers(0, 50))
def test_what_is_not_kept_is_near_what_was(values: list[int], band: int):
    picker = ReadingFilter({"leak-k": band}, 100 * HOUR_MS)
    last = None
    for at, value in enumerate(values):
        if kept(picker, value, at):
            last = value
        assert last is not None
        assert abs(value - last) <= band
