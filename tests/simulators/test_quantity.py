from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.quantity import NOISE_PERIOD_MS, Quantity


@pytest.mark.parametrize(
    ("now_ms", "expected"),
    [(1000, 100.0), (6000, 150.0), (11_000, 200.0), (60_000, 200.0)],
)
def test_a_ramp_is_a_straight_line_and_then_level(now_ms: int, expected: float) -> None:
    quantity = Quantity(100.0, noise=0.0, seed=1)
    quantity.move_to(200.0, over_ms=10_000, now_ms=1000)
    assert quantity.measured_at(now_ms) == expected


def test_a_new_ramp_starts_where_the_old_one_has_got_to() -> None:
    quantity = Quantity(0.0, noise=0.0, seed=1)
    quantity.move_to(100.0, over_ms=1000, now_ms=0)
    quantity.move_to(0.0, over_ms=1000, now_ms=500)
    assert quantity.true_at(500) == 50.0
    assert quantity.true_at(1000) == 25.0


def test_noise_has_the_size_that_it_claims_and_no_bias() -> None:
    quantity = Quantity(1000.0, noise=10.0, seed=7)
    seen = [quantity.measured_at(step * NOISE_PERIOD_MS) for step in range(4000)]
    assert statistics.fmean(seen) == pytest.approx(1000.0, abs=0.8)
    assert statistics.stdev(seen) == pytest.approx(10.0, rel=0.06)


def test_two_quantities_do_not_move_together() -> None:
    one, other = (Quantity(0.0, 1.0, seed) for seed in (1, 2))
    steps = range(0, 2000 * NOISE_PERIOD_MS, NOISE_PERIOD_MS)
    pairs = [(one.measured_at(at) - 0.5, other.measured_at(at) - 0.5) for at in steps]
    assert abs(statistics.correlation(*zip(*pairs, strict=True))) < 0.1


@given(st.lists(st.integers(0, 10**7), max_size=20), st.integers(0, 10**7))
def test_reading_never_changes_what_is_read(reads: list[int], now_ms: int) -> None:
    read, untouched = Quantity(5.0, 1.0, seed=3), Quantity(5.0, 1.0, seed=3)
    for at in reads:
        read.measured_at(at)
    assert read.measured_at(now_ms) == untouched.measured_at(now_ms)


def test_a_current_is_never_measured_below_zero() -> None:
    quantity = Quantity(0.5, noise=5.0, seed=3)
    assert min(quantity.measured_at(at * NOISE_PERIOD_MS) for at in range(500)) == 0.0
