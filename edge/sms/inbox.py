"""Where the engine hands transitions over, for the thread that tells people. Nothing here waits.

The queue is bounded, and what finds no room is lost and counted, which is a fault. A fire is never lost: it has a place
of its own for every point, so that any flood of others leaves it room.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from edge.core.values import Class, Kind, Transition

MAX_WAITING = 1_000
_URGENT = frozenset({Kind.RAISE, Kind.RESTORE, Kind.RESOUND, Kind.CONFIRM})
_TOLD = _URGENT | {Kind.CLEAR, Kind.ACKNOWLEDGE, Kind.START}


class News(NamedTuple):
    """A transition, and the time of day of it in words, "" where the clock could not be trusted."""

    item: Transition
    clock: str


class Inbox:
    """`put` is for the engine's loop, the rest for the thread."""

    def __init__(self) -> None:
        self._fires: dict[tuple[Kind, str, str], News] = {}
        self._others: deque[News] = deque()
        self.lost = 0
        """Transitions that found no room, since the start."""

    def put(self, transitions: Sequence[Transition], clock: str) -> bool:
        """Take what people may have to be told; whether any of it is."""
        is_any = False
        for item in transitions:
            if item.kind not in _TOLD:
                continue
            is_any = True
            if item.condition is Class.FIRE and item.kind in _URGENT:
                self._fires.setdefault((item.kind, item.zone, item.subject), News(item, clock))
            elif len(self._others) < MAX_WAITING:
                self._others.append(News(item, clock))
            else:
                self.lost += 1
        return is_any

    @property
    def has_fire(self) -> bool:
        """Whether a fire waits."""
        return bool(self._fires)

    def take(self) -> list[News]:
        """All that waits, in the order in which it happened."""
        taken = []
        # One at a time, because the engine may put more meanwhile.
        while self._fires:
            taken.append(self._fires.pop(next(iter(self._fires))))
        while self._others:
            taken.append(self._others.popleft())
        return sorted(taken, key=lambda news: news.item.at_ms)
