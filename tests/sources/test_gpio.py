"""The GPIO source on gpiozero pins, over the simulated chip in this process and over the socket of a simulated home."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge import locks
from edge.core.values import Reading, Unknown
from edge.sources import backends, gpio
from edge.sources.gpio import GpioConfig, GpioSource
from edge.sources.gpio_pins import InputLine
from edge.sources.seam import Described, Site
from simulators.chip import GpioChip
from simulators.pins import InProcessPins
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
name = "gpio"
kind = "gpio"
"""
SIMULATED = {"name": "gpio", "kind": "gpio", "backend": "shouwang-sim", "address": "gpio.sock", "sweep": "100ms"}
POINTS: dict[str, dict[str, Any]] = {"smoke-203": {"pin": 4}, "smoke-204": {"pin": 17}}
POINTS["key"] = {"pin": 27, "active": "high", "pull": "down"}


class Chip(GpioChip):
    """A chip in this process that the test can take away: what a kernel without the device answers."""

    def __init__(self) -> None:
        super().__init__()
        self.is_gone = False
        self.is_hanging = threading.Event()
        self.let_go = threading.Event()
        self.busy_pins: set[int] = set()
        for pin in (4, 17, 27):
            self.contact(pin, False)

    def read(self, pin: int) -> bool:
        self.check(pin)
        if self.is_hanging.is_set():
            self.let_go.wait(10)
        return super().read(pin)

    def write(self, pin: int, level: bool) -> None:
        self.check(pin)
        super().write(pin, level)

    def claim(self, pin: int, function: str, level: bool | None = None) -> None:
        self.check(pin)
        if pin in self.busy_pins:
            raise OSError(16, "GPIO busy")
        super().claim(pin, function, level)

    def check(self, pin: int) -> None:
        if self.is_gone:
            raise OSError(19, "No such device")


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    """The chip behind the back-end "shouwang-sim"; opening it fails while it is gone."""
    made = Chip()

    def factory(address: str) -> InProcessPins:
        made.check(0)
        return InProcessPins(made)

    monkeypatch.setattr(backends, "load", lambda *names: factory)
    monkeypatch.setattr(gpio, "REOPEN_FIRST_S", 0.02)
    return made


@asynccontextmanager
async def watching(tmp_path: Path, **change: Any) -> AsyncIterator[tuple[GpioSource, Heard]]:
    source: GpioSource = open_source({**SIMULATED, **change}, POINTS, tmp_path)
    async with running(source) as heard:
        yield source, heard


def test_the_first_levels_are_delivered_at_the_start(chip: Chip, tmp_path: Path) -> None:
    async def scenario() -> None:
        chip.contact(4, True)
        async with watching(tmp_path) as (_, heard):
            await heard.until("smoke-203", 1)
            await heard.until("smoke-204", 0)
            # Nothing closes the key's contact to the supply, so its pull-down holds it.
            await heard.until("key", 0)

    asyncio.run(scenario())


def test_every_edge_of_a_bouncing_contact_arrives_in_order(chip: Chip, tmp_path: Path) -> None:
    """LESSONS 25: a library's debounce drops real edges; here none is dropped, and the sweep stays out of the way."""

    async def scenario() -> None:
        async with watching(tmp_path, sweep="10s") as (source, heard):
            await heard.until("smoke-203", 0)
            heard.forget()
            await asyncio.to_thread(bounce, chip, 4, 25)
            await until(lambda: len(heard.of("smoke-203")) == 51, "51 edges")
            assert heard.of("smoke-203") == [1, 0] * 25 + [1]
            assert source.counters()["edges"] == 51

    def bounce(chip: Chip, pin: int, times: int) -> None:
        for _ in range(times):
            chip.contact(pin, True)
            chip.contact(pin, False)
        chip.contact(pin, True)

    asyncio.run(scenario())


def test_the_first_of_two_detectors_stays_the_first(chip: Chip, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(tmp_path, sweep="10s") as (_, heard):
            await heard.until("smoke-204", 0)
            heard.forget()
            chip.contact(17, True)
            chip.contact(4, True)
            await heard.until("smoke-203", 1)
            await heard.until("smoke-204", 1)
            assert [reading.point for reading in heard.readings] == ["smoke-204", "smoke-203"]

    asyncio.run(scenario())


def test_an_error_of_the_one_who_takes_readings_is_no_loss_of_the_chip(chip: Chip, tmp_path: Path) -> None:
    """It must come out, or a defect of the gateway's own would look like a broken wire."""

    async def scenario() -> None:
        source: GpioSource = open_source(SIMULATED, POINTS, tmp_path)
        heard = Heard()
        with pytest.raises(ZeroDivisionError):
            await source.run(divide)
        assert "losses" not in source.counters()
        again = asyncio.create_task(source.run(heard.take))
        await heard.until("smoke-203", 0)
        again.cancel()
        await asyncio.wait([again])
        source.close()

    def divide(readings: object) -> None:
        raise ZeroDivisionError

    asyncio.run(scenario())


def test_a_lost_edge_is_repaired_by_the_sweep(chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InProcessPins, "deliver", lambda self, change: None)

    async def scenario() -> None:
        async with watching(tmp_path) as (source, heard):
            await heard.until("smoke-203", 0)
            chip.contact(4, True)
            await heard.until("smoke-203", 1)
            assert source.counters()["repairs"] == 1

    asyncio.run(scenario())


def test_a_chattering_line_costs_its_own_edges_only(chip: Chip, tmp_path: Path) -> None:
    """More edges than the loop can take while it is busy: the queue is bounded and the level is right in the end."""

    async def scenario() -> None:
        async with watching(tmp_path) as (source, heard):
            await heard.until("smoke-203", 0)
            flood = threading.Thread(target=flip)
            flood.start()
            flood.join()  # the loop is busy for as long
            chip.contact(17, True)
            await heard.until("smoke-204", 1)
            await heard.until("smoke-203", 1)
            counters = source.counters()
            assert counters["edges_dropped"] > 0
            assert len(heard.of("smoke-203")) < counters["edges"]

    def flip() -> None:
        for number in range(2001):
            chip.contact(4, number % 2 == 0)

    asyncio.run(scenario())


def test_a_level_read_before_an_edge_does_not_undo_it(chip: Chip, tmp_path: Path) -> None:
    """The sweep's thread has read "open", then the contact closes, then the sweep's result arrives on the loop."""

    async def scenario() -> None:
        async with watching(tmp_path, sweep="10s") as (source, heard):
            await heard.until("smoke-203", 0)
            stale = source._sweep()
            chip.contact(4, True)
            await heard.until("smoke-203", 1)
            heard.forget()
            source._take_levels(stale)
            assert heard.of("smoke-203") == []
            assert heard.of("smoke-204") == [0]

    asyncio.run(scenario())


def test_a_chip_that_goes_away_is_no_link_and_is_opened_again(chip: Chip, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(tmp_path) as (source, heard):
            await heard.until("smoke-203", 0)
            chip.is_gone = True
            for point in POINTS:
                await heard.until(point, Unknown.NO_LINK)
            chip.contact(4, True)
            chip.is_gone = False
            await heard.until("smoke-203", 1)
            assert source.counters()["losses"] >= 1

    asyncio.run(scenario())


def test_a_chip_that_hangs_is_no_link_and_nothing_else_waits_for_it(
    chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpio, "SWEEP_DEADLINE_S", 0.05)

    async def scenario() -> None:
        async with watching(tmp_path) as (_, heard):
            await heard.until("smoke-203", 0)
            chip.is_hanging.set()
            await heard.until("smoke-203", Unknown.NO_LINK)
            chip.is_hanging.clear()
            chip.let_go.set()
            await heard.until("smoke-203", 0)

    asyncio.run(scenario())


def test_a_pin_that_something_else_holds_does_not_make_the_others_deaf(
    chip: Chip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        chip.busy_pins.add(4)
        async with watching(tmp_path) as (_, heard):
            await heard.until("smoke-203", Unknown.REFUSED)
            chip.contact(17, True)
            await heard.until("smoke-204", 1)
            chip.busy_pins.clear()
            await heard.until("smoke-203", 0)

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    said = [record.getMessage() for record in caplog.records if "pin 4" in record.getMessage()]
    assert said == ["gpio pin 4: [Errno 16] GPIO busy", "gpio pin 4: well again"]


# --- the socket of a simulated home


def test_a_detector_of_a_simulated_home_closes_its_contact(tmp_path: Path) -> None:
    """Real back-end by its entry point, edges with bounce, and the simulator's death."""

    async def scenario(home: RunningHome) -> None:
        stanza = {**SIMULATED, "address": str(home.folder / "gpio.sock")}
        source = open_source(stanza, {"smoke-203": {"pin": 4}}, tmp_path)
        async with running(source) as heard:
            await heard.until("smoke-203", 0)
            heard.forget()
            home.do(set={"203.smoke_pct_m": 8.0})
            await until(lambda: heard.of("smoke-203")[:1] == [1], "the first edge")
            await asyncio.to_thread(home.stop)
            await heard.until("smoke-203", Unknown.NO_LINK)

    home = RunningHome(tmp_path / "h")
    try:
        asyncio.run(scenario(home))
    finally:
        home.stop()


# --- who may have the chip


def test_a_simulated_back_end_is_refused_unless_the_configuration_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(SIMULATED)
    with pytest.raises(backends.NotAllowed, match="it needs simulated = true"):
        GpioSource(config, [], Site(tmp_path, simulated=False))
    with pytest.raises(backends.NotAllowed, match=r"known: .*shouwang-sim"):
        GpioSource(config_of({**SIMULATED, "backend": "nobody"}), [], Site(tmp_path, simulated=True))


def test_the_environment_does_not_choose_the_back_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPIOZERO_PIN_FACTORY would give a gateway without a chip deaf mock pins that look well."""
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setattr(gpio, "REOPEN_FIRST_S", 0.02)
    if os.path.exists("/dev/gpiochip0"):
        pytest.skip("this machine has a GPIO chip, which the hardware back-end would open")

    async def scenario() -> None:
        source = open_source(table(EXAMPLE), POINTS, tmp_path)
        async with running(source) as heard:
            await heard.until("smoke-203", Unknown.NO_LINK)

    asyncio.run(scenario())


def test_a_chip_is_refused_to_a_second_agent(tmp_path: Path) -> None:
    config = config_of(table(EXAMPLE))
    first = GpioSource(config, [], Site(tmp_path))
    with pytest.raises(locks.InUse, match=r"gpiochip0 is in use by process \d+"):
        GpioSource(config, [], Site(tmp_path))
    first.close()


def test_the_example_is_read_and_mistakes_are_named() -> None:
    assert config_of(table(EXAMPLE)) == GpioConfig("gpio", "gpio")
    assert "address" in mistakes_in({**SIMULATED, "address": None})[0]
    assert 'sweep: expected "100ms" to "10s", got "1ms"' in mistakes_in({**table(EXAMPLE), "sweep": "1ms"})[0]
    with pytest.raises(AssertionError):
        wired_of("gpio", {"x": {"pin": 28}})
    (wired,) = wired_of("gpio", {"x": {"pin": 27}})
    assert gpio.describe(config_of(table(EXAMPLE)), wired.at) == Described("", 0, "contact", False, "")


def test_a_reading_says_active_whatever_the_level() -> None:
    low, high = wired_of("gpio", {"low": {"pin": 1}, "high": {"pin": 2, "active": "high"}})
    lines = [InputLine(wired.point, wired.at, lambda line, level: None) for wired in (low, high)]
    readings = [line.reading(level) for line in lines for level in (0, 1)]
    assert readings == [Reading("low", 1), Reading("low", 0), Reading("high", 0), Reading("high", 1)]


def test_a_wish_that_comes_while_the_sweep_is_in_the_chip_is_not_lost(
    chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop gives up waiting for the sweep after some milliseconds; the buzzer must not wait for the next one."""
    is_in_the_chip, let_go = threading.Event(), threading.Event()

    def write(pin: int, level: bool) -> None:
        is_in_the_chip.set()
        let_go.wait(10)
        GpioChip.write(chip, pin, level)

    async def scenario() -> None:
        source: GpioSource = open_source({**SIMULATED, "sweep": "10s"}, POINTS, tmp_path)
        buzzer = source.output(18, True)
        async with running(source) as heard:
            await heard.until("smoke-203", 0)
            monkeypatch.setattr(chip, "write", write)
            sweep = threading.Thread(target=buzzer.write, args=(10,))
            sweep.start()
            await asyncio.to_thread(is_in_the_chip.wait, 10)
            buzzer.drive(True)
            assert not chip.read(18), "the sweep is still in the chip"
            let_go.set()
            await asyncio.to_thread(sweep.join, 10)
            assert chip.read(18)

    asyncio.run(scenario())
