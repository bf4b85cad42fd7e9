"""The engine: takes readings and acts in, folds them, and hands what came of it on — to people first, then to memory.

It runs on the loop's thread and never waits: outputs return at once, the journal takes a note and writes it elsewhere.
It sleeps until the fold's next deadline. The same engine runs in the agent and in the demonstration's light homes.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from edge.clock import Clock
from edge.core.fold import fold
from edge.core.panel import Panel
from edge.core.plan import Plan
from edge.core.readings import believed, refuses_some
from edge.core.refusals import refusal
from edge.core.reload import reload
from edge.core.rule_memory import recall, remember
from edge.core.signals import Signals, signals
from edge.core.snapshot import restore, snapshot
from edge.core.values import TICK, Act, Hour, Input, Kind, Learned, Reading, Refusal, Transition
from edge.report import PanelReport
from edge.view import report

log = logging.getLogger("shouwang.engine")

_SOUNDING = frozenset({Kind.RAISE, Kind.RESTORE, Kind.RESOUND})


class Shown(Protocol):
    """Whatever shows the signals to people."""

    def show(self, wanted: Signals) -> None:
        """Drive every output as wanted. Returns at once."""


class Memory(Protocol):
    """Whatever remembers. Neither call waits for a disk."""

    def record(
        self, transitions: Sequence[Transition], sounded_ms: int | None = None, snapshot: bytes | None = None
    ) -> None: ...

    def observe(self, readings: Sequence[Reading], mono_ms: int) -> None: ...


class Engine:
    """One home's decision, from readings to outputs.

    `saved` is the panel as it was recorded last, `off_ms` how long ago that was, as far as that can be believed;
    `unsaved_ms` how much longer it may have run after that.
    `config_hash` names the configuration, and `loosened` is what it loosens (point, text): put on record once, with the
    first start of that configuration. `remembered` is what rules remembered of days, `forgot_ms` how long ago.
    `on_change` is called with a new report after every transition.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        outputs: Shown,
        memory: Memory,
        saved: bytes | None = None,
        off_ms: int = 0,
        unsaved_ms: int = 0,
        on_change: Callable[[PanelReport], None] | None = None,
        config_hash: str = "",
        loosened: Sequence[tuple[str, str]] = (),
        remembered: Mapping[str, Any] | None = None,
        forgot_ms: int = 0,
    ) -> None:
        self._clock = clock
        self._outputs = outputs
        self._memory = memory
        self._on_change = on_change or (lambda _: None)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._failing: set[Callable[..., None]] = set()
        self._undecided: set[str] = set()
        now_ms = clock.mono_ms()
        self._refusing = frozenset(point.code for point in plan.points if refuses_some(point.rule))
        self._config_hash = config_hash
        table = _saved(saved)
        self.panel, restored = restore(plan, table, now_ms, off_ms, unsaved_ms)
        lost = recall(self.panel, remembered or {}, forgot_ms)
        self.wanted = signals(self.panel)
        is_new = table is None or table.get("config") != config_hash
        said = [Transition(Kind.LOOSEN, now_ms, subject=point, why=text) for point, text in loosened if is_new]
        self._publish((Transition(Kind.START, now_ms), *said, *restored, *lost))

    def take(self, readings: Sequence[Reading]) -> None:
        """Decide on readings, in their order of arrival. A rule that fails costs its own point only, which becomes a
        fault when its time is up."""
        now_ms = self._clock.mono_ms()
        for reading in readings:
            try:
                self._fold(reading, now_ms)
            except Exception:
                self._say_undecided(reading.point)
        self._remember(self._memory.observe, self._believed(readings), now_ms)

    def _believed(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """As they are remembered: a number that its rule refuses is none (DESIGN.md, promise 4)."""
        refusing = self._refusing
        if not any(reading.point in refusing for reading in readings):
            return readings
        return [believed(self.panel, reading) if reading.point in refusing else reading for reading in readings]

    def tell(self, item: Hour | Learned) -> None:
        """Say what hour it is, or what was learned of a point."""
        self._fold(item, self._clock.mono_ms())

    def remembered(self) -> dict[str, Any]:
        """What rules remember of days, for the next start."""
        return remember(self.panel)

    def saved(self) -> bytes:
        """The panel as it is now, for `saved` of the next start."""
        return json.dumps(snapshot(self.panel) | {"config": self._config_hash}).encode()

    def act(self, act: Act) -> Refusal | None:
        """Carry out what a person asked for, or say why not."""
        now_ms = self._clock.mono_ms()
        self._fold(TICK, now_ms)
        refused = refusal(self.panel, act)
        if refused is None:
            self._fold(act, now_ms)
        return refused

    def reload(self, plan: Plan, config_hash: str, loosened: Sequence[tuple[str, str]] = ()) -> None:
        """Go on under another plan. State is kept by point; what stood for a point that is no more ends on record."""
        now_ms = self._clock.mono_ms()
        self._fold(TICK, now_ms)
        remembered = remember(self.panel)
        unchanged = {code for code, point in self.panel.points.items() if point.plan in plan.points}
        self.panel, ended = reload(self.panel, plan, now_ms)
        lost = recall(self.panel, {code: kept for code, kept in remembered.items() if code not in unchanged})
        self._refusing = frozenset(point.code for point in plan.points if refuses_some(point.rule))
        self._config_hash = config_hash
        self._undecided.clear()
        said = [Transition(Kind.LOOSEN, now_ms, subject=point, why=text) for point, text in loosened]
        self._publish((Transition(Kind.RELOAD, now_ms, why=f"config={config_hash}"), *said, *ended, *lost))
        self._timer_ms = 0
        self.tick()

    def tick(self) -> None:
        """Let time pass."""
        self._fold(TICK, self._clock.mono_ms())

    def stop(self) -> None:
        """Put the end on record; outputs are the caller's to release."""
        if self._timer is not None:
            self._timer.cancel()
        self._publish((Transition(Kind.STOP, self._clock.mono_ms()),))

    def assert_outputs(self) -> None:
        """Show the state once more, so that a lost edge or a restarted relay board silences nothing.

        Worked out anew, because the lamps of points follow readings that make no transition.
        """
        self.wanted = signals(self.panel)
        self._outputs.show(self.wanted)

    def _fold(self, item: Input, now_ms: int) -> None:
        panel = self.panel
        reset, self_test, is_cut = panel.reset, panel.self_test, _is_cut(panel)
        self.panel, transitions, wake_at = fold(panel, item, now_ms)
        # Some of what is driven changes with time alone, and that is no transition.
        is_moved = panel.reset is not reset or panel.self_test is not self_test or _is_cut(panel) is not is_cut
        if transitions or is_moved:
            self._publish(transitions)
        if wake_at is not None and wake_at != self._timer_ms:
            self._sleep_until(wake_at)

    def _publish(self, transitions: tuple[Transition, ...]) -> None:
        # People first: the outputs are driven before anything is remembered or told to another machine.
        self.wanted = signals(self.panel)
        self._outputs.show(self.wanted)
        if transitions:
            sounds = self.wanted.sound is not None and any(item.kind in _SOUNDING for item in transitions)
            sounded_ms = self._clock.mono_ms() if sounds else None
            self._remember(self._memory.record, transitions, sounded_ms, self.saved())
            self._remember(self._on_change, report(self.panel))

    def _remember(self, do: Callable[..., None], *what: Any) -> None:
        """Whoever remembers or tells may fail; who decides goes on, and says so once."""
        try:
            do(*what)
        except Exception:
            if do not in self._failing:
                log.exception("what was decided could not be remembered or told")
            self._failing.add(do)
        else:
            self._failing.discard(do)

    def _say_undecided(self, point: str) -> None:
        if point not in self._undecided:
            log.exception("the reading of %s could not be decided on", point)
        self._undecided.add(point)

    def _sleep_until(self, wake_at: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer_ms = wake_at
        self._timer = loop.call_later((wake_at - self._clock.mono_ms()) / 1000, self._wake)

    def _wake(self) -> None:
        self._timer_ms = 0
        self.tick()


def _is_cut(panel: Panel) -> bool:
    return panel.walk_test is not None and panel.walk_test.is_cut


def _saved(saved: bytes | None) -> dict[str, Any] | None:
    """What was saved; an empty table where that cannot be read, which the core makes a gap of."""
    if not saved:
        return None
    try:
        table = json.loads(saved)
    except (ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}
