"""Walk test: one zone at a time is triggered point by point, and each that reaches its alarm level is proven.

A point that stays active for more than a minute is taken as real: the test ends, and all that is active in the zone
alarms. Smoke detectors latch themselves, so the supply of the zone is cut once for what is being tested; a real fire
closes them again within that minute, and the cut does not make the minute longer.
"""

from edge.core import service
from edge.core.conditions import clear_condition, raise_condition
from edge.core.panel import Panel, Point, Task, WalkTest
from edge.core.values import Act, Class, Kind, Level, Transition

REAL_AFTER_MS = 60_000
PULSE_AFTER_MS = 5_000
"""How long a detector is left in alarm before its supply is cut: the tester sees its lamp."""
REPORT_MAX = 300
"""Characters of the report; an event's text has 400."""

_TASKS = (Task.TEST_REAL, Task.TEST_PULSE, Task.TEST_SUPPLY)


def start(panel: Panel, act: Act) -> None:
    """Put a zone under test."""
    panel.walk_test = WalkTest(act.subject, act.who, act.why, panel.now_ms + act.for_ms, set(), {})
    raise_condition(panel, Class.TEST, act.subject, act.subject, who=act.who, why=act.why)
    service.watch_expiry(panel)


def covered(panel: Panel, test: WalkTest) -> list[Point]:
    """The points that the test is about."""
    return [point for point in panel.points.values() if service.is_tested(panel, point)]


def unproven(panel: Panel) -> list[str]:
    """The codes of the tested points that have not alarmed yet."""
    test = panel.walk_test
    if test is None:
        return []
    return sorted(point.plan.code for point in covered(panel, test) if point.plan.code not in test.proven)


def after_alarm_level(panel: Panel, point: Point) -> None:
    """A point has reached its alarm level: it is proven, for real or in a test."""
    plan, test = point.plan, panel.walk_test
    if not plan.is_watching:
        return
    point.proven_ms = panel.now_ms
    if test is None or not service.is_tested(panel, point):
        return
    if plan.code not in test.proven:
        test.proven.add(plan.code)
        panel.out.append(
            Transition(Kind.PROVE, panel.now_ms, zone=plan.zone, subject=plan.code, value=point.value, who=test.who)
        )
    if plan.code not in test.active:
        test.active[plan.code] = (panel.now_ms, False)
        watch(panel, test)


def watch(panel: Panel, test: WalkTest) -> None:
    """Have what is active looked at when its minute is over, and when its supply is to be cut."""
    if not test.active:
        return
    panel.call_at(min(since_ms for since_ms, _ in test.active.values()) + REAL_AFTER_MS, Task.TEST_REAL, "")
    waits = any(not was_cut for _, was_cut in test.active.values())
    if waits and panel.zones[test.zone].plan.reset_pulse_ms and (Task.TEST_PULSE, "") not in panel.due:
        panel.call_at(panel.now_ms + PULSE_AFTER_MS, Task.TEST_PULSE, "")


def after_minute(panel: Panel, _: str) -> None:
    """A point has had its minute: it is at rest again, or real."""
    test = panel.walk_test
    if test is None:
        return
    over = [code for code, (since_ms, _) in test.active.items() if since_ms + REAL_AFTER_MS <= panel.now_ms]
    for code in over:
        del test.active[code]
    real = [code for code in over if panel.points[code].state.level is Level.ALARM and code not in panel.disabled]
    if real:
        end(panel, "", "real_alarm")
    else:
        watch(panel, test)


def after_pulse_due(panel: Panel, _: str) -> None:
    """Detectors that were triggered have been seen: cut their supply once, unless a fire needs them all."""
    test = panel.walk_test
    if test is None:
        return
    test.active = {code: (since_ms, True) for code, (since_ms, _) in test.active.items()}
    if panel.reset is None and not panel.of_class(Class.FIRE):
        test.is_cut = True
        panel.call_at(panel.now_ms + panel.zones[test.zone].plan.reset_pulse_ms, Task.TEST_SUPPLY, "")


def after_pulse(panel: Panel, _: str) -> None:
    """The detectors have their supply back."""
    if panel.walk_test is not None:
        panel.walk_test.is_cut = False


def end(panel: Panel, who: str, cause: str) -> None:
    """End the test with its report; what is active in the zone alarms at once."""
    test = panel.walk_test
    if test is None:
        return
    points = covered(panel, test)
    why = _report(cause, len(points), unproven(panel))
    panel.walk_test = None
    for task in _TASKS:
        panel.due.pop((task, ""), None)
    panel.out.append(
        Transition(Kind.END_WALK_TEST, panel.now_ms, zone=test.zone, subject=test.zone, who=who or test.who, why=why)
    )
    clear_condition(panel, Class.TEST, test.zone, who=who, why=cause)
    for point in points:
        service.tell(panel, point)
    service.watch_expiry(panel)


def expire(panel: Panel) -> None:
    """End the test when its time is up: nobody has to remember it."""
    if panel.walk_test is not None and panel.walk_test.end_ms <= panel.now_ms:
        end(panel, "", service.EXPIRED)


def _report(cause: str, count: int, missing: list[str]) -> str:
    text = f"cause={cause} proven={count - len(missing)}/{count}"
    if missing:
        text += " unproven=" + ",".join(missing)
    return text if len(text) <= REPORT_MAX else text[: REPORT_MAX - 3] + "..."
