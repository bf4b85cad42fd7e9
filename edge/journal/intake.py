"""Where the engine hands things over. Nothing here waits: the loop thread only appends to a deque.

What is handed over is numbered and sealed later, by the writer's thread or, while the disk is dead, by the uplink's.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

from device import wire
from edge.clock import Clock
from edge.core.values import Reading, Transition
from edge.journal.config import JournalConfig
from edge.journal.filter import ReadingFilter
from edge.journal.ledger import Ledger
from edge.journal.volume import Entry, Sample, Stamp

MAX_WAITING = 2_000
"""Calls that may wait to be sealed, once the ledger is full as well."""
MAX_SAMPLES = 20_000
"""Readings that may wait for a writer that is stuck."""


class Call(NamedTuple):
    """What one `record` handed over: it reaches the disk whole or not at all."""

    entries: tuple[Entry, ...]
    snapshot: tuple[bytes, Stamp] | None
    at_ms: int


class Intake:
    """`lock` guards the ledger, and the loop thread never takes it. `wake` tells the writer that there is work."""

    def __init__(self, clock: Clock, config: JournalConfig, picker: ReadingFilter, wake: Callable[[], None]) -> None:
        self.clock = clock
        self.lock = Lock()
        self.ledger = Ledger()
        self.is_live = False
        self._every_ms = config.readings_every
        self._picker = picker
        self._wake = wake
        self._calls: deque[Call] = deque()
        self._samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        # Written by the loop thread alone; what has been told of them, by whoever holds the lock.
        self._overflow_events = self._overflow_samples = 0
        self._told_events = self._told_samples = 0

    # --- on the loop thread

    def put(self, transitions: Sequence[Transition], units: Sequence[str], sounded_ms: int | None,
            snapshot: bytes | None) -> None:  # fmt: skip
        """Take transitions and the panel's snapshot after them."""
        stamp = self.stamp()
        entries = tuple(
            Entry(
                item, unit, stamp.boot, stamp.wall_ms - (stamp.mono_ms - item.at_ms), stamp.clock_ok, sounded_ms,
                stamp.mono_ms,
            )
            for item, unit in zip(transitions, units, strict=True)
        )  # fmt: skip
        if len(self._calls) >= MAX_WAITING:
            self._overflow_events += len(self._calls.popleft().entries)
        self._calls.append(Call(entries, None if snapshot is None else (snapshot, stamp), stamp.mono_ms))
        self._wake()

    def observe(self, readings: Sequence[Reading], mono_ms: int) -> None:
        """Take the readings that are worth keeping."""
        picked = self._picker.pick(readings, mono_ms)
        if not picked:
            return
        self._overflow_samples += max(0, len(self._samples) + len(picked) - MAX_SAMPLES)
        self._samples.extend(picked)
        if len(self._samples) <= len(picked) or len(self._samples) >= wire.MAX_BATCH:
            self._wake()

    # --- on any thread

    def stamp(self) -> Stamp:
        clock = self.clock
        return Stamp(clock.boot, clock.mono_ms(), clock.wall_ms(), clock.clock_ok())

    def has_calls(self) -> bool:
        return bool(self._calls)

    def readings_due_ms(self) -> int | None:
        """When the readings that wait should be written; None where none wait."""
        try:
            oldest_ms = self._samples[0].mono_ms
        except IndexError:
            return None
        return oldest_ms if len(self._samples) >= wire.MAX_BATCH else oldest_ms + self._every_ms

    # --- holding the lock

    def oldest_event_ms(self) -> int | None:
        """Since when the oldest event that nobody has been offered is waiting."""
        sealed_ms = self.ledger.oldest_unoffered_ms()
        if sealed_ms is not None:
            return sealed_ms
        try:
            return self._calls[0].at_ms
        except IndexError:
            return None

    def seal(self, with_readings: bool) -> None:
        """Number what waits, as far as there is room. Readings are numbered when due or asked for."""
        ledger = self.ledger
        while self._calls and ledger.room() > 0:
            try:
                call = self._calls.popleft()
            except IndexError:  # the loop thread has just given up the oldest
                break
            for entry in call.entries:
                ledger.seal(entry)
            if call.snapshot is not None:
                ledger.snapshot = call.snapshot
        due_ms = self.readings_due_ms()
        if due_ms is not None and (with_readings or due_ms <= self.clock.mono_ms()):
            self._seal_readings()

    def _seal_readings(self) -> None:
        stamp = self.stamp()
        while self._samples:
            batch: list[Sample] = []
            while self._samples and len(batch) < wire.MAX_BATCH:
                batch.append(self._samples.popleft())
            self.ledger.seal_readings(batch, stamp, self.is_live)

    def say_losses(self) -> None:
        """Write down what found no room."""
        events = self._overflow_events - self._told_events
        samples = self._overflow_samples - self._told_samples
        self._told_events += events
        self._told_samples += samples
        self.ledger.lost_events += events
        stamp = self.stamp()
        if samples:
            self.ledger.gap(f"lane=reading count={samples} cause=memory", stamp)
        self.ledger.say_losses(stamp)
