"""Supervision: a point without a good reading becomes a fault, and what died together is one fault.

Each good reading stamps its point, unit and bus. When a point has been without one for `fault_after_ms`, the outermost
thing that has been silent as long is the one at fault. The fault of a unit or bus stands until all behind it is back,
so that nothing is ever silent for long without a fault that says so.
"""

from edge.core.conditions import clear_condition, raise_condition
from edge.core.flapping import FLAPPING
from edge.core.panel import Group, Panel, Point, Task, foreseen, meaning
from edge.core.values import Class, Unknown

STATED = frozenset({Unknown.SENSOR_BROKEN, Unknown.OUT_OF_RANGE})
STATED_MS = 60_000
"""How long a device may say that its sensor is broken: that is an answer, and does not wait for a silence of hours."""

RESTORED_MS = 10_000
"""How long after a restart a point's readings must be good before what was restored for it is taken as gone."""


def after_silence(panel: Panel, code: str) -> None:
    """A point's staleness deadline has come: it was heard since, or something is at fault."""
    point = panel.points[code]
    if not _is_silent(panel, point):
        panel.watch(point)
        return
    # Nobody said why, yet it is unknown from now on; and its next good reading has it watched again.
    point.unknown = point.unknown or Unknown.NOT_POLLED
    point.is_clean = False
    if not _is_covered(point) and (Class.FAULT, code) not in panel.conditions:
        _blame(panel, point)


def after_unknown(panel: Panel, point: Point) -> None:
    """A reading without a value has come, and why: from the first one on that says the sensor is broken, time runs."""
    if point.unknown not in STATED or point.broken_ms is not None or point.plan.fault_after_ms is None:
        return
    point.broken_ms = panel.now_ms
    due_ms = panel.now_ms + STATED_MS
    if panel.due.get((Task.STALE, point.plan.code), due_ms) > due_ms:
        panel.call_at(due_ms, Task.STALE, point.plan.code)


def _is_silent(panel: Panel, point: Point) -> bool:
    fault_after_ms = point.plan.fault_after_ms
    if fault_after_ms is None:
        return False
    return point.heard_ms + fault_after_ms <= panel.now_ms or _is_broken(panel, point)


def _is_broken(panel: Panel, point: Point) -> bool:
    return point.broken_ms is not None and point.broken_ms + STATED_MS <= panel.now_ms


def _is_covered(point: Point) -> bool:
    return point.bus.is_down or point.unit.is_down


def _blame(panel: Panel, point: Point) -> None:
    if _is_broken(panel, point):
        raise_condition(panel, Class.FAULT, point.plan.code, point.plan.zone, unknown=point.unknown)
        return
    wait_until_ms = point.heard_ms + (point.plan.fault_after_ms or 0) + point.plan.settle_ms
    for group in _suspects(point):
        group_due_ms = group.heard_ms + group.fault_after_ms
        if group_due_ms <= panel.now_ms:
            _group_down(panel, group, point)
            return
        if group_due_ms <= wait_until_ms:
            panel.call_at(group_due_ms, Task.STALE, point.plan.code)
            return
    raise_condition(panel, Class.FAULT, point.plan.code, point.plan.zone, unknown=point.unknown)


def _suspects(point: Point) -> list[Group]:
    """What may have died with the point, outermost first: a bus only where it holds more than the unit does."""
    suspects = []
    awake = sum(1 for member in point.bus.points if member.unit is point.unit or not member.plan.sleeps)
    if awake > max(1, 0 if point.unit is point.bus else len(point.unit.points)):
        suspects.append(point.bus)
    if point.unit is not point.bus:
        suspects.append(point.unit)
    return suspects


def _group_down(panel: Panel, group: Group, point: Point) -> None:
    group.is_down = True
    for member in group.points:
        member.is_clean = False
    raise_condition(panel, Class.FAULT, group.code, unknown=point.unknown)


def after_good_reading(panel: Panel, point: Point) -> None:
    """The slow path of a good reading: the point was not clean, so faults may end."""
    point.broken_ms = None
    end_own_fault(panel, point)
    if point.plan.operation is not None and not point.is_heard:
        # The first observation is no edge: a button found pressed was pressed before, and nobody asks for it now.
        point.state = foreseen(point)
    point.is_clean = True
    point.is_heard = True
    panel.watch(point)
    for group in (point.bus, point.unit):
        if group.is_down:
            _group_heard(panel, group)
    if point.is_restored:
        panel.call_at(panel.now_ms + RESTORED_MS, Task.SETTLE, point.plan.code)


def end_own_fault(panel: Panel, point: Point) -> None:
    """Let the fault of a point that has been heard go, unless something else is wrong with it."""
    fault = panel.conditions.get((Class.FAULT, point.plan.code))
    if fault is None or fault.is_restored or meaning(point) is Class.FAULT:
        return
    if not point.troubles - ({FLAPPING} if fault.is_flapping else set()):
        clear_condition(panel, Class.FAULT, point.plan.code)


def _group_heard(panel: Panel, group: Group) -> None:
    """Something behind a group at fault is back: the fault ends with the last one, or says after a while who is not."""
    if not any(_is_silent(panel, member) for member in group.points):
        _group_up(panel, group)
    elif (Task.RECOVER, group.code) not in panel.due:
        panel.call_at(panel.now_ms + group.fault_after_ms, Task.RECOVER, group.code)


def after_recovery(panel: Panel, code: str) -> None:
    """The time is up for what is behind a group to come back with the first of it: the rest is at fault by itself.

    If the group has fallen silent again, its fault goes on; the next good reading comes back here.
    """
    group = panel.groups[code]
    if group.is_down and group.heard_ms + group.fault_after_ms > panel.now_ms:
        _group_up(panel, group)


def _group_up(panel: Panel, group: Group) -> None:
    group.is_down = False
    for member in group.points:
        # Before the group's fault ends: what died with it and is not back must not be without a fault for a moment.
        if _is_silent(panel, member):
            after_silence(panel, member.plan.code)
    clear_condition(panel, Class.FAULT, group.code)
