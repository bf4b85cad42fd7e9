"""Modbus TCP and RTU: meters are read, relay boards that the configuration names as outputs are also driven."""

import logging
from collections.abc import Sequence

from edge.locks import hold
from edge.profiles import MeterProfile, load
from edge.sources.modbus.config import ModbusAt, ModbusConfig, UnitConfig, describe
from edge.sources.modbus.port import Port
from edge.sources.modbus.relays import Relays
from edge.sources.modbus.unit import Unit
from edge.sources.seam import Changes, Site, SourceKind, Wired

__all__ = ["KIND", "ModbusAt", "ModbusConfig", "Port", "UnitConfig", "describe", "open_modbus"]


def open_modbus(config: ModbusConfig, wired: Sequence[Wired], site: Site) -> Port:
    """The port with its points, locked for this process. `edge.locks.InUse` when another agent has it."""
    points: dict[int, list[tuple[str, str]]] = {}
    for point, at in wired:
        points.setdefault(at.unit, []).append((point, at.quantity))
    units = [
        Unit(unit, load(unit.profile, MeterProfile), points[unit.address])
        for unit in config.unit
        if unit.address in points
    ]
    relays = [Relays(unit) for unit in config.unit if unit.outputs]
    log = Changes(logging.getLogger(__name__), config.name)
    return Port(config, units, relays, hold(site.locks, config.where), log)


KIND = SourceKind(ModbusConfig, ModbusAt, describe, open_modbus)
