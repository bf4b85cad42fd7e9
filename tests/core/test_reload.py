"""A reload: what the new plan leaves as it is goes on undisturbed, and what it removes ends on record."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edge.core.plan import Plan
from edge.core.reload import reload
from edge.core.signals import signals
from edge.core.values import OUT_OF_SERVICE, Class, Kind, Transition
from tests.core.courses import Course, play, standing
from tests.core.test_service import BOUND, SEARCH, busy, homes
from tests.core.timeline import Timeline


def _going_on(plan: Plan, course: Course, at: int, is_reloaded: bool) -> tuple[Timeline, list[Transition]]:
    """A course with or without a reload of the same plan after its first `at` inputs; what was noted after that."""
    timeline = Timeline(plan)
    for number, (pause_ms, item) in enumerate([*course, (300_000, None)]):
        if number == at:
            timeline.noted.clear()
            if is_reloaded:
                timeline.panel, told = reload(timeline.panel, plan, timeline.now_ms)
                assert told == ()
                timeline.wake_at = timeline.now_ms + 1
        timeline.until(timeline.now_ms + pause_ms)
        if item is not None:
            timeline.take(item)
    return timeline, timeline.noted


def _is_under_way(plan: Plan, course: Course, at: int) -> bool:
    """Whether something runs that a reload cuts short on purpose: a reset, a self-test, a cut supply."""
    panel = play(plan, course[:at], rest_ms=0).panel
    return panel.reset is not None or panel.self_test is not None or bool(signals(panel).supply_cut)


@SEARCH
@given(busy, st.integers(0, 30))
def test_a_reload_of_the_same_plan_changes_no_alarm(home: tuple[Plan, Course], at: int) -> None:
    plan, course = home
    at %= len(course) + 1
    if _is_under_way(plan, course, at):
        return
    (left, with_reload), (right, without) = (_going_on(plan, course, at, is_reloaded) for is_reloaded in (True, False))
    ours, theirs = (_alarms(noted) for noted in (with_reload, without))
    assert sorted(map(repr, ours)) == sorted(map(repr, theirs))
    ours_now, theirs_now = (
        {key: item for key, item in standing(panel).items() if key[0] is not Class.FAULT}
        for panel in (left.panel, right.panel)
    )
    assert ours_now == theirs_now


def _alarms(noted: list[Transition]) -> list[Transition]:
    """Without faults: a silence that is being waited for may be told once more."""
    kinds = {Kind.RAISE, Kind.CLEAR, Kind.CONFIRM, Kind.PROVE}
    return [item for item in noted if item.kind in kinds and item.condition is not Class.FAULT]


@BOUND
@given(homes, st.data())
def test_what_is_removed_ends_on_record_and_nothing_else_does(home: tuple[Plan, Course], data: st.DataObject) -> None:
    plan, course = home
    panel = play(plan, course, rest_ms=0).panel
    gone = data.draw(st.sets(st.sampled_from([point.code for point in plan.points])))
    left = replace(plan, points=tuple(point for point in plan.points if point.code not in gone))
    after, told = reload(panel, left, panel.now_ms)
    ended = {(item.condition, item.subject) for item in told if item.kind is Kind.CLEAR}
    assert ended == panel.conditions.keys() - after.conditions.keys()
    assert all(item.why for item in told)
    for condition, subject in ended:
        assert subject in gone or subject not in after.groups or condition in OUT_OF_SERVICE
    for key in panel.conditions:
        if key[1] in after.points and key[0] not in (Class.TEST,):
            assert key in after.conditions
