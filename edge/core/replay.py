"""A recorded past through a panel: the shell's share of the fold, in the time of what is replayed.

`take` and `sample` meet every deadline that falls before their input, as the shell does. The journal keeps a reading
only where it moved (edge/journal/filter.py), so a `sample` holds until the next one of its point: it is read again as
often as supervision and the heat rule need it, because in the home it was read all that time. What was lost is
recorded as lost and is not held: then time alone decides, as it did.
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from edge.core.fold import fold
from edge.core.panel import Panel, new_panel
from edge.core.plan import Plan, PointPlan
from edge.core.rules.heat import HeatRule
from edge.core.snapshot import restore, snapshot
from edge.core.values import TICK, Input, Reading, Transition

POLL_MS = 1_000
"""How often a home reads its points. A reset wants a fresh reading: while one is under way, all are read so often."""
HEAT_FRESH_MS, HEAT_REST_MS = 120_000, 10_000
"""A heat rule wants confirmation by readings, and forgets its climb in a silence of 15 s: after a change it is read
with every poll for two minutes, then every ten seconds."""


class Replay:
    """`told` gets each transition as it comes. Times are the caller's own and never run backwards."""

    def __init__(self, plan: Plan, now_ms: int, told: Callable[[Transition], None]) -> None:
        self.panel: Panel = new_panel(plan, now_ms)
        self.now_ms = now_ms
        self._told = told
        self._wake_at: int | None = now_ms
        self._plans = {point.code: point for point in plan.points}
        self._held: dict[str, tuple[int, int, int]] = {}
        """Value, since when, and when it is read again, by point; `_due` is a lazy heap of the last."""
        self._due: list[tuple[int, str]] = []

    def take(self, item: Input, at_ms: int) -> None:
        """One input, and all that time brings before it."""
        self.until(at_ms)
        self._fold(item)
        if self.panel.reset is not None:
            for code, (value, since_ms, _) in list(self._held.items()):
                self._hold(self._plans[code], value, since_ms)

    def sample(self, reading: Reading, at_ms: int) -> None:
        """A reading by exception, which holds from now on."""
        self.take(reading, at_ms)
        plan = self._plans.get(reading.point)
        if plan is None or reading.value is None:
            self._held.pop(reading.point, None)
        else:
            self._hold(plan, reading.value, self.now_ms)

    def until(self, at_ms: int) -> None:
        """Let time pass up to `at_ms`."""
        while True:
            due_ms = self._due[0][0] if self._due else None
            next_ms = min((at for at in (due_ms, self._wake_at) if at is not None), default=None)
            if next_ms is None or next_ms > at_ms:
                break
            self.now_ms = max(self.now_ms, next_ms)
            if self._wake_at is not None and self._wake_at <= next_ms:
                self._fold(TICK)
            else:
                self._read_again(*heappop(self._due))
        self.now_ms = max(self.now_ms, at_ms)

    def restart(self, at_ms: int, off_ms: int) -> None:
        """The agent was off for `off_ms`, as far as that is known, and starts: nothing is held any more."""
        self.now_ms = max(self.now_ms, at_ms)
        self._held.clear()
        self._due.clear()
        self.panel, restored = restore(self.panel.plan, snapshot(self.panel), self.now_ms, off_ms)
        self._tell(restored)
        self._fold(TICK)

    def _fold(self, item: Input) -> None:
        self.panel, transitions, self._wake_at = fold(self.panel, item, self.now_ms)
        self._tell(transitions)

    def _tell(self, transitions: Iterable[Transition]) -> None:
        for transition in transitions:
            self._told(transition)

    def _read_again(self, due_ms: int, code: str) -> None:
        held = self._held.get(code)
        if held is None or held[2] != due_ms:
            return
        self._fold(Reading(code, held[0]))
        self._hold(self._plans[code], held[0], held[1])

    def _hold(self, plan: PointPlan, value: int, since_ms: int) -> None:
        if self.panel.reset is not None:
            every_ms = POLL_MS
        elif isinstance(plan.rule, HeatRule):
            every_ms = POLL_MS if self.now_ms - since_ms < HEAT_FRESH_MS else HEAT_REST_MS
        elif plan.fault_after_ms is not None:
            every_ms = max(1, plan.fault_after_ms // 2)
        else:
            self._held.pop(plan.code, None)
            return
        self._held[plan.code] = (value, since_ms, self.now_ms + every_ms)
        heappush(self._due, (self.now_ms + every_ms, plan.code))
