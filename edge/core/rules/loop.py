"""A supervised loop: its voltage tells short, alarm, normal and open apart.

With alarm resistors a short is a wiring fault; without them a closed contact *is* the short, so it is taken as fire. An
open loop after an alarm never clears the alarm: the fire may have burned the wire (PANEL.md, "Deciding").

A loop is two contacts read off one voltage, the alarm and the wiring fault, and both are debounced as contacts are: a
voltage that jumps between two bands still raises, because neither band has to hold without a break.
"""

from dataclasses import dataclass
from typing import NamedTuple

from edge.core.rules import contact
from edge.core.rules.contact import ContactRule, ContactState
from edge.core.values import Level


@dataclass(frozen=True, slots=True)
class LoopRule:
    """Upper edges of the bands in scaled volts; a band is left only `hysteresis` beyond its edge.

    A band counts after `after_ms`; the alarm level is left after `clear_after_ms` of the normal band.
    """

    short_below: int
    alarm_below: int
    normal_below: int
    hysteresis: int
    after_ms: int
    clear_after_ms: int
    alarm_resistors: bool = True


class LoopState(NamedTuple):
    """The band seen last (None before the first), the values within which it holds, and the two contacts."""

    level: Level
    due_ms: int | None
    band: Level | None
    edge_low: int
    edge_high: int
    alarm: ContactState
    fault: ContactState


_OUTSIDE = 1 << 40


def initial() -> LoopState:
    """Before the first observation: no band holds, so any value is a new one."""
    return LoopState(Level.NORMAL, None, None, _OUTSIDE, -_OUTSIDE, contact.initial(), contact.initial())


def step(rule: LoopRule, state: LoopState, value: int | None, now_ms: int) -> LoopState:
    """The state after `value` (scaled volts), or after mere time where it is None."""
    band, low, high = state.band, state.edge_low, state.edge_high
    if value is not None and not low <= value < high:
        band, low, high = _band(rule, value)
    elif state.due_ms is None:
        return state
    # A wire that breaks or shorts after the alarm keeps the alarm's contact closed.
    is_alarm = band is Level.ALARM or (band is Level.FAULT and state.level is Level.ALARM)
    alarm = contact.step(ContactRule(rule.after_ms, rule.clear_after_ms), state.alarm, is_alarm, now_ms)
    fault = contact.step(ContactRule(rule.after_ms, rule.after_ms), state.fault, band is Level.FAULT, now_ms)
    level = Level.ALARM if alarm.level is Level.ALARM else Level.NORMAL
    if level is Level.NORMAL and fault.level is Level.ALARM:
        level = Level.FAULT
    due_ms = min((due for due in (alarm.due_ms, fault.due_ms) if due is not None), default=None)
    return LoopState(level, due_ms, band, low, high, alarm, fault)


def _band(rule: LoopRule, value: int) -> tuple[Level, int, int]:
    """The band of a value, and the wider range within which it holds."""
    play = rule.hysteresis
    if value < rule.short_below:
        short = Level.FAULT if rule.alarm_resistors else Level.ALARM
        return short, -_OUTSIDE, rule.short_below + play
    if value < rule.alarm_below:
        return Level.ALARM, rule.short_below - play, rule.alarm_below + play
    if value < rule.normal_below:
        return Level.NORMAL, rule.alarm_below - play, rule.normal_below + play
    return Level.FAULT, rule.normal_below - play, _OUTSIDE
