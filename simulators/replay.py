"""A recording served as a four-channel Modbus temperature transmitter.

    t_s,temp_a,temp_b,temp_c,temp_d      seconds (negative: before ignition) and degrees Celsius, one row a sample
"""

from __future__ import annotations

import asyncio
import bisect
import csv
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from simulators.devices import TemperatureTransmitter
from simulators.faults import FaultBoard
from simulators.modbus import Bus, TcpFace
from simulators.modbus_rtu import RtuFace

COLUMNS = ("t_s", "temp_a", "temp_b", "temp_c", "temp_d")
CHANNELS = len(COLUMNS) - 1


class RecordingError(ValueError):
    """The file is no recording; the text names the file, the row (as an editor counts) and the column."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples of four channels: a row of four temperatures in °C for each of `times_s`.

    The times never fall, but loggers do repeat a second; the later row of the same time stands.
    """

    name: str
    times_s: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]

    def at(self, t_s: float) -> tuple[float, ...]:
        """The four temperatures at `t_s`: the latest sample, the first before the beginning, the last after the end."""
        return self.rows[max(0, bisect.bisect_right(self.times_s, t_s) - 1)]

    @property
    def start_s(self) -> float:
        """Time of the first sample."""
        return self.times_s[0]

    @property
    def end_s(self) -> float:
        """Time of the last sample."""
        return self.times_s[-1]


def load(path: Path) -> Recording:
    """Read a recording. Raises RecordingError, and OSError where there is no such file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return _parse(path.name, csv.reader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise RecordingError(f"{path.name}: not a CSV text: {error}") from error


def _parse(name: str, lines: Any) -> Recording:
    header = [word.strip() for word in next(lines, [])]
    if tuple(header) != COLUMNS:
        got = ",".join(header) or "none"
        raise RecordingError(f"{name}: row 1: expected the columns {','.join(COLUMNS)}, got {got}")
    times_s: list[float] = []
    rows: list[tuple[float, ...]] = []
    for line in lines:
        if not line:
            continue
        t_s, *temperatures = _numbers(line, f"{name}: row {lines.line_num}")
        if times_s and t_s < times_s[-1]:
            raise RecordingError(f"{name}: row {lines.line_num}, t_s: expected {times_s[-1]:g} or later, got {t_s:g}")
        times_s.append(t_s)
        rows.append(tuple(temperatures))
    if not rows:
        raise RecordingError(f"{name}: no samples below the header")
    return Recording(name, tuple(times_s), tuple(rows))


def _numbers(line: list[str], where: str) -> list[float]:
    if len(line) != len(COLUMNS):
        raise RecordingError(f"{where}: expected {len(COLUMNS)} columns, got {len(line)}")
    numbers = []
    for column, word in zip(COLUMNS, line, strict=True):
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise RecordingError(f"{where}, {column}: expected a number, got {word!r}")
        numbers.append(number)
    return numbers


class Replay:
    """Plays a recording from its first sample at `speed` times its own pace, beginning when `start` is called."""

    def __init__(self, recording: Recording, speed: float, unit: int, name: str = "replay") -> None:
        self.recording = recording
        self.speed = speed
        self._start_s: float | None = None
        channels = [partial(self._channel_mc, at) for at in range(CHANNELS)]
        place = f"{name}/{unit}"
        faults = FaultBoard({place: "tcp", name: "tcp"}, {f"modbus/{unit}": place})
        self.bus = Bus(name, {unit: TemperatureTransmitter(channels)}, faults)

    def start(self, now_s: float) -> None:
        """Begin at `now_s` of the clock that `position_s` is asked with."""
        self._start_s = now_s

    def position_s(self, now_s: float) -> float:
        """Where in the recording it is, in the recording's own seconds; the first sample's time before the start."""
        if self._start_s is None:
            return self.recording.start_s
        return self.recording.start_s + (now_s - self._start_s) * self.speed

    def left_s(self, now_s: float) -> float:
        """Seconds of real time until the last sample; negative after it."""
        return (self.recording.end_s - self.position_s(now_s)) / self.speed

    def _channel_mc(self, channel: int) -> float:
        return self.recording.at(self.position_s(time.monotonic()))[channel] * 1000


async def serve(replay: Replay, face: TcpFace | RtuFace, port: int, ends: bool) -> None:
    """Serve a replay until cancelled or, where `ends`, until its last sample has stood for a second."""
    if isinstance(face, TcpFace):
        await face.start(port=port)
        where = f"Modbus TCP 127.0.0.1:{face.port}"
    else:
        face.start()
        where = f"Modbus RTU {face.path}"
    unit = next(iter(replay.bus.units))
    print(f"SIMULATED: {replay.recording.name} on {where}, unit {unit}, FC04 registers 0 to 3, 0.1 °C", flush=True)
    try:
        replay.start(time.monotonic())
        await asyncio.sleep(max(0.0, replay.left_s(time.monotonic())) + 1.0)
        after = "done" if ends else "its last sample stays"
        print(f"SIMULATED: end of {replay.recording.name}; {after}", flush=True)
        if not ends:
            await asyncio.Event().wait()
    finally:
        if isinstance(face, TcpFace):
            await face.stop()
        else:
            face.stop()
