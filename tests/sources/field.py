"""A source under test beside the simulated devices that it reads, on one event loop."""

import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge.core.values import Reading, Unknown
from edge.schema import Mistakes, read_table
from edge.sources import SOURCES, Site, Source, Wired
from simulators.devices import ILLEGAL_ADDRESS, ModbusException
from simulators.faults import FaultBoard
from simulators.modbus import Bus, TcpFace
from simulators.modbus_rtu import RtuFace

DEADLINE_S = 15.0


class Words:
    """A unit whose registers (from 0) the test sets; keeps the requests it got."""

    def __init__(self, *words: int, function: int = 3, holes: Sequence[int] = ()) -> None:
        self.words = list(words)
        self.function = function
        self.holes = holes
        self.requests: list[tuple[int, int]] = []

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        self.requests.append((address, count))
        span = range(address, address + count)
        if function != self.function or span.stop > len(self.words) or any(hole in span for hole in self.holes):
            raise ModbusException(ILLEGAL_ADDRESS)
        return self.words[address : address + count]

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        self.words[address : address + len(values)] = values


class Heard:
    """What a source delivered."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []

    def take(self, readings: Sequence[Reading]) -> None:
        assert readings, "an empty delivery wakes the engine for nothing"
        self.readings += readings

    def of(self, point: str) -> list[int | Unknown]:
        """Every value or reason of a point, in order."""
        return [value_of(reading) for reading in self.readings if reading.point == point]

    def last(self, point: str) -> int | Unknown | None:
        return next(iter(self.of(point)[::-1]), None)

    def forget(self) -> None:
        self.readings.clear()

    async def until(self, point: str, wanted: int | Unknown) -> None:
        """Wait until the point's latest reading is `wanted`."""
        await until(lambda: self.last(point) == wanted, f"{point} = {wanted}, got {self.of(point)[-5:]}")

    async def more(self, point: str, count: int) -> None:
        """Wait for `count` more readings of the point."""
        goal = len(self.of(point)) + count
        await until(lambda: len(self.of(point)) >= goal, f"{count} more readings of {point}")


def value_of(reading: Reading) -> int | Unknown:
    """The value or the reason; never both, never neither."""
    assert (reading.value is None) is (reading.unknown is not None), reading
    if reading.unknown is not None:
        return reading.unknown
    assert reading.value is not None
    return reading.value


async def until(condition: Callable[[], object], what: object = "", within_s: float = DEADLINE_S) -> None:
    """Wait for a condition; fails after `within_s`."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    while not condition():
        assert loop.time() < end_s, f"waited {within_s} s for {what}"
        await asyncio.sleep(0.002)


def table(text: str) -> dict[str, Any]:
    """The `[[source]]` of a stanza in TOML."""
    source: dict[str, Any] = tomllib.loads(text)["source"][0]
    return source


def config_of(stanza: dict[str, Any]) -> Any:
    """The source's configuration, as the agent reads it."""
    mistakes = Mistakes("gateway.toml")
    config = read_table(SOURCES[stanza["kind"]].config, stanza, "source[0]", mistakes)
    assert config is not None, mistakes.lines
    return config


def mistakes_in(stanza: dict[str, Any]) -> list[str]:
    """What is wrong with a source's table."""
    mistakes = Mistakes("gateway.toml")
    read_table(SOURCES[stanza["kind"]].config, stanza, "source[0]", mistakes)
    return mistakes.lines


def wired_of(kind: str, points: Mapping[str, Mapping[str, Any]]) -> list[Wired]:
    """Points with their `at`, as the agent reads it."""
    mistakes = Mistakes("gateway.toml")
    ats = {point: read_table(SOURCES[kind].at, at, "at", mistakes) for point, at in points.items()}
    assert not mistakes.lines
    return [Wired(point, at) for point, at in ats.items()]


def open_source(stanza: dict[str, Any], points: Mapping[str, Mapping[str, Any]], locks: Path) -> Any:
    """The source of a stanza with its points, not yet running."""
    kind = SOURCES[stanza["kind"]]
    return kind.open(config_of(stanza), wired_of(stanza["kind"], points), Site(locks, simulated=True))


@asynccontextmanager
async def running(source: Source) -> AsyncIterator[Heard]:
    """The source at work; fails when its task ended by itself."""
    heard = Heard()
    task = asyncio.create_task(source.run(heard.take))
    try:
        yield heard
    finally:
        has_ended = task.done()
        task.cancel()
        await asyncio.wait([task])
        source.close()
        if has_ended:
            await task
        assert not has_ended, "a source never ends by itself"


def bus_of(name: str, units: Mapping[int, Any], sort: str = "tcp") -> Bus:
    """A bus of simulated units, with places for faults."""
    places = {name: sort if sort == "tcp" else "rtu bus"}
    places |= {f"{name}/{unit}": sort if sort == "tcp" else "rtu unit" for unit in units}
    return Bus(name, units, FaultBoard(places, {}))


@asynccontextmanager
async def tcp(bus: Bus, port: int = 0) -> AsyncIterator[TcpFace]:
    """The bus served over Modbus TCP."""
    face = TcpFace(bus)
    await face.start(port=port)
    try:
        yield face
    finally:
        await face.stop()


@asynccontextmanager
async def rtu(bus: Bus, baud: int = 115_200, strict: bool = False) -> AsyncIterator[RtuFace]:
    """The bus served over Modbus RTU on a pty; fast, so that tests are."""
    face = RtuFace(bus, baud=baud, strict=strict)
    face.start()
    try:
        yield face
    finally:
        await asyncio.to_thread(face.stop)
