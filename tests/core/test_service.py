"""Out of service, over random homes and courses: what is disabled or under test says so, ends in time and then alarms.

The properties of every panel are asked again of courses in which people also disable, test and answer.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import service
from edge.core.fold import fold
from edge.core.panel import Panel, meaning
from edge.core.plan import Plan, PointPlan, ZonePlan
from edge.core.refusals import refusal
from edge.core.rules.contact import ContactRule
from edge.core.signals import signals
from edge.core.snapshot import restore, snapshot
from edge.core.values import OUT_OF_SERVICE, TICK, Act, Class, Kind, Level, Operation, Reading, Transition, Unknown
from edge.core.walk_test import REAL_AFTER_MS
from tests.core import test_properties
from tests.core.courses import CODES, Course, items, pauses, plans, play

BOUND = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEARCH = settings(BOUND, max_examples=150)
"""For small and busy homes, whose courses are quick to play."""
times = st.sampled_from([0, 1_000, 60_000, 300_000, 10**10])
acts = st.builds(
    Act,
    st.sampled_from(Operation),
    st.just("李护士"),
    st.sampled_from(["", "换电池"]),
    st.sampled_from(["", *CODES, "z1", "z2", "forgotten", "question-1", "question-2"]),
    times,
    st.booleans(),
)
disabling = st.builds(
    Act, st.just(Operation.DISABLE), st.just("李护士"), st.just("换电池"), st.sampled_from([*CODES, "z1", "z2"]),
    st.sampled_from([1_000, 60_000, 300_000]), st.just(True),
)  # fmt: skip
testing = st.builds(
    Act, st.just(Operation.WALK_TEST), st.just("陈师傅"), st.just(""), st.sampled_from(["z1", "z2"]),
    st.sampled_from([1_000, 90_000, 300_000]),
)  # fmt: skip


@st.composite
def quick_plans(draw: st.DrawFn) -> Plan:
    """Small homes whose contacts act soon, so that much happens in a short course."""
    points = tuple(
        PointPlan(
            code, draw(st.sampled_from(["z1", "z1", "z2"])), code,
            ContactRule(draw(st.sampled_from([0, 300, 2_000])), draw(st.sampled_from([0, 2_000]))),
            draw(st.sampled_from([Class.FIRE, Class.FIRE, Class.ELECTRICAL, Class.SUPERVISORY])),
            bus="a", fault_after_ms=draw(st.sampled_from([None, 10_000])), confirms=draw(st.booleans()),
        )
        for code in CODES[: draw(st.integers(1, 3))]
    )  # fmt: skip
    return Plan(points, (ZonePlan("z1", 2_000, 3_000), ZonePlan("z2", 60_000, 0)))


quick: st.SearchStrategy[Course] = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 300, 2_000, 30_000, 60_000]),
        st.one_of(
            st.builds(Reading, st.sampled_from(CODES[:3]), st.sampled_from([0, 1, 1])),
            st.builds(Reading, st.sampled_from(CODES[:3]), st.sampled_from([0, 1, 1])),
            st.builds(Reading, st.sampled_from(CODES[:3]), st.none(), st.just(Unknown.TIMEOUT)),
            disabling, testing, acts,
        ),
    ),
    min_size=8,
    max_size=30,
)  # fmt: skip
operated: st.SearchStrategy[Course] = st.lists(
    st.tuples(pauses, st.one_of(items, items, acts, disabling, testing)), max_size=60
)
busy = st.tuples(quick_plans(), quick)
homes = st.one_of(st.tuples(plans(), operated), busy)

EVERYWHERE = [
    test_properties.test_raises_and_clears_alternate,
    test_properties.test_a_second_tick_changes_nothing_and_the_next_wake_is_in_the_future,
    test_properties.test_unknown_never_clears_and_never_lowers_a_level,
    test_properties.test_what_latches_ends_only_by_a_named_persons_reset,
    test_properties.test_the_worst_that_is_not_silenced_sounds,
    test_properties.test_no_supervised_point_is_silent_for_long_without_a_fault,
    test_properties.test_a_fire_is_confirmed_by_its_zones_cap_at_the_latest,
    test_properties.test_fires_are_numbered_in_the_order_they_come,
    test_properties.test_a_reset_ends_within_its_time_and_gives_the_supply_back,
    test_properties.test_the_order_of_points_in_the_plan_decides_nothing,
    test_properties.test_what_stands_survives_a_restart,
]


@pytest.mark.parametrize("holds", EVERYWHERE, ids=lambda holds: str(holds.__name__).removeprefix("test_"))
def test_what_holds_of_every_panel_holds_of_one_that_is_worked_on(holds: Callable[..., Any]) -> None:
    inner = holds.hypothesis.inner_test  # type: ignore[attr-defined]

    @BOUND
    @given(homes)
    def asked_again(home: tuple[Plan, Course]) -> None:
        more = [1_000_000] if holds is test_properties.test_what_stands_survives_a_restart else []
        inner(*home, *more)

    asked_again()


def _watch_service(panel: Panel, _: tuple[Transition, ...], until_ms: int) -> None:
    standing = {key for key in panel.conditions if key[0] in OUT_OF_SERVICE}
    expected = {(Class.DISABLED, code) for code in panel.disabled}
    if panel.walk_test is not None:
        expected.add((Class.TEST, panel.walk_test.zone))
        assert panel.walk_test.end_ms >= until_ms - 1, "a test ends when its time is up"
    assert standing == expected, "nothing is out of service without saying so"
    assert all(item.end_ms >= until_ms - 1 for item in panel.disabled.values()), "and nothing for longer than it said"
    assert ("lamp_disabled" in signals(panel).lamps) == bool(panel.disabled)


@SEARCH
@given(busy)
def test_nothing_is_out_of_service_without_saying_so_nor_longer_than_it_said(home: tuple[Plan, Course]) -> None:
    panel = play(*home, _watch_service).panel
    assert panel.walk_test is None and not panel.disabled, "five minutes later all is over"


@SEARCH
@given(busy)
def test_what_is_active_and_in_service_stands(home: tuple[Plan, Course]) -> None:
    """So a disablement or a test that ends with the point active has alarmed at that very moment."""

    def watch(panel: Panel, _: tuple[Transition, ...], __: int) -> None:
        for code, point in panel.points.items():
            means = meaning(point)
            if point.plan.operation is not None or point.state.level not in (Level.EARLY, Level.ALARM) or means is None:
                continue
            if not service.is_withheld(panel, point):
                assert (means, code) in panel.conditions or (point.plan.condition, code) in panel.conditions

    play(*home, watch)


@SEARCH
@given(busy)
def test_no_tested_point_is_active_for_more_than_a_minute_without_an_alarm(home: tuple[Plan, Course]) -> None:
    since: dict[str, int] = {}

    def watch(panel: Panel, _: tuple[Transition, ...], until_ms: int) -> None:
        for code, point in panel.points.items():
            if not service.is_tested(panel, point) or point.state.level is not Level.ALARM or code in panel.disabled:
                since.pop(code, None)
            elif until_ms - 1 - since.setdefault(code, panel.now_ms) > REAL_AFTER_MS:
                assert (point.plan.condition, code) in panel.conditions

    play(*home, watch)


@BOUND
@given(homes)
def test_what_is_refused_changes_nothing(home: tuple[Plan, Course]) -> None:
    def watch(panel: Panel, _: tuple[Transition, ...], __: int) -> None:
        before = snapshot(panel)
        for operation in Operation:
            act = Act(operation, "李护士", subject="nobody")
            if refusal(panel, act) is not None:
                service_of_panel = (dict(panel.disabled), panel.walk_test, panel.self_test, panel.question)
                fold(panel, act, panel.now_ms)
                assert (dict(panel.disabled), panel.walk_test, panel.self_test, panel.question) == service_of_panel
        assert snapshot(panel) == before

    play(*home, watch, rest_ms=0)


@BOUND
@given(homes, st.integers(0, 400_000), st.sampled_from([0, 60_000]))
def test_a_restart_makes_nothing_out_of_service_longer(home: tuple[Plan, Course], off_ms: int, unsaved_ms: int) -> None:
    before = play(*home, rest_ms=0).panel
    saved = json.loads(json.dumps(snapshot(before)))
    after, _ = restore(home[0], saved, 5_000_000, off_ms, unsaved_ms)
    assert after.disabled.keys() == before.disabled.keys()
    for code, item in after.disabled.items():
        was = before.disabled[code]
        assert (item.who, item.why) == (was.who, was.why)
        assert item.end_ms - after.now_ms == was.end_ms - before.now_ms - off_ms - unsaved_ms
    assert (after.walk_test is None) == (before.walk_test is None)
    for code, point in after.points.items():
        was_ms = before.points[code].proven_ms
        age_ms = None if was_ms is None else before.now_ms - was_ms + off_ms
        assert (None if point.proven_ms is None else after.now_ms - point.proven_ms) == age_ms
    timeline_end = {(item.kind, item.subject) for item in _let_pass(after) if item.condition is Class.DISABLED}
    assert timeline_end >= {(Kind.CLEAR, code) for code in before.disabled}


def _let_pass(panel: Panel) -> list[Transition]:
    noted: list[Transition] = []
    wake_at: int | None = panel.now_ms
    while wake_at is not None and wake_at <= 5_000_000 + 400_000:
        panel, transitions, wake_at = fold(panel, TICK, wake_at)
        noted.extend(transitions)
    return noted
