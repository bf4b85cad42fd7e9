"""The journal on disk: SQLite in WAL mode, every commit forced out (`synchronous=FULL`)."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from device import wire
from edge.journal.copy import Events, run_after
from edge.journal.layout import (
    BUSY_MS,
    CHECKED_EVENTS,
    FILE,
    KEY_SHIFT,
    PRAGMAS,
    RESERVE,
    SCHEMA,
    SCHEMA_VERSION,
    hash_of,
    is_sealed,
    key_of,
    reserve,
    seq_of,
)
from edge.journal.ledger import Batch
from edge.journal.salvage import Saved
from edge.journal.volume import Book, Row, Stamp

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_CHUNK = 256


class Damaged(Exception):
    """The file is no sound database of ours."""


class Snapshot(NamedTuple):
    """The panel as it was saved, and when that was."""

    body: bytes
    saved: Stamp


class LetGo(NamedTuple):
    """Readings of a volume that were deleted before the collector had them."""

    book: Book
    first: int
    last: int


def is_damage(error: sqlite3.Error) -> bool:
    """Whether `error` says that the file itself is broken, not the disk or the access to it."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


def is_full(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_FULL


class Database:
    """One writing connection. Any method may raise `sqlite3.Error`; afterwards `close` is what is left to do."""

    def __init__(self, folder: Path, check: bool = True) -> None:
        """Open or make the database in `folder`. `Damaged` when it is none, OSError or sqlite3.Error when it cannot be
        opened. `check` reads every event; readings are checked as they are used, since they may be many."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._books: dict[int, Book] = {}
        self._db = sqlite3.connect(folder / FILE, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(check)
        except sqlite3.DatabaseError as error:
            self.close()
            if is_damage(error):
                raise Damaged(str(error)) from None
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _prepare(self, check: bool) -> None:
        db = self._db
        for pragma in PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with self._transaction():
                for statement in SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise Damaged(f"expected a journal of version {SCHEMA_VERSION}, got {version}")
        elif check:
            self._check()
        reserve(self.folder)

    def _check(self) -> None:
        for table in ("volume", "event", "raised", "snapshot"):
            (said,) = self._db.execute(f"PRAGMA quick_check({table})").fetchone()
            if said != "ok":
                raise Damaged(said)
        # A page that is whole may hold an event that is not; the collector would refuse it, and wait for it for ever.
        youngest = "SELECT key, payload FROM event ORDER BY key DESC LIMIT ?"
        for key, payload in self._db.execute(youngest, (CHECKED_EVENTS,)):
            if not is_sealed(payload):
                raise Damaged(f"event {seq_of(key)}: not what was sealed")

    # --- what was there

    def books(self) -> list[Book]:
        """The volumes, oldest first, where they stand."""
        query = "SELECT number, journal, event_acked, reading_acked, event_let_go, reading_let_go, anchor FROM volume"
        rows = self._db.execute(query + " ORDER BY number").fetchall()
        self._books = {row[0]: self._book(*row) for row in rows}
        return list(self._books.values())

    def _book(
        self, number: int, journal: str, event_acked: int, reading_acked: int, event_gone: int, reading_gone: int,
        anchor: str,
    ) -> Book:  # fmt: skip
        book = Book(journal, number)
        event, reading = book.event, book.reading
        event.held, event.seq = self._range("event", number, event_gone)
        reading.held, reading.seq = self._range("reading", number, reading_gone)
        event.offered, reading.offered = event.seq, reading.seq
        event.acked, reading.acked = min(event_acked, event.seq), min(reading_acked, reading.seq)
        book.head = book.offered_head = self._hash(number, event.seq) if event.seq >= event.held else anchor
        return book

    def _range(self, lane: str, number: int, let_go: int) -> tuple[int, int]:
        query = f"SELECT min(key), max(key) FROM {lane} WHERE key BETWEEN ? AND ?"
        low, high = self._db.execute(query, (key_of(number, 0), key_of(number + 1, 0) - 1)).fetchone()
        return (let_go + 1, let_go) if low is None else (seq_of(low), seq_of(high))

    def _hash(self, number: int, seq: int) -> str:
        (payload,) = self._db.execute("SELECT payload FROM event WHERE key = ?", (key_of(number, seq),)).fetchone()
        if not is_sealed(payload):
            raise Damaged(f"event {seq}: not what was sealed")
        return hash_of(payload)

    def raised(self) -> dict[tuple[str, str], tuple[Book, int]]:
        """Which event raised each condition that stands. After `books`."""
        rows = self._db.execute("SELECT condition, subject, number, seq FROM raised")
        return {(row[0], row[1]): (self._books[row[2]], row[3]) for row in rows if row[2] in self._books}

    def snapshot(self) -> Snapshot | None:
        """The panel as it was saved last."""
        query = "SELECT body, boot, mono_ms, wall_ms, clock_ok FROM snapshot"
        row = self._db.execute(query).fetchone()
        return None if row is None else Snapshot(row[0], Stamp(row[1], row[2], row[3], bool(row[4])))

    def attach(self, books: list[Book]) -> bool:
        """Go on with volumes that another connection to this file knew; False where this file does not have them."""
        known = dict(self._db.execute("SELECT number, journal FROM volume").fetchall())
        written = {book.number: book for book in books if book.number is not None}
        self._books = {number: book for number, book in written.items() if known.get(number) == book.journal}
        return len(self._books) == len(written)

    def catch_up(self, copied: Events) -> int:
        """Take in events that the copy has and this file does not: its log has lost its end, as on a card that lied
        about its syncs. How many."""
        count = 0
        for book in self.books():
            rows = run_after(copied.get(book.journal, {}), book.event.seq, book.head)
            if rows and book.number is not None:
                self._insert_events(book.number, rows)
                count += len(rows)
        return count

    def unacked(self, book: Book, known: Mapping[int, bytes]) -> list[Row]:
        """Events that the collector may not have and that are not among those `known`."""
        span = (key_of(book.number or 0, book.event.acked + 1), key_of((book.number or 0) + 1, 0) - 1, CHECKED_EVENTS)
        query = "SELECT key, wall_ms, payload FROM event WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT ?"
        rows = [Row(book, seq_of(key), payload, wall_ms) for key, wall_ms, payload in self._db.execute(query, span)]
        return [row for row in reversed(rows) if row.seq not in known]

    # --- writing

    def _insert_events(self, number: int, rows: Sequence[tuple[int, int, bytes]]) -> None:
        with self._transaction():
            keyed = [(key_of(number, seq), wall_ms, payload) for seq, wall_ms, payload in rows]
            self._db.executemany("INSERT INTO event VALUES (?, ?, ?)", keyed)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def write(self, batch: Batch) -> None:
        """All of `batch`, or nothing. New volumes get their number."""
        numbers: dict[Book, int] = {}
        with self._transaction():
            for book in batch.books:
                numbers[book] = self._add_volume(book)
            self._write_rows(batch, numbers)
            self._write_raised(batch, numbers)
            for book, event, reading in batch.acked:
                number = numbers.get(book, book.number)
                query = "UPDATE volume SET event_acked = ?, reading_acked = ? WHERE number = ?"
                self._db.execute(query, (event, reading, number))
            if batch.snapshot is not None:
                body, saved = batch.snapshot
                self._db.execute("REPLACE INTO snapshot VALUES (1, ?, ?, ?, ?, ?)", (body, *saved))
        for book, number in numbers.items():
            book.number = number
            self._books[number] = book

    def _add_volume(self, book: Book) -> int:
        query = "INSERT INTO volume (journal, anchor) VALUES (?, ?)"
        return int(self._db.execute(query, (book.journal, wire.GENESIS)).lastrowid or 0)

    def _write_rows(self, batch: Batch, numbers: dict[Book, int]) -> None:
        def values(row: Row) -> tuple[int, int, bytes]:
            number = numbers.get(row.book, row.book.number) or 0
            return key_of(number, row.seq), row.wall_ms, row.payload

        gone = [(key_of(row.book.number, row.seq),) for row in batch.superseded if row.book.number is not None]
        # REPLACE, because a commit that failed in its very last step may come back out of the log after a re-open.
        self._db.executemany("DELETE FROM event WHERE key = ?", gone)
        self._db.executemany("REPLACE INTO event VALUES (?, ?, ?)", map(values, batch.events))
        self._db.executemany("REPLACE INTO reading VALUES (?, ?, ?)", map(values, batch.readings))

    def _write_raised(self, batch: Batch, numbers: dict[Book, int]) -> None:
        for (condition, subject), raised in batch.raised.items():
            if raised is None:
                query = "DELETE FROM raised WHERE condition = ? AND subject = ?"
                self._db.execute(query, (condition, subject))
            else:
                number = numbers.get(raised[0], raised[0].number)
                self._db.execute("REPLACE INTO raised VALUES (?, ?, ?, ?)", (condition, subject, number, raised[1]))

    def import_volume(self, saved: Saved) -> None:
        """Take in the events of a volume out of another database."""
        journal, event_acked, reading_acked, anchor, rows = saved
        with self._transaction():
            query = (
                "INSERT INTO volume (journal, event_acked, reading_acked, event_let_go, reading_let_go, anchor)"
                " VALUES (?, ?, ?, ?, ?, ?)"
            )
            values = (journal, event_acked, reading_acked, rows[0][0] - 1, reading_acked, anchor)
            number = self._db.execute(query, values).lastrowid or 0
            keyed = [(key_of(number, seq), wall_ms, payload) for seq, wall_ms, payload in rows]
            self._db.executemany("INSERT INTO event VALUES (?, ?, ?)", keyed)

    def restart_log(self) -> None:
        """Bring all of the log into the database, so that its file, which keeps its size, can be written anew."""
        self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    # --- letting go

    def used_bytes(self) -> int:
        """What the rows take; pages that are free will be filled first."""
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        (size,) = self._db.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)

    def prune_events(self, book: Book, before_wall_ms: int, keep: int) -> int:
        """Let go of events that the collector has, that are older than `before_wall_ms` and not among the last `keep`
        of their volume. How many."""
        last = min(book.event.acked, book.event.seq - keep)
        return self._prune(book, "event", last, before_wall_ms)

    def prune_readings(self, book: Book, before_wall_ms: int) -> int:
        """Let go of readings that the collector has and that are older than `before_wall_ms`. How many batches."""
        return self._prune(book, "reading", book.reading.acked, before_wall_ms)

    def _prune(self, book: Book, lane: str, last: int, before_wall_ms: int) -> int:
        if book.number is None or last < getattr(book, lane).held:
            return 0
        query = f"SELECT key FROM {lane} WHERE key BETWEEN ? AND ? AND wall_ms < ? ORDER BY key LIMIT ?"
        span = (key_of(book.number, 0), key_of(book.number, last), before_wall_ms, _CHUNK)
        keys = [row[0] for row in self._db.execute(query, span)]
        # Only from the front: a row with an older time behind a younger one (the clock was set) waits for that one.
        first = key_of(book.number, getattr(book, lane).held)
        keys = [key for place, key in enumerate(keys) if key == first + place]
        if keys:
            self._let_go(book, lane, seq_of(keys[-1]))
        return len(keys)

    def drop_readings(self, count: int) -> tuple[int, list[LetGo]]:
        """Let go of the `count` oldest batches, whether the collector has them or not: how many went, and which of
        them it had not."""
        keys = [row[0] for row in self._db.execute("SELECT key FROM reading ORDER BY key LIMIT ?", (count,))]
        lost = []
        for number in sorted({key >> KEY_SHIFT for key in keys}):
            book = self._books[number]
            last = max(seq_of(key) for key in keys if key >> KEY_SHIFT == number)
            first = max(book.reading.held, book.reading.acked + 1)
            self._let_go(book, "reading", last)
            if first <= last:
                lost.append(LetGo(book, first, last))
        return len(keys), lost

    def forget_reading(self, book: Book, seq: int) -> bool:
        """Delete one batch that is not what it was. Whether it was there."""
        with self._transaction():
            gone = self._db.execute("DELETE FROM reading WHERE key = ?", (key_of(book.number or 0, seq),))
        return gone.rowcount > 0

    def _let_go(self, book: Book, lane: str, last: int) -> None:
        number = book.number or 0
        with self._transaction():
            if lane == "event":
                anchor = self._hash(number, last)
                self._db.execute("UPDATE volume SET anchor = ? WHERE number = ?", (anchor, number))
            self._db.execute(f"UPDATE volume SET {lane}_let_go = ? WHERE number = ?", (last, number))
            span = (key_of(number, 0), key_of(number, last))
            self._db.execute(f"DELETE FROM {lane} WHERE key BETWEEN ? AND ?", span)
        getattr(book, lane).held = last + 1

    def remove_volume(self, book: Book) -> None:
        """Forget a volume that has no rows left."""
        with self._transaction():
            self._db.execute("DELETE FROM raised WHERE number = ?", (book.number,))
            self._db.execute("DELETE FROM volume WHERE number = ?", (book.number,))
        self._books.pop(book.number or 0, None)

    def give_reserve(self) -> None:
        """Give a full disk the reserve back."""
        with contextlib.suppress(OSError):
            (self.folder / RESERVE).unlink()
