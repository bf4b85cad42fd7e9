"""What holds for every point rule by itself: its deadlines, and that it raises neither too soon nor too late."""

from hypothesis import given
from hypothesis import strategies as st

from edge.core.panel import foreseen, new_panel
from edge.core.plan import Plan, PointPlan, Rule
from edge.core.rules import pressure
from edge.core.rules.contact import ContactRule
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.pressure import PressureRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.values import Class, Kind, Level, Operation, Reading
from tests.core.courses import BOUND, contacts, pauses, pressures, rules, thresholds, values
from tests.core.timeline import Timeline


@BOUND
@given(rules, st.lists(st.tuples(pauses, st.one_of(st.none(), values)), max_size=60))
def test_a_rule_names_its_next_deadline_in_the_future_and_comes_to_rest(
    rule: Rule, course: list[tuple[int, int | None]]
) -> None:
    point = new_panel(Plan((PointPlan("p", "z", "p", rule, Class.FIRE),), ()), 0).points["p"]
    now_ms = 0
    for pause_ms, value in course:
        now_ms += pause_ms
        while (due_ms := point.state.due_ms) is not None and due_ms <= now_ms:
            point.state = point.step(rule, point.state, None, due_ms)
        point.state = point.step(rule, point.state, value, now_ms)
        assert point.state.due_ms is None or point.state.due_ms > now_ms
        same = point.step(rule, point.state, None, now_ms)
        assert same == point.state
        assert foreseen(point).due_ms is None


@BOUND
@given(contacts, st.lists(st.tuples(st.integers(0, 500), st.booleans()), min_size=1, max_size=60))
def test_a_contact_raises_nothing_before_it_was_active_for_its_debounce(
    rule: ContactRule, course: list[tuple[int, bool]]
) -> None:
    timeline = Timeline(Plan((PointPlan("p", "z", "p", rule, Class.FIRE, fault_after_ms=None),), ()))
    active_ms, was_active = 0, False
    for pause_ms, is_active in course:
        before_ms = timeline.now_ms
        timeline.until(before_ms + pause_ms)
        timeline.take(Reading("p", int(is_active)))
        raised = [item.at_ms for item in timeline.noted if item.kind is Kind.RAISE]
        if raised:
            assert active_ms + (raised[0] - before_ms if was_active else 0) >= rule.on_ms
            return
        active_ms, was_active = active_ms + (pause_ms if was_active else 0), is_active


@BOUND
@given(thresholds, st.lists(st.tuples(st.integers(0, 20_000), values), min_size=1, max_size=60))
def test_a_threshold_raises_exactly_when_the_value_has_stood_beyond_it_for_its_delay(
    rule: ThresholdRule, course: list[tuple[int, int]]
) -> None:
    assert rule.alarm is not None
    timeline = Timeline(Plan((PointPlan("p", "z", "p", rule, Class.ELECTRICAL, fault_after_ms=None),), ()))
    since_ms: int | None = None
    for pause_ms, value in [*course, (0, 0)]:
        timeline.until(timeline.now_ms + pause_ms)
        is_up = (Class.ELECTRICAL, "p") in timeline.panel.conditions
        wanted = since_ms is not None and timeline.now_ms - since_ms >= rule.alarm_after_ms
        assert is_up == wanted
        if is_up:
            return
        timeline.take(Reading("p", value))
        if value < rule.alarm:
            since_ms = None
        elif since_ms is None:
            since_ms = timeline.now_ms


@BOUND
@given(contacts, st.integers(1, 100_000))
def test_a_button_found_pressed_asks_for_nothing_until_it_is_let_go_and_pressed(
    rule: ContactRule, held_ms: int
) -> None:
    button = PointPlan("p", "", "station", rule, Class.TEST, fault_after_ms=None, operation=Operation.SILENCE)
    timeline = Timeline(Plan((button,), ()))
    for _ in range(3):
        timeline.take(Reading("p", 1))
        timeline.until(timeline.now_ms + held_ms)
    assert not timeline.noted
    timeline.take(Reading("p", 0))
    timeline.until(timeline.now_ms + rule.off_ms)
    timeline.take(Reading("p", 1))
    timeline.until(timeline.now_ms + rule.on_ms)
    assert [(item.kind, item.who) for item in timeline.noted] == [(Kind.SILENCE, "station")]


@BOUND
@given(pressures, st.lists(st.tuples(pauses, values), min_size=1, max_size=60))
def test_a_bottle_is_low_only_after_a_day_and_gone_only_after_its_debounce(
    rule: PressureRule, course: list[tuple[int, int]]
) -> None:
    state, now_ms, began_ms, empty_ms = pressure.initial(), 0, None, None
    for pause_ms, value in course:
        now_ms += pause_ms
        began_ms = now_ms if began_ms is None else began_ms
        empty_ms = (now_ms if empty_ms is None else empty_ms) if value < rule.empty_below else None
        before, state = state, pressure.step(rule, state, value, now_ms)
        if state.word in ("low", "high"):
            assert now_ms - began_ms >= rule.day_ms
        if state.word in ("removed", "empty") and before.word != state.word:
            assert state.level is Level.ALARM
            assert empty_ms is not None and now_ms - empty_ms >= rule.empty_after_ms
        if empty_ms is not None and now_ms - empty_ms >= rule.empty_after_ms:
            assert state.word in ("removed", "empty")


@BOUND
@given(thresholds, st.integers(1, 100_000), st.lists(st.tuples(st.integers(0, 30_000), st.sampled_from([0, 0, 0, 7]))))
def test_a_transformer_reads_nothing_only_after_all_of_its_time_at_nothing(
    limits: ThresholdRule, zero_after_ms: int, course: list[tuple[int, int]]
) -> None:
    rule = LeakageRule(limits, zero_after_ms=zero_after_ms, is_loaded=True)
    timeline = Timeline(
        Plan((PointPlan("p", "z", "p", rule, Class.ELECTRICAL, fault_after_ms=None),), (), flap_count=0)
    )
    since_ms: int | None = None
    for pause_ms, value in course:
        timeline.until(timeline.now_ms + pause_ms)
        is_due = since_ms is not None and timeline.now_ms - since_ms >= zero_after_ms
        assert ((Class.FAULT, "p") in timeline.panel.conditions) == is_due
        timeline.take(Reading("p", value))
        since_ms = None if value else timeline.now_ms if since_ms is None else since_ms
