"""Any home and any course of events, for the properties that hold for all of them.

The shell is `tests.core.timeline`, which ticks on time. A course is a list of (milliseconds until then, input).
"""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from edge.core.panel import Panel
from edge.core.plan import SETTLE_MS, Plan, PointPlan, Rule, ZonePlan
from edge.core.rules.contact import ContactRule
from edge.core.rules.heat import HeatRule
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.loop import LoopRule
from edge.core.rules.measure import MeasureRule
from edge.core.rules.pressure import PressureRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.values import TICK, Act, Class, Hour, Input, Learned, Operation, Reading, Transition, Unknown
from tests.core.timeline import Timeline

Course = list[tuple[int, Input]]

# A busy machine is slow to draw a course; that says nothing about the core.
BOUND = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

delays = st.sampled_from([0, 1, 300, 2_000, 10_000, 70_000])
contacts = st.builds(ContactRule, on_ms=delays, off_ms=delays)
thresholds = st.builds(
    ThresholdRule,
    early=st.sampled_from([None, 20]),
    alarm=st.sampled_from([30, 40]),
    hysteresis=st.integers(0, 5),
    early_after_ms=delays,
    alarm_after_ms=delays,
    clear_after_ms=delays,
)
falling = st.builds(ThresholdRule, st.none(), st.just(15), st.just(3), delays, delays, delays, st.just(True))
loops = st.builds(
    LoopRule, st.just(10), st.just(20), st.just(40), st.just(2), delays, delays, alarm_resistors=st.booleans()
)
heats = st.builds(HeatRule)
CODES = [f"p{n}" for n in range(6)]
# Days of two minutes, so that a course has some; besides, any point may be another one's temperature or load.
pressures = st.builds(
    PressureRule,
    low=st.just(20),
    high=st.just(39),
    hysteresis=st.integers(0, 3),
    empty_below=st.just(5),
    full_from=st.just(15),
    sudden_ms=delays,
    empty_after_ms=delays,
    refill=st.just(10),
    clear_after_ms=delays,
    day_ms=st.sampled_from([2_000, 120_000]),
    lowest=st.just(-1),
    highest=st.sampled_from([60, 90_000]),
    beside=st.sampled_from(["", *CODES]),
)
leakages = st.builds(
    LeakageRule,
    limits=thresholds,
    zero_after_ms=st.sampled_from([None, 2_000, 70_000]),
    is_loaded=st.booleans(),
    beside=st.sampled_from(["", *CODES]),
    growth=st.sampled_from([None, 2]),
    day_ms=st.sampled_from([2_000, 120_000]),
)
measures = st.builds(MeasureRule)
rules: st.SearchStrategy[Rule] = st.one_of(
    contacts, thresholds, falling, loops, heats, pressures, leakages, leakages, measures
)
values = st.sampled_from([0, 1, 5, 12, 15, 18, 19, 20, 25, 29, 30, 39, 40, 60, 21_000, 60_000, 90_000])
unknowns = st.sampled_from(Unknown)
pauses = st.one_of(st.integers(0, 3), st.sampled_from([150, 300, 1_000, 2_000, 9_999, 10_000, 30_000, 60_000, 120_000]))


@st.composite
def _points(draw: st.DrawFn, code: str) -> PointPlan:
    bus = draw(st.sampled_from(["a", "b", ""]))
    return PointPlan(
        code=code,
        zone=draw(st.sampled_from(["z1", "z2", "forgotten"])),
        place=code,
        rule=draw(rules),
        condition=draw(st.sampled_from([Class.FIRE, Class.FIRE, Class.ELECTRICAL, Class.SUPERVISORY, Class.FAULT])),
        early=draw(st.sampled_from([None, Class.EARLY_WARNING, Class.SUPERVISORY])),
        bus=bus,
        unit=f"{bus}/{draw(st.integers(1, 2))}" if bus and draw(st.booleans()) else "",
        fault_after_ms=draw(st.sampled_from([None, 1_000, 3_000, 10_000, 60_000, 62_000, 90_000])),
        confirms=draw(st.booleans()),
        operation=draw(st.sampled_from([None, None, None, *Operation])),
        lamp=draw(st.sampled_from(["", "lamp_supply"])),
        stuck_after_ms=draw(st.sampled_from([None, None, 3_000, 60_000])),
        settle_ms=draw(st.sampled_from([SETTLE_MS, 25_000])),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    codes = CODES[: draw(st.integers(1, len(CODES)))]
    zones = (ZonePlan("z1", draw(delays), 3_000), ZonePlan("z2", draw(delays), 0))
    within_ms = draw(st.sampled_from([0, 15_000]))
    flap_count, rest_ms = draw(st.sampled_from([0, 2, 3, 5])), draw(st.sampled_from([5_000, 600_000]))
    points = tuple(draw(_points(code)) for code in codes)
    return Plan(points, zones, reset_within_ms=within_ms, flap_count=flap_count, flap_rest_ms=rest_ms)


usual = st.lists(st.sampled_from([10, 15, 25, 100]), min_size=24, max_size=24).map(tuple)
items: st.SearchStrategy[Input] = st.one_of(
    st.builds(Reading, st.sampled_from([*CODES, "nobody"]), values),
    st.builds(Reading, st.sampled_from(CODES), values),
    st.builds(Reading, st.sampled_from([*CODES, "nobody"]), st.none(), st.one_of(st.none(), unknowns)),
    st.builds(Act, st.sampled_from(Operation), st.just("李护士")),
    st.just(TICK),
    st.builds(Hour, st.sampled_from([None, 0, 7, 23])),
    st.builds(Learned, st.sampled_from([*CODES, "nobody"]), usual),
)
courses = st.lists(st.tuples(pauses, items), max_size=60)
Watch = Callable[[Panel, tuple[Transition, ...], int], None]


class Watched(Timeline):
    """A timeline that has something checked after each input: panel, its transitions, until when nothing more comes."""

    def __init__(self, plan: Plan, watch: Watch) -> None:
        super().__init__(plan)
        self._watch = watch

    def take(self, item: Input) -> None:
        before = len(self.noted)
        super().take(item)
        self._watch(self.panel, tuple(self.noted[before:]), self.wake_at or self.now_ms + 1)


def play(plan: Plan, course: Course, watch: Watch = lambda *_: None, rest_ms: int = 300_000) -> Watched:
    """The whole course with a shell that ticks on time, and then `rest_ms` in which nothing comes in."""
    timeline = Watched(plan, watch)
    for pause_ms, item in course:
        timeline.until(timeline.now_ms + pause_ms)
        timeline.take(item)
    timeline.until(timeline.now_ms + rest_ms)
    return timeline


def standing(panel: Panel) -> dict[tuple[Class, str], tuple[Any, ...]]:
    return {
        key: (item.zone, item.order, item.is_acknowledged, item.is_silenced) for key, item in panel.conditions.items()
    }
