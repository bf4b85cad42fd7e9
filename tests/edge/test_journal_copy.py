"""The second copy: one bad page, one lost log, one torn line takes no event with it."""

import random
import sqlite3
from pathlib import Path

import pytest

from device import wire
from edge.journal import Journal, copy, verify
from edge.journal.copy import FILE as COPY
from edge.journal.copy import OLDER, EventCopy
from edge.journal.layout import FILE
from edge.journal.ledger import Ledger
from edge.journal.volume import Book, Entry, Row
from tests.edge.parts import events_of, journal_in, offered, smoke
from tests.support import wait_until

EVENTS = 120


def fill(journal: Journal, first: int, last: int) -> None:
    for number in range(first, last + 1):
        journal.record([smoke(number)])
    offered(journal, last)


def everything(journal: Journal) -> list[str]:
    """Why of every smoke event in all volumes, in their order."""
    wait_until(lambda: not journal.is_disk_faulty, what="the disk to be read again")
    payloads = [payload for volume in journal.volumes() for payload in events_of(journal, volume.journal)]
    return [event.why for event in map(wire.decode_event, payloads) if event.kind == "raise"]


def whys(last: int) -> list[str]:
    return [f"no. {number}" for number in range(1, last + 1)]


def copied(folder: Path) -> list[int]:
    """The numbers in both files of the copy, in their order."""
    return sorted(seq for events in EventCopy(folder).read().values() for seq in events)


def settled(folder: Path) -> None:
    """All of the log in the database, so that what is damaged is what is read."""
    sqlite3.connect(folder / FILE).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()


@pytest.mark.parametrize("seed", range(8))
def test_whichever_page_goes_bad_every_event_is_still_there_and_once(tmp_path: Path, seed: int):
    with journal_in(tmp_path) as journal:
        fill(journal, 1, EVENTS)
    settled(tmp_path)
    content, chance = bytearray((tmp_path / FILE).read_bytes()), random.Random(seed)
    page = chance.randrange(len(content) // 1024) * 1024
    content[page : page + 1024] = chance.randbytes(1024)
    (tmp_path / FILE).write_bytes(content)
    with journal_in(tmp_path) as journal:
        wait_until(lambda: everything(journal) == whys(EVENTS), what="every event")
        journal.record([smoke(EVENTS + 1)])
        wait_until(lambda: everything(journal) == whys(EVENTS + 1), what="the chain to go on")
    assert all(chain.broken_seq is None for chain in verify(tmp_path))


@pytest.mark.parametrize("content", [None, b"", b"no database" * 1000])
def test_without_any_database_the_copy_alone_is_enough(tmp_path: Path, content: bytes | None):
    with journal_in(tmp_path) as journal:
        fill(journal, 1, 9)
    settled(tmp_path)
    (tmp_path / FILE).unlink()
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with journal_in(tmp_path) as journal:
        wait_until(lambda: everything(journal) == whys(9), what="every event")
        journal.record([smoke(10)])
        wait_until(lambda: everything(journal) == whys(10), what="the chain to go on")
    assert all(chain.broken_seq is None for chain in verify(tmp_path))


def test_a_log_that_lost_its_end_is_caught_up(tmp_path: Path):
    """As on a card that lied about its syncs: the database goes back in time, to before what was told."""
    with journal_in(tmp_path) as journal:
        fill(journal, 1, 5)
        name = journal.volume().journal
    settled(tmp_path)
    early = (tmp_path / FILE).read_bytes()
    with journal_in(tmp_path) as journal:
        fill(journal, 6, 9)
    settled(tmp_path)
    (tmp_path / FILE).write_bytes(early)
    with journal_in(tmp_path) as journal:
        assert (journal.volume().journal, journal.volume().event_seq) == (name, 9)
        assert everything(journal) == whys(9)
        fill(journal, 10, 10)
        assert everything(journal) == whys(10)
    assert [chain.broken_seq for chain in verify(tmp_path)] == [None]


def test_a_copy_that_is_gone_or_torn_is_made_whole_at_the_start(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        fill(journal, 1, 5)
    path = tmp_path / COPY
    path.write_bytes(path.read_bytes().rstrip(b"\0")[:-100])
    assert copied(tmp_path) == [1, 2, 3, 4]
    with journal_in(tmp_path) as journal:
        offered(journal, 5)
    assert copied(tmp_path) == [1, 2, 3, 4, 5]
    path.unlink()
    with journal_in(tmp_path) as journal:
        offered(journal, 5)
    assert copied(tmp_path) == [1, 2, 3, 4, 5]


def test_what_the_collector_has_is_not_copied_again(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        fill(journal, 1, 5)
        journal.acknowledge(journal.volume().journal, 3, 0)
        fill(journal, 6, 6)  # the acknowledgement rides along
    (tmp_path / COPY).unlink()
    with journal_in(tmp_path) as journal:
        offered(journal, 6)
    assert copied(tmp_path) == [4, 5, 6]


def test_a_copy_that_cannot_be_written_holds_no_event_back_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / COPY).mkdir()
    with journal_in(tmp_path) as journal:
        fill(journal, 1, 3)
        assert journal.disk == "ok"
        wait_until(lambda: "events are not copied" in caplog.text)
        fill(journal, 4, 6)
        assert everything(journal) == whys(6)
    assert caplog.text.count("events are not copied") == 1


def test_what_could_not_be_copied_is_copied_with_what_comes_next(tmp_path: Path):
    (tmp_path / COPY).mkdir()
    with journal_in(tmp_path) as journal:
        fill(journal, 1, 3)
        (tmp_path / COPY).rmdir()
        fill(journal, 4, 4)
        wait_until(lambda: copied(tmp_path) == [1, 2, 3, 4], what="all to be copied")


def test_a_full_disk_leaves_room_for_the_next_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with journal_in(tmp_path) as journal:
        fill(journal, 1, 1)
    assert (tmp_path / COPY).stat().st_size == copy.TURN_BYTES
    assert (tmp_path / COPY).stat().st_blocks * 512 >= copy.TURN_BYTES, "real room, not a hole"


def test_an_event_that_was_numbered_anew_is_not_copied_under_its_old_number(tmp_path: Path):
    """The disk was given up while a commit was under way: what that commit brings to disk after all is superseded."""
    ledger = Ledger()
    ledger.seal(Entry(smoke(1), "", "boot-0001", 0, True, None, 0))
    batch = ledger.batch()
    ledger.leave_disk()
    assert ledger.committed(batch) == []
    assert [row.seq for row in ledger.committed(ledger.batch())] == [1]


# --- its two files --------------------------------------------------------------------------------------------------


class Told:
    """Rows of one volume, and what the collector has of it."""

    def __init__(self, folder: Path) -> None:
        self.copy = EventCopy(folder)
        self.book = Book("journal-0001", 1)
        self.acked: int | None = 0

    def append(self, count: int = 1) -> None:
        for _ in range(count):
            entry = Entry(smoke(self.book.event.seq + 1), "", "boot-0001", 0, True, None, 0)
            row: Row = self.book.seal(entry, is_durable=True)
            self.copy.append([row], lambda _: self.acked)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(copy, "TURN_BYTES", 2_000)
    monkeypatch.setattr(copy, "MAX_BYTES", 20_000)
    return Told(tmp_path)


def test_the_older_file_goes_only_when_the_collector_has_all_of_it(told: Told, tmp_path: Path):
    told.append(12)
    first = copied(tmp_path)
    assert (tmp_path / OLDER).exists(), "an older one there was not, so the first could be put away at once"
    told.append(8)
    assert copied(tmp_path) == [*first, *range(13, 21)], "nothing goes that the collector does not have"
    told.acked = 20
    told.append()
    assert copied(tmp_path)[0] > 1
    assert copied(tmp_path)[-1] == 21


def test_what_the_collector_does_not_have_survives_every_turn(told: Told, tmp_path: Path):
    for step in range(1, 120):
        told.append()
        told.acked = max(0, step - 10)
        held = copied(tmp_path)
        assert set(range(told.acked + 1, step + 1)) <= set(held)
    assert (tmp_path / COPY).stat().st_size + (tmp_path / OLDER).stat().st_size < 20_000


def test_in_a_long_outage_the_copy_stays_small(told: Told, tmp_path: Path):
    told.append(200)
    assert (tmp_path / COPY).stat().st_size + (tmp_path / OLDER).stat().st_size < 45_000
    assert copied(tmp_path)[-1] == 200


def test_a_turn_is_remembered_across_a_restart(told: Told, tmp_path: Path):
    told.append(20)
    again = EventCopy(tmp_path)
    again.read()
    told.copy, told.acked = again, 3
    told.append(3)
    assert copied(tmp_path) == list(range(1, 24)), "the older file holds numbers that the collector has not"


def test_lines_that_are_not_sound_are_not_there(told: Told, tmp_path: Path):
    told.append(3)
    path = tmp_path / COPY
    path.write_bytes(b"{}\n\xff\xfe\n" + path.read_bytes().replace(b"no. 2", b"no. 9"))
    assert copied(tmp_path) == [1, 3]
