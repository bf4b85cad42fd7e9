"""Configurations: a file with mistakes says every one of them, beside it what it has to say; nothing is guessed."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import config
from edge.core.rules.leakage import LeakageRule
from edge.own_points import CONFIG_POINT, DISK_POINT, JOURNAL_POINT, LINK_POINT
from edge.schema import ConfigError
from tests.support import ROOT

CONFIGS = Path(__file__).parent / "configs"
WRONG = sorted(CONFIGS.glob("*.txt"))
EXAMPLE = ROOT / "deploy" / "example" / "gateway.toml"
SECTION = re.compile(r"(?m)^(?=\[)")


def mistakes(text: str, folder: Path) -> list[str]:
    """What is said about a configuration; empty where nothing is wrong."""
    file = folder / "gateway.toml"
    file.write_text(text, "utf-8")
    try:
        config.load(file)
    except ConfigError as error:
        return error.lines
    return []


def test_every_wrong_configuration_has_what_it_must_say_beside_it() -> None:
    assert {path.stem for path in CONFIGS.glob("*.toml")} == {path.stem for path in WRONG} | {"well"}
    assert len(WRONG) > 80


@pytest.mark.parametrize("expected", WRONG, ids=lambda path: path.stem)
def test_a_wrong_configuration_says_so(expected: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(expected.with_suffix(".toml"))
    said, wanted = caught.value.lines, expected.read_text("utf-8").splitlines()
    assert len(said) == len(wanted), said
    for line, want in zip(said, wanted, strict=True):
        # A list of what is known grows with every profile and is not repeated there.
        assert line.startswith(want.removesuffix("...")) if want.endswith(" ...") else line == want


@pytest.mark.parametrize("expected", WRONG, ids=lambda path: path.stem)
def test_what_it_says_is_one_line_that_names_the_file(expected: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(expected.with_suffix(".toml"))
    for line in caught.value.lines:
        assert line.startswith(f"{expected.stem}.toml: ")
        assert line.isprintable()
        assert "None" not in line and "<" not in line and "Error" not in line, f"not for a person's ears: {line}"


def test_ten_mistakes_are_said_in_one_go() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(CONFIGS / "ten_mistakes.toml")
    assert len(caught.value.lines) >= 10


def test_a_configuration_without_a_mistake_has_everything_it_names() -> None:
    setup = config.load(CONFIGS / "well.toml")
    assert [item.config.name for item in setup.sources] == ["gpio", "meters", "i2c"]
    own = [LINK_POINT, DISK_POINT, CONFIG_POINT, JOURNAL_POINT, "out-siren"]
    assert [point.code for point in setup.points] == ["smoke-203", "leak-k", "ext", *own]
    assert [output.name for output in setup.outputs] == ["buzzer", "siren"]
    assert [point.code for point in setup.plan.points if point.operation] == ["button-silence"]
    leak = next(point for point in setup.plan.points if point.code == "leak-k")
    assert (leak.bus, leak.unit, leak.zone) == ("meters", "meters/1", "f2")
    assert isinstance(leak.rule, LeakageRule)
    assert (leak.rule.limits.early, leak.rule.limits.alarm, leak.rule.limits.alarm_after_ms) == (200, 300, 8000)


def test_the_example_is_without_a_mistake_and_has_the_wiring_plans_points() -> None:
    setup = config.load(EXAMPLE)
    wired = [point for point in setup.points if point.zone != "gateway"]
    assert (len(wired), len(setup.zones), len(setup.outputs)) == (32, 4, 12)
    assert not setup.gateway.simulated


def test_a_simulated_back_end_that_is_not_installed_is_named(tmp_path: Path) -> None:
    text = (CONFIGS / "well.toml").read_text("utf-8")
    text = text.replace('rules = "cn-2026"', 'rules = "cn-2026"\nsimulated = true')
    text = text.replace('kind = "gpio"', 'kind = "gpio"\nbackend = "no-such"\naddress = "/run/gpio.sock"')
    (said,) = mistakes(text, tmp_path)
    assert said.startswith('gateway.toml: source[0].backend: no back-end "no-such" is installed; known: ')


def test_one_mistake_in_each_of_many_tables_is_each_said_once(tmp_path: Path) -> None:
    """A table that cannot be read is not blamed a second time by what refers to it."""
    text = EXAMPLE.read_text("utf-8")
    text = text.replace('name = "二楼"', "name = 2").replace("baud = 9600", 'baud = "fast"')
    said = mistakes(text, tmp_path)
    assert [line.split(": ")[1] for line in said] == ["zone[1].name", "source[2].baud"]


@pytest.mark.parametrize("number", range(len(SECTION.split(EXAMPLE.read_text("utf-8")))))
def test_the_example_without_one_of_its_tables_is_well_or_says_what_is_missing(number: int, tmp_path: Path) -> None:
    tables = SECTION.split(EXAMPLE.read_text("utf-8"))
    for line in mistakes("".join(tables[:number] + tables[number + 1 :]), tmp_path):
        assert line.startswith("gateway.toml: ")


_VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=50).map(lambda text: text.encode("utf-8", "ignore").decode()),
    st.sampled_from(["10s", "0s", "9999999999d", "", "gpio", "f2", "buzzer", "\n"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["pin", "unit", "x"]), st.integers(), max_size=2),
)


def _tables(value: object) -> list[dict[str, object]]:
    if isinstance(value, list):
        return [table for item in value for table in _tables(item)]
    if isinstance(value, dict):
        return [value, *(table for item in value.values() for table in _tables(item))]
    return []


@given(st.data())
def test_whatever_stands_in_one_key_ends_in_a_setup_or_in_a_list_of_mistakes(data: st.DataObject) -> None:
    table = tomllib.loads((CONFIGS / "well.toml").read_text("utf-8"))
    places = [(one, key) for one in _tables(table) for key in one]
    one, key = data.draw(st.sampled_from(places))
    one[key] = data.draw(_VALUES)
    try:
        setup = config.parse(table, "gateway.toml")
    except ConfigError as error:
        assert error.lines
    else:
        assert setup.describe().points
