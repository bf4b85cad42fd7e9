"""The board's under-voltage flag, in a folder laid out as the kernel's hwmon class is."""

from pathlib import Path

from edge.board import FLAG, NAME, Voltage
from edge.core.values import Reading, Unknown
from edge.own_points import VOLTAGE_POINT, own_points


def hwmon(folder: Path, flag: str | None = "0\n") -> Path:
    """Two devices, the second of which is the Raspberry Pi's voltage sensor."""
    for name in ("cpu_thermal", NAME):
        device = folder / f"hwmon-{name}"
        device.mkdir()
        (device / "name").write_text(f"{name}\n")
        if name == NAME and flag is not None:
            (device / FLAG).write_text(flag)
    return folder / f"hwmon-{NAME}" / FLAG


def test_the_flag_is_read_as_the_board_has_it(tmp_path: Path) -> None:
    flag = hwmon(tmp_path)
    voltage = Voltage(tmp_path)
    assert voltage.reading() == Reading(VOLTAGE_POINT, 0)
    flag.write_text("1\n")
    assert voltage.reading() == Reading(VOLTAGE_POINT, 1)


def test_a_board_that_does_not_say_is_unknown_and_never_well(tmp_path: Path) -> None:
    assert Voltage(tmp_path).reading() == Reading(VOLTAGE_POINT, None, Unknown.NOT_POLLED)
    assert Voltage(tmp_path / "nothing").reading().unknown is Unknown.NOT_POLLED
    flag = hwmon(tmp_path, flag="low\n")
    voltage = Voltage(tmp_path)
    assert voltage.reading() == Reading(VOLTAGE_POINT, None, Unknown.BAD_REPLY)
    flag.unlink()
    assert voltage.reading().unknown is Unknown.BAD_REPLY


def test_it_is_watched_only_where_the_configuration_asks_for_it() -> None:
    assert VOLTAGE_POINT not in [point.code for point in own_points()]
    asked = {point.code: point for point in own_points(watch_voltage=True)}
    assert asked[VOLTAGE_POINT].fault_after_ms, "asked for and never heard is a fault"
