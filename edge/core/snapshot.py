"""A panel's memory across a restart, as plain lists and numbers, with every deadline as remaining time.

Rules start anew: after a restart every point is unknown (what some remember of days: `rule_memory`). What stood keeps
standing, with its acknowledgement and its silence; what does not latch is cleared once its point has been good for a
while (`supervision.RESTORED_MS`). What is out of service goes on for the time that it has left (`service_memory`).
"""

from typing import Any

from edge.core import service_memory
from edge.core.panel import Condition, Panel, Task, new_panel
from edge.core.plan import Plan
from edge.core.values import OUT_OF_SERVICE, Class, Kind, Transition

VERSION = 1
_ROW = [str, str, str, int, int, bool, bool]


def snapshot(panel: Panel) -> dict[str, Any]:
    """What `restore` needs."""
    return {
        "version": VERSION,
        "fire_order": panel.fire_order,
        "confirmed": [code for code, zone in panel.zones.items() if zone.is_confirmed],
        "conditions": [_condition(panel, item) for item in panel.conditions.values()],
        **service_memory.saved(panel),
    }


def _condition(panel: Panel, item: Condition) -> list[Any]:
    age_ms = panel.now_ms - item.raised_ms
    # A reset that a restart cuts short has failed, and what it was for sounds again.
    is_acknowledged = item.is_acknowledged and not item.is_resetting
    is_silenced = item.is_silenced and not item.is_resetting
    return [item.condition.value, item.subject, item.zone, age_ms, item.order, is_acknowledged, is_silenced]


def restore(
    plan: Plan, saved: dict[str, Any] | None, now_ms: int, off_ms: int = 0, unsaved_ms: int = 0
) -> tuple[Panel, tuple[Transition, ...]]:
    """A panel with what stood at the time of `saved`, and a `restore` transition for each thing that still does.

    `off_ms` is how long ago that was, where that is known; `unsaved_ms` how much longer the last agent may have run
    after it, which only shortens what is out of service.

    A latched alarm of a point that the plan no longer has is cleared with a word on why: it is on record, and nothing
    could ever reset it. A memory that cannot be read is a `gap`: a home that lost it still hears fire.
    """
    if saved is None:
        return new_panel(plan, now_ms), ()
    try:
        return _remembering(plan, saved, now_ms, off_ms, unsaved_ms)
    except (KeyError, TypeError, ValueError):
        return new_panel(plan, now_ms), (Transition(Kind.GAP, now_ms, why="lane=panel cause=damage"),)


def _remembering(
    plan: Plan, saved: dict[str, Any], now_ms: int, off_ms: int, unsaved_ms: int
) -> tuple[Panel, tuple[Transition, ...]]:
    if saved["version"] != VERSION:
        raise ValueError(saved["version"])
    panel = new_panel(plan, now_ms)
    service_memory.restore(panel, saved, off_ms, unsaved_ms)
    out = [_restored(panel, row, saved["confirmed"], off_ms) for row in saved["conditions"]]
    burning = sorted({item.zone for item in panel.of_class(Class.FIRE)})
    panel.fire_order = int(saved["fire_order"]) if burning else 0
    for code in burning:
        _rearm(panel, code)
    service_memory.agree(panel)
    return panel, tuple(out)


def _restored(panel: Panel, row: list[Any], confirmed: list[str], off_ms: int) -> Transition:
    if [type(item) for item in row] != _ROW:
        raise ValueError(row)
    name, subject, zone, age_ms, order, is_acknowledged, is_silenced = row
    age_ms += off_ms
    condition, now_ms = Class(name), panel.now_ms
    if not _is_known(panel, condition, subject):
        why = "no longer in the configuration"
        return Transition(Kind.CLEAR, now_ms, condition, zone, subject, order=order, why=why)
    if subject in panel.points:
        was, zone = zone, panel.points[subject].plan.zone  # the installer may have put it into another zone
        if condition is Class.FIRE and was in confirmed:
            panel.zones[zone].is_confirmed = True
    panel.conditions[(condition, subject)] = Condition(
        condition,
        subject,
        zone,
        now_ms - age_ms,
        order,
        is_present=False,
        is_acknowledged=is_acknowledged,
        is_silenced=is_silenced,
        is_restored=condition not in OUT_OF_SERVICE,
    )
    if condition in OUT_OF_SERVICE:
        panel.call_at(now_ms + panel.plan.service_reminder_ms, Task.REMIND_SERVICE, "")
    elif subject in panel.points:
        panel.points[subject].is_restored = True
    elif condition is Class.FAULT:
        panel.groups[subject].is_down = True
    if condition is Class.FAULT:
        reminder_ms = panel.plan.fault_reminder_ms
        panel.call_at(now_ms + reminder_ms - age_ms % reminder_ms, Task.REMIND, subject)
    return Transition(Kind.RESTORE, now_ms, condition, zone, subject, order=order)


def _is_known(panel: Panel, condition: Class, subject: str) -> bool:
    if condition is Class.TEST:
        return panel.walk_test is not None and panel.walk_test.zone == subject
    if condition is Class.DISABLED:
        return subject in panel.disabled
    return subject in panel.points or (condition is Class.FAULT and subject in panel.groups)


def _rearm(panel: Panel, code: str) -> None:
    """The confirmation cap of a zone goes on: the fire was not confirmed when the power went."""
    zone = panel.zones[code]
    oldest_ms = min(item.raised_ms for item in panel.of_class(Class.FIRE) if item.zone == code)
    if not zone.is_confirmed:
        panel.call_at(oldest_ms + zone.plan.confirm_after_ms, Task.CONFIRM, code)
