"""Questions to the store, each on a read-only connection of the asking thread."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from collector import ownlog
from collector.ownlog import OwnEvent
from collector.records import (
    EventSeen,
    HomeNamed,
    OwnSeen,
    PointsSeen,
    ReadingsSeen,
    Record,
    StateSeen,
)
from collector.store import schema
from device import wire

EVENTS_BEYOND_STATE = 2_000
"""Events after a gateway's last state that are folded at the start; a state comes every 20 s, so there are few."""
OWN_EVENTS = 20_000
READING_BATCHES = 50

log = logging.getLogger(__name__)
T = TypeVar("T")


class EventRow(NamedTuple):
    """One row of either log; exactly one of `event` and `own` is there."""

    id: int
    home: str
    gateway: str
    received_ms: int
    event: wire.Event | None
    own: OwnEvent | None


class Page(NamedTuple):
    """`next` is the `before` of the page after this one, None on the last."""

    rows: list[EventRow]
    next: int | None


class Account(NamedTuple):
    name: str
    password: str
    added_ms: int


class Session(NamedTuple):
    account: str
    csrf: str
    started_ms: int
    used_ms: int


class Reader:
    """Any thread may ask; close() when nobody does any more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
            self._local = threading.local()

    @property
    def _sql(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = schema.open_for_reading(self._folder)
            self._local.connection = connection
            with self._lock:
                self._all.append(connection)
        return connection

    # --- the logs ---

    def events(
        self, *, before: int | None = None, limit: int = 50, home: str | None = None, condition: str | None = None
    ) -> Page:
        """Rows of both logs, newest first, older than row `before`."""
        where, parameters = ["id < ?"], list[str | int]([before if before is not None else wire.MAX_INT])
        for column, value in (("home", home), ("condition", condition)):
            if value is not None:
                where.append(f"{column} = ?")
                parameters.append(value)
        rows = self._sql.execute(
            "SELECT id, home, gateway, received_ms, payload FROM event"
            f" WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",
            (*parameters, limit + 1),
        ).fetchall()
        found = [row for row in map(_event_row, rows[:limit]) if row is not None]
        return Page(found, rows[limit - 1][0] if len(rows) > limit else None)

    def journals(self) -> list[tuple[str, str, str]]:
        """(home, gateway, journal) of every journal, the collector's own with home and gateway ""."""
        rows = self._sql.execute(
            "SELECT home, gateway, journal FROM journal UNION SELECT DISTINCT '', '', journal FROM event"
            " WHERE gateway = '' ORDER BY 1, 2, 3"
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def payloads(self, home: str, gateway: str, journal: str) -> Iterator[tuple[int, bytes]]:
        """(seq, payload) of one journal's events in order; gateway "" gives the collector's own log."""
        yield from self._sql.execute(
            "SELECT seq, CAST(payload AS BLOB) FROM event"
            " WHERE gateway = ? AND journal = ? AND (home = ? OR gateway = '') ORDER BY seq",
            (gateway, journal, home),
        )

    def own_events(self) -> list[OwnEvent]:
        """The newest of the collector's own log, oldest first."""
        rows = self._sql.execute(
            "SELECT payload FROM event WHERE gateway = '' ORDER BY id DESC LIMIT ?", (OWN_EVENTS,)
        ).fetchall()
        return [own for row in reversed(rows) if (own := _whole(ownlog.decode, row[0])) is not None]

    # --- what the board is folded from at the start ---

    def records(self) -> Iterator[Record]:
        """Everything that the board needs of what is stored."""
        for row in self._sql.execute("SELECT code, name FROM home ORDER BY code").fetchall():
            yield HomeNamed(*row)
        for own in self.own_events():
            yield OwnSeen(own)
        current = self._sql.execute(
            "SELECT home, gateway, journal, rank FROM journal AS j WHERE rank ="
            " (SELECT MAX(rank) FROM journal AS k WHERE k.home = j.home AND k.gateway = j.gateway)"
        ).fetchall()
        for home, gateway, journal, rank in current:
            yield from self._gateway_records(home, gateway, journal, rank)

    def _gateway_records(self, home: str, gateway: str, journal: str, rank: int) -> Iterator[Record]:
        latest = self._latest(home, gateway)
        points = self._last(latest, wire.POINTS)
        if isinstance(points, wire.Points):
            yield PointsSeen(home, gateway, 0, points)
        state = self._last(latest, wire.STATE)
        if isinstance(state, wire.State):  # of the journal before, where the current one has not said its own yet
            of_rank = self._rank(home, gateway, state.journal)
            yield StateSeen(home, gateway, of_rank, 0, state, latest[wire.STATE][0], is_live=False)
        current = state if isinstance(state, wire.State) and state.journal == journal else None
        yield from self._event_records(home, gateway, journal, rank, current)
        yield from self._reading_records(home, gateway, journal, rank)

    def _latest(self, home: str, gateway: str) -> dict[str, tuple[int, bytes]]:
        rows = self._sql.execute(
            "SELECT channel, received_ms, payload FROM latest WHERE home = ? AND gateway = ?", (home, gateway)
        )
        return {channel: (received_ms, payload) for channel, received_ms, payload in rows}

    def _rank(self, home: str, gateway: str, journal: str) -> int:
        row = self._sql.execute(
            "SELECT rank FROM journal WHERE home = ? AND gateway = ? AND journal = ?", (home, gateway, journal)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def _last(self, latest: dict[str, tuple[int, bytes]], channel: str) -> object:
        if channel not in latest:
            return None
        return _whole(lambda payload: wire.decode(channel, payload), latest[channel][1])

    def _event_records(
        self, home: str, gateway: str, journal: str, rank: int, state: wire.State | None
    ) -> Iterator[EventSeen]:
        after = state.event_seq if state else 0
        active = [item.seq for item in state.active] if state else []
        rows = self._sql.execute(
            "SELECT received_ms, payload FROM event WHERE home = ? AND gateway = ? AND journal = ?"
            f" AND (seq > ? OR seq IN ({', '.join('?' * len(active)) or 'NULL'})) ORDER BY seq DESC LIMIT ?",
            (home, gateway, journal, after, *active, EVENTS_BEYOND_STATE),
        ).fetchall()
        for received_ms, payload in reversed(rows):
            event = _whole(wire.decode_event, payload)
            if event is not None:
                yield EventSeen(home, gateway, rank, event, received_ms)

    def _reading_records(self, home: str, gateway: str, journal: str, rank: int) -> Iterator[ReadingsSeen]:
        rows = self._sql.execute(
            "SELECT received_ms, payload FROM reading WHERE home = ? AND gateway = ? AND journal = ?"
            " ORDER BY seq DESC LIMIT ?",
            (home, gateway, journal, READING_BATCHES),
        ).fetchall()
        for received_ms, payload in reversed(rows):
            readings = _whole(lambda found: wire.decode(wire.READING, found), payload)
            if isinstance(readings, wire.Readings):
                yield ReadingsSeen(home, gateway, rank, readings, received_ms)

    # --- people ---

    def account(self, name: str) -> Account | None:
        """The account of that name."""
        row = self._sql.execute("SELECT name, password, added_ms FROM account WHERE name = ?", (name,)).fetchone()
        return None if row is None else Account(*row)

    def accounts(self) -> list[str]:
        """The names of all accounts."""
        return [row[0] for row in self._sql.execute("SELECT name FROM account ORDER BY name")]

    def session(self, digest: str) -> Session | None:
        """The session whose token has that digest, while its account exists."""
        row = self._sql.execute(
            "SELECT s.account, s.csrf, s.started_ms, s.used_ms FROM session AS s"
            " JOIN account AS a ON a.name = s.account WHERE s.digest = ?",
            (digest,),
        ).fetchone()
        return None if row is None else Session(*row)

    def homes(self) -> list[tuple[str, str]]:
        """(code, name) of every registered home."""
        return [(row[0], row[1]) for row in self._sql.execute("SELECT code, name FROM home ORDER BY code")]


def _event_row(row: tuple[int, str, str, int, object]) -> EventRow | None:
    number, home, gateway, received_ms, payload = row
    if gateway:
        event = _whole(wire.decode_event, payload)
        return None if event is None else EventRow(number, home, gateway, received_ms, event, None)
    own = _whole(ownlog.decode, payload)
    return None if own is None else EventRow(number, home, own.gateway, received_ms, None, own)


def _whole(decode: Callable[[bytes], T], payload: object) -> T | None:
    """What a row holds, or None where somebody changed it: one bad row must not darken the board. `verify` says it."""
    try:
        return decode(payload if isinstance(payload, bytes) else str(payload).encode())
    except ValueError as error:
        log.error("a row of the store was changed: %s", error)
        return None
