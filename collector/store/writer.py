"""The one thread that writes. Whatever has queued up commits together, and only then does anybody hear of it.

`BEGIN IMMEDIATE`, because a transaction that begins by reading and then writes beside another writer fails with
"database is locked". A job that fails alone is dropped alone; when the disk fails, the whole batch is dropped and
counted: nothing of it was acknowledged, so the gateways send it again.
"""

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from collector.clock import Clock
from collector.records import AckDue, Delivery, Record
from collector.store import schema
from collector.store.intake import Intake

BATCH = 500
QUEUE = 10_000
STALLED_AFTER_MS = 5_000
RETRY_PAUSE_S = 0.5

log = logging.getLogger(__name__)
T = TypeVar("T")
OnCommit = Callable[[list[Record], list[AckDue]], None]


class Job(NamedTuple):
    """One piece of a transaction, and who waits for it."""

    run: Callable[[Intake], Any]
    future: "Future[Any] | None" = None


class Writer:
    """Opens the database in `folder` and writes to it until stopped."""

    def __init__(self, folder: Path, clock: Clock, on_commit: OnCommit) -> None:
        self._db = schema.open_for_writing(folder)
        self._intake = Intake(self._db, clock)
        self._clock = clock
        self._on_commit = on_commit
        self._jobs: queue.Queue[Job | None] = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._busy_since_ms: int | None = None
        self._is_stopping = False
        self._failure = ""
        self.counts = self._intake.counts

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, then close. A disk that hangs is not waited for."""
        try:
            self._jobs.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._db.conn.close()

    def deliver(self, delivery: Delivery, timeout_s: float = 5.0) -> bool:
        """Queue a message. False: the queue stayed full, the message is dropped and its gateway will send it again."""
        return self._put(Job(lambda intake: intake.take(delivery)), timeout_s)

    def run(self, run: Callable[[Intake], T]) -> "Future[T]":
        """Queue any other write. The future ends when it is committed, or with why it was not."""
        future: Future[T] = Future()
        if not self._put(Job(run, future), timeout_s=0.0):
            future.set_exception(sqlite3.OperationalError("the writer's queue is full"))
        return future

    @property
    def backlog(self) -> int:
        """Jobs that wait."""
        return self._jobs.qsize()

    @property
    def trouble(self) -> str:
        """Why nothing is being written, or ""."""
        if not self._thread.is_alive():
            return "the writer has ended"
        since_ms = self._busy_since_ms
        if since_ms is not None and self._clock.mono_ms() - since_ms > STALLED_AFTER_MS:
            return "the disk does not answer"
        return self._failure

    def _put(self, job: Job, timeout_s: float) -> bool:
        try:
            self._jobs.put(job, block=timeout_s > 0, timeout=timeout_s or None)
        except queue.Full:
            self.counts["dropped_queue_full"] += 1
            return False
        return True

    # --- the thread ---

    def _run(self) -> None:
        while not self._is_stopping and (job := self._jobs.get()) is not None:
            batch = self._batch(job)
            self._busy_since_ms = self._clock.mono_ms()
            self._write(batch)
            self._busy_since_ms = None

    def _batch(self, first: Job) -> list[Job]:
        batch = [first]
        while len(batch) < BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._is_stopping = True
                break
            batch.append(job)
        return batch

    def _write(self, batch: list[Job]) -> None:
        try:
            self._commit(batch)
        except sqlite3.OperationalError as error:
            self._fail(batch, error)
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    self._write([job])
                return
            self._drop(batch[0], error)

    def _commit(self, batch: list[Job]) -> None:
        sql = self._db.conn
        sql.execute("BEGIN IMMEDIATE")
        try:
            results = [job.run(self._intake) for job in batch]
            records, acks = self._intake.finish()
            sql.execute("COMMIT")
        except BaseException:
            if sql.in_transaction:
                sql.execute("ROLLBACK")
            self._intake.forget()
            raise
        if self._failure:
            log.warning("writing again")
            self._failure = ""
        self.counts["commits"] += 1
        self._on_commit(records, acks)
        for job, result in zip(batch, results, strict=True):
            if job.future is not None:
                job.future.set_result(result)

    def _drop(self, job: Job, error: Exception) -> None:
        if job.future is not None:
            job.future.set_exception(error)
            return
        log.error("a message was dropped", exc_info=error)
        self.counts["dropped_error"] += 1

    def _fail(self, batch: list[Job], error: sqlite3.OperationalError) -> None:
        if self._failure != str(error):
            log.error("cannot write: %s", error)
        self._failure = str(error)
        self.counts["dropped_disk"] += len(batch)
        for job in batch:
            if job.future is not None:
                job.future.set_exception(error)
        threading.Event().wait(RETRY_PAUSE_S)  # a full disk is not asked a thousand times a second
