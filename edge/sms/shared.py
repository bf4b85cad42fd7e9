"""What the thread that tells people and the agent's loop know of each other. Plain values, replaced whole."""

import time
from collections import deque
from typing import Any

from edge.clock import Clock
from edge.core.values import Class
from edge.sms.ladder import Ladder
from edge.sms.modem import Health, Trouble

BEIJING_S = 8 * 3600
"""China has one time, whatever the machine was set up with."""
TESTS_KEPT = 20


class Shared:
    """Written by the worker but for `asked_tests`; read by anybody."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.health: Health | None = None
        self.reason = ""
        self.is_refusing = False
        """The network refused a message, and has accepted none since."""
        self.bad_numbers: dict[str, str] = {}
        self.incidents: list[dict[str, Any]] = []
        self.waiting = 0
        self.asked_tests: deque[tuple[int, str]] = deque()
        self.tests: dict[int, str] = {}

    def time_of_day(self) -> str:
        """Hours and minutes in Beijing, "" where the clock cannot be trusted."""
        return _hour_and_minute(self._clock.wall_ms()) if self._clock.clock_ok() else ""

    def stamp(self) -> dict[str, Any]:
        """When something is saved."""
        clock = self._clock
        return {"boot": clock.boot, "wall_ms": clock.wall_ms(), "clock_ok": clock.clock_ok()}

    def off_ms(self, saved: dict[str, Any]) -> int:
        """How long ago something was saved, as far as that can be believed: else no time at all."""
        stamp = saved["stamp"]
        if stamp["boot"] == self._clock.boot:
            return max(0, self._clock.mono_ms() - int(saved["now_ms"]))
        if stamp["clock_ok"] and self._clock.clock_ok():
            return max(0, self._clock.wall_ms() - int(stamp["wall_ms"]))
        return 0

    def found(self, health: Health, reason: str) -> None:
        """How the modem is."""
        self.health, self.reason = health, reason if health.trouble is not None else ""

    def publish(self, ladder: Ladder, health: Health, now_ms: int) -> None:
        """How the ladder is."""
        self.health = health if self.health is not None else None
        self.bad_numbers = dict(ladder.outbox.bad_numbers)
        self.waiting = len(ladder.outbox.due_times())
        self.incidents = [
            {
                "class": item.condition,
                "zone": item.zone if item.condition is Class.FIRE else "",
                "code": item.code,
                "told": list(item.reached),
                "answered": item.turn_ms is None,
                "next_ms": None if item.turn_ms is None else max(0, item.turn_ms - now_ms),
            }
            for item in ladder.incidents.values()
        ]

    def note_test(self, ticket: int, state: str) -> None:
        """What became of a test message."""
        self.tests = dict([*self.tests.items(), (ticket, state)][-TESTS_KEPT:])

    @property
    def trouble(self) -> Trouble | None:
        """Why nothing can be sent, if so; None too before the first look."""
        return None if self.health is None else self.health.trouble


def _hour_and_minute(wall_ms: int) -> str:
    return time.strftime("%H:%M", time.gmtime(wall_ms // 1000 + BEIJING_S))
