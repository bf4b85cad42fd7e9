"""What `status` says of a rule, out of the rule's own words."""

import re
from typing import Any

import pytest

from edge.core.rules import leakage, pressure
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.pressure import PressureRule
from edge.core.rules.threshold import ThresholdRule
from edge.rule_text import rule_text

DAY = 86_400_000
LIMITS = ThresholdRule(200, 300, 20, early_after_ms=10_000, alarm_after_ms=8_000, clear_after_ms=30_000)


def bottle(days: int, per_day: int, knows: bool = True) -> dict[str, Any]:
    """A bottle at 20 °C that has been watched for so many days, as the status has it."""
    rule, state = PressureRule(beside="room"), pressure.initial()
    for hour in range(days * 24):
        if knows:
            state = pressure.beside(rule, state, 20_000, hour * 3_600_000)
        state = pressure.step(rule, state, 1200 - per_day * hour // 24, hour * 3_600_000)
    return {"rule": pressure.says(rule, state, days * DAY), "unit": "MPa", "scale": -3}


def test_a_leaking_bottle_has_a_day_and_how_sure_that_is() -> None:
    said = rule_text(bottle(20, 5))
    assert re.fullmatch(r"1\.101 MPa at 20 °C, leaves the green band in (19|20|21) days \((19|20) to (20|21)\)", said)


def test_a_tight_bottle_has_none() -> None:
    assert rule_text(bottle(20, 0)) == "1.200 MPa at 20 °C"


def test_an_unknown_temperature_is_said() -> None:
    assert rule_text(bottle(20, 5, knows=False)) == "temperature unknown: judged as the gauge reads, no forecast"


@pytest.mark.parametrize(("hour", "early"), [(3, 90), (12, 200), (None, 90)])
def test_a_residual_current_says_the_limit_of_the_hour(hour: int | None, early: int) -> None:
    rule = LeakageRule(LIMITS)
    state = leakage.learned(rule, leakage.initial(), (90,) * 6 + (500,) * 18)
    state = leakage.at_hour(rule, state, hour)
    point = {"rule": leakage.says(rule, state, 0), "unit": "mA", "scale": 0}
    assert rule_text(point) == f"early warning from {early} mA in this hour"


def test_a_point_without_such_a_rule_says_nothing() -> None:
    assert rule_text({"rule": None, "unit": "", "scale": 0}) == ""
    assert rule_text({"unit": "", "scale": 0}) == ""
