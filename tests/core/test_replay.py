"""The replay does to a panel what the shell did, and a value that was not kept because it had not moved holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.plan import Plan, PointPlan, Rule, ZonePlan
from edge.core.replay import Replay
from edge.core.rules.contact import ContactRule
from edge.core.rules.heat import HeatRule
from edge.core.rules.loop import LoopRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.values import Act, Class, Kind, Operation, Reading, Transition, Unknown
from edge.journal.filter import ReadingFilter
from tests.core.courses import BOUND, Course, courses, plans
from tests.core.timeline import Timeline

RULES: dict[str, Rule] = {
    "leak": ThresholdRule(early=200, alarm=300, hysteresis=20, early_after_ms=10_000, alarm_after_ms=8_000,
                          clear_after_ms=30_000),
    "smoke": ContactRule(on_ms=1_500, off_ms=2_000),
    "loop": LoopRule(short_below=300, alarm_below=1_350, normal_below=2_200, hysteresis=50, after_ms=500,
                     clear_after_ms=2_000),
}  # fmt: skip
VALUES = {"leak": (90, 190, 210, 350), "smoke": (0, 1), "loop": (1_700, 100, 900, 3_000)}
HOME = Plan(
    tuple(
        PointPlan(code, "z", code, rule, Class.ELECTRICAL, Class.EARLY_WARNING, code) for code, rule in RULES.items()
    ),
    (ZonePlan("z"),),
)
DENSE_MS = 1_000


def replay_of(plan: Plan) -> tuple[Replay, list[Transition]]:
    noted: list[Transition] = []
    return Replay(plan, 0, noted.append), noted


@BOUND
@given(plans(), courses)
def test_what_was_recorded_whole_is_replayed_as_it_was(plan: Plan, course: Course):
    timeline = Timeline(plan)
    replay, noted = replay_of(plan)
    for pause_ms, item in course:
        timeline.until(timeline.now_ms + pause_ms)
        timeline.take(item)
        replay.take(item, timeline.now_ms)
    timeline.until(timeline.now_ms + 200_000)
    replay.until(timeline.now_ms)
    assert noted == timeline.noted


@BOUND
@given(st.lists(st.tuples(st.integers(1, 90), st.sampled_from(sorted(RULES)), st.integers(0, 3)), max_size=30))
def test_what_had_not_moved_holds(steps: list[tuple[int, str, int]]):
    """Every second in the home, by exception in the journal: the same raises and clears, at the same times."""
    timeline = Timeline(HOME)
    replay, noted = replay_of(HOME)
    picker = ReadingFilter({}, 900_000)
    values = {code: VALUES[code][0] for code in RULES}
    for seconds, code, choice in steps:
        values[code] = VALUES[code][choice % len(VALUES[code])]
        for _ in range(seconds):
            timeline.until(timeline.now_ms + DENSE_MS)
            readings = [Reading(code, value) for code, value in values.items()]
            for reading in readings:
                timeline.take(reading)
            for sample in picker.pick(readings, timeline.now_ms):
                replay.sample(Reading(sample.point, sample.value), timeline.now_ms)
    replay.until(timeline.now_ms)
    assert noted == timeline.noted


def test_what_was_lost_is_not_held():
    replay, noted = replay_of(HOME)
    for code in RULES:
        replay.sample(Reading(code, 90 if code == "leak" else 0 if code == "smoke" else 1_700), 0)
    replay.until(600_000)
    assert noted == []
    replay.sample(Reading("leak", None, Unknown.TIMEOUT), 600_000)
    replay.until(700_000)
    assert [(item.kind, item.condition, item.subject) for item in noted] == [(Kind.RAISE, Class.FAULT, "leak")]


def test_a_ceiling_that_jumped_by_a_deadband_is_judged():
    """A fire of 20 °C a minute, kept in steps of 0.82 °C: approximate, but not missed."""
    plan = Plan(
        (PointPlan("heat", "z", "heat", HeatRule(), Class.FIRE, Class.EARLY_WARNING, bus="heat"),), (ZonePlan("z"),)
    )
    replay, noted = replay_of(plan)
    picker = ReadingFilter({"heat": 820}, 900_000)
    for second in range(600):
        value = 21_000 + max(0, second - 300) * 333
        for sample in picker.pick([Reading("heat", value)], second * 1_000):
            replay.sample(Reading("heat", sample.value), second * 1_000)
    raised = [item for item in noted if item.kind is Kind.RAISE and item.condition is Class.FIRE]
    assert len(raised) == 1
    assert 300_000 < raised[0].at_ms < 300_000 + 150_000


@pytest.mark.parametrize("off_ms", [0, 5_000, 10**7])
def test_a_restart_keeps_what_stands_and_holds_nothing(off_ms: int):
    replay, noted = replay_of(HOME)
    replay.sample(Reading("smoke", 1), 0)
    replay.until(5_000)
    assert _alarms(noted) == [Kind.RAISE]
    replay.restart(10_000, off_ms)
    assert _alarms(noted) == [Kind.RAISE, Kind.RESTORE]
    for at_ms in range(12_000, 40_000, 1_000):
        replay.sample(Reading("smoke", 0), at_ms)
        if at_ms == 20_000:
            replay.take(Act(Operation.RESET, "x"), at_ms)
    assert _alarms(noted)[-1] is Kind.CLEAR


def _alarms(noted: list[Transition]) -> list[Any]:
    return [item.kind for item in noted if item.condition is Class.ELECTRICAL]
