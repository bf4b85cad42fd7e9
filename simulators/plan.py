"""The wiring plan of a simulated building, read from TOML: places with their quantities, and what is wired to what.

    [building]            name, seed, supply_cut_pin
    [noise]               standard deviation per kind of quantity (the part of its name behind the dot)
    [places.203]          name, and one line per quantity: smoke_pct_m, temp_mc, leakage_ma, ...
    [sources.meters]      transport "tcp", or "rtu" with baud, bits_per_char
    [[input]]             pin, kind (smoke, gas, call-point, mains, button), quantity
    [[output]]            pin, name
    [[unit]]              source, unit, model and the quantities that the model measures
    [modem]               number: the SIM card in the gateway's modem
    [[analog]]            address, ain, kind (pressure, loop) and the quantities that it measures
    [[sensor]]            address, model (sht3x) and the quantities that it measures
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

INPUT_KINDS = ("smoke", "gas", "call-point", "mains", "button")
ANALOG_KINDS = ("pressure", "loop")
SENSOR_MODELS = ("sht3x",)
TRANSPORTS = ("tcp", "rtu")
# Which keys of a [[unit]] name quantities, and how many of them, by model. None: as many as are written.
MODELS: Mapping[str, Mapping[str, int | None]] = {
    "acrel-asj": {"residual": 1},
    "vigirex-rhu": {"residual": 1},
    "temperature-transmitter": {"temperature": None},
    "leakage-temperature-monitor": {"residual": None, "temperature": None},
    "lx47le-125": {"residual": 1, "temperature": 1, "voltage": 1, "load": 1},
    "relay-board": {},
}

_T = TypeVar("_T")


class PlanError(ValueError):
    """The plan is wrong; the text lists every mistake with its place."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the plan says of the building itself. `supply_cut_pin`: the output that cuts the smoke detectors' supply."""

    name: str
    seed: int = 1
    supply_cut_pin: int = -1


@dataclass(frozen=True, slots=True)
class Source:
    """One Modbus bus. `bits_per_char` counts start, data, parity and stop bits: 10 for 8N1, 11 for 8N2 and 8E1."""

    transport: str
    baud: int = 9600
    bits_per_char: int = 10
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """A dry contact to ground on a GPIO pin."""

    pin: int
    kind: str
    quantity: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """What hangs on a GPIO pin that the gateway drives."""

    pin: int
    name: str


@dataclass(frozen=True, slots=True)
class Unit:
    """One Modbus device and the quantities that it measures."""

    source: str
    unit: int
    model: str
    residual: list[str] = field(default_factory=list)
    temperature: list[str] = field(default_factory=list)
    voltage: list[str] = field(default_factory=list)
    load: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Analog:
    """One input of an ADS1115: a pressure transducer (pressure in kPa at 20 °C, temperature) or a supervised loop."""

    address: int
    ain: int
    kind: str
    pressure: str = ""
    temperature: str = ""
    resistance: str = ""


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor with a digital output on the I2C bus: the air's temperature and relative humidity in %."""

    address: int
    model: str
    temperature: str
    humidity: str


@dataclass(frozen=True, slots=True)
class Card:
    """The SIM card in the gateway's modem."""

    number: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole wiring plan. `quantities` maps "place.quantity" to its value at the start, `names` place to its words."""

    head: Head
    quantities: Mapping[str, float]
    names: Mapping[str, str]
    noise: Mapping[str, float]
    sources: Mapping[str, Source]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    units: tuple[Unit, ...]
    analogs: tuple[Analog, ...]
    sensors: tuple[Sensor, ...] = ()
    modem: Card | None = None


def load(building: str | Path) -> Plan:
    """The plan in a file, or a shipped one by name ("home"). Raises PlanError, OSError."""
    path = Path(building)
    if path.suffix != ".toml":
        path = Path(str(resources.files("simulators") / "buildings" / f"{building}.toml"))
        if not path.is_file():
            raise PlanError(f"no building {str(building)!r}; give a .toml file, or one of {', '.join(shipped())}")
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")), path.name)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{path.name}: {error}") from error


def shipped() -> list[str]:
    """Names of the buildings that come with the simulator."""
    folder = resources.files("simulators") / "buildings"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def parse(document: Mapping[str, Any], file: str) -> Plan:
    """The plan in a parsed TOML document; `file` names it in errors. Raises PlanError with every mistake at once."""
    reader = _Reader(file)
    quantities, names = reader.places(document.get("places", {}))
    plan = Plan(
        head=reader.table(Head, document.get("building", {}), "building") or Head(""),
        quantities=quantities,
        names=names,
        noise={kind: float(sigma) for kind, sigma in document.get("noise", {}).items()},
        sources={
            name: source
            for name, table in document.get("sources", {}).items()
            if (source := reader.table(Source, table, f"sources.{name}"))
        },
        inputs=reader.tables(Input, document, "input"),
        outputs=reader.tables(Output, document, "output"),
        units=reader.tables(Unit, document, "unit"),
        analogs=reader.tables(Analog, document, "analog"),
        sensors=reader.tables(Sensor, document, "sensor"),
        modem=reader.table(Card, document["modem"], "modem") if "modem" in document else None,
    )
    known = {"building", "noise", "places", "sources", "input", "output", "unit", "analog", "sensor", "modem"}
    reader.unknown(document, known, "")
    reader.mistakes.extend(f"{file}: {mistake}" for mistake in _mistakes(plan))
    if reader.mistakes:
        raise PlanError("\n".join(reader.mistakes))
    return plan


class _Reader:
    """Turns tables into dataclasses and collects what does not fit."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[str] = []

    def places(self, tables: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
        quantities: dict[str, float] = {}
        names: dict[str, str] = {}
        for place, table in tables.items():
            for key, value in table.items():
                if key == "name":
                    names[place] = str(value)
                elif isinstance(value, bool) or not isinstance(value, int | float):
                    self._wrong(f"places.{place}.{key}", "a number", value)
                else:
                    quantities[f"{place}.{key}"] = float(value)
        return quantities, names

    def tables(self, kind: type[_T], document: Mapping[str, Any], key: str) -> tuple[_T, ...]:
        rows = (self.table(kind, table, f"{key}[{at}]") for at, table in enumerate(document.get(key, [])))
        return tuple(row for row in rows if row is not None)

    def table(self, kind: type[_T], table: Mapping[str, Any], where: str) -> _T | None:
        fields = {entry.name: entry for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]
        before = len(self.mistakes)
        self.unknown(table, set(fields), f"{where}.")
        values = {}
        for name, entry in fields.items():
            if name in table:
                values[name] = self._fit(table[name], str(entry.type), f"{where}.{name}")
            elif entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING:
                self.mistakes.append(f"{self.file}: {where}.{name}: missing")
        return None if len(self.mistakes) > before else kind(**values)

    def unknown(self, table: Mapping[str, Any], known: set[str], where: str) -> None:
        self.mistakes.extend(f"{self.file}: {where}{key}: no such key" for key in table if key not in known)

    def _fit(self, value: Any, kind: str, where: str) -> Any:
        if kind == "list[str]":
            value = [value] if isinstance(value, str) else value
            fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        else:
            fits = type(value).__name__ == kind
        if not fits:
            self._wrong(where, {"list[str]": "a name or a list of names"}.get(kind, kind), value)
        return value

    def _wrong(self, where: str, expected: str, got: object) -> None:
        self.mistakes.append(f"{self.file}: {where}: expected {expected}, got {got!r}")


def _mistakes(plan: Plan) -> Iterator[str]:
    """What is well-formed but does not fit together."""
    yield from _choices(plan)
    yield from _references(plan)
    yield from _doubled("pin", [*(each.pin for each in plan.inputs), *(each.pin for each in plan.outputs)])
    yield from _doubled("unit", [f"{unit.source}/{unit.unit}" for unit in plan.units])
    chips = [*{each.address for each in plan.analogs}, *(each.address for each in plan.sensors)]
    yield from _doubled("I2C address", [f"0x{address:02x}" for address in chips])
    yield from _doubled("analog", [f"0x{each.address:02x}/{each.ain}" for each in plan.analogs])


def _choices(plan: Plan) -> Iterator[str]:
    checks = (
        *((f"sources.{name}.transport", source.transport, TRANSPORTS) for name, source in plan.sources.items()),
        *((f"input[{at}].kind", each.kind, INPUT_KINDS) for at, each in enumerate(plan.inputs)),
        *((f"analog[{at}].kind", each.kind, ANALOG_KINDS) for at, each in enumerate(plan.analogs)),
        *((f"unit[{at}].model", each.model, tuple(MODELS)) for at, each in enumerate(plan.units)),
        *((f"sensor[{at}].model", each.model, SENSOR_MODELS) for at, each in enumerate(plan.sensors)),
        *((f"unit[{at}].source", each.source, tuple(plan.sources)) for at, each in enumerate(plan.units)),
    )
    for where, value, choices in checks:
        if value not in choices:
            yield f"{where}: expected one of {', '.join(choices)}, got {value!r}"
    for at, unit in enumerate(plan.units):
        for key, count in MODELS.get(unit.model, {}).items():
            names = getattr(unit, key)
            if not names or (count is not None and len(names) != count):
                yield f"unit[{at}].{key}: expected {count or 'one or more'} quantities, got {len(names)}"


def _references(plan: Plan) -> Iterator[str]:
    named: list[tuple[str, str]] = []
    for at, each in enumerate(plan.inputs):
        if each.kind in ("smoke", "gas", "mains"):
            named.append((f"input[{at}].quantity", each.quantity))
    for at, unit in enumerate(plan.units):
        for key in ("residual", "temperature", "voltage", "load"):
            named.extend((f"unit[{at}].{key}", name) for name in getattr(unit, key))
    for at, analog in enumerate(plan.analogs):
        keys = ("resistance",) if analog.kind == "loop" else ("pressure", "temperature")
        named.extend((f"analog[{at}].{key}", getattr(analog, key)) for key in keys)
    for at, sensor in enumerate(plan.sensors):
        named += [(f"sensor[{at}].temperature", sensor.temperature), (f"sensor[{at}].humidity", sensor.humidity)]
    for where, name in named:
        if name not in plan.quantities:
            yield f"{where}: no quantity {name!r} among the places"


def _doubled(what: str, keys: list[Any]) -> Iterator[str]:
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"{what} {key} is used twice"
