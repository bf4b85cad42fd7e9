"""The GPIO face with gpiozero's own devices: through the socket, and in one process."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from gpiozero import Button, Buzzer, DigitalInputDevice, DigitalOutputDevice
from gpiozero.exc import GPIOPinInUse, PinInvalidFunction, PinInvalidPull, PinSetInput

from simulators.chip import KEPT_CHANGES, Change, GpioChip
from simulators.gpio import BOUNCE_MAX_MS, BOUNCE_MIN_MS, InProcessPins, SimulatedPinFactory, bounces_ms
from tests.simulators.running import RunningHome
from tests.support import wait_until

SMOKE_203, SMOKE_204, BUZZER, SUPPLY_CUT, SILENCE = 4, 17, 18, 16, 19


@pytest.fixture
def pins(home: RunningHome) -> Iterator[SimulatedPinFactory]:
    factory = SimulatedPinFactory(home.ready["gpio"])
    yield factory
    factory.close()


class Edges:
    """Counts what a device calls back, with the threads that it came on."""

    def __init__(self, device: DigitalInputDevice) -> None:
        self.levels: list[int] = []
        self.threads: set[threading.Thread] = set()
        device.when_activated = lambda: self._note(1)
        device.when_deactivated = lambda: self._note(0)

    def _note(self, level: int) -> None:
        self.levels.append(level)
        self.threads.add(threading.current_thread())


def settled(home: RunningHome) -> Callable[[], bool]:
    """True when no edge has come for longer than a bounce."""

    def quiet() -> bool:
        changes = home.simulator.chip.changes
        return bool(changes) and time.monotonic_ns() - changes[-1].monotonic_ns > 5 * BOUNCE_MAX_MS * 1_000_000

    return quiet


# --- through the socket ---


def test_smoke_closes_a_contact_with_bounce(home: RunningHome, pins: SimulatedPinFactory) -> None:
    smoke = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=pins)
    edges = Edges(smoke)
    assert smoke.value == 0
    home.do(set={"203.smoke_pct_m": 8.0})
    wait_until(settled(home), what="the contact to settle")
    wait_until(lambda: edges.levels[-1:] == [1] and len(edges.levels) >= 3, what="the bounced edges")
    assert smoke.value == 1
    assert edges.levels == [1, 0] * (len(edges.levels) // 2) + [1], "every edge alternates"
    assert edges.threads.isdisjoint({threading.main_thread()}), "edges come on a foreign thread"


def test_a_bounce_lasts_two_to_ten_milliseconds_in_the_log(home: RunningHome, pins: SimulatedPinFactory) -> None:
    smoke = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=pins)
    before_ns = time.monotonic_ns()
    home.do(set={"203.smoke_pct_m": 8.0})
    wait_until(settled(home), what="the contact to settle")
    log = home.do(get="log", since_ns=before_ns)["log"]
    contact = next(entry for entry in log if entry["kind"] == "contact")
    edges = [entry for entry in log if entry["kind"] == "edge"]
    assert (contact["pin"], contact["closed"]) == (SMOKE_203, True)
    assert len(edges) >= 3 and len(edges) % 2
    assert edges[0]["level"] == edges[-1]["level"] == 0
    assert edges[-1]["monotonic_ns"] - edges[0]["monotonic_ns"] >= BOUNCE_MIN_MS * 1_000_000
    assert smoke.value == 1


def test_outputs_reach_the_building_with_their_time(home: RunningHome, pins: SimulatedPinFactory) -> None:
    before_ns = time.monotonic_ns()
    buzzer = Buzzer(BUZZER, pin_factory=pins)
    buzzer.on()
    after_ns = time.monotonic_ns()
    pin = home.do(get="outputs")["pins"][BUZZER]
    assert (pin["name"], pin["level"]) == ("buzzer", 1)
    assert before_ns < pin["changed_ns"] < after_ns
    buzzer.off()
    assert home.do(get="outputs")["pins"][BUZZER]["level"] == 0


def test_cutting_the_supply_resets_a_detector(home: RunningHome, pins: SimulatedPinFactory) -> None:
    smoke = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=pins)
    cut = DigitalOutputDevice(SUPPLY_CUT, pin_factory=pins)
    home.do(set={"203.smoke_pct_m": 8.0})
    wait_until(lambda: smoke.value == 1, what="the alarm")
    home.do(set={"203.smoke_pct_m": 0.1})
    cut.on()
    wait_until(lambda: not home.do(get="contacts")["contacts"][SMOKE_203], what="the detector to let go")
    cut.off()
    wait_until(settled(home), what="the contact to settle")
    assert smoke.value == 0


def test_a_press_is_seen_and_ends(home: RunningHome, pins: SimulatedPinFactory) -> None:
    button = Button(SILENCE, pull_up=True, bounce_time=0.02, pin_factory=pins)
    home.do(press=SILENCE, ms=200)
    wait_until(lambda: button.is_pressed, what="the press")
    wait_until(lambda: not button.is_pressed, what="its end")


def test_a_callback_may_read_and_write_pins(home: RunningHome, pins: SimulatedPinFactory) -> None:
    smoke = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=pins)
    buzzer = DigitalOutputDevice(BUZZER, pin_factory=pins)
    smoke.when_activated = lambda: setattr(buzzer, "value", smoke.value or buzzer.value)
    home.do(set={"203.smoke_pct_m": 8.0})
    wait_until(lambda: home.do(get="outputs")["pins"][BUZZER]["level"] == 1, what="the buzzer")


def test_several_threads_share_the_chip(home: RunningHome, pins: SimulatedPinFactory) -> None:
    outputs = [DigitalOutputDevice(pin, pin_factory=pins) for pin in (BUZZER, 23, 24, 25)]
    failures: list[BaseException] = []

    def toggle(output: DigitalOutputDevice) -> None:
        try:
            for turn in range(100):
                output.value = turn % 2
                assert output.value == turn % 2
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=toggle, args=(output,)) for output in outputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_program_that_closes_releases_its_outputs_and_one_that_dies_does_not(home: RunningHome) -> None:
    factory = SimulatedPinFactory(home.ready["gpio"])
    dead = DigitalOutputDevice(BUZZER, initial_value=True, pin_factory=factory)
    factory._wire.close()
    assert home.do(get="outputs")["pins"][BUZZER]["level"] == 1
    again = SimulatedPinFactory(home.ready["gpio"])
    restarted = DigitalOutputDevice(BUZZER, initial_value=True, pin_factory=again)
    assert home.do(get="outputs")["pins"][BUZZER]["level"] == restarted.value == 1
    again.close()
    assert home.do(get="outputs")["pins"][BUZZER]["level"] == 0
    dead.close()
    factory.close()


def test_a_line_that_breaks_raises_and_invents_no_edge(home: RunningHome, pins: SimulatedPinFactory) -> None:
    smoke = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=pins)
    output = DigitalOutputDevice(BUZZER, pin_factory=pins)
    edges = Edges(smoke)
    home.stop()
    with pytest.raises(OSError, match=r"gone|pipe"):
        _ = smoke.value
    with pytest.raises(OSError, match=r"gone|pipe"):
        output.on()
    assert edges.levels == []


def test_no_simulator_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SimulatedPinFactory(str(tmp_path / "gpio.sock"))


def test_chatter_flips_the_contact_until_it_is_healed(home: RunningHome, pins: SimulatedPinFactory) -> None:
    smoke = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=pins)
    edges = Edges(smoke)
    home.do(fault={"where": f"gpio/{SMOKE_203}", "kind": "chatter", "hz": 1000})
    wait_until(lambda: len(edges.levels) > 100, what="a hundred edges")
    home.do(heal=f"gpio/{SMOKE_203}")
    wait_until(settled(home), what="the contact to settle")
    assert smoke.value == 0


def test_a_stuck_contact_does_not_move_and_catches_up(home: RunningHome, pins: SimulatedPinFactory) -> None:
    smoke = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=pins)
    home.do(fault={"where": f"gpio/{SMOKE_203}", "kind": "stuck"})
    home.do(set={"203.smoke_pct_m": 8.0, "204.smoke_pct_m": 8.0})
    other = DigitalInputDevice(SMOKE_204, pull_up=True, pin_factory=pins)
    wait_until(lambda: other.value == 1, what="the other detector")
    assert smoke.value == 0
    home.do(heal=f"gpio/{SMOKE_203}")
    wait_until(lambda: smoke.value == 1, what="the contact that was held")


def test_a_bad_request_is_answered_and_not_fatal(home: RunningHome, pins: SimulatedPinFactory) -> None:
    for request in ("R 99", "X 4", "W 4 1", "P 4 sideways", "R", "R x", "O 4 1 2"):
        with pytest.raises(OSError, match="Errno 22"):
            pins._wire._ask(request)
    assert pins.lines.read(SMOKE_203) is False


def test_bounces_are_seeded_even_in_number_and_in_range() -> None:
    generator = random.Random(3)
    drawn = [bounces_ms(generator) for _ in range(200)]
    assert all(len(flips) % 2 == 0 and flips == sorted(flips) for flips in drawn)
    assert all(BOUNCE_MIN_MS <= flips[-1] <= BOUNCE_MAX_MS for flips in drawn)
    again = random.Random(3)
    assert [bounces_ms(again) for _ in range(200)] == drawn


def test_it_is_a_registered_pin_factory() -> None:
    (entry,) = entry_points(group="gpiozero_pin_factories", name="shouwang-sim")
    assert entry.load() is SimulatedPinFactory


# --- in one process ---


@pytest.fixture
def chip() -> GpioChip:
    return GpioChip()


@pytest.fixture
def near(chip: GpioChip) -> Iterator[InProcessPins]:
    factory = InProcessPins(chip)
    yield factory
    factory.close()


def test_in_one_process_edges_come_on_a_foreign_thread_too(chip: GpioChip, near: InProcessPins) -> None:
    smoke = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=near)
    edges = Edges(smoke)
    chip.contact(SMOKE_203, True)
    wait_until(lambda: edges.levels == [1], what="the edge")
    assert edges.threads.isdisjoint({threading.current_thread()})
    assert smoke.value == 1


def test_an_edge_carries_the_time_at_which_it_happened(chip: GpioChip, near: InProcessPins) -> None:
    pin: Any = near.pin(SMOKE_203)
    pin.input_with_pull("up")
    seen: list[tuple[float, int]] = []

    def changed(ticks: float, state: int) -> None:
        seen.append((ticks, state))

    pin.when_changed = changed
    chip.contact(SMOKE_203, True)
    wait_until(lambda: seen, what="the edge")
    (change,) = [change for change in chip.changes if change.kind == "edge" and not change.level]
    assert seen == [(change.monotonic_ns / 1e9, 0)]


def test_switching_the_pull_is_no_edge_to_who_listens_later(chip: GpioChip, near: InProcessPins) -> None:
    smoke = DigitalInputDevice(SMOKE_203, pull_up=False, pin_factory=near)
    edges = Edges(smoke)
    marker = DigitalInputDevice(SMOKE_204, pull_up=True, pin_factory=near)
    marks = Edges(marker)
    chip.contact(SMOKE_204, True)
    wait_until(lambda: marks.levels == [1], what="a later edge of another pin")
    assert edges.levels == []


def test_only_the_edges_asked_for(chip: GpioChip, near: InProcessPins) -> None:
    pin: Any = near.pin(SMOKE_203)
    pin.input_with_pull("up")
    pin.edges = "rising"
    seen: list[int] = []

    def changed(ticks: float, state: int) -> None:
        seen.append(state)

    pin.when_changed = changed
    for is_closed in (True, False, True, False):
        chip.contact(SMOKE_203, is_closed)
    wait_until(lambda: len(seen) == 2, what="two rising edges")
    assert seen == [1, 1]


def test_a_handler_that_fails_leaves_the_others_alone(
    chip: GpioChip, near: InProcessPins, caplog: pytest.LogCaptureFixture
) -> None:
    bad = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=near)
    good = DigitalInputDevice(SMOKE_204, pull_up=True, pin_factory=near)
    edges = Edges(good)
    bad.when_activated = lambda: 1 / 0
    chip.contact(SMOKE_203, True)
    chip.contact(SMOKE_204, True)
    wait_until(lambda: edges.levels == [1], what="the other pin's edge")
    assert "handler of GPIO4 failed" in caplog.text


def test_the_chip_stamps_outputs_for_a_bench(chip: GpioChip, near: InProcessPins) -> None:
    stamps: list[Change] = []
    chip.watch(stamps.append)
    buzzer = DigitalOutputDevice(BUZZER, pin_factory=near)
    buzzer.on()
    buzzer.on()
    buzzer.off()
    assert [(change.kind, change.pin, change.level) for change in stamps] == [
        ("output", BUZZER, True),
        ("output", BUZZER, False),
    ]
    assert stamps[0].monotonic_ns < stamps[1].monotonic_ns


def test_a_chattering_contact_does_not_wash_away_what_the_outputs_did(chip: GpioChip) -> None:
    chip.claim(BUZZER, "output", True)
    chip.set_pull(SMOKE_203, "up")
    for turn in range(2 * KEPT_CHANGES):
        chip.contact(SMOKE_203, bool(turn % 2))
    assert chip.changes[0] == Change("output", BUZZER, True, chip.changed_ns(BUZZER))
    assert len(chip.changes) == KEPT_CHANGES + 1
    assert chip.changes_since(chip.changes[-3].monotonic_ns) == chip.changes[-2:]


@pytest.mark.parametrize(
    ("attribute", "value", "error"),
    [
        ("function", "alt0", PinInvalidFunction),
        ("pull", "sideways", PinInvalidPull),
        ("state", 1, PinSetInput),
    ],
)
def test_a_pin_refuses_as_gpiozero_expects(near: InProcessPins, attribute: str, value: Any, error: type) -> None:
    with pytest.raises(error):
        setattr(near.pin(SMOKE_203), attribute, value)


def test_a_pin_is_reserved_once(near: InProcessPins) -> None:
    first = DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=near)
    with pytest.raises(GPIOPinInUse):
        DigitalOutputDevice(SMOKE_203, pin_factory=near)
    first.close()


def test_two_factories_do_not_share_reservations(near: InProcessPins) -> None:
    other = InProcessPins(GpioChip())
    devices = [DigitalInputDevice(SMOKE_203, pull_up=True, pin_factory=factory) for factory in (near, other)]
    assert [device.value for device in devices] == [0, 0]
    other.close()
