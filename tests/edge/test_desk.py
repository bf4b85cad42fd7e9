"""The desk: signals into buzzer, lamps, sirens and relays; one output that fails keeps no other from sounding."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from edge import desk as desk_module
from edge.core.signals import Signals
from edge.core.values import Class
from edge.desk import Desk, is_wanted
from edge.outputs import OutputAt, OutputConfig, OutputKind

NOTHING = Signals(None, frozenset(), frozenset(), frozenset(), frozenset())
LIST = [
    OutputConfig("lamp", "lamp_fire", "chip", OutputAt(pin=1)),
    OutputConfig("buzzer", "buzzer", "chip", OutputAt(pin=2)),
    OutputConfig("siren", "siren", "chip", OutputAt(pin=3)),
    OutputConfig("second-buzzer", "buzzer", "chip", OutputAt(pin=4)),
]


class Chip:
    """Outputs that write down what they are told; `broken` names those that raise."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []
        self.closed: list[str] = []
        self.broken: set[str] = set()

    def level(self, name: str) -> bool | None:
        """What an output was told last."""
        return next((is_on for other, is_on in reversed(self.told) if other == name), None)


class Output:
    """One of them."""

    def __init__(self, name: str, chip: Chip) -> None:
        self._name, self._chip = name, chip

    def drive(self, is_on: bool) -> None:
        if self._name in self._chip.broken:
            raise OSError("the pin is gone")
        self._chip.told.append((self._name, is_on))

    @property
    def is_failing(self) -> bool:
        return self._name in self._chip.broken

    def close(self) -> None:
        if self._name in self._chip.broken:
            raise OSError("the pin is gone")
        self._chip.closed.append(self._name)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    """A chip that the desk's outputs hang on."""
    chip = Chip()
    kind = OutputKind(lambda *_: (), lambda output, source, code: Output(output.name, chip))
    monkeypatch.setattr(desk_module, "OUTPUTS", {"fake": kind})
    return chip


def at_the_desk(test: Callable[[Desk], None]) -> None:
    """Run a test on a loop, which the buzzers' patterns need."""

    async def run() -> None:
        desk = Desk(LIST, {"chip": Any}, {"chip": "fake"})  # type: ignore[dict-item]
        test(desk)
        desk.close()

    asyncio.run(run())


FIRE = Signals(Class.FIRE, frozenset({"lamp_fire"}), frozenset({"f2"}), frozenset({"f2"}), frozenset())


def test_the_sound_comes_first_whatever_stands_first_in_the_configuration(chip: Chip) -> None:
    at_the_desk(lambda desk: desk.show(FIRE))
    assert chip.told[:4] == [("buzzer", True), ("second-buzzer", True), ("lamp", True), ("siren", True)]


@pytest.mark.parametrize("broken", ["buzzer", "second-buzzer", "lamp", "siren"])
def test_an_output_that_raises_stops_no_other(chip: Chip, broken: str) -> None:
    chip.broken = {broken}
    at_the_desk(lambda desk: desk.show(FIRE))
    assert {name for name, is_on in chip.told if is_on} == {output.name for output in LIST} - {broken}
    assert set(chip.closed) >= {output.name for output in LIST} - {broken, "buzzer", "second-buzzer"}


def test_an_output_that_is_not_as_it_should_be_is_told(chip: Chip) -> None:
    def failing(desk: Desk) -> set[str]:
        return {name for name, _, _, has_failed in desk.outputs() if has_failed}

    def test(desk: Desk) -> None:
        desk.show(FIRE)
        assert failing(desk) == set()
        chip.broken = {"buzzer", "lamp"}
        assert failing(desk) == {"buzzer", "lamp"}
        chip.broken = set()
        assert failing(desk) == set()

    at_the_desk(test)


def test_an_output_that_comes_back_is_driven_by_the_next_assertion(chip: Chip) -> None:
    def test(desk: Desk) -> None:
        chip.broken = {"buzzer", "lamp"}
        desk.show(FIRE)
        chip.broken = set()
        desk.show(FIRE)
        desk.assert_again()
        assert chip.level("buzzer") is True and chip.level("lamp") is True

    at_the_desk(test)


def test_silence_takes_the_sound_and_leaves_the_lamp(chip: Chip) -> None:
    def test(desk: Desk) -> None:
        desk.show(FIRE)
        desk.show(FIRE.__class__(None, FIRE.lamps, frozenset(), FIRE.fire, frozenset()))
        assert (chip.level("buzzer"), chip.level("lamp"), chip.level("siren")) == (False, True, False)

    at_the_desk(test)


def output(role: Any, *zones: str) -> OutputConfig:
    return OutputConfig("x", role, "chip", OutputAt(pin=1), zones)


@pytest.mark.parametrize(
    ("role", "zones", "signals", "is_on"),
    [
        ("siren", ("f2",), Signals(Class.FIRE, frozenset(), frozenset({"f2"}), frozenset(), frozenset()), True),
        ("siren", ("f1",), Signals(Class.FIRE, frozenset(), frozenset({"f2"}), frozenset(), frozenset()), False),
        ("siren", (), Signals(Class.FIRE, frozenset(), frozenset({"f2"}), frozenset(), frozenset()), True),
        (
            "siren",
            (),
            Signals(Class.FIRE, frozenset({"lamp_fire"}), frozenset(), frozenset({"f2"}), frozenset()),
            False,
        ),
        ("fire_relay", ("f2",), Signals(None, frozenset(), frozenset(), frozenset({"f2"}), frozenset()), True),
        ("fire_relay", ("f1",), Signals(None, frozenset(), frozenset(), frozenset({"f2"}), frozenset()), False),
        ("detector_supply", ("f2",), Signals(None, frozenset(), frozenset(), frozenset(), frozenset({"f2"})), True),
        ("detector_supply", ("f1",), Signals(None, frozenset(), frozenset(), frozenset(), frozenset({"f2"})), False),
        ("detector_supply", (), NOTHING, False),
        ("lamp_fault", (), Signals(None, frozenset({"lamp_fault"}), frozenset(), frozenset(), frozenset()), True),
        ("lamp_test", (), Signals(None, frozenset({"lamp_fault"}), frozenset(), frozenset(), frozenset()), False),
    ],
)
def test_what_is_on_when(role: str, zones: tuple[str, ...], signals: Signals, is_on: bool) -> None:
    assert is_wanted(output(role, *zones), signals) is is_on


@pytest.mark.parametrize("condition", ["lamp_fire", "lamp_electrical", "lamp_disabled", "lamp_test", "lamp_supply"])
def test_the_fault_relay_holds_while_there_is_no_fault(condition: str) -> None:
    """Normally energised: a fault and a dead gateway let it drop alike."""
    lit = Signals(None, frozenset({condition}), frozenset(), frozenset(), frozenset())
    assert is_wanted(output("fault_relay"), lit)
    none = frozenset[str]()
    assert not is_wanted(output("fault_relay"), Signals(None, frozenset({"lamp_fault"}), none, none, none))
