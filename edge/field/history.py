"""The journal as one timeline: readings and events in the order in which they happened, over restarts and volumes.

Times on the timeline are milliseconds since its beginning, by the monotonic clock. Between two boots of the machine
nobody counted; there the wall clock is asked where it was trusted on both sides, and else no time passes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import NamedTuple

from device import wire
from edge.core.values import Reading, Unknown
from edge.journal.reading import Reading as Disk

DAY_MS = 86_400_000
WARM_UP_MS = 30 * 60_000
"""Two heartbeats: what was read last before the days that were asked for has to be known when they begin."""


class Item(NamedTuple):
    """One reading or event. `at_ms` is on the timeline, `off_ms` the time without a boot before it."""

    at_ms: int
    wall_ms: int
    is_after_boot: bool
    off_ms: int
    clock_ok: bool
    what: Reading | wire.Event


@dataclass
class Coverage:
    """What a timeline was made of; complete once it has been read to its end."""

    readings: int = 0
    events: int = 0
    boots: int = 0
    untrusted: int = 0
    unreadable: int = 0
    gaps: list[str] = field(default_factory=list)
    first_wall_ms: int = 0
    last_wall_ms: int = 0


class _Record(NamedTuple):
    boot: int
    mono_ms: int
    wall_ms: int
    clock_ok: bool
    what: Reading | wire.Event


class History:
    """`days` back from the last record. `progress` is called with the share that has been read."""

    def __init__(self, disk: Disk, days: float, progress: Callable[[float], None]) -> None:
        self.coverage = Coverage()
        self._disk = disk
        self._progress = progress
        self._numbers = [number for number, *_ in disk.volumes()]
        self._boots: dict[str, int] = {}
        last_wall_ms = self._survey()
        self.from_wall_ms = last_wall_ms - int(days * DAY_MS)
        self._cut_ms = self.from_wall_ms - WARM_UP_MS

    def __iter__(self) -> Iterator[Item]:
        """The items in order, those of the warm-up before `from_wall_ms` first."""
        coverage, at_ms, off_ms = self.coverage, 0, 0
        last: _Record | None = None
        for record in merge(self._events(), self._readings(), key=lambda item: (item.boot, item.mono_ms)):
            if record.wall_ms < self._cut_ms:
                continue
            is_after_boot = last is not None and record.boot != last.boot
            if last is not None:
                off_ms = self._off_ms(last, record) if is_after_boot else 0
                at_ms += off_ms if is_after_boot else max(0, record.mono_ms - last.mono_ms)
            last = record
            self._count(record, is_after_boot)
            yield Item(at_ms, record.wall_ms, is_after_boot, off_ms, record.clock_ok, record.what)
        coverage.last_wall_ms = last.wall_ms if last is not None else 0

    def _survey(self) -> int:
        """Learn the order of the boots, which only events tell for sure; when the last record was written."""
        latest_ms = 0
        for number in self._numbers:
            for _, payload in self._disk.pages("event", number):
                event = _event(payload)
                if event is not None:
                    self._boots.setdefault(event.boot, len(self._boots))
                    latest_ms = event.wall_ms
            first, last = self._disk.span("reading", number)
            rows = self._disk.rows("reading", number, last - 1, last, 1) if first <= last else []
            for _, payload in rows:
                batch = _batch(payload)
                if batch is not None and batch.readings:
                    latest_ms = max(latest_ms, batch.wall_ms + batch.readings[-1].offset_ms)
        return latest_ms

    def _events(self) -> Iterator[_Record]:
        for number in self._numbers:
            for _, payload in self._disk.pages("event", number):
                event = _event(payload)
                if event is None:
                    self.coverage.unreadable += 1
                    continue
                yield _Record(self._boots[event.boot], event.mono_ms, event.wall_ms, event.clock_ok, event)

    def _readings(self) -> Iterator[_Record]:
        total = sum(last - first + 1 for first, last in (self._disk.span("reading", n) for n in self._numbers)) or 1
        done = 0
        for number in self._numbers:
            for _, payload in self._disk.pages("reading", number):
                done += 1
                self._progress(done / total)
                batch = _batch(payload)
                if batch is None:
                    self.coverage.unreadable += 1
                    continue
                boot = self._boots.setdefault(batch.boot, len(self._boots))
                for sample in batch.readings:
                    yield _sampled(batch, sample, boot)

    def _count(self, record: _Record, is_after_boot: bool) -> None:
        coverage = self.coverage
        coverage.boots += is_after_boot
        coverage.untrusted += not record.clock_ok
        coverage.first_wall_ms = coverage.first_wall_ms or record.wall_ms
        if isinstance(record.what, Reading):
            coverage.readings += 1
            return
        coverage.events += 1
        if record.what.kind == "gap":
            coverage.gaps.append(record.what.why)

    @staticmethod
    def _off_ms(last: _Record, record: _Record) -> int:
        return max(0, record.wall_ms - last.wall_ms) if last.clock_ok and record.clock_ok else 0


def _sampled(batch: wire.Readings, sample: wire.Sample, boot: int) -> _Record:
    unknown = None if sample.unknown is None else _reason(sample.unknown)
    reading = Reading(sample.point, sample.value, unknown)
    offset_ms = sample.offset_ms
    return _Record(boot, batch.mono_ms + offset_ms, batch.wall_ms + offset_ms, batch.clock_ok, reading)


def _reason(text: str) -> Unknown:
    try:
        return Unknown(text)
    except ValueError:  # a reason that a later version has written
        return Unknown.NOT_POLLED


def _event(payload: bytes) -> wire.Event | None:
    try:
        return wire.decode_event(payload)
    except (wire.WireError, TypeError):
        return None


def _batch(payload: bytes) -> wire.Readings | None:
    try:
        batch = wire.decode(wire.READING, payload)
    except (wire.WireError, TypeError):
        return None
    return batch if isinstance(batch, wire.Readings) else None
