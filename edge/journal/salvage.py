"""What can be saved out of a damaged database: of each volume, the last unbroken run of events."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from device import wire
from edge.journal.layout import KEY_SHIFT, seq_of

MAX_EVENTS = 20_000


class Saved(NamedTuple):
    """The events of one volume, as rows (seq, wall_ms, payload) that follow the event whose hash is `anchor`; no rows
    where none could be saved."""

    journal: str
    event_acked: int
    reading_acked: int
    anchor: str
    rows: list[tuple[int, int, bytes]]


def salvage(path: Path) -> list[Saved]:
    """What is readable and sound in the file; nothing where it is no database at all."""
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=1, isolation_level=None)
    except sqlite3.Error:
        return []
    with contextlib.closing(db):
        try:
            query = "SELECT number, journal, event_acked, reading_acked FROM volume ORDER BY number"
            volumes = db.execute(query).fetchall()
        except sqlite3.Error:
            return []
        return [
            Saved(journal, event_acked, reading_acked, *_run(db, number, journal))
            for number, journal, event_acked, reading_acked in volumes
        ]


def _run(db: sqlite3.Connection, number: int, journal: str) -> tuple[str, list[tuple[int, int, bytes]]]:
    """The last unbroken run, and the hash before it."""
    # From both ends: a broken page stops a scan, and what lies behind it can still be reached from the other side.
    rows = {seq: (wall_ms, payload) for order in ("DESC", "ASC") for seq, wall_ms, payload in _scan(db, number, order)}
    run: list[tuple[int, int, bytes]] = []
    prev = ""
    for seq in sorted(rows, reverse=True):
        wall_ms, payload = rows[seq]
        event = _sound(payload, journal, seq)
        if event is None or (run and (event.hash != prev or seq != run[-1][0] - 1)):
            if run:
                break
            continue
        run.append((seq, wall_ms, payload))
        prev = event.prev
    return prev, run[::-1]


def _scan(db: sqlite3.Connection, number: int, order: str) -> Iterator[tuple[int, int, bytes]]:
    span = (number << KEY_SHIFT, (number + 1 << KEY_SHIFT) - 1, MAX_EVENTS)
    with contextlib.suppress(sqlite3.Error):
        query = f"SELECT key, wall_ms, payload FROM event WHERE key BETWEEN ? AND ? ORDER BY key {order} LIMIT ?"
        for key, wall_ms, payload in db.execute(query, span):
            yield seq_of(key), wall_ms, payload


def _sound(payload: object, journal: str, seq: int) -> wire.Event | None:
    if not isinstance(payload, bytes):
        return None
    try:
        event = wire.decode_event(payload)
    except wire.WireError:
        return None
    return event if (event.journal, event.seq) == (journal, seq) else None
