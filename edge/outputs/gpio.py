"""Buzzer, lamps and relays on pins of the chip that the inputs are on: the shortest way from a contact to a sound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edge.sources.gpio import GpioConfig, GpioSource
from edge.sources.gpio_pins import GpioOutput

if TYPE_CHECKING:
    from edge.outputs import Mistake, OutputConfig


def mistakes(source: GpioConfig, output: OutputConfig) -> Iterable[Mistake]:
    """What is wrong with hanging the output on this source."""
    if output.at.pin is None:
        yield "at", f"pin: {source.name} is a GPIO chip", "unit and coil"


def open_output(output: OutputConfig, source: GpioSource, code: str) -> GpioOutput:
    """The output, claimed on its source. ValueError where the pin is taken."""
    assert output.at.pin is not None
    return source.output(output.at.pin, output.at.active == "high")
