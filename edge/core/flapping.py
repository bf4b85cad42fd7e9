"""Flapping: what comes and goes again and again is held as raised, so that it neither floods people nor looks well.

Counted for each class and subject by itself, so no other point is touched. A raise is never held back, only a clear;
and what latches or is out of service cannot flap, because a person ends it.
"""

from edge.core.panel import Condition, Panel, Task
from edge.core.values import LATCHING, OUT_OF_SERVICE, Class

FLAPPING = "flapping"


def name_of(condition: Class, subject: str) -> str:
    """What a deadline of this condition is called."""
    return f"{condition.value} {subject}"


def after_raise(panel: Panel, made: Condition) -> bool:
    """Whether the condition begins to flap with this raise."""
    if made.condition in LATCHING | OUT_OF_SERVICE or panel.plan.flap_count <= 0:
        return False
    key = (made.condition, made.subject)
    since_ms = panel.now_ms - panel.plan.flap_within_ms
    raises = [at_ms for at_ms in panel.raises.get(key, ()) if at_ms > since_ms]
    panel.raises[key] = raises = [*raises, panel.now_ms]
    made.is_flapping = len(raises) >= panel.plan.flap_count
    return made.is_flapping


def holds(panel: Panel, item: Condition) -> bool:
    """Whether a condition that is gone is held all the same; from now on it has to rest."""
    if not item.is_flapping:
        return False
    item.is_present = False
    name = name_of(item.condition, item.subject)
    if (Task.REST, name) not in panel.due:
        panel.call_at(panel.now_ms + panel.plan.flap_rest_ms, Task.REST, name)
    return True


def resumes(panel: Panel, item: Condition) -> None:
    """A condition that was held is so again: its rest is over."""
    if item.is_flapping:
        panel.due.pop((Task.REST, name_of(item.condition, item.subject)), None)
