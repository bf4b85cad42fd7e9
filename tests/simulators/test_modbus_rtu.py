"""The serial face over a real pty, with pymodbus as the master and own frames where time or bytes matter."""

from __future__ import annotations

import os
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from pymodbus.client import ModbusSerialClient

from simulators.devices import Device, RelayBoard, TemperatureTransmitter
from simulators.faults import FaultBoard
from simulators.modbus import Bus
from simulators.modbus_rtu import RtuFace, crc16, link, request_length, seal
from tests.simulators.running import RunningHome
from tests.support import wait_until

READ_FOUR = seal(bytes.fromhex("02 04 0000 0004"))
REPLY_BYTES = 13


def make_face(baud: int = 9600, bits_per_char: int = 10, strict: bool = False) -> RtuFace:
    places = {"b": "rtu bus", "b/1": "rtu unit", "b/2": "rtu unit"}
    units: dict[int, Device] = {1: RelayBoard(), 2: TemperatureTransmitter([lambda: 21_000.0] * 4)}
    return RtuFace(Bus("b", units, FaultBoard(places, {})), baud, bits_per_char, strict)


@pytest.fixture
def face() -> Iterator[RtuFace]:
    face = make_face()
    face.start()
    yield face
    face.stop()


def open_port(face: RtuFace, baud: int = 9600, timeout_s: float = 1.0) -> serial.Serial:
    return serial.Serial(face.path, baud, timeout=timeout_s)


def ask(port: serial.Serial, request: bytes = READ_FOUR, length: int = REPLY_BYTES) -> bytes:
    port.write(request)
    return bytes(port.read(length))


@pytest.mark.parametrize(
    ("body", "frame"),
    [
        ("01 03 00 00 00 01", "01 03 00 00 00 01 84 0A"),
        ("01 03 02 01 2C", "01 03 02 01 2C B8 09"),
        ("01 03 00 1B 00 01", "01 03 00 1B 00 01 F4 0D"),
        ("01 03 01 90 00 01", "01 03 01 90 00 01 85 DB"),
        ("01 04 06 01 40 00 29 00 2B", "01 04 06 01 40 00 29 00 2B F1 5A"),
    ],
)
def test_crc_of_known_frames(body: str, frame: str) -> None:
    assert seal(bytes.fromhex(body)) == bytes.fromhex(frame)


def test_crc_of_the_check_string() -> None:
    assert crc16(b"123456789") == 0x4B37


@pytest.mark.parametrize(
    ("head", "length"),
    [
        ("", None),
        ("01", None),
        ("01 03", 8),
        ("01 06 00", 8),
        ("01 0F 0000 0003", None),
        ("01 0F 0000 0003 01", 10),
        ("01 10 0000 0002 04", 13),
        ("01 2B 0E", None),
    ],
)
def test_a_request_tells_its_own_length(head: str, length: int | None) -> None:
    assert request_length(bytes.fromhex(head)) == length


def test_a_master_reads_both_breakers(home: RunningHome) -> None:
    master = ModbusSerialClient(home.ready["rtu"], baudrate=9600, timeout=2, retries=0)
    assert master.connect()
    first = master.read_input_registers(5, count=5, device_id=11).registers
    second = master.read_input_registers(5, count=5, device_id=12).registers
    master.close()
    assert first == pytest.approx([16, 36, 38, 223, 820], abs=15)
    assert second == pytest.approx([21, 37, 39, 223, 1140], abs=15)


def test_writes_reach_the_relays(face: RtuFace) -> None:
    with open_port(face) as port:
        echo = seal(bytes.fromhex("01 05 0003 FF00"))
        assert ask(port, echo, 8) == echo
        assert ask(port, seal(bytes.fromhex("01 0F 0000 0003 01 05")), 8) == seal(bytes.fromhex("01 0F 0000 0003"))
        assert ask(port, seal(bytes.fromhex("01 01 0000 0008")), 6) == seal(bytes.fromhex("01 01 01 0D"))


def test_a_request_in_pieces_is_one_request(face: RtuFace) -> None:
    with open_port(face) as port:
        port.write(READ_FOUR[:3])
        port.write(READ_FOUR[3:])
        assert port.read(REPLY_BYTES) == seal(bytes.fromhex("02 04 08") + bytes.fromhex("00D2") * 4)


def test_noise_before_a_request_is_forgotten_in_the_silence(face: RtuFace) -> None:
    with open_port(face, timeout_s=0.2) as port:
        assert ask(port, b"\xff\x00\x55") == b""
        assert len(ask(port)) == REPLY_BYTES


@pytest.mark.parametrize(
    "request_",
    [
        seal(bytes.fromhex("63 04 0000 0001")),  # nobody has this address
        READ_FOUR[:-1] + bytes((READ_FOUR[-1] ^ 1,)),
        READ_FOUR[:6],
        READ_FOUR + READ_FOUR,  # two frames without a silence between them are one bad frame
    ],
)
def test_no_slave_answers(face: RtuFace, request_: bytes) -> None:
    with open_port(face, timeout_s=0.25) as port:
        assert ask(port, request_) == b""


def test_a_function_of_unknown_length_is_refused_after_the_silence(face: RtuFace) -> None:
    with open_port(face) as port:
        assert ask(port, seal(bytes.fromhex("02 2B 0E 01 00")), 5) == seal(bytes.fromhex("02 AB 01"))


def test_a_broadcast_is_obeyed_in_silence(face: RtuFace) -> None:
    with open_port(face, timeout_s=0.2) as port:
        assert ask(port, seal(bytes.fromhex("00 05 0002 FF00")), 8) == b""
        assert ask(port, seal(bytes.fromhex("01 01 0000 0008")), 6) == seal(bytes.fromhex("01 01 01 04"))


def test_a_master_at_another_speed_hears_nothing(face: RtuFace) -> None:
    with open_port(face, baud=19200, timeout_s=0.25) as port:
        assert ask(port) == b""
        port.baudrate = 9600
        assert len(ask(port)) == REPLY_BYTES


@pytest.mark.parametrize(
    ("baud", "bits_per_char", "least_s"),
    [
        # request 8, silence 3.5, reply 13 characters
        (9600, 10, 24.5 * 10 / 9600),
        (9600, 11, 24.5 * 11 / 9600),
        (4800, 11, 24.5 * 11 / 4800),
        (115200, 10, 21 * 10 / 115200 + 0.00175),
    ],
)
def test_a_reply_takes_as_long_as_on_the_wire(baud: int, bits_per_char: int, least_s: float) -> None:
    face = make_face(baud, bits_per_char)
    face.start()
    try:
        with open_port(face, baud) as port:
            for _ in range(3):
                began_s = time.monotonic()
                assert len(ask(port)) == REPLY_BYTES
                assert time.monotonic() - began_s >= least_s
    finally:
        face.stop()


def test_a_strict_slave_drops_what_comes_in_its_own_silence() -> None:
    # 300 baud: the silence is 117 ms, so a prompt master is certainly early and a patient one certainly not.
    face = make_face(baud=300, strict=True)
    request, length = seal(bytes.fromhex("01 01 0000 0008")), 6
    face.start()
    try:
        with open_port(face, 300, timeout_s=2.0) as port:
            assert len(ask(port, request, length)) == length
            port.timeout = 0.8
            assert ask(port, request, length) == b""
            assert face.dropped_early == 1
            port.timeout = 2.0
            assert len(ask(port, request, length)) == length
            time.sleep(face.silence_s)
            assert len(ask(port, request, length)) == length
            assert face.dropped_early == 1
    finally:
        face.stop()


# --- the fault menu ---


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("silent", b""),
        ("busy", seal(bytes.fromhex("02 84 06"))),
        ("exception", seal(bytes.fromhex("02 84 04"))),
        ("foreign_unit", seal(bytes.fromhex("03 04 08") + bytes.fromhex("00D2") * 4)),
        ("short_reply", seal(bytes.fromhex("02 04 06") + bytes.fromhex("00D2") * 3)),
        ("half_frame", bytes.fromhex("02 04 08 00D2 00")),
    ],
)
def test_a_fault_on_the_wire(face: RtuFace, kind: str, reply: bytes) -> None:
    face.bus.faults.inject("b/2", kind, 0)
    with open_port(face, timeout_s=0.2) as port:
        assert ask(port) == reply


@pytest.mark.parametrize("kind", ["bad_crc", "garbage"])
def test_a_spoilt_frame_has_its_length_and_no_crc(face: RtuFace, kind: str) -> None:
    face.bus.faults.inject("b/2", kind, 0)
    with open_port(face) as port:
        reply = ask(port)
    assert len(reply) == REPLY_BYTES
    assert seal(reply[:-2]) != reply


def test_a_late_unit_does_not_hold_up_the_others(face: RtuFace) -> None:
    face.bus.faults.inject("b/2", "late", 0, delay_ms=400)
    with open_port(face) as port:
        port.write(READ_FOUR)
        time.sleep(0.1)
        assert ask(port, seal(bytes.fromhex("01 01 0000 0008")), 6) == seal(bytes.fromhex("01 01 01 00"))
        assert port.read(REPLY_BYTES)[:3] == bytes.fromhex("02 04 08")


def test_an_unplugged_adapter_vanishes_and_returns(home: RunningHome, tmp_path: Path) -> None:
    path = Path(home.ready["rtu"])
    request = seal(bytes.fromhex("0B 04 0000 0001"))
    with serial.Serial(str(path), 9600, timeout=1) as port:
        assert len(ask(port, request, 7)) == 7
        home.do(fault={"where": "breakers", "kind": "dropped_link"})
        wait_until(lambda: not os.path.lexists(path), what="the adapter's device file to vanish")
        with pytest.raises((OSError, termios.error)):
            for _ in range(3):
                ask(port, request, 7)
    home.do(heal="breakers")
    wait_until(path.exists, what="the adapter to return")
    with serial.Serial(str(path), 9600, timeout=1) as port:
        assert len(ask(port, request, 7)) == 7


def test_a_link_follows_the_terminal(tmp_path: Path) -> None:
    moved = link(tmp_path / "rtu")
    moved("/dev/null")
    moved("/dev/zero")
    assert os.readlink(tmp_path / "rtu") == "/dev/zero"
    moved(None)
    assert not os.path.lexists(tmp_path / "rtu")


def test_a_master_that_never_reads_does_not_stop_the_bus() -> None:
    units: dict[int, Device] = {1: RelayBoard(2000)}
    face = RtuFace(Bus("b", units, FaultBoard({}, {})), baud=115200)
    face.start()
    all_coils = seal(bytes.fromhex("01 01 0000 07D0"))
    with open_port(face, 115200) as port:
        for _ in range(25):  # a terminal holds 4 KiB, 16 of these replies
            port.write(all_coils)
            time.sleep(0.03)
        port.reset_input_buffer()
        assert len(ask(port, all_coils, 255)) == 255
    face.stop()


def test_stopping_twice_is_no_error(face: RtuFace) -> None:
    face.stop()
    face.stop()
