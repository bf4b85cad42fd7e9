"""The journal's memory: what is sealed, what is on disk, what may leave, and what the collector has.

No thread, no clock, no disk: `Journal` calls this under its lock. Events are sealed as durable and offered once they
are on disk. While the disk is dead (`is_memory`) they are sealed as not durable, in a volume of their own, and offered
at once; they go to disk when it comes back, byte for byte as they were sent.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from device import wire
from edge.core.values import Class, Kind, Transition
from edge.journal.volume import Book, Entry, Row, Sample, Stamp

MAX_EVENTS = 10_000
"""Events kept in memory while the disk is dead."""
MAX_READINGS = 200
"""Batches kept in memory while the disk is dead; each is up to 500 readings."""
RECENT_EVENTS = 256
RECENT_READINGS = 32
"""What is on disk and kept in memory all the same, so that what is live leaves without reading the disk."""


@dataclass(slots=True)
class Batch:
    """What one commit writes."""

    events: list[Row] = field(default_factory=list)
    readings: list[Row] = field(default_factory=list)
    superseded: list[Row] = field(default_factory=list)
    raised: dict[tuple[str, str], tuple[Book, int] | None] = field(default_factory=dict)
    books: list[Book] = field(default_factory=list)
    acked: list[tuple[Book, int, int]] = field(default_factory=list)
    snapshot: tuple[bytes, Stamp] | None = None


class Ledger:
    """`books` are the volumes of the journal, oldest first; the last one is written."""

    def __init__(self) -> None:
        self.books: list[Book] = [Book()]
        self.is_memory = False
        self.snapshot: tuple[bytes, Stamp] | None = None
        self.lost_events = 0
        self._events: deque[Row] = deque()
        self._readings: deque[Row] = deque()
        self._superseded: list[Row] = []
        self._raised: dict[tuple[str, str], tuple[Book, int]] = {}
        self._raised_since: dict[tuple[str, str], tuple[Book, int] | None] = {}
        self._acked: set[Book] = set()
        self._lost: dict[Book, tuple[int, int]] = {}
        self._recent: tuple[OrderedDict[tuple[str, int], bytes], OrderedDict[tuple[str, int], bytes]]
        self._recent = (OrderedDict(), OrderedDict())

    # --- volumes

    @property
    def current(self) -> Book:
        return self.books[-1]

    def adopt(self, books: list[Book], raised: dict[tuple[str, str], tuple[Book, int]]) -> None:
        """Take over what a database holds. Nothing sealed so far: go on with its last volume."""
        is_idle = not self.is_memory and self.current.is_untouched()
        self.books = books if books and is_idle else books + self.books
        self._raised = raised | self._raised

    def find(self, journal: str) -> Book | None:
        return next((book for book in self.books if book.journal == journal), None)

    def forget(self, book: Book) -> None:
        """Let go of a volume that has nothing left."""
        if book is not self.current:
            self.books.remove(book)

    def start_over(self, salvaged: list[Book]) -> list[tuple[str, int]]:
        """The database was damaged and has been replaced by one that holds what could be salvaged; go on in a volume of
        its own. Returns which events, sent but not yet on disk, have found no place in it."""
        if not self.is_memory:
            self.leave_disk()
        saved = {book.journal: book for book in salvaged}
        waiting, self._events = self._events, deque()
        lost = [(row.book.journal, row.seq) for row in waiting if not self._rehome(row, saved)]
        self.books = salvaged + [book for book in self.books if book.number is None]
        if self.current.number is not None:
            self.books.append(Book())
        self._readings = deque(row for row in self._readings if row.book in self.books)
        self._superseded.clear()
        self._acked.intersection_update(self.books)
        for key, (book, seq) in self._raised.items():
            self._raised_since[key] = (self.find(book.journal) or book, seq)
        return lost

    def _rehome(self, row: Row, saved: dict[str, Book]) -> bool:
        """Keep a row that is not on disk, if it follows what has been saved of its volume."""
        if row.book.number is not None:
            book = saved.get(row.book.journal)
            if book is None or row.seq != book.event.seq + 1:
                return False
            row.book, book.event.seq, book.head = book, row.seq, row.hash
            book.offer(row)
        self._events.append(row)
        return True

    def leave_disk(self) -> None:
        """The disk is dead: number what was not offered anew, in a new volume, and offer it from here on.

        What a commit under way may yet bring to disk is superseded by that, and taken out when the disk is back.
        """
        waiting = [row for row in self._events if row.seq > row.book.event.offered]
        self._events = deque(row for row in self._events if row.seq <= row.book.event.offered)
        self._superseded += waiting
        self.is_memory = True
        if not self.current.is_untouched():
            self.current.recall()
            self.books.append(Book())
        for row in waiting:
            if row.entry is not None:
                self.seal(row.entry)

    def return_to_disk(self) -> None:
        """The disk works again; say what was lost meanwhile."""
        self.is_memory = False

    # --- sealing

    def room(self) -> int:
        """How many events can be sealed now."""
        return MAX_EVENTS - len(self._events)

    def seal(self, entry: Entry) -> None:
        """Number and chain an event."""
        book = self.current
        row = book.seal(entry, is_durable=not self.is_memory)
        self._events.append(row)
        self._note_raise(entry.transition, book, row.seq)
        if self.is_memory:
            book.offer(row)
            self._recent[0][book.journal, row.seq] = row.payload

    def seal_readings(self, samples: list[Sample], stamp: Stamp, is_live: bool) -> None:
        """Number a batch of readings."""
        book = self.current
        try:
            row = book.seal_readings(samples, stamp, is_live)
        except wire.WireError:  # one point with a name the wire refuses must not take the others with it
            samples = [item for item in samples if _encodes(item)]
            if not samples:
                return
            row = book.seal_readings(samples, stamp, is_live)
        self._readings.append(row)
        if self.is_memory:
            book.reading.offered = row.seq
            self._recent[1][book.journal, row.seq] = row.payload
        if len(self._readings) > MAX_READINGS:
            self._drop_reading(self._readings.popleft())

    def gap(self, why: str, stamp: Stamp) -> None:
        """Write a loss down."""
        transition = Transition(Kind.GAP, stamp.mono_ms, why=why)
        self.seal(Entry(transition, "", stamp.boot, stamp.wall_ms, stamp.clock_ok, None, stamp.mono_ms))

    def say_losses(self, stamp: Stamp) -> None:
        """Write down all that memory could not hold."""
        if self.lost_events:
            self.gap(f"lane=event count={self.lost_events} cause=memory", stamp)
            self.lost_events = 0
        for book, (first, last) in self._lost.items():
            self.gap(f"lane=reading journal={book.journal} from={first} to={last} cause=memory", stamp)
        self._lost.clear()

    def _drop_reading(self, row: Row) -> None:
        lane = row.book.reading
        lane.held = max(lane.held, row.seq + 1)
        self._recent[1].pop((row.book.journal, row.seq), None)
        if row.seq > lane.acked:
            first, _ = self._lost.get(row.book, (row.seq, row.seq))
            self._lost[row.book] = (first, row.seq)

    def _note_raise(self, transition: Transition, book: Book, seq: int) -> None:
        if transition.condition is None or transition.kind not in (Kind.RAISE, Kind.CLEAR):
            return
        key = (transition.condition.value, transition.subject)
        if transition.kind is Kind.RAISE:
            self._raised[key] = (book, seq)
        else:
            self._raised.pop(key, None)
        self._raised_since[key] = self._raised.get(key)

    # --- to disk and back

    def batch(self) -> Batch:
        """All that is not on disk."""
        return Batch(
            events=list(self._events),
            readings=list(self._readings),
            superseded=list(self._superseded),
            raised=dict(self._raised_since),
            books=[book for book in self.books if book.number is None],
            acked=[(book, book.event.acked, book.reading.acked) for book in self._acked],
            snapshot=self.snapshot,
        )

    def committed(self, batch: Batch) -> list[Row]:
        """`batch` is on disk. Which of its events may leave: all but those that were numbered anew meanwhile."""
        superseded = set(self._superseded)
        offered = [row for row in batch.events if row not in superseded]
        for row in offered:
            row.book.offer(row)
            row.entry = None
            self._recent[0][row.book.journal, row.seq] = row.payload
        for row in batch.readings:
            row.book.reading.offered = max(row.book.reading.offered, row.seq)
            self._recent[1][row.book.journal, row.seq] = row.payload
        self._take_off(batch)
        self._trim()
        return offered

    def _take_off(self, batch: Batch) -> None:
        events, readings, gone = set(batch.events), set(batch.readings), set(batch.superseded)
        self._events = deque(row for row in self._events if row not in events)
        self._readings = deque(row for row in self._readings if row not in readings)
        self._superseded = [row for row in self._superseded if row not in gone]
        for key, raised in batch.raised.items():
            if self._raised_since.get(key) == raised:
                self._raised_since.pop(key, None)
        for book, event, reading in batch.acked:
            if (book.event.acked, book.reading.acked) == (event, reading):
                self._acked.discard(book)
        if self.snapshot is batch.snapshot:
            self.snapshot = None

    def _trim(self) -> None:
        """Keep only the youngest of what the disk has as well."""
        kept = {(row.book.journal, row.seq) for row in self._events}
        while len(self._recent[0]) > RECENT_EVENTS + len(kept):
            self._recent[0].popitem(last=False)
        while len(self._recent[1]) > RECENT_READINGS + len(self._readings):
            self._recent[1].popitem(last=False)

    # --- to the collector and back

    def has_unwritten(self) -> bool:
        return bool(self._events or self._superseded or self.snapshot)

    def has_unwritten_readings(self) -> bool:
        return bool(self._readings)

    def has_unwritten_acks(self) -> bool:
        return bool(self._acked)

    def oldest_unoffered_ms(self) -> int | None:
        """Since when the oldest event has been waiting to leave."""
        for row in self._events:
            if row.seq > row.book.event.offered and row.entry is not None:
                return row.entry.recorded_ms
        return None

    def acknowledge(self, book: Book, event: int, reading: int) -> None:
        """Note what the collector has. It may be less than before: that of a collector restored from a backup."""
        book.event.acked, book.reading.acked = event, reading
        self._acked.add(book)

    def in_memory(self, is_reading: bool, journal: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """What follows number `after` without a gap and is in memory."""
        recent = self._recent[is_reading]
        book = self.find(journal)
        last = 0 if book is None else (book.reading if is_reading else book.event).offered
        out = []
        for seq in range(after + 1, min(last, after + limit) + 1):
            payload = recent.get((journal, seq))
            if payload is None:
                break
            out.append((seq, payload))
        return out

    def raised_seq(self, condition: Class, subject: str) -> int:
        """The number of the event that raised a condition that stands; 0 where the current volume does not hold it."""
        book, seq = self._raised.get((condition.value, subject), (None, 0))
        return seq if book is self.current else 0


def _encodes(sample: Sample) -> bool:
    try:
        Book().seal_readings([sample], Stamp("00000000", sample.mono_ms, 0, False), False)
    except wire.WireError:
        return False
    return True
