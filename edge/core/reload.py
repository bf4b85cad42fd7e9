"""Another plan for a panel that goes on: state is kept by point, and what has no place any more ends on record."""

from edge.core import walk_test
from edge.core.panel import Panel, Point, Task
from edge.core.plan import Plan
from edge.core.snapshot import restore, snapshot
from edge.core.values import Kind, Transition

_ITS_OWN = (
    "value", "unknown", "heard_ms", "state", "is_heard", "is_clean", "is_restored", "broken_ms", "moved_ms",
    "is_watched", "troubles",
)  # fmt: skip


def reload(panel: Panel, plan: Plan, now_ms: int) -> tuple[Panel, tuple[Transition, ...]]:
    """The panel under a new plan, and a `clear` for each alarm or disablement of a point that the plan removes.

    A point whose plan is the same goes on as if nothing had happened, in the middle of its debounce; one whose plan has
    changed is unknown until it is heard, and what stood for it stands until then. A reset under way has failed.
    """
    new, told = restore(plan, snapshot(panel), now_ms)
    for code, point in new.points.items():
        old = panel.points.get(code)
        if old is not None and old.plan == point.plan:
            _carry(panel, old, new, point)
    for key, item in new.conditions.items():
        was = panel.conditions.get(key)
        if was is not None:
            item.word, item.is_flapping, item.is_present = was.word, was.is_flapping, was.is_present
    new.raises = {key: raises for key, raises in panel.raises.items() if key in new.conditions or key[1] in new.points}
    for (task, name), due_ms in panel.due.items():
        is_of_condition = task is Task.REST and any(name.endswith(" " + key[1]) for key in new.conditions)
        if is_of_condition or (task is Task.RECOVER and name in new.groups):
            new.call_at(due_ms, task, name)
    _carry_test(panel, new)
    return new, tuple(item for item in told if item.kind is not Kind.RESTORE)


def _carry(panel: Panel, old: Point, new: Panel, point: Point) -> None:
    for name in _ITS_OWN:
        setattr(point, name, getattr(old, name))
    for group in (point.bus, point.unit):
        was = panel.groups.get(group.code)
        group.heard_ms = max(group.heard_ms if was is None else was.heard_ms, point.heard_ms)
    for key in [key for key in new.conditions if key[1] == point.plan.code]:
        new.conditions[key].is_restored = panel.conditions[key].is_restored
    new.due.pop((Task.STALE, point.plan.code), None)
    for task in (Task.RULE, Task.STALE, Task.STUCK, Task.SETTLE):
        due_ms = panel.due.get((task, point.plan.code))
        if due_ms is not None:
            new.call_at(due_ms, task, point.plan.code)
    if point.is_clean:
        new.watch(point)


def _carry_test(panel: Panel, new: Panel) -> None:
    if panel.walk_test is None or new.walk_test is None:
        return
    new.walk_test.active = {code: since for code, since in panel.walk_test.active.items() if code in new.points}
    walk_test.watch(new, new.walk_test)
