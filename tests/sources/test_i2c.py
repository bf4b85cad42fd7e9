"""The I2C source: transducers and loops through a simulated ADS1115, and everything that the Pi's bus does wrong."""

import asyncio
import threading
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import locks
from edge.core.values import Unknown
from edge.profiles import ChipProfile, TransducerProfile, load
from edge.schema import Mistakes, read_table
from edge.sources import SOURCES, backends, i2c, sht3x
from edge.sources.ads1115 import read_counts
from edge.sources.i2c import I2cConfig, I2cSource, describe
from edge.sources.i2c_bus import BadAnswer
from edge.sources.i2c_chips import value_of, value_of_word
from edge.sources.seam import Described, Site
from simulators import sht3x as sim_sht3x
from tests.simulators.running import RunningHome
from tests.sources.field import (
    Heard,
    config_of,
    mistakes_in,
    open_source,
    running,
    table,
    until,
    wired_of,
)  # fmt: skip

EXAMPLE = """
[[source]]
name = "i2c"
kind = "i2c"
bus = 1

[[source.chip]]
address = 0x48
driver = "ads1115"
"""
TRANSDUCER = "transducer-0v5-4v5-2MPa5"
POINTS: dict[str, dict[str, Any]] = {
    "ext-k": {"chip": 0x48, "channel": 0, "profile": TRANSDUCER, "period": "100ms"},
    "loop-1": {"chip": 0x48, "channel": 2, "period": "100ms"},
}


class Ads1115:
    """A converter behind i2c_rdwr with `millivolts` by channel; its subclasses do wrong what they are named after."""

    def __init__(self, **millivolts: float) -> None:
        self.millivolts = millivolts
        self.config = 0x8583
        self.conversion = 0
        self.pointer = 0
        self.transfers = 0

    def i2c_rdwr(self, *messages: Any) -> None:
        self.transfers += 1
        for message in messages:
            if message.flags & 1:
                word = (self.conversion, self.config)[self.pointer]
                message.buf[0], message.buf[1] = word >> 8, word & 0xFF
            else:
                self.written(bytes(message))

    def written(self, data: bytes) -> None:
        self.pointer = data[0]
        if len(data) == 3:
            self.config = int.from_bytes(data[1:], "big") | 0x8000
            channel = self.config >> 12 & 3
            self.conversion = round(self.millivolts[f"ain{channel}"] * 32768 / 6144) & 0xFFFF

    def close(self) -> None:
        pass


class ResetsBeforeTheConversionIsRead(Ads1115):
    """A brown-out: the configuration is as after power-up, the conversion is 0 (which would be a short circuit)."""

    def i2c_rdwr(self, *messages: Any) -> None:
        if self.transfers == 2:
            self.config, self.conversion = 0x8583, 0
        super().i2c_rdwr(*messages)


class NeverGetsReady(Ads1115):
    """Converts for ever."""

    def written(self, data: bytes) -> None:
        super().written(data)
        self.config &= 0x7FFF


def test_a_channel_is_converted_against_ground_at_the_asked_full_scale() -> None:
    chip = Ads1115(ain0=1500.0, ain3=3000.0)
    assert read_counts(chip, 0x48, 0, 6144, lambda seconds: None) == 8000
    assert read_counts(chip, 0x48, 3, 6144, lambda seconds: None) == 16000
    assert chip.config >> 9 & 0b111 == 0b000 and chip.config >> 12 & 0b111 == 0b111


@pytest.mark.parametrize("broken", [ResetsBeforeTheConversionIsRead, NeverGetsReady])
def test_a_chip_that_did_not_do_what_it_was_told_gives_no_value(broken: type[Ads1115]) -> None:
    with pytest.raises(BadAnswer, match="expected 0xc"):
        read_counts(broken(ain0=1500.0), 0x48, 0, 6144, lambda seconds: None)


def counts_of(millivolts: float) -> int:
    return round(millivolts * 32768 / 6144)


TRANSDUCER_TABLE = [
    (500, 0),
    (4500, 2500),
    (2500, 1250),
    (2420, 1200),
    (450, -31),
    (390, Unknown.OUT_OF_RANGE),
    (4670, Unknown.OUT_OF_RANGE),
    (240, Unknown.SENSOR_BROKEN),
    (0, Unknown.SENSOR_BROKEN),
    (4800, Unknown.SENSOR_BROKEN),
    (6144, Unknown.OUT_OF_RANGE),
]


@pytest.mark.parametrize(("millivolts", "value"), TRANSDUCER_TABLE)
def test_what_a_transducers_voltage_means(millivolts: int, value: int | Unknown) -> None:
    profile = load(TRANSDUCER, TransducerProfile)
    assert value_of(profile, min(counts_of(millivolts), 0x7FFF), 6144) == value


@given(st.integers(-0x8000, 0x7FFF))
def test_every_count_is_a_plausible_pressure_or_a_reason(counts: int) -> None:
    value = value_of(load(TRANSDUCER, TransducerProfile), counts, 6144)
    assert isinstance(value, Unknown) or -60 <= value <= 2600


def test_a_loop_reads_as_millivolts_and_its_short_circuit_as_zero() -> None:
    volts = load("volts", TransducerProfile)
    assert [value_of(volts, counts_of(mv), 6144) for mv in (0, 1070, 1650, 3300)] == [0, 1070, 1650, 3300]
    assert value_of(volts, 0x7FFF, 6144) is Unknown.OUT_OF_RANGE


# --- the source


@pytest.fixture
def home(tmp_path: Path) -> Any:
    running_home = RunningHome(tmp_path / "h")
    yield running_home
    running_home.stop()


def open_simulated(home: RunningHome, locks: Path) -> I2cSource:
    stanza = {**table(EXAMPLE), "backend": "shouwang-sim", "address": str(home.folder / "i2c.sock")}
    del stanza["bus"]
    source: I2cSource = open_source(stanza, POINTS, locks)
    return source


def values(heard: Heard, point: str) -> list[int]:
    return [value for value in heard.of(point) if not isinstance(value, Unknown)]


def test_a_simulated_homes_pressure_and_loop_are_read(home: RunningHome, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(open_simulated(home, tmp_path)) as heard:
            await until(lambda: values(heard, "ext-k") and values(heard, "loop-1"), "first values")
            # HOME.md: an end-of-line resistor halves 3.3 V; 1.35 to 2.20 V is normal.
            assert 1350 <= values(heard, "loop-1")[-1] <= 2200
            assert 800 <= values(heard, "ext-k")[-1] <= 1600

    asyncio.run(scenario())


def test_a_chip_that_does_not_acknowledge_is_a_reason_and_comes_back(home: RunningHome, tmp_path: Path) -> None:
    async def scenario() -> None:
        source = open_simulated(home, tmp_path)
        async with running(source) as heard:
            await until(lambda: values(heard, "loop-1"), "a first value")
            home.do(fault={"where": "i2c/0x48", "kind": "nack"})
            await heard.until("loop-1", Unknown.NACK)
            await heard.until("ext-k", Unknown.NACK)
            heard.forget()
            await heard.more("loop-1", 3)
            assert not values(heard, "loop-1")
            assert source.counters().get("losses", 0) == 0, "one chip's silence is no reason to open the bus again"
            home.do(heal="i2c/0x48")
            await until(lambda: values(heard, "loop-1"), "a value again")

    asyncio.run(scenario())


def test_a_stuck_bus_is_given_up_and_opened_again(
    home: RunningHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LESSONS 26: the Pi's bus hangs. The loop goes on meanwhile, and the threads left behind are bounded."""
    monkeypatch.setattr(i2c, "CHANNEL_DEADLINE_S", 0.1)
    monkeypatch.setattr(i2c, "REOPEN_FIRST_S", 0.02)

    async def scenario() -> None:
        source = open_simulated(home, tmp_path)
        async with running(source) as heard:
            await until(lambda: values(heard, "loop-1"), "a first value")
            home.do(fault={"where": "i2c", "kind": "stuck_bus"})
            await heard.until("loop-1", Unknown.TIMEOUT)
            await until(lambda: source.counters()["losses"] >= 3, "attempts")
            assert source.counters()["threads_stuck"] <= 4
            home.do(heal="i2c")
            heard.forget()
            await until(lambda: values(heard, "loop-1") and values(heard, "ext-k"), "values again")

    asyncio.run(scenario())


def test_garbage_on_the_bus_is_never_a_value(home: RunningHome, tmp_path: Path) -> None:
    """LESSONS 26: random bytes would have to be the configuration that was written, twice."""

    async def scenario() -> None:
        async with running(open_simulated(home, tmp_path)) as heard:
            await until(lambda: values(heard, "loop-1"), "a first value")
            home.do(fault={"where": "i2c/0x48", "kind": "garbage"})
            await heard.until("loop-1", Unknown.BAD_REPLY)
            heard.forget()
            await heard.more("loop-1", 5)
            assert set(heard.of("loop-1")) == {Unknown.BAD_REPLY}

    asyncio.run(scenario())


def test_a_bus_that_is_not_there_is_no_link_until_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i2c, "REOPEN_FIRST_S", 0.02)

    class GoneAtFirst(Ads1115):
        """Fails to open twice, then works."""

        attempts = 0

        def __init__(self, address: str) -> None:
            super().__init__(ain0=2500.0, ain2=1650.0)
            GoneAtFirst.attempts += 1
            if self.attempts < 3:
                raise OSError(2, "No such file or directory")

    monkeypatch.setattr(backends, "load", lambda *names: GoneAtFirst)

    async def scenario() -> None:
        stanza = {**table(EXAMPLE), "backend": "shouwang-sim", "address": "x"}
        async with running(open_source(stanza, POINTS, tmp_path)) as heard:
            await heard.until("ext-k", Unknown.NO_LINK)
            await heard.until("ext-k", 1250)
            await heard.until("loop-1", 1650)

    asyncio.run(scenario())


def test_a_bus_whose_transfers_fail_in_a_row_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i2c, "REOPEN_FIRST_S", 0.02)
    opened = threading.Semaphore(0)

    class FailsUntilItIsOpenedAgain(Ads1115):
        """Every transfer is EIO on the first opening."""

        made = 0

        def __init__(self, address: str) -> None:
            super().__init__(ain0=2500.0, ain2=1650.0)
            FailsUntilItIsOpenedAgain.made += 1
            self.number = self.made
            opened.release()

        def i2c_rdwr(self, *messages: Any) -> None:
            if self.number == 1:
                raise OSError(5, "Input/output error")
            super().i2c_rdwr(*messages)

    monkeypatch.setattr(backends, "load", lambda *names: FailsUntilItIsOpenedAgain)

    async def scenario() -> None:
        stanza = {**table(EXAMPLE), "backend": "shouwang-sim", "address": "x"}
        source = open_source(stanza, POINTS, tmp_path)
        async with running(source) as heard:
            await heard.until("loop-1", 1650)
            assert heard.of("loop-1")[0] is Unknown.NO_LINK
            assert source.counters()["bus_errors"] == i2c.FAILURES_TO_REOPEN

    asyncio.run(scenario())


def test_a_chip_that_hangs_the_bus_rests_while_its_neighbours_are_read(
    home: RunningHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two attempts on the sick chip the sound one is read at least once, and never called unknown for it."""
    monkeypatch.setattr(i2c, "CHANNEL_DEADLINE_S", 0.1)
    monkeypatch.setattr(i2c, "REOPEN_FIRST_S", 0.25)

    async def scenario() -> None:
        stanza = {**table(EXAMPLE), "backend": "shouwang-sim", "address": str(home.folder / "i2c.sock")}
        stanza["chip"] = [{"address": 0x48, "driver": "ads1115"}, {"address": 0x44, "driver": "sht3x"}]
        points = {"loop-1": {"chip": 0x48, "channel": 2, "period": "100ms"}}
        points["room"] = {"chip": 0x44, "quantity": "temperature", "period": "100ms"}
        source = open_source(stanza, points, tmp_path)
        async with running(source) as heard:
            await until(lambda: values(heard, "loop-1") and values(heard, "room"), "first values")
            home.do(fault={"where": "i2c/0x44", "kind": "late", "delay_ms": 120})
            await heard.until("room", Unknown.TIMEOUT)
            heard.forget()
            await heard.more("room", 2)
            assert set(heard.of("room")) == {Unknown.TIMEOUT}
            assert len(values(heard, "loop-1")) == len(heard.of("loop-1"))
            order = [reading.point for reading in heard.readings]
            assert ("room", "room") not in pairwise(order)
            home.do(heal="i2c/0x44")
            await until(lambda: values(heard, "room"), "a value again")

    asyncio.run(scenario())


# --- the SHT3x


class Sht3x:
    """A sensor behind i2c_rdwr that answers with these bytes once it was asked often enough."""

    def __init__(self, answer: str, not_ready: int = 0) -> None:
        self.answer = bytes.fromhex(answer)
        self.not_ready = not_ready
        self.commands: list[bytes] = []

    def i2c_rdwr(self, *messages: Any) -> None:
        for message in messages:
            if not message.flags & 1:
                self.commands.append(bytes(message))
            elif self.not_ready:
                self.not_ready -= 1
                raise OSError(121, "Remote I/O error")
            else:
                for at, byte in enumerate(self.answer[: message.len]):
                    message.buf[at] = byte

    def close(self) -> None:
        pass


def test_one_shot_without_clock_stretching() -> None:
    sensor = Sht3x("BEEF92 BEEF92", not_ready=1)
    assert sht3x.measure(sensor, 0x44, lambda seconds: None) == (0xBEEF, 0xBEEF)
    assert sensor.commands == [bytes.fromhex("2400")]
    with pytest.raises(OSError, match="121"):
        sht3x.measure(Sht3x("BEEF92 BEEF92", not_ready=9), 0x44, lambda seconds: None)


@pytest.mark.parametrize("answer", ["BEEF93 BEEF92", "BEEF92 BEEE92", "FFFFFF FFFFFF", "000000 000000", "BEEF92 BEEF"])
def test_an_answer_whose_checksums_do_not_hold_is_none(answer: str) -> None:
    """A bus that is stuck high or low reads as all ones or all zeros, which no checksum fits."""
    with pytest.raises(BadAnswer, match="checksum"):
        sht3x.measure(Sht3x(answer), 0x44, lambda seconds: None)


def test_what_the_words_of_an_sht3x_mean() -> None:
    """The data sheet's formulas (4.13), with its own ends."""
    profile = load("sht3x", ChipProfile)
    temperature, humidity = profile.quantity["temperature"], profile.quantity["humidity"]
    words = (0x0000, 0x6666, 0x8000, 0xFFFF)
    assert [value_of_word(temperature, word) for word in words] == [
        Unknown.OUT_OF_RANGE,
        25_000,
        42_501,
        Unknown.OUT_OF_RANGE,
    ]
    assert [value_of_word(humidity, word) for word in words] == [0, 400, 500, 1000]


@given(st.binary(min_size=6, max_size=6))
def test_any_six_bytes_are_two_words_with_their_checksums_or_a_bad_answer(data: bytes) -> None:
    try:
        words = sht3x.measure(Sht3x(data.hex()), 0x44, lambda seconds: None)
    except BadAnswer:
        assert sim_sht3x.crc8(data[:2]) != data[2] or sim_sht3x.crc8(data[3:5]) != data[5]
    else:
        assert b"".join(map(sim_sht3x.sealed, words)) == data


@given(st.integers(0, 0xFFFF))
def test_every_word_is_a_plausible_value_or_a_reason(word: int) -> None:
    for quantity in load("sht3x", ChipProfile).quantity.values():
        value = value_of_word(quantity, word)
        assert isinstance(value, Unknown) or -45_000 <= value <= 130_000


class Answers(Ads1115):
    """A converter that answers each read with whatever comes next."""

    def __init__(self, answers: list[bytes]) -> None:
        super().__init__(**{f"ain{channel}": 0.0 for channel in range(4)})
        self.answers = answers

    def i2c_rdwr(self, *messages: Any) -> None:
        for message in messages:
            if message.flags & 1:
                answer = self.answers.pop(0) if self.answers else b"\0\0"
                message.buf[0], message.buf[1] = answer[0], answer[1]


@given(st.lists(st.binary(min_size=2, max_size=2) | st.just(bytes.fromhex("C183")), max_size=9))
def test_whatever_a_converter_answers_is_a_count_under_its_configuration_or_a_bad_answer(answers: list[bytes]) -> None:
    chip = Answers(list(answers))
    with suppress(BadAnswer):
        counts = read_counts(chip, 0x48, 0, 6144, lambda seconds: None)
        assert isinstance(value_of(load("volts", TransducerProfile), counts, 6144), int)
        taken = answers[: len(answers) - len(chip.answers)]
        assert taken[-1] == bytes.fromhex("C183"), "the configuration that was written is read after the conversion"


# --- configuration

MISTAKES = [
    ({"chip": [{"address": 0x48, "driver": "sht3x"}]}, "address: expected 0x44 to 0x45 for an SHT3X, got 0x48"),
    ({"chip": [{"address": 0x44, "driver": "sht3x", "full_scale_mv": 6144}]}, "only a converter has a full scale"),
    ({"chip": [{"address": 0x50, "driver": "ads1115"}]}, "0x48 to 0x4B"),
    ({"chip": [{"address": 0x48, "driver": "ads1115", "full_scale_mv": 5000}]}, "one of 6144, 4096"),
    ({"chip": [{"address": 0x48, "driver": "mcp3008"}]}, 'driver: expected one of "ads1115"'),
    ({"chip": []}, "at least one [[source.chip]]"),
    ({"address": "x"}, "an address for a simulated back-end"),
]


@pytest.mark.parametrize(("change", "said"), MISTAKES)
def test_a_mistake_in_the_table_is_named(change: dict[str, Any], said: str) -> None:
    lines = mistakes_in({**table(EXAMPLE), **change})
    assert len(lines) == 1 and said in lines[0], lines


def test_a_channel_is_described_or_refused() -> None:
    config = config_of(table(EXAMPLE))
    assert isinstance(config, I2cConfig)
    pressure, loop = wired_of("i2c", POINTS)
    assert describe(config, pressure.at) == Described("MPa", -3, TRANSDUCER, True, "i2c/0x48")
    assert describe(config, loop.at) == Described("V", -3, "volts", True, "i2c/0x48")
    sensor = config_of({**table(EXAMPLE), "chip": [{"address": 0x44, "driver": "sht3x"}]})
    at = [wired.at for wired in wired_of("i2c", {
        "room": {"chip": 0x44, "quantity": "temperature"},
        "damp": {"chip": 0x44, "quantity": "humidity"},
        "none": {"chip": 0x44, "quantity": "pressure"},
        "channel": {"chip": 0x44, "channel": 0},
        "quantity": {"chip": 0x48, "quantity": "temperature"},
        "profile": {"chip": 0x44, "quantity": "temperature", "profile": "volts"},
    })]  # fmt: skip
    assert describe(sensor, at[0]) == Described("°C", -3, "sht3x", True, "i2c/0x44")
    assert describe(sensor, at[1]) == Described("%", -1, "sht3x", True, "i2c/0x44")
    assert describe(sensor, at[2]) == 'sht3x has no quantity "pressure"; known: temperature, humidity'
    assert describe(sensor, at[3]) == "chip 0x44 is an sht3x: it has quantities, and no channels"
    assert describe(config, at[4]) == "chip 0x48 is an ads1115: it has channels, and no quantities"
    assert "volts.toml" in str(describe(sensor, at[5]))
    (absent,) = wired_of("i2c", {"x": {"chip": 0x49, "channel": 0}})
    assert describe(config, absent.at) == "i2c has no chip 0x49; configured: 0x48"


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ({"chip": 0x48}, "channel: expected either channel (of a converter) or quantity (of a sensor), got neither"),
        ({"chip": 0x48, "channel": 0, "quantity": "temperature"}, "or quantity (of a sensor), got both"),
        ({"chip": 0x48, "channel": 4}, "channel: expected 0 to 3, got 4"),
        ({"chip": 0x48, "channel": 0, "profile": "sht3x"}, "profile: expected a transducer's profile"),
    ],
)
def test_a_mistake_in_a_points_place_is_named(at: dict[str, Any], said: str) -> None:
    mistakes = Mistakes("gateway.toml")
    read_table(SOURCES["i2c"].at, at, "at", mistakes)
    assert len(mistakes.lines) == 1 and said in mistakes.lines[0], mistakes.lines


def test_a_bus_is_refused_to_a_second_agent(tmp_path: Path) -> None:
    config = config_of(table(EXAMPLE))
    first = I2cSource(config, [], Site(tmp_path))
    with pytest.raises(locks.InUse, match=r"i2c-1 is in use by process \d+"):
        I2cSource(config, [], Site(tmp_path))
    first.close()
