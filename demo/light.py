"""A light home: the gateway's own core, journal and uplink over the simulated building, without the bytes in between.

What a home in full reads through sockets and a pty is asked of the building directly here; profiles, rules, decoding,
the fold, the journal and the uplink are the gateway's.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from edge.clock import Clock
from edge.config import Setup, SourceSetup
from edge.core.signals import Signals
from edge.core.values import Act, Operation, Reading, Unknown
from edge.gateway import Gateway
from edge.outputs import OutputConfig
from edge.own_points import OUTPUT_PREFIX
from edge.profiles import MeterProfile, TransducerProfile, load
from edge.sources.i2c import I2cConfig
from edge.sources.i2c_chips import I2cAt, value_of
from edge.sources.modbus.config import ModbusConfig
from edge.sources.modbus.unit import Unit
from simulators.building import Building

Poll = Callable[[], Iterable[Reading]]


class LightHome:
    """One home. `start`, `step`, `act` and `stop` belong to the running loop."""

    def __init__(self, setup: Setup, building: Building, clock: Clock) -> None:
        self.building = building
        self.gateway = Gateway(setup, clock, _Wiring(building))
        self._clock = clock
        self._lived_ms = clock.mono_ms()
        self._polls = [poll for source in setup.sources for poll in _polls(source, building)]
        self._polls.append(lambda: [_feedback(building, output) for output in setup.outputs if output.has_feedback])

    def start(self) -> None:
        """Begin to decide and to report."""
        self.gateway.start()

    def step(self) -> None:
        """Live through the time since the last step, read every point and decide."""
        now_ms = self._clock.mono_ms()
        self.building.advance(now_ms - self._lived_ms)
        self._lived_ms = now_ms
        self.gateway.take([reading for poll in self._polls for reading in poll()])
        self.gateway.beat()

    def act(self, operation: str, who: str) -> None:
        """A person in the home does something. ValueError for no operation."""
        self.gateway.act(Act(Operation(operation), who))

    def stop(self) -> None:
        """Decide nothing more."""
        self.gateway.stop()

    def close(self) -> None:
        """After `stop`, on any thread: let journal and uplink finish; may take seconds."""
        self.gateway.close()


class _Wiring:
    """The outputs of a light home: only the detectors' supply has anything to do with the building."""

    def __init__(self, building: Building) -> None:
        self._building = building

    def show(self, wanted: Signals) -> None:
        self._building.drive(self._building.plan.head.supply_cut_pin, bool(wanted.supply_cut))


def _polls(source: SourceSetup, building: Building) -> Iterable[Poll]:
    """What to call at each step for the points of a source. ValueError for a kind that a light home does not have."""
    if source.kind == "gpio":
        return [lambda: [_contact(building, wired.point, wired.at) for wired in source.wired]]
    if source.kind == "i2c":
        return [lambda: [_analog(building, source.config, wired.point, wired.at) for wired in source.wired]]
    if source.kind == "modbus":
        return list(_units(source, building))
    raise ValueError(f"a light home has no source of kind {source.kind}")


def _contact(building: Building, point: str, at: Any) -> Reading:
    # A closed contact pulls its pin to ground.
    level = "low" if building.contact(at.pin) else "high"
    return Reading(point, int(level == at.active))


def _feedback(building: Building, output: OutputConfig) -> Reading:
    # Nothing hangs on a light home's relays, so they are always as wished while their board answers.
    unit, coil = output.at.unit or 0, output.at.coil or 0
    is_heard = building.register(output.source, unit, coil, function=1) is not None
    code = OUTPUT_PREFIX + output.name
    return Reading(code, 0) if is_heard else Reading(code, None, Unknown.TIMEOUT)


def _analog(building: Building, config: I2cConfig, point: str, at: I2cAt) -> Reading:
    if at.channel is None:
        raise ValueError(f"a light home has no {at.quantity} on I2C")
    volts = building.volts(at.channel, at.chip)
    if volts is None:
        return Reading(point, None, Unknown.NACK)
    range_mv = next(chip.range_mv for chip in config.chip if chip.address == at.chip)
    counts = round(volts * 1000 * 32768 / range_mv)
    return _reading(point, value_of(load(at.transducer, TransducerProfile), counts, range_mv))


def _reading(point: str, value: int | Unknown) -> Reading:
    return Reading(point, None, value) if isinstance(value, Unknown) else Reading(point, value)


def _units(source: SourceSetup, building: Building) -> Iterable[Poll]:
    config: ModbusConfig = source.config
    for unit in config.unit:
        points = [(wired.point, wired.at.quantity) for wired in source.wired if wired.at.unit == unit.address]
        if points:
            yield _unit_poll(building, config.name, Unit(unit, load(unit.profile, MeterProfile), points))


def _unit_poll(building: Building, bus: str, unit: Unit) -> Poll:
    def poll() -> Iterable[Reading]:
        replies = [_registers(building, bus, unit.config.address, block) for block in unit.plan.blocks]
        return [slot.reading(replies) for slots in unit.plan.slots for slot in slots]

    return poll


def _registers(building: Building, bus: str, address: int, block: Any) -> list[int] | Unknown:
    words = [building.register(bus, address, block.address + i, block.function) for i in range(block.width)]
    found = [word for word in words if word is not None]
    return found if len(found) == len(words) else Unknown.TIMEOUT


def light_table(table: Mapping[str, Any], code: str, name: str, data: str, broker_port: int) -> dict[str, Any]:
    """The full home's configuration as that of another home, with its data folder and its way to the broker. It has no
    modem: one is simulated, and belongs to the full home."""
    return {
        **{name: part for name, part in table.items() if name not in ("sms", "contact")},
        "home": {**table["home"], "code": code, "name": name},
        "gateway": {**table["gateway"], "data": data},
        "uplink": {**table["uplink"], "host": "127.0.0.1", "port": broker_port},
    }
