"""Leakage: whatever is learned only tightens, and what time alone may do."""

from hypothesis import given
from hypothesis import strategies as st

from edge.core.plan import Plan, PointPlan
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.values import Class, Hour, Kind, Learned, Reading, Transition
from tests.core.courses import BOUND
from tests.core.timeline import Timeline

LIMITS = ThresholdRule(200, 300, 20, early_after_ms=10_000, alarm_after_ms=8_000, clear_after_ms=30_000)
PLAN = Plan(
    (PointPlan("leak", "z", "l", LeakageRule(LIMITS), Class.ELECTRICAL, Class.EARLY_WARNING, fault_after_ms=None),), (),
    flap_count=0,
)  # fmt: skip

usual = st.lists(st.sampled_from([50, 120, 199, 200, 250, 1 << 53]), min_size=24, max_size=24).map(tuple)
hours = st.one_of(st.none(), st.integers(0, 23))
readings = st.lists(st.tuples(st.integers(1, 20_000), st.sampled_from([0, 60, 130, 180, 210, 290, 310])), max_size=40)


def raised(course: list[tuple[int, int]], told: list[Learned | Hour]) -> list[Transition]:
    timeline = Timeline(PLAN)
    for item in told:
        timeline.take(item)
    for pause_ms, value in course:
        timeline.until(timeline.now_ms + pause_ms)
        timeline.take(Reading("leak", value))
    timeline.until(timeline.now_ms + 60_000)
    return [item for item in timeline.noted if item.kind is Kind.RAISE]


@BOUND
@given(readings, usual, hours)
def test_what_is_learned_only_tightens(
    course: list[tuple[int, int]], limits: tuple[int, ...], hour: int | None
) -> None:
    plain, tight = raised(course, []), raised(course, [Learned("leak", limits), Hour(hour)])
    alarms = [[item.at_ms for item in found if item.condition is Class.ELECTRICAL] for found in (plain, tight)]
    assert alarms[0] == alarms[1]
    first = [next((item.at_ms for item in found), None) for found in (plain, tight)]
    if first[0] is not None:
        assert first[1] is not None and first[1] <= first[0]


@BOUND
@given(readings, usual, st.integers(0, 23))
def test_no_hour_is_stricter_than_an_unknown_one(
    course: list[tuple[int, int]], limits: tuple[int, ...], hour: int
) -> None:
    known, unknown = (raised(course, [Learned("leak", limits), Hour(item)]) for item in (hour, None))
    if known:
        assert unknown and unknown[0].at_ms <= known[0].at_ms


@BOUND
@given(readings, st.lists(st.integers(-5, 500), max_size=30).filter(lambda found: len(found) != 24))
def test_nonsense_is_not_learned(course: list[tuple[int, int]], limits: list[int]) -> None:
    assert raised(course, [Learned("leak", tuple(limits)), Hour(3)]) == raised(course, [])
