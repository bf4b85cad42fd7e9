"""What a probe found, as text for people, as JSON, and as the stanza to paste into gateway.toml."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edge.core.values import Unknown
from edge.probe.evidence import Fit
from edge.probe.i2c import Chip
from edge.probe.modbus import Found
from edge.profiles import MeterProfile, TransducerProfile, load, shipped
from edge.schema import ConfigError
from edge.sources.i2c import I2cConfig
from edge.sources.modbus.config import ModbusConfig

BY_ID = Path("/dev/serial/by-id")
NOTHING_WRITTEN = "nothing was written"


def meters() -> dict[str, MeterProfile]:
    """The shipped profiles of Modbus devices by name."""
    return _shipped(MeterProfile)


def _shipped(kind: Any) -> dict[str, Any]:
    profiles = {}
    for name in shipped():
        try:
            profiles[name] = load(name, kind)
        except ConfigError:  # of another kind
            continue
    return profiles


# --- Modbus


def unit_lines(found: Sequence[Found]) -> Iterable[str]:
    """One line for each unit and profile."""
    for unit in found:
        head = f"unit {unit.unit}"
        if not unit.fits:
            yield f"  {head:10} unknown: {unit.answer}; no shipped profile fits"
        for at, fit in enumerate(unit.fits):
            yield f"  {'' if at else head:10} {fit.profile:16} {fit.why()}"
            if not at:
                yield from (f"  {'':10} {'':16} {line}" for line in _values(fit))


def _values(fit: Fit) -> Iterable[str]:
    profile = load(fit.profile, MeterProfile)
    shown = [f"{name} {_value(profile.quantity[name], value)}" for name, value in fit.values.items()]
    yield from (", ".join(shown[at : at + 4]) for at in range(0, len(shown), 4))


def _value(quantity: Any, value: int | Unknown) -> str:
    if isinstance(value, Unknown):
        return f"unknown ({value})"
    return f"{value * 10.0**quantity.scale:.{max(0, -quantity.scale)}f} {quantity.unit}".rstrip()


def unit_table(found: Sequence[Found]) -> list[dict[str, Any]]:
    """As JSON."""
    return [
        {"unit": unit.unit, "answer": unit.answer, "profiles": [_fit_table(fit) for fit in unit.fits]} for unit in found
    ]


def _fit_table(fit: Fit) -> dict[str, Any]:
    values = {
        name: {"unknown": str(value)} if isinstance(value, Unknown) else {"value": value}
        for name, value in fit.values.items()
    }
    counts = {"signs": list(fit.signs), "plausible": fit.plausible, "telling": fit.telling}
    return {"profile": fit.profile, "title": fit.title, **counts, "quantities": values, "why": fit.why()}


def modbus_stanza(config: ModbusConfig, found: Sequence[Found]) -> str:
    """The `[[source]]` of what was found, each unit with the likeliest profile; what fits too is a comment."""
    lines = ["[[source]]", 'name = "meters"', 'kind = "modbus"']
    if config.host is not None:
        lines += [f"host = {_text(config.host)}", *([f"port = {config.port}"] if config.port != 502 else [])]
    else:
        lines += [f"device = {_text(stable_path(config.device or ''))}", f"baud = {config.baud}"]
        lines += [f"parity = {_text(config.parity)}"] if config.parity != "none" else []
        lines += [f"stop_bits = {config.stop_bits}"] if config.stop_bits != 1 else []
    for unit in found:
        lines += ["", *_unit_stanza(unit)]
    return "\n".join(lines)


def _unit_stanza(unit: Found) -> list[str]:
    if not unit.fits:
        return [f"# unit {unit.unit} answers, and no shipped profile fits: write one from its manual"]
    best, *others = unit.fits
    lines = ["[[source.unit]]", f"address = {unit.unit}", f"profile = {_text(best.profile)}"]
    if best.coils:
        lines.append("# outputs = true   # lets this gateway write its coils")
    return lines + [f"# fits too: {', '.join(other.profile for other in others)}"] * bool(others)


def stable_path(device: str) -> str:
    """The name under /dev/serial/by-id that leads to the device, which it keeps in whatever socket it is plugged."""
    target = os.path.realpath(device)
    links = sorted(BY_ID.iterdir()) if BY_ID.is_dir() else []
    return next((str(link) for link in links if os.path.realpath(link) == target), device)


# --- I2C


def chip_lines(found: Sequence[Chip]) -> Iterable[str]:
    """One line for each chip."""
    for chip in found:
        yield f"  {chip.address:#04x}       {chip.driver or 'unknown':16} {chip.why}"


def chip_table(found: Sequence[Chip]) -> list[dict[str, Any]]:
    """As JSON."""
    return [{"address": chip.address, "driver": chip.driver or None, "why": chip.why} for chip in found]


def i2c_stanza(config: I2cConfig, found: Sequence[Chip]) -> str:
    """The `[[source]]` of the chips that have a driver."""
    lines = ["[[source]]", 'name = "i2c"', 'kind = "i2c"']
    if config.address is None:
        lines.append(f"bus = {config.bus}")
    else:
        lines += [f"backend = {_text(config.backend)}", f"address = {_text(config.address)}"]
    for chip in found:
        lines += ["", *_chip_stanza(chip)]
    return "\n".join(lines)


def _chip_stanza(chip: Chip) -> list[str]:
    if not chip.driver:
        return [f"# {chip.address:#04x} answers, and there is no driver for it"]
    lines = ["[[source.chip]]", f"address = {chip.address:#04x}", f'driver = "{chip.driver}"']
    if chip.driver == "ads1115":
        names = ", ".join(_shipped(TransducerProfile))
        lines.append(f"# what hangs on its channels a probe cannot see; profiles for a point's at: {names}")
    return lines


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
