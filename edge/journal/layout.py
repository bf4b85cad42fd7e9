"""How the journal lies on disk: the tables, their keys, the files.

A row's key is its volume's number and its own: `number << 40 | seq`. What is pruned leaves an anchor (`let_go` and the
hash of the last event let go), so that the rest of the chain can still be verified.
"""

import contextlib
import hashlib
import os
from pathlib import Path

FILE = "journal.sqlite"
RESERVE = "journal.reserve"
PRAGMAS = (
    # A quarter of the usual page: a batch of readings dirties two or three, and every commit writes whole pages.
    "page_size=1024",
    "journal_mode=WAL",
    "synchronous=FULL",
    # 1 MiB of log, then it is brought into the database: pages that change often are written there once, and a full
    # disk still has room for it in the reserve.
    "wal_autocheckpoint=1024",
    "cache_size=-512",
)
RESERVE_BYTES = 4 << 20
"""Given back to a full disk, so that the oldest readings can be deleted and events find room."""
KEPT_ASIDE = 3
"""Damaged databases kept for whoever wants to know why; each may be as large as the budget."""
BUSY_MS = 1_000
"""Another process may hold the lock this long: less than the two seconds after which events leave from memory."""
SCHEMA_VERSION = 1
KEY_SHIFT = 40
CHECKED_EVENTS = 20_000
"""The youngest, whose seals are checked at each start: a tenth of a second on a PC, half of one on a Pi."""
_SIDES = ("-shm", "-wal")
_SEAL_BYTES = len(',"hash":""}') + 64

SCHEMA = """
CREATE TABLE volume (
    number INTEGER PRIMARY KEY,
    journal TEXT NOT NULL UNIQUE,
    event_acked INTEGER NOT NULL DEFAULT 0,
    reading_acked INTEGER NOT NULL DEFAULT 0,
    event_let_go INTEGER NOT NULL DEFAULT 0,
    reading_let_go INTEGER NOT NULL DEFAULT 0,
    anchor TEXT NOT NULL
);
CREATE TABLE event (key INTEGER PRIMARY KEY, wall_ms INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE reading (key INTEGER PRIMARY KEY, wall_ms INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE raised (
    condition TEXT NOT NULL, subject TEXT NOT NULL, number INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (condition, subject)
) WITHOUT ROWID;
CREATE TABLE snapshot (
    one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL,
    boot TEXT NOT NULL, mono_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, clock_ok INTEGER NOT NULL
);
"""


def hash_of(payload: bytes) -> str:
    """The hash that a sealed event ends with."""
    return payload[-66:-2].decode("ascii")


def is_sealed(payload: object) -> bool:
    """Whether an event is, byte for byte, what it was sealed as (the seal is that of device/wire.py)."""
    if not isinstance(payload, bytes) or len(payload) < _SEAL_BYTES:
        return False
    digest = hashlib.sha256(payload[:-_SEAL_BYTES] + b"}").hexdigest()
    return payload[-_SEAL_BYTES:] == f',"hash":"{digest}"}}'.encode()


def key_of(number: int, seq: int) -> int:
    """The key of a row."""
    return number << KEY_SHIFT | seq


def seq_of(key: int) -> int:
    """A row's number within its volume."""
    return key & ((1 << KEY_SHIFT) - 1)


def reserve(folder: Path) -> None:
    """Hold some space back, as long as there is plenty."""
    path = folder / RESERVE
    space = os.statvfs(folder)
    if path.exists() or space.f_bavail * space.f_frsize < 4 * RESERVE_BYTES:
        return
    with contextlib.suppress(OSError), path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)


def move_aside(folder: Path, when: str) -> Path:
    """Take the database out of the way, with its log, and say where it went. OSError where the folder refuses."""
    asides = sorted(path for path in folder.glob(f"{FILE}.damaged-*") if not path.name.endswith(_SIDES))
    for old in asides[: 1 - KEPT_ASIDE]:
        for suffix in ("", *_SIDES):
            old.with_name(old.name + suffix).unlink(missing_ok=True)
    aside = folder / f"{FILE}.damaged-{when}"
    for suffix in (*_SIDES, ""):
        part = folder / (FILE + suffix)
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside
