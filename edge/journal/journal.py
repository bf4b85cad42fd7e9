"""The journal: what the home remembers, and the queue of what the collector has not yet heard."""

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge.clock import Clock
from edge.core.values import Class, Reading, Transition
from edge.journal.config import STALLED_MS, JournalConfig
from edge.journal.database import Snapshot, is_damage
from edge.journal.filter import CONTACT_APART_MS, ReadingFilter
from edge.journal.intake import Intake
from edge.journal.reading import Reading as DiskReading
from edge.journal.volume import Volume
from edge.journal.writer import OPEN_WITHIN_MS, Writer

log = logging.getLogger(__name__)

Message = tuple[int, bytes]
"""A number and the bytes that are stored and sent."""


class Journal:
    """One per home. `record`, `save_state` and `observe` are for the engine's loop and never wait; the rest is for
    other threads.

    An event is on disk before it may leave (`Outbox`). When the disk does not take it within two seconds it leaves
    from memory, marked `durable=false`, in a new volume; `is_disk_faulty` says so until the disk is back.
    """

    def __init__(self, folder: Path, clock: Clock, config: JournalConfig | None = None,
                 deadbands: Mapping[str, int] | None = None) -> None:  # fmt: skip
        config = config or JournalConfig()
        self.folder = folder
        self.clock = clock
        self._subscribers: list[Callable[[], None]] = []
        self._picker = picker = ReadingFilter(deadbands or {}, config.heartbeat, CONTACT_APART_MS)
        self._intake = Intake(clock, config, picker, self._wake)
        self._writer = Writer(folder, self._intake, config, self._notify)

    # --- life

    def start(self) -> None:
        """Open what is in the folder, waiting a few seconds at most. Never fails: without a disk, memory serves."""
        self._writer.thread.start()
        self._writer.opened.wait(OPEN_WITHIN_MS / 1000 + 1)

    def close(self, within_ms: int = 5_000) -> None:
        """Write what there is, if the disk lets it."""
        self._writer.close(within_ms)

    @property
    def snapshot(self) -> Snapshot | None:
        """The panel as the last agent saved it; None where there is none or the disk could not be read."""
        return self._writer.snapshot

    @property
    def recovered_from(self) -> Path | None:
        """Where a damaged database was moved to, if one was found since the start."""
        return self._writer.recovered_from

    @property
    def is_disk_faulty(self) -> bool:
        """Whether the disk has refused or not answered for two seconds."""
        return self._intake.ledger.is_memory or self._writer.is_dead(self.clock.mono_ms())

    @property
    def disk(self) -> str:
        """The disk in one word, for the `state` message: ok, stalled (no answer) or failed (it refused)."""
        if not self.is_disk_faulty:
            return "ok"
        return "failed" if self._writer.reason else "stalled"

    @property
    def disk_reason(self) -> str:
        """What the disk said when it refused, for the log and the installer."""
        return self._writer.reason

    def subscribe(self, told: Callable[[], None]) -> None:
        """Have `told` called, on any thread, when there is something new to send or the disk's health has changed. It
        must not wait."""
        self._subscribers.append(told)

    # --- on the engine's loop

    def record(self, transitions: Sequence[Transition], sounded_ms: int | None = None,
               unit_of: Callable[[str], str] | None = None, snapshot: bytes | None = None) -> None:  # fmt: skip
        """Keep transitions, and the panel as it is after them, in one commit.

        `sounded_ms` is when (monotonic) the sounders were driven, before this call; `unit_of` gives the unit of a
        subject's value.
        """
        units = ["" if unit_of is None else unit_of(item.subject) for item in transitions]
        self._intake.put(transitions, units, sounded_ms, snapshot)
        self._notify()

    def save_state(self, snapshot: bytes) -> None:
        """Keep the panel as it is."""
        self._intake.put((), (), None, snapshot)

    def set_deadbands(self, deadbands: Mapping[str, int]) -> None:
        """What is worth keeping of each point's readings from now on; for the engine's loop."""
        self._picker.set_deadbands(deadbands)

    def observe(self, readings: Sequence[Reading], mono_ms: int) -> None:
        """Keep those of the readings that tell something new."""
        self._intake.observe(readings, mono_ms)

    # --- for the uplink and the state message

    def set_live(self, is_live: bool) -> None:
        """Say whether the collector listens: batches sealed meanwhile are marked as live."""
        self._intake.is_live = is_live

    def pull(self) -> int | None:
        """Let events leave from memory if the disk is dead. When to look again (monotonic), if something waits."""
        intake, now_ms = self._intake, self.clock.mono_ms()
        with intake.lock:
            self._writer.leave_disk_if_dead(now_ms)
            if intake.ledger.is_memory:
                intake.seal(with_readings=False)
                return None
            oldest_ms = intake.oldest_event_ms()
        return None if oldest_ms is None else max(now_ms + 100, oldest_ms + STALLED_MS)

    def waiting_since_ms(self) -> int | None:
        """Since when (monotonic) the oldest event waits that is neither on disk nor marked as not; None: none does."""
        self.pull()
        with self._intake.lock:
            return self._intake.oldest_event_ms()

    def volume(self) -> Volume:
        """Where the volume stands that is being written. For any thread, the engine's too: takes no lock."""
        return self._intake.ledger.current.view()

    def volumes(self) -> list[Volume]:
        """All volumes held, oldest first; the last one is being written."""
        with self._intake.lock:
            return [book.view() for book in self._intake.ledger.books]

    def pending(self) -> list[Volume]:
        """Those of which the collector does not have all, and always the last."""
        with self._intake.lock:
            ledger = self._intake.ledger
            return [book.view() for book in ledger.books if book is ledger.current or book.is_pending()]

    def find(self, journal: str) -> Volume | None:
        """Where that volume stands; None where it is not one of ours."""
        with self._intake.lock:
            book = self._intake.ledger.find(journal)
            return None if book is None else book.view()

    def acknowledge(self, journal: str, event: int, reading: int) -> None:
        """Note what the collector has of a volume; it may be less than it had."""
        with self._intake.lock:
            book = self._intake.ledger.find(journal)
            if book is None or (book.event.acked, book.reading.acked) == (event, reading):
                return
            self._intake.ledger.acknowledge(book, event, reading)
        self._wake()

    def raised_seq(self, condition: Class, subject: str) -> int:
        """The number, in the current volume, of the event that raised a condition that stands; else 0."""
        return self._intake.ledger.raised_seq(condition, subject)

    def outbox(self) -> "Outbox":
        """A view for one thread."""
        return Outbox(self)

    def _wake(self) -> None:
        self._writer.wake()

    def _notify(self) -> None:
        for told in self._subscribers:
            told()


class Outbox:
    """What may leave, for the one thread that sends it: out of memory where it is there, else off the disk.

    While the disk is faulty it is not touched: a read would hang as a write does.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._disk: DiskReading | None = None
        self._epoch = 0

    def close(self) -> None:
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def events(self, journal: str, after: int, limit: int) -> list[Message]:
        """Up to `limit` events of a volume that follow number `after`, without a gap."""
        return self._messages("event", journal, after, limit)

    def readings(self, journal: str, after: int, limit: int) -> list[Message]:
        """Up to `limit` batches of readings of a volume that follow number `after`."""
        return self._messages("reading", journal, after, limit)

    def _messages(self, lane: str, journal: str, after: int, limit: int) -> list[Message]:
        intake = self._journal._intake
        with intake.lock:
            found = intake.ledger.in_memory(lane == "reading", journal, after, limit)
            book = intake.ledger.find(journal)
        if found or book is None or book.number is None or self._journal.is_disk_faulty:
            return found
        last = (book.reading if lane == "reading" else book.event).offered
        try:
            found = self._open().rows(lane, book.number, after, last, limit) if after < last else []
        except sqlite3.Error as error:
            self.close()
            if is_damage(error):
                self._journal._writer.report_damage(str(error))
            return []
        return self._sound_readings(journal, found) if lane == "reading" else found

    def _sound_readings(self, journal: str, found: list[Message]) -> list[Message]:
        """Those before the first that is not what it was; it is given up, else the collector would wait for it for
        ever. Events are checked when the database is opened."""
        for place, (seq, payload) in enumerate(found):
            try:
                json.loads(payload)
            except ValueError:
                self._journal._writer.give_up_reading(journal, seq)
                return found[:place]
        return found

    def _open(self) -> DiskReading:
        epoch = self._journal._writer.epoch
        if self._disk is None or epoch != self._epoch:
            self.close()
            self._disk, self._epoch = DiskReading(self._journal.folder), epoch
        return self._disk
