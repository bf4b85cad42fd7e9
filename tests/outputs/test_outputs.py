"""Outputs on real pins and coils: driven at once, held against the world, released as they should be."""

import asyncio
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.outputs import OUTPUTS, OutputConfig
from edge.schema import Mistakes, read_table
from edge.sources import backends, gpio
from edge.sources.gpio import GpioSource
from simulators.chip import GpioChip
from simulators.devices import RelayBoard
from simulators.pins import InProcessPins
from tests.sources.field import bus_of, config_of, open_source, running, tcp, until

EXAMPLE = """
[[output]]
name = "buzzer"
role = "buzzer"
source = "gpio"
at = { pin = 18 }

[[output]]
name = "fault-relay"
role = "fault_relay"
source = "gpio"
at = { pin = 20, active = "low" }

[[output]]
name = "siren-f1"
role = "siren"
zones = ["f1"]
source = "meters"
at = { unit = 10, coil = 0 }
"""
GPIO = {"name": "gpio", "kind": "gpio", "backend": "shouwang-sim", "address": "gpio.sock", "sweep": "100ms"}
METERS = {
    "name": "meters",
    "kind": "modbus",
    "host": "127.0.0.1",
    "unit": [
        {"address": 1, "profile": "acrel-asj"},
        {"address": 10, "profile": "relay-8", "outputs": True, "period": "100ms"},
    ],
}


def outputs() -> dict[str, OutputConfig]:
    """The outputs of the example by name."""
    mistakes = Mistakes("gateway.toml")
    read = [read_table(OutputConfig, item, "output", mistakes) for item in tomllib.loads(EXAMPLE)["output"]]
    assert not mistakes.lines
    return {output.name: output for output in read if output is not None}


class Chip(GpioChip):
    """A chip in this process that the test can take away, and whose outputs it can see being set."""

    def __init__(self) -> None:
        super().__init__()
        self.is_gone = False

    def read(self, pin: int) -> bool:
        self.check()
        return super().read(pin)

    def write(self, pin: int, level: bool) -> None:
        self.check()
        super().write(pin, level)

    def claim(self, pin: int, function: str, level: bool | None = None) -> None:
        self.check()
        super().claim(pin, function, level)

    def check(self) -> None:
        if self.is_gone:
            raise OSError(19, "No such device")


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    made = Chip()

    def factory(address: str) -> InProcessPins:
        made.check()
        return InProcessPins(made)

    monkeypatch.setattr(backends, "load", lambda *names: factory)
    monkeypatch.setattr(gpio, "REOPEN_FIRST_S", 0.02)
    return made


@asynccontextmanager
async def on_pins(tmp_path: Path) -> AsyncIterator[tuple[GpioSource, Any, Any]]:
    """The source at work with one input, the buzzer and the fault relay (active low)."""
    source: GpioSource = open_source(GPIO, {"smoke-203": {"pin": 4}}, tmp_path)
    buzzer = OUTPUTS["gpio"].open(outputs()["buzzer"], source, "out-buzzer")
    relay = OUTPUTS["gpio"].open(outputs()["fault-relay"], source, "out-fault-relay")
    async with running(source) as heard:
        await heard.until("smoke-203", 0)
        yield source, buzzer, relay


def test_a_pin_is_set_before_drive_returns(chip: Chip, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with on_pins(tmp_path) as (_, buzzer, relay):
            assert (chip.read(18), chip.read(20)) == (False, True), "off at the start"
            buzzer.drive(True)
            relay.drive(True)
            assert (chip.read(18), chip.read(20)) == (True, False)
            buzzer.drive(False)
            assert chip.read(18) is False

    asyncio.run(scenario())


def test_what_was_wished_before_the_chip_is_open_holds_as_soon_as_it_is(chip: Chip, tmp_path: Path) -> None:
    async def scenario() -> None:
        source: GpioSource = open_source(GPIO, {"smoke-203": {"pin": 4}}, tmp_path)
        OUTPUTS["gpio"].open(outputs()["buzzer"], source, "out-buzzer").drive(True)
        async with running(source) as heard:
            await heard.until("smoke-203", 0)
            assert chip.read(18) is True

    asyncio.run(scenario())


def test_an_output_that_something_else_changed_is_set_again(chip: Chip, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with on_pins(tmp_path) as (_, buzzer, _):
            buzzer.drive(True)
            chip.write(18, False)
            await until(lambda: chip.read(18), "the sweep")

    asyncio.run(scenario())


def test_a_chip_that_was_away_gets_the_latest_wish(chip: Chip, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with on_pins(tmp_path) as (source, buzzer, _):
            buzzer.drive(True)
            chip.is_gone = True
            buzzer.drive(False)
            assert source.counters()["write_failures"] == 1
            assert buzzer.is_failing, "and the status says so"
            buzzer.drive(True)
            buzzer.drive(False)
            chip.is_gone = False
            await until(lambda: not chip.read(18), "the latest wish")
            await until(lambda: not buzzer.is_failing, "it to be well again")

    asyncio.run(scenario())


def test_the_end_of_the_process_releases_the_lines_to_off(chip: Chip, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with on_pins(tmp_path) as (_, buzzer, relay):
            buzzer.drive(True)
            relay.drive(True)
        off = [(change.pin, change.level) for change in chip.changes if change.kind == "output"]
        # Off is low for the buzzer and high for the relay, each before its line becomes an input.
        assert (18, False) in off and off.index((20, True)) < len(off)
        assert {chip.function(pin) for pin in (18, 20)} == {"input"}

    asyncio.run(scenario())


def test_a_pin_is_used_once(chip: Chip, tmp_path: Path) -> None:
    source: GpioSource = open_source(GPIO, {"smoke-203": {"pin": 18}}, tmp_path)
    with pytest.raises(ValueError, match="pin 18 is used twice"):
        OUTPUTS["gpio"].open(outputs()["buzzer"], source, "out-buzzer")
    source.close()


def test_a_siren_is_a_coil_that_holds(tmp_path: Path) -> None:
    async def scenario() -> None:
        board = RelayBoard()
        async with tcp(bus_of("meters", {10: board})) as face:
            source = open_source({**METERS, "port": face.port}, {}, tmp_path)
            siren = OUTPUTS["modbus"].open(outputs()["siren-f1"], source, "out-siren-f1")
            async with running(source) as heard:
                siren.drive(True)
                await until(lambda: board.coils[0] == 1, "the siren")
                await heard.until("out-siren-f1", 0)
                siren.close()
            assert board.coils[0] == 1, "a restart of the agent silences no siren"

    asyncio.run(scenario())


WRONG = [
    ("gpio", {"unit": 10, "coil": 0}, "pin: gpio is a GPIO chip"),
    ("modbus", {"pin": 18}, "unit and coil: meters is a Modbus port"),
    ("modbus", {"unit": 1, "coil": 0}, "a unit of meters with outputs = true"),
    ("modbus", {"unit": 99, "coil": 0}, "a unit of meters with outputs = true"),
    ("modbus", {"unit": 10, "coil": 8}, "0 to 7"),
]


@pytest.mark.parametrize(("kind", "at", "expected"), WRONG)
def test_an_output_that_cannot_hang_there_is_a_mistake(kind: str, at: dict[str, int], expected: str) -> None:
    mistakes = Mistakes("gateway.toml")
    stanza = {"name": "x", "role": "siren", "source": "x", "at": at}
    output = read_table(OutputConfig, stanza, "output[0]", mistakes)
    assert output is not None, mistakes.lines
    source = config_of(GPIO if kind == "gpio" else METERS)
    (mistake,) = OUTPUTS[kind].mistakes(source, output)
    assert mistake[1] == expected


def test_the_examples_outputs_fit_their_sources() -> None:
    for name, stanza in (("buzzer", GPIO), ("fault-relay", GPIO), ("siren-f1", METERS)):
        assert list(OUTPUTS[stanza["kind"]].mistakes(config_of(stanza), outputs()[name])) == []  # type: ignore[index]
    assert [output.has_feedback for output in outputs().values()] == [False, False, True]


@pytest.mark.parametrize("at", [{}, {"pin": 1, "unit": 1, "coil": 1}, {"unit": 1}, {"coil": 1}, {"pin": 99}])
def test_a_place_is_a_pin_or_a_coil(at: dict[str, int]) -> None:
    mistakes = Mistakes("gateway.toml")
    assert read_table(OutputConfig, {"name": "x", "role": "siren", "source": "x", "at": at}, "", mistakes) is None
    assert "at.pin: expected" in mistakes.lines[0]
