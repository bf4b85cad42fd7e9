"""`shouwang-edge simulate-config`: what would have rung, had another configuration watched over the last days.

The same core decides, on what the journal kept. Nothing of it touches the running agent: the journal is opened for
reading only, a few rows at a time. What the record cannot tell is said beside what it does tell.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device import wire
from edge import config
from edge.config import Setup
from edge.core.replay import Replay
from edge.core.rules.contact import ContactRule
from edge.core.rules.heat import HeatRule
from edge.core.rules.leakage import LeakageRule
from edge.core.values import Act, Class, Hour, Kind, Operation, Reading, Transition
from edge.field.history import Coverage, History, Item
from edge.field.rings import Difference, Key, Ring, Rings, as_table, compare
from edge.journal.reading import reading
from edge.own_points import is_reserved

LISTED = 5
"""Rings listed for one point on the screen; --json has them all."""
_NOT_REPLAYED = frozenset({Kind.DISABLE, Kind.WALK_TEST})
"""What a person put out of service: for how long is not on record with it."""
_RINGING = frozenset({Class.FIRE, Class.ELECTRICAL, Class.EARLY_WARNING, Class.SUPERVISORY, Class.FAULT})


def add(commands: Any, command: Any) -> None:
    """Add the command; `command` makes one with the options that all of them have."""
    text = "replay the journal's last days through another configuration: what would have rung, beside what did"
    simulate = command(commands, "simulate-config", text, _simulate)
    simulate.add_argument("--data", type=Path, metavar="DIR", help="the data folder (default: the configuration's)")
    simulate.add_argument("--days", type=_days, default=7.0, metavar="N", help="how far to go back (default: 7)")
    simulate.add_argument("--json", action="store_true", help="the whole answer as one JSON object")


def _days(word: str) -> float:
    try:
        days = float(word)
    except ValueError:
        days = 0.0
    if not 0 < days <= 3660:
        raise argparse.ArgumentTypeError(f"expected a number of days, more than 0, got {word!r}")
    return days


def _simulate(options: argparse.Namespace) -> int:
    setup = config.load(options.config)
    progress = _Progress(sys.stderr.isatty() and not options.json)
    answer = simulate(setup, options.data or Path(setup.gateway.data), options.days, progress.show)
    progress.end()
    if options.json:
        print(json.dumps(answer.table(), ensure_ascii=False))
    else:
        for line in answer.lines(str(options.config)):
            print(line)
    return 0


class _Progress:
    def __init__(self, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._percent = -1

    def show(self, share: float) -> None:
        if self._is_shown and int(share * 100) != self._percent:
            self._percent = int(share * 100)
            print(f"\r  {self._percent:3} % of the readings", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Answer:
    """What came of a simulation."""

    def __init__(
        self, setup: Setup, days: float, coverage: Coverage, did: Rings, would: Rings, heard: set[str], service: int
    ) -> None:
        self.setup = setup
        self.days = days
        self.coverage = coverage
        self._points = {point.code: point for point in setup.points}
        watched = [plan for plan in setup.plan.points if plan.operation is None]
        self.without_history = [plan.code for plan in watched if plan.code not in heard and not is_reserved(plan.code)]
        self._unheard = _unheard(setup, heard)
        self.differences = [item for item in compare(did, would) if not self._is_unheard(item.key)]
        self.uncounted = did.uncounted + would.uncounted
        buttons = {plan.code for plan in setup.plan.points if plan.operation is not None}
        self.not_watched = sorted(code for code in heard - set(self._points) - buttons if not is_reserved(code))
        self.approximate = _approximate(setup)
        self.service = service

    def _is_unheard(self, key: Key) -> bool:
        """That nothing was heard of a point the home did not have is no fault of it."""
        return key.condition == Class.FAULT and key.subject in self._unheard

    def table(self) -> dict[str, Any]:
        """As one JSON object."""
        coverage = self.coverage
        return {
            "home": self.setup.home.code, "gateway": self.setup.gateway.code, "config": self.setup.config_hash,
            "rules": self.setup.gateway.rules, "days": self.days,
            "from_wall_ms": coverage.first_wall_ms, "to_wall_ms": coverage.last_wall_ms,
            "readings": coverage.readings, "events": coverage.events, "boots": coverage.boots,
            "untrusted_times": coverage.untrusted, "unreadable": coverage.unreadable, "gaps": coverage.gaps,
            "rings": [self._row(item) for item in self.differences], "rings_not_listed": self.uncounted,
            "without_history": self.without_history, "not_watched": self.not_watched,
            "approximate": self.approximate, "disablements_and_tests": self.service,
            "deadbands": {code: band for code, band in self.setup.deadbands.items() if band > 1},
        }  # fmt: skip

    def _row(self, item: Difference) -> dict[str, Any]:
        point = self._points.get(item.key.subject)
        return {
            "point": item.key.subject, "place": point.place if point else "", "class": item.key.condition,
            "unit": point.unit if point else "", "scale": point.scale if point else 0,
            "did": item.same + len(item.gone), "would": item.same + len(item.new), "same": item.same,
            "new": list(map(as_table, item.new)), "gone": list(map(as_table, item.gone)),
        }  # fmt: skip

    # --- for people

    def lines(self, name: str) -> Iterable[str]:
        """What to print."""
        coverage = self.coverage
        if not coverage.readings and not coverage.events:
            yield "the journal holds nothing of these days"
            return
        hours = (coverage.last_wall_ms - coverage.first_wall_ms) / 3_600_000
        span = f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
        yield f"{name}: replayed {span}, {_when(coverage.first_wall_ms)} to {_when(coverage.last_wall_ms)}"
        yield f"  {coverage.readings} readings and {coverage.events} events"
        different = [item for item in self.differences if item.new or item.gone]
        same = sum(item.same for item in self.differences)
        yield f"what would be as it was: {same} rings"
        yield "what would be different:" if different else "nothing would be different"
        for item in different:
            yield from self._different(item)
        yield from self._limits()

    def _different(self, item: Difference) -> Iterable[str]:
        point = self._points.get(item.key.subject)
        place = f"{point.place} ({item.key.subject})" if point else item.key.subject
        counts = f"rang {item.same + len(item.gone)}, would ring {item.same + len(item.new)}"
        yield f"  {item.key.condition.upper():14} {place}: {counts}"
        for word, rings in (("new", item.new), ("gone", item.gone)):
            for ring in rings[:LISTED]:
                yield f"    {word:4} {_when(ring.wall_ms)}  {_lasted(ring)}{_valued(ring, point)}"
            if len(rings) > LISTED:
                yield f"    {word:4} and {len(rings) - LISTED} more"

    def _limits(self) -> Iterable[str]:
        coverage = self.coverage
        yield "what this cannot know:"
        yield "  readings were kept where they moved by more than their deadband, and every 15 minutes; between them"
        yield "  the last one is taken to have held. A latched alarm ends with the next reset that was recorded."
        yield "  Whether a value is stuck cannot be told from a record that leaves out what did not move."
        if self.approximate:
            for why, codes in self.approximate.items():
                yield f"  {why}: {_few(codes)}"
        if self.without_history:
            yield f"  no history, so nothing is said about them: {_few(self.without_history)}"
        if self.not_watched:
            yield f"  in the record, but not in this configuration: {_few(self.not_watched)}"
        if self.service:
            yield f"  {self.service} disablements and walk tests were not replayed: it may ring what was out of service"
        if coverage.gaps:
            yield f"  the record has {len(coverage.gaps)} gaps: {_few(coverage.gaps)}"
        if coverage.boots:
            yield f"  the machine was started {coverage.boots} times in between; nobody measured while it was off"
        if coverage.untrusted:
            yield f"  {coverage.untrusted} entries carry a time that nobody vouched for"
        if coverage.unreadable:
            yield f"  {coverage.unreadable} entries could not be read (shouwang-edge verify says where)"
        if self.uncounted:
            yield f"  {self.uncounted} rings beyond the first ones were not compared"


def simulate(setup: Setup, data: Path, days: float, progress: Callable[[float], None]) -> Answer:
    """Replay. JournalError where there is no journal to read."""
    with reading(data) as disk:
        history = History(disk, days, progress)
        run = _Run(setup, history.from_wall_ms)
        for item in history:
            run.take(item)
    return Answer(setup, days, history.coverage, run.did, run.would, run.heard, run.service)


class _Run:
    """Feeds the timeline to the core, and notes both sides' rings."""

    def __init__(self, setup: Setup, from_wall_ms: int) -> None:
        self.did, self.would = Rings(), Rings()
        self.heard: set[str] = set()
        self.service = 0
        self._from_wall_ms = from_wall_ms
        self._is_counting = False
        self._wall_of_zero_ms = 0
        self._buttons = {plan.code for plan in setup.plan.points if plan.operation is not None}
        self._hour: int | None = None
        # A value that is taken to have held would look like one that is stuck.
        points = tuple(replace(plan, stuck_after_ms=None) for plan in setup.plan.points)
        self._replay = Replay(replace(setup.plan, points=points), 0, self._told)

    def take(self, item: Item) -> None:
        """The next item of the timeline."""
        at_ms, wall_ms, what = item.at_ms, item.wall_ms, item.what
        self._wall_of_zero_ms = wall_ms - at_ms
        self._tell_hour(item)
        if not self._is_counting and wall_ms >= self._from_wall_ms:
            self._is_counting = True
            self._replay.until(at_ms)
            self.did.forget()
            self.would.forget()
        if isinstance(what, Reading):
            self.heard.add(what.point)
            if what.point in self._buttons and what.value is not None:
                what = what._replace(value=0)  # it was there; what it did is recorded as an act
            self._replay.sample(what, at_ms)
        else:
            self._take_event(what, at_ms, item.off_ms if item.is_after_boot else 0)

    def _tell_hour(self, item: Item) -> None:
        hour = time.localtime(item.wall_ms / 1000).tm_hour if item.clock_ok else None
        if hour != self._hour:
            self._hour = hour
            self._replay.take(Hour(hour), item.at_ms)

    def _take_event(self, event: wire.Event, at_ms: int, off_ms: int) -> None:
        key = Key(event.point, event.condition or "")
        if event.kind == Kind.START:
            self._replay.restart(at_ms, off_ms)
        elif event.kind == Kind.RAISE and event.condition in _RINGING:
            self.did.raised(key, at_ms, event.wall_ms, event.value)
        elif event.kind == Kind.CLEAR and event.condition in _RINGING:
            self.did.cleared(key, at_ms)
        elif event.kind in _NOT_REPLAYED:
            self.service += 1
        elif event.kind in (Kind.ACKNOWLEDGE, Kind.SILENCE, Kind.RESET) and event.who:
            self._replay.take(Act(Operation(event.kind), event.who, event.why), at_ms)

    def _told(self, transition: Transition) -> None:
        if transition.condition not in _RINGING:
            return
        key = Key(transition.subject, str(transition.condition))
        if transition.kind is Kind.RAISE:
            wall_ms = self._wall_of_zero_ms + transition.at_ms
            self.would.raised(key, transition.at_ms, wall_ms, transition.value)
        elif transition.kind is Kind.CLEAR:
            self.would.cleared(key, transition.at_ms)


def _unheard(setup: Setup, heard: set[str]) -> set[str]:
    """The points, units and buses of which the record has no reading at all."""
    groups: dict[str, bool] = {}
    for plan in setup.plan.points:
        for name in {plan.code, plan.bus, plan.unit}:
            groups[name] = groups.get(name, False) or plan.code in heard
    return {name for name, is_heard in groups.items() if not is_heard}


def _approximate(setup: Setup) -> dict[str, list[str]]:
    """Which points the record can judge only roughly, by why."""
    found: dict[str, list[str]] = {}
    for plan in setup.plan.points:
        if plan.operation is not None or is_reserved(plan.code):
            continue
        if isinstance(plan.rule, HeatRule):
            why = "rate of rise is approximate: steps of a deadband stand for a smooth curve"
        elif isinstance(plan.rule, ContactRule):
            why = "contacts are approximate: bounce, flapping and closures under a second were not kept"
        elif isinstance(plan.rule, LeakageRule):
            why = "trend is approximate, and what a point has learned is not replayed"
        else:
            continue
        found.setdefault(why, []).append(plan.code)
    return found


def _when(wall_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall_ms / 1000))


def _lasted(ring: Ring) -> str:
    if ring.for_ms is None:
        return "to the end"
    seconds = ring.for_ms / 1000
    return f"for {seconds:.0f} s" if seconds < 120 else f"for {seconds / 60:.0f} min"


def _valued(ring: Ring, point: wire.Point | None) -> str:
    if ring.value is None or point is None or not point.unit:
        return ""
    digits = max(0, -point.scale)
    return f", at {ring.value * 10.0**point.scale:.{min(digits, 3)}f} {point.unit}"


def _few(words: Sequence[str]) -> str:
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
