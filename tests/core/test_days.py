"""Pressure and days: the gas law, what a season may not raise, what a leak must, and that a forecast is right."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.rules import daily, pressure
from edge.core.rules.pressure import PressureRule, PressureState, at_20
from edge.core.values import Level
from tests.core.courses import BOUND

DAY = 86_400_000
HOUR = 3_600_000
RULE = PressureRule(beside="room")


def gauge(charge: int, celsius: float) -> int:
    """What a gauge reads, in kPa, of a bottle with `charge` kPa at 20 °C."""
    return round((charge + 101.3) * (celsius + 273.15) / 293.15 - 101.3)


@pytest.mark.parametrize(
    ("celsius", "reads"),
    [(-20, 1022), (-10, 1067), (0, 1111), (10, 1156), (20, 1200), (30, 1244), (40, 1289), (55, 1355)],
)
def test_a_bottle_charged_to_1200_kpa_reads_by_the_gas_law_and_is_referred_back(celsius: int, reads: int) -> None:
    assert gauge(1200, celsius) == reads
    assert abs(at_20(reads, celsius * 1000) - 1200) <= 1


@BOUND
@given(st.integers(-50, 1900), st.integers(-30_000, 60_000))
def test_the_integers_are_the_formula_to_half_a_kilopascal(reads: int, temperature_mc: int) -> None:
    exact = (reads + 101.3) * 293.15 / (temperature_mc / 1000 + 273.15) - 101.3
    assert abs(at_20(reads, temperature_mc) - exact) <= 0.5 + 1e-9


@BOUND
@given(st.integers(-50, 1900))
def test_at_20_degrees_a_gauge_is_what_it_reads(reads: int) -> None:
    assert at_20(reads, 20_000) == reads


def watched(charges: list[float], temperatures: list[float], noise: float = 0, seed: int = 1) -> list[PressureState]:
    """The states of a bottle's days, read every hour, each day with its charge (kPa at 20 °C) and its mean temperature;
    the room swings by 4 °C a day."""
    chance, state, states = random.Random(seed), pressure.initial(), []
    for day, (charge, mean) in enumerate(zip(charges, temperatures, strict=True)):
        for hour in range(24):
            now_ms = day * DAY + hour * HOUR
            celsius = mean + (4 if 8 <= hour < 20 else 0)
            state = pressure.beside(RULE, state, round(celsius * 1000), now_ms)
            reads = gauge(round(charge), celsius) + round(chance.gauss(0, noise))
            state = pressure.step(RULE, state, reads, now_ms)
        states.append(state)
    return states


@settings(max_examples=6, deadline=None)
@given(st.floats(-10, 30), st.floats(-0.6, 0.6), st.floats(0, 2), st.integers(0, 99))
def test_no_season_makes_a_tight_bottle_leak(start: float, per_day: float, noise: float, seed: int) -> None:
    means = [max(-15.0, min(45.0, start + per_day * day)) for day in range(60)]
    states = watched([1200.0] * 60, means, noise, seed)
    assert {state.level for state in states} == {Level.NORMAL}


@pytest.mark.parametrize(("per_day", "seed"), [(1, 0), (2, 1), (5, 2), (15, 3)])
def test_a_leak_is_told_before_the_bottle_is_low_and_the_forecast_holds_the_day(per_day: float, seed: int) -> None:
    days = round(200 / per_day) + 1
    charges = [1200 - per_day * day for day in range(days)]
    states = watched(charges, [15 + 10 * (day % 20) / 20 for day in range(days)], noise=2, seed=seed)
    first = next(day for day, state in enumerate(states) if state.level is Level.EARLY)
    assert states[first].word == "leaking" and charges[first] > 1000
    # Half of the way into its leak: by then the forecast has to know.
    middle = max(first, days // 2)
    said = pressure.says(RULE, states[middle], middle * DAY + 23 * HOUR)
    truth = (charges[middle] - 1000) / per_day
    assert said["leaves_days_earliest"] - 2 <= truth <= (said["leaves_days_latest"] or 10**6) + 2
    assert abs(said["leaves_days"] - truth) <= max(3, truth / 4)


def test_a_forecast_is_the_less_certain_the_less_has_been_seen() -> None:
    charges = [1200 - 2.0 * day for day in range(60)]
    states = watched(charges, [20.0] * 60, noise=2)
    spans = []
    for day in (15, 30, 59):
        said = pressure.says(RULE, states[day], day * DAY)
        spans.append(said["leaves_days_latest"] - said["leaves_days_earliest"])
    assert spans == sorted(spans, reverse=True)


def test_without_a_temperature_it_says_so_and_forecasts_nothing() -> None:
    state = pressure.initial()
    for hour in range(30 * 24):
        state = pressure.step(RULE, state, 1200 - hour // 12, hour * HOUR)
    said = pressure.says(RULE, state, 30 * DAY)
    assert (said["at_20"], said["leaves_days"], said["days_watched"]) == (None, None, 0)
    assert said["median"] is not None, "the gauge as it reads is still judged"


samples = st.lists(st.tuples(st.integers(0, 3 * HOUR), st.integers(-100, 2000), st.booleans()), max_size=120)


def run(course: list[tuple[int, int, bool]]) -> tuple[daily.Daily, int]:
    days, now_ms = daily.NOTHING, 0
    for pause_ms, value, is_sound in course:
        now_ms += pause_ms
        days = daily.take(days, value, now_ms, DAY, is_sound)
    return days, now_ms


@BOUND
@given(samples, st.integers(0, 10**12), st.integers(0, 10**9))
def test_days_survive_a_restart_at_another_time_of_another_boot(
    course: list[tuple[int, int, bool]], booted_ms: int, off_ms: int
) -> None:
    days, now_ms = run(course)
    again = daily.recall(json.loads(json.dumps(daily.remember(days, now_ms))), booted_ms, off_ms)
    assert daily.remember(again, booted_ms - off_ms) == daily.remember(days, now_ms)


@BOUND
@given(samples)
def test_a_median_needs_a_day_and_lies_among_what_was_seen(course: list[tuple[int, int, bool]]) -> None:
    days, now_ms = run(course)
    middle = daily.median(days, now_ms, DAY)
    assert len(days.samples) <= daily.SAMPLES and len(days.medians) <= daily.KEPT_DAYS
    if now_ms < DAY:
        assert middle is None
    if middle is not None:
        values = [value for _, value, _ in days.samples]
        assert min(values) <= middle <= max(values)


@BOUND
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda x: st.lists(x, max_size=5)))
def test_days_that_cannot_be_read_are_said_to_be_so(saved: object) -> None:
    try:
        daily.recall(saved, 10**9)
    except ValueError:
        return
    assert saved == [] or isinstance(saved, list)


@BOUND
@given(st.lists(st.integers(0, 2000), min_size=7, max_size=60))
def test_a_trend_is_the_least_squares_line(sizes: list[int]) -> None:
    found = daily.trend(tuple((day * DAY, size) for day, size in enumerate(sizes)))
    assert found is not None
    count, middle = len(sizes), (len(sizes) - 1) / 2
    mean = sum(sizes) / count
    slope = sum((day - middle) * (size - mean) for day, size in enumerate(sizes)) / sum(
        (day - middle) ** 2 for day in range(count)
    )
    assert abs(found.along / found.across * DAY - slope) < 1e-6 * max(1, abs(slope))
