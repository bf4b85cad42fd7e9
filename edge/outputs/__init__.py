"""Outputs: what makes the home hear and see. The shell drives them from the panel's state and asserts them again.

[[output]]
name = "buzzer"
role = "buzzer"
source = "gpio"
at = { pin = 18 }

[[output]]
name = "siren-f1"
role = "siren"
zones = ["f1"]
source = "meters"
at = { unit = 10, coil = 0 }
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from edge.outputs import gpio, modbus
from edge.sources.gpio_pins import PIN_MAX

Role = Literal[
    "buzzer",
    "lamp_fire",
    "lamp_electrical",
    "lamp_fault",
    "lamp_disabled",
    "lamp_test",
    "lamp_supply",
    "lamp_link",
    "detector_supply",
    "fault_relay",
    "siren",
    "fire_relay",
]
Mistake = tuple[str, str, object]
"""Key, what was expected, what was found."""


class OutputDriver(Protocol):
    """One output that can be on or off."""

    def drive(self, is_on: bool) -> None:
        """Make it so. Returns at once, never raises, and is kept until it holds."""

    @property
    def is_failing(self) -> bool:
        """Whether it is known not to be as it was driven. One with feedback says so by its readings instead."""

    def close(self) -> None:
        """The process ends: a GPIO line is released to off, a Modbus relay stays as it is."""


@dataclass(frozen=True, slots=True)
class OutputAt:
    """Where an output hangs: a GPIO pin and its active level, or a coil of a unit on a Modbus source."""

    pin: int | None = None
    active: Literal["high", "low"] = "high"
    unit: int | None = None
    coil: int | None = None

    def mistakes(self) -> Iterable[Mistake]:
        """What the types cannot say."""
        is_relay = self.unit is not None and self.coil is not None
        if is_relay is (self.pin is not None) or (self.unit is None) is not (self.coil is None):
            yield "pin", "either pin, or unit and coil", "neither" if self.pin is None else "both"
        if self.pin is not None and not 0 <= self.pin <= PIN_MAX:
            yield "pin", f"a BCM pin number, 0 to {PIN_MAX}", self.pin


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """An `[[output]]` table. `zones` limits a siren or a detector supply to these zones; empty means all."""

    name: str
    role: Role
    source: str
    at: OutputAt
    zones: tuple[str, ...] = ()

    @property
    def has_feedback(self) -> bool:
        """Whether the output reports by readings that it is as it should be."""
        return self.at.unit is not None


class OutputKind(NamedTuple):
    """How outputs hang on one kind of source.

    `mistakes(source config, output)` says what is wrong with the pair. `open(output, source, code)` claims the place;
    readings of `code` tell how the output is, where it has feedback.
    """

    mistakes: Callable[[Any, OutputConfig], Iterable[Mistake]]
    open: Callable[[OutputConfig, Any, str], OutputDriver]


OUTPUTS: Mapping[str, OutputKind] = {
    "gpio": OutputKind(gpio.mistakes, gpio.open_output),
    "modbus": OutputKind(modbus.mistakes, modbus.open_output),
}
