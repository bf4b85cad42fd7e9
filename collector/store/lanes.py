"""How far each lane of each journal has been committed without a hole, and whether its chain holds.

A lane is `event` or `reading`. Its position moves in the transaction that stores the messages, so what is acknowledged
is what is stored. Positions are read once and kept; after a rollback they are forgotten and read again.
"""

import sqlite3
from collections.abc import Mapping

from collector import ownlog
from collector.ownlog import OwnKind
from device import wire

UNKNOWN_HEAD = ""  # after a gap nothing is known of the event before, so its successor's `prev` proves nothing


class Lane:
    """One lane: `contiguous` is the highest number with nothing missing up to it, `top` the highest stored at all."""

    __slots__ = ("contiguous", "head", "top")

    def __init__(self, contiguous: int, top: int, head: str) -> None:
        self.contiguous = contiguous
        self.top = max(top, contiguous)
        self.head = head


class Journal:
    """One journal of one gateway. The one with the highest `rank` is current: the gateway spoke of it last.

    `lost` has, per lane, the ranges (first to last number) that will never come: the own log says so. `is_stated`: the
    gateway has called it the one it writes, in a state that this process heard.
    """

    __slots__ = ("code", "event", "gateway", "home", "is_changed", "is_stated", "lost", "rank", "reading")

    def __init__(self, home: str, gateway: str, code: str, rank: int, event: Lane, reading: Lane) -> None:
        self.home = home
        self.gateway = gateway
        self.code = code
        self.rank = rank
        self.event = event
        self.reading = reading
        self.lost: dict[str, dict[int, int]] = {wire.EVENT: {}, wire.READING: {}}
        self.is_changed = False
        self.is_stated = False

    def lane(self, name: str) -> Lane:
        """The lane of that name."""
        return self.event if name == wire.EVENT else self.reading

    def after_loss(self, name: str) -> int | None:
        """The last number of the lost range that the lane has come to, if it has."""
        expected = self.lane(name).contiguous + 1
        return next((last for first, last in self.lost[name].items() if first <= expected <= last), None)

    @property
    def ack(self) -> wire.Ack:
        """What the gateway may let go."""
        return wire.Ack(self.code, self.event.contiguous, self.reading.contiguous)


class Lanes:
    """All journals met so far. Every method runs inside the writer's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection
        self._journals: dict[tuple[str, str, str], Journal] = {}

    def forget(self) -> None:
        """Drop what is kept in memory: a transaction was rolled back under it."""
        self._journals.clear()

    def find(self, home: str, gateway: str, code: str) -> Journal | None:
        """The journal, if the collector has met it."""
        key = (home, gateway, code)
        if key not in self._journals:
            row = self._sql.execute(
                "SELECT rank, event_contiguous, reading_contiguous, event_head FROM journal"
                " WHERE home = ? AND gateway = ? AND journal = ?",
                key,
            ).fetchone()
            if row is None:
                return None
            event = Lane(row[1], self._top("event", key), row[3])
            self._journals[key] = Journal(*key, row[0], event, Lane(row[2], self._top("reading", key), ""))
            self._read_losses(self._journals[key])
        return self._journals[key]

    def add(self, home: str, gateway: str, code: str, first_ms: int) -> Journal:
        """A journal that the collector meets for the first time."""
        self._sql.execute(
            "INSERT INTO journal"
            " (home, gateway, journal, rank, first_ms, event_contiguous, reading_contiguous, event_head)"
            " VALUES (?, ?, ?, ?, ?, 0, 0, ?)",
            (home, gateway, code, self._next_rank(home, gateway), first_ms, wire.GENESIS),
        )
        journal = self.find(home, gateway, code)
        assert journal is not None
        return journal

    def before(self, journal: Journal) -> list[Journal]:
        """The journals that the gateway spoke of before this one."""
        rows = self._sql.execute(
            "SELECT home, gateway, journal FROM journal WHERE home = ? AND gateway = ? AND rank < ? ORDER BY rank",
            (journal.home, journal.gateway, journal.rank),
        ).fetchall()
        return [other for row in rows if (other := self.find(*row)) is not None]

    def current(self, home: str, gateway: str) -> Journal | None:
        """The journal that a gateway spoke of last."""
        row = self._sql.execute(
            "SELECT journal FROM journal WHERE home = ? AND gateway = ? ORDER BY rank DESC LIMIT 1", (home, gateway)
        ).fetchone()
        return None if row is None else self.find(home, gateway, row[0])

    def make_current(self, journal: Journal) -> None:
        """The gateway speaks of this journal again."""
        journal.rank = self._next_rank(journal.home, journal.gateway)
        self._sql.execute(
            "UPDATE journal SET rank = ? WHERE home = ? AND gateway = ? AND journal = ?",
            (journal.rank, journal.home, journal.gateway, journal.code),
        )

    def _next_rank(self, home: str, gateway: str) -> int:
        row = self._sql.execute(
            "SELECT COALESCE(MAX(rank), 0) + 1 FROM journal WHERE home = ? AND gateway = ?", (home, gateway)
        ).fetchone()
        return int(row[0])

    def all_current(self) -> list[Journal]:
        """The current journal of every gateway."""
        rows = self._sql.execute(
            "SELECT home, gateway, journal FROM journal AS j WHERE rank ="
            " (SELECT MAX(rank) FROM journal AS k WHERE k.home = j.home AND k.gateway = j.gateway)"
        ).fetchall()
        return [journal for row in rows if (journal := self.find(*row)) is not None]

    def advance_reading(self, journal: Journal, seq: int) -> None:
        """Number `seq` has been stored in the reading lane."""
        lane = journal.reading
        in_order = seq == lane.contiguous + 1 and lane.top <= seq and not journal.lost[wire.READING]
        lane.top = max(lane.top, seq)
        if in_order:
            lane.contiguous = seq
        elif seq == lane.contiguous + 1 or journal.lost[wire.READING]:
            self._walk_readings(journal)
        journal.is_changed = True

    def advance_event(self, journal: Journal, seq: int) -> list[int]:
        """Event `seq` has been stored. Gives the numbers of those that do not continue the chain."""
        lane = journal.event
        lane.top = max(lane.top, seq)
        journal.is_changed = True
        is_awaited = seq == lane.contiguous + 1 or journal.lost[wire.EVENT]
        return self._walk_events(journal) if is_awaited else []

    def skip(self, journal: Journal, lane_name: str, held: int) -> tuple[list[tuple[int, int]], list[int]]:
        """The gateway holds nothing below `held` any more: go on from there.

        Gives the ranges that are missing for good, and the breaks of the chain met on the way.
        """
        lane = journal.lane(lane_name)
        if held <= lane.contiguous + 1:
            return [], []
        missing = self._unsaid(journal, lane_name, lane.contiguous + 1, held - 1)
        breaks = self._pass_over(journal, held - 1) if lane_name == wire.EVENT else []
        if lane_name == wire.READING:
            lane.contiguous = held - 1
            self._walk_readings(journal)
        lane.top = max(lane.top, lane.contiguous)
        journal.is_changed = True
        return missing, breaks

    def lose(
        self, journal: Journal, lane_name: str, first: int, last: int | None
    ) -> tuple[list[tuple[int, int]], list[int]]:
        """The gateway has lost numbers `first` to `last` for good (None: whatever is missing): they are not waited for.

        What is missing below `first` is: the gateway may hold it still. Gives what `skip` gives.
        """
        lane = journal.lane(lane_name)
        missing = self._unsaid(journal, lane_name, max(first, lane.contiguous + 1), lane.top if last is None else last)
        journal.lost[lane_name].update(missing)
        breaks = self._walk_events(journal) if lane_name == wire.EVENT else []
        if lane_name == wire.READING:
            self._walk_readings(journal)
        lane.top = max(lane.top, lane.contiguous)
        journal.is_changed = True
        return missing, breaks

    def recount(self, gaps: Mapping[tuple[str, str, str], Mapping[int, int]]) -> int:
        """Count every event lane anew from its first event; gives how many positions were wrong.

        `gaps` has the known gaps of each journal, first to last number. A position that rests on nothing goes back, and
        the gateway sends again what it still holds. Old readings are pruned, so their lanes cannot be counted from 1.
        """
        moved = 0
        for row in self._sql.execute("SELECT home, gateway, journal FROM journal").fetchall():
            journal = self.find(*row)
            assert journal is not None
            before, lane = journal.event.contiguous, journal.event
            lane.contiguous, lane.head = 0, wire.GENESIS
            self._walk_events(journal)
            while (last := gaps.get(row, {}).get(lane.contiguous + 1)) is not None:
                lane.contiguous, lane.head = last, UNKNOWN_HEAD
                self._walk_events(journal)
            moved += lane.contiguous != before
            journal.is_changed = True
        return moved

    def save(self) -> None:
        """Write the positions that moved."""
        for journal in self._journals.values():
            if journal.is_changed:
                self._sql.execute(
                    "UPDATE journal SET event_contiguous = ?, reading_contiguous = ?, event_head = ?"
                    " WHERE home = ? AND gateway = ? AND journal = ?",
                    (journal.event.contiguous, journal.reading.contiguous, journal.event.head,
                     journal.home, journal.gateway, journal.code),
                )  # fmt: skip
                journal.is_changed = False

    def _top(self, table: str, key: tuple[str, str, str]) -> int:
        row = self._sql.execute(
            f"SELECT COALESCE(MAX(seq), 0) FROM {table} WHERE home = ? AND gateway = ? AND journal = ?", key
        ).fetchone()
        return int(row[0])

    def _walk_events(self, journal: Journal) -> list[int]:
        breaks = self._walk_stored_events(journal)
        while (last := journal.after_loss(wire.EVENT)) is not None:
            journal.event.contiguous, journal.event.head = last, UNKNOWN_HEAD
            breaks += self._walk_stored_events(journal)
        return breaks

    def _walk_stored_events(self, journal: Journal) -> list[int]:
        lane, breaks = journal.event, []
        rows = self._sql.execute(
            "SELECT seq, hash, prev FROM event WHERE home = ? AND gateway = ? AND journal = ? AND seq > ? ORDER BY seq",
            (journal.home, journal.gateway, journal.code, lane.contiguous),
        )
        for seq, digest, prev in rows:
            if seq != lane.contiguous + 1:
                break
            if lane.head not in (UNKNOWN_HEAD, prev):
                breaks.append(seq)
            lane.contiguous, lane.head = seq, digest
        return breaks

    def _pass_over(self, journal: Journal, last: int) -> list[int]:
        """Go to `last` over whatever is missing before it, and on through what is stored after it."""
        lane, breaks = journal.event, []
        while lane.contiguous < last:
            lane.contiguous, lane.head = self._before_next(journal, last), UNKNOWN_HEAD
            breaks += self._walk_events(journal)
        return breaks

    def _before_next(self, journal: Journal, last: int) -> int:
        row = self._sql.execute(
            "SELECT MIN(seq) FROM event WHERE home = ? AND gateway = ? AND journal = ? AND seq > ? AND seq <= ?",
            (journal.home, journal.gateway, journal.code, journal.event.contiguous, last),
        ).fetchone()
        return last if row[0] is None else int(row[0]) - 1

    def _walk_readings(self, journal: Journal) -> None:
        self._walk_stored_readings(journal)
        while (last := journal.after_loss(wire.READING)) is not None:
            journal.reading.contiguous = last
            self._walk_stored_readings(journal)

    def _walk_stored_readings(self, journal: Journal) -> None:
        rows = self._sql.execute(
            "SELECT seq FROM reading WHERE home = ? AND gateway = ? AND journal = ? AND seq > ? ORDER BY seq",
            (journal.home, journal.gateway, journal.code, journal.reading.contiguous),
        )
        for (seq,) in rows:
            if seq != journal.reading.contiguous + 1:
                break
            journal.reading.contiguous = seq

    def _read_losses(self, journal: Journal) -> None:
        """What the own log says of a journal."""
        rows = self._sql.execute(
            "SELECT payload FROM event WHERE home = ? AND gateway = '' AND kind = ?", (journal.home, OwnKind.GAP)
        )
        for own in (ownlog.decode(row[0]) for row in rows):
            if (own.gateway, own.detail["journal"]) == (journal.gateway, journal.code):
                journal.lost[str(own.detail["lane"])][int(own.detail["first"])] = int(own.detail["last"])

    def _unsaid(self, journal: Journal, lane_name: str, first: int, last: int) -> list[tuple[int, int]]:
        """What is missing between `first` and `last` and is not in the own log yet."""
        missing = self._missing(journal, lane_name, first, last)
        return [(low, high) for low, high in missing if journal.lost[lane_name].get(low) != high]

    def _missing(self, journal: Journal, table: str, first: int, last: int) -> list[tuple[int, int]]:
        """The ranges between `first` and `last` of which nothing is stored."""
        rows = self._sql.execute(
            f"SELECT seq FROM {table}"
            " WHERE home = ? AND gateway = ? AND journal = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (journal.home, journal.gateway, journal.code, first, last),
        )
        ranges, expected = [], first
        for (seq,) in rows:
            if seq > expected:
                ranges.append((expected, seq - 1))
            expected = seq + 1
        return [*ranges, (expected, last)] if expected <= last else ranges
