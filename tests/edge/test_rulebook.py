"""Rule profiles: the shipped ones hold what the standards ask for, and single figures of a point are laid over them."""

from typing import Any

import pytest

from edge.core.rules.contact import ContactRule
from edge.core.rules.heat import HeatRule
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.loop import LoopRule
from edge.core.rules.pressure import PressureRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.values import Class
from edge.core_rules import scaled
from edge.rulebook import BLIND_MS, Rulebook, core_rule, load_rulebook, merged, profile_ids
from edge.schema import ConfigError, Mistakes

SHIPPED = "cn-2026"
UNITS = {
    "leakage": ("mA", 0),
    "cable_temperature": ("°C", -3),
    "pressure": ("MPa", -3),
    "loop": ("V", -3),
    "heat": ("°C", -3),
    "load": ("A", -2),
    "room_temperature": ("°C", -3),
    "room_humidity": ("%", -1),
}


def rule_of(book: Rulebook, kind: str, **own: Any) -> Any:
    """The core's rule of a kind of point, with figures of its own."""
    mistakes = Mistakes("f.toml")
    rules = book.of_kind(kind, own, "point[0]", mistakes)
    assert rules is not None, mistakes.lines
    rule = core_rule(rules, *UNITS.get(kind, ("", 0)), "point[0]", mistakes)
    assert mistakes.lines == []
    return rule


@pytest.mark.parametrize("name", profile_ids())
def test_a_shipped_profile_has_no_mistake_and_says_where_its_figures_come_from(name: str) -> None:
    book = load_rulebook(name)
    assert book.id == name
    for kind in book.tables:
        mistakes = Mistakes("f.toml")
        rules = book.of_kind(kind, {}, kind, mistakes)
        assert rules is not None and rules.source, kind


@pytest.mark.parametrize("name", profile_ids())
def test_no_fire_electrical_or_loop_point_is_blind_for_longer_than_promised(name: str) -> None:
    book = load_rulebook(name)
    for kind in book.tables:
        rules = book.of_kind(kind, {}, kind, Mistakes("f.toml"))
        assert rules is not None
        if rules.class_ in (Class.FIRE, Class.ELECTRICAL):
            assert rules.fault_after <= BLIND_MS < 100_000, kind


def test_the_shipped_profile_decides_within_the_times_of_the_standards() -> None:
    book = load_rulebook(SHIPPED)
    leakage, cable, pressure = (rule_of(book, kind) for kind in ("leakage", "cable_temperature", "pressure"))
    assert isinstance(leakage, LeakageRule) and isinstance(cable, ThresholdRule) and isinstance(pressure, PressureRule)
    limits = leakage.limits
    assert limits.alarm is not None and 300 <= limits.alarm <= 500, "GB 50116 9.2.3"
    assert limits.alarm_after_ms < 30_000, "GB 50166 4.8"
    assert cable.alarm_after_ms < 40_000, "GB 50166 4.8"
    assert (cable.alarm, pressure.low, pressure.high, pressure.day_ms) == (70_000, 1000, 1400, 86_400_000)
    assert (pressure.lowest, pressure.highest) == (-50, 1900)
    smoke, call, loop, heat = (rule_of(book, kind) for kind in ("smoke", "call_point", "loop", "heat"))
    assert isinstance(smoke, ContactRule) and smoke.on_ms <= 1000
    assert isinstance(call, ContactRule) and call.on_ms <= 500
    assert isinstance(loop, LoopRule) and loop.alarm_resistors
    assert isinstance(heat, HeatRule)


def test_the_demonstrations_profile_is_quicker_and_otherwise_the_shipped_one() -> None:
    shipped, demo = load_rulebook(SHIPPED), load_rulebook("demo")
    assert list(demo.tables) == list(shipped.tables)
    assert rule_of(demo, "smoke") == rule_of(shipped, "smoke")
    quick, slow = rule_of(demo, "leakage").limits, rule_of(shipped, "leakage").limits
    assert (quick.early, quick.alarm, quick.hysteresis) == (slow.early, slow.alarm, slow.hysteresis)
    assert quick.alarm_after_ms < slow.alarm_after_ms


def test_a_point_has_figures_of_its_own_over_the_profiles() -> None:
    own = rule_of(load_rulebook(SHIPPED), "leakage", threshold={"alarm": 400, "early": 250.5}).limits
    shipped = rule_of(load_rulebook(SHIPPED), "leakage").limits
    assert (own.early, own.alarm) == (250, 400)
    assert (own.hysteresis, own.alarm_after_ms) == (shipped.hysteresis, shipped.alarm_after_ms)


@pytest.mark.parametrize(
    ("kind", "unit", "scale", "said"),
    [
        ("leakage", "°C", -3, 'p.at: expected a quantity in "mA" for this rule, got a quantity in "°C"'),
        ("leakage", "", 0, 'p.at: expected a quantity in "mA" for this rule, got a contact'),
        ("loop", "MPa", -3, 'p.at: expected a quantity in "V" for this rule, got a quantity in "MPa"'),
        ("heat", "°C", -1, "p.at: expected a quantity with scale -3 for this rule, got -1"),
        ("smoke", "mA", 0, 'p.at: expected a contact for this rule, got a quantity in "mA"'),
    ],
)
def test_a_rule_on_readings_that_it_is_not_made_for_is_refused(kind: str, unit: str, scale: int, said: str) -> None:
    mistakes = Mistakes("f.toml")
    rules = load_rulebook(SHIPPED).of_kind(kind, {}, "p", mistakes)
    assert rules is not None
    assert core_rule(rules, unit, scale, "p", mistakes) is None
    assert mistakes.lines == [f"f.toml: {said}"]


def test_a_profile_that_is_not_shipped_is_refused() -> None:
    with pytest.raises(ConfigError, match="cn-1999"):
        load_rulebook("cn-1999")


@pytest.mark.parametrize("name", ["../rules/demo", "demo.toml", "", "/etc/passwd"])
def test_a_profile_is_named_and_never_a_path(name: str) -> None:
    with pytest.raises(ConfigError):
        load_rulebook(name)


def test_tables_are_laid_over_each_other_key_by_key() -> None:
    under = {"a": {"x": 1, "y": {"z": 2}}, "b": 3}
    assert merged(under, {"a": {"y": {"w": 4}}, "b": {"c": 5}}) == {"a": {"x": 1, "y": {"z": 2, "w": 4}}, "b": {"c": 5}}
    assert under == {"a": {"x": 1, "y": {"z": 2}}, "b": 3}, "the profile itself is never changed"


@pytest.mark.parametrize(
    ("value", "scale", "whole"),
    [(70.0, -3, 70_000), (0.3, -3, 300), (1.35, -3, 1350), (300.0, 0, 300), (1500.0, 2, 15)],
)
def test_a_value_becomes_the_integer_that_a_reading_carries(value: float, scale: int, whole: int) -> None:
    assert scaled(value, scale) == whole
