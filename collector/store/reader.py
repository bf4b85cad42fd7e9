"""Questions to the store, each on a read-only connection of the asking thread."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from collector import ownlog
from collector.access import Assignment, Homes, Reach, Right, Role, Standing
from collector.ownlog import ACCOUNT_KINDS, OwnEvent
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
    standing: Standing


class Session(NamedTuple):
    """A session with what its account is now, and the homes that may belong to it."""

    account: str
    csrf: str
    started_ms: int
    used_ms: int
    watched_ms: int
    address: str
    standing: Standing
    in_street: tuple[str, ...] = ()
    given: tuple[Assignment, ...] = ()


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
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        home: str | None = None,
        condition: str | None = None,
        homes: Homes = None,
        with_accounts: bool = True,
    ) -> Page:
        """Rows of both logs, newest first, older than row `before`; of `homes` only, and on request without what the
        own log says of accounts."""
        codes: list[str | None] = [home] if home is not None else [None] if homes is None else [*sorted(homes)]
        if home is not None and homes is not None and home not in homes:
            codes = []
        found: list[int] = []
        for code in codes:  # one by one: the index gives each home's newest without sorting all of its history
            found += self._newest(before, limit + 1, code, condition, with_accounts)
        numbers = sorted(found, reverse=True)[: limit + 1]
        marks = ", ".join("?" * len(numbers[:limit])) or "NULL"
        rows = self._sql.execute(
            f"SELECT id, home, gateway, received_ms, payload FROM event WHERE id IN ({marks}) ORDER BY id DESC",
            numbers[:limit],
        ).fetchall()
        whole = [row for row in map(_event_row, rows) if row is not None]
        return Page(whole, numbers[limit - 1] if len(numbers) > limit else None)

    def _newest(
        self, before: int | None, limit: int, home: str | None, condition: str | None, with_accounts: bool
    ) -> list[int]:
        where, parameters = ["id < ?"], list[str | int]([before if before is not None else wire.MAX_INT])
        for column, value in (("home", home), ("condition", condition)):
            if value is not None:
                where.append(f"{column} = ?")
                parameters.append(value)
        if not with_accounts:
            where.append(f"NOT (gateway = '' AND kind IN ({', '.join('?' * len(ACCOUNT_KINDS))}))")
            parameters += ACCOUNT_KINDS
        rows = self._sql.execute(
            f"SELECT id FROM event WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", (*parameters, limit)
        )
        return [row[0] for row in rows]

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
        """The newest of the collector's own log, oldest first, without what it says of accounts: a crowd at the door
        must not push out of the board what the homes did."""
        rows = self._sql.execute(
            "SELECT payload FROM event WHERE gateway = ''"
            f" AND kind NOT IN ({', '.join('?' * len(ACCOUNT_KINDS))}) ORDER BY id DESC LIMIT ?",
            (*ACCOUNT_KINDS, OWN_EVENTS),
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
        row = self._sql.execute(
            f"SELECT name, password, added_ms, {_STANDING} FROM account AS a WHERE name = ?", (name,)
        ).fetchone()
        return None if row is None else _account(row)

    def accounts(self) -> list[Account]:
        """All accounts by name, without their passwords."""
        rows = self._sql.execute(f"SELECT name, '', added_ms, {_STANDING} FROM account AS a ORDER BY name")
        return [_account(row) for row in rows]

    def assignments(self, name: str) -> tuple[Assignment, ...]:
        """The homes that an account was given."""
        rows = self._sql.execute(
            "SELECT home, first_day, last_day FROM assignment WHERE account = ? ORDER BY home", (name,)
        )
        return tuple(Assignment(*row) for row in rows)

    def session(self, digest: str) -> Session | None:
        """The session whose token has that digest, while its account exists."""
        row = self._sql.execute(f"{_SESSION} WHERE s.digest = ?", (digest,)).fetchone()
        if row is None:
            return None
        session = _session(row)
        street = session.standing.street
        in_street = self._sql.execute("SELECT code FROM home WHERE street = ? AND street <> ''", (street,))
        given = self.assignments(session.account)
        return session._replace(in_street=tuple(code for (code,) in in_street), given=given)

    def sessions(self, name: str) -> list[tuple[str, Session]]:
        """(digest, session) of every session of an account that is kept, newest first."""
        rows = self._sql.execute(f"{_SESSION} WHERE s.account = ? ORDER BY s.started_ms DESC", (name,))
        return [(row[0], _session(row)) for row in rows]

    def failures(self) -> list[tuple[str, int, int]]:
        """(key, count, until in Unix time) of those who failed to log in."""
        return [tuple(row) for row in self._sql.execute("SELECT key, count, until_ms FROM failure ORDER BY until_ms")]

    def homes(self) -> list[tuple[str, str]]:
        """(code, name) of every registered home."""
        return [(row[0], row[1]) for row in self._sql.execute("SELECT code, name FROM home ORDER BY code")]


_STANDING = "a.role, a.reach, a.organisation, a.street, a.rights"
_SESSION = (
    "SELECT s.digest, s.account, s.csrf, s.started_ms, s.used_ms, s.watched_ms, s.address,"
    f" {_STANDING} FROM session AS s JOIN account AS a ON a.name = s.account"
)


def _account(row: tuple[Any, ...]) -> Account:
    name, password, added_ms, *standing = row
    return Account(name, password, added_ms, _standing(standing))


def _session(row: tuple[Any, ...]) -> Session:
    _, account, csrf, started_ms, used_ms, watched_ms, address, *standing = row
    return Session(account, csrf, started_ms, used_ms, watched_ms, address, _standing(standing))


def _standing(row: Sequence[str]) -> Standing:
    role, reach, organisation, street, rights = row
    return Standing(Role(role), Reach(reach), organisation, street, frozenset(map(Right, rights.split())))


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
