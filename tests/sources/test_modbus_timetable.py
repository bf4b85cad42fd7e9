"""Whose turn it is, over simulated time: fairness, no drift, no queue, and what a dead unit may cost the others."""

import random
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sources.modbus.timetable import FAILURES_TO_OPEN, PROBE_CAP_S, Timetable, Turn

QUICK_S = 0.002
TIMEOUT_S = 0.3


class Port:
    """A port on simulated time: asking a unit takes `took(unit)` seconds, and it answers where `answers` says so."""

    def __init__(self, turns: list[Turn], answers: Callable[[int, float], bool], took_s: float = QUICK_S) -> None:
        self.timetable = Timetable(tuple(turns), random.Random(7))
        self.answers = answers
        self.took_s = took_s
        self.now_s = 100.0
        self.asked: dict[int, list[float]] = defaultdict(list)
        self.wasted_s = 0.0
        self.timetable.start(self.now_s)

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            turn, wake_s = self.timetable.next(self.now_s)
            if turn is None:
                assert wake_s > self.now_s, "waiting for what is already due would spin"
                self.now_s = wake_s
                continue
            self.ask(turn)

    def ask(self, turn: Turn) -> None:
        started_s = self.now_s
        is_answered = self.answers(turn.unit, started_s)
        took_s = self.took_s if is_answered else turn.cost_s
        self.now_s += took_s
        self.wasted_s += 0 if is_answered else took_s
        self.asked[turn.unit].append(started_s)
        self.timetable.asked(turn, started_s, self.now_s, is_answered)

    def intervals(self, unit: int) -> list[float]:
        times = self.asked[unit]
        return [later - earlier for earlier, later in pairwise(times)]


def turns(count: int, period_s: float = 1.0) -> list[Turn]:
    return [Turn(unit, period_s, TIMEOUT_S) for unit in range(1, count + 1)]


def test_each_unit_keeps_its_own_grid_without_drift() -> None:
    port = Port([Turn(1, 1.0, TIMEOUT_S), Turn(2, 0.25, TIMEOUT_S), Turn(3, 10.0, TIMEOUT_S)], lambda unit, now: True)
    port.run(100.0)
    assert [len(port.asked[unit]) for unit in (1, 2, 3)] == [100, 400, 10]
    assert port.timetable.late == 0 and not port.timetable.is_overloaded


def test_one_silent_unit_of_ten_costs_the_others_nothing() -> None:
    """LESSONS 1. It is asked while nobody else is due, so the others keep their period within 5 % and lose no poll."""
    port = Port(turns(10), lambda unit, now: unit != 7)
    port.run(3.0)
    port.asked.clear()
    port.run(300.0)
    for unit in set(range(1, 11)) - {7}:
        assert len(port.asked[unit]) in (299, 300, 301)
        assert all(0.95 <= interval <= 1.05 for interval in port.intervals(unit))


def test_a_unit_that_falls_silent_delays_the_others_once() -> None:
    """At its first failure nobody knows yet; after that it yields."""
    port = Port(turns(10), lambda unit, now: unit != 1 or now < 110.0)
    port.run(60.0)
    for unit in range(2, 11):
        assert sum(interval > 1.05 for interval in port.intervals(unit)) <= 1
        assert max(port.intervals(unit)) <= 1.0 + TIMEOUT_S + 0.01


def test_dead_units_take_a_tenth_of_the_time_at_most() -> None:
    port = Port(turns(10), lambda unit, now: unit > 4)
    port.run(10.0)
    port.wasted_s = 0.0
    port.run(600.0)
    assert port.wasted_s <= 0.1 * 600.0
    assert all(port.asked[unit] for unit in range(1, 5)), "each of them is still asked"


def test_a_dead_unit_is_asked_again_within_the_cap_and_is_back_at_once() -> None:
    port = Port(turns(3), lambda unit, now: unit != 2 or now > 400.0)
    port.run(290.0)
    assert port.timetable.of(2).is_open
    assert max(port.intervals(2)) <= PROBE_CAP_S + 1.0
    port.run(20.0)
    assert port.timetable.of(2).failures == 0
    port.asked.clear()
    port.run(50.0)
    assert len(port.asked[2]) in (49, 50, 51)
    assert port.intervals(2)[0] == pytest.approx(1.0, abs=0.02), "back on its grid beside the others"


def test_where_nobody_answers_all_are_asked_all_the_time() -> None:
    """There is nobody to protect, and whoever plugs the cable in again wants to see it."""
    port = Port(turns(3), lambda unit, now: now > 200.0)
    port.run(110.0)
    assert all(turn.failures == 0 for turn in port.timetable.turns)


def test_more_work_than_the_period_degrades_evenly_and_says_so_and_recovers() -> None:
    """LESSONS section 3: 2.5 s of work for a 1 s period, and no queue that grows."""
    port = Port(turns(10), lambda unit, now: True, took_s=0.25)
    port.run(100.0)
    counts = [len(port.asked[unit]) for unit in range(1, 11)]
    assert sum(counts) == pytest.approx(400, abs=1), "the bus is never idle"
    assert max(counts) - min(counts) <= 1
    assert all(max(port.intervals(unit)) <= 2.5 + 0.01 for unit in range(1, 11))
    assert port.timetable.is_overloaded and port.timetable.late > 100
    assert port.timetable.longest_interval_s == pytest.approx(2.5, abs=0.01)
    port.took_s = QUICK_S
    port.run(10.0)
    assert not port.timetable.is_overloaded


def test_a_slow_unit_is_not_starved_by_quick_ones_on_a_full_bus() -> None:
    port = Port([*turns(10, 0.5), Turn(99, 10.0, TIMEOUT_S)], lambda unit, now: True, took_s=0.2)
    port.run(200.0)
    assert max(port.intervals(99)) <= 10.0 + 2.5


def test_a_gateway_that_hangs_up_for_one_dead_unit_does_not_starve_those_after_it() -> None:
    """Some RS485 gateways close the connection when a slave is silent. Each time the line is made anew."""
    port = Port(turns(10), lambda unit, now: unit != 3)
    end_s = port.now_s + 60.0
    while port.now_s < end_s:
        turn, wake_s = port.timetable.next(port.now_s)
        if turn is None:
            port.now_s = wake_s
            continue
        port.ask(turn)
        if turn.unit == 3:
            port.now_s += 0.25
            port.timetable.resume(port.now_s)
    assert all(len(port.asked[unit]) >= 55 for unit in range(4, 11))


@pytest.mark.parametrize("away_s", [0.25, 5.0, 40.0])
def test_a_unit_that_tears_the_line_is_not_the_first_when_it_is_back(away_s: float) -> None:
    """However long connecting takes: the dead unit's wait is over meanwhile, and the others go first all the same."""
    port = Port(turns(4), lambda unit, now: unit != 1)
    port.run(20.0)
    for _ in range(20):
        port.ask(port.timetable.of(1))
        port.now_s += away_s
        port.timetable.resume(port.now_s)
        turn, _ = port.timetable.next(port.now_s)
        assert turn is not None and turn.unit != 1
        port.asked.clear()
        port.run(0.5)
        assert set(port.asked) >= {2, 3, 4}


def test_after_an_outage_of_all_a_unit_that_tears_the_line_does_not_keep_the_others_from_coming_back() -> None:
    port = Port(turns(3), lambda unit, now: False)
    port.run(30.0)
    port.answers = lambda unit, now: unit != 1
    port.asked.clear()
    for _ in range(3):
        port.now_s += 5.0
        port.timetable.resume(port.now_s)
        turn, _ = port.timetable.next(port.now_s)
        assert turn is not None
        port.ask(turn)
        if turn.unit != 1:
            port.run(3.0)
    assert {turn.unit for turn in port.timetable.turns if not turn.failures} == {2, 3}


def test_an_outage_of_the_line_is_no_overload_of_the_port() -> None:
    port = Port(turns(3), lambda unit, now: True)
    port.run(10.0)
    port.now_s += 60.0
    port.timetable.resume(port.now_s)
    port.run(10.0)
    assert port.timetable.late == 0 and not port.timetable.is_overloaded
    assert port.timetable.longest_interval_s == pytest.approx(1.0, abs=0.01)
    assert all(port.asked[unit][-1] >= port.now_s - 1.01 for unit in (1, 2, 3))


def test_a_unit_that_was_late_is_not_asked_again_before_its_answer_must_have_come() -> None:
    port = Port([Turn(1, 0.1, TIMEOUT_S)], lambda unit, now: False)
    port.run(1.5)
    assert all(interval > 1.99 * TIMEOUT_S for interval in port.intervals(1))


def test_no_unit_of_a_serial_line_is_asked_while_its_last_answer_may_still_come() -> None:
    """RTU's frames carry no number: a slave of 0.9 s would be heard as an answer to what it was asked next."""
    port = Port([Turn(1, 0.1, 0.1, rest_s=1.0), Turn(2, 0.1, 0.1, rest_s=1.0)], lambda unit, now: unit != 1)
    port.run(60.0)
    assert min(port.intervals(1)) >= 1.1
    assert max(port.intervals(2)) <= 0.21, "the neighbour's period is its own"


def test_probes_are_jittered_so_that_ports_do_not_probe_together() -> None:
    def intervals(seed: int) -> list[float]:
        port = Port(turns(2), lambda unit, now: unit != 1)
        port.timetable.random = random.Random(seed)
        port.run(300.0)
        return [round(interval, 3) for interval in port.intervals(1)[8:]]

    one, other = intervals(1), intervals(2)
    assert one != other and len(set(one)) > len(one) // 2
    assert all(0.75 * PROBE_CAP_S <= interval <= PROBE_CAP_S + 2 * TIMEOUT_S + 1.0 for interval in one + other)


def test_a_write_that_is_tried_again_spends_what_dead_units_may_spend() -> None:
    port = Port(turns(3), lambda unit, now: unit == 3)
    port.run(30.0)
    table, dead = port.timetable, port.timetable.of(1)
    table.asked(dead, port.now_s, port.now_s + TIMEOUT_S, False)
    assert table.retry_s(dead) == pytest.approx(port.now_s + 10 * TIMEOUT_S)
    assert table.retry_s(table.of(3)) == 0.0
    table.asked(table.of(3), port.now_s, port.now_s + TIMEOUT_S, False)
    assert table.retry_s(dead) == 0.0, "nobody answers: there is nobody to protect"


@settings(max_examples=60, deadline=None)
@given(
    periods=st.lists(st.sampled_from([0.1, 0.5, 1.0, 2.0]), min_size=1, max_size=8),
    dead=st.sets(st.integers(1, 8)),
    took_s=st.floats(0.001, 0.4),
)
def test_any_port_asks_everybody_and_never_spins(periods: list[float], dead: set[int], took_s: float) -> None:
    port = Port(
        [Turn(unit, period, TIMEOUT_S) for unit, period in enumerate(periods, 1)],
        lambda unit, now: unit not in dead,
        took_s,
    )
    port.run(120.0)
    assert set(port.asked) == set(range(1, len(periods) + 1))
    for turn in port.timetable.turns:
        if turn.unit not in dead:
            assert len(port.asked[turn.unit]) > 120.0 / (len(periods) * (took_s + TIMEOUT_S) + turn.period_s) / 2
        else:
            assert turn.failures >= FAILURES_TO_OPEN
