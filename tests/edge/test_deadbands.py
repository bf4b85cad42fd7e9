"""How far a reading moves before it is worth keeping, where the installer has not said it."""

import tomllib
from typing import Any

import pytest

from edge.config import parse
from tests.support import ROOT

EXAMPLE = ROOT / "deploy" / "example" / "gateway.toml"


def example(**changes: Any) -> dict[str, int]:
    """The deadbands of the shipped example, whose points may be given figures of their own."""
    table = tomllib.loads(EXAMPLE.read_text("utf-8"))
    for point in table["point"]:
        point |= changes.get(point["code"].replace("-", "_"), {})
    return dict(parse(table, EXAMPLE.name).deadbands)


@pytest.mark.parametrize(
    ("point", "expected", "why"),
    [
        ("leak-k", 3, "a hundredth of 300 mA"),
        ("cable-1", 700, "a hundredth of 70 °C, in m°C"),
        ("heat-203", 820, "a hundredth of the 82 °C at which heat alone alarms: a digit of noise is no news"),
        ("loop-1", 50, "the hysteresis of its bands, in mV"),
        ("smoke-203", 1, "a contact has two values, and both are news"),
    ],
)
def test_default(point: str, expected: int, why: str):
    assert example()[point] == expected, why


def test_what_the_installer_says_wins():
    deadbands = example(heat_203={"deadband": 0.2}, loop_1={"deadband": 0.01})
    assert (deadbands["heat-203"], deadbands["loop-1"]) == (200, 10)
