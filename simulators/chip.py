"""A GPIO chip: lines with a function, a pull and a level, and what is wired to their outer side.

Thread-safe. An input follows the contact to ground that is wired to it, else its pull. An output keeps its level when
the program that drove it goes away, as the SoC's pins do. Stamps are `time.monotonic_ns()`, which on Linux is one clock
for all processes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import chain, takewhile
from typing import NamedTuple

PULLS = ("up", "down", "floating")
FUNCTIONS = ("input", "output")
# Of each kind, the oldest go first: a chattering contact must not wash away what the outputs did.
KEPT_CHANGES = 10_000
PINS = range(2, 28)


class Change(NamedTuple):
    """A line that changed its level. `kind` is "edge" for an input and "output" for an output."""

    kind: str
    pin: int
    level: bool
    monotonic_ns: int


class _Line:
    __slots__ = ("changed_ns", "function", "is_closed", "level", "pull")

    def __init__(self) -> None:
        self.function = "input"
        self.pull = "floating"
        self.level = False
        self.is_closed = False
        self.changed_ns = 0

    def outside(self) -> bool:
        """The level that an input sees: a closed contact pulls to ground, an open one leaves it to the pull."""
        return not self.is_closed and self.pull == "up"


class GpioChip:
    """The lines of one chip. Watchers are called with each Change, in the thread that caused it."""

    def __init__(self) -> None:
        self._kept = {kind: deque[Change](maxlen=KEPT_CHANGES) for kind in ("edge", "output")}
        self._lines = {pin: _Line() for pin in PINS}
        self._lock = threading.RLock()
        self._watchers: list[Callable[[Change], None]] = []

    @property
    def changes(self) -> list[Change]:
        """All that is kept, in the order of time."""
        return self.changes_since(0)

    def changes_since(self, monotonic_ns: int) -> list[Change]:
        """What is kept of the time after `monotonic_ns`, in its order."""
        with self._lock:
            recent = [
                list(takewhile(lambda change: change.monotonic_ns > monotonic_ns, reversed(kept)))
                for kept in self._kept.values()
            ]
        return sorted(chain.from_iterable(recent), key=lambda change: change.monotonic_ns)

    def watch(self, changed: Callable[[Change], None]) -> None:
        """Have `changed` called with every change of level from now on."""
        with self._lock:
            self._watchers.append(changed)

    def unwatch(self, changed: Callable[[Change], None]) -> None:
        """Stop calling `changed`."""
        with self._lock:
            self._watchers.remove(changed)

    # --- the outer side ---

    def contact(self, pin: int, is_closed: bool) -> None:
        """Close or open the contact between `pin` and ground."""
        with self._lock:
            line = self._lines[pin]
            line.is_closed = is_closed
            self._settle(pin, line)

    # --- the program's side ---

    def read(self, pin: int) -> bool:
        """The level of a line, whatever its function."""
        return self._lines[pin].level

    def write(self, pin: int, level: bool) -> None:
        """Drive an output. Raises PermissionError on an input."""
        with self._lock:
            line = self._lines[pin]
            if line.function != "output":
                raise PermissionError(f"pin {pin} is an input")
            self._change("output", pin, line, level)

    def function(self, pin: int) -> str:
        """ "input" or "output"."""
        return self._lines[pin].function

    def pull(self, pin: int) -> str:
        """ "up", "down" or "floating"."""
        return self._lines[pin].pull

    def claim(self, pin: int, function: str, level: bool | None = None) -> None:
        """Make a line an input or an output; an output takes `level` at once, or keeps the level that it has."""
        with self._lock:
            line = self._lines[pin]
            was_output, line.function = line.function == "output", function
            if function == "output":
                self._change("output", pin, line, line.level if level is None else level)
            elif was_output:
                self._change("output", pin, line, line.outside())

    def set_pull(self, pin: int, pull: str) -> None:
        """Switch the pull resistor of an input."""
        with self._lock:
            line = self._lines[pin]
            line.pull = pull
            self._settle(pin, line)

    def changed_ns(self, pin: int) -> int:
        """When the level last changed; 0 if it never did."""
        return self._lines[pin].changed_ns

    def _settle(self, pin: int, line: _Line) -> None:
        if line.function == "input":
            self._change("edge", pin, line, line.outside())

    def _change(self, kind: str, pin: int, line: _Line, level: bool) -> None:
        if line.level == level:
            return
        line.level = level
        line.changed_ns = time.monotonic_ns()
        change = Change(kind, pin, level, line.changed_ns)
        self._kept[kind].append(change)
        for changed in self._watchers:
            changed(change)
