"""How far a reading moves before it is worth keeping, where the installer has not said it."""

import tomllib
from typing import Any

import pytest

from edge.config import parse
from edge.core.values import Reading
from edge.journal.filter import CONTACT_APART_MS, ReadingFilter
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
        ("smoke-203", 0, "a contact has two values, and both are news"),
    ],
)
def test_default(point: str, expected: int, why: str):
    assert example()[point] == expected, why


def test_what_the_installer_says_wins():
    deadbands = example(heat_203={"deadband": 0.2}, loop_1={"deadband": 0.01})
    assert (deadbands["heat-203"], deadbands["loop-1"]) == (200, 10)


def test_both_values_of_a_contact_are_kept_and_chatter_is_not():
    picker = ReadingFilter(example(), 3_600_000, CONTACT_APART_MS)

    def kept(value: int, mono_ms: int) -> bool:
        return bool(picker.pick([Reading("smoke-203", value)], mono_ms))

    assert [kept(0, 0), kept(1, 5_000), kept(1, 6_000), kept(0, 7_000)] == [True, True, False, True]
    assert sum(kept(at % 2, 10_000 + at) for at in range(10_000)) <= 20, "twice a second"
    kept(1, 20_100)
    assert kept(0, 20_200) is False
    assert kept(0, 21_200), "what it comes to rest at is kept, with the next sweep"
