"""Sirens and relays on a Modbus relay board. Never the only sounder of a home: a bus is between it and the decision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edge.profiles import MeterProfile, load
from edge.sources.modbus import ModbusConfig, Port

if TYPE_CHECKING:
    from edge.outputs import Mistake, OutputConfig


def mistakes(source: ModbusConfig, output: OutputConfig) -> Iterable[Mistake]:
    """What is wrong with hanging the output on this source."""
    if output.at.unit is None or output.at.coil is None:
        yield "at", f"unit and coil: {source.name} is a Modbus port", "pin"
        return
    unit = next((unit for unit in source.unit if unit.address == output.at.unit), None)
    if unit is None or not unit.outputs:
        yield "at.unit", f"a unit of {source.name} with outputs = true", output.at.unit
        return
    coils = load(unit.profile, MeterProfile).coils
    if not 0 <= output.at.coil < coils:
        yield "at.coil", f"0 to {coils - 1}", output.at.coil


class ModbusOutput:
    """A coil; its readings are 0 while it is as it should be, 1 while it is not, and a reason while nobody knows."""

    def __init__(self, port: Port, unit: int, coil: int, code: str) -> None:
        port.claim_coil(unit, coil, code)
        self._port = port
        self._unit = unit
        self._coil = coil

    def drive(self, is_on: bool) -> None:
        """Have the port write it ahead of all polls."""
        self._port.write_coil(self._unit, self._coil, is_on)

    @property
    def is_failing(self) -> bool:
        """Never by itself: its readings say it, by its own point."""
        return False

    def close(self) -> None:
        """The relay stays as it is: a restart of the agent silences no siren."""


def open_output(output: OutputConfig, source: Port, code: str) -> ModbusOutput:
    """The output, claimed on its source. ValueError where the coil is taken or its unit may not be written."""
    assert output.at.unit is not None and output.at.coil is not None
    return ModbusOutput(source, output.at.unit, output.at.coil, code)
