"""Each device against the known frames of its data sheet."""

from __future__ import annotations

import pytest

from simulators.building import Building
from simulators.devices import (
    BROKEN_SENSOR,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    AcrelAsj,
    LeakageTemperatureMonitor,
    Lx47le,
    ModbusException,
    RelayBoard,
    TemperatureTransmitter,
    i16,
    u16,
)
from simulators.faults import FaultBoard
from simulators.modbus import Bus
from simulators.modbus_rtu import seal

VALUES = {"leak": 300.0, "temp": 41_000.0, "volts": 230.0, "load": 12_340.0}


def sense(name: str) -> float:
    return VALUES[name]


def exchange(unit: int, device: object, request: str) -> str:
    frame = bytes.fromhex(request)
    assert seal(frame[:-2]) == frame
    answer = Bus("b", {unit: device}, FaultBoard({}, {})).answer(frame[0], frame[1:-2])  # type: ignore[dict-item]
    assert answer is not None
    return seal(bytes((answer.unit,)) + answer.pdu).hex(" ").upper()


@pytest.mark.parametrize(
    ("leak", "request_", "reply"),
    [
        (300.0, "01 03 00 00 00 01 84 0A", "01 03 02 01 2C B8 09"),
        (300.0, "01 03 00 1B 00 01 F4 0D", "01 03 02 00 02 39 85"),
        (float("nan"), "01 03 00 1B 00 01 F4 0D", "01 03 02 00 04 B9 87"),
    ],
)
def test_acrel_asj_answers_as_its_manual_prints(leak: float, request_: str, reply: str) -> None:
    assert exchange(1, AcrelAsj(lambda name: leak, "leak", 1), request_) == reply


def test_lx47le_answers_as_its_manual_prints() -> None:
    values = {"leak": 320.0, "temp": 41_000.0, "volts": 230.0, "load": 0.0}
    breaker = Lx47le(values.__getitem__, "leak", "temp", "volts", "load")
    assert exchange(1, breaker, "01 04 00 05 00 03 A0 0A") == "01 04 06 01 40 00 29 00 2B F1 5A"


@pytest.mark.parametrize(
    ("leak", "status"), [(0.0, 0), (199.4, 0), (200.0, 1), (299.4, 1), (300.0, 2), (5000.0, 2), (float("nan"), 4)]
)
def test_acrel_status_bits(leak: float, status: int) -> None:
    assert AcrelAsj(lambda name: leak, "leak", 1).status() == status


def test_acrel_settings_move_its_alarm_and_refuse_what_is_out_of_range() -> None:
    relay = AcrelAsj(sense, "leak", 7)
    relay.write(6, 0x0008, [500])
    assert relay.status() == 1
    assert relay.read(3, 0x0008, 2) == [500, 200]
    assert relay.read(3, 0x0018, 2) == [7, 2]
    with pytest.raises(ModbusException) as refused:
        relay.write(16, 0x0008, [9])
    assert refused.value.code == ILLEGAL_VALUE
    with pytest.raises(ModbusException) as refused:
        relay.write(6, 0x0000, [1])
    assert refused.value.code == ILLEGAL_ADDRESS


@pytest.mark.parametrize(
    ("device", "function", "address", "code"),
    [
        (AcrelAsj(sense, "leak", 1), 4, 0, ILLEGAL_FUNCTION),
        (AcrelAsj(sense, "leak", 1), 3, 0x2A, ILLEGAL_ADDRESS),
        (TemperatureTransmitter([lambda: 20_000.0] * 4), 3, 0, ILLEGAL_FUNCTION),
        (TemperatureTransmitter([lambda: 20_000.0] * 4), 4, 4, ILLEGAL_ADDRESS),
        (LeakageTemperatureMonitor(sense, ["leak"] * 4, ["temp"] * 4), 3, 8, ILLEGAL_ADDRESS),
        (Lx47le(sense, "leak", "temp", "volts", "load"), 3, 0, ILLEGAL_FUNCTION),
        (RelayBoard(), 3, 0, ILLEGAL_FUNCTION),
        (RelayBoard(), 1, 8, ILLEGAL_ADDRESS),
    ],
)
def test_a_device_refuses_what_it_does_not_have(device: RelayBoard, function: int, address: int, code: int) -> None:
    with pytest.raises(ModbusException) as refused:
        device.read(function, address, 1)
    assert refused.value.code == code


def test_only_relays_breakers_and_settings_can_be_written() -> None:
    for device in (TemperatureTransmitter([lambda: 0.0]), LeakageTemperatureMonitor(sense, ["leak"], ["temp"])):
        with pytest.raises(ModbusException) as refused:
            device.write(6, 0, [1])
        assert refused.value.code == ILLEGAL_FUNCTION


@pytest.mark.parametrize(
    ("temp_mc", "word"),
    [(0.0, 0), (21_549.0, 215), (-10_000.0, 0xFF9C), (-25.0, 0), (4e6, 0x7FFE), (-4e6, 0x8000), (float("nan"), 0x7FFF)],
)
def test_a_temperature_is_a_signed_word_of_tenths(temp_mc: float, word: int) -> None:
    assert TemperatureTransmitter([lambda: temp_mc]).read(4, 0, 1) == [word]


def test_words_clip_at_the_ends_of_their_range() -> None:
    assert (u16(-1), u16(70_000), u16(float("nan"))) == (0, 0xFFFF, 0)
    assert (i16(-40_000), i16(40_000), i16(float("nan"))) == (0x8000, 0x7FFE, BROKEN_SENSOR)


def test_the_breaker_measures_its_circuit_and_can_be_opened() -> None:
    breaker = Lx47le(sense, "leak", "temp", "volts", "load")
    assert breaker.read(4, 0, 12) == [0xF0, 0, 0, 0, 5000, 300, 41, 43, 230, 1234, 98, 2781]
    breaker.write(6, 0x000D, [0x0F])
    assert breaker.read(4, 0, 12) == [0x0F, 0, 0, 0, 5000, 0, 41, 43, 230, 0, 98, 0]
    with pytest.raises(ModbusException):
        breaker.write(6, 0x000D, [0x55])


def test_relays_remember_when_they_last_changed() -> None:
    board = RelayBoard()
    board.write(15, 1, [1, 0, 1])
    assert board.read(1, 0, 8) == [0, 1, 0, 1, 0, 0, 0, 0]
    stamps = list(board.changed_ns)
    assert [bool(stamp) for stamp in stamps] == [False, True, False, True, False, False, False, False]
    board.write(5, 1, [1])
    assert board.changed_ns == stamps, "writing the same again is no change"
    assert board.read(2, 0, 8) == board.read(1, 0, 8)


def test_the_example_home_has_every_unit_of_the_wiring_plan() -> None:
    devices = Building.load("home").devices
    assert {place: type(device).__name__ for place, device in devices.items()} == {
        ("meters", 1): "AcrelAsj",
        ("meters", 2): "AcrelAsj",
        ("meters", 3): "TemperatureTransmitter",
        ("meters", 4): "LeakageTemperatureMonitor",
        ("meters", 10): "RelayBoard",
        ("breakers", 11): "Lx47le",
        ("breakers", 12): "Lx47le",
    }
