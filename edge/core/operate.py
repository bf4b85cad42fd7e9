"""What a person asks of the panel. Every act that is not refused is a transition with its name.

Silence stops the sound and not the alarm, and never covers what comes after it. Reset cuts the supply of detectors that
latch themselves, then wants a fresh normal reading; what is still active or unknown when its time is up sounds again.
"""

from edge.core import duty, self_test, service, walk_test
from edge.core.conditions import clear_condition
from edge.core.panel import Condition, Panel, Point, Reset, Task, foreseen
from edge.core.refusals import refusal
from edge.core.values import LATCHING, PRIORITY, Act, Class, Kind, Level, Operation, Transition, Unknown

_LATCHING = tuple(item for item in PRIORITY if item in LATCHING)


def operate(panel: Panel, act: Act) -> None:
    """Carry out an act; one that is refused changes nothing, and whoever asked is told by `refusal`."""
    if refusal(panel, act) is not None:
        return
    if act.operation is not Operation.END_WALK_TEST:  # whose event is the report
        zone = service.zone_of(panel, act.subject)
        panel.out.append(
            Transition(Kind(act.operation), panel.now_ms, None, zone, act.subject, who=act.who, why=_reason(act))
        )
    _OPERATIONS[act.operation](panel, act)


def _reason(act: Act) -> str:
    """The reason as people read it, with the time that was asked for."""
    if act.operation not in _TIMED:
        return act.why
    return f"{act.why} ({_duration(act.for_ms)})".lstrip()


def _duration(time_ms: int) -> str:
    """A duration in its largest whole unit: "2h", "90min", "45s"."""
    for unit_ms, unit in ((3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if time_ms % unit_ms == 0:
            return f"{time_ms // unit_ms}{unit}"
    return f"{time_ms}ms"


def press(panel: Panel, point: Point) -> None:
    """A button's level has changed: going down is its act, in the name of its place."""
    operation = point.plan.operation
    if operation is not None and point.state.level is Level.ALARM and point.is_heard:
        operate(panel, Act(operation, point.plan.place))


def _acknowledge(panel: Panel, act: Act) -> None:
    """All that stands has been seen, or what stands of the subject."""
    for condition in panel.conditions.values():
        if not act.subject or condition.subject == act.subject:
            condition.is_acknowledged = True


def _silence(panel: Panel, _: Act) -> None:
    self_test.stop(panel)
    for condition in panel.conditions.values():
        condition.is_silenced = True


def _reset(panel: Panel, act: Act) -> None:
    latched = list(panel.of_class(*LATCHING))
    if not latched:
        return
    zones = {item.zone for item in latched if item.condition is Class.FIRE}
    pulses = {code: panel.zones[code].plan.reset_pulse_ms for code in zones if code in panel.zones}
    cut = frozenset(code for code, pulse_ms in pulses.items() if pulse_ms)
    fresh_ms = panel.now_ms + max(pulses.values(), default=0)
    end_ms = panel.now_ms + panel.plan.reset_within_ms
    panel.reset = Reset(act.who, fresh_ms, end_ms, cut)
    for condition in latched:
        condition.is_resetting = True
    if cut:
        panel.call_at(fresh_ms, Task.RESET_SUPPLY, "")
    panel.call_at(end_ms, Task.RESET_END, "")


def _end_walk_test(panel: Panel, act: Act) -> None:
    walk_test.end(panel, act.who, "person")


_OPERATIONS = {
    Operation.ACKNOWLEDGE: _acknowledge,
    Operation.SILENCE: _silence,
    Operation.RESET: _reset,
    Operation.DISABLE: service.disable,
    Operation.ENABLE: service.enable,
    Operation.WALK_TEST: walk_test.start,
    Operation.END_WALK_TEST: _end_walk_test,
    Operation.SELF_TEST: self_test.start,
    Operation.ANSWER: duty.answer,
    Operation.ASK: duty.ask,
}
_TIMED = (Operation.DISABLE, Operation.WALK_TEST)


def after_expiry(panel: Panel, _: str) -> None:
    """Something out of service has had its time."""
    service.expire(panel)
    walk_test.expire(panel)


def after_supply(panel: Panel, _: str) -> None:
    """The detectors have their supply back: from now on their readings count, and not from when it was due."""
    if panel.reset is not None:
        panel.reset = Reset(panel.reset.who, panel.now_ms, panel.reset.end_ms, frozenset())


def try_reset(panel: Panel, code: str) -> None:
    """A point was heard or its rule moved on: clear its latch if the reading is fresh and its rule at rest."""
    reset = panel.reset
    if reset is None:
        return
    for latching in _LATCHING:
        condition = panel.conditions.get((latching, code))
        if condition is not None and condition.is_resetting and _is_at_rest(panel, condition, reset):
            clear_condition(panel, condition.condition, code, who=reset.who, value=panel.points[code].value)
            service.tell(panel, panel.points[code])
    if not any(item.is_resetting for item in panel.conditions.values()):
        panel.reset = None


def _is_at_rest(panel: Panel, condition: Condition, reset: Reset) -> bool:
    point = panel.points[condition.subject]
    # What is on its way to the alarm level again is not at rest, though it has not got there yet.
    return _why_not_heard(point, reset) is None and Level.ALARM not in (point.state.level, foreseen(point).level)


def after_reset(panel: Panel, _: str) -> None:
    """The reset's time is up: what is still active or unknown stays, and sounds again."""
    reset, panel.reset = panel.reset, None
    if reset is None:
        return
    for condition in panel.conditions.values():
        if condition.is_resetting:
            condition.is_resetting = condition.is_silenced = condition.is_acknowledged = False
            panel.out.append(_resound(panel, condition, reset))


def _resound(panel: Panel, condition: Condition, reset: Reset) -> Transition:
    point = panel.points[condition.subject]
    unknown = _why_not_heard(point, reset)
    return Transition(
        Kind.RESOUND,
        panel.now_ms,
        condition.condition,
        condition.zone,
        condition.subject,
        value=point.value if unknown is None else None,
        unknown=unknown,
        order=condition.order,
    )


def _why_not_heard(point: Point, reset: Reset) -> Unknown | None:
    """Why the point has no reading that counts for the reset, or None where it has one."""
    if point.unknown is None and point.heard_ms <= reset.fresh_ms:
        return Unknown.NOT_POLLED
    return point.unknown
