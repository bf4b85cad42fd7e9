"""How each class sounds on the buzzer: patterns as data, and a player on the event loop.

A carer learns them by ear, so each class differs in rhythm and not only in speed. Every pattern begins with the
sound, so that nothing delays the first one. The worse, the less silence.
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from edge.core.values import Class
from edge.outputs import OutputDriver


class Pattern(NamedTuple):
    """(on, off) in milliseconds, one pair after the other, and again from the first."""

    steps: tuple[tuple[int, int], ...]


PATTERNS: Mapping[Class, Pattern] = {
    # Half a second on, half a second off: the urgent tone of fire panels.
    Class.FIRE: Pattern(((500, 500),)),
    # Two strokes and a pause.
    Class.ELECTRICAL: Pattern(((300, 200), (300, 1200))),
    # Three short ones in three seconds.
    Class.EARLY_WARNING: Pattern(((100, 150), (100, 150), (100, 2400))),
    # One long stroke in five seconds.
    Class.SUPERVISORY: Pattern(((800, 4200),)),
    # A short one in five seconds.
    Class.FAULT: Pattern(((150, 4850),)),
    # Reminders: two short ones a minute, one short one a minute.
    Class.DISABLED: Pattern(((100, 200), (100, 59_600))),
    Class.TEST: Pattern(((100, 59_900),)),
}

SELF_TEST = Pattern(((250, 250), (250, 250), (250, 750)))
"""Like no class: nobody takes a test for an alarm."""


class Player:
    """Plays one pattern at a time on an output."""

    def __init__(self, driver: OutputDriver) -> None:
        self._driver = driver
        self._pattern: Pattern | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_on = False

    def play(self, pattern: Pattern | None) -> None:
        """Sound `pattern` from its beginning, on at once; None is silence. The one that plays already goes on."""
        if pattern == self._pattern:
            return
        self._pattern = pattern
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if pattern is None:
            self._drive(False)
        else:
            self._step(pattern, 0, True)

    def assert_again(self) -> None:
        """Drive the output as it should be at this moment, in case that it was lost on the way."""
        self._driver.drive(self._is_on)

    @property
    def is_failing(self) -> bool:
        """Whether the output is known not to be as it was driven."""
        return self._driver.is_failing

    def close(self) -> None:
        """Stop, and close the output."""
        self.play(None)
        self._driver.close()

    def _step(self, pattern: Pattern, index: int, is_on: bool) -> None:
        self._drive(is_on)
        on_ms, off_ms = pattern.steps[index]
        following = index if is_on else (index + 1) % len(pattern.steps)
        loop = asyncio.get_running_loop()
        wait_s = (on_ms if is_on else off_ms) / 1000
        self._timer = loop.call_later(wait_s, self._step, pattern, following, not is_on)

    def _drive(self, is_on: bool) -> None:
        self._is_on = is_on
        self._driver.drive(is_on)
