"""Raising and clearing: the one place where a condition comes to stand and where it goes."""

from edge.core import flapping, self_test
from edge.core.panel import Condition, Panel, Point, Task
from edge.core.values import LATCHING, OUT_OF_SERVICE, Class, Kind, Transition, Unknown


def raise_condition(
    panel: Panel,
    condition: Class,
    subject: str,
    zone: str = "",
    value: int | None = None,
    unknown: Unknown | None = None,
    word: str = "",
    who: str = "",
    why: str = "",
) -> Condition:
    """Let a condition stand; one that stands already is left as it is, and only said to be present again, unless its
    word is another one now: then it is another condition, and told anew.

    People are reminded of a fault, and of what is out of service, for as long as it stands.
    """
    key = (condition, subject)
    standing = panel.conditions.get(key)
    if standing is not None and not _is_another(standing, word):
        flapping.resumes(panel, standing)
        standing.is_present, standing.is_restored, standing.word = True, False, word or standing.word
        return standing
    clear_condition(panel, condition, subject, value=value)
    order = 0
    if condition is Class.FIRE:
        panel.fire_order += 1
        order = panel.fire_order
    made = Condition(condition, subject, zone, panel.now_ms, order, word=word)
    panel.conditions[key] = made
    if condition is Class.FAULT:
        panel.call_at(panel.now_ms + panel.plan.fault_reminder_ms, Task.REMIND, subject)
    if condition not in OUT_OF_SERVICE:
        self_test.give_way(panel)
    elif (Task.REMIND_SERVICE, "") not in panel.due:
        panel.call_at(panel.now_ms + panel.plan.service_reminder_ms, Task.REMIND_SERVICE, "")
    told = Transition(
        Kind.RAISE, panel.now_ms, condition, zone, subject, value, unknown, order, who=who, why=word or why
    )
    panel.out.append(told)
    if flapping.after_raise(panel, made) and subject in panel.points:
        panel.points[subject].troubles.add(flapping.FLAPPING)
        if condition is not Class.FAULT:
            raise_condition(panel, Class.FAULT, subject, zone, word=flapping.FLAPPING)
    return made


def _is_another(standing: Condition, word: str) -> bool:
    """Whether a word makes another condition of one that stands. What latches, flaps or was restored stays the same."""
    if not word or word == standing.word or standing.condition in LATCHING:
        return False
    return not (standing.is_restored or standing.is_flapping)


def clear_condition(
    panel: Panel, condition: Class, subject: str, who: str = "", value: int | None = None, why: str = ""
) -> None:
    """Let a condition go, if it stands and is not held because it flaps."""
    gone = panel.conditions.get((condition, subject))
    if gone is None or flapping.holds(panel, gone):
        return
    del panel.conditions[(condition, subject)]
    panel.out.append(
        Transition(
            Kind.CLEAR, panel.now_ms, condition, gone.zone, subject, value=value, order=gone.order, who=who, why=why
        )
    )
    if condition is Class.FIRE:
        _after_fire(panel, gone.zone)


def raise_of_point(panel: Panel, point: Point, condition: Class) -> Condition:
    """Let a condition of a point stand, with the value that raised it; or why there is none any more, where the value
    was the last one before a silence and time alone made an alarm of it."""
    plan = point.plan
    value = point.value if point.unknown is None else None
    word = point.state.word if point.has_words else ""
    return raise_condition(panel, condition, plan.code, plan.zone, value, point.unknown, word)


def remind(panel: Panel, subject: str) -> None:
    """Sound a fault again that has been acknowledged and still stands."""
    fault = panel.conditions.get((Class.FAULT, subject))
    if fault is None:
        return
    panel.call_at(panel.now_ms + panel.plan.fault_reminder_ms, Task.REMIND, subject)
    sound_again(panel, fault)


def sound_again(panel: Panel, item: Condition) -> None:
    """Sound for what stands as if nobody had seen it."""
    if item.is_acknowledged or item.is_silenced:
        item.is_acknowledged = item.is_silenced = False
        panel.out.append(Transition(Kind.RESOUND, panel.now_ms, item.condition, item.zone, item.subject))


def _after_fire(panel: Panel, zone: str) -> None:
    left = [item.zone for item in panel.of_class(Class.FIRE)]
    if not left:
        panel.fire_order = 0
    if zone not in left:
        panel.zones[zone].is_confirmed = False
        panel.due.pop((Task.CONFIRM, zone), None)
