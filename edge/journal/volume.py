"""A volume: events and readings numbered without a gap under one random id, the `journal` of the contract.

A gateway usually has one. Another begins where numbers would otherwise be given twice: when the database was damaged,
or when events had to leave from memory because the disk was dead. A process that ended then would, after a restart,
give the same numbers to other events; under an id of their own the two can never be taken for each other.
"""

import uuid
from dataclasses import dataclass
from typing import NamedTuple

from device import wire
from edge.core.values import Kind, Transition, Unknown

SOUNDING = frozenset({Kind.RAISE, Kind.CONFIRM, Kind.RESOUND})
MAX_TEXT = 400
"""Characters of a text on the wire."""


class Volume(NamedTuple):
    """Where a volume stands. `held` is the lowest number kept, one above the head where nothing is; `acked` the highest
    that the collector has committed together with all before it."""

    journal: str
    event_seq: int
    event_held: int
    event_acked: int
    reading_seq: int
    reading_held: int
    reading_acked: int


class Entry(NamedTuple):
    """A transition on its way into the journal. `recorded_ms` is when the engine handed it over."""

    transition: Transition
    unit: str
    boot: str
    wall_ms: int
    clock_ok: bool
    sounded_ms: int | None
    recorded_ms: int


class Sample(NamedTuple):
    """A reading on its way into the journal, with its time (monotonic)."""

    point: str
    mono_ms: int
    value: int | None
    unknown: str | None


class Stamp(NamedTuple):
    """One moment on all clocks."""

    boot: str
    mono_ms: int
    wall_ms: int
    clock_ok: bool


@dataclass(eq=False, slots=True)
class Lane:
    """The numbers of one lane. `seq` is the last given, `offered` the last that may leave the gateway."""

    seq: int = 0
    offered: int = 0
    held: int = 1
    acked: int = 0


@dataclass(eq=False, slots=True)
class Row:
    """A sealed message; it never changes. `entry` is kept until the row is on disk, for `Ledger.leave_disk`."""

    book: "Book"
    seq: int
    payload: bytes
    wall_ms: int
    hash: str = ""
    entry: Entry | None = None


class Book:
    """The running side of a volume: gives the numbers, seals, keeps count. Not for two threads at once.

    `number` orders the volumes of a database; None until the volume is on disk.
    """

    def __init__(self, journal: str | None = None, number: int | None = None) -> None:
        self.journal = journal or uuid.uuid4().hex
        self.number = number
        self.event = Lane()
        self.reading = Lane()
        self.head = wire.GENESIS
        self.offered_head = wire.GENESIS

    def seal(self, entry: Entry, is_durable: bool) -> Row:
        """The next event, chained to the one before it."""
        lane = self.event
        fields = event_fields(entry, self.journal, lane.seq + 1, is_durable)
        payload, digest = wire.seal_event(fields, self.head)
        lane.seq += 1
        self.head = digest
        return Row(self, lane.seq, payload, entry.wall_ms, digest, entry)

    def seal_readings(self, samples: list[Sample], stamp: Stamp, is_live: bool) -> Row:
        """The next batch; its clock is that of `stamp`, carried back to the first sample."""
        lane = self.reading
        first_ms = samples[0].mono_ms
        wall_ms = max(0, stamp.wall_ms - (stamp.mono_ms - first_ms))
        message = wire.Readings(
            journal=self.journal,
            seq=lane.seq + 1,
            boot=stamp.boot,
            mono_ms=first_ms,
            wall_ms=wall_ms,
            clock_ok=stamp.clock_ok,
            live=is_live,
            readings=[wire.Sample(item.point, item.mono_ms - first_ms, item.value, item.unknown) for item in samples],
        )
        payload = wire.encode(message)
        lane.seq += 1
        return Row(self, lane.seq, payload, wall_ms)

    def offer(self, row: Row) -> None:
        """Let an event, and all before it, leave the gateway."""
        if row.seq > self.event.offered:
            self.event.offered = row.seq
            self.offered_head = row.hash

    def recall(self) -> None:
        """Take back the numbers of all events that were never offered."""
        self.event.seq = self.event.offered
        self.head = self.offered_head

    def is_untouched(self) -> bool:
        """Whether no number of it was ever given."""
        return self.number is None and self.event.seq == 0 and self.reading.seq == 0

    def is_pending(self) -> bool:
        """Whether the collector does not have all of it."""
        return self.event.acked < self.event.offered or self.reading.acked < self.reading.offered

    def is_empty(self) -> bool:
        """Whether nothing of it is left."""
        return self.event.held > self.event.seq and self.reading.held > self.reading.seq

    def view(self) -> Volume:
        event, reading = self.event, self.reading
        return Volume(
            self.journal, event.offered, event.held, event.acked, reading.offered, reading.held, reading.acked
        )


def event_fields(entry: Entry, journal: str, seq: int, is_durable: bool) -> dict[str, object]:
    """The members of an event's message. What the wire would refuse is made to fit: an event is never dropped for its
    wording."""
    transition = entry.transition
    value, unknown = transition.value, transition.unknown
    if value is not None and abs(value) > wire.MAX_INT:
        value, unknown = None, Unknown.OUT_OF_RANGE
    return {
        "journal": journal,
        "seq": seq,
        "boot": entry.boot,
        "mono_ms": max(0, transition.at_ms),
        "wall_ms": max(0, entry.wall_ms),
        "clock_ok": entry.clock_ok,
        "kind": transition.kind.value,
        "condition": None if transition.condition is None else transition.condition.value,
        "zone": fit(transition.zone),
        "point": fit(transition.subject),
        "value": value,
        "unit": fit(entry.unit),
        "unknown": None if unknown is None else unknown.value,
        "order": max(0, transition.order),
        "who": fit(transition.who),
        "why": fit(transition.why),
        "sounded_ms": entry.sounded_ms if transition.kind in SOUNDING else None,
        "durable": is_durable,
    }


def fit(text: str) -> str:
    """`text` as the wire can carry it: whole characters, and not more than it takes."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
