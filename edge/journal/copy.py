"""A second copy of the events that the collector may not have yet, in a plain file beside the database.

One page of a database that goes bad can take events with it that exist nowhere else. Each event is therefore also
appended to a file, one a line, byte for byte as it was sealed; its seal says whether a line is sound, so the file needs
no structure that could break. Two files take turns: the older one goes when the collector has all that is in it.

The copy is written behind the commit and is never waited for by anybody but the writer: a copy that fails costs the
second chance and nothing else.
"""

import logging
import os
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

Events = dict[str, dict[int, bytes]]
"""Sound events by journal and number."""


class EventCopy:
    """For the writer's thread. Only `append` writes; what fails is said once."""

    def __init__(self, folder: Path) -> None:
        self._paths = (folder / OLDER, folder / FILE)
        self._tops: dict[Path, dict[str, int]] = {path: {} for path in self._paths}
        self._size = 0
        self._is_failing = False
        self._may_be_torn = True

    def read(self) -> Events:
        """All sound events in both files; those of a file that cannot be read are not there."""
        found: Events = {}
        for path in self._paths:
            self._tops[path] = {}
            for payload, event in _events(path):
                found.setdefault(event.journal, {})[event.seq] = payload
                self._note(path, event.journal, event.seq)
        self._size = _size_of(self._paths[1])
        return found

    def append(self, rows: Iterable[Row], acked: Callable[[str], int | None]) -> None:
        """Copy events that are committed. `acked` says up to which number the collector has a journal; None: all."""
        lines = [(row.book.journal, row.seq, row.payload) for row in rows]
        if not lines:
            return
        try:
            self._take_turns(acked)
            self._write(b"".join(payload + b"\n" for _, _, payload in lines))
        except OSError as error:
            if not self._is_failing:
                log.warning("journal: events are not copied: %s", error)
            self._is_failing = self._may_be_torn = True
            return
        self._is_failing = False
        for journal, seq, _ in lines:
            self._note(self._paths[1], journal, seq)

    def _write(self, lines: bytes) -> None:
        with self._paths[1].open("ab") as file:
            # What was cut short, by a power cut or a full disk, must not spoil the line after it.
            file.write(b"\n" + lines if self._may_be_torn else lines)
            file.flush()
            os.fdatasync(file.fileno())
            self._size, self._may_be_torn = file.tell(), False

    def _take_turns(self, acked: Callable[[str], int | None]) -> None:
        older, current = self._paths
        if self._size < TURN_BYTES or not (self._size >= MAX_BYTES or self._has_all(older, acked)):
            return
        current.replace(older)
        self._tops[older], self._tops[current] = self._tops[current], {}
        self._size = 0

    def _has_all(self, path: Path, acked: Callable[[str], int | None]) -> bool:
        held = ((top, acked(journal)) for journal, top in self._tops[path].items())
        return all(has is None or has >= top for top, has in held)

    def _note(self, path: Path, journal: str, seq: int) -> None:
        tops = self._tops[path]
        tops[journal] = max(seq, tops.get(journal, 0))


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


def _events(path: Path) -> Iterable[tuple[bytes, wire.Event]]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    for line in content.split(b"\n"):
        with suppress(wire.WireError):
            event = wire.decode_event(line)
            yield line, event


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
