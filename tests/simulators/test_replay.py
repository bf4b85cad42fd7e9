from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient, ModbusSerialClient

from simulators import replay
from simulators.modbus import TcpFace
from simulators.modbus_rtu import RtuFace
from simulators.replay import COLUMNS, Recording, RecordingError, Replay

HEADER = ",".join(COLUMNS)
FIRES = Path(__file__).parents[2].parent / "shared" / "data" / "fires"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "fire.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


def test_a_recording_holds_each_sample_until_the_next(tmp_path: Path) -> None:
    recording = replay.load(write(tmp_path, "-2,20,21,22,23", "0,30,31,32,33", "", "1.5,900.25,41,42,43"))
    assert recording.at(-5) == recording.at(-0.1) == (20, 21, 22, 23)
    assert recording.at(0) == recording.at(1.49) == (30, 31, 32, 33)
    assert recording.at(1.5) == recording.at(99) == (900.25, 41, 42, 43)
    assert (recording.start_s, recording.end_s) == (-2, 1.5)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "fire.csv: row 1: expected the columns t_s,temp_a,temp_b,temp_c,temp_d, got none"),
        ("time,temp\n1,2\n", "fire.csv: row 1: expected the columns"),
        (f"{HEADER}\n", "fire.csv: no samples below the header"),
        (f"{HEADER}\n0,1,2,3\n", "fire.csv: row 2: expected 5 columns, got 4"),
        (f"{HEADER}\n0,1,2,3,4,5\n", "fire.csv: row 2: expected 5 columns, got 6"),
        (f"{HEADER}\n0,1,2,3,4\n1,1,x,3,4\n", "fire.csv: row 3, temp_b: expected a number, got 'x'"),
        (f"{HEADER}\n0,1,2,3,\n", "fire.csv: row 2, temp_d: expected a number, got ''"),
        (f"{HEADER}\n0,nan,2,3,4\n", "fire.csv: row 2, temp_a: expected a number, got 'nan'"),
        (f"{HEADER}\n0,1,2,3,inf\n", "fire.csv: row 2, temp_d: expected a number, got 'inf'"),
        (f"{HEADER}\n1,1,2,3,4\n0,1,2,3,4\n", "fire.csv: row 3, t_s: expected 1 or later, got 0"),
        (f'{HEADER}\n"0,1,2,3,4\n', "fire.csv: not a CSV text"),
    ],
)
def test_a_bad_file_is_named_with_row_and_column(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "fire.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordingError) as error:
        replay.load(path)
    assert complaint in str(error.value)


def test_a_picture_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "fire.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(RecordingError, match=r"fire\.csv: not a CSV text"):
        replay.load(path)


def test_of_two_samples_in_one_second_the_later_stands(tmp_path: Path) -> None:
    recording = replay.load(write(tmp_path, "0,1,1,1,1", "1,2,2,2,2", "1,3,3,3,3"))
    assert recording.at(1) == (3, 3, 3, 3)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "fire.csv"
    path.write_text(f"\ufeff{HEADER}\n0,1,2,3,4\n", encoding="utf-8")
    assert replay.load(path).at(0) == (1, 2, 3, 4)


@pytest.mark.parametrize(("speed", "position_s"), [(1.0, -7.0), (10.0, 20.0), (0.5, -8.5)])
def test_speed_scales_the_clock(speed: float, position_s: float) -> None:
    again = Replay(Recording("r", (-10.0, 100.0), ((1.0,) * 4, (2.0,) * 4)), speed, unit=1)
    assert again.position_s(500.0) == -10.0, "it stands at its first sample until it is started"
    again.start(1000.0)
    assert again.position_s(1003.0) == position_s
    assert again.left_s(1000.0) == 110.0 / speed


SAMPLES = Recording("r", (0.0, 1000.0), ((21.34, -4.0, 812.5, 5000.0), (30.0,) * 4))


def test_a_master_reads_it_over_tcp() -> None:
    async def read() -> Sequence[int]:
        face = TcpFace(Replay(SAMPLES, 1.0, unit=7).bus)
        await face.start()
        client = AsyncModbusTcpClient("127.0.0.1", port=face.port, timeout=2)
        await client.connect()
        registers = (await client.read_input_registers(0, count=4, device_id=7)).registers
        client.close()
        await face.stop()
        return registers

    assert asyncio.run(read()) == [213, 0x10000 - 40, 8125, 0x7FFE], "the last one is beyond the transmitter's range"


def test_a_master_reads_it_over_rtu() -> None:
    face = RtuFace(Replay(SAMPLES, 1.0, unit=7).bus)
    face.start()
    client = ModbusSerialClient(face.path, baudrate=9600, timeout=2)
    assert client.connect()
    assert client.read_input_registers(0, count=1, device_id=7).registers == [213]
    client.close()
    face.stop()


@pytest.mark.skipif(not FIRES.is_dir(), reason=f"no recordings of fires at {FIRES}")
def test_every_recorded_fire_loads() -> None:
    files = sorted(FIRES.glob("*.csv"))
    assert files
    for file in files:
        recording = replay.load(file)
        assert recording.start_s < 0 < recording.end_s
        assert all(-40 < temp < 1300 for row in recording.rows for temp in row), file.name
