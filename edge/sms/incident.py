"""What the ladder remembers: incidents, the messages about them, and what it tells the shell. Saved as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from edge.core.values import Class, Kind

T = TypeVar("T")


class Purpose(StrEnum):
    """What a message is for."""

    FIRST = "first"
    AGAIN = "again"
    MORE = "more"
    OVER = "over"
    TEST = "test"


@dataclass(slots=True)
class Place:
    """A point that is part of an incident. `clock` is the time of day, "" where that could not be trusted."""

    subject: str
    order: int
    clock: str
    raised_ms: int
    is_standing: bool = True


@dataclass(slots=True)
class Incident:
    """A fire of one zone, or all that stands of another class. `code` is what a reply has to hold.

    `group` are those told last, `failing` those of them whom no message reaches, `told` all of this round and `reached`
    all of any. `turn_ms` is when the next group is told, None where nobody is left or somebody has answered.
    `is_lost`: the panel does not know of it any more, after a restart without its memory.
    """

    code: str
    condition: Class
    zone: str
    places: dict[str, Place] = field(default_factory=dict)
    is_confirmed: bool = False
    rounds: int = 0
    turn_ms: int | None = None
    group: list[str] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    has_news: bool = False
    said_ms: int = 0
    over_ms: int | None = None
    ended_by: str = ""
    is_lost: bool = False

    @property
    def is_standing(self) -> bool:
        """Whether any of its points still stands."""
        return any(place.is_standing for place in self.places.values())

    @property
    def subject(self) -> str:
        """The point it began with."""
        return next(iter(self.places), "")


@dataclass(slots=True)
class Message:
    """One text to one contact. `parts` have been accepted by the network, of which `doubts` may only have been and
    `delivered` have reached the phone; `waiting` are the references whose reports are still to come. `is_sending`:
    handed to the modem, no answer yet."""

    number: int
    code: str
    contact: str
    condition: Class | None
    zone: str
    subject: str
    purpose: Purpose
    text: str
    due_ms: int
    made_ms: int
    tries: int = 0
    is_sending: bool = False
    is_accepted: bool = False
    parts: int = 0
    doubts: int = 0
    delivered: int = 0
    waiting: list[int] = field(default_factory=list)


class Note(NamedTuple):
    """Something for the record."""

    kind: Kind
    who: str
    why: str
    condition: Class | None = None
    zone: str = ""
    subject: str = ""


class Acknowledge(NamedTuple):
    """A contact has answered an alarm."""

    who: str
    why: str
    subjects: tuple[str, ...]


class Ring(NamedTuple):
    """A contact's phone is to ring, unless the incident has been answered by then."""

    contact: str
    code: str


Out = Note | Acknowledge | Ring

_TIMES = {"raised_ms", "turn_ms", "said_ms", "over_ms", "due_ms", "made_ms"}


def dump(item: Incident | Message) -> dict[str, Any]:
    """As JSON has it."""
    return asdict(item)


def load_incident(table: Mapping[str, Any], shift_ms: int) -> Incident:
    """An incident, its times moved by `shift_ms`. Raises ValueError, TypeError, KeyError or AttributeError."""
    made = _load(Incident, table, shift_ms)
    made.condition = Class(made.condition)
    made.places = {code: _load(Place, place, shift_ms) for code, place in table["places"].items()}
    return made


def load_message(table: Mapping[str, Any], shift_ms: int) -> Message:
    """A message, in the same way."""
    made = _load(Message, table, shift_ms)
    made.purpose = Purpose(made.purpose)
    made.condition = None if made.condition is None else Class(made.condition)
    return made


def _load(kind: type[T], table: Mapping[str, Any], shift_ms: int) -> T:
    values = {item.name: table[item.name] for item in fields(kind)}  # type: ignore[arg-type]
    for name in _TIMES & set(values):
        values[name] = values[name] if values[name] is None else int(values[name]) + shift_ms
    return kind(**values)
