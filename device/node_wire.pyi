"""Types of node_wire.py, as wire.pyi is of wire.py."""

from collections.abc import Sequence
from typing import NamedTuple

from device.wire import WireError as WireError

NODE: str
REPORT: str
BEAT: str
WILL: str
PROGRESS: str
ACK: str
CLOCK: str
ORDER: str
UPDATE: str
CHUNK: str
UP: tuple[str, ...]
DOWN: tuple[str, ...]
CONTACT: str
VOLTAGE: str
TEMPERATURE: str
TAMPER: str
TEST: str
BEAT_MS: int
SLEEPER_BEAT_MS: int
CHUNK_BYTES: int
MAX_FILES: int
MAX_FILE_BYTES: int
STATES: tuple[str, ...]
ORDERS: tuple[str, ...]

class Report(NamedTuple):
    boot: str
    seq: int
    held: int
    age_ms: int
    age_ok: bool
    live: bool
    input: str
    value: int | None
    unknown: str | None

class Level(NamedTuple):
    input: str
    kind: str
    value: int | None
    unknown: str | None

class Beat(NamedTuple):
    boot: str
    seq: int
    held: int
    uptime_ms: int
    every_ms: int
    version: str
    release: int
    cause: str
    hardware: str
    supply_mv: int | None
    battery_mv: int | None
    rssi_dbm: int | None
    queued: int
    dropped_alarms: int
    dropped_reports: int
    free_bytes: int
    order: str
    faults: Sequence[str]
    levels: Sequence[Level]

class Will(NamedTuple):
    boot: str

class Progress(NamedTuple):
    release: int
    state: str
    file: str
    offset: int
    why: str

class Ack(NamedTuple):
    boot: str
    seq: int

class Clock(NamedTuple):
    wall_ms: int
    clock_ok: bool

class Order(NamedTuple):
    id: str
    order: str

class File(NamedTuple):
    name: str
    size: int
    sha256: str

class Update(NamedTuple):
    release: int
    version: str
    files: Sequence[File]
    signature: str

class Chunk(NamedTuple):
    release: int
    file: str
    offset: int
    data: str

class Address(NamedTuple):
    node: str
    channel: str

_Message = Report | Beat | Will | Progress | Ack | Clock | Order | Update | Chunk

def topic(node: str, channel: str) -> str: ...
def parse_topic(text: str) -> Address: ...
def encode(message: _Message) -> bytes: ...
def decode(channel: str, payload: bytes) -> _Message: ...
def signed_bytes(node: str, release: int, version: str, files: Sequence[File]) -> bytes: ...
def sign(key: bytes, data: bytes) -> str: ...
def is_signed(key: bytes, node: str, update: Update) -> bool: ...
