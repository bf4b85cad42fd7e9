"""Raising and clearing: the one place where a condition comes to stand and where it goes."""

from edge.core.panel import Condition, Panel, Point, Task
from edge.core.values import Class, Kind, Transition, Unknown


def raise_condition(
    panel: Panel,
    condition: Class,
    subject: str,
    zone: str = "",
    value: int | None = None,
    unknown: Unknown | None = None,
) -> Condition:
    """Let a condition stand; one that stands already is left as it is, and only said to be present again.

    People are reminded of a fault for as long as it stands.
    """
    key = (condition, subject)
    standing = panel.conditions.get(key)
    if standing is not None:
        standing.is_present = True
        standing.is_restored = False
        return standing
    order = 0
    if condition is Class.FIRE:
        panel.fire_order += 1
        order = panel.fire_order
    made = Condition(condition, subject, zone, panel.now_ms, order)
    panel.conditions[key] = made
    if condition is Class.FAULT:
        panel.call_at(panel.now_ms + panel.plan.fault_reminder_ms, Task.REMIND, subject)
    panel.out.append(
        Transition(Kind.RAISE, panel.now_ms, condition, zone, subject, value=value, unknown=unknown, order=order)
    )
    return made


def clear_condition(panel: Panel, condition: Class, subject: str, who: str = "", value: int | None = None) -> None:
    """Let a condition go, if it stands."""
    gone = panel.conditions.pop((condition, subject), None)
    if gone is None:
        return
    panel.out.append(
        Transition(Kind.CLEAR, panel.now_ms, condition, gone.zone, subject, value=value, order=gone.order, who=who)
    )
    if condition is Class.FIRE:
        _after_fire(panel, gone.zone)


def raise_of_point(panel: Panel, point: Point, condition: Class) -> Condition:
    """Let a condition of a point stand, with the value that raised it; or why there is none any more, where the value
    was the last one before a silence and time alone made an alarm of it."""
    plan = point.plan
    value = point.value if point.unknown is None else None
    return raise_condition(panel, condition, plan.code, plan.zone, value, point.unknown)


def remind(panel: Panel, subject: str) -> None:
    """Sound a fault again that has been acknowledged and still stands."""
    fault = panel.conditions.get((Class.FAULT, subject))
    if fault is None:
        return
    panel.call_at(panel.now_ms + panel.plan.fault_reminder_ms, Task.REMIND, subject)
    if fault.is_acknowledged or fault.is_silenced:
        fault.is_acknowledged = fault.is_silenced = False
        panel.out.append(Transition(Kind.RESOUND, panel.now_ms, Class.FAULT, fault.zone, subject))


def _after_fire(panel: Panel, zone: str) -> None:
    left = [item.zone for item in panel.of_class(Class.FIRE)]
    if not left:
        panel.fire_order = 0
    if zone not in left:
        panel.zones[zone].is_confirmed = False
        panel.due.pop((Task.CONFIRM, zone), None)
