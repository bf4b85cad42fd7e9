"""Damage that leaves the database readable: nothing of it may stop what comes after, and it is said."""

import random
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from device import wire
from edge.core.values import Reading
from edge.journal import Journal, verify
from edge.journal.copy import FILE as COPY
from edge.journal.layout import FILE, is_sealed
from tests.edge.parts import batch_of, events_of, journal_in, offered, readings_of, smoke
from tests.support import wait_until

BATCHES = 60


def gaps(journal: Journal) -> list[str]:
    events = [wire.decode_event(payload) for payload in events_of(journal)]
    return [event.why for event in events if event.kind == "gap"]


def fill(journal: Journal, count: int) -> None:
    """So many events, with a batch of readings each, all on disk."""
    for number in range(1, count + 1):
        journal.observe([Reading(f"point-{i}", number) for i in range(wire.MAX_BATCH)], number)
        journal.record([smoke(number)])
        offered(journal, number)
    wait_until(lambda: journal.volume().reading_seq == count)


def change(folder: Path, lane: str, place: int, to: Callable[[bytes], bytes]) -> None:
    """Another hand changes a row."""
    with sqlite3.connect(folder / FILE) as db:
        key, payload = db.execute(f"SELECT key, payload FROM {lane} ORDER BY key LIMIT 1 OFFSET {place}").fetchone()
        db.execute(f"UPDATE {lane} SET payload = ? WHERE key = ?", (to(payload), key))
    db.close()


def turned(payload: bytes, place: int = 40) -> bytes:
    """One bit of a byte is another."""
    return payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]


@pytest.mark.parametrize("place", [0, 1, 40, -70, -3, -1])
def test_a_seal_shows_every_turned_bit(place: int):
    payload, _ = wire.seal_event(dict.fromkeys(wire.Event._fields, 0) | EVENT, wire.GENESIS)
    assert is_sealed(payload)
    assert not is_sealed(turned(payload, place % len(payload)))


def test_what_is_no_event_has_no_seal():
    assert not any(is_sealed(payload) for payload in (b"", b"}", None, "text", 7, b"x" * 200))


EVENT = {
    "journal": "journal-a", "seq": 1, "boot": "boot-0001", "mono_ms": 1, "wall_ms": 1, "clock_ok": True,
    "kind": "raise", "condition": "fire", "zone": "", "point": "", "value": None, "unit": "", "unknown": None,
    "order": 0, "who": "", "why": "", "sounded_ms": None, "durable": True,
}  # fmt: skip


def test_an_event_that_is_not_what_was_sealed_is_found_at_the_start(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        fill(journal, 5)
        old = journal.volume().journal
    change(tmp_path, "event", 1, turned)
    (tmp_path / COPY).unlink()
    with journal_in(tmp_path) as journal:
        assert journal.recovered_from is not None
        wait_until(lambda: not journal.is_disk_faulty)
        assert [wire.decode_event(payload).why for payload in events_of(journal, old)] == ["no. 3", "no. 4", "no. 5"]
        wait_until(lambda: gaps(journal)[1:2] == [f"lane=event journal={old} from=1 to=2 cause=damage"])
    assert [chain.broken_seq for chain in verify(tmp_path)] == [None, None]


def test_a_batch_that_is_not_what_it_was_goes_and_the_rest_follows(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        fill(journal, BATCHES)
        name = journal.volume().journal
    change(tmp_path, "reading", 2, lambda payload: payload[:-9])
    with journal_in(tmp_path) as journal:
        first = [batch_of(payload).seq for payload in readings_of(journal)]
        assert first[:2] == [1, 2]
        wait_until(lambda: gaps(journal) == [f"lane=reading journal={name} from=3 to=3 cause=damage"])
        assert [batch_of(payload).seq for payload in readings_of(journal)] == [1, 2, *range(4, BATCHES + 1)]
        assert journal.recovered_from is None


def test_a_page_of_readings_that_is_noise_is_met_by_whoever_sends_them(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        fill(journal, BATCHES)
        old = journal.volume().journal
    content = bytearray((tmp_path / FILE).read_bytes())
    inside = [found.start() for found in re.finditer(b'"point-250"', content)]  # on pages that no key is on
    page = inside[len(inside) // 2] // 1024 * 1024
    content[page : page + 1024] = random.Random(1).randbytes(1024)
    (tmp_path / FILE).write_bytes(content)
    with journal_in(tmp_path) as journal:
        assert journal.recovered_from is None, "the readings' keys are read at the start, not they"
        readings_of(journal)
        wait_until(lambda: journal.recovered_from, what="the damage to be met")
        wait_until(lambda: f"lane=reading journal={old} from=1 cause=damage" in gaps(journal))
        # Until the new file has taken its first commit the disk counts as faulty, and nobody reads it.
        wait_until(lambda: len(events_of(journal, old)) == BATCHES, what="what was saved to be read again")
