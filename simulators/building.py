"""The world: a building with its rooms, circuits, extinguishers, loops and mains, and everything that is wired to them.

A pure model. Time is an argument (`advance(dt_ms)`), nothing is read or written outside, and the same plan, seed and
sequence of calls gives the same world. The faces (Modbus, I2C, GPIO) put real bytes around it; a home without faces
reads `contact`, `register` and `volts` directly.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from simulators import plan as plans
from simulators.contacts import Button, CallPoint, Contact, GasDetector, MainsRelay, SmokeDetector
from simulators.devices import (
    AcrelAsj,
    Device,
    LeakageTemperatureMonitor,
    Lx47le,
    ModbusException,
    RelayBoard,
    TemperatureTransmitter,
    VigirexRhu,
)
from simulators.faults import Chatter, FaultBoard, Stuck
from simulators.plan import Analog, Plan
from simulators.quantity import Quantity

# Both ends of the usual ratiometric transducer: 0.5 V at no pressure, 4.5 V at its full 2.5 MPa.
TRANSDUCER_ZERO_V, TRANSDUCER_SPAN_V, TRANSDUCER_FULL_KPA = 0.5, 4.0, 2500.0
ATMOSPHERE_KPA = 101.3
KELVIN_AT_0_C, REFERENCE_K = 273.15, 293.15
# A supervised loop hangs on 3.3 V through 10 kΩ.
LOOP_SUPPLY_V, LOOP_PULL_UP_OHM = 3.3, 10_000.0
# What the terminals see: the end-of-line resistor; a detector's 2.7 kΩ beside it; a pinched cable; a cut one.
LOOP_STATES: Mapping[str, float] = {"normal": 10_000.0, "alarm": 2126.0, "short": 5.0, "open": 10_000_000.0}


class WorldError(ValueError):
    """A command names something that the building does not have, or a value that it cannot take."""


class Building:
    """A living building. `plan` says what is in it; `seed`, when given, replaces the plan's own for the noise."""

    def __init__(self, plan: Plan, seed: int | None = None) -> None:
        self.plan = plan
        self.now_ms = 0
        self.seed = plan.head.seed if seed is None else seed
        self.faults = FaultBoard(*_places(plan))
        self.outputs: dict[int, bool] = {output.pin: False for output in plan.outputs}
        self.devices: dict[tuple[str, int], Device] = {}
        self._quantities = {name: self._quantity(name, value) for name, value in plan.quantities.items()}
        self._contacts: dict[int, Contact] = {each.pin: _contact(each) for each in plan.inputs}
        self._seen: dict[int, bool] = dict.fromkeys(self._contacts, False)
        self._watchers: list[Callable[[int, bool], None]] = []
        self._analogs = {(analog.address, analog.ain): analog for analog in plan.analogs}
        for unit in plan.units:
            self.devices[unit.source, unit.unit] = self._device(unit)
        self.advance(0)

    @classmethod
    def load(cls, building: str | Path = "home", seed: int | None = None) -> Building:
        """The building in a plan file, or a shipped one by name. Raises PlanError, OSError."""
        return cls(plans.load(building), seed)

    # --- time and people ---

    def advance(self, dt_ms: int) -> None:
        """Live through `dt_ms`: contacts open and close, presses end. Watchers hear of each change once."""
        self.now_ms += dt_ms
        is_supply_cut = self.outputs.get(self.plan.head.supply_cut_pin, False)
        for contact in self._contacts.values():
            contact.advance(dt_ms, self.sense, is_supply_cut)
        self._tell_changes()

    def set(self, name: str, value: float | str, over_ms: int = 0) -> None:
        """Move a quantity to a value at once, or in a straight line over `over_ms`.

        A loop also takes "normal", "alarm", "short" or "open". Raises WorldError.
        """
        if name not in self._quantities:
            raise WorldError(f"no quantity {name!r}; quantities are {', '.join(sorted(self._quantities))}")
        self._quantities[name].move_to(_number(name, value), over_ms, self.now_ms)
        self.advance(0)

    def press(self, pin: int, hold_ms: int = 300) -> None:
        """Press the button or break the call point on `pin`. Raises WorldError where there is neither."""
        contact = self._contacts.get(pin)
        if not isinstance(contact, Button | CallPoint):
            raise WorldError(f"nothing to press on pin {pin}")
        contact.press(hold_ms)
        self._tell_changes()

    def turn_key(self, pin: int) -> None:
        """Reset the call point on `pin` with its key. Raises WorldError where there is none."""
        contact = self._contacts.get(pin)
        if not isinstance(contact, CallPoint):
            raise WorldError(f"no call point on pin {pin}")
        contact.turn_key()
        self._tell_changes()

    def drive(self, pin: int, level: bool) -> None:
        """The gateway drives an output: `level` True is high."""
        self.outputs[pin] = level

    def watch(self, changed: Callable[[int, bool], None]) -> None:
        """Have `changed(pin, closed)` called whenever a contact changes, without its bounce."""
        self._watchers.append(changed)

    # --- what the instruments see ---

    def true(self, name: str) -> float:
        """A quantity as it is, without noise and sensor faults."""
        return self._quantities[name].true_at(self.now_ms)

    def sense(self, name: str) -> float:
        """A quantity as its sensor reports it: with noise and the sensor's fault; NaN from an open lead."""
        measured = self._quantities[name].measured_at(self.now_ms)
        return self.faults.measured(name, measured, self.now_ms)

    def contact(self, pin: int) -> bool:
        """Whether the contact on `pin` is closed, its fault included (a chattering one alternates with time)."""
        closed = self._contacts[pin].closed
        fault = self.faults.at(f"gpio/{pin}")
        if isinstance(fault, Stuck):
            return bool(fault.measured(float(closed), 0))
        if isinstance(fault, Chatter):
            return bool(self.now_ms * 2 * fault.hz // 1000 % 2)
        return closed

    def register(self, source: str, unit: int, address: int, function: int = 3) -> int | None:
        """One word or bit of a Modbus unit, as it stands on the wire (unsigned); None where no good answer comes."""
        device = self.devices.get((source, unit))
        if device is None or self.faults.at(f"{source}/{unit}", source):
            return None
        try:
            return device.read(function, address, 1)[0]
        except ModbusException:
            return None

    def volts(self, ain: int, address: int = 0x48) -> float | None:
        """The voltage at an analogue input; None where its converter does not answer. An unwired input is at 0 V."""
        if self.faults.at(f"i2c/0x{address:02x}", "i2c"):
            return None
        return self.terminal_volts(address, ain)

    def terminal_volts(self, address: int, ain: int) -> float:
        """The voltage at the terminal itself, whatever the bus behind it does."""
        analog = self._analogs.get((address, ain))
        if analog is None:
            return 0.0
        return self._loop_volts(analog) if analog.kind == "loop" else self._pressure_volts(analog)

    # --- wiring ---

    def _loop_volts(self, analog: Analog) -> float:
        ohm = self.sense(analog.resistance)
        if math.isnan(ohm):
            return LOOP_SUPPLY_V
        return LOOP_SUPPLY_V * ohm / (ohm + LOOP_PULL_UP_OHM)

    def _pressure_volts(self, analog: Analog) -> float:
        """Charge pressure (at 20 °C) at the room's temperature by the gas law, through the transducer."""
        kelvin = self.sense(analog.temperature) / 1000 + KELVIN_AT_0_C
        gauge_kpa = (self.sense(analog.pressure) + ATMOSPHERE_KPA) * kelvin / REFERENCE_K - ATMOSPHERE_KPA
        # A transducer with a broken lead leaves the input to its pull-down resistor.
        if math.isnan(gauge_kpa):
            return 0.0
        share = min(max(gauge_kpa / TRANSDUCER_FULL_KPA, 0.0), 1.0)
        return TRANSDUCER_ZERO_V + TRANSDUCER_SPAN_V * share

    def _quantity(self, name: str, value: float) -> Quantity:
        kind = name.rpartition(".")[2]
        return Quantity(value, self.plan.noise.get(kind, 0.0), zlib.crc32(f"{self.seed}/{name}".encode()))

    def _device(self, unit: plans.Unit) -> Device:
        if unit.model == "acrel-asj":
            return AcrelAsj(self.sense, unit.residual[0], unit.unit)
        if unit.model == "vigirex-rhu":
            return VigirexRhu(self.sense, unit.residual[0])
        if unit.model == "temperature-transmitter":
            return TemperatureTransmitter([lambda name=name: self.sense(name) for name in unit.temperature])  # type: ignore[misc]
        if unit.model == "leakage-temperature-monitor":
            return LeakageTemperatureMonitor(self.sense, unit.residual, unit.temperature)
        if unit.model == "lx47le-125":
            return Lx47le(self.sense, unit.residual[0], unit.temperature[0], unit.voltage[0], unit.load[0])
        return RelayBoard()

    def _tell_changes(self) -> None:
        for pin, contact in self._contacts.items():
            if contact.closed != self._seen[pin]:
                self._seen[pin] = contact.closed
                for changed in self._watchers:
                    changed(pin, contact.closed)


def _contact(each: plans.Input) -> Contact:
    if each.kind == "smoke":
        return SmokeDetector(each.quantity)
    if each.kind == "gas":
        return GasDetector(each.quantity)
    if each.kind == "mains":
        return MainsRelay(each.quantity)
    return CallPoint() if each.kind == "call-point" else Button()


def _number(name: str, value: float | str) -> float:
    if isinstance(value, str) and name.endswith(".loop_ohm") and value in LOOP_STATES:
        return LOOP_STATES[value]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        states = f" or one of {', '.join(LOOP_STATES)}" if name.endswith(".loop_ohm") else ""
        raise WorldError(f"{name}: expected a number{states}, got {value!r}")
    return float(value)


def _places(plan: Plan) -> tuple[dict[str, str], dict[str, str]]:
    """Every place of the fault menu with its sort, and the other spellings of a place."""
    places = dict.fromkeys(plan.quantities, "quantity")
    places |= {f"gpio/{each.pin}": "gpio" for each in plan.inputs}
    aliases = {}
    for name, source in plan.sources.items():
        places[name] = "tcp" if source.transport == "tcp" else "rtu bus"
    for unit in plan.units:
        is_tcp = plan.sources[unit.source].transport == "tcp"
        places[f"{unit.source}/{unit.unit}"] = "tcp" if is_tcp else "rtu unit"
        aliases[f"modbus/{unit.unit}"] = f"{unit.source}/{unit.unit}"
    if plan.modem is not None:
        places |= {"modem": "modem", "modem/sim": "modem sim", "modem/network": "modem network"}
    chips = [*(each.address for each in plan.analogs), *(each.address for each in plan.sensors)]
    if chips:
        places["i2c"] = "i2c"
    for address in chips:
        places[f"i2c/0x{address:02x}"] = "i2c"
        aliases[f"i2c/{address}"] = f"i2c/0x{address:02x}"
    return places, aliases
