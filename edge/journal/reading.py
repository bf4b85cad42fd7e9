"""The journal as others read it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge.journal.layout import BUSY_MS, FILE, key_of, seq_of

Unreadable = sqlite3.Error
"""The file is not there or not sound."""


class JournalError(Exception):
    """The journal on disk cannot be read by others than the agent; the text says which and why."""


@contextlib.contextmanager
def reading(folder: Path) -> Iterator["Reading"]:
    """The journal in `folder`, for a command beside a running agent. JournalError for all that SQLite says of it."""
    if not (folder / FILE).is_file():
        raise JournalError(f"{folder / FILE}: no journal is there")
    try:
        with contextlib.closing(Reading(folder)) as db:
            yield db
    except sqlite3.Error as error:
        raise JournalError(f"{folder / FILE}: {error}") from None


class Reading:
    """A read-only connection of one thread's own. `Unreadable` where the file is not there or not sound."""

    def __init__(self, folder: Path) -> None:
        uri = (folder / FILE).resolve().as_uri() + "?mode=ro"
        self._db = sqlite3.connect(uri, uri=True, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA cache_size=-256")

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """All that is asked inside is answered as of one moment. The agent goes on writing; only its log grows."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def rows(self, lane: str, number: int, after: int, last: int, limit: int) -> list[tuple[int, bytes]]:
        """The first `limit` rows of a volume's lane with `after < seq <= last`."""
        query = f"SELECT key, payload FROM {lane} WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?"
        found = self._db.execute(query, (key_of(number, after + 1), key_of(number, last), limit)).fetchall()
        return [(seq_of(key), payload) for key, payload in found]

    def first_reading_since(self, number: int, wall_ms: int) -> int:
        """The seq before a volume's first batch that has a reading of `wall_ms` or later.

        A batch bears the time of its first reading, so it is the one before the first that bears a later one. Found by
        halves, because nothing is sorted by time but the keys themselves, as far as the clock went forward.
        """
        low, high = key_of(number, 0), key_of(number + 1, 0)
        query = "SELECT key, wall_ms FROM reading WHERE key > ? AND key < ? ORDER BY key LIMIT 1"
        newest = self._db.execute("SELECT max(key) FROM reading WHERE key < ?", (high,)).fetchone()[0]
        high = low if newest is None else max(low, newest)
        while low < high:
            middle = (low + high) // 2
            found = self._db.execute(query, (middle, high + 1)).fetchone()
            if found is not None and found[1] < wall_ms:
                low = found[0]
            else:
                high = middle
        return max(0, seq_of(low) - 1)

    def volumes(self) -> list[tuple[int, str, int, str]]:
        """Number, journal, last event let go and its hash, of each volume."""
        query = "SELECT number, journal, event_let_go, anchor FROM volume ORDER BY number"
        return self._db.execute(query).fetchall()

    def span(self, lane: str, number: int) -> tuple[int, int]:
        """The first and the last number of a volume's lane; (1, 0) where it holds nothing."""
        query = f"SELECT min(key), max(key) FROM {lane} WHERE key BETWEEN ? AND ?"
        low, high = self._db.execute(query, (key_of(number, 0), key_of(number + 1, 0) - 1)).fetchone()
        return (1, 0) if low is None else (seq_of(low), seq_of(high))

    def pages(self, lane: str, number: int, rows: int = 50) -> Iterator[tuple[int, bytes]]:
        """Every row of a volume's lane in order, some at a time: however long the caller takes, the agent's log does
        not have to wait for it."""
        after, last = self.span(lane, number)
        after -= 1
        while after < last and (found := self.rows(lane, number, after, last, rows)):
            yield from found
            after = found[-1][0]

    def all_events(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Every event of a volume in order."""
        span = (key_of(number, 0), key_of(number + 1, 0) - 1)
        query = "SELECT key, payload FROM event WHERE key BETWEEN ? AND ? ORDER BY key"
        for key, payload in self._db.execute(query, span):
            yield seq_of(key), payload
