"""Out of service: points that a person has disabled, or whose zone is under test, tell no alarm; and when that ends.

What such a point's rule says of the home is held back, what is wrong with the point itself is not: nobody is blind
without a fault that says so. Nothing that stands is cleared. When it ends with the point active, it alarms at once.
"""

from collections.abc import Iterable

from edge.core import flapping, zone
from edge.core.conditions import clear_condition, raise_condition, raise_of_point, sound_again
from edge.core.panel import Disablement, Panel, Point, Task, meaning
from edge.core.values import LATCHING, Act, Class, Level

EXPIRED = "expired"


def is_withheld(panel: Panel, point: Point) -> bool:
    """Whether the point's alarm or warning is not to be told."""
    if point.state.level is Level.FAULT:
        return False
    return point.plan.code in panel.disabled or is_tested(panel, point)


def is_tested(panel: Panel, point: Point) -> bool:
    """Whether the point's zone is under test, and the point with it."""
    test = panel.walk_test
    return test is not None and test.zone == point.plan.zone and point.plan.is_watching


def tell(panel: Panel, point: Point) -> None:
    """Let stand what the point's level means, unless that is held back or would only say less than what is latched."""
    now = meaning(point)
    if now is None or _is_latched(panel, point, below=now):
        return
    if is_withheld(panel, point):
        standing = panel.conditions.get((now, point.plan.code))
        if standing is not None:
            standing.is_present = True
            flapping.resumes(panel, standing)
        return
    _let_stand(panel, point, now)


def _let_stand(panel: Panel, point: Point, now: Class) -> None:
    raise_of_point(panel, point, now)
    if now is Class.FIRE:
        zone.after_fire_raised(panel, point)


def _is_latched(panel: Panel, point: Point, below: Class) -> bool:
    """Whether an alarm of the point is latched, so that its early warning would only say less."""
    alarm = point.plan.condition
    return below is point.plan.early and alarm in LATCHING and (alarm, point.plan.code) in panel.conditions


def meant(panel: Panel, subject: str) -> list[Point]:
    """The points that a subject names: one by its code, or all of a zone by the zone's."""
    point = panel.points.get(subject)
    if point is not None:
        return [point] if point.plan.is_watching else []
    return [point for point in panel.points.values() if point.plan.zone == subject and point.plan.is_watching]


def zone_of(panel: Panel, subject: str) -> str:
    """The zone of a point, or the one that the subject names."""
    if subject in panel.points:
        return panel.points[subject].plan.zone
    return subject if subject in panel.zones else ""


def leaves_none(panel: Panel, subject: str) -> bool:
    """Whether disabling it would leave a zone without its last detector or its last call point."""
    gone = {point.plan.code for point in meant(panel, subject)} | panel.disabled.keys()
    fire = [point.plan for point in panel.points.values() if point.plan.condition is Class.FIRE]
    for point in meant(panel, subject):
        peers = [plan for plan in fire if (plan.zone, plan.confirms) == (point.plan.zone, point.plan.confirms)]
        if point.plan in peers and all(plan.code in gone for plan in peers):
            return True
    return False


def disable(panel: Panel, act: Act) -> None:
    """Take points out of service until their time is up; those that are already go on with the new person and time."""
    for point in meant(panel, act.subject):
        code = point.plan.code
        panel.disabled[code] = Disablement(act.who, act.why, panel.now_ms + act.for_ms)
        raise_condition(panel, Class.DISABLED, code, point.plan.zone, who=act.who, why=act.why)
    watch_expiry(panel)


def enable(panel: Panel, act: Act) -> None:
    """Take points back into service before their time is up."""
    _enable(panel, [point for point in meant(panel, act.subject) if point.plan.code in panel.disabled], act.who)


def _enable(panel: Panel, points: Iterable[Point], who: str, why: str = "") -> None:
    for point in points:
        del panel.disabled[point.plan.code]
        clear_condition(panel, Class.DISABLED, point.plan.code, who=who, why=why)
        now = meaning(point)
        if point.state.level is Level.ALARM and now is not None:
            # At once, even where the zone is under test: nobody triggered it in the tester's sight.
            _let_stand(panel, point, now)
        else:
            tell(panel, point)
    watch_expiry(panel)


def expire(panel: Panel) -> None:
    """End the disablements whose time is up."""
    over = [code for code, item in panel.disabled.items() if item.end_ms <= panel.now_ms]
    _enable(panel, [panel.points[code] for code in over], "", EXPIRED)


def watch_expiry(panel: Panel) -> None:
    """Have what is out of service looked at when the first of it ends."""
    ends = [item.end_ms for item in panel.disabled.values()]
    if panel.walk_test is not None:
        ends.append(panel.walk_test.end_ms)
    panel.due.pop((Task.EXPIRE, ""), None)
    if ends:
        panel.call_at(min(ends), Task.EXPIRE, "")


def remind(panel: Panel, _: str) -> None:
    """Sound again for what is out of service, so that each shift hears of it."""
    standing = list(panel.of_class(Class.DISABLED, Class.TEST))
    if standing:
        panel.call_at(panel.now_ms + panel.plan.service_reminder_ms, Task.REMIND_SERVICE, "")
    for item in standing:
        sound_again(panel, item)
