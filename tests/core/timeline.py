"""A home's timeline: what the shell does around the fold, with the clock in the test's hand.

It ticks at every `wake_at`, feeds the readings that are kept up, and notes every transition with its time.
"""

import json
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path
from typing import Any

from edge.core.fold import fold
from edge.core.panel import new_panel
from edge.core.plan import Plan, PointPlan, Rule, ZonePlan
from edge.core.rule_memory import recall, remember
from edge.core.rules.contact import ContactRule
from edge.core.rules.heat import HeatRule
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.loop import LoopRule
from edge.core.rules.measure import MeasureRule
from edge.core.rules.pressure import PressureRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.snapshot import restore, snapshot
from edge.core.values import TICK, Class, Input, Operation, Reading, Transition, Unknown

CASES = Path(__file__).parent / "cases"
_RULES: dict[str, type[Rule]] = {
    "contact": ContactRule,
    "threshold": ThresholdRule,
    "loop": LoopRule,
    "heat": HeatRule,
    "pressure": PressureRule,
    "leakage": LeakageRule,
    "measure": MeasureRule,
}
_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def ms(text: str) -> int:
    """Milliseconds of "400ms", "10.5s", "24h"."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return round(float(number) * _UNITS_MS[text[len(number) :]])


def home(supervised: bool = True, only: Collection[str] = ()) -> Plan:
    """The home of the cases; or a smaller one that has `only` these of its points."""
    table = tomllib.loads((CASES / "home.toml").read_text("utf-8"))
    rules = {name: _rule(rule) for name, rule in table["rules"].items()}
    points = tuple(
        _point(code, dict(point), rules, supervised)
        for code, point in table["points"].items()
        if not only or code in only
    )
    zones = (
        ZonePlan(code, ms(zone["confirm_after"]), ms(zone.get("reset_pulse", "0s")))
        for code, zone in table["zones"].items()
    )
    return Plan(points, tuple(zones))


def _rule(table: Mapping[str, Mapping[str, Any]]) -> Rule:
    ((kind, figures),) = table.items()
    if kind == "leakage":
        figures = {**figures, "limits": _rule({"threshold": figures["limits"]})}
    known = _RULES[kind].__dataclass_fields__
    made = {name if name in known else f"{name}_ms": value for name, value in figures.items()}
    made = {name: ms(value) if name.endswith("_ms") else value for name, value in made.items()}
    if kind == "threshold":
        made = {"early": None, "early_after_ms": 0, **made}
    return _RULES[kind](**made)


def _point(code: str, table: dict[str, Any], rules: Mapping[str, Rule], supervised: bool) -> PointPlan:
    fault_after = table.pop("fault_after", "60s")
    early, operation = table.pop("early", None), table.pop("operation", None)
    stuck_after = table.pop("stuck_after", None)
    return PointPlan(
        code=code,
        place=code,
        rule=rules[table.pop("rule")],
        condition=Class(table.pop("class")),
        early=Class(early) if early else None,
        operation=Operation(operation) if operation else None,
        stuck_after_ms=ms(stuck_after) if stuck_after else None,
        fault_after_ms=ms(fault_after) if supervised and fault_after != "none" else None,
        **table,
    )


def reading(code: str, value: int | str) -> Reading:
    """A value, or the name of the reason why there is none."""
    return Reading(code, value) if isinstance(value, int) else Reading(code, None, Unknown(value))


class Timeline:
    """A panel and the shell's share of it: `noted` has every transition, `now_ms` and `wake_at` are the shell's."""

    def __init__(self, plan: Plan, now_ms: int = 0) -> None:
        self.panel = new_panel(plan, now_ms)
        self.now_ms = now_ms
        self.wake_at: int | None = now_ms
        self.noted: list[Transition] = []
        self._kept: dict[str, tuple[Iterator[int | str], int]] = {}
        self._next: dict[str, int] = {}

    def take(self, item: Input) -> None:
        """One input now."""
        self.panel, transitions, self.wake_at = fold(self.panel, item, self.now_ms)
        assert self.wake_at is None or self.wake_at > self.now_ms
        self.noted.extend(transitions)

    def keep(self, code: str, values: int | str | list[int | str], every_ms: int) -> None:
        """Read this value again and again from now on, or these in turn."""
        self._kept[code] = (cycle(values if isinstance(values, list) else [values]), every_ms)
        self._next[code] = self.now_ms

    def drift(self, code: str, start: int, per_day: int, every_ms: int) -> None:
        """Read a value that moves steadily from now on."""
        began_ms = self.now_ms
        self._kept[code] = (
            (start + per_day * (self.now_ms - began_ms) // _UNITS_MS["d"] for _ in count()),
            every_ms,
        )
        self._next[code] = self.now_ms

    def stop(self, code: str) -> None:
        """The point falls silent: neither value nor reason."""
        del self._kept[code], self._next[code]

    def until(self, now_ms: int) -> None:
        """Let time pass up to `now_ms`, that moment included."""
        while (next_ms := self._next_ms()) is not None and next_ms <= now_ms:
            self.now_ms = next_ms
            if self.wake_at is not None and self.wake_at <= next_ms:
                self.take(TICK)
            self._feed()
        self.now_ms = now_ms

    def _next_ms(self) -> int | None:
        return min((at for at in (self.wake_at, *self._next.values()) if at is not None), default=None)

    def _feed(self) -> None:
        for code, (values, every_ms) in self._kept.items():
            if self._next[code] <= self.now_ms:
                self._next[code] = self.now_ms + every_ms
                self.take(reading(code, next(values)))

    def restart(self, without: tuple[str, ...] = (), moved: Mapping[str, str] | None = None, off_ms: int = 0) -> None:
        """An orderly stop and a start, `off_ms` later by a clock that is trusted; points may have been removed or put
        into another zone meanwhile."""
        self.take(TICK)
        moved = moved or {}
        plan = self.panel.plan
        left = (point for point in plan.points if point.code not in without)
        plan = replace(plan, points=tuple(replace(point, zone=moved.get(point.code, point.zone)) for point in left))
        saved = json.loads(json.dumps(snapshot(self.panel)))
        days = json.loads(json.dumps(remember(self.panel)))
        self.panel, restored = restore(plan, saved, self.now_ms, off_ms)
        self.noted += [*restored, *recall(self.panel, days, off_ms)]
        self.take(TICK)
