"""The core alone: how many decisions a second on one core, and is it the same for a small home and a big one?

    python bench/core.py [--json] [--decisions N]

A decision is one Reading through the whole fold. The points are mixed as in a home (smoke contacts, leakage, cable and
ceiling temperatures, loops, extinguishers), judged by the shipped rule profile with all that it has, and read once a
second; every analogue value moves. Episodes of smoke, leakage, hot cables and broken loops come and go, with the resets
that they need, so that at least one decision in a thousand is a transition, acts not counted. The shell's ticks are
part of the time. Time is this thread's processor time, in batches that are made beforehand.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from bench._report import report
from edge.core.fold import fold
from edge.core.panel import Panel, new_panel
from edge.core.plan import Plan, PointPlan, Rule, ZonePlan
from edge.core.rules.pressure import PressureRule
from edge.core.values import TICK, Act, Hour, Input, Kind, Learned, Operation, Reading, Transition
from edge.rulebook import KindRules, core_rule, load_rulebook
from edge.schema import Mistakes

TARGET_PER_S = 300_000
SIZES = (10, 100, 500)
BATCH = 2_000
"""Decisions in one batch: small enough to be as fresh in the cache as a poll's readings are."""
EPISODE = 1 / 800
"""How often a reading begins an episode. Most are two transitions; an alarm that is latched already makes none."""

MIX = (
    "smoke", "leakage", "smoke", "cable_temperature", "pressure", "room_temperature", "heat", "smoke", "loop",
    "leakage", "smoke", "leakage",
)  # fmt: skip
"""Twelve points of a home, in the proportion of the example's; an extinguisher has the room's temperature beside it."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a kind of point reads: unit and scale, a usual value and how far it moves, and its value in an episode."""

    unit: str
    scale: int
    usual: int
    noise: int
    episode: int
    episode_s: int


QUANTITIES = {
    "smoke": Quantity("", 0, 0, 0, 1, 5),
    "leakage": Quantity("mA", 0, 90, 15, 250, 15),
    "cable_temperature": Quantity("°C", -1, 350, 8, 640, 15),
    "heat": Quantity("°C", -3, 21_000, 150, 21_000, 1),
    "pressure": Quantity("MPa", -3, 1_200, 3, 1_200, 1),
    "room_temperature": Quantity("°C", -3, 21_000, 150, 21_000, 1),
    "loop": Quantity("V", -3, 1_650, 12, 3_000, 5),
}


def plan(size: int) -> Plan:
    """A home of `size` points on buses of a hundred and units of ten."""
    rules = {kind: _rules(kind) for kind in QUANTITIES}
    points = (_point(n, MIX[n % len(MIX)], *rules[MIX[n % len(MIX)]]) for n in range(size))
    return Plan(tuple(points), tuple(ZonePlan(f"z{n}") for n in range(1 + size // 20)))


def _rules(kind: str) -> tuple[Rule, KindRules]:
    mistakes = Mistakes("bench")
    rules = load_rulebook("cn-2026").of_kind(kind, {}, kind, mistakes)
    assert rules is not None
    rule = core_rule(rules, QUANTITIES[kind].unit, QUANTITIES[kind].scale, kind, mistakes)
    assert rule is not None, mistakes.lines
    return rule, rules


def _point(n: int, kind: str, rule: Rule, rules: KindRules) -> PointPlan:
    if isinstance(rule, PressureRule):
        rule = replace(rule, beside=f"room_temperature-{n + 1}")
    bus = "gpio" if kind == "smoke" else f"bus{n // 100}"
    unit = "" if kind == "smoke" else f"{bus}/{n // 10}"
    return PointPlan(f"{kind}-{n}", f"z{n // 20}", kind, rule, rules.class_, rules.early_class, bus, unit)


@dataclass(slots=True)
class World:
    """What the points read, second by second."""

    points: tuple[PointPlan, ...]
    chance: random.Random = field(default_factory=lambda: random.Random(20260301))
    now_ms: int = 0
    ends_ms: dict[str, int] = field(default_factory=dict)

    def inputs(self) -> Iterator[tuple[int, Input]]:
        """Inputs with their time, without end: every point once a second, and a reset when a fire has burned out."""
        while True:
            self.now_ms += 1_000
            for point in self.points:
                yield self.now_ms, self._reading(point)
            if self.now_ms % 60_000 == 0:
                yield self.now_ms, Act(Operation.RESET, "bench")

    def _reading(self, point: PointPlan) -> Reading:
        quantity = QUANTITIES[point.place]
        if self.chance.random() < EPISODE and quantity.episode != quantity.usual:
            self.ends_ms[point.code] = self.now_ms + quantity.episode_s * 1_000
        value = quantity.episode if self.ends_ms.get(point.code, 0) > self.now_ms else quantity.usual
        return Reading(point.code, value + self.chance.randint(-quantity.noise, quantity.noise))


@dataclass(slots=True)
class Shell:
    """Folds inputs as the agent does, ticking when the fold asked for it, and counts."""

    panel: Panel
    wake_at: int | None = None
    transitions: int = 0
    raises: int = 0

    def take(self, batch: list[tuple[int, Input]]) -> None:
        panel, wake_at = self.panel, self.wake_at
        for now_ms, item in batch:
            if wake_at is not None and wake_at < now_ms:
                panel, wake_at = self._tick(panel, wake_at, now_ms)
            panel, out, wake_at = fold(panel, item, now_ms)
            if out:
                self._count(out)
        self.panel, self.wake_at = panel, wake_at

    def _tick(self, panel: Panel, wake_at: int | None, now_ms: int) -> tuple[Panel, int | None]:
        while wake_at is not None and wake_at < now_ms:
            panel, out, wake_at = fold(panel, TICK, wake_at)
            self._count(out)
        return panel, wake_at

    def _count(self, out: tuple[Transition, ...]) -> None:
        for transition in out:
            self.transitions += transition.kind is not Kind.RESET
            self.raises += transition.kind is Kind.RAISE


def measure(size: int, decisions: int) -> dict[str, float | int]:
    """One home's figures."""
    home = plan(size)
    shell, inputs = Shell(new_panel(home, 0)), World(home.points).inputs()
    shell.take([(0, Learned(point.code, (120,) * 24)) for point in home.points] + [(0, Hour(3))])
    shell.take([next(inputs) for _ in range(20 * size)])  # every point heard, every rule past its first values
    shell.transitions = shell.raises = 0
    rates = []
    for _ in range(decisions // BATCH):
        batch = [next(inputs) for _ in range(BATCH)]
        began_ns = time.thread_time_ns()
        shell.take(batch)
        rates.append(BATCH * 1e9 / (time.thread_time_ns() - began_ns))
    taken = len(rates) * BATCH
    spans = sorted(_spans(shell, inputs))
    return {
        "points": size,
        "decisions_per_s": round(statistics.harmonic_mean(rates)),
        "median_batch_per_s": round(statistics.median(rates)),
        "p50_us": spans[len(spans) // 2] / 1_000,
        "p99_us": spans[len(spans) * 99 // 100] / 1_000,
        "decisions": taken,
        "transitions": shell.transitions,
        "raises": shell.raises,
        "transitions_per_1000": 1_000 * shell.transitions / taken,
    }


def _spans(shell: Shell, inputs: Iterator[tuple[int, Input]]) -> list[int]:
    """Nanoseconds of single decisions, the timer's own share included."""
    panel, spans = shell.panel, []
    clock: Callable[[], int] = time.perf_counter_ns
    for now_ms, item in [next(inputs) for _ in range(10 * BATCH)]:
        began_ns = clock()
        panel, _, _ = fold(panel, item, now_ms)
        spans.append(clock() - began_ns)
    return spans


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--decisions", type=int, default=400_000, help="decisions for each size of home")
    options = parser.parse_args()
    homes = [measure(size, options.decisions) for size in SIZES]
    slowest = min(home["decisions_per_s"] for home in homes)
    figures = {
        "target_per_s": TARGET_PER_S,
        "slowest_per_s": slowest,
        "is_reached": slowest >= TARGET_PER_S,
        "biggest_by_smallest": homes[-1]["decisions_per_s"] / homes[0]["decisions_per_s"],
        "homes": homes,
    }
    report("core", figures, options.json)


if __name__ == "__main__":
    main()
