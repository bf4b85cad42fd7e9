"""When the demonstration has to end: a signal, or its time is up."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """It is time to end; not an error."""


class TookTooLong(Exception):
    """What was waited for did not happen; the text names it."""


class Stopping:
    """Set by SIGINT, SIGTERM and SIGHUP, and after `seconds` (None: never). For the main thread."""

    def __init__(self, seconds: float | None) -> None:
        self._deadline_s = None if seconds is None else time.monotonic() + seconds
        self._signalled = threading.Event()
        for number in _SIGNALS:
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._signalled.set()

    @property
    def is_due(self) -> bool:
        """Whether it is time to end."""
        return self._signalled.is_set() or (self._deadline_s is not None and time.monotonic() >= self._deadline_s)

    def wait(self, seconds: float) -> None:
        """Sleep. Raises Stopped when it is time to end."""
        if self._deadline_s is not None:
            seconds = min(seconds, self._deadline_s - time.monotonic())
        self._signalled.wait(max(0.0, seconds))
        if self.is_due:
            raise Stopped

    def wait_for(self, condition: Callable[[], T | None], within_s: float, what: str) -> T:
        """The first answer of `condition` that is not None or False. Raises TookTooLong, Stopped."""
        deadline_s = time.monotonic() + within_s
        while True:
            answer = condition()
            if answer is not None and answer is not False:
                return answer
            if time.monotonic() > deadline_s:
                raise TookTooLong(f"waited {within_s:g} s in vain for {what}")
            self.wait(0.05)
