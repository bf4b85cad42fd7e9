"""Whose turn it is on a port. Pure: the time is an argument, in seconds of a monotonic clock.

- Each unit is due on a fixed grid of its own period, so that polls neither drift nor pile up: a unit that was late is
  due again at the next line of its grid, not twice. Of those that are due the one asked longest ago goes first, so a
  port with more work than its periods allow degrades evenly.
- A unit that failed is a suspect. It yields: it is asked while no other unit is due, or once it has waited a period.
  From the third failure in a row it is asked in growing intervals of at most ten seconds, so that it is back soon.
- Suspects together get a tenth of the time on a port where others answer. Where none answers there is nobody to
  protect.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

FAILURES_TO_OPEN = 3
PROBE_FIRST_S = 1.0
PROBE_CAP_S = 10.0
SUSPECTS_SHARE = 0.1


@dataclass(slots=True, eq=False)
class Turn:
    """A unit's place in the timetable: its grid starts at `base_s`; `cost_s` is the longest that asking in vain takes,
    `rest_s` how long after that an answer may still come.
    """

    unit: int
    period_s: float
    cost_s: float
    rest_s: float = 0.0
    base_s: float = 0.0
    due_s: float = 0.0
    failures: int = 0
    interval_s: float = 0.0
    asked_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the unit counts as dead and is only probed."""
        return self.failures >= FAILURES_TO_OPEN


@dataclass(slots=True)
class Timetable:
    """The turns of all units of a port."""

    turns: tuple[Turn, ...]
    random: Random = field(default_factory=Random)
    late: int = 0
    is_overloaded: bool = False
    _suspects_from_s: float = 0.0
    _on_time: int = 0
    _by_unit: dict[int, Turn] = field(init=False)

    def __post_init__(self) -> None:
        self._by_unit = {turn.unit: turn for turn in self.turns}

    def start(self, now_s: float) -> None:
        """All units are due at once; the grids start here."""
        for turn in self.turns:
            turn.base_s = turn.due_s = now_s

    def resume(self, now_s: float) -> None:
        """The line stands again. Where all units had failed, the line was to blame, and all are due.

        Otherwise their failures stay theirs: a gateway that hangs up whenever one dead unit is asked must not have that
        unit asked first each time it is back, however long that took.
        """
        has_answering = any(self._healthy())
        for turn in self.turns:
            if not has_answering:
                turn.failures, turn.due_s = 1, now_s
            elif turn.failures:
                turn.due_s = max(turn.due_s, now_s)
            else:
                # What passed without a line is no lateness of the port's own.
                turn.due_s, turn.asked_s = max(turn.due_s, now_s), None

    def of(self, unit: int) -> Turn:
        """The unit's turn. KeyError for a unit without one."""
        return self._by_unit[unit]

    def next(self, now_s: float) -> tuple[Turn | None, float]:
        """The unit to ask now, or None and the time of the next turn."""
        healthy = min(self._healthy(), key=lambda turn: _urgency(turn, now_s), default=None)
        suspect = min(self._suspects(), key=_patience, default=None)
        if suspect is not None and self._may_probe(suspect, healthy, now_s):
            return suspect, now_s
        if healthy is not None and healthy.due_s <= now_s:
            return healthy, now_s
        return None, self._wake_s(healthy, suspect, now_s)

    def retry_s(self, turn: Turn) -> float:
        """From when on a write that the unit did not answer may be tried again: it spends what all suspects may."""
        return self._suspects_from_s if turn.failures and any(self._healthy()) else 0.0

    def asked(self, turn: Turn, started_s: float, now_s: float, is_answered: bool) -> None:
        """The unit was asked from `started_s` until `now_s`; its next turn follows."""
        if turn.failures == 0 and turn.asked_s is not None:
            self._note_lateness(turn, started_s)
        turn.interval_s = 0.0 if turn.asked_s is None else started_s - turn.asked_s
        turn.asked_s = started_s
        turn.failures = 0 if is_answered else turn.failures + 1
        turn.due_s = self._due_s(turn, now_s)
        if not is_answered:
            self._suspects_from_s = now_s + (now_s - started_s) * (1 / SUSPECTS_SHARE - 1)

    @property
    def longest_interval_s(self) -> float:
        """The longest time between the last two polls of any unit that answers."""
        return max((turn.interval_s for turn in self._healthy()), default=0.0)

    def _healthy(self) -> Iterable[Turn]:
        return (turn for turn in self.turns if turn.failures == 0)

    def _suspects(self) -> Iterable[Turn]:
        return (turn for turn in self.turns if turn.failures > 0)

    def _may_probe(self, suspect: Turn, healthy: Turn | None, now_s: float) -> bool:
        if now_s < suspect.due_s:
            return False
        if healthy is None:
            return True
        if now_s < self._suspects_from_s:
            return False
        has_waited = now_s >= max(suspect.due_s, self._suspects_from_s) + suspect.period_s
        return has_waited or now_s + suspect.cost_s <= healthy.due_s

    def _wake_s(self, healthy: Turn | None, suspect: Turn | None, now_s: float) -> float:
        """When `next` will have another answer. A suspect that did not fit gets its chance after the next healthy
        poll.
        """
        times = [healthy.due_s] if healthy is not None else []
        if suspect is not None:
            probe_s = suspect.due_s if healthy is None else max(suspect.due_s, self._suspects_from_s)
            times.append(probe_s if probe_s > now_s else probe_s + suspect.period_s)
        return min(times, default=now_s + 1.0)

    def _note_lateness(self, turn: Turn, started_s: float) -> None:
        if started_s - turn.due_s >= turn.period_s:
            self.late += 1
            self._on_time = 0
            self.is_overloaded = True
        else:
            self._on_time += 1
            if self._on_time > 2 * len(self.turns):
                self.is_overloaded = False

    def _due_s(self, turn: Turn, now_s: float) -> float:
        if not turn.failures:
            return self._grid(turn, now_s)
        # A late answer must have come and gone before the unit is asked again, or it would be taken for the new one.
        rested_s = now_s + max(turn.cost_s, turn.rest_s)
        is_open = turn.failures >= FAILURES_TO_OPEN
        return max(rested_s, now_s + self._probe_wait_s(turn) if is_open else self._grid(turn, now_s))

    @staticmethod
    def _grid(turn: Turn, now_s: float) -> float:
        """The first line of the turn's grid after now."""
        return turn.base_s + (int((now_s - turn.base_s) / turn.period_s) + 1) * turn.period_s

    def _probe_wait_s(self, turn: Turn) -> float:
        doublings = min(turn.failures - FAILURES_TO_OPEN, 10)
        wait_s = min(max(turn.period_s, PROBE_FIRST_S) * 2.0**doublings, PROBE_CAP_S)
        return wait_s * self.random.uniform(0.75, 1.0)


def _patience(turn: Turn) -> tuple[float, float]:
    """Sorts suspects: who is due first, and of those due at once who was asked longest ago. Else the one that tears the
    line at each question would be asked first whenever it is made anew, and nobody else ever."""
    return turn.due_s, -math.inf if turn.asked_s is None else turn.asked_s


def _urgency(turn: Turn, now_s: float) -> tuple[bool, float]:
    """Sorts who is due first, the longest unasked before the others; then who is due next."""
    if turn.due_s > now_s:
        return True, turn.due_s
    return False, -math.inf if turn.asked_s is None else turn.asked_s
