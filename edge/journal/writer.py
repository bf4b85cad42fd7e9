"""The thread that writes: group commit, retries, and the care of the file."""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event, Thread

from edge.core.values import Kind, Transition
from edge.journal.config import RECOVERED_MS, STALLED_MS, JournalConfig
from edge.journal.copy import EventCopy, Events
from edge.journal.database import Damaged, Database, Snapshot, is_damage, is_full
from edge.journal.intake import Intake
from edge.journal.layout import move_aside
from edge.journal.salvage import Saved, out_of_copy, salvage
from edge.journal.volume import Entry, Row

log = logging.getLogger(__name__)

ACKS_EVERY_MS = 60_000
"""Acknowledgements ride along with other commits; alone they may wait, for the collector repeats them."""
CARE_EVERY_MS = 600_000
CARE_FIRST_MS = 60_000
RETRY_MIN_MS = 250
RETRY_MAX_MS = 10_000
SLOW_PROBE_MS = 5_000
OPEN_WITHIN_MS = 4_000
"""How long a start waits for the disk; after that the home is watched without what was remembered."""
DROP_BATCHES = 64
_IDLE_MS = 600_000


class Writer:
    """Owns the database. `notify` is called, on this thread, when events may leave or the disk's health changed."""

    def __init__(self, folder: Path, intake: Intake, config: JournalConfig, notify: Callable[[], None]) -> None:
        self.folder = folder
        self.intake = intake
        self.snapshot: Snapshot | None = None
        self.recovered_from: Path | None = None
        self.reason = ""
        self.opened = Event()
        self.epoch = 0
        self._config = config
        self._notify = notify
        self._db: Database | None = None
        self._copy = EventCopy(folder)
        self._wake = Event()
        self._close_by_ms: int | None = None
        self._busy_since_ms: int | None = None
        self._failing_since_ms: int | None = None
        self._failures = 0
        self._retry_ms = 0
        self._acks_ms = 0
        self._care_ms = 0
        self._is_first_open = True
        self._reported = ""
        self._given_up: deque[tuple[str, int]] = deque()
        self.thread = Thread(target=self._run, name="journal", daemon=True)

    # --- for other threads

    def wake(self) -> None:
        self._wake.set()

    def close(self, within_ms: int) -> None:
        """Write what there is and end, if the disk lets it within that time."""
        self._close_by_ms = self.intake.clock.mono_ms() + within_ms
        self.wake()
        if self.thread.is_alive():
            self.thread.join(within_ms / 1000)

    def report_damage(self, what: str) -> None:
        """A reader has found the database damaged."""
        self._reported = what
        self.wake()

    def give_up_reading(self, journal: str, seq: int) -> None:
        """A batch of readings is not what it was: it goes, and the loss is written down."""
        self._given_up.append((journal, seq))
        self.wake()

    def is_dead(self, now_ms: int) -> bool:
        """Whether the disk has refused or not answered for two seconds."""
        since_ms = [item for item in (self._busy_since_ms, self._failing_since_ms) if item is not None]
        return bool(since_ms) and now_ms - min(since_ms) >= STALLED_MS

    # --- the thread

    def _run(self) -> None:
        now_ms = self.intake.clock.mono_ms
        give_up_ms = now_ms() + OPEN_WITHIN_MS
        while not self._attempt(self._open) and self._db is None and now_ms() < give_up_ms:
            self._wake.wait(max(0, self._retry_ms - now_ms()) / 1000)
        self.opened.set()
        self._care_ms = now_ms() + CARE_FIRST_MS
        while not self._is_done(now_ms()):
            self._wake.wait(self._sleep_ms(now_ms()) / 1000)
            self._wake.clear()
            try:
                self._turn(now_ms())
            except Exception:
                # A mistake of ours must not end the only thread that remembers; what it left undone is tried again.
                log.exception("journal: unexpected")
                time.sleep(RETRY_MIN_MS / 1000)
        self._copy_events(())
        self._close_database()

    def _is_done(self, now_ms: int) -> bool:
        if self._close_by_ms is None:
            return False
        with self.intake.lock:
            ledger = self.intake.ledger
            waiting = self.intake.has_calls() or ledger.has_unwritten() or ledger.has_unwritten_readings()
            waiting = waiting or ledger.has_unwritten_acks() or self.intake.readings_due_ms() is not None
        return not waiting or now_ms >= self._close_by_ms

    def _sleep_ms(self, now_ms: int) -> int:
        with self.intake.lock:
            due_ms = min(self._due_ms(now_ms), self._care_ms)
        if self._close_by_ms is not None:
            due_ms = min(due_ms, max(now_ms, self._retry_ms), self._close_by_ms)
        return max(0, min(due_ms - now_ms, _IDLE_MS))

    def _due_ms(self, now_ms: int) -> int:
        """When the next commit is due."""
        intake, ledger = self.intake, self.intake.ledger
        due = [now_ms + _IDLE_MS]
        if intake.has_calls() or ledger.has_unwritten() or ledger.has_unwritten_readings() or ledger.is_memory:
            due.append(now_ms)
        readings_ms = intake.readings_due_ms()
        if readings_ms is not None:
            due.append(readings_ms)
        if ledger.has_unwritten_acks():
            due.append(self._acks_ms)
        return max(min(due), self._retry_ms)

    def _turn(self, now_ms: int) -> None:
        intake = self.intake
        with intake.lock:
            is_closing = self._close_by_ms is not None
            is_due = is_closing or self._due_ms(now_ms) <= now_ms
            if self._failing_since_ms is not None and self.is_dead(now_ms):
                self._leave_disk()
            # Readings ride along with events, which are committed at once.
            intake.seal(with_readings=is_closing or intake.has_calls())
        # Opened first: what a database holds, or has lost, changes what is to be written.
        if is_due and (self._db is not None or self._attempt(self._open)):
            self._commit(now_ms)
        if self._copy.is_behind:
            self._copy_events(())
        self._attend()
        if self._db is not None and now_ms >= self._care_ms and not is_closing:
            self._care_ms = now_ms + CARE_EVERY_MS
            self._attempt(self._care)

    def _attend(self) -> None:
        """What readers of the database have found."""
        if self._db is not None and self._reported:
            what, self._reported = self._reported, ""
            self._failed(Damaged(what))
        while self._db is not None and self._given_up:
            journal, seq = self._given_up.popleft()
            if not self._attempt(partial(self._forget_reading, self._db, journal, seq)):
                break

    def _forget_reading(self, db: Database, journal: str, seq: int) -> None:
        with self.intake.lock:
            book = self.intake.ledger.find(journal)
        if book is not None and db.forget_reading(book, seq):
            with self.intake.lock:
                self._gap(f"lane=reading journal={journal} from={seq} to={seq} cause=damage")

    def leave_disk_if_dead(self, now_ms: int) -> None:
        """Let events leave from memory if the disk is dead and one has waited too long. Holding the intake's lock."""
        oldest_ms = self.intake.oldest_event_ms()
        if oldest_ms is not None and now_ms - oldest_ms >= STALLED_MS and self.is_dead(now_ms):
            self._leave_disk()

    def _leave_disk(self) -> None:
        if not self.intake.ledger.is_memory:
            log.error("journal: the disk does not take events; they leave from memory (%s)", self.reason or "stalled")
            self.intake.ledger.leave_disk()

    # --- commits

    def _commit(self, began_ms: int) -> None:
        with self.intake.lock:
            ledger = self.intake.ledger
            batch = ledger.batch()
            if ledger.is_memory and not batch.acked:  # something to write, so that the disk can show that it works
                batch.acked.append((ledger.current, ledger.current.event.acked, ledger.current.reading.acked))
        assert self._db is not None
        if not self._attempt(partial(self._db.write, batch)):
            return
        now_ms = self.intake.clock.mono_ms()
        with self.intake.lock:
            offered = ledger.committed(batch)
            if ledger.is_memory and now_ms - began_ms <= RECOVERED_MS:
                log.warning("journal: the disk works again")
                ledger.return_to_disk()
            if ledger.is_memory:
                self._retry_ms = now_ms + SLOW_PROBE_MS
            else:
                self.intake.say_losses()
        self._acks_ms = now_ms + ACKS_EVERY_MS
        self._notify()
        # Behind the commit, and only what it offered: an event that was numbered anew meanwhile must not come back.
        self._copy_events(offered)

    def _copy_events(self, rows: Sequence[Row]) -> None:
        self._busy_since_ms = self.intake.clock.mono_ms()
        self._copy.append(rows, self._acked)
        self._busy_since_ms = None

    def _acked(self, journal: str) -> int | None:
        """Up to which number the collector has a volume; None where it is not one of ours any more."""
        with self.intake.lock:
            book = self.intake.ledger.find(journal)
            return None if book is None else book.event.acked

    def _attempt(self, work: Callable[[], None]) -> bool:
        """Do `work` on the disk. Whether it succeeded; else what can be done about it has been."""
        self._busy_since_ms = self.intake.clock.mono_ms()
        try:
            work()
        except (Damaged, sqlite3.Error, OSError) as error:
            self._failed(error)
            return False
        finally:
            self._busy_since_ms = None
        self._failing_since_ms, self._failures, self._retry_ms, self.reason = None, 0, 0, ""
        return True

    def _failed(self, error: Exception) -> None:
        now_ms = self.intake.clock.mono_ms()
        if str(error) != self.reason:
            log.error("journal: %s", error)
        self.reason = str(error)
        if self._failing_since_ms is None:
            self._failing_since_ms = now_ms
        self._retry_ms = now_ms + min(RETRY_MAX_MS, RETRY_MIN_MS << min(self._failures, 10))
        self._failures += 1
        if isinstance(error, Damaged) or (isinstance(error, sqlite3.Error) and is_damage(error)):
            self._replace()
        elif isinstance(error, sqlite3.Error) and is_full(error):
            self._make_room()
        elif not isinstance(error, sqlite3.OperationalError) or "locked" not in str(error):
            self._close_database()
        self._notify()

    # --- the file

    def _open(self) -> None:
        self._close_database()
        db = Database(self.folder)
        try:
            if self._is_first_open:
                self._compare(db, self._copy.read())
            books, raised, saved = db.books(), db.raised(), db.snapshot()
        except BaseException:
            db.close()
            raise
        if self._is_first_open:
            with self.intake.lock:
                self.intake.ledger.adopt(books, raised)
            self.snapshot = saved
            self._is_first_open = False
        else:
            with self.intake.lock:
                if not db.attach(self.intake.ledger.books):
                    log.error("journal: another database lies in %s", self.folder)
                    self.intake.ledger.start_over(books)
        self._db = db
        self.epoch += 1

    def _compare(self, db: Database, copied: Events) -> None:
        """At the start, database and copy each get the events that only the other has."""
        count = db.catch_up(copied)
        if not db.books():  # a new database, beside the copy of one that is gone
            for saved in out_of_copy(copied):
                db.import_volume(saved)
                count += len(saved.rows)
        if count:
            log.warning("journal: %d events were in the copy alone", count)
        for book in db.books():
            self._copy.append(db.unacked(book, copied.get(book.journal, {})), self._acked)

    def _close_database(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _replace(self) -> None:
        """Move a damaged database aside and go on with a new one, which takes in what can be saved."""
        self._close_database()
        when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.intake.clock.wall_ms() / 1000))
        try:
            aside = move_aside(self.folder, f"{when}-{self.epoch}")
            found = salvage(aside, self._copy.read())
            db = Database(self.folder)
            for saved in found:
                if saved.rows:
                    db.import_volume(saved)
            books = db.books()
        except (Damaged, sqlite3.Error, OSError) as error:
            log.error("journal: cannot replace the damaged database: %s", error)
            return
        self.recovered_from = aside
        log.error("journal: the database was damaged; it is kept as %s", aside)
        with self.intake.lock:
            lost = self.intake.ledger.start_over(books)
            self._gap(f"lane=event cause=damage kept={aside.name}")
            self._say_unsaved(found)
            for journal, seq in lost:
                self._gap(f"lane=event journal={journal} from={seq} to={seq} cause=damage")
        self._db, self._is_first_open, self._retry_ms = db, False, 0
        self.epoch += 1

    def _say_unsaved(self, found: list[Saved]) -> None:
        """What the collector need not wait for, by number where numbers are known: it reads these words."""
        if not found:
            for lane in ("event", "reading"):
                self._gap(f"lane={lane} journal=* from=1 cause=damage")
        for saved in found:
            if not saved.rows:
                self._gap(f"lane=event journal={saved.journal} from=1 cause=damage")
            elif saved.rows[0][0] > 1:
                # From the first on: should the collector be set back one day, nobody else could tell it.
                self._gap(f"lane=event journal={saved.journal} from=1 to={saved.rows[0][0] - 1} cause=damage")
            self._gap(f"lane=reading journal={saved.journal} from=1 cause=damage")

    def _gap(self, why: str) -> None:
        stamp = self.intake.stamp()
        transition = Transition(Kind.GAP, stamp.mono_ms, why=why)
        entry = Entry(transition, "", stamp.boot, stamp.wall_ms, stamp.clock_ok, None, stamp.mono_ms)
        self.intake.ledger.seal(entry)

    def _make_room(self) -> None:
        """The disk is full: the oldest readings go, so that events have a place."""
        if self._db is None:
            return
        try:
            self._db.give_reserve()
            self._db.restart_log()
            self._drop_readings(self._db)
        except sqlite3.Error as error:
            log.error("journal: cannot make room: %s", error)
            self._close_database()

    def _care(self) -> None:
        """Let go of what is old enough, and of the oldest readings beyond the budget."""
        db, config = self._db, self._config
        assert db is not None
        stamp = self.intake.stamp()
        with self.intake.lock:
            books = list(self.intake.ledger.books)
        for book in books:
            if stamp.clock_ok:  # by a wrong clock, everything might be too old
                self._while_idle(partial(db.prune_readings, book, stamp.wall_ms - config.keep_readings))
                before_ms = stamp.wall_ms - config.keep_events
                self._while_idle(partial(db.prune_events, book, before_ms, config.keep_event_rows))
        self._while_idle(partial(self._keep_budget, db))
        self._forget_empty(db)

    def _while_idle(self, prune: Callable[[], int]) -> None:
        """Prune piece by piece, so that an event never waits for more than one of them."""
        while not self.intake.has_calls() and self._close_by_ms is None:
            self._busy_since_ms = self.intake.clock.mono_ms()
            if not prune():
                break

    def _keep_budget(self, db: Database) -> int:
        return self._drop_readings(db) if db.used_bytes() > self._config.budget_mb << 20 else 0

    def _drop_readings(self, db: Database) -> int:
        count, lost = db.drop_readings(DROP_BATCHES)
        with self.intake.lock:
            for book, first, last in lost:
                self._gap(f"lane=reading journal={book.journal} from={first} to={last} cause=space")
        return count

    def _forget_empty(self, db: Database) -> None:
        with self.intake.lock:
            ledger = self.intake.ledger
            gone = [book for book in ledger.books if book is not ledger.current and book.is_empty()]
            for book in gone:
                ledger.forget(book)
        for book in gone:
            db.remove_volume(book)
