"""The soak with little time: an agent whole in simulated time, judged by what its journal holds."""

from dataclasses import replace
from typing import Any

import pytest

from bench._soak_judge import judge
from bench._soak_script import HAZARDS, MINUTE, Allowed, Cycle, Expected, cycles, troubles
from device import wire
from tests.bench.test_benches import bench


def test_half_an_hour_of_simulated_time():
    figures = bench("soak", "--hours", "0.5", "--real-minutes", "0", "--seed", "3")
    assert figures["simulated_is_well"] is True
    assert figures["simulated_cycles"] >= 2
    assert (figures["simulated_missed"], figures["simulated_false"], figures["simulated_left_standing"]) == (0, 0, 0)
    assert figures["simulated_expected"] >= figures["simulated_cycles"]
    assert figures["simulated_raised"] >= figures["simulated_expected"]
    assert figures["simulated_chain_ok"] is True
    assert figures["simulated_rss_mib_last_quarter"] > 10


def test_a_day_has_every_hazard_and_every_fault():
    played = list(cycles(1, 24 * 60 * MINUTE, 10 * MINUTE))
    names = " ".join(cycle.name for cycle in played)
    assert all(f"{hazard.condition} at {hazard.point}," in names for hazard in HAZARDS)
    assert all(f"{fault.kind} at {fault.where}" in names for fault in troubles(False))
    assert list(cycles(1, 60 * MINUTE, 10 * MINUTE)) == played[:6]
    assert sum(cycle.lasts_ms for cycle in cycles(2, 60 * MINUTE, 4 * MINUTE, True)) <= 60 * MINUTE


CYCLE = Cycle(
    "one",
    (),
    (Expected("fire", ("a",), 1_000, 4_000),),
    (Allowed(("fault",), ("b",), 0, 5_000),),
    10_000,
)


def event(kind: str, condition: str, point: str, at_ms: int) -> wire.Event:
    blank: dict[str, Any] = dict.fromkeys(wire.Event._fields)
    return wire.Event(**{**blank, "kind": kind, "condition": condition, "point": point, "mono_ms": 50_000 + at_ms})


WELL = [event("raise", "fire", "a", 2_000), event("clear", "fire", "a", 8_000)]


@pytest.mark.parametrize(
    ("events", "missed", "false", "standing"),
    [
        (WELL, 0, 0, 0),
        ([], 1, 0, 0),
        ([event("raise", "fire", "a", 4_500), WELL[1]], 1, 1, 0),  # too late is missed, and not allowed then
        ([*WELL, event("raise", "fire", "c", 3_000), event("clear", "fire", "c", 3_500)], 0, 1, 0),
        ([*WELL, event("raise", "fault", "b", 3_000), event("clear", "fault", "b", 4_000)], 0, 0, 0),
        ([*WELL, event("raise", "fault", "b", 6_000), event("clear", "fault", "b", 7_000)], 0, 1, 0),
        (WELL[:1], 0, 0, 1),
    ],
)
def test_the_judge(events: list[wire.Event], missed: int, false: int, standing: int):
    for rest in ([], [event("raise", "fire", "z", 60_000)]):  # what comes after the last cycle is nobody's
        verdict = judge([*events, *rest], [(50_000, CYCLE)])
        assert (verdict.missed, verdict.false, verdict.standing) == (missed, false, standing)
    assert judge(events, [(50_000, replace(CYCLE, expected=()))]).missed == 0


def test_a_record_is_replayed_in_little_memory():
    figures = bench("replay", "--readings", "4000")
    assert figures["readings"] >= 4_000
    assert figures["rings"] == 0, "nothing in it is beyond a limit"
    assert 10 < figures["peak_mib"] < 100
    assert figures["reading_alone_s"] > 0
