"""A value against two limits: early warning and alarm, each with its delay, with hysteresis and a delay to clear."""

from dataclasses import dataclass
from typing import NamedTuple

from edge.core.values import Level


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """Limits are scaled integers as the readings are; None leaves a level out. `below` makes low values the bad ones.

    A limit is passed when the value has stood at or beyond it for `early_after_ms` or `alarm_after_ms`; a level is left
    when the value has been `hysteresis` inside its limit for `clear_after_ms`.
    """

    early: int | None
    alarm: int | None
    hysteresis: int
    early_after_ms: int
    alarm_after_ms: int
    clear_after_ms: int
    below: bool = False


class ThresholdState(NamedTuple):
    """Since when the value stands beyond each limit, and since when it has been good enough to leave the level."""

    level: Level
    due_ms: int | None
    early_since_ms: int | None
    alarm_since_ms: int | None
    calm_since_ms: int | None


def initial() -> ThresholdState:
    """Before the first observation."""
    return ThresholdState(Level.NORMAL, None, None, None, None)


def step(rule: ThresholdRule, state: ThresholdState, value: int | None, now_ms: int) -> ThresholdState:
    """The state after `value`, or after mere time where it is None."""
    early_since, alarm_since, calm_since = state.early_since_ms, state.alarm_since_ms, state.calm_since_ms
    if value is not None:
        size, early, alarm = value, rule.early, rule.alarm
        if rule.below:
            size, early, alarm = -value, _minus(early), _minus(alarm)
        beyond_early = early is not None and size >= early
        beyond_alarm = alarm is not None and size >= alarm
        if not beyond_early and not beyond_alarm and state.level is Level.NORMAL and early_since is alarm_since is None:
            return state
        early_since = _since(beyond_early, early_since, now_ms)
        alarm_since = _since(beyond_alarm, alarm_since, now_ms)
        limit = alarm if state.level is Level.ALARM else early
        calm = state.level is not Level.NORMAL and limit is not None and size <= limit - rule.hysteresis
        calm_since = _since(calm, calm_since, now_ms)
    return _settled(rule, state, early_since, alarm_since, calm_since, now_ms)


def _settled(
    rule: ThresholdRule,
    state: ThresholdState,
    early_since: int | None,
    alarm_since: int | None,
    calm_since: int | None,
    now_ms: int,
) -> ThresholdState:
    level = state.level
    if level is not Level.ALARM and _over(alarm_since, rule.alarm_after_ms, now_ms):
        level, calm_since = Level.ALARM, None
    elif level is Level.NORMAL and _over(early_since, rule.early_after_ms, now_ms):
        level, calm_since = Level.EARLY, None
    elif level is not Level.NORMAL and _over(calm_since, rule.clear_after_ms, now_ms):
        still_early = level is Level.ALARM and early_since is not None
        level, calm_since = Level.EARLY if still_early else Level.NORMAL, None
    due = _due(rule, level, early_since, alarm_since, calm_since, now_ms)
    new = ThresholdState(level, due, early_since, alarm_since, calm_since)
    return state if new == state else new


def _due(
    rule: ThresholdRule,
    level: Level,
    early_since: int | None,
    alarm_since: int | None,
    calm_since: int | None,
    now_ms: int,
) -> int | None:
    waits = []
    if level is Level.NORMAL and early_since is not None:
        waits.append(early_since + rule.early_after_ms)
    if level is not Level.ALARM and alarm_since is not None:
        waits.append(alarm_since + rule.alarm_after_ms)
    if level is not Level.NORMAL and calm_since is not None:
        waits.append(calm_since + rule.clear_after_ms)
    later = [at for at in waits if at > now_ms]
    return min(later) if later else None


def _minus(limit: int | None) -> int | None:
    return None if limit is None else -limit


def _since(holds: bool, since_ms: int | None, now_ms: int) -> int | None:
    if not holds:
        return None
    return now_ms if since_ms is None else since_ms


def _over(since_ms: int | None, delay_ms: int, now_ms: int) -> bool:
    return since_ms is not None and now_ms - since_ms >= delay_ms
