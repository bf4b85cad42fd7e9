"""What the tests of journal and uplink share: a clock that is set by hand, transitions, an orderly end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device import wire
from edge.clock import SystemClock
from edge.core.values import Class, Kind, Transition
from edge.journal import Journal, JournalConfig
from tests.support import wait_until


class SetClock:
    """Monotonic time as the machine has it; wall time and trust as the test says."""

    boot = "boot-of-the-test"

    def __init__(self) -> None:
        self._mono = SystemClock()
        self.skew_ms = 0
        self.trusted = True

    def mono_ms(self) -> int:
        return self._mono.mono_ms()

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + self.mono_ms() + self.skew_ms

    def clock_ok(self) -> bool:
        return self.trusted


def smoke(number: int, at_ms: int = 1_000, kind: Kind = Kind.RAISE) -> Transition:
    """A smoke detector's transition that can be told from all others by its `why`."""
    return Transition(kind, at_ms, Class.FIRE, "f2", f"smoke-{number}", order=1, why=f"no. {number}")


@contextmanager
def journal_in(folder: Path, clock: Any = None, config: JournalConfig | None = None, **more: Any) -> Iterator[Journal]:
    """A running journal that is closed at the end."""
    journal = Journal(folder, clock or SetClock(), config, **more)
    journal.start()
    try:
        yield journal
    finally:
        journal.close()


def offered(journal: Journal, seq: int) -> None:
    """Wait until that many events of the current volume may leave."""
    wait_until(lambda: journal.volume().event_seq >= seq, what=f"event {seq} to be offered")


def events_of(journal: Journal, name: str | None = None) -> list[bytes]:
    """All events of a volume (the current one by default), out of memory and off the disk."""
    return _all(journal, name, "events")


def readings_of(journal: Journal, name: str | None = None) -> list[bytes]:
    """All batches of readings of a volume, as `events_of`."""
    return _all(journal, name, "readings")


def batch_of(payload: bytes) -> wire.Readings:
    """The batch of readings in `payload`."""
    batch = wire.decode(wire.READING, payload)
    assert isinstance(batch, wire.Readings)
    return batch


def _all(journal: Journal, name: str | None, lane: str) -> list[bytes]:
    outbox = journal.outbox()
    try:
        found: list[bytes] = []
        after = 0
        while batch := getattr(outbox, lane)(name or journal.volume().journal, after, 50):
            found += [payload for _, payload in batch]
            after = batch[-1][0]
        return found
    finally:
        outbox.close()
