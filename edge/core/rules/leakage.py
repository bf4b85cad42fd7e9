"""A residual current: two limits, what is usual at this hour, growth over days, and a transformer that reads nothing.

The limits are a threshold's (`threshold.py`). On top of them:

    unusual  above what this hour of the day has been used to. The usual values are learned from the home's own record
             and handed in; they only ever lower the early limit, so a record of bad days loosens nothing. While no
             clock can be trusted, the strictest hour holds.                                                  early
    growing  the daily medians surely grow, by `growth` at the least while they were watched, and will likely be at
             the alarm's limit within `growth_within_days`                                                    early
    no_current  exactly 0 for `zero_after_ms` on a circuit that carries load: a transformer with an open winding or
             without its conductors, for a circuit that is alive leaks a little                                fault

An alarm goes before them all, an early warning before a fault.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from edge.core.rules import daily as days
from edge.core.rules import threshold
from edge.core.rules.daily import NOTHING, Daily, Trend
from edge.core.rules.threshold import ThresholdRule, ThresholdState
from edge.core.values import Level

UNUSUAL, GROWING, NO_CURRENT = "unusual", "growing", "no_current"
HOURS = 24
_LOAD_MS = 5 * 60_000
"""A load that was read longer ago is not known any more, and a circuit that may be off may well read 0."""


@dataclass(frozen=True, slots=True)
class LeakageRule:
    """`limits` judge the current. `zero_after_ms` None: 0 is a value like any other.

    A circuit carries load always (`is_loaded`), or while the point `beside` reads `load_from` or more. `growth` None:
    growth is not looked at. `day_ms` is a day; demonstrations make it shorter.
    """

    limits: ThresholdRule
    zero_after_ms: int | None = None
    is_loaded: bool = False
    beside: str = ""
    load_from: int = 1
    growth: int | None = None
    growth_within_days: int = 14
    day_ms: int = 86_400_000


class LeakageState(NamedTuple):
    """`limits` are those of this hour (None: the rule's own), `inner` where the current stands against them; `usual`
    the learned limits of the day's hours; `is_below_own` whether the last reading was below the rule's own early limit;
    `load_ms` when load was last seen."""

    level: Level
    due_ms: int | None
    word: str
    inner: ThresholdState
    limits: ThresholdRule | None
    hour: int | None
    usual: tuple[int, ...]
    is_below_own: bool
    zero_since_ms: int | None
    load_ms: int | None
    daily: Daily
    trend: Trend | None


def initial() -> LeakageState:
    """Before the first observation."""
    return LeakageState(Level.NORMAL, None, "", threshold.initial(), None, None, (), False, None, None, NOTHING, None)


def at_hour(rule: LeakageRule, state: LeakageState, hour: int | None) -> LeakageState:
    """In this hour of the day; None while no clock can be trusted."""
    return _attuned(rule, state._replace(hour=hour))


def learned(rule: LeakageRule, state: LeakageState, usual: tuple[int, ...]) -> LeakageState:
    """With what is usual in each hour of the day, as a limit; anything but 24 of them is not believed."""
    return _attuned(rule, state._replace(usual=usual if len(usual) == HOURS else ()))


def _attuned(rule: LeakageRule, state: LeakageState) -> LeakageState:
    if not state.usual:
        return state._replace(limits=None)
    usual = min(state.usual) if state.hour is None else state.usual[state.hour % HOURS]
    early = usual if rule.limits.early is None else min(usual, rule.limits.early)
    if rule.limits.alarm is not None:
        early = min(early, rule.limits.alarm)
    return state._replace(limits=replace(rule.limits, early=early))


def beside(rule: LeakageRule, state: LeakageState, value: int, now_ms: int) -> LeakageState:
    """With the load that was read on the same circuit."""
    return state._replace(load_ms=now_ms if value >= rule.load_from else None)


def step(rule: LeakageRule, state: LeakageState, value: int | None, now_ms: int) -> LeakageState:
    """The state after `value` (scaled milliamperes), or after mere time where it is None."""
    inner = threshold.step(state.limits or rule.limits, state.inner, value, now_ms)
    if value is None:
        if inner is state.inner and (state.due_ms is None or now_ms < state.due_ms):
            return state
        return _judged(rule, state._replace(inner=inner), now_ms)
    daily = state.daily
    is_rising = inner.early_since_ms is not None and inner.level is Level.NORMAL
    is_sample = rule.growth is not None and now_ms >= daily.next_ms
    if value and inner is state.inner and state.zero_since_ms is None and not is_rising and not is_sample:
        return state
    trend, zero_since_ms = state.trend, _zero_since(rule, state, value, now_ms)
    if rule.growth is not None:
        daily = days.take(daily, value, now_ms, rule.day_ms)
        if daily.medians is not state.daily.medians:
            trend = days.trend(daily.medians)
    early = rule.limits.early
    made = state._replace(
        inner=inner,
        is_below_own=early is None or value < early,
        daily=daily,
        trend=trend,
        zero_since_ms=zero_since_ms,
    )
    return _judged(rule, made, now_ms)


def _zero_since(rule: LeakageRule, state: LeakageState, value: int, now_ms: int) -> int | None:
    if value or rule.zero_after_ms is None:
        return None
    is_loaded = rule.is_loaded or (state.load_ms is not None and now_ms - state.load_ms <= _LOAD_MS)
    if not is_loaded and state.word != NO_CURRENT:
        return None
    return now_ms if state.zero_since_ms is None else state.zero_since_ms


def _judged(rule: LeakageRule, state: LeakageState, now_ms: int) -> LeakageState:
    inner, due_ms = state.inner, state.inner.due_ms
    level, word = inner.level, ""
    if level is Level.EARLY:
        word = _early_word(state)
    elif level is Level.NORMAL and _is_growing(rule, state, now_ms):
        level, word = Level.EARLY, GROWING
    if state.zero_since_ms is not None and rule.zero_after_ms is not None:
        zero_due_ms = state.zero_since_ms + rule.zero_after_ms
        if now_ms < zero_due_ms:
            due_ms = zero_due_ms if due_ms is None else min(due_ms, zero_due_ms)
        elif level is Level.NORMAL:
            level, word = Level.FAULT, NO_CURRENT
    made = state._replace(level=level, due_ms=due_ms, word=word)
    return state if made == state else made


def _early_word(state: LeakageState) -> str:
    """Whether only this hour's limit was passed. It is said once: a current about the other limit is no new warning."""
    if state.level is Level.EARLY and state.word != GROWING:
        return state.word
    return UNUSUAL if state.limits is not None and state.is_below_own else ""


def _is_growing(rule: LeakageRule, state: LeakageState, now_ms: int) -> bool:
    trend, medians = state.trend, state.daily.medians
    if rule.growth is None or trend is None or not trend.is_rising or rule.limits.alarm is None:
        return False
    if trend.moves_in(medians[-1][0] - medians[0][0]) < rule.growth:
        return False
    likely_ms, _, _ = trend.reaches(rule.limits.alarm)
    return likely_ms is not None and likely_ms - now_ms <= rule.growth_within_days * rule.day_ms


def says(rule: LeakageRule, state: LeakageState, now_ms: int) -> dict[str, Any]:
    """For people: the early limit of this hour, the day's median, and in how many days the alarm's limit will likely be
    reached, at the earliest and at the latest (null: not in sight)."""
    limits = state.limits or rule.limits
    told: dict[str, Any] = {
        "early": limits.early,
        "median": days.median(state.daily, now_ms, rule.day_ms),
        "days_watched": len(state.daily.medians),
        "alarms_days": None,
        "alarms_days_earliest": None,
        "alarms_days_latest": None,
    }
    if state.trend is None or not state.trend.is_rising or limits.alarm is None:
        return told
    at = state.trend.reaches(limits.alarm)
    likely, earliest, latest = (None if item is None else max(0, (item - now_ms) // rule.day_ms) for item in at)
    return told | {"alarms_days": likely, "alarms_days_earliest": earliest, "alarms_days_latest": latest}


def remember(state: LeakageState, now_ms: int) -> list[Any]:
    """What is worth keeping across a restart: the days."""
    return days.remember(state.daily, now_ms)


def recall(saved: object, now_ms: int, off_ms: int) -> LeakageState:
    """A state before its first observation that knows its days. Raises ValueError where they cannot be read."""
    daily = days.recall(saved, now_ms, off_ms)
    return initial()._replace(daily=daily, trend=days.trend(daily.medians))
