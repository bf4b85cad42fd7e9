"""A home with nodes: what its configuration makes of them, and what is a fault when a node or the broker dies."""

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from edge.config import Setup, parse
from edge.core.fold import fold
from edge.core.panel import new_panel
from edge.core.rules.contact import ContactRule
from edge.core.values import TICK, Class, Kind, Reading, Transition
from edge.schema import ConfigError
from tests.support import ROOT

MAINS = ("smoke-shed", "lid-n1", "gw-node-n1")
SLEEPER = ("ext-shed", "cell-n2", "gw-node-n2")
DAY_S = 86_400


def table() -> dict[str, Any]:
    """The example with the nodes of deploy/example/nodes.toml added to it."""
    parts = [(ROOT / "deploy" / "example" / name).read_text("utf-8") for name in ("gateway.toml", "nodes.toml")]
    return tomllib.loads("\n".join(parts))


@pytest.fixture(scope="module")
def setup() -> Setup:
    return parse(table(), "gateway.toml")


def only_nodes(setup: Setup) -> Setup:
    """Without the wired points, which nobody feeds here."""
    points = tuple(point for point in setup.plan.points if point.bus == "nodes")
    return replace(setup, plan=replace(setup.plan, points=points))


class Course:
    """The panel of the nodes, and what it says."""

    def __init__(self, setup: Setup) -> None:
        self.panel = new_panel(only_nodes(setup).plan, 0)
        self.told: list[tuple[int, Transition]] = []
        self.now_s = 0

    def beat(self, points: tuple[str, ...], value: int = 0) -> None:
        for point in points:
            level = 1200 if point == "ext-shed" else 4000 if point == "cell-n2" else value
            self._fold(Reading(point, level))

    def until(self, end_s: int) -> None:
        while self.now_s < end_s:
            self.now_s += 1
            self._fold(TICK)

    def read(self, point: str, value: int, why: str = "") -> None:
        self._fold(Reading(point, value, None, why))

    def _fold(self, item: Any) -> None:
        self.panel, told, _ = fold(self.panel, item, self.now_s * 1000)
        self.told += [(self.now_s, each) for each in told]

    def faults(self) -> Iterator[tuple[int, str, str]]:
        return ((at_s, each.kind.value, each.subject) for at_s, each in self.told if each.condition is Class.FAULT)


def test_a_node_counts_bounces_out_and_the_gateway_does_not_again(setup: Setup):
    rules = {point.code: point.rule for point in setup.plan.points}
    assert rules["smoke-shed"] == ContactRule(0, 2_000)
    assert rules["smoke-203"] == ContactRule(400, 2_000)
    course = Course(setup)
    course.beat(MAINS)
    course.read("smoke-shed", 1, "age_ms=240000")
    course.read("smoke-shed", 0)
    (_, fire), *more = course.told
    assert (fire.kind, fire.condition, fire.subject, fire.why) == (
        Kind.RAISE,
        Class.FIRE,
        "smoke-shed",
        "age_ms=240000",
    )
    assert not more


def test_a_silent_node_is_one_fault_within_100_s_and_a_sleeper_may_sleep(setup: Setup):
    course = Course(setup)
    course.beat(SLEEPER)
    for at_s in range(0, 600, 20):
        course.until(at_s)
        course.beat(MAINS)
    course.until(1_000)
    assert course.told[0][0] - 580 <= 100
    assert [subject for _, _, subject in course.faults()] == ["nodes/n1"]
    course.beat(MAINS)
    assert [kind for _, kind, _ in course.faults()] == ["raise", "clear"]


def test_a_sleeper_that_does_not_wake_is_one_fault_within_a_day(setup: Setup):
    course = Course(setup)
    course.beat(SLEEPER)
    for at_s in range(0, DAY_S + 120, 50):
        course.until(at_s)
        course.beat(MAINS)
    assert [subject for _, _, subject in course.faults()] == ["nodes/n2"]
    assert course.told[0][0] <= DAY_S + 30


def test_a_dead_broker_is_one_fault_though_nodes_beat_in_their_own_time():
    four = table()
    nodes = next(source for source in four["source"] if source["kind"] == "node")
    nodes["node"] = [{"code": code, "hardware": "7cdfa1000301"} for code in ("n1", "n2", "n3", "n4")]
    four["point"] = [point for point in four["point"] if point["source"] != "nodes"] + [
        {"code": f"smoke-{code}", "kind": "smoke", "zone": "f1", "place": code, "source": "nodes",
         "at": {"node": code, "input": "smoke"}}
        for code in ("n1", "n2", "n3", "n4")
    ]  # fmt: skip
    course = Course(parse(four, "gateway.toml"))
    for at_s in range(100):
        course.until(at_s)
        for node in range(4):
            if at_s % 20 == 6 * node:
                course.beat((f"smoke-n{node + 1}", f"gw-node-n{node + 1}"))
    course.until(300)
    assert [subject for _, _, subject in course.faults()] == ["nodes"]
    assert course.told[0][0] <= 98 + 85


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"at": {"node": "n9", "input": "smoke"}}, "nodes has no node n9; configured: n1, n2"),
        ({"at": {"node": "n2", "input": "smoke"}}, "expected a device that is always awake for an alarm"),
        ({"at": {"node": "n1", "input": "tamper"}}, "node n1 input tamper of nodes is taken by lid-n1"),
        ({"at": {"node": "n1", "input": "tamper", "kind": "voltage"}}, '"contact", or nothing, for tamper'),
        ({"at": {"node": "n1", "input": "x", "kind": "contact", "profile": "volts"}}, "none where nothing is measured"),
        ({"at": {"node": "n1"}}, "at.input: expected text, got nothing"),
    ],
)  # fmt: skip
def test_mistakes_are_named(change: dict[str, Any], wrong: str):
    wrong_table = table()
    point = next(point for point in wrong_table["point"] if point["code"] == "smoke-shed")
    point.update(change)
    wrong_table["point"].append(wrong_table["point"].pop(wrong_table["point"].index(point)))
    with pytest.raises(ConfigError) as found:
        parse(wrong_table, "gateway.toml")
    assert any(wrong in line for line in found.value.lines), found.value.lines


def test_no_two_nodes_of_a_home_share_a_code_whatever_source_they_hang_on():
    twice = table()
    other = {"name": "shed", "kind": "node", "port": 1885, "node": [{"code": "n1"}]}
    twice["source"].append(other)
    with pytest.raises(ConfigError) as found:
        parse(twice, "gateway.toml")
    assert 'gateway.toml: source.node: code "gw-node-n1" is given 2 times' in found.value.lines
