"""What can be saved out of a damaged database and its copy: of each volume, the last unbroken run of events."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
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


def salvage(path: Path, copied: Mapping[str, Mapping[int, bytes]]) -> list[Saved]:
    """What is sound in the file or among the events `copied` (by journal and number); without a file that is a
    database, what was copied alone, of which nobody knows how much the collector has."""
    found = _out_of_database(path, copied)
    known = {saved.journal for saved in found}
    return out_of_copy({journal: events for journal, events in copied.items() if journal not in known}) + found


def out_of_copy(copied: Mapping[str, Mapping[int, bytes]]) -> list[Saved]:
    """The volumes of which nothing but copied events is left. All of them count as not acknowledged."""
    found = [Saved(journal, 0, 0, *_run({}, events, journal)) for journal, events in copied.items()]
    return [saved for saved in found if saved.rows]


def _out_of_database(path: Path, copied: Mapping[str, Mapping[int, bytes]]) -> list[Saved]:
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
            Saved(journal, event_acked, reading_acked, *_run(_rows(db, number), copied.get(journal, {}), journal))
            for number, journal, event_acked, reading_acked in volumes
        ]


def _rows(db: sqlite3.Connection, number: int) -> dict[int, object]:
    """The payloads that can be reached from either end: a broken page stops a scan, and what lies behind it can still
    be reached from the other side."""
    return {seq: payload for order in ("DESC", "ASC") for seq, payload in _scan(db, number, order)}


def _run(
    rows: Mapping[int, object], copied: Mapping[int, bytes], journal: str
) -> tuple[str, list[tuple[int, int, bytes]]]:
    """The last unbroken run, and the hash before it."""
    run: list[tuple[int, int, bytes]] = []
    prev = ""
    for seq in sorted({*rows, *copied}, reverse=True):
        event, payload = _sound(rows.get(seq), copied.get(seq), journal, seq)
        if event is None or (run and (event.hash != prev or seq != run[-1][0] - 1)):
            if run:
                break
            continue
        run.append((seq, event.wall_ms, payload))
        prev = event.prev
    return prev, run[::-1]


def _scan(db: sqlite3.Connection, number: int, order: str) -> Iterator[tuple[int, object]]:
    span = (number << KEY_SHIFT, (number + 1 << KEY_SHIFT) - 1, MAX_EVENTS)
    with contextlib.suppress(sqlite3.Error):
        query = f"SELECT key, payload FROM event WHERE key BETWEEN ? AND ? ORDER BY key {order} LIMIT ?"
        for key, payload in db.execute(query, span):
            yield seq_of(key), payload


def _sound(row: object, copied: bytes | None, journal: str, seq: int) -> tuple[wire.Event | None, bytes]:
    """The event out of the database or, where that is not sound, out of the copy."""
    for payload in (row, copied):
        if isinstance(payload, bytes):
            with contextlib.suppress(wire.WireError):
                event = wire.decode_event(payload)
                if (event.journal, event.seq) == (journal, seq):
                    return event, payload
    return None, b""
