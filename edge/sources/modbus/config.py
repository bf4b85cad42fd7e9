"""The `[[source]]` table of a Modbus port, and a point's `at` on it.

[[source]]
name = "meters"
kind = "modbus"
host = "192.168.1.50"  # a gateway on the network; for RTU: device = "/dev/ttyUSB0", baud, parity, stop_bits
[[source.unit]]
address = 1
profile = "acrel-asj"
period = "1s"

[[point]]
at = { unit = 1, quantity = "residual_current" }
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from edge.profiles import MeterProfile, load
from edge.schema import ConfigError, Ms
from edge.sources.seam import Described

UNIT_MAX = 247
TCP_TIMEOUT_MS = 300
# What a slave may take to answer, beyond the time on the wire: the slowest meters' manuals say 100 ms.
RTU_THINKING_MS = 100
# A request to read or to write one coil; what surrounds the data of a reply.
REQUEST_CHARS = 8
REPLY_FRAME_CHARS = 5


@dataclass(frozen=True, slots=True)
class UnitConfig:
    """A device on the port. `outputs = true` allows its coils to be written; `addresses` moves quantities of the
    profile
    to other registers, for families whose tables disagree."""

    address: int
    profile: str
    period: Ms = Ms(1000)
    timeout: Ms | None = None
    outputs: bool = False
    addresses: dict[str, int] = field(default_factory=dict)

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if not 1 <= self.address <= UNIT_MAX:
            yield "address", f"1 to {UNIT_MAX}", self.address
        if self.period < 100:
            yield "period", '"100ms" or more', f"{self.period}ms"
        if self.timeout is not None and self.timeout < 10:
            yield "timeout", '"10ms" or more', f"{self.timeout}ms"
        try:
            yield from self._profile_mistakes(load(self.profile, MeterProfile))
        except ConfigError as error:
            yield "profile", "a device profile without mistakes", "; ".join(error.lines)

    def _profile_mistakes(self, profile: MeterProfile) -> Iterable[tuple[str, str, object]]:
        if self.outputs and not profile.coils:
            yield "outputs", f"false: {self.profile} is a meter, and a meter is never written", "true"
        for quantity in self.addresses:
            if quantity not in profile.quantity:
                yield f"addresses.{quantity}", f"one of {', '.join(profile.quantity) or 'none'}", quantity


@dataclass(frozen=True, slots=True)
class ModbusConfig:
    """A port: Modbus TCP where `host` is given, Modbus RTU where `device` is."""

    name: str
    kind: Literal["modbus"]
    host: str | None = None
    port: int = 502
    device: str | None = None
    baud: int = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: int = 1
    unit: tuple[UnitConfig, ...] = ()

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if (self.host is None) == (self.device is None):
            yield "host", "either host (Modbus TCP) or device (Modbus RTU)", "both" if self.host else "neither"
        if not 1 <= self.port <= 65535:
            yield "port", "1 to 65535", self.port
        if not 300 <= self.baud <= 1_000_000:
            yield "baud", "300 to 1000000", self.baud
        if self.stop_bits not in (1, 2):
            yield "stop_bits", "1 or 2", self.stop_bits
        if not self.unit:
            yield "unit", "at least one [[source.unit]]", "none"
        yield from self._doubles()

    def _doubles(self) -> Iterable[tuple[str, str, object]]:
        seen: set[int] = set()
        for index, unit in enumerate(self.unit):
            if unit.address in seen:
                yield f"unit[{index}].address", "an address that no other unit has", unit.address
            seen.add(unit.address)

    @property
    def character_s(self) -> float:
        """Seconds that a character takes on the wire."""
        return (1 + 8 + (self.parity != "none") + self.stop_bits) / self.baud

    @property
    def where(self) -> str:
        """The port as a person knows it; also what is locked."""
        return self.device if self.device is not None else f"{self.host}:{self.port}"

    def timeout_s(self, unit: UnitConfig, data_bytes: int) -> float:
        """How long to wait for a reply with `data_bytes` of data, from the first byte of the request."""
        if unit.timeout is not None:
            return unit.timeout / 1000
        if self.device is None:
            return TCP_TIMEOUT_MS / 1000
        return RTU_THINKING_MS / 1000 + (REQUEST_CHARS + REPLY_FRAME_CHARS + data_bytes) * self.character_s


@dataclass(frozen=True, slots=True)
class ModbusAt:
    """Where a point stands: a unit of the port and a quantity of its profile."""

    unit: int
    quantity: str


def describe(config: ModbusConfig, at: ModbusAt) -> Described | str:
    """What readings of `at` mean, or what is wrong with it."""
    unit = next((unit for unit in config.unit if unit.address == at.unit), None)
    if unit is None:
        known = ", ".join(str(unit.address) for unit in config.unit)
        return f"{config.name} has no unit {at.unit}; configured: {known}"
    profile = load(unit.profile, MeterProfile)
    quantity = profile.quantity.get(at.quantity)
    if quantity is None:
        return f'{unit.profile} has no quantity "{at.quantity}"; known: {", ".join(profile.quantity) or "none"}'
    path = f"{config.name}/{unit.address}"
    return Described(quantity.unit, quantity.scale, unit.profile, profile.supervised, path)
