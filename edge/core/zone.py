"""A zone's share in a fire: confirmation. It fails towards alarm: the cap confirms alone, whatever else is unknown.

An unconfirmed fire already sounds and is already told; confirmation is what sirens and the fire relay wait for.
"""

from edge.core.panel import Panel, Point, Task
from edge.core.values import Class, Kind, Transition


def after_fire_raised(panel: Panel, point: Point) -> None:
    """Confirm the zone at once by a second point or a call point, else in `confirm_after_ms`."""
    zone = panel.zones[point.plan.zone]
    if zone.is_confirmed:
        return
    standing = sum(item.zone == point.plan.zone for item in panel.of_class(Class.FIRE))
    if point.plan.confirms or standing > 1 or zone.plan.confirm_after_ms <= 0:
        _confirm(panel, point.plan.zone)
    elif (Task.CONFIRM, point.plan.zone) not in panel.due:
        panel.call_at(panel.now_ms + zone.plan.confirm_after_ms, Task.CONFIRM, point.plan.zone)


def after_cap(panel: Panel, code: str) -> None:
    """The cap of a zone has run out: confirm, if a fire still stands there."""
    if not panel.zones[code].is_confirmed and any(item.zone == code for item in panel.of_class(Class.FIRE)):
        _confirm(panel, code)


def _confirm(panel: Panel, code: str) -> None:
    panel.zones[code].is_confirmed = True
    panel.out.append(Transition(Kind.CONFIRM, panel.now_ms, Class.FIRE, code))
