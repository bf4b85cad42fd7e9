"""The simulated SHT3x against its data sheet."""

from __future__ import annotations

import pytest

from simulators.sht3x import Sht3x, crc8

MS = 1_000_000


@pytest.fixture
def sensor() -> Sht3x:
    return Sht3x(lambda: 21_500.0, lambda: 46.0)


def command(sensor: Sht3x, text: str, now_ms: float = 0) -> None:
    sensor.write(bytes.fromhex(text), round(now_ms * MS))


def test_the_checksum_of_the_data_sheet() -> None:
    assert crc8(bytes.fromhex("BEEF")) == 0x92


@pytest.mark.parametrize(("text", "ms"), [("2400", 15), ("240B", 6), ("2416", 4)])
def test_a_measurement_is_there_after_its_time_and_once(sensor: Sht3x, text: str, ms: int) -> None:
    command(sensor, text)
    with pytest.raises(OSError, match="121"):
        sensor.read(6, (ms - 1) * MS)
    answer = sensor.read(6, ms * MS)
    temperature, humidity = (int.from_bytes(answer[at : at + 2], "big") for at in (0, 3))
    assert -45 + 175 * temperature / 65535 == pytest.approx(21.5, abs=0.002)
    assert 100 * humidity / 65535 == pytest.approx(46.0, abs=0.001)
    assert (crc8(answer[:2]), crc8(answer[3:5])) == (answer[2], answer[5])
    with pytest.raises(OSError, match="121"):
        sensor.read(6, 2 * ms * MS)


def test_the_status_says_reset_until_it_is_cleared_and_reading_it_changes_nothing(sensor: Sht3x) -> None:
    command(sensor, "F32D")
    assert sensor.read(3, 0)[:2] == bytes.fromhex("8010")
    assert sensor.changes == 0
    command(sensor, "3041")
    command(sensor, "306D")
    command(sensor, "F32D")
    assert sensor.read(3, 0)[:2] == bytes.fromhex("2000")
    command(sensor, "FFFF")
    assert sensor.changes == 3


def test_nothing_is_there_to_be_read_at_first(sensor: Sht3x) -> None:
    with pytest.raises(OSError, match="121"):
        sensor.read(1, 0)


def test_the_ends_of_its_range() -> None:
    sensor = Sht3x(lambda: 200_000.0, lambda: 130.0)
    command(sensor, "2400")
    assert sensor.read(6, 20 * MS) == bytes.fromhex("FFFFAC") * 2
