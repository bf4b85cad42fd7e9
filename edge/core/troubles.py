"""What else can be wrong with a point than silence: a value that stands still where it must move, and flapping.

Each is a word among the point's `troubles`; while there is one, the point is at fault.
"""

from edge.core.conditions import clear_condition, raise_condition
from edge.core.flapping import FLAPPING
from edge.core.panel import Condition, Panel, Task
from edge.core.supervision import end_own_fault
from edge.core.values import Class

STUCK = "stuck"


def after_standstill(panel: Panel, code: str) -> None:
    """The time in which the point's value had to move is over."""
    point = panel.points[code]
    stuck_after_ms = point.plan.stuck_after_ms or 0
    if point.moved_ms + stuck_after_ms > panel.now_ms:
        panel.call_at(point.moved_ms + stuck_after_ms, Task.STUCK, code)
        return
    # What is silent is another fault, and is watched again when it is heard; what is stuck, when it moves.
    point.is_watched = point.unknown is None
    if point.unknown is None:
        point.troubles.add(STUCK)
        point.is_clean = False
        raise_condition(panel, Class.FAULT, code, point.plan.zone, value=point.value, word=STUCK)


def after_rest(panel: Panel, name: str) -> None:
    """A condition that flapped has been gone for as long as it has to be: let it go."""
    condition, _, subject = name.partition(" ")
    item = panel.conditions.get((Class(condition), subject))
    if item is None or item.is_present:
        return
    point = panel.points.get(subject)
    if point is not None and point.unknown is not None:  # unknown never clears
        panel.call_at(panel.now_ms + panel.plan.flap_rest_ms, Task.REST, name)
        return
    item.is_flapping = False
    if point is not None and item.condition is Class.FAULT and point.troubles - {FLAPPING}:
        item.is_present = True
        return
    clear_condition(panel, item.condition, subject, value=None if point is None else point.value)
    if point is not None and not any(other.is_flapping for other in _of(panel, subject)):
        point.troubles.discard(FLAPPING)
        end_own_fault(panel, point)


def _of(panel: Panel, subject: str) -> list[Condition]:
    return [item for item in panel.conditions.values() if item.subject == subject]
