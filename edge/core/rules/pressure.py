"""An extinguisher's pressure: is it charged, was it taken away, does it leak, and when will it leave the green band.

The gauge breathes with its room: 1.2 MPa at 20 °C reads 1.02 at -20 and 1.36 at 55, so every reading is first referred
to 20 °C by the gas law of a closed bottle (gauge pressures, hence the atmosphere on both sides). The temperature is
that of another point, named in the configuration. Where it is not known, or cannot be the bottle's own, nothing is made
up: the gauge is judged as it reads, as its dial is, `says` tells so, and such a day has no part in the trend, because
an autumn would look like a leak.

    removed  about zero within moments of being charged: taken away, or discharged          alarm after `empty_after`
    empty    about zero, and nobody saw it go                                               alarm after `empty_after`
    low      the day's median is below the green band                                       alarm
    high     the day's median is above it                                                   alarm
    leaking  the daily medians surely fall by more than `leak_per_year`, or surely fall     early
             and will likely be below the band within `warn_within`

Only readings clear. A bottle that comes back charged and is not the one that was there begins a history of its own.
Pressures are kPa, temperatures m°C.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from edge.core.rules import daily as days
from edge.core.rules.daily import NOTHING, Daily, Trend
from edge.core.values import Level, Unknown

REMOVED, EMPTY, LOW, HIGH, LEAKING = "removed", "empty", "low", "high", "leaking"
_GONE = (REMOVED, EMPTY)
_ATMOSPHERE = 1013
"""101.3 kPa in tenths: so that one decimal place of it is kept."""
_REFERENCE_MK, _ZERO_MK = 293_150, 273_150
_COLDEST_MC, _WARMEST_MC = -30_000, 60_000
"""Outside, a temperature is not that of a bottle in a home: the ceiling above it is on fire, or the probe is broken."""
_TEMPERATURE_MS = 15 * 60_000
"""A bottle follows its room slower than this; an older temperature is none."""
YEAR_DAYS = 365


@dataclass(frozen=True, slots=True)
class PressureRule:
    """`low` to `high` is the green band. `day_ms` is a day; demonstrations make it shorter.

    Below `empty_below` the bottle is as good as empty, from `full_from` on it holds a charge; between the two within
    `sudden_ms` it did not leak. A median returns into the band by `hysteresis`; a jump of `refill` is another charge,
    believed after `clear_after_ms`. Outside `lowest` to `highest` a reading is no pressure. `beside` is the point whose
    readings are the temperature, `beside_per_degree` their digits to one degree.
    """

    low: int = 1_000
    high: int = 1_400
    hysteresis: int = 30
    empty_below: int = 100
    full_from: int = 500
    sudden_ms: int = 120_000
    empty_after_ms: int = 10_000
    refill: int = 150
    clear_after_ms: int = 60_000
    day_ms: int = 86_400_000
    leak_per_year: int = 120
    warn_within_days: int = 30
    lowest: int = -50
    highest: int = 1_900
    beside: str = ""
    beside_per_degree: int = 1_000


class PressureState(NamedTuple):
    """`now_20` is the last reading at 20 °C, or as read where `is_assumed`. `full_ms` is when it last held a charge,
    `empty_since_ms` and `whole_since_ms` since when it does not, or does again; `is_sudden` how it went."""

    level: Level
    due_ms: int | None
    word: str
    temperature_mc: int | None
    temperature_ms: int
    now_20: int | None
    is_assumed: bool
    full_ms: int | None
    empty_since_ms: int | None
    is_sudden: bool
    whole_since_ms: int | None
    daily: Daily
    trend: Trend | None


def initial() -> PressureState:
    """Before the first observation."""
    return PressureState(Level.NORMAL, None, "", None, 0, None, True, None, None, False, None, NOTHING, None)


def refuses(rule: PressureRule, value: int) -> Unknown | None:
    """Why a reading is no pressure, where it is none."""
    return None if rule.lowest <= value <= rule.highest else Unknown.OUT_OF_RANGE


def beside(rule: PressureRule, state: PressureState, value: int, now_ms: int) -> PressureState:
    """With the temperature that was read beside the bottle."""
    temperature_mc = value * 1_000 // rule.beside_per_degree
    if not _COLDEST_MC <= temperature_mc <= _WARMEST_MC:
        return state._replace(temperature_mc=None)
    return state._replace(temperature_mc=temperature_mc, temperature_ms=now_ms)


def at_20(gauge: int, temperature_mc: int) -> int:
    """What a gauge would read at 20 °C that reads `gauge` at this temperature, rounded to the nearest kPa."""
    kelvin = temperature_mc + _ZERO_MK
    tenths = (10 * gauge + _ATMOSPHERE) * _REFERENCE_MK - _ATMOSPHERE * kelvin
    return (2 * tenths + 10 * kelvin) // (20 * kelvin)


def step(rule: PressureRule, state: PressureState, value: int | None, now_ms: int) -> PressureState:
    """The state after a gauge reading of `value` kPa, or after mere time where it is None."""
    if value is None:
        is_due = state.due_ms is not None and state.due_ms <= now_ms
        return _gone(rule, state, now_ms) if is_due else state
    known = state.temperature_mc is not None and now_ms - state.temperature_ms <= _TEMPERATURE_MS
    now_20 = at_20(value, state.temperature_mc) if known and state.temperature_mc is not None else value
    state = state._replace(now_20=now_20, is_assumed=not known)
    if value < rule.empty_below:
        if state.empty_since_ms is None:
            sudden = state.full_ms is not None and now_ms - state.full_ms <= rule.sudden_ms
            state = state._replace(empty_since_ms=now_ms, is_sudden=sudden, whole_since_ms=None)
        return _gone(rule, state, now_ms)
    full_ms = now_ms if value >= rule.full_from else state.full_ms
    state = state._replace(full_ms=full_ms, empty_since_ms=None, due_ms=None)
    return _charged(rule, state, value, now_ms)


def _gone(rule: PressureRule, state: PressureState, now_ms: int) -> PressureState:
    """It reads about zero: an alarm by itself after a moment, and no sample, or its return would look like a leak."""
    if state.empty_since_ms is None or state.word in _GONE:
        return state._replace(due_ms=None)
    due_ms = state.empty_since_ms + rule.empty_after_ms
    if now_ms < due_ms:
        return state._replace(due_ms=due_ms)
    return state._replace(level=Level.ALARM, word=REMOVED if state.is_sudden else EMPTY, due_ms=None)


def _charged(rule: PressureRule, state: PressureState, value: int, now_ms: int) -> PressureState:
    now_20 = state.now_20 or 0
    middle = days.median(state.daily, now_ms, rule.day_ms)
    is_other = middle is not None and now_20 >= middle + rule.refill
    if state.word not in _GONE and not is_other:
        return _judged(rule, _sampled(rule, state._replace(whole_since_ms=None), now_ms), now_ms)
    if value < rule.full_from:
        return state._replace(whole_since_ms=None)
    since_ms = now_ms if state.whole_since_ms is None else state.whole_since_ms
    state = state._replace(whole_since_ms=since_ms)
    if now_ms - since_ms < rule.clear_after_ms:
        return state
    is_same = middle is not None and not is_other and middle - now_20 < rule.refill
    state = state._replace(whole_since_ms=None, word=LOW if state.word == LOW else "")
    if not is_same:
        state = state._replace(daily=NOTHING, trend=None)
    return _judged(rule, _sampled(rule, state, now_ms), now_ms)


def _sampled(rule: PressureRule, state: PressureState, now_ms: int) -> PressureState:
    assert state.now_20 is not None
    before = state.daily
    daily = days.take(before, state.now_20, now_ms, rule.day_ms, is_sound=not state.is_assumed)
    if daily.medians is before.medians:
        return state._replace(daily=daily)
    return state._replace(daily=daily, trend=days.trend(daily.medians))


def _judged(rule: PressureRule, state: PressureState, now_ms: int) -> PressureState:
    """Against the band, by the day's median; a fresh history says nothing yet, and takes nothing back either."""
    size = days.median(state.daily, now_ms, rule.day_ms)
    if size is None and state.word in (LOW, HIGH):
        size = state.now_20
    if size is not None and size < rule.low + (rule.hysteresis if state.word == LOW else 0):
        return state._replace(level=Level.ALARM, word=LOW)
    if size is not None and size > rule.high - (rule.hysteresis if state.word == HIGH else 0):
        return state._replace(level=Level.ALARM, word=HIGH)
    if _is_leaking(rule, state, now_ms):
        return state._replace(level=Level.EARLY, word=LEAKING)
    return state._replace(level=Level.NORMAL, word="")


def _is_leaking(rule: PressureRule, state: PressureState, now_ms: int) -> bool:
    trend = state.trend
    if trend is None or not trend.is_falling:
        return False
    if -trend.surely_moves_in(YEAR_DAYS * rule.day_ms) > rule.leak_per_year:
        return True
    likely_ms, _, _ = trend.reaches(rule.low)
    return likely_ms is not None and likely_ms - now_ms <= rule.warn_within_days * rule.day_ms


def says(rule: PressureRule, state: PressureState, now_ms: int) -> dict[str, Any]:
    """For people: the pressure at 20 °C (null where the temperature is not known), the day's median, and in how many
    days it will likely leave the green band, at the earliest and at the latest (null: not in sight)."""
    trend = state.trend
    told: dict[str, Any] = {
        "at_20": None if state.is_assumed else state.now_20,
        "median": days.median(state.daily, now_ms, rule.day_ms),
        "days_watched": len(state.daily.medians),
        "leaves_days": None,
        "leaves_days_earliest": None,
        "leaves_days_latest": None,
    }
    if trend is None or not (trend.is_falling or trend.is_rising):
        return told
    at = trend.reaches(rule.low if trend.is_falling else rule.high)
    likely, earliest, latest = (None if item is None else max(0, (item - now_ms) // rule.day_ms) for item in at)
    return told | {"leaves_days": likely, "leaves_days_earliest": earliest, "leaves_days_latest": latest}


def remember(state: PressureState, now_ms: int) -> list[Any]:
    """What is worth keeping across a restart: the days."""
    return days.remember(state.daily, now_ms)


def recall(saved: object, now_ms: int, off_ms: int) -> PressureState:
    """A state before its first observation that knows its days. Raises ValueError where they cannot be read."""
    daily = days.recall(saved, now_ms, off_ms)
    return initial()._replace(daily=daily, trend=days.trend(daily.medians))
