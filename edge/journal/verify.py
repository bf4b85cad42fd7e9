"""Whether a journal on disk is what it was when it was written. Read-only, also beside an agent that writes it."""

from pathlib import Path
from typing import NamedTuple

from device import wire
from edge.journal.reading import Reading, reading


class Chain(NamedTuple):
    """A volume's chain. `broken_seq` is the first event that is missing or not what was sealed; `problem` says how."""

    journal: str
    first_seq: int
    last_seq: int
    broken_seq: int | None = None
    problem: str = ""


def verify(folder: Path) -> list[Chain]:
    """The chains of all volumes in `folder`, oldest first. JournalError where there is no database to be read."""
    with reading(folder) as db, db.at_once():
        return [_verify(db, *row) for row in db.volumes()]


def _verify(db: Reading, number: int, journal: str, let_go: int, anchor: str) -> Chain:
    last, head = let_go, anchor
    for seq, payload in db.all_events(number):
        problem = "missing" if seq != last + 1 else _problem(payload, journal, seq, head)
        if problem:
            return Chain(journal, let_go + 1, last, last + 1, problem)
        last, head = seq, wire.decode_event(payload).hash
    return Chain(journal, let_go + 1, last)


def _problem(payload: object, journal: str, seq: int, head: str) -> str:
    if not isinstance(payload, bytes):
        return f"payload: expected bytes, got {type(payload).__name__}"
    try:
        event = wire.decode_event(payload)
    except wire.WireError as error:
        return str(error)
    if (event.journal, event.seq) != (journal, seq):
        return f"expected event {seq} of {journal}, got {event.seq} of {event.journal}"
    if event.prev != head:
        return f"prev: expected {head}, got {event.prev}"
    return ""
