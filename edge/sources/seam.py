"""What every source looks like from outside, and what the shell gives it.

A source turns one chip, bus or port into readings. It never calls the core: it delivers, on the loop's thread and in
the order of arrival, and each poll says fresh or stale: a value, or the reason why there is none.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from edge.clock import Clock, SystemClock
from edge.core.plan import SETTLE_MS, PointPlan
from edge.core.values import Reading

Deliver = Callable[[Sequence[Reading]], None]
"""Takes readings on the loop's thread; must not block."""


class Wired(NamedTuple):
    """A point and where it hangs: `at` is the `at` dataclass of the source's kind."""

    point: str
    at: Any


class Described(NamedTuple):
    """What a reading of a place means: physical value = value * 10**scale in `unit`.

    `supervised` says whether a broken wire or sensor is told apart from a normal value. `unit_path` ("meters/1")
    names the device behind the source that can die alone; "" where only the source itself can. `is_debounced`: the
    device has counted out the bounces of its contact, and nobody does so again. `quiet_ms` is how long the device may
    rightly say nothing (it sleeps), `settle_ms` how far apart the words of sound siblings are.
    """

    unit: str
    scale: int
    profile: str
    supervised: bool
    unit_path: str
    is_debounced: bool = False
    quiet_ms: int = 0
    settle_ms: int = SETTLE_MS


class Site(NamedTuple):
    """What the installation gives to every source: the folder of locks, whether simulated back-ends are allowed, the
    clock; and for one that is acknowledged to: `folder`, where it may keep what has to outlive the process (None:
    nowhere), `waiting_since_ms` (`Journal.waiting_since_ms`); and, for any thread to ask, whether a fire stands and
    whether a reset waits for readings that are made after it was asked for.
    """

    locks: Path
    simulated: bool = False
    clock: Clock = SystemClock()
    folder: Path | None = None
    waiting_since_ms: Callable[[], int | None] = lambda: None
    is_fire: Callable[[], bool] = lambda: False
    is_resetting: Callable[[], bool] = lambda: False


class Source(Protocol):
    """A chip, bus or port that is being read."""

    @property
    def name(self) -> str:
        """As the configuration spells it."""

    async def run(self, deliver: Deliver) -> None:
        """Read until cancelled. A device's failure is a reading, never an end and never an exception."""

    def close(self) -> None:
        """Let the hardware go; after `run` has been cancelled, or instead of it."""

    def counters(self) -> Mapping[str, int]:
        """What went wrong and how often, since the start, for the status page."""


class SourceKind(NamedTuple):
    """One line of SOURCES.

    `config` and `at` are the dataclasses of the `[[source]]` table and of a point's `at`. `describe(config, at)`
    gives a `Described`, or a sentence saying what is wrong with the pair. `open(config, wired, site)` takes the lock
    and raises `edge.locks.InUse` or `edge.sources.backends.NotAllowed`; it touches no device. `own(config)` gives the
    points of the gateway's own that the source feeds: what can be wrong with a device as a whole.
    """

    config: type
    at: type
    describe: Callable[[Any, Any], Described | str]
    open: Callable[[Any, Sequence[Wired], Site], Source]
    own: Callable[[Any], Sequence[PointPlan]] = lambda _: ()


class Changes:
    """Says a thing's state in the log when it changes, and not at every poll."""

    def __init__(self, log: logging.Logger, source: str) -> None:
        self._log = log
        self._source = source
        self._states: dict[str, str] = {}

    def say(self, subject: str, state: str, level: int = logging.WARNING) -> None:
        """Log `state` unless it is what was said last about `subject`; "" means well, which goes unsaid at first."""
        if self._states.get(subject, "") == state:
            return
        self._states[subject] = state
        prefix = f"{self._source} {subject}".rstrip()
        self._log.log(level if state else logging.INFO, "%s: %s", prefix, state or "well again")
