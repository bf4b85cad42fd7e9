"""The one fold: `fold(panel, input, now_ms) -> (panel, transitions, wake_at)`.

An input is a Reading, an Act, a TICK (only time has passed), or what the shell knows beside: the Hour of the day, what
was Learned of a point. Stages: point rule, supervision, zone, panel. The panel
passed in is taken over and given back changed (see `panel`); nothing else is touched. `wake_at` is when the fold wants
to be called again though nothing comes in, or None; it always lies in the future.
"""

from dataclasses import replace
from heapq import heappop
from typing import Any

from edge.core import conditions, duty, operate, readings, self_test, service, supervision, troubles, walk_test, zone
from edge.core.panel import Panel, Point, Task, meaning
from edge.core.values import LATCHING, Act, Class, Hour, Input, Kind, Learned, Level, Reading, Transition, Unknown

_WEIGHT = {Level.NORMAL: 0, Level.FAULT: 1, Level.EARLY: 2, Level.ALARM: 3}
"""What unknown holds on to: the end of a fault may be a raise, the end of an alarm never is."""

NOTHING: tuple[Transition, ...] = ()

Folded = tuple[Panel, tuple[Transition, ...], int | None]


def fold(panel: Panel, item: Input, now_ms: int) -> Folded:
    """The panel after one input, what has changed for people, and when time alone will change more.

    A reading of a point that the plan does not have changes nothing. Time never runs backwards: an earlier `now_ms`
    counts as the latest one seen.
    """
    if now_ms < panel.now_ms:
        now_ms = panel.now_ms
    panel.now_ms = now_ms
    deadlines = panel.deadlines
    # Time first: what was due before the input came is decided as if it had not come.
    if deadlines and deadlines[0][0] <= now_ms:
        _meet_deadlines(panel, now_ms)
    if type(item) is Reading:
        point = panel.points.get(item.point)
        if point is not None:
            if item.value is not None:
                _take_value(panel, point, item.value, now_ms)
            else:
                _take_unknown(panel, point, item.unknown)
    elif type(item) is Act:
        operate.operate(panel, item)
    elif type(item) is Hour or type(item) is Learned:
        readings.attune(panel, item)
    wake_at = deadlines[0][0] if deadlines else None
    if not panel.out:
        return panel, NOTHING, wake_at
    out, panel.out = tuple(panel.out), []
    if type(item) is Reading and item.why:
        out = tuple(_with_why(told, item) for told in out)
    return panel, out, wake_at


def _with_why(told: Transition, item: Reading) -> Transition:
    """What a reading raises says what its source said of it, unless the rule has a word of its own."""
    is_its = told.kind is Kind.RAISE and told.subject == item.point and not told.why
    return replace(told, why=item.why) if is_its else told


def _take_value(panel: Panel, point: Point, value: int, now_ms: int) -> None:
    # The order matters three times: a rule that fails leaves its point unstamped, so that it becomes a fault; what is
    # decided below sees a fresh point; and an alarm is never behind the end of a fault.
    if point.has_more and (refused := readings.admit(panel, point, value)) is not None:
        _take_unknown(panel, point, refused)
        return
    state = point.step(point.rule, point.state, value, now_ms)
    point.value, point.unknown = value, None
    point.heard_ms = point.unit.heard_ms = point.bus.heard_ms = now_ms
    if state is not point.state:
        _take_state(panel, point, state)
    if not point.is_clean:
        supervision.after_good_reading(panel, point)
    if panel.reset is not None:
        operate.try_reset(panel, point.plan.code)


def _take_unknown(panel: Panel, point: Point, why: Unknown | None) -> None:
    point.unknown = why or Unknown.NOT_POLLED
    point.is_clean = False
    supervision.after_unknown(panel, point)


def _take_state(panel: Panel, point: Point, state: Any) -> None:
    before, was = point.state, meaning(point)
    point.state = state
    due_ms = state.due_ms
    # A later deadline is not worth the heap: the earlier one finds out that it was put off.
    if due_ms is not None and due_ms < panel.due.get((Task.RULE, point.plan.code), due_ms + 1):
        panel.call_at(due_ms, Task.RULE, point.plan.code)
    if state.level is not before.level or (point.has_words and state.word != before.word):
        _change_level(panel, point, was)


def _change_level(panel: Panel, point: Point, was: Class | None) -> None:
    plan, now = point.plan, meaning(point)
    if plan.operation is not None:
        operate.press(panel, point)
        return
    if point.state.level is Level.ALARM:
        walk_test.after_alarm_level(panel, point)
    service.tell(panel, point)
    if was is not None and was is not now:
        _leave(panel, point, was)


def _leave(panel: Panel, point: Point, was: Class) -> None:
    if was not in LATCHING:
        conditions.clear_condition(panel, was, point.plan.code, value=point.value)
        return
    standing = panel.conditions.get((was, point.plan.code))
    if standing is not None:
        standing.is_present = False


def _meet_deadlines(panel: Panel, now_ms: int) -> None:
    deadlines = panel.deadlines
    while deadlines and deadlines[0][0] <= now_ms:
        at_ms, task, subject = heappop(deadlines)
        if panel.due.get((task, subject)) == at_ms:
            del panel.due[(task, subject)]
            _TASKS[task](panel, subject)


def _after_rule(panel: Panel, code: str) -> None:
    point = panel.points[code]
    due_ms = point.state.due_ms
    if due_ms is None:
        return
    if due_ms > panel.now_ms:
        panel.call_at(due_ms, Task.RULE, code)
        return
    state = point.step(point.rule, point.state, None, panel.now_ms)
    # Unknown never clears: what time alone would end waits for a good reading.
    if point.unknown is None or _WEIGHT[state.level] >= _WEIGHT[point.state.level]:
        _take_state(panel, point, state)
    if panel.reset is not None:
        operate.try_reset(panel, code)


def _after_restore(panel: Panel, code: str) -> None:
    point = panel.points[code]
    if not point.is_restored or point.unknown is not None:
        return
    if point.state.due_ms is not None:
        panel.call_at(point.state.due_ms, Task.SETTLE, code)  # its rule is about to say whether it is still so
        return
    point.is_restored = False
    for key, condition in list(panel.conditions.items()):
        if condition.subject == code and condition.is_restored and key[0] not in LATCHING:
            conditions.clear_condition(panel, key[0], code, value=point.value)


_TASKS = {
    Task.RULE: _after_rule,
    Task.SETTLE: _after_restore,
    Task.STALE: supervision.after_silence,
    Task.RECOVER: supervision.after_recovery,
    Task.CONFIRM: zone.after_cap,
    Task.RESET_SUPPLY: operate.after_supply,
    Task.RESET_END: operate.after_reset,
    Task.REMIND: conditions.remind,
    Task.REST: troubles.after_rest,
    Task.STUCK: troubles.after_standstill,
    Task.EXPIRE: operate.after_expiry,
    Task.REMIND_SERVICE: service.remind,
    Task.TEST_REAL: walk_test.after_minute,
    Task.TEST_PULSE: walk_test.after_pulse_due,
    Task.TEST_SUPPLY: walk_test.after_pulse,
    Task.SELF_TEST: self_test.after_step,
    Task.UNANSWERED: duty.after_time,
}
