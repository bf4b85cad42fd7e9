from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from simulators import plan

GOOD = """
[building]
name = "x"
[places.a]
name = "甲"
smoke_pct_m = 0.1
leakage_ma = 20
charge_kpa = 1200
temp_mc = 20000
[sources.meters]
transport = "tcp"
[[input]]
pin = 4
kind = "smoke"
quantity = "a.smoke_pct_m"
[[unit]]
source = "meters"
unit = 1
model = "acrel-asj"
residual = "a.leakage_ma"
[[analog]]
address = 0x48
ain = 0
kind = "pressure"
pressure = "a.charge_kpa"
temperature = "a.temp_mc"
"""


def document() -> dict[str, Any]:
    return tomllib.loads(GOOD)


def test_a_good_plan_is_read() -> None:
    read = plan.parse(document(), "x.toml")
    assert read.quantities == {"a.smoke_pct_m": 0.1, "a.leakage_ma": 20, "a.charge_kpa": 1200, "a.temp_mc": 20000}
    assert read.names == {"a": "甲"}
    assert read.units[0].residual == ["a.leakage_ma"]


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("input", 0, "quantity"), "a.smoke", "x.toml: input[0].quantity: no quantity 'a.smoke'"),
        (("input", 0, "kind"), "heat", "x.toml: input[0].kind: expected one of smoke, gas"),
        (("input", 0, "pin"), "4", "x.toml: input[0].pin: expected int, got '4'"),
        (("input", 0, "pins"), 4, "x.toml: input[0].pins: no such key"),
        (("unit", 0, "source"), "meter", "x.toml: unit[0].source: expected one of meters, got 'meter'"),
        (("unit", 0, "residual"), [], "x.toml: unit[0].residual: expected 1 quantities, got 0"),
        (("unit", 0, "model"), "asj", "x.toml: unit[0].model: expected one of acrel-asj"),
        (("unit", 0, "residual"), 7, "x.toml: unit[0].residual: expected a name or a list of names, got 7"),
        (("analog", 0, "temperature"), "", "x.toml: analog[0].temperature: no quantity ''"),
        (("sources", "meters", "transport"), "udp", "x.toml: sources.meters.transport: expected one of tcp, rtu"),
        (("places", "a", "leakage_ma"), "20", "x.toml: places.a.leakage_ma: expected a number, got '20'"),
        (("rooms",), {}, "x.toml: rooms: no such key"),
    ],
)
def test_a_mistake_is_named_by_its_place(path: tuple[Any, ...], value: object, complaint: str) -> None:
    wrong = document()
    table: Any = wrong
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    with pytest.raises(plan.PlanError) as error:
        plan.parse(wrong, "x.toml")
    assert complaint in str(error.value)


def test_every_mistake_is_said_at_once() -> None:
    wrong = document()
    wrong["input"].append({"pin": 4, "kind": "smok"})
    del wrong["unit"][0]["unit"]
    wrong["rooms"] = {}
    with pytest.raises(plan.PlanError) as error:
        plan.parse(wrong, "x.toml")
    text = str(error.value)
    assert all(part in text for part in ("unit[0].unit: missing", "rooms: no such key", "input[1].kind", "pin 4"))


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[building\n")
    with pytest.raises(plan.PlanError, match=r"mine\.toml: "):
        plan.load(tmp_path / "mine.toml")


def test_an_unknown_building_lists_the_shipped_ones() -> None:
    with pytest.raises(plan.PlanError, match=r"no building 'hom'.*home"):
        plan.load("hom")
