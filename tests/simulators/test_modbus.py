"""The Modbus TCP face, with pymodbus as the master and with bytes of our own where the split matters."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from simulators.devices import Device, RelayBoard, TemperatureTransmitter
from simulators.faults import FaultBoard
from simulators.modbus import Bus, TcpFace, pack_bits, unpack_bits
from tests.simulators.running import LoopThread, RunningHome

SILENCE_S = 0.3
READ_ONE = bytes.fromhex("04 0000 0001")


@pytest.fixture
def master(home: RunningHome) -> Iterator[ModbusTcpClient]:
    client = ModbusTcpClient("127.0.0.1", port=home.ready["modbus_port"], timeout=2, retries=0)
    assert client.connect()
    yield client
    client.close()


@pytest.fixture
def line(home: RunningHome) -> Iterator[socket.socket]:
    connection = socket.create_connection(("127.0.0.1", home.ready["modbus_port"]), timeout=2)
    yield connection
    connection.close()


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def receive(connection: socket.socket) -> tuple[int, int, bytes]:
    """Transaction, unit and PDU of the next reply."""
    head = receive_exactly(connection, 7)
    transaction, protocol, length, unit = struct.unpack(">HHHB", head)
    assert protocol == 0
    return transaction, unit, receive_exactly(connection, length - 1)


def receive_exactly(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        assert more, "the simulator hung up"
        data += more
    return data


def is_silent(connection: socket.socket) -> bool:
    connection.settimeout(SILENCE_S)
    try:
        return not connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(2)


def test_a_master_reads_every_meter(master: ModbusTcpClient) -> None:
    assert master.read_holding_registers(0, count=1, device_id=1).registers == pytest.approx([96], abs=6)
    assert master.read_holding_registers(0x1B, count=1, device_id=2).registers == [0]
    temperatures = master.read_input_registers(0, count=4, device_id=3).registers
    assert temperatures == pytest.approx([265, 218, 224, 345], abs=6)
    monitor = master.read_holding_registers(0, count=8, device_id=4).registers
    assert monitor == pytest.approx([22, 35, 18, 57, 330, 355, 320, 380], abs=8)


def test_relays_are_written_singly_and_together(home: RunningHome, master: ModbusTcpClient) -> None:
    master.write_coil(0, True, device_id=10)
    master.write_coils(1, [True, False, True], device_id=10)
    assert master.read_coils(0, count=8, device_id=10).bits == [True, True, False, True] + [False] * 4
    coils = home.do(get="outputs")["coils"]
    assert [coils[f"meters/10/{at}"]["level"] for at in range(4)] == [1, 1, 0, 1]
    assert coils["meters/10/3"]["changed_ns"] > coils["meters/10/0"]["changed_ns"] > 0
    writes = [entry for entry in home.do(get="log")["log"] if entry["kind"] == "write"]
    seen = [(entry["source"], entry["unit"], entry["function"], entry["address"]) for entry in writes]
    assert seen == [("meters", 10, 5, 0), ("meters", 10, 15, 1)]


def test_a_setting_is_written_by_both_functions(master: ModbusTcpClient) -> None:
    master.write_register(8, 450, device_id=1)
    assert master.read_holding_registers(8, count=2, device_id=1).registers == [450, 200]
    master.write_registers(8, [500, 250], device_id=1)
    assert master.read_holding_registers(8, count=2, device_id=1).registers == [500, 250]


def test_an_absent_unit_is_silent(line: socket.socket) -> None:
    line.sendall(frame(1, 77, READ_ONE))
    assert is_silent(line)


@pytest.mark.parametrize(
    ("pdu", "reply"),
    [
        ("03 0000 0001", "83 01"),  # the transmitter has no holding registers
        ("04 0004 0001", "84 02"),
        ("04 0003 0002", "84 02"),
        ("04 0000 0000", "84 03"),
        ("04 0000 007E", "84 03"),
        ("04 0000", "84 03"),
        ("2B 0E 01 00", "AB 01"),
        ("06 0000 0001", "86 01"),
        ("10 0000 0001 02", "90 03"),
        ("10 0000 0002 02 0001", "90 03"),
        ("0F 0000 0009 01 FF", "8F 03"),
        ("05 0000 1234", "85 03"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_as_the_specification_says(
    line: socket.socket, pdu: str, reply: str
) -> None:
    line.sendall(frame(5, 3, bytes.fromhex(pdu)))
    assert receive(line) == (5, 3, bytes.fromhex(reply))


def test_several_requests_in_one_segment_are_answered_in_turn(line: socket.socket) -> None:
    line.sendall(b"".join(frame(at, 3, READ_ONE) for at in range(1, 30)))
    assert [receive(line)[0] for _ in range(1, 30)] == list(range(1, 30))


def test_a_request_in_single_bytes_is_answered_once(line: socket.socket) -> None:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in frame(9, 3, READ_ONE):
        line.sendall(bytes((byte,)))
    assert receive(line)[:2] == (9, 3)
    assert is_silent(line)


def test_several_masters_at_once(home: RunningHome) -> None:
    lines = [socket.create_connection(("127.0.0.1", home.ready["modbus_port"]), timeout=2) for _ in range(5)]
    for at, line in enumerate(lines):
        line.sendall(frame(at, 3, READ_ONE))
    for at, line in enumerate(lines):
        assert receive(line)[0] == at
        line.close()


@pytest.mark.parametrize("head", ["0001 0001 0006 03", "0001 0000 0001 03", "0001 0000 0100 03"])
def test_a_stream_without_framing_is_closed(line: socket.socket, head: str) -> None:
    line.sendall(bytes.fromhex(head) + READ_ONE)
    with pytest.raises((ConnectionError, AssertionError)):
        receive(line)


# --- the fault menu ---


def test_a_silent_unit_leaves_the_others_alone(home: RunningHome, line: socket.socket) -> None:
    home.do(fault={"where": "modbus/2", "kind": "silent"})
    line.sendall(frame(1, 2, bytes.fromhex("03 0000 0001")) + frame(2, 3, READ_ONE))
    assert receive(line)[:2] == (2, 3)
    home.do(heal="modbus/2")
    line.sendall(frame(3, 2, bytes.fromhex("03 0000 0001")))
    assert receive(line)[:2] == (3, 2)


def test_a_late_reply_keeps_its_transaction_and_overtakes_nobody(home: RunningHome, line: socket.socket) -> None:
    home.do(fault={"where": "modbus/3", "kind": "late", "delay_ms": 200})
    line.sendall(frame(1, 3, READ_ONE) + frame(2, 1, bytes.fromhex("03 0000 0001")))
    assert [receive(line)[0], receive(line)[0]] == [2, 1]


@pytest.mark.parametrize(
    ("fault", "unit", "pdu"),
    [
        ({"kind": "busy"}, 3, "84 06"),
        ({"kind": "exception"}, 3, "84 04"),
        ({"kind": "exception", "code": 2}, 3, "84 02"),
    ],
)
def test_a_unit_refuses(
    home: RunningHome, line: socket.socket, fault: dict[str, object], unit: int, pdu: str
) -> None:
    home.do(fault={"where": "modbus/3", **fault})
    line.sendall(frame(1, 3, READ_ONE))
    assert receive(line) == (1, unit, bytes.fromhex(pdu))


def test_a_foreign_unit_and_a_short_reply_are_well_formed(home: RunningHome, line: socket.socket) -> None:
    home.do(fault={"where": "modbus/3", "kind": "foreign_unit"})
    line.sendall(frame(1, 3, READ_ONE))
    transaction, unit, pdu = receive(line)
    assert (transaction, unit, pdu[:2]) == (1, 4, bytes((4, 2)))
    home.do(fault={"where": "modbus/3", "kind": "short_reply"})
    line.sendall(frame(2, 3, bytes.fromhex("04 0000 0004")))
    transaction, unit, pdu = receive(line)
    assert (transaction, unit, pdu[:2], len(pdu)) == (2, 3, bytes((4, 6)), 8)


def test_half_a_frame_stops_in_the_middle(home: RunningHome, line: socket.socket) -> None:
    home.do(fault={"where": "modbus/3", "kind": "half_frame"})
    line.sendall(frame(1, 3, READ_ONE))
    assert receive_exactly(line, 5) == bytes.fromhex("0001 0000 00")
    assert is_silent(line)


def test_garbage_is_as_long_as_the_answer_and_is_not_it(home: RunningHome, line: socket.socket) -> None:
    line.sendall(frame(1, 1, bytes.fromhex("03 0018 0001")))
    good = receive_exactly(line, 11)
    home.do(fault={"where": "modbus/1", "kind": "garbage"})
    line.sendall(frame(1, 1, bytes.fromhex("03 0018 0001")))
    assert receive_exactly(line, 11) != good
    assert is_silent(line)


def test_a_dropped_link_closes_and_heals(home: RunningHome, line: socket.socket) -> None:
    home.do(fault={"where": "meters", "kind": "dropped_link"})
    with pytest.raises((ConnectionError, AssertionError)):
        receive(line)
    port = home.ready["modbus_port"]
    with (
        socket.create_connection(("127.0.0.1", port), timeout=2) as again,
        pytest.raises((ConnectionError, AssertionError)),
    ):
        again.sendall(frame(1, 3, READ_ONE))
        receive(again)
    home.do(heal="meters")
    with socket.create_connection(("127.0.0.1", port), timeout=2) as healed:
        healed.sendall(frame(1, 3, READ_ONE))
        assert receive(healed)[0] == 1


def test_a_unit_that_drops_the_link_leaves_it_to_the_others(home: RunningHome, line: socket.socket) -> None:
    home.do(fault={"where": "modbus/2", "kind": "dropped_link"})
    line.sendall(frame(1, 3, READ_ONE))
    assert receive(line)[0] == 1
    line.sendall(frame(2, 2, bytes.fromhex("03 0000 0001")))
    with pytest.raises((ConnectionError, AssertionError)):
        receive(line)


def test_pymodbus_sees_each_fault_as_a_fault(home: RunningHome, master: ModbusTcpClient) -> None:
    master.comm_params.timeout_connect = SILENCE_S
    for kind in ("silent", "half_frame", "dropped_link", "busy", "exception"):
        home.do(fault={"where": "modbus/3", "kind": kind})
        with contextlib.suppress(ModbusException):
            assert master.read_input_registers(0, count=4, device_id=3).isError(), kind
        home.do(heal="modbus/3")
        master.close()
        master.connect()
        assert not master.read_input_registers(0, count=4, device_id=3).isError(), kind


# --- bytes ---


def bus() -> Bus:
    units: dict[int, Device] = {1: RelayBoard(16), 2: TemperatureTransmitter([lambda: 21_000.0] * 4)}
    return Bus("b", units, FaultBoard({}, {}))


@given(st.integers(0, 255), st.binary(max_size=300))
def test_no_request_whatever_breaks_a_bus(unit: int, pdu: bytes) -> None:
    answer = bus().answer(unit, pdu)
    if unit not in (1, 2) or not pdu:
        assert answer is None
    else:
        assert answer is not None
        assert answer.pdu[0] & 0x7F == pdu[0] & 0x7F


@given(st.lists(st.integers(0, 1), min_size=1, max_size=100))
def test_bits_survive_packing(bits: list[int]) -> None:
    assert unpack_bits(pack_bits(bits), len(bits)) == bits


def test_a_broadcast_is_carried_out_and_not_answered() -> None:
    relays = bus()
    relays.broadcast(bytes.fromhex("05 0003 FF00"))
    relays.broadcast(bytes.fromhex("01 0000 0008"))
    assert relays.units[1].read(1, 3, 1) == [1]
    assert [write.unit for write in relays.writes] == [1]


def test_a_taken_port_is_an_error(loop_thread: LoopThread) -> None:
    first, second = TcpFace(bus()), TcpFace(bus())
    loop_thread.run(first.start())
    with pytest.raises(OSError, match="address already in use"):
        loop_thread.run(second.start(port=first.port))
    loop_thread.run(first.stop())
