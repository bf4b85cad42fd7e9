"""A second copy of the events that the collector may not have yet, in a plain file beside the database.

One page of a database that goes bad can take events with it that exist nowhere else. Each event is therefore also
appended to a file, one a line, byte for byte as it was sealed; its seal says whether a line is sound, so the file needs
no structure that could break. Two files take turns: the older one goes when the collector has all that is in it.

The copy is written behind the commit and is never waited for by anybody but the writer: a copy that fails costs the
second chance and nothing else.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from device import wire
from edge.journal.volume import Row

log = logging.getLogger(__name__)

FILE, OLDER = "journal.copy", "journal.copy.older"
TURN_BYTES = 256 << 10
"""From this size on a file is put away, if the older one can go."""
MAX_BYTES = 4 << 20
"""A file of this size is put away whatever the collector has: in a long outage the disk is the journal's."""
MAX_WAITING = 2_000
"""Events that wait for a disk that does not take them."""

Events = dict[str, dict[int, bytes]]
"""Sound events by journal and number."""


class EventCopy:
    """For the writer's thread. What cannot be written now is written with what comes next."""

    def __init__(self, folder: Path) -> None:
        self._paths = (folder / OLDER, folder / FILE)
        self._tops: dict[Path, dict[str, int]] = {path: {} for path in self._paths}
        self._waiting: deque[Row] = deque(maxlen=MAX_WAITING)
        self._end = 0
        self._is_read = self._is_torn = False
        self._is_failing = False

    @property
    def is_behind(self) -> bool:
        """Whether something could not be written yet."""
        return bool(self._waiting)

    def read(self) -> Events:
        """All sound events in both files; those of a file that cannot be read are not there."""
        found: Events = {}
        self._is_read = True
        for path in self._paths:
            self._tops[path] = {}
            content = _content(path)
            for payload, event in _events(content):
                found.setdefault(event.journal, {})[event.seq] = payload
                self._note(path, event.journal, event.seq)
            written = content.rstrip(b"\0")
            self._end, self._is_torn = len(written), bool(written) and not written.endswith(b"\n")
        return found

    def append(self, rows: Iterable[Row], acked: Callable[[str], int | None]) -> None:
        """Copy events that are committed. `acked` says up to which number the collector has a journal; None: all."""
        self._waiting.extend(rows)
        if not self._waiting:
            return
        if not self._is_read:  # else what is there would be written over
            self.read()
        try:
            self._take_turns(acked)
            self._write(b"".join(row.payload + b"\n" for row in self._waiting))
        except OSError as error:
            if not self._is_failing:
                log.warning("journal: events are not copied: %s", error)
            self._is_failing = True
            return
        self._is_failing = False
        for row in self._waiting:
            self._note(self._paths[1], row.book.journal, row.seq)
        self._waiting.clear()

    def _write(self, lines: bytes) -> None:
        path = self._paths[1]
        if self._is_torn:  # what was cut short must not spoil what comes after it
            lines = b"\n" + lines
        with path.open("r+b" if path.exists() else "w+b") as file:
            end = self._end + len(lines)
            if end > os.fstat(file.fileno()).st_size:
                _reserve(file.fileno(), end)
            file.seek(self._end)
            file.write(lines)
            file.flush()
            os.fdatasync(file.fileno())
        self._end, self._is_torn = end, False

    def _take_turns(self, acked: Callable[[str], int | None]) -> None:
        older, current = self._paths
        if self._end < TURN_BYTES or not (self._end >= MAX_BYTES or self._has_all(older, acked)):
            return
        current.replace(older)
        self._tops[older], self._tops[current] = self._tops[current], {}
        self._end = 0

    def _has_all(self, path: Path, acked: Callable[[str], int | None]) -> bool:
        held = ((top, acked(journal)) for journal, top in self._tops[path].items())
        return all(has is None or has >= top for top, has in held)

    def _note(self, path: Path, journal: str, seq: int) -> None:
        tops = self._tops[path]
        tops[journal] = max(seq, tops.get(journal, 0))


def _reserve(file: int, end: int) -> None:
    """Room for more than what is written now, so that a full disk does not keep the next events out."""
    with suppress(OSError):
        os.posix_fallocate(file, 0, (end // TURN_BYTES + 1) * TURN_BYTES)


def run_after(events: Mapping[int, bytes], seq: int, head: str) -> list[tuple[int, int, bytes]]:
    """The unbroken run of events that follows event `seq` with the hash `head`, as rows (seq, wall_ms, payload)."""
    run = []
    while (payload := events.get(seq + 1)) is not None:
        event = wire.decode_event(payload)
        if event.prev != head:
            break
        run.append((event.seq, event.wall_ms, payload))
        seq, head = event.seq, event.hash
    return run


def _events(content: bytes) -> Iterable[tuple[bytes, wire.Event]]:
    for line in content.split(b"\n"):
        with suppress(wire.WireError):
            event = wire.decode_event(line.strip(b"\0"))
            yield line.strip(b"\0"), event


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
