"""The ladder's memory: one small file beside the journal, replaced whole, and never waited for longer than a moment.

A thread of its own writes, so that a disk that hangs costs what is saved and not what is sent. What was saved last is
also kept in memory, for a worker that takes over from one that hangs.
"""

import contextlib
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

FILE = "sms.json"
VERSION = 1
WITHIN_S = 2.0
"""Beyond it the disk is called dead, as the journal does it; messages go on from memory."""

log = logging.getLogger(__name__)


class Store:
    """`load` and `save` are for one thread at a time; `is_faulty` for any."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._wanted = threading.Condition()
        self._draft: bytes | None = None
        self._asked = self._done = 0
        self._loaded: bytes | None = None
        self._is_failed = self._is_late = self._is_closing = False
        self.latest: dict[str, Any] | None = None
        """What was saved last, on disk or not; at first what the last agent left."""
        self._thread = threading.Thread(target=self._run, name="sms-store", daemon=True)

    @property
    def is_faulty(self) -> bool:
        """Whether the disk refused, or has not answered for two seconds."""
        return self._is_failed or self._is_late

    def start(self) -> None:
        """Read what the last agent left, if the disk answers in time. A second time nothing happens."""
        if self._thread.is_alive():
            return
        self._thread.start()
        self._wait(0)
        if self._loaded is None:
            return
        try:
            table = json.loads(self._loaded)
            if table["version"] != VERSION:
                raise ValueError(f"version {table['version']}")
            self.latest = dict(table)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            self.give_up(str(error))

    def give_up(self, reason: str) -> None:
        """What was left cannot be used: it is moved aside, and all begins anew."""
        self.latest = None
        log.error("%s is damaged and moved aside: %s", self._path, reason)
        with contextlib.suppress(OSError):
            self._path.replace(self._path.with_suffix(".damaged"))

    def save(self, table: dict[str, Any]) -> None:
        """Keep it. Returns when it is on disk, or after two seconds; at once where the disk has been late already."""
        self.latest = {"version": VERSION, **table}
        with self._wanted:
            self._draft = json.dumps(self.latest, ensure_ascii=False).encode()
            self._asked += 1
            asked = self._asked
            self._wanted.notify_all()
        if not self._is_late:
            self._wait(asked)

    def close(self) -> None:
        """Let the thread end when it has written, if the disk lets it."""
        with self._wanted:
            self._is_closing = True
            self._wanted.notify_all()
        if self._thread.is_alive():
            self._thread.join(WITHIN_S)

    def _wait(self, number: int) -> None:
        with self._wanted:
            self._is_late = not self._wanted.wait_for(lambda: self._done > number, WITHIN_S)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            self._loaded = self._path.read_bytes()
        self._finish(0)
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._draft is not None or self._is_closing)
                if self._draft is None:
                    return
                draft, number = self._draft, self._asked
                self._draft = None
            try:
                self._write(draft)
            except OSError as error:
                if not self._is_failed:
                    log.error("%s: %s", self._path, error)
                self._is_failed = True
            else:
                self._is_failed = False
            self._finish(number)

    def _finish(self, number: int) -> None:
        with self._wanted:
            self._done = number + 1
            self._is_late = False
            self._wanted.notify_all()

    def _write(self, draft: bytes) -> None:
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(draft)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
