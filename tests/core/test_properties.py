"""What holds for every home and every course of events: the promises of the panel, over random plans and inputs."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edge.core.fold import fold
from edge.core.panel import Panel, Point, new_panel
from edge.core.plan import Plan, PointPlan, Rule
from edge.core.rules.contact import ContactRule
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.loop import LoopRule
from edge.core.rules.pressure import PressureRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.signals import signals
from edge.core.snapshot import restore, snapshot
from edge.core.values import LATCHING, OUT_OF_SERVICE, TICK, Class, Input, Kind, Level, Reading, Transition, Unknown
from tests.core.courses import BOUND, CODES, Course, courses, items, plans, play, standing
from tests.core.timeline import Timeline

WEIGHT = {Level.NORMAL: 0, Level.FAULT: 1, Level.EARLY: 2, Level.ALARM: 3}


@BOUND
@given(plans(), courses)
def test_raises_and_clears_alternate(plan: Plan, course: Course) -> None:
    up: set[tuple[Class | None, str]] = set()
    for item in play(plan, course).noted:
        key = (item.condition, item.subject)
        if item.kind is Kind.RAISE:
            assert key not in up
            up.add(key)
        elif item.kind is Kind.CLEAR:
            up.remove(key)


@BOUND
@given(plans(), courses)
def test_a_second_tick_changes_nothing_and_the_next_wake_is_in_the_future(plan: Plan, course: Course) -> None:
    panel = new_panel(plan, 0)
    now_ms = 0
    for pause_ms, item in course:
        now_ms += pause_ms
        panel, _, wake_at = fold(panel, item, now_ms)
        assert wake_at is None or wake_at > now_ms
        was = standing(panel)
        panel, transitions, again_at = fold(panel, TICK, now_ms)
        assert (transitions, again_at, standing(panel)) == ((), wake_at, was)


@BOUND
@given(plans(), courses)
def test_unknown_never_clears_and_never_lowers_a_level(plan: Plan, course: Course) -> None:
    levels = dict.fromkeys(CODES, Level.NORMAL)

    def watch(panel: Panel, transitions: tuple[Transition, ...], _: int) -> None:
        for code, point in panel.points.items():
            if point.unknown is not None:
                assert WEIGHT[point.state.level] >= WEIGHT[levels[code]]
            levels[code] = point.state.level
        told = {item.subject for item in transitions if item.kind is Kind.RAISE}
        # What a person took out of service says nothing of the point: its end is no sign that all is well.
        cleared = [item for item in transitions if item.condition not in OUT_OF_SERVICE]
        for item in cleared:
            # What time alone makes worse is told as the worse, and ends as what it was, in the same moment.
            if item.kind is Kind.CLEAR and item.subject in panel.points and item.subject not in told:
                assert panel.points[item.subject].unknown is None

    play(plan, course, watch)


@BOUND
@given(plans(), courses)
def test_what_latches_ends_only_by_a_named_persons_reset(plan: Plan, course: Course) -> None:
    for item in play(plan, course).noted:
        if item.kind is Kind.CLEAR and item.condition in LATCHING:
            assert item.who


@BOUND
@given(plans(), courses, st.lists(st.integers(0, 20_000), max_size=20))
def test_a_recorded_log_replays_identically_and_extra_ticks_change_nothing(
    plan: Plan, course: Course, ticks: list[int]
) -> None:
    log: list[tuple[int, Input]] = []

    class Recorded(Timeline):
        def take(self, item: Input) -> None:
            log.append((self.now_ms, item))
            super().take(item)

    timeline = Recorded(plan)
    for pause_ms, item in course:
        timeline.until(timeline.now_ms + pause_ms)
        timeline.take(item)
    assert _replayed(plan, log) == timeline.noted
    crowded = sorted([*log, *((at_ms, TICK) for at_ms in ticks)], key=lambda entry: entry[0])
    assert [item for item in _replayed(plan, crowded) if item.at_ms <= timeline.now_ms] == timeline.noted


def _replayed(plan: Plan, log: Course) -> list[Transition]:
    panel = new_panel(plan, 0)
    noted: list[Transition] = []
    for at_ms, item in log:
        panel, transitions, _ = fold(panel, item, at_ms)
        noted.extend(transitions)
    return noted


@BOUND
@given(plans(), courses)
def test_the_order_of_points_in_the_plan_decides_nothing(plan: Plan, course: Course) -> None:
    turned = replace(plan, points=plan.points[::-1], zones=plan.zones[::-1])
    ours, theirs = (
        [(item.at_ms, item.kind, item.condition, item.zone, item.subject, item.order, item.who) for item in noted]
        for noted in (play(plan, course).noted, play(turned, course).noted)
    )
    assert sorted(ours, key=repr) == sorted(theirs, key=repr)


@BOUND
@given(plans(), courses, st.integers(0, 10**9))
def test_what_stands_survives_a_restart(plan: Plan, course: Course, booted_ms: int) -> None:
    before = play(plan, course, rest_ms=0).panel
    resetting = {key for key, item in before.conditions.items() if item.is_resetting}
    after, transitions = restore(plan, json.loads(json.dumps(snapshot(before))), booted_ms)
    assert {(item.condition, item.subject) for item in transitions} == before.conditions.keys()
    assert all(item.kind is Kind.RESTORE for item in transitions)
    was, now = standing(before), standing(after)
    assert was.keys() == now.keys()
    for key in was.keys() - resetting:
        assert was[key] == now[key]
    for code in {item.zone for item in before.conditions.values() if item.condition is Class.FIRE}:
        assert after.zones[code].is_confirmed == before.zones[code].is_confirmed
    after, transitions, wake_at = fold(after, TICK, booted_ms)
    assert not any(item.kind is Kind.CLEAR for item in transitions)
    assert wake_at is None or wake_at > booted_ms


@BOUND
@given(plans(), courses)
def test_the_worst_that_is_not_silenced_sounds(plan: Plan, course: Course) -> None:
    def watch(panel: Panel, _: tuple[Transition, ...], __: int) -> None:
        shown = signals(panel)
        loud = {item.condition for item in panel.conditions.values() if not item.is_silenced}
        if Class.FIRE in loud:
            assert shown.sound is Class.FIRE
        elif Class.ELECTRICAL in loud:
            assert shown.sound is Class.ELECTRICAL
        if not loud:
            assert shown.sound is None and not shown.sirens
        fires = {item.zone for item in panel.conditions.values() if item.condition is Class.FIRE}
        assert shown.sirens <= shown.fire <= fires
        assert ("lamp_fire" in shown.lamps) == bool(fires)

    play(plan, course, watch)


@BOUND
@given(plans(), courses)
def test_a_raise_sounds_until_somebody_acts(plan: Plan, course: Course) -> None:
    def watch(panel: Panel, transitions: tuple[Transition, ...], _: int) -> None:
        acts = {Kind.ACKNOWLEDGE, Kind.SILENCE}
        if any(item.kind is Kind.RAISE for item in transitions) and not acts & {item.kind for item in transitions}:
            assert signals(panel).sound is not None or not panel.conditions

    play(plan, course, watch)


@BOUND
@given(plans(), st.lists(st.tuples(st.integers(-100_000, 100_000), items), max_size=40))
def test_time_that_goes_backwards_does_no_harm(plan: Plan, course: Course) -> None:
    panel = new_panel(plan, 500_000)
    now_ms = latest_ms = 500_000
    for step_ms, item in course:
        now_ms += step_ms
        latest_ms = max(latest_ms, now_ms)
        panel, transitions, wake_at = fold(panel, item, now_ms)
        assert all(item.at_ms == latest_ms for item in transitions)
        assert wake_at is None or wake_at > latest_ms


@BOUND
@given(plans(), courses)
def test_no_supervised_point_is_silent_for_long_without_a_fault(plan: Plan, course: Course) -> None:
    def watch(panel: Panel, _: tuple[Transition, ...], until_ms: int) -> None:
        for point in panel.points.values():
            if not _is_fresh(point, until_ms - 1):
                subjects = {point.plan.code, point.unit.code, point.bus.code}
                assert any((Class.FAULT, subject) in panel.conditions for subject in subjects), point.plan.code

    play(plan, course, watch)


def _is_fresh(point: Point, now_ms: int) -> bool:
    fault_after_ms = point.plan.fault_after_ms
    return fault_after_ms is None or now_ms - point.heard_ms <= fault_after_ms + point.plan.settle_ms


@BOUND
@given(plans(), courses)
def test_a_fault_of_a_unit_or_bus_means_that_something_behind_it_is_silent(plan: Plan, course: Course) -> None:
    def watch(panel: Panel, transitions: tuple[Transition, ...], _: int) -> None:
        for item in transitions:
            if item.kind is Kind.RAISE and item.condition is Class.FAULT and item.subject not in panel.points:
                group = panel.groups[item.subject]
                assert len(group.points) > 0 and panel.now_ms - group.heard_ms >= group.fault_after_ms > 0

    play(plan, course, watch)


@BOUND
@given(plans(), courses)
def test_an_active_contact_alarms_when_its_debounce_is_over(plan: Plan, course: Course) -> None:
    since: dict[str, int | None] = {}

    def watch(panel: Panel, _: tuple[Transition, ...], until_ms: int) -> None:
        for code, point in panel.points.items():
            if not isinstance(point.rule, ContactRule) or point.plan.operation is not None or not point.is_heard:
                continue
            if not point.value:
                since[code] = None
            elif since.get(code) is None:
                since[code] = point.heard_ms
            since_ms = since[code]
            if since_ms is not None and until_ms - 1 - since_ms >= point.rule.on_ms:
                assert (point.plan.condition, code) in panel.conditions

    play(plan, course, watch)


@BOUND
@given(plans(), courses)
def test_fires_are_numbered_in_the_order_they_come(plan: Plan, course: Course) -> None:
    highest, up = 0, set[str]()
    for item in play(plan, course).noted:
        if item.condition is Class.FIRE and item.kind is Kind.RAISE:
            highest = highest + 1 if up else 1
            up.add(item.subject)
            assert item.order == highest
        elif item.condition is Class.FIRE and item.kind is Kind.CLEAR:
            up.remove(item.subject)


@BOUND
@given(plans(), courses)
def test_a_fire_is_confirmed_by_its_zones_cap_at_the_latest(plan: Plan, course: Course) -> None:
    def watch(panel: Panel, _: tuple[Transition, ...], until_ms: int) -> None:
        for item in panel.conditions.values():
            if item.condition is Class.FIRE:
                zone = panel.zones[item.zone]
                assert zone.is_confirmed or until_ms - 1 - item.raised_ms < zone.plan.confirm_after_ms

    play(plan, course, watch)


@BOUND
@given(plans(), courses)
def test_a_reset_ends_within_its_time_and_gives_the_supply_back(plan: Plan, course: Course) -> None:
    def watch(panel: Panel, _: tuple[Transition, ...], until_ms: int) -> None:
        assert panel.reset is not None or not any(item.is_resetting for item in panel.conditions.values())
        if panel.reset is not None:
            assert panel.reset.end_ms >= until_ms - 1
            assert not panel.reset.supply_zones or panel.reset.fresh_ms >= until_ms

    play(plan, course, watch)


@BOUND
@given(plans(), courses)
def test_deadlines_stay_few(plan: Plan, course: Course) -> None:
    panel = new_panel(plan, 0)
    now_ms = 0
    for _ in range(20):
        for pause_ms, item in course:
            now_ms += pause_ms
            panel, _, _ = fold(panel, item, now_ms)
    assert len(panel.due) <= 4 * len(panel.points) + 3 * len(panel.groups) + len(panel.zones) + 2
    assert len(panel.deadlines) <= 2 * len(panel.due) + 65


def test_a_home_that_flaps_for_days_keeps_its_deadlines_few() -> None:
    rules: list[Rule] = [
        ContactRule(400, 2_000),
        ThresholdRule(20, 30, 2, 86_400_000, 1_000, 86_400_000),
        LoopRule(10, 20, 40, 2, 500, 60_000),
    ]
    plan = Plan(
        tuple(PointPlan(f"p{n}", "z", "p", rule, Class.SUPERVISORY, bus="a") for n, rule in enumerate(rules)), ()
    )
    timeline = Timeline(plan)
    most = 0
    for n in range(20_000):
        timeline.until(timeline.now_ms + (7, 90, 1_900, 61_000)[n % 4])
        for point in plan.points:
            timeline.take(Reading(point.code, None if n % 5 == 0 else (0, 25, 1, 35)[n // 2 % 4], Unknown.TIMEOUT))
        most = max(most, len(timeline.panel.deadlines))
    assert most < 100


@BOUND
@given(plans(), courses)
def test_what_flaps_is_told_no_more_often_than_it_takes_to_see_that_it_flaps(plan: Plan, course: Course) -> None:
    plan = replace(plan, flap_count=3, flap_within_ms=60_000, flap_rest_ms=60_000)
    raises: dict[tuple[Class | None, str], list[int]] = {}
    for item in play(plan, course).noted:
        if item.kind is Kind.RAISE and item.condition not in LATCHING:
            times = raises.setdefault((item.condition, item.subject), [])
            times.append(item.at_ms)
            # A word that changes is another condition, and is told: hence not the raises of rules that have words.
            if item.subject not in plan_words(plan):
                assert sum(at_ms > item.at_ms - 60_000 for at_ms in times) <= 3


def plan_words(plan: Plan) -> set[str]:
    """Points whose rules have words."""
    return {point.code for point in plan.points if isinstance(point.rule, PressureRule | LeakageRule)} | {
        point.code for point in plan.points if point.stuck_after_ms is not None
    }


@BOUND
@given(plans(), courses)
def test_an_alarm_is_never_late_because_its_point_flaps(plan: Plan, course: Course) -> None:
    held, free = (
        [
            (item.at_ms, item.condition, item.subject)
            for item in play(replace(plan, flap_count=count), course).noted
            if item.kind is Kind.RAISE and item.condition in LATCHING
        ]
        for count in (2, 0)
    )
    assert held == free


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["fire", "p0", "z1"])),
    lambda inner: st.one_of(st.lists(inner, max_size=7), st.dictionaries(st.sampled_from(["a", "version"]), inner)),
    max_leaves=10,
)


@BOUND
@given(plans(), courses, st.data())
def test_a_damaged_memory_is_a_gap_and_no_deaf_home(plan: Plan, course: Course, data: st.DataObject) -> None:
    saved = snapshot(play(plan, course, rest_ms=0).panel)
    key = data.draw(st.sampled_from(sorted(saved)))
    rows = saved["conditions"]
    if key == "conditions" and rows and data.draw(st.booleans()):
        rows[0] = data.draw(_json)
    else:
        saved[key] = data.draw(_json)
    timeline = Timeline(plan)
    timeline.panel, transitions = restore(plan, saved, 0)
    assert all(item.kind in (Kind.RESTORE, Kind.CLEAR, Kind.GAP) for item in transitions)
    for point in plan.points:
        timeline.take(Reading(point.code, 1))
    timeline.until(100_000)
    for point in plan.points:
        if isinstance(point.rule, ContactRule) and point.operation is None:
            assert (point.condition, point.code) in timeline.panel.conditions
    json.dumps(snapshot(timeline.panel))
    signals(timeline.panel)


def test_a_reading_with_neither_value_nor_reason_is_unknown() -> None:
    point = PointPlan("p", "z", "p", ContactRule(400, 2_000), Class.SUPERVISORY, fault_after_ms=None)
    timeline = Timeline(Plan((point,), ()))
    timeline.take(Reading("p", 1))
    timeline.until(400)
    timeline.take(Reading("p", 0))
    timeline.take(Reading("p", None))
    timeline.until(100_000)
    assert [item.kind for item in timeline.noted] == [Kind.RAISE]
