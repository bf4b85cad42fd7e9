"""Heat: early warning and alarm from one ceiling temperature, by how far it outruns the steepest harmless ramp.

Three quantities are carried from reading to reading, integers in 1/60,000 m°C, so that a rate in m°C per minute times
milliseconds is exact at every sampling period.

`reference`  what the room explains by itself. It follows the higher of the last two readings, upwards at most at
             `ramp_mc_per_min`, downwards at most at `settle_mc_per_min`. The **rise** is the reading minus the
             reference. Because the reference comes down slowly, a cold draught leaves it standing, and the recovery
             from it is no rise.
`trace`      the reading as far as its changes may count: it follows at most at `climb_cap_mc_per_min` either way and is
             dragged along, uncounted, where it trails by more than `climb_slack_mc`.
`climb`      how steadily it rises: the one-sided cumulative sum of what the trace moved beyond the harmless ramp. A
             gust or a spike, however high, counts for its few seconds only; a growing fire counts all the time.

    early    rise ≥ early_rise and climb ≥ early_climb              steadily warmer than the room explains
    alarm    reading ≥ static                                       heat alone, however slowly it came
             reading ≥ hot and rise ≥ hot_rise                      hot, and not by a harmless ramp
             reading ≥ hot and rise ≥ early_rise, early already     the same, told by the climb before
             rise ≥ alarm_rise                                      fast, however cold the room was
    normal   rise < clear_rise and reading < hot - hysteresis       for clear_after

Early and alarm have to hold in every reading for `confirm_ms`, so that no single sample raises anything, not even one
that a fast poll reads twice. Only readings decide: nothing is raised or cleared by time alone, so `due_ms` is always
None and a point that falls silent keeps its level.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple

from edge.core.values import Level

_UNIT = 60_000
"""Of `reference`, `trace` and `climb` in one m°C: the milliseconds of a minute."""


@dataclass(frozen=True, slots=True)
class HeatRule:
    """How one ceiling temperature is judged. Temperatures and differences in m°C (21.5 °C is 21500), rates in m°C/min.

    The defaults are for a bedroom, a corridor or a kitchen with a sensor under the ceiling that answers as fast as the
    air (a bare bead, a small thermistor), read every 0.5 to 5 s.
    """

    static_mc: int = 82_000
    """Alarm at this temperature however slowly it came. EN 54-5 class B answers between 69 and 85 °C; the harmless ramp
    with a tenth of margin, 5.5 °C/min over ten minutes from a room at 25 °C, ends at 80 °C."""
    hot_mc: int = 57_000
    """Alarm here where the ramp was not harmless. It is the usual fixed threshold (EN 54-5 class A1: 54 to 65 °C), so
    that no fire alarms later than it would there."""
    hot_rise_mc: int = 6_000
    """The rise that tells at `hot_mc` that the ramp was not harmless: more than draughts lift a bare bead."""
    alarm_rise_mc: int = 20_000
    """Alarm at this rise at any temperature. Draughts in a doorway swing a bare bead by 8 °C; a class A1R detector
    needs 10 °C at the least."""
    early_rise_mc: int = 1_800
    """Early warning from this rise on, if it climbs steadily as well."""
    early_climb_mc: int = 1_600
    """What a steady climb is: with the rates below at least 6.5 s of growth without a pause. A warm draught that lifts
    a bead by 5 °C mostly arrives in less and then stays."""
    ramp_mc_per_min: int = 6_000
    """The steepest harmless ramp. Heating, cooking and sun stay below 5 °C/min; the rest is margin."""
    climb_cap_mc_per_min: int = 18_000
    """The fastest change that counts in full. Upholstered furniture begins with 10 to 30 °C/min under the ceiling; air
    pushed about by doors and people changes by hundreds."""
    climb_slack_mc: int = 300
    """How far a change may be ahead of what has been counted and still be counted later: the noise of a sensor, and the
    steps of a coarse one or of one read more often than it renews its value."""
    settle_mc_per_min: int = 1_000
    """How fast the reference follows a room that cools: slower than an open door or window cools it, so that closing it
    is no fire."""
    confirm_ms: int = 1_500
    """How long early or alarm has to hold: more than one second, or a transmitter that renews its value each second
    could confirm a spike by being read twice; less than two, so that three readings a second apart are enough."""
    gap_ms: int = 15_000
    """A longer silence ends what was about to be confirmed and the climb; the rise is judged by what the harmless ramp
    could have done in all that time. Three polls of the slowest source."""
    clear_rise_mc: int = 1_000
    """Back to normal below this rise."""
    hysteresis_mc: int = 5_000
    """Back to normal only so far below `hot_mc`: a ceiling at 55 °C is no room to reset."""
    clear_after_ms: int = 60_000
    """How long it has to stay there; a fire that gasps for air cools for seconds, not for a minute."""
    presumed_room_mc: int = 40_000
    """The warmest room that is believed without having been watched. A ceiling first seen hotter is judged against
    this, so that a gateway that starts in the middle of a fire alarms."""

    def mistakes(self) -> Iterable[tuple[str, str, str]]:
        """What is wrong with these figures: (field, expected, got)."""
        for field in fields(self):
            figure = getattr(self, field.name)
            if figure <= 0:
                yield field.name, "more than 0", str(figure)
        for low, high in _ASCENDING:
            if getattr(self, low) >= getattr(self, high):
                yield low, f"less than {high} ({getattr(self, high)})", str(getattr(self, low))


_ASCENDING = (
    ("hot_mc", "static_mc"),
    ("presumed_room_mc", "hot_mc"),
    ("hysteresis_mc", "hot_mc"),
    ("clear_rise_mc", "early_rise_mc"),
    ("early_rise_mc", "hot_rise_mc"),
    ("hot_rise_mc", "alarm_rise_mc"),
    ("settle_mc_per_min", "ramp_mc_per_min"),
    ("ramp_mc_per_min", "climb_cap_mc_per_min"),
)


class HeatState(NamedTuple):
    """Where one point stands. `seen_ms` is the last reading's time, None before the first; each `_since_ms` is the
    reading since which its condition holds, None while it does not."""

    level: Level
    due_ms: int | None
    seen_ms: int | None
    last_mc: int
    reference: int
    trace: int
    climb: int
    early_since_ms: int | None
    alarm_since_ms: int | None
    cool_since_ms: int | None


def initial() -> HeatState:
    """A point that has not been read yet."""
    return HeatState(Level.NORMAL, None, None, 0, 0, 0, 0, None, None, None)


def step(rule: HeatRule, state: HeatState, value: int | None, now_ms: int) -> HeatState:
    """The state after a reading of `value` m°C at `now_ms`, or the same state where only time has passed.

    A second reading in the same millisecond, or one from the past, changes nothing either: it tells no rate.
    """
    if value is None:
        return state
    level, _, seen_ms, last_mc, reference, trace, climb, _, _, _ = state
    if seen_ms is None:
        return _judge(rule, state, value, now_ms, min(value, rule.presumed_room_mc) * _UNIT, value * _UNIT, 0)
    passed_ms = now_ms - seen_ms
    if passed_ms <= 0:
        return state
    if passed_ms > rule.gap_ms:
        reference = _follow(rule, reference, value * _UNIT, passed_ms)
        unconfirmed = state._replace(early_since_ms=None, alarm_since_ms=None, cool_since_ms=None)
        return _judge(rule, unconfirmed, value, now_ms, reference, value * _UNIT, 0)
    # The higher one, or a bad contact that drops every few readings would hold the reference down on a harmless ramp.
    reference = _follow(rule, reference, (value if value > last_mc else last_mc) * _UNIT, passed_ms)
    trace, climb = _count(rule, trace, climb, value * _UNIT, passed_ms)
    if level is Level.NORMAL and value < rule.hot_mc and value * _UNIT - reference < rule.early_rise_mc * _UNIT:
        return HeatState(level, None, now_ms, value, reference, trace, climb, None, None, None)
    return _judge(rule, state, value, now_ms, reference, trace, climb)


def _follow(rule: HeatRule, reference: int, value: int, passed_ms: int) -> int:
    """The reference moved towards `value`, no faster than it may."""
    if value > reference:
        highest = reference + rule.ramp_mc_per_min * passed_ms
        return value if value < highest else highest
    lowest = reference - rule.settle_mc_per_min * passed_ms
    return value if value > lowest else lowest


def _count(rule: HeatRule, trace: int, climb: int, value: int, passed_ms: int) -> tuple[int, int]:
    """The trace moved towards `value`, and the climb with that movement in it."""
    change, most = value - trace, rule.climb_cap_mc_per_min * passed_ms
    slack = rule.climb_slack_mc * _UNIT
    if change > most:
        climb += most
        trace = trace + most if change <= most + slack else value - slack
    elif change < -most:
        climb -= most
        trace = trace - most if change >= -most - slack else value + slack
    else:
        climb += change
        trace = value
    climb -= rule.ramp_mc_per_min * passed_ms
    return trace, climb if climb > 0 else 0


def _judge(
    rule: HeatRule, state: HeatState, value: int, now_ms: int, reference: int, trace: int, climb: int
) -> HeatState:
    """The conditions of the module's table on one reading, each with the time since when it holds."""
    rise = value - reference // _UNIT
    level = state.level
    early_since = alarm_since = cool_since = None
    if rise >= rule.early_rise_mc or value >= rule.hot_mc:
        if rise >= rule.early_rise_mc and climb >= rule.early_climb_mc * _UNIT:
            early_since = now_ms if state.early_since_ms is None else state.early_since_ms
        if _is_alarm(rule, level, value, rise):
            alarm_since = now_ms if state.alarm_since_ms is None else state.alarm_since_ms
        level = _raised(rule, level, now_ms, early_since, alarm_since)
    elif level is not Level.NORMAL and rise < rule.clear_rise_mc and value < rule.hot_mc - rule.hysteresis_mc:
        cool_since = now_ms if state.cool_since_ms is None else state.cool_since_ms
        if now_ms - cool_since >= rule.clear_after_ms:
            level, cool_since = Level.NORMAL, None
    return HeatState(level, None, now_ms, value, reference, trace, climb, early_since, alarm_since, cool_since)


def _is_alarm(rule: HeatRule, level: Level, value: int, rise: int) -> bool:
    if value >= rule.static_mc or rise >= rule.alarm_rise_mc:
        return True
    return value >= rule.hot_mc and rise >= (rule.hot_rise_mc if level is Level.NORMAL else rule.early_rise_mc)


def _raised(rule: HeatRule, level: Level, now_ms: int, early_since: int | None, alarm_since: int | None) -> Level:
    """The level after what has held for long enough. Nothing here lowers it."""
    if alarm_since is not None and now_ms - alarm_since >= rule.confirm_ms:
        return Level.ALARM
    if early_since is not None and now_ms - early_since >= rule.confirm_ms and level is Level.NORMAL:
        return Level.EARLY
    return level
