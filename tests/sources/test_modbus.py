"""The Modbus source on real bytes: simulated slaves over TCP and over a pty, and every fault of their menu."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge import locks
from edge.core.values import Reading, Unknown
from edge.sources import Described, Site
from edge.sources.modbus import ModbusConfig, Port, open_modbus, port, timetable
from simulators.devices import RelayBoard
from simulators.modbus import Bus, TcpFace
from simulators.modbus_rtu import RtuFace, link
from tests import support
from tests.simulators.running import LoopThread
from tests.sources.field import (
    Heard,
    Words,
    bus_of,
    config_of,
    mistakes_in,
    open_source,
    rtu,
    running,
    table,
    tcp,
    until,
    wired_of,
)  # fmt: skip


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    """An event loop in a thread of its own."""
    thread = LoopThread()
    yield thread
    thread.close()


METER = Path(__file__).with_name("meter.toml").resolve()
UNITS = (1, 2, 3)
POINTS = {f"leak-{unit}": {"unit": unit, "quantity": "residual_current"} for unit in UNITS}
PERIOD = "100ms"


@pytest.fixture(autouse=True)
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that was dead is asked again soon, so that a test of its return is quick."""
    monkeypatch.setattr(timetable, "PROBE_FIRST_S", 0.1)
    monkeypatch.setattr(port, "LATE_S", 0.1)


def stanza(units: Any = UNITS, **line: Any) -> dict[str, Any]:
    """A source of meters with two neighbouring quantities each, on a quick period."""
    timeout = "60ms"
    unit = [{"address": each, "profile": str(METER), "period": PERIOD, "timeout": timeout} for each in units]
    return {"name": "meters", "kind": "modbus", "unit": unit, **line}


@asynccontextmanager
async def meters(sort: str, tmp_path: Path) -> AsyncIterator[tuple[Bus, Heard, Port]]:
    """Three meters of 100, 200 and 300 mA on a bus of that sort, being read."""
    bus = bus_of("meters", {unit: Words(100 * unit, 0) for unit in UNITS}, sort)
    async with AsyncExitStack() as stack:
        if sort == "tcp":
            line: dict[str, Any] = {"host": "127.0.0.1", "port": (await stack.enter_async_context(tcp(bus))).port}
        else:
            line = {"device": (await stack.enter_async_context(rtu(bus))).path, "baud": 115_200}
        source = open_source(stanza(**line), POINTS, tmp_path)
        heard = await stack.enter_async_context(running(source))
        for unit in UNITS:
            await heard.until(f"leak-{unit}", 100 * unit)
        yield bus, heard, source


TCP_FAULTS = {
    "silent": Unknown.TIMEOUT,
    "late": Unknown.TIMEOUT,
    "busy": Unknown.REFUSED,
    "exception": Unknown.REFUSED,
    "half_frame": Unknown.BAD_REPLY,
    "foreign_unit": Unknown.BAD_REPLY,
    "short_reply": Unknown.BAD_REPLY,
    "garbage": Unknown.BAD_REPLY,
    "dropped_link": Unknown.NO_LINK,
}
RTU_FAULTS = {
    "silent": Unknown.TIMEOUT,
    "late": Unknown.TIMEOUT,
    "busy": Unknown.REFUSED,
    "exception": Unknown.REFUSED,
    "half_frame": Unknown.BAD_REPLY,
    "foreign_unit": Unknown.BAD_REPLY,
    "short_reply": Unknown.BAD_REPLY,
    "bad_crc": Unknown.BAD_REPLY,
    "garbage": Unknown.BAD_REPLY,
}
FAULTS = [("tcp", *item) for item in TCP_FAULTS.items()] + [("rtu", *item) for item in RTU_FAULTS.items()]


@pytest.mark.parametrize(("sort", "kind", "reason"), FAULTS)
def test_a_broken_unit_is_a_reason_the_others_go_on_and_it_comes_back(
    sort: str, kind: str, reason: Unknown, tmp_path: Path
) -> None:
    """LESSONS 1, 2 and 13: nobody else is stalled, an error is never a number, and polling recovers by itself."""

    async def scenario() -> None:
        async with meters(sort, tmp_path) as (bus, heard, _):
            late = {"delay_ms": 150} if kind == "late" else {}
            bus.faults.inject("meters/2", kind, 0, **late)
            await heard.until("leak-2", reason)
            heard.forget()
            bus.units[1].words[0], bus.units[3].words[0] = 111, 333  # type: ignore[attr-defined]
            await heard.until("leak-1", 111)
            await heard.until("leak-3", 333)
            await heard.more("leak-1", 5)
            assert not [value for value in heard.of("leak-2") if isinstance(value, int) and type(value) is int]
            bus.faults.heal("meters/2")
            await heard.until("leak-2", 200)

    asyncio.run(scenario())


@pytest.mark.parametrize("sort", ["tcp", "rtu"])
def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(sort: str, tmp_path: Path) -> None:
    """LESSONS 12. The slave still answers with the value of its request; the next request is of another time."""

    async def scenario() -> None:
        async with meters(sort, tmp_path) as (bus, heard, source):
            bus.faults.inject("meters/1", "late", 0, delay_ms=90)
            await heard.until("leak-1", Unknown.TIMEOUT)
            heard.forget()
            await until(lambda: source.counters().get("late_replies", 0) >= 2, "late replies")
            bus.faults.heal("meters/1")
            bus.units[1].words[0] = 7  # type: ignore[attr-defined]
            await heard.until("leak-1", 7)
            assert 100 not in [value for value in heard.of("leak-1") if not isinstance(value, Unknown)]

    asyncio.run(scenario())


class Counting(Words):
    """A unit whose register says how often it was asked."""

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        self.words[0] += 1
        return super().read(function, address, count)


def test_the_answer_to_an_earlier_question_is_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LESSONS 12. RTU's frames carry no number, so a slave slower than its time-out gets time to finish."""
    monkeypatch.setattr(timetable, "PROBE_CAP_S", 0.15)
    unit = Counting(0, 0)
    stale: list[Reading] = []

    def take(readings: Sequence[Reading]) -> None:
        stale.extend(each for each in readings if each.value is not None and each.value != unit.words[0])
        heard.take(readings)

    heard = Heard()

    async def scenario() -> None:
        bus = bus_of("meters", {1: unit}, "rtu")
        bus.faults.inject("meters/1", "late", 0, delay_ms=125)
        async with rtu(bus) as face:
            source = open_source(stanza([1], device=face.path, baud=115_200), {"leak-1": POINTS["leak-1"]}, tmp_path)
            task = asyncio.create_task(source.run(take))
            await heard.more("leak-1", 10)
            bus.faults.heal("meters/1")
            await until(lambda: isinstance(heard.last("leak-1"), int), "a value")
            task.cancel()
            await asyncio.wait([task])
            source.close()
        assert not stale

    asyncio.run(scenario())


def test_a_time_out_follows_the_speed_of_the_line() -> None:
    """At 300 baud a reply takes 32 times as long as at 9600; what the slave itself may take, 100 ms, is added."""
    unit = stanza([1])["unit"][0]
    del unit["timeout"]

    def timeout_ms(**line: Any) -> float:
        config: ModbusConfig = config_of({"name": "m", "kind": "modbus", "unit": [unit], **line})
        return round(1000 * config.timeout_s(config.unit[0], 20), 1)

    assert timeout_ms(device="/dev/ttyUSB0", baud=9600) == 134.4
    assert timeout_ms(device="/dev/ttyUSB0", baud=9600, parity="even") == 137.8
    assert timeout_ms(device="/dev/ttyUSB0", baud=300) == 1200.0
    assert timeout_ms(host="127.0.0.1") == 300.0


def test_a_whole_bus_that_falls_silent_is_reconnected_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LESSONS 2: a half-open connection is never told, so it is made anew."""
    monkeypatch.setattr(port, "SILENT_LINE_S", 0.3)

    async def scenario() -> None:
        async with meters("tcp", tmp_path) as (bus, heard, source):
            bus.faults.inject("meters", "silent", 0)
            for unit in UNITS:
                await heard.until(f"leak-{unit}", Unknown.TIMEOUT)
            before = source.counters()["connects"]
            await until(lambda: source.counters()["connects"] > before, "a new connection")
            bus.faults.heal("meters")
            for unit in UNITS:
                await heard.until(f"leak-{unit}", 100 * unit)

    asyncio.run(scenario())


def test_a_gateway_that_restarts_is_found_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = bus_of("meters", {1: Words(100, 0)})
        async with AsyncExitStack() as stack:
            async with tcp(bus) as face:
                number = face.port
                source = open_source(stanza([1], host="127.0.0.1", port=number), {"leak-1": POINTS["leak-1"]}, tmp_path)
                heard = await stack.enter_async_context(running(source))
                await heard.until("leak-1", 100)
            await heard.until("leak-1", Unknown.NO_LINK)
            await until(lambda: source.counters().get("connect_failures", 0) >= 2, "failed connections")
            async with tcp(bus, number):
                await heard.until("leak-1", 100)

    asyncio.run(scenario())


def test_a_serial_adapter_that_vanishes_is_found_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = bus_of("meters", {1: Words(100, 0)}, "rtu")
        device = tmp_path / "ttyUSB0"
        face = RtuFace(bus, baud=115_200)
        face.moved = link(device)
        face.start()
        try:
            settings = stanza([1], device=str(device), baud=115_200)
            source = open_source(settings, {"leak-1": POINTS["leak-1"]}, tmp_path)
            async with running(source) as heard:
                await heard.until("leak-1", 100)
                bus.faults.inject("meters", "dropped_link", 0)
                await heard.until("leak-1", Unknown.NO_LINK)
                bus.faults.heal("meters")
                await heard.until("leak-1", 100)
        finally:
            await asyncio.to_thread(face.stop)

    asyncio.run(scenario())


def test_neighbouring_registers_of_a_unit_are_read_in_one_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        unit = Words(120, 215, 0)
        async with tcp(bus_of("meters", {1: unit})) as face:
            points = {
                "leak-1": {"unit": 1, "quantity": "residual_current"},
                "cable-1": {"unit": 1, "quantity": "temperature"},
            }
            source = open_source(stanza([1], host="127.0.0.1", port=face.port), points, tmp_path)
            async with running(source) as heard:
                await heard.until("leak-1", 120)
                await heard.until("cable-1", 21_500)
        assert set(unit.requests) == {(0, 2)}

    asyncio.run(scenario())


def test_a_device_that_refuses_the_registers_in_between_is_read_without_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        unit = Words(120, 215, 0, 230, 0, holes=[2])
        async with tcp(bus_of("meters", {1: unit})) as face:
            points = {
                "leak-1": {"unit": 1, "quantity": "residual_current"},
                "supply-1": {"unit": 1, "quantity": "voltage"},
            }
            source = open_source(stanza([1], host="127.0.0.1", port=face.port), points, tmp_path)
            async with running(source) as heard:
                await heard.until("leak-1", 120)
                await heard.until("supply-1", 230)
        assert (0, 4) in unit.requests
        assert Unknown.REFUSED not in heard.of("leak-1") + heard.of("supply-1")

    asyncio.run(scenario())


def test_a_busy_rtu_port_keeps_the_silence_that_strict_slaves_ask_for(tmp_path: Path) -> None:
    """All slaves are due all the time; each drops a frame that comes before 3.5 characters of silence."""

    async def scenario() -> None:
        bus = bus_of("meters", {unit: Words(100 * unit, 0) for unit in UNITS}, "rtu")
        async with rtu(bus, baud=9600, strict=True) as face:
            settings = stanza(device=face.path, baud=9600)
            for unit in settings["unit"]:
                # However busy the machine is: an answer that comes after its time-out meets the next request.
                unit["timeout"] = "5s"
            source = open_source(settings, POINTS, tmp_path)
            async with running(source) as heard:
                await heard.more("leak-1", 10)
            assert face.dropped_early == 0
            assert heard.of("leak-1") == [100] * len(heard.of("leak-1"))

    asyncio.run(scenario())


def test_a_change_is_logged_once_and_not_at_every_poll(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        async with meters("tcp", tmp_path) as (bus, heard, _):
            bus.faults.inject("meters/2", "busy", 0)
            await heard.until("leak-2", Unknown.REFUSED)
            await heard.more("leak-2", 5)
            bus.faults.heal("meters/2")
            await heard.until("leak-2", 200)

    asyncio.run(scenario())
    said = [record.getMessage() for record in caplog.records if "unit 2" in record.getMessage()]
    assert said == ["meters unit 2: exception 6", "meters unit 2: well again"]


def test_a_port_is_refused_to_a_second_agent(tmp_path: Path) -> None:
    config = config_of(stanza(host="127.0.0.1", port=1502))
    first = open_modbus(config, [], Site(tmp_path))
    with pytest.raises(locks.InUse, match=r"127\.0\.0\.1:1502 is in use by process \d+"):
        open_modbus(config, [], Site(tmp_path))
    first.close()
    open_modbus(config, [], Site(tmp_path)).close()


# --- relays

RELAYS = {"address": 10, "profile": "relay-8", "period": PERIOD, "timeout": "60ms", "outputs": True}


@asynccontextmanager
async def relays(tmp_path: Path) -> AsyncIterator[tuple[Bus, RelayBoard, Heard, Port]]:
    """A relay board whose coils 0 and 2 are claimed, beside one meter."""
    board = RelayBoard()
    bus = bus_of("meters", {1: Words(100, 0), 10: board})
    async with tcp(bus) as face:
        settings = stanza([1], host="127.0.0.1", port=face.port)
        settings["unit"].append(RELAYS)
        source: Port = open_source(settings, {"leak-1": POINTS["leak-1"]}, tmp_path)
        source.claim_coil(10, 0, "siren-f1")
        source.claim_coil(10, 2, "fire-relay")
        async with running(source) as heard:
            yield bus, board, heard, source


def test_a_relay_is_written_verified_and_restored_when_the_board_forgets(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with relays(tmp_path) as (_, board, heard, source):
            source.write_coil(10, 0, True)
            await heard.until("siren-f1", 0)
            await until(lambda: board.coils[0] == 1, "coil 0")
            board.coils[0] = 0
            await until(lambda: source.counters()["coils_corrected"] == 1, "the loss to be seen")
            assert 1 in heard.of("siren-f1")
            await until(lambda: board.coils[0] == 1, "coil 0 again")
            await heard.until("siren-f1", 0)

    asyncio.run(scenario())


def test_a_relay_board_that_is_dead_is_unknown_and_gets_the_latest_wish_when_it_is_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with relays(tmp_path) as (bus, board, heard, source):
            await heard.until("siren-f1", 0)
            bus.faults.inject("meters/10", "silent", 0)
            source.write_coil(10, 0, True)
            await heard.until("siren-f1", Unknown.TIMEOUT)
            source.write_coil(10, 2, True)
            source.write_coil(10, 0, False)
            heard.forget()
            await heard.more("leak-1", 5)
            assert set(heard.of("leak-1")) == {100}
            board.coils[0] = 1
            bus.faults.heal("meters/10")
            await heard.until("siren-f1", 0)
            await heard.until("fire-relay", 0)
            await until(lambda: board.coils[:3] == [0, 0, 1], "the latest wishes")

    asyncio.run(scenario())


def test_a_relay_is_on_the_wire_before_the_decision_is_remembered(tmp_path: Path, loop_thread: LoopThread) -> None:
    """The board is served by another thread, so it can be written while this loop is still busy with the decision."""
    board = RelayBoard()
    face = TcpFace(bus_of("meters", {1: Words(100, 0), 10: board}))
    loop_thread.run(face.start())
    settings = stanza([1], host="127.0.0.1", port=face.port)
    settings["unit"].append(RELAYS)
    was_written: list[bool] = []

    async def scenario() -> None:
        source: Port = open_source(settings, {"leak-1": POINTS["leak-1"]}, tmp_path)
        source.claim_coil(10, 0, "siren-f1")

        def decide(readings: Sequence[Reading]) -> None:
            if Reading("leak-1", 100) in readings and not was_written:
                source.write_coil(10, 0, True)
                was_written.append(support.wait_until(lambda: board.coils[0] == 1, what="the coil"))

        task = asyncio.create_task(source.run(decide))
        await until(lambda: was_written, "a decision")
        await until(lambda: source.counters()["requests"] > 5, "polls that go on")
        assert source.counters().get("write_failures", 0) == 0
        task.cancel()
        await asyncio.wait([task])
        source.close()

    try:
        asyncio.run(scenario())
    finally:
        loop_thread.run(face.stop())


def test_nothing_but_a_claimed_coil_of_an_output_unit_is_ever_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with relays(tmp_path) as (bus, _, heard, source):
            for coil in (0, 2, 0, 2):
                source.write_coil(10, coil, coil == 0)
            await heard.more("leak-1", 3)
            assert {(write.unit, write.function) for write in bus.writes} == {(10, 5)}
            with pytest.raises(ValueError, match="outputs = true"):
                source.claim_coil(1, 0, "x")
            with pytest.raises(ValueError, match="belongs to no output"):
                source.write_coil(10, 5, True)
            with pytest.raises(ValueError, match="already siren-f1"):
                source.claim_coil(10, 0, "another")

    asyncio.run(scenario())


# --- configuration

EXAMPLE = """
[[source]]
name = "meters"
kind = "modbus"
host = "192.168.1.50"

[[source.unit]]
address = 1
profile = "acrel-asj"

[[source.unit]]
address = 12
profile = "lx47le-125"
addresses = { voltage = 7 }
period = "2s"

[[source.unit]]
address = 10
profile = "relay-8"
outputs = true
"""

MISTAKES = [
    ({"unit": [{"address": 1, "profile": "acrel-asj", "outputs": True}]}, "a meter is never written"),
    ({"unit": [{"address": 0, "profile": "acrel-asj"}]}, "address: expected 1 to 247"),
    ({"unit": [{"address": 1, "profile": "acrel-ajs"}]}, 'no device profile "acrel-ajs"; shipped: acrel-asj'),
    ({"unit": [{"address": 1, "profile": "acrel-asj"}] * 2}, "an address that no other unit has"),
    ({"unit": [{"address": 1, "profile": "acrel-asj", "addresses": {"volts": 7}}]}, "addresses.volts: expected one of"),
    ({"unit": [{"address": 1, "profile": "acrel-asj", "period": "1ms"}]}, 'period: expected "100ms" or more'),
    ({"unit": [{"address": 1, "profile": "acrel-asj", "timeout": "1ms"}]}, 'timeout: expected "10ms" or more'),
    ({"unit": []}, "at least one [[source.unit]]"),
    ({"device": "/dev/ttyUSB0"}, "either host (Modbus TCP) or device (Modbus RTU), got "),
    ({"baud": 10}, "baud: expected 300 to 1000000"),
    ({"stop_bits": 3}, "stop_bits: expected 1 or 2"),
    ({"port": 0}, "port: expected 1 to 65535"),
]


def test_the_example_is_read() -> None:
    config = config_of(table(EXAMPLE))
    assert [unit.address for unit in config.unit] == [1, 12, 10]
    assert config.unit[1].addresses == {"voltage": 7}


@pytest.mark.parametrize(("change", "said"), MISTAKES)
def test_a_mistake_in_the_table_is_named(change: dict[str, Any], said: str) -> None:
    lines = mistakes_in({**table(EXAMPLE), **change})
    assert len(lines) == 1 and said in lines[0], lines


def test_a_point_is_described_or_refused_with_what_there_is() -> None:
    from edge.sources.modbus import describe

    config = config_of(table(EXAMPLE))
    at = {wired.point: wired.at for wired in wired_of("modbus", {
        "good": {"unit": 1, "quantity": "residual_current"},
        "no-unit": {"unit": 7, "quantity": "residual_current"},
        "no-quantity": {"unit": 1, "quantity": "leakage"},
    })}  # fmt: skip
    assert describe(config, at["good"]) == Described("mA", 0, "acrel-asj", True, "meters/1")
    assert describe(config, at["no-unit"]) == "meters has no unit 7; configured: 1, 12, 10"
    refused = describe(config, at["no-quantity"])
    assert refused == 'acrel-asj has no quantity "leakage"; known: residual_current, device_warning, device_alarm'
