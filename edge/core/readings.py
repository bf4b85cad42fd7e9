"""Before the rule: what a reading is good for beside its own point, and what the shell knows beside the readings.

Only points that need it come here (`Point.has_more`), so that the others are decided as fast as before.
"""

from edge.core.panel import RULES, Panel, Point, Task
from edge.core.plan import Rule
from edge.core.troubles import STUCK
from edge.core.values import Hour, Learned, Reading, Unknown


def admit(panel: Panel, point: Point, value: int) -> Unknown | None:
    """Why the rule refuses a reading, or None where it may have it. What follows the point has been told of it then."""
    if point.refuses is not None and (refused := point.refuses(point.rule, value)) is not None:
        return refused
    for follower in point.followers:
        follower.state = follower.module.beside(follower.rule, follower.state, value, panel.now_ms)
    if point.plan.stuck_after_ms is not None:
        _watch_for_standstill(panel, point, value)
    return None


def refuses_some(rule: Rule) -> bool:
    """Whether there are numbers that the rule does not take for a value."""
    return hasattr(RULES[type(rule)], "refuses")


def believed(panel: Panel, reading: Reading) -> Reading:
    """The reading, or the reason why its number is no value."""
    point = panel.points[reading.point]
    refused = None if reading.value is None or point.refuses is None else point.refuses(point.rule, reading.value)
    return reading if refused is None else Reading(reading.point, None, refused)


def _watch_for_standstill(panel: Panel, point: Point, value: int) -> None:
    if value != point.value:
        point.moved_ms = panel.now_ms
        if point.troubles and STUCK in point.troubles:
            point.troubles.discard(STUCK)
            point.is_watched = False
            point.is_clean = False  # so that the good reading that this is ends the fault
    elif point.unknown is not None:  # nobody saw whether it moved meanwhile
        point.moved_ms += panel.now_ms - point.heard_ms
    if not point.is_watched:
        point.is_watched = True
        panel.call_at(point.moved_ms + (point.plan.stuck_after_ms or 0), Task.STUCK, point.plan.code)


def attune(panel: Panel, item: Hour | Learned) -> None:
    """Tell the rules that judge by the hour of the day. What that changes is decided with their next reading."""
    if isinstance(item, Learned):
        point = panel.points.get(item.point)
        if point is not None and hasattr(point.module, "learned"):
            point.state = point.module.learned(point.rule, point.state, item.usual)
        return
    for point in panel.points.values():
        if hasattr(point.module, "at_hour"):
            point.state = point.module.at_hour(point.rule, point.state, item.hour)
