"""The hand that moves numbered contacts, and the witness that sees each change's commit in the gateway's journal.

A change counts once its commit is seen there. Until then its contact is held: a person's alarm does not vanish because
the power failed in the middle of it.
"""

import contextlib
import random
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench._torture_home import DEAD_V, METERS, POINTS, POWERED_V, Agent, Building
from device import wire
from edge.journal.layout import key_of
from edge.journal.reading import Reading

Key = tuple[str, int]
"""A journal's id and a number in it."""
STEP_S = 0.04
CHANGE_CHANCE = 0.12
"""Of a contact that is settled, at each step."""
METER_CHANCE = 0.3
FORGOTTEN_AFTER_S = 3.0
_ALL = key_of(1, 0) - 1


class Seen(NamedTuple):
    """What an event tells, whatever number it has: two with the same are the same happening."""

    kind: str
    condition: str
    point: str
    wall_ms: int
    who: str
    why: str


def seen(event: wire.Event) -> Seen:
    """The same, out of a message."""
    return Seen(event.kind, event.condition or "", event.point, event.wall_ms, event.who, event.why)


class Witness:
    """What the gateway's journal has shown so far: events by key with their hash, and the numbers of readings."""

    def __init__(self, folder: Path) -> None:
        self.events: dict[Key, tuple[Seen, str]] = {}
        self.readings: set[Key] = set()
        self._folder = folder
        self._last: dict[tuple[str, str], int] = {}

    def look(self) -> list[tuple[Key, wire.Event]]:
        """What is new since the last look. Raises sqlite3.Error where the journal cannot be read now."""
        found: list[tuple[Key, wire.Event]] = []
        # Opened for each look: one that stayed open would keep SQLite's index of the log alive over a power cut.
        with contextlib.closing(Reading(self._folder)) as db:
            for number, journal, let_go, _ in db.volumes():
                for seq, payload in self._rows(db, "event", number, journal, let_go):
                    event = wire.decode_event(payload)
                    self.events[journal, seq] = seen(event), event.hash
                    self._last[journal, "event"] = seq
                    found.append(((journal, seq), event))
                for seq, _ in self._rows(db, "reading", number, journal, 0):
                    self.readings.add((journal, seq))
                    self._last[journal, "reading"] = seq
        return found

    def _rows(self, db: Reading, lane: str, number: int, journal: str, let_go: int) -> list[tuple[int, bytes]]:
        return db.rows(lane, number, self._last.get((journal, lane), let_go), _ALL, _ALL)


@dataclass(slots=True)
class Change:
    """A numbered change of a contact. `key` is that of the event which recorded it, once that is committed."""

    number: int
    point: str
    closes: bool
    made_s: float
    key: Key | None = None


@dataclass(slots=True)
class Record:
    """What the hand did. `forgotten`: openings of a contact whose alarm the gateway had lost with its disk."""

    changes: list[Change] = field(default_factory=list)
    again: int = 0
    forgotten: int = 0


class Hand(threading.Thread):
    """Moves contacts until `rest`; then only settles what is under way. All its state belongs to its own thread but
    `record`, which may be read when `is_settled`."""

    def __init__(self, building: Building, agent: Agent, witness: Witness, chance: random.Random) -> None:
        super().__init__(name="hand", daemon=True)
        self.record = Record()
        self.problems: list[str] = []
        self._building = building
        self._agent = agent
        self._witness = witness
        self._random = chance
        self._closed = dict.fromkeys(POINTS, False)
        self._pending: dict[str, Change] = {}
        self._amnesia_s = 0.0
        self._number = 0
        self._is_resting = threading.Event()
        self._is_held = threading.Event()
        self._is_over = threading.Event()

    # --- for the main thread

    def rest(self) -> None:
        """Begin nothing new, open what is closed."""
        self._is_resting.set()

    def hold(self) -> None:
        """Begin nothing new until `go_on`."""
        self._is_held.set()

    def go_on(self) -> None:
        """Move again."""
        self._is_held.clear()

    def end(self) -> None:
        """Stop."""
        self._is_over.set()
        self.join(10)

    def note_amnesia(self) -> None:
        """The gateway's disk was damaged or replaced: what stood may be forgotten."""
        self._amnesia_s = time.monotonic()

    @property
    def is_settled(self) -> bool:
        """Whether every change has been committed and every contact is open."""
        return self._is_resting.is_set() and not self._pending and not any(self._closed.values())

    @property
    def pending(self) -> list[Change]:
        """What is not committed yet."""
        return list(self._pending.values())

    # --- the thread

    def run(self) -> None:
        while not self._is_over.wait(STEP_S):
            try:
                self._look()
                self._move()
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")
                return

    def _look(self) -> None:
        status = self._agent.status() if self._agent.process.is_alive else None
        if status is None:
            return
        with contextlib.suppress(sqlite3.Error):
            for key, event in self._witness.look():
                self._heard(key, event)
        standing = {item["point"] for item in status["active"]}
        if status["journal"]["disk"] == "ok":
            self._give_up_forgotten(standing)

    def _heard(self, key: Key, event: wire.Event) -> None:
        if event.point not in self._closed or event.kind not in ("raise", "clear"):
            return
        change = self._pending.get(event.point)
        if change is not None and change.closes == (event.kind == "raise"):
            change.key = key
            del self._pending[event.point]
        else:
            self.record.again += 1

    def _give_up_forgotten(self, standing: set[str]) -> None:
        """An alarm that the gateway lost with its disk will never be cleared."""
        for point, change in list(self._pending.items()):
            waited_s = time.monotonic() - max(change.made_s, self._amnesia_s)
            if not change.closes and self._amnesia_s and point not in standing and waited_s > FORGOTTEN_AFTER_S:
                del self._pending[point]
                self.record.forgotten += 1
                self.record.changes.remove(change)

    def _move(self) -> None:
        values: dict[str, float] = {}
        for point in POINTS:
            if self._wants(point) and point not in self._pending:
                self._closed[point] = not self._closed[point]
                values[f"{point}.mains_v"] = DEAD_V if self._closed[point] else POWERED_V
                self._number += 1
                change = Change(self._number, point, self._closed[point], time.monotonic())
                self.record.changes.append(change)
                self._pending[point] = change
        if self._random.random() < METER_CHANCE and not self._is_held.is_set():
            values[f"{self._random.choice(METERS)}.leakage_ma"] = self._random.randint(20, 120)
        if values:
            self._building.set(values)

    def _wants(self, point: str) -> bool:
        if self._is_resting.is_set():
            return self._closed[point]
        return self._random.random() < CHANGE_CHANCE and not self._is_held.is_set()
