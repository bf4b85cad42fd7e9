"""The panel: everything the core remembers between two inputs.

A panel belongs to one caller, who passes it to `fold` and takes it back. It is changed in place: copying the state of
five hundred points for each of five hundred readings a second would make the decision slower the bigger the home is.
Everything else about `fold` is pure: the same panel and the same input give the same answer, on any machine, at any
time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from heapq import heapify, heappush
from typing import Any

from edge.core.plan import Plan, PointPlan, Rule, ZonePlan
from edge.core.rules import contact, heat, leakage, loop, measure, pressure, threshold
from edge.core.values import Class, Level, Transition, Unknown

RULES: dict[type[Rule], Any] = {
    contact.ContactRule: contact,
    threshold.ThresholdRule: threshold,
    heat.HeatRule: heat,
    loop.LoopRule: loop,
    pressure.PressureRule: pressure,
    leakage.LeakageRule: leakage,
    measure.MeasureRule: measure,
}
"""The module of each rule: its `initial()` and `step(rule, state, value, now_ms)`.

A state has its `level`, the `due_ms` at which time alone may change it, and, where the level does not say what is
wrong, a `word` that does. A module may also have: `refuses(rule, value)`, why a reading is none; `beside(rule, state,
value, now_ms)`, what the point named in `rule.beside` reads; `at_hour(rule, state, hour)` and `learned(rule, state,
usual)`; `remember(state, now_ms)` and `recall(saved, now_ms, off_ms)` for what has to outlive a restart; `says(rule,
state, now_ms)`, what it can tell people.
"""


SWEEP_FROM = 64
"""How many outdated deadlines are never worth a sweep."""


class Task(IntEnum):
    """What a deadline is for; in this order where several fall on one millisecond."""

    RULE = 0
    SETTLE = 1
    STALE = 2
    RECOVER = 3
    CONFIRM = 4
    RESET_SUPPLY = 5
    RESET_END = 6
    REMIND = 7
    REST = 8
    STUCK = 9
    EXPIRE = 10
    REMIND_SERVICE = 11
    TEST_REAL = 12
    TEST_PULSE = 13
    TEST_SUPPLY = 14
    SELF_TEST = 15
    UNANSWERED = 16


class Group:
    """A unit or a bus: what dies as one. `heard_ms` is when any of its points last gave a value."""

    __slots__ = ("code", "fault_after_ms", "heard_ms", "is_down", "points")

    def __init__(self, code: str, heard_ms: int) -> None:
        self.code = code
        self.points: list[Point] = []
        self.fault_after_ms = 0
        self.heard_ms = heard_ms
        self.is_down = False


class Point:
    """A point's running state. `is_clean` is the fast path's promise: heard, not unknown, nothing above it down.

    `heard_ms` is the last good reading, or the start before the first one (`is_heard`). `has_more` says that a reading
    has to pass `readings.admit` first: a rule that refuses some, a value that must move, points that are told of it.
    `broken_ms` is since when the device itself says that its sensor is broken; `troubles` what else is wrong with the
    point (`troubles`), for as long as it is; `is_watched` whether a deadline for its next move is set. `proven_ms` is
    when it was last seen to reach its alarm level, in a test or for real; before the start where negative.
    """

    __slots__ = (
        "broken_ms", "bus", "followers", "has_more", "has_words", "heard_ms", "is_clean", "is_heard", "is_restored",
        "is_watched", "module", "moved_ms", "plan", "proven_ms", "refuses", "rule", "state", "step", "troubles", "unit",
        "unknown", "value",
    )  # fmt: skip

    def __init__(self, plan: PointPlan, bus: Group, unit: Group, now_ms: int) -> None:
        self.module = RULES[type(plan.rule)]
        self.plan = plan
        self.rule = plan.rule
        self.step: Callable[[Any, Any, int | None, int], Any] = self.module.step
        self.state = self.module.initial()
        self.has_words = hasattr(self.state, "word")
        self.bus = bus
        self.unit = unit
        self.value: int | None = None
        self.unknown: Unknown | None = Unknown.NOT_POLLED
        self.is_heard = False
        self.is_clean = False
        self.is_restored = False
        self.heard_ms = now_ms
        self.broken_ms: int | None = None
        self.moved_ms = now_ms
        self.is_watched = False
        self.troubles: set[str] = set()
        self.followers: list[Point] = []
        self.refuses: Callable[[Any, int], Unknown | None] | None = getattr(self.module, "refuses", None)
        self.has_more = plan.stuck_after_ms is not None or self.refuses is not None
        self.proven_ms: int | None = None


@dataclass(slots=True)
class Condition:
    """Something that is so until it is cleared: an alarm, a warning, a fault. `word` says more of it than its class
    does; one that `is_flapping` is held when it goes, until it has been gone for a while."""

    condition: Class
    subject: str
    zone: str
    raised_ms: int
    order: int = 0
    is_present: bool = True
    is_acknowledged: bool = False
    is_silenced: bool = False
    is_resetting: bool = False
    is_restored: bool = False
    word: str = ""
    is_flapping: bool = False


class Zone:
    """A zone's running state."""

    __slots__ = ("is_confirmed", "plan")

    def __init__(self, plan: ZonePlan) -> None:
        self.plan = plan
        self.is_confirmed = False


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset under way until `end_ms`: a reading heard after `fresh_ms` may clear. The detectors of `supply_zones` are
    cut off until then."""

    who: str
    fresh_ms: int
    end_ms: int
    supply_zones: frozenset[str]


@dataclass(frozen=True, slots=True)
class Disablement:
    """A point that is out of service until `end_ms`."""

    who: str
    why: str
    end_ms: int


@dataclass(slots=True)
class WalkTest:
    """A zone under test until `end_ms`. `active` are the points that alarmed in it, with when and whether the supply of
    their zone was cut for them; `proven` has all that did. `is_cut`: the supply of the zone's detectors is cut."""

    zone: str
    who: str
    why: str
    end_ms: int
    proven: set[str]
    active: dict[str, tuple[int, bool]]
    is_cut: bool = False


class Step(IntEnum):
    """What a self-test drives at the moment."""

    SOUND = 0
    SIRENS = 1


@dataclass(frozen=True, slots=True)
class SelfTest:
    """A self-test under way; `step_ms` is when its step began."""

    who: str
    step: Step
    step_ms: int


@dataclass(frozen=True, slots=True)
class Question:
    """A duty check of the bureau that waits for its answer until `end_ms`."""

    id: str
    text: str
    end_ms: int


class Panel:
    """See the module's docstring. Made by `new_panel`, or by `snapshot.restore` after a restart."""

    def __init__(self, plan: Plan, now_ms: int) -> None:
        self.plan = plan
        self.now_ms = now_ms
        self.groups: dict[str, Group] = {}
        self.points: dict[str, Point] = {}
        self.zones = {zone.code: Zone(zone) for zone in plan.zones}
        self.conditions: dict[tuple[Class, str], Condition] = {}
        self.lamps: dict[str, list[Point]] = {}
        self.reset: Reset | None = None
        self.disabled: dict[str, Disablement] = {}
        self.walk_test: WalkTest | None = None
        self.self_test: SelfTest | None = None
        self.question: Question | None = None
        self.last_question = ""
        self.fire_order = 0
        self.raises: dict[tuple[Class, str], list[int]] = {}
        self.due: dict[tuple[Task, str], int] = {}
        self.deadlines: list[tuple[int, Task, str]] = []
        self.out: list[Transition] = []
        for point in plan.points:
            self._add(point, now_ms)
        for added in self.points.values():
            self._follow(added)

    def _follow(self, point: Point) -> None:
        named = self.points.get(getattr(point.rule, "beside", ""))
        if named is not None and named is not point:
            named.followers.append(point)
            named.has_more = True

    def _add(self, plan: PointPlan, now_ms: int) -> None:
        bus = self._group(plan.bus or plan.code, now_ms)
        unit = self._group(plan.unit, now_ms) if plan.unit else bus
        point = Point(plan, bus, unit, now_ms)
        self.points[plan.code] = point
        if plan.lamp:
            self.lamps.setdefault(plan.lamp, []).append(point)
        # A fire in a zone that the plan forgot is confirmed all the same.
        self.zones.setdefault(plan.zone, Zone(ZonePlan(plan.zone)))
        for group in {bus.code: bus, unit.code: unit}.values():
            group.points.append(point)
            if plan.fault_after_ms is not None:
                group.fault_after_ms = min(group.fault_after_ms or plan.fault_after_ms, plan.fault_after_ms)
        self.watch(point)

    def _group(self, code: str, now_ms: int) -> Group:
        return self.groups.setdefault(code, Group(code, now_ms))

    def call_at(self, at_ms: int, task: Task, subject: str) -> None:
        """Have `task` done at `at_ms` instead of when it was due before; what is due by now waits a millisecond.

        The heap is lazy: `due` alone says what holds, and what does not is swept out before it outgrows what does.
        """
        at_ms = max(at_ms, self.now_ms + 1)
        self.due[(task, subject)] = at_ms
        if len(self.deadlines) > 2 * len(self.due) + SWEEP_FROM:
            self.deadlines[:] = [(due_ms, *key) for key, due_ms in self.due.items()]
            heapify(self.deadlines)
        else:
            heappush(self.deadlines, (at_ms, task, subject))

    def watch(self, point: Point) -> None:
        """Have the point looked after: without a good reading for `fault_after_ms` it is at fault."""
        code, fault_after_ms = point.plan.code, point.plan.fault_after_ms
        if fault_after_ms is not None and (Task.STALE, code) not in self.due:
            self.call_at(point.heard_ms + fault_after_ms, Task.STALE, code)

    def of_class(self, *classes: Class) -> Iterable[Condition]:
        """The standing conditions of these classes, oldest first."""
        return [item for item in self.conditions.values() if item.condition in classes]


def new_panel(plan: Plan, now_ms: int) -> Panel:
    """A panel on which every point is unknown, never normal."""
    return Panel(plan, now_ms)


def meaning(point: Point) -> Class | None:
    """The class that the point's level stands for now."""
    level = point.state.level
    if level is Level.NORMAL:
        return None
    if level is Level.ALARM:
        return point.plan.condition
    return point.plan.early if level is Level.EARLY else Class.FAULT


def foreseen(point: Point) -> Any:
    """The state that the point's rule comes to by time alone, if no reading changes it."""
    state = point.state
    while state.due_ms is not None:
        state = point.step(point.rule, state, None, state.due_ms)
    return state
