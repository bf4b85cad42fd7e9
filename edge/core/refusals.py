"""What the panel does not do, and why: asked before an act, so that nothing is half done."""

from collections.abc import Callable

from edge.core import service
from edge.core.panel import Panel
from edge.core.values import LATCHING, Act, Class, Operation, Refusal


def refusal(panel: Panel, act: Act) -> Refusal | None:
    """Why the act is refused, or None. What a person does about an alarm (acknowledge, silence, reset) never is."""
    check = _CHECKS.get(act.operation)
    return check(panel, act) if check is not None else None


def _disable(panel: Panel, act: Act) -> Refusal | None:
    if not service.meant(panel, act.subject):
        return Refusal.UNKNOWN_SUBJECT
    if not act.why.strip():
        return Refusal.NO_REASON
    late = _expiry(act, panel.plan.disable_max_ms)
    if late is None and not act.confirmed and service.leaves_none(panel, act.subject):
        return Refusal.LAST_DETECTOR
    return late


def _expiry(act: Act, most_ms: int) -> Refusal | None:
    if act.for_ms <= 0:
        return Refusal.NO_EXPIRY
    return Refusal.TOO_LONG if act.for_ms > most_ms else None


def _enable(panel: Panel, act: Act) -> Refusal | None:
    points = service.meant(panel, act.subject)
    if not points:
        return Refusal.UNKNOWN_SUBJECT
    return None if any(point.plan.code in panel.disabled for point in points) else Refusal.NOT_DISABLED


def _walk_test(panel: Panel, act: Act) -> Refusal | None:
    if act.subject not in panel.zones or not service.meant(panel, act.subject) or act.subject in panel.points:
        return Refusal.UNKNOWN_SUBJECT
    if panel.walk_test is not None:
        return Refusal.TEST_RUNS
    latched = panel.of_class(*LATCHING)
    if any(item.condition is Class.FIRE or item.zone == act.subject for item in latched):
        return Refusal.ALARM_STANDS
    return _expiry(act, panel.plan.test_max_ms)


def _end_walk_test(panel: Panel, act: Act) -> Refusal | None:
    test = panel.walk_test
    return Refusal.NO_TEST if test is None or act.subject not in ("", test.zone) else None


def _self_test(panel: Panel, _: Act) -> Refusal | None:
    if panel.self_test is not None:
        return Refusal.TEST_RUNS
    warnings = panel.of_class(Class.EARLY_WARNING, Class.SUPERVISORY)
    is_loud = any(not (item.is_acknowledged or item.is_silenced) for item in warnings)
    return Refusal.ALARM_STANDS if is_loud or panel.of_class(*LATCHING) else None


def _answer(panel: Panel, act: Act) -> Refusal | None:
    question = panel.question
    return Refusal.NO_QUESTION if question is None or act.subject not in ("", question.id) else None


def _ask(panel: Panel, act: Act) -> Refusal | None:
    """The broker may deliver a question twice."""
    if act.subject in ("", panel.last_question):
        return Refusal.NO_QUESTION
    return Refusal.NO_EXPIRY if act.for_ms <= 0 else None


_CHECKS: dict[Operation, Callable[[Panel, Act], Refusal | None]] = {
    Operation.DISABLE: _disable,
    Operation.ENABLE: _enable,
    Operation.WALK_TEST: _walk_test,
    Operation.END_WALK_TEST: _end_walk_test,
    Operation.SELF_TEST: _self_test,
    Operation.ANSWER: _answer,
    Operation.ASK: _ask,
}
