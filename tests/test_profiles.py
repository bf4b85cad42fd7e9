"""Device profiles: those shipped, against their manuals' figures, and what is said about a wrong one."""

from pathlib import Path

import pytest

from edge.core.values import Unknown
from edge.profiles import ChipProfile, MeterProfile, TransducerProfile, load, shipped
from edge.schema import ConfigError
from edge.sources.modbus.plan import decoder

METERS = (
    *("acrel-asj", "lx47le-125", "monitor-4i4t", "relay-8", "schneider-rhu", "temperature-1ch", "temperature-4ch"),
)
CHIPS = ("sht3x",)
TRANSDUCERS = ("transducer-0v5-4v5-2MPa5", "volts")

# STANDARDS.md, section 4, and the wiring page of the example home: function, address, raw word, value, unit, scale.
FIGURES = [
    ("acrel-asj", "residual_current", 3, 0x0000, 0x012C, 300, "mA", 0),
    ("acrel-asj", "device_alarm", 3, 0x001B, 0b010, 1, "", 0),
    ("acrel-asj", "device_warning", 3, 0x001B, 0b001, 1, "", 0),
    ("schneider-rhu", "residual_current", 3, 0x0190, 0x012C, 300, "mA", 0),
    ("schneider-rhu", "residual_current", 3, 0x0190, 60_001, Unknown.OUT_OF_RANGE, "mA", 0),
    ("schneider-rhu", "percent_of_threshold", 3, 0x01B8, 90, 90, "%", 0),
    ("schneider-rhu", "device_alarm", 3, 0x00C9, 0b1, 1, "", 0),
    ("schneider-rhu", "device_warning", 3, 0x00CB, 0b10, 0, "", 0),
    ("schneider-rhu", "device_alarm_memorised", 3, 0x00CD, 0b1, 1, "", 0),
    ("temperature-1ch", "temperature", 4, 0x0000, 215, 21_500, "°C", -3),
    ("temperature-1ch", "temperature", 4, 0x0000, 0x8000, Unknown.SENSOR_BROKEN, "°C", -3),
    ("lx47le-125", "switched_off", 4, 0x0000, 0x00F0, 0, "", 0),
    ("lx47le-125", "switched_off", 4, 0x0000, 0x010F, 1, "", 0),
    ("lx47le-125", "residual_current", 4, 0x0005, 0x0140, 320, "mA", 0),
    ("lx47le-125", "neutral_temperature", 4, 0x0006, 0x0029, 41_000, "°C", -3),
    ("lx47le-125", "phase_temperature", 4, 0x0007, 0x002B, 43_000, "°C", -3),
    ("lx47le-125", "voltage", 4, 0x0008, 231, 231, "V", 0),
    ("lx47le-125", "current", 4, 0x0009, 1234, 1234, "A", -2),
    ("temperature-4ch", "temperature_1", 4, 0x0000, 215, 21_500, "°C", -3),
    ("temperature-4ch", "temperature_4", 4, 0x0003, 0xFF9C, -10_000, "°C", -3),
    ("temperature-4ch", "temperature_2", 4, 0x0001, 0x7FFF, Unknown.SENSOR_BROKEN, "°C", -3),
    ("monitor-4i4t", "residual_current_4", 3, 0x0003, 120, 120, "mA", 0),
    ("monitor-4i4t", "temperature_1", 3, 0x0004, 600, 60_000, "°C", -3),
    ("monitor-4i4t", "temperature_4", 3, 0x0007, 0x7FFF, Unknown.SENSOR_BROKEN, "°C", -3),
    ("acrel-asj", "residual_current", 3, 0x0000, 0xFFFF, Unknown.OUT_OF_RANGE, "mA", 0),
]


def test_all_that_are_shipped_are_read_and_name_their_manual() -> None:
    assert shipped() == tuple(sorted(METERS + TRANSDUCERS + CHIPS))
    for name in METERS:
        assert load(name, MeterProfile).source
    for name in TRANSDUCERS:
        assert load(name, TransducerProfile).source
    for name in CHIPS:
        assert load(name, ChipProfile).source


@pytest.mark.parametrize(("name", "quantity", "function", "address", "word", "value", "unit", "scale"), FIGURES)
def test_a_profiles_figures_are_those_of_the_manual(
    name: str, quantity: str, function: int, address: int, word: int, value: int | Unknown, unit: str, scale: int
) -> None:
    shown = load(name, MeterProfile).quantity[quantity]
    assert (shown.function, shown.address, shown.unit, shown.scale) == (function, address, unit, scale)
    assert decoder(shown)([word]) == value


def test_only_a_relay_board_has_coils() -> None:
    assert {name for name in METERS if load(name, MeterProfile).coils} == {"relay-8"}
    assert load("relay-8", MeterProfile).coils == 8


GOOD = 'title = "t"\nsource = "s"\nkind = "modbus"\n[quantity.q]\nfunction = 3\naddress = 0\nunit = "mA"\n'
WRONG = [
    (GOOD.replace("function = 3", "function = 5"), "quantity.q.function: expected one of 3, 4 for u16, got 5"),
    (GOOD + "divid = 1\n", "quantity.q.divid: unknown key; did you mean divide?"),
    (GOOD + "divide = 0\n", "quantity.q.divide: expected 1 or more, got 0"),
    (GOOD + 'type = "u8"\n', 'quantity.q.type: expected one of "u16"'),
    (GOOD.replace('kind = "modbus"', 'kind = "modbus"\ncoils = 4'), "coils: expected 0 for a device that is read"),
    (GOOD.split("[")[0], "quantity: expected at least one quantity, or coils"),
    (GOOD + "broken_when = { function = 1, address = 0, mask = 1 }\n", "broken_when.function: expected 3 or 4"),
    (GOOD + "valid_when = { function = 3, address = 0, mask = 0 }\n", "valid_when.mask: expected bits"),
    (GOOD.replace("= 3", "="), "mine.toml: Invalid value"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_an_installers_own_profile_says_what_is_wrong_with_it(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as error:
        load(str(path), MeterProfile)
    (line,) = error.value.lines
    assert line.startswith("mine.toml: ") and said in line


def test_an_installers_own_profile_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, "utf-8")
    assert list(load(str(path), MeterProfile).quantity) == ["q"]


@pytest.mark.parametrize("name", ["acrel-ajs", "../rules/demo", "", "/nowhere/mine.toml"])
def test_a_name_that_is_none_lists_those_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match="shipped: acrel-asj"):
        load(name, MeterProfile)


def test_a_transducer_is_no_meter() -> None:
    with pytest.raises(ConfigError):
        load("volts", MeterProfile)
