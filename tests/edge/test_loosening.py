"""Loosening: which way each figure is looser, that none is forgotten, and that tightening needs no reason."""

from dataclasses import fields
from typing import Any, get_args

import pytest

from edge.figures import LOOSER, LOOSER_OF_KIND, Figures
from edge.loosening import Figures as Written
from edge.loosening import Loosened, loosened
from edge.rulebook import KindRules, load_rulebook, merged
from edge.schema import Mistakes

BOOK = load_rulebook("cn-2026")


def found(kind: str, **own: Any) -> tuple[list[Loosened], list[str]]:
    """What these figures loosen of the shipped profile, and what is wrong with that."""
    mistakes = Mistakes("f.toml")
    rules = BOOK.of_kind(kind, own, "point[0]", mistakes)
    assert rules is not None and mistakes.lines == []
    written = Written(rules, merged(BOOK.tables[kind], own))
    return loosened("p", BOOK, kind, written, "point[0]", mistakes), mistakes.lines


def test_every_figure_says_which_way_it_is_looser() -> None:
    assert set(LOOSER) == set(get_args(Figures))
    for kind, ways in LOOSER.items():
        assert [field.name for field in fields(kind)] == sorted(ways, key=[f.name for f in fields(kind)].index)
    beside = {"class_", "early_class", "source", "lamp", "loosened"}
    rules = {field.name for field in fields(KindRules)} - beside - set(LOOSER_OF_KIND)
    assert rules == {"contact", "threshold", "loop", "heat", "pressure", "measure", "leakage"}


TIGHTER = [
    ("smoke", {"contact": {"on": "100ms"}}),
    ("smoke", {"fault_after": "20s", "confirms": True}),
    ("leakage", {"threshold": {"alarm": 250, "early": 150, "alarm_after": "2s"}}),
    ("leakage", {"leakage": {"growth": 5, "is_loaded": True, "zero_after": "1h"}}),
    ("pressure", {"pressure": {"low": 1.05, "high": 1.35, "warn_within_days": 90}}),
    ("loop", {"loop": {"alarm_resistors": False}}),
    ("heat", {"heat": {"static_c": 70.0, "alarm_rise_c": 15.0}}),
    ("pressure", {"class": "electrical", "fault_after": "60s"}),
    ("cable_temperature", {"threshold": {"hysteresis": 1, "clear_after": "10s"}}),
]
LOOSER_ONES = [
    ("smoke", {"contact": {"on": "1s"}}, "contact.on", '"400ms"', '"1s"'),
    ("smoke", {"class": "supervisory"}, "class", '"fire"', '"supervisory"'),
    ("call_point", {"confirms": False}, "confirms", "true", "false"),
    ("leakage", {"threshold": {"alarm": 300.5}}, "threshold.alarm", "300", "300.5"),
    ("leakage", {"leakage": {"learn": False}}, "leakage.learn", "true", "false"),
    ("pressure", {"pressure": {"low": 0.9}}, "pressure.low", "1.0", "0.9"),
    ("pressure", {"pressure": {"day": "48h"}}, "pressure.day", '"24h"', '"48h"'),
    ("heat", {"stuck_after": "30d"}, "stuck_after", '"48h"', '"30d"'),
    ("heat", {"heat": {"climb_cap_c_per_min": 17.0}}, "heat.climb_cap_c_per_min", "18.0", "17.0"),
]


@pytest.mark.parametrize(("kind", "own"), TIGHTER)
def test_tightening_needs_no_reason(kind: str, own: dict[str, Any]) -> None:
    assert found(kind, **own) == ([], [])


@pytest.mark.parametrize(("kind", "own", "figure", "was", "now"), LOOSER_ONES)
def test_loosening_is_refused_without_a_reason_and_kept_with_one(
    kind: str, own: dict[str, Any], figure: str, was: str, now: str
) -> None:
    _, refused = found(kind, **own)
    assert len(refused) == 1 and f"point[0].rule.{figure}: expected {was} or stricter, or a reason" in refused[0]
    kept, said = found(kind, **own, loosened="agreed with the fire service")
    assert said == [] and [item.text for item in kept] == [f"{figure} {was} -> {now}: agreed with the fire service"]


def test_a_reason_for_nothing_is_a_mistake() -> None:
    _, said = found("smoke", loosened="just in case")
    assert len(said) == 1 and "no reason where nothing is loosened" in said[0]
