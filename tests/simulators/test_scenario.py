from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from simulators import scenario
from simulators.building import Building
from simulators.control import apply
from simulators.scenario import Command, Scenario, ScenarioError, Step

SMOKE_203, SMOKE_204 = 4, 17
Shown = dict[str, float | bool | None]


def live_through(played: Scenario, building: Building, step_ms: int = 200) -> dict[int, Shown]:
    """What the building shows at the end of each second of a scenario, on the world's clock."""
    steps = list(played.steps)
    seen: dict[int, Shown] = {}
    while building.now_ms < played.end_ms:
        while steps and steps[0].at_ms <= building.now_ms:
            for command in steps.pop(0).do:
                apply(building, command)
        building.advance(step_ms)
        seen[building.now_ms // 1000] = {
            "kitchen_ma": building.register("meters", 1, 0),
            "meter_2": building.register("meters", 2, 0),
            "203": building.contact(SMOKE_203),
            "204": building.contact(SMOKE_204),
            "ext_2_kpa": building.true("ext-2.charge_kpa"),
        }
    assert not steps, "a step stands after the scenario's end"
    return seen


@pytest.mark.parametrize("name", scenario.shipped())
def test_every_shipped_scenario_plays_on_the_example_home(name: str) -> None:
    played = scenario.load(name)
    live_through(played, Building.load("home"))
    assert played.title_zh and played.title_en
    assert all(step.zh and step.en for step in played.steps)


def leaks_more(limit: float, values: Shown) -> bool:
    return (values["kitchen_ma"] or 0) > limit


def test_the_district_s_evening_tells_its_story() -> None:
    seen = live_through(scenario.load("district"), Building.load("home"))

    def first(condition: Callable[[Shown], bool]) -> int:
        return next(at_s for at_s, values in seen.items() if condition(values))

    begins = {"kitchen_ma": 96, "meter_2": 41, "ext_2_kpa": 1195}
    for quantity, value in begins.items():
        assert seen[1][quantity] == pytest.approx(value, abs=6), "it begins with all normal"
    leakage = [first(partial(leaks_more, limit)) for limit in (200, 300)]
    smoke = [first(lambda values: values["203"] is True), first(lambda values: values["204"] is True)]
    dead = first(lambda values: values["meter_2"] is None)
    leak = first(lambda values: values["ext_2_kpa"] == 800)
    assert leakage + smoke == sorted(leakage + smoke), "leakage, its alarm, smoke, the neighbour's smoke"
    assert leakage[1] <= 35
    assert max(smoke) < min(dead, leak)
    assert any(values["meter_2"] is not None for at_s, values in seen.items() if at_s > dead), "the meter comes back"
    last = seen[max(seen)]
    assert last["kitchen_ma"] == pytest.approx(96, abs=6)
    assert last["meter_2"] == pytest.approx(41, abs=6)
    assert last["ext_2_kpa"] == 1200


def test_after_the_district_s_evening_it_can_begin_again() -> None:
    """All that stays is what a carer resets: two latched detectors. A second evening is like the first."""
    building = Building.load("home")
    evening = scenario.load("district")
    live_through(evening, building)
    assert [each.pin for each in building.plan.inputs if building.contact(each.pin)] == [SMOKE_203, SMOKE_204]
    assert building.faults.active() == {}
    assert building.true("203.smoke_pct_m") < 1


def test_the_evening_has_its_people_and_its_time() -> None:
    evening = scenario.load("district")
    words = [step.demo for step in evening.steps]
    assert {"acknowledge", "silence", "reset"} <= set(words)
    assert words.index("dark") < words.index("light")
    assert evening.end_ms <= 175_000, "three minutes with the start"


def test_playing_calls_each_step_and_command_in_order() -> None:
    happened: list[object] = []
    steps = (Step(0, "甲", "a", ({"set": {}},)), Step(30, "乙", "b", ({"heal": "all"}, {"key": 5}), "dark"))

    def do(command: Command) -> None:
        happened.append(command)

    asyncio.run(scenario.play(Scenario("x", "", "", 60, steps), do, happened.append))
    assert happened == [steps[0], {"set": {}}, steps[1], {"heal": "all"}, {"key": 5}]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no [[step]]"),
        ("[[step]]\n", "step[0].at_s: expected seconds from the start, got None"),
        ("[[step]]\nat_s = -1\n", "step[0].at_s"),
        ("[[step]]\nat_s = 1\ndo = 5\n", "step[0].do: expected a list of commands, got 5"),
        ("[[step]]\nat_s = 1\nwhen = 5\n", "step[0]: no such key: when"),
        ("[[step]]\nat_s = 1\ndemo = 5\n", "step[0]: zh, en and demo are words"),
        ("[[step]]\nat_s = 2\n[[step]]\nat_s = 1\n", "not in the order of their times"),
        ("[[step\n", "mine.toml: "),
    ],
)
def test_a_malformed_scenario_says_where(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ScenarioError) as error:
        scenario.load(tmp_path / "mine.toml")
    assert "mine.toml: " in str(error.value)
    assert complaint in str(error.value)


def test_an_unknown_scenario_lists_the_shipped_ones() -> None:
    with pytest.raises(ScenarioError, match=r"no scenario 'flood'.*district, storm"):
        scenario.load("flood")
