"""The tables of `gateway.toml` that belong to no adapter, one frozen dataclass each with the same spelling."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from edge.console.tables import ConsoleTable, PersonTable, RoomTable, StaffTable, instruction_mistakes
from edge.core.plan import ZonePlan
from edge.journal import JournalConfig
from edge.schema import Ms
from edge.sms.config import ContactTable, SmsConfig
from edge.uplink import UplinkConfig

Mistake = tuple[str, str, object]
"""Key, what was expected, what was found."""

PLACE_MAX = 40
"""Characters: the first SMS of an alarm has 70, and the home's name and the class stand in it too."""
LISTEN_WITHIN_MAX_MS = 100_000
"""A dead collector or uplink shows at the home within 100 s (DESIGN.md, promise 3)."""
CONFIRM_AFTER_MAX_MS = 60_000
"""A detector alone is never doubted for longer: what verifies fails towards alarm (PANEL.md, "Deciding")."""
RESET_PULSE_MAX_MS = 10_000
"""A reset gives up after 15 s, and the detectors need some of them to start again."""
SOCKET_PATH_MAX = 107
"""Bytes that the kernel takes for the name of a UNIX socket."""


@dataclass(frozen=True, slots=True)
class HomeTable:
    """`[home]`: the short code that never changes, and the name, which may."""

    code: str
    name: str

    def mistakes(self) -> Iterable[Mistake]:
        yield from _words("name", self.name)


@dataclass(frozen=True, slots=True)
class GatewayTable:
    """`[gateway]`: `data` is the folder of journal, socket and locks; `rules` names the rule profile.

    `locks` is the folder in which all agents of the machine lock its chips, buses and ports ("": the system's own).
    `watch_voltage` has the board's own under-voltage flag watched (`edge.board`).
    `simulated` allows simulated back-ends and puts the word SIMULATED on everything people see.
    """

    code: str
    data: str
    rules: str
    simulated: bool = False
    locks: str = ""
    listen_within: Ms = Ms(100_000)
    watch_voltage: bool = False

    def mistakes(self) -> Iterable[Mistake]:
        if not self.data or len(self.data.encode()) > SOCKET_PATH_MAX - len("/agent.sock"):
            yield "data", f"a folder with a name of 1 to {SOCKET_PATH_MAX - len('/agent.sock')} bytes", self.data
        if not 0 < self.listen_within <= LISTEN_WITHIN_MAX_MS:
            yield "listen_within", _up_to(LISTEN_WITHIN_MAX_MS), f"{self.listen_within}ms"


@dataclass(frozen=True, slots=True)
class ZoneTable:
    """`[[zone]]`: see `edge.core.plan.ZonePlan`; `instructions` is what to do when it burns there, for the console."""

    code: str
    name: str
    confirm_after: Ms = Ms(60_000)
    reset_pulse: Ms = Ms(0)
    instructions: tuple[str, ...] = ()

    def mistakes(self) -> Iterable[Mistake]:
        yield from _words("name", self.name)
        if self.confirm_after > CONFIRM_AFTER_MAX_MS:
            yield "confirm_after", _up_to(CONFIRM_AFTER_MAX_MS), f"{self.confirm_after}ms"
        if self.reset_pulse > RESET_PULSE_MAX_MS:
            yield "reset_pulse", _up_to(RESET_PULSE_MAX_MS), f"{self.reset_pulse}ms"
        yield from instruction_mistakes(self.instructions)

    def plan(self) -> ZonePlan:
        """As the core knows it."""
        return ZonePlan(self.code, self.confirm_after, self.reset_pulse)


@dataclass(frozen=True, slots=True)
class PointTable:
    """`[[point]]`: `place` is in words that an SMS can carry; `at` is read by the source's kind; `rule` gives the point
    figures of its own."""

    code: str
    kind: str
    zone: str
    place: str
    source: str
    at: dict[str, Any]
    rule: dict[str, Any] = field(default_factory=dict)
    deadband: float | None = None

    def mistakes(self) -> Iterable[Mistake]:
        yield from _words("place", self.place)
        if self.deadband is not None and self.deadband < 0:
            yield "deadband", "0 or more", self.deadband


@dataclass(frozen=True, slots=True)
class ButtonTable:
    """`[[button]]`: a contact that acts as its station. The other operations need a subject, a reason or an expiry,
    which a button cannot say."""

    code: str
    place: str
    operation: Literal["acknowledge", "silence", "reset", "self_test"]
    source: str
    at: dict[str, Any]

    def mistakes(self) -> Iterable[Mistake]:
        # An act in the name of nobody would break promise 6.
        yield from _words("place", self.place)


@dataclass(frozen=True, slots=True)
class File:
    """The whole file; what is wrong in it is None. Sources and outputs are read by their adapters' dataclasses."""

    home: HomeTable | None = None
    gateway: GatewayTable | None = None
    zone: tuple[ZoneTable | None, ...] = ()
    source: tuple[dict[str, Any] | None, ...] = ()
    point: tuple[PointTable | None, ...] = ()
    button: tuple[ButtonTable | None, ...] = ()
    output: tuple[dict[str, Any] | None, ...] = ()
    uplink: UplinkConfig | None = field(default_factory=lambda: UplinkConfig(enabled=False))
    journal: JournalConfig | None = field(default_factory=JournalConfig)
    console: ConsoleTable | None = None
    person: tuple[PersonTable | None, ...] = ()
    room: tuple[RoomTable | None, ...] = ()
    staff: StaffTable | None = None
    sms: SmsConfig | None = None
    contact: tuple[ContactTable | None, ...] = ()


REQUIRED = ("home", "gateway", "zone", "source", "point")
"""Tables without which there is nothing to watch over."""


def _words(key: str, text: str) -> Iterable[Mistake]:
    if not 1 <= len(text.strip()) <= PLACE_MAX or not text.isprintable():
        yield key, f"words, 1 to {PLACE_MAX} characters on one line", text


def _up_to(most_ms: int) -> str:
    return f'a duration up to "{most_ms // 1000}s"'
