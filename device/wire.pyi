"""Types of wire.py, which MicroPython has no words for. Beside it, so that it can be flashed without them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

VERSION: int
MAX_BYTES: int
MAX_INT: int
MAX_BATCH: int
ROOT: str
GENESIS: str
ALG: str
EVENT: str
READING: str
STATE: str
POINTS: str
LINK: str
ACK: str
ASK: str
CONFIG: str
UP: tuple[str, ...]
DOWN: tuple[str, ...]
RETAINED: tuple[str, ...]

class WireError(ValueError): ...

class Event(NamedTuple):
    journal: str
    seq: int
    boot: str
    mono_ms: int
    wall_ms: int
    clock_ok: bool
    kind: str
    condition: str | None
    zone: str
    point: str
    value: int | None
    unit: str
    unknown: str | None
    order: int
    who: str
    why: str
    sounded_ms: int | None
    durable: bool
    alg: str
    prev: str
    hash: str

class Sample(NamedTuple):
    point: str
    offset_ms: int
    value: int | None
    unknown: str | None

class Readings(NamedTuple):
    journal: str
    seq: int
    boot: str
    mono_ms: int
    wall_ms: int
    clock_ok: bool
    live: bool
    readings: Sequence[Sample]

class Active(NamedTuple):
    condition: str
    zone: str
    point: str
    seq: int
    order: int
    acknowledged: bool
    confirmed: bool

class State(NamedTuple):
    journal: str
    boot: str
    mono_ms: int
    wall_ms: int
    clock_ok: bool
    version: str
    config: str
    simulated: bool
    silenced: bool
    active: Sequence[Active]
    counts: Sequence[tuple[str, int]]
    disabled: Sequence[str]
    unproven: Sequence[str]
    event_seq: int
    event_held: int
    event_backlog: int
    reading_seq: int
    reading_held: int
    reading_backlog: int
    disk: str

class Point(NamedTuple):
    code: str
    zone: str
    place: str
    kind: str
    unit: str
    scale: int
    profile: str
    supervised: bool
    early: int | None
    alarm: int | None

class Zone(NamedTuple):
    code: str
    name: str

class Points(NamedTuple):
    config: str
    name: str
    simulated: bool
    zones: Sequence[Zone]
    points: Sequence[Point]

class Link(NamedTuple):
    boot: str
    link: str

class Ack(NamedTuple):
    journal: str
    event: int
    reading: int

class Ask(NamedTuple):
    id: str
    text: str
    within_s: int

class Config(NamedTuple):
    gateway: str
    version: int
    expires_ms: int
    body: str
    signature: str

class Address(NamedTuple):
    home: str
    gateway: str
    channel: str

_Message = Event | Readings | State | Points | Link | Ack | Ask | Config

def topic(home: str, gateway: str, channel: str) -> str: ...
def parse_topic(text: str) -> Address: ...
def seal_event(fields: Mapping[str, object], prev: str) -> tuple[bytes, str]: ...
def decode_event(payload: bytes) -> Event: ...
def encode(message: Readings | State | Points | Link | Ack | Ask | Config) -> bytes: ...
def decode(channel: str, payload: bytes) -> _Message: ...

# What node_wire.py builds its messages with.
_M = TypeVar("_M")
_Table = tuple[tuple[str, str, str], ...]

def pack(table: _Table, message: tuple[Any, ...]) -> bytes: ...
def unpack(make: Callable[..., _M], table: _Table, payload: bytes) -> _M: ...
def rows_of(make: Callable[..., _M], checks: tuple[str, ...], most: int) -> Callable[[object, str], tuple[_M, ...]]: ...
def add_check(name: str, check: Callable[[Any, str], object], kind: str = "array") -> None: ...
def message_of(name: str, table: _Table, more: tuple[str, ...] = ()) -> type[tuple[Any, ...]]: ...
def check_value(check: str, value: object, where: str) -> Any: ...
