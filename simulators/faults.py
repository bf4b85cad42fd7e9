"""The fault menu: everything that a cable, a meter, a contact or a sensor does wrong in the field, as data.

A fault is injected at a place and stays until it is healed:
    meters/2  (or modbus/2)    one unit of a Modbus bus          meters            the whole bus
    i2c/0x48                   one I2C address                   i2c               the whole bus
    gpio/4                     one input pin                     kitchen.leakage_ma  the sensor of one quantity
    node                       a wireless node, on its own board
    modem                      the modem and its USB plug        modem/sim, modem/network
A face asks the board which fault holds at its place and lets that fault spoil the value, the reply or the timing.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.fault import Fault as Fault
from simulators.modem_faults import MODEM_KINDS, MODEM_MENU

BUSY = 0x06


class FaultError(ValueError):
    """The place, the kind or a parameter of a fault does not exist; the text lists what does."""


class Silent(Fault):
    """Answers nothing: switched off, address wrong, or the cable cut behind it."""

    kind = "silent"

    def frame(self, frame: bytes) -> bytes:
        return b""


@dataclass(slots=True)
class Late(Fault):
    """Answers correctly, but `delay_ms` after it should have: past the master's time-out."""

    kind = "late"
    delay_ms: int = 1500


class Busy(Fault):
    """Answers every request with exception 6, SERVER DEVICE BUSY."""

    kind = "busy"

    def pdu(self, pdu: bytes) -> bytes:
        return bytes((pdu[0] | 0x80, BUSY))


@dataclass(slots=True)
class ExceptionCode(Fault):
    """Answers every request with exception `code` (4 is SERVER DEVICE FAILURE)."""

    kind = "exception"
    code: int = 4

    def pdu(self, pdu: bytes) -> bytes:
        return bytes((pdu[0] | 0x80, self.code))


class BadCrc(Fault):
    """One bit of the frame's last byte is flipped: noise on the line."""

    kind = "bad_crc"

    def frame(self, frame: bytes) -> bytes:
        return frame[:-1] + bytes((frame[-1] ^ 0x01,))


class HalfFrame(Fault):
    """Stops in the middle of the frame and never sends the rest."""

    kind = "half_frame"

    def frame(self, frame: bytes) -> bytes:
        return frame[: len(frame) // 2]


class ForeignUnit(Fault):
    """A well-formed reply under the next unit's id: two units share an address, or a late frame of another."""

    kind = "foreign_unit"

    def unit(self, unit: int) -> int:
        return unit % 247 + 1


class DroppedLink(Fault):
    """The connection closes instead of an answer; on a serial bus the adapter vanishes and its device file with it."""

    kind = "dropped_link"
    hangs_up = True


class ShortReply(Fault):
    """A valid frame with one register (or byte) fewer than was asked for."""

    kind = "short_reply"

    def pdu(self, pdu: bytes) -> bytes:
        if pdu[0] > 4 or len(pdu) < 3:
            return pdu[:-1]
        data = pdu[2:-2] if pdu[0] in (3, 4) else pdu[2:-1]
        return bytes((pdu[0], len(data))) + data


@dataclass(slots=True)
class Garbage(Fault):
    """As many bytes as the right answer would have, all of them random (seeded)."""

    kind = "garbage"
    seed: int = 1
    _random: random.Random = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def frame(self, frame: bytes) -> bytes:
        return self._random.randbytes(len(frame))


class Nack(Fault):
    """The address does not acknowledge: OSError(121) at the master."""

    kind = "nack"


class StuckBus(Fault):
    """A slave holds the data line low: every transfer blocks until this is healed."""

    kind = "stuck_bus"


@dataclass(slots=True)
class Chatter(Fault):
    """The contact opens and closes `hz` times a second: a loose terminal."""

    kind = "chatter"
    hz: int = 1000


@dataclass(slots=True)
class Stuck(Fault):
    """The value (or the contact) stays as it was when the fault began."""

    kind = "stuck"
    _held: float | None = dataclasses.field(default=None, init=False, repr=False)

    def measured(self, value: float, age_ms: int) -> float:
        if self._held is None:
            self._held = value
        return self._held


@dataclass(slots=True)
class Drift(Fault):
    """The sensor's zero wanders by `per_min` of the quantity's unit each minute."""

    kind = "drift"
    per_min: float = 1.0

    def measured(self, value: float, age_ms: int) -> float:
        return value + self.per_min * age_ms / 60_000


class OpenSensor(Fault):
    """The sensor's lead is broken: no value at all (NaN), which each instrument shows in its own way."""

    kind = "open"

    def measured(self, value: float, age_ms: int) -> float:
        return math.nan


class Duplicate(Fault):
    """A node that says each report twice: its broker's answer got lost."""

    kind = "duplicate"


class Reordered(Fault):
    """A node whose reports change places, two by two: a re-send came behind its successor."""

    kind = "reordered"


class Replayed(Fault):
    """Somebody says a node's old reports again."""

    kind = "replayed"


class WrongId(Fault):
    """Another board speaks under a node's name."""

    kind = "wrong_id"


class LowBattery(Fault):
    """A node whose battery is nearly empty."""

    kind = "low_battery"


_KINDS: tuple[type[Fault], ...] = (
    Silent, Late, Busy, ExceptionCode, BadCrc, HalfFrame, ForeignUnit, DroppedLink, ShortReply, Garbage,
    Nack, StuckBus, Chatter, Stuck, Drift, OpenSensor, Duplicate, Reordered, Replayed, WrongId, LowBattery,
    *MODEM_KINDS,
)  # fmt: skip
KINDS: Mapping[str, type[Fault]] = {kind.kind: kind for kind in _KINDS}

_MODBUS = ("silent", "late", "busy", "exception", "half_frame", "foreign_unit", "short_reply", "garbage")
# Which kinds make sense at which sort of place. TCP has no CRC of its own; one unit of a serial bus cannot unplug the
# adapter.
MENU: Mapping[str, tuple[str, ...]] = {
    "tcp": (*_MODBUS, "dropped_link"),
    "rtu unit": (*_MODBUS, "bad_crc"),
    "rtu bus": (*_MODBUS, "bad_crc", "dropped_link"),
    "i2c": ("nack", "stuck_bus", "late", "garbage"),
    "gpio": ("chatter", "stuck"),
    "quantity": ("stuck", "drift", "open"),
    "node": ("silent", "late", "duplicate", "reordered", "replayed", "wrong_id", "low_battery"),
    **MODEM_MENU,
}


class FaultBoard:
    """Which fault holds at which place now.

    `places` maps every place of the building to its sort (a key of MENU); `aliases` maps other spellings to places.
    """

    def __init__(self, places: Mapping[str, str], aliases: Mapping[str, str]) -> None:
        self._places = places
        self._aliases = aliases
        self._active: dict[str, tuple[Fault, int]] = {}
        self._watchers: list[Callable[[str, Fault | None], None]] = []

    def watch(self, changed: Callable[[str, Fault | None], None]) -> None:
        """Have `changed(place, fault)` called at each injection, and with None at each healing."""
        self._watchers.append(changed)

    def inject(self, where: str, kind: str, now_ms: int, **parameters: Any) -> Fault:
        """Begin a fault at a place, in the stead of the one that is there. Raises FaultError."""
        place = self.place(where)
        fitting = MENU[self._places[place]]
        if kind not in fitting:
            raise FaultError(f"fault at {where}: expected one of {', '.join(fitting)}, got {kind!r}")
        fault = _make(kind, parameters)
        self._active[place] = (fault, now_ms)
        self._tell(place, fault)
        return fault

    def heal(self, where: str) -> None:
        """End the fault at a place; healing a sound place is no error."""
        place = self.place(where)
        if self._active.pop(place, None) is not None:
            self._tell(place, None)

    def heal_all(self) -> None:
        """End every fault."""
        for place in list(self._active):
            self.heal(place)

    def at(self, *places: str) -> Fault | None:
        """The fault at the first of `places` that has one. Places are the canonical spellings."""
        if not self._active:
            return None
        # One look-up each: a serial face asks from a thread of its own while a fault is being healed.
        for place in places:
            if (found := self._active.get(place)) is not None:
                return found[0]
        return None

    def measured(self, quantity: str, value: float, now_ms: int) -> float:
        """`value` as the quantity's sensor reports it, with its fault."""
        found = self._active.get(quantity)
        if found is None:
            return value
        fault, since_ms = found
        return fault.measured(value, now_ms - since_ms)

    def active(self) -> dict[str, str]:
        """Place to kind of all that is broken now."""
        return {place: fault.kind for place, (fault, _) in self._active.items()}

    def place(self, where: str) -> str:
        """The canonical spelling of a place. Raises FaultError for one that the building does not have."""
        place = self._aliases.get(where, where)
        if place not in self._places:
            sorts = ", ".join(sorted(place for place, sort in self._places.items() if sort != "quantity"))
            raise FaultError(f"no place {where!r}; places are {sorts}, and every quantity")
        return place

    def _tell(self, place: str, fault: Fault | None) -> None:
        for changed in self._watchers:
            changed(place, fault)


def _make(kind: str, parameters: Mapping[str, Any]) -> Fault:
    """A fault of `kind`, its parameters checked against the fields that the kind has."""
    fields = {field.name: field for field in dataclasses.fields(KINDS[kind]) if field.init}
    for name, value in parameters.items():
        if name not in fields:
            raise FaultError(f"fault {kind}: no parameter {name!r}; it takes {', '.join(fields) or 'none'}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FaultError(f"fault {kind}: {name}: expected a number, got {value!r}")
    return KINDS[kind](**parameters)
