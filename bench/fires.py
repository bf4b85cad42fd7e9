"""Real compartment fires through the core: how long before and after a fixed threshold does the heat profile speak?

    python bench/fires.py DIR [--json] [--rules cn-2026] [--kind heat]

DIR holds one CSV per fire: `t_s` (seconds from ignition, negative for the quiet room before it) and one column of
ceiling temperatures in °C per sensor. Every recording is folded by the core as a home with one point per column. Beside
the profile's early warning and alarm stand those of a plain 57 °C threshold on the same readings, with the profile's
own debounce, through the same core. Then the profile is given what must not raise: harmless ramps and spikes.

With --json the last line is one JSON object. `fires`: per file `early_s` (the first word, early warning or alarm),
`alarm_s` and `fixed_s` in seconds from ignition, null where there was none, `lead_s`, which is `fixed_s - early_s`, and
`raises_before`, the raises in the quiet minutes.
"""

import argparse
import csv
import json
import platform
import random
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edge.core.fold import fold
from edge.core.panel import new_panel
from edge.core.plan import Plan, PointPlan, ZonePlan
from edge.core.rules.heat import HeatRule
from edge.core.values import TICK, Class, Kind, Reading, Tick, Unknown
from edge.rulebook import core_rule, load_rulebook
from edge.schema import ConfigError, Mistakes

FIXED_MC = 57_000
"""What a plain heat detector compares with; EN 54-5 class A1 answers between 54 and 65 °C."""
UPHOLSTERED = ("Overstuffed", "RedAccent")
"""Fuels that start small and grow for a minute or more, so that they tell an early warning from a late one."""

Sample = tuple[int, tuple[int | None, ...]]
"""Milliseconds from ignition and one reading in m°C per sensor; None where the recording has none."""


@dataclass(frozen=True, slots=True)
class Raise:
    """A raise of the core: when, and what it means."""

    at_ms: int
    condition: Class


@dataclass(frozen=True, slots=True)
class Fire:
    """One recording's result, in seconds from ignition; None where nothing was raised."""

    file: str
    early_s: float | None
    alarm_s: float | None
    fixed_s: float | None
    raises_before: int

    @property
    def lead_s(self) -> float | None:
        """How long before the fixed threshold the first word came."""
        return None if self.early_s is None or self.fixed_s is None else self.fixed_s - self.early_s

    @property
    def is_late(self) -> bool:
        """Whether the fixed threshold alarmed first, or alone."""
        return self.fixed_s is not None and (self.alarm_s is None or self.alarm_s > self.fixed_s)


def heat_rule(rules: str, kind: str) -> HeatRule:
    """The heat rule that the shipped profile gives points of this kind. Raises ConfigError."""
    mistakes = Mistakes(f"rules/{rules}.toml")
    kind_rules = load_rulebook(rules).of_kind(kind, {}, kind, mistakes)
    rule = None if kind_rules is None else core_rule(kind_rules, "°C", -3, kind, mistakes)
    if mistakes.lines:
        raise ConfigError(mistakes.lines)
    if not isinstance(rule, HeatRule):
        raise ConfigError([f"rules/{rules}.toml: {kind}: expected a heat rule, got {type(rule).__name__}"])
    return rule


def fixed_rule(rule: HeatRule) -> HeatRule:
    """A threshold at 57 °C and nothing else, with the debounce of `rule`."""
    never = 10_000_000
    return replace(
        rule, static_mc=FIXED_MC, hot_mc=FIXED_MC - 1, early_rise_mc=never, hot_rise_mc=never, alarm_rise_mc=never
    )


def decide(rule: HeatRule, samples: Iterable[Sample]) -> list[Raise]:
    """Every early warning and fire that a home with one such point per sensor raises over `samples`."""
    samples = list(samples)
    codes = [f"heat-{number}" for number in range(len(samples[0][1]))]
    points = tuple(PointPlan(code, "room", code, rule, Class.FIRE, Class.EARLY_WARNING) for code in codes)
    start_ms = samples[0][0]
    panel = new_panel(Plan(points, (ZonePlan("room"),)), 0)
    raised: list[Raise] = []
    wake_at: int | None = None

    def take(item: Reading | Tick, now_ms: int) -> None:
        nonlocal panel, wake_at
        panel, transitions, wake_at = fold(panel, item, now_ms)
        for told in transitions:
            if told.kind is Kind.RAISE and told.condition in (Class.EARLY_WARNING, Class.FIRE):
                raised.append(Raise(told.at_ms + start_ms, told.condition))

    for at_ms, values in samples:
        while wake_at is not None and wake_at < at_ms - start_ms:
            take(TICK, wake_at)
        for code, value in zip(codes, values, strict=True):
            take(Reading(code, value, Unknown.SENSOR_BROKEN if value is None else None), at_ms - start_ms)
    return raised


def read_recording(path: Path) -> list[Sample]:
    """A recording's samples. Raises ValueError with the file and line of what is no number."""
    samples = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if number == 1:
                continue
            try:
                samples.append((_milli(row[0]), tuple(_milli(cell) if cell.strip() else None for cell in row[1:])))
            except (ValueError, IndexError, OverflowError) as error:
                raise ValueError(f"{path}: line {number}: expected numbers, got {row}") from error
    if not samples:
        raise ValueError(f"{path}: expected samples, got none")
    return samples


def _milli(cell: str) -> int:
    return round(float(cell) * 1000)


def judge(file: str, rule: HeatRule, samples: list[Sample]) -> Fire:
    """What the profile made of one fire, beside the fixed threshold."""
    raised = decide(rule, samples)
    fixed = decide(fixed_rule(rule), samples)
    return Fire(
        file,
        early_s=_first_s(raised, Class.EARLY_WARNING, Class.FIRE),
        alarm_s=_first_s(raised, Class.FIRE),
        fixed_s=_first_s(fixed, Class.FIRE),
        raises_before=sum(item.at_ms < 0 for item in raised),
    )


def _first_s(raised: list[Raise], *classes: Class) -> float | None:
    times = [item.at_ms for item in raised if item.condition in classes and item.at_ms >= 0]
    return min(times) / 1000 if times else None


def ramps(seed: int = 1) -> Iterator[tuple[str, list[Sample]]]:
    """Rooms that warm up by 5 °C/min over ten minutes and stay there, from -10 to 25 °C, at the periods of real
    sources and with the noise of real sensors."""
    chance = random.Random(seed)
    for start_c in range(-10, 26, 5):
        for period_ms in (500, 1000, 2000, 5000):
            for noise_mc in (0, 100, 300):
                name = f"from {start_c} °C each {period_ms} ms, noise {noise_mc / 1000} °C"
                times_ms = range(0, 15 * 60_000, period_ms)
                room_mc = [start_c * 1000 + _warmed_mc(at_ms) + round(chance.gauss(0, noise_mc)) for at_ms in times_ms]
                yield name, [(at_ms, (mc,)) for at_ms, mc in zip(times_ms, room_mc, strict=True)]


def _warmed_mc(at_ms: int) -> int:
    return 5 * min(max(at_ms - 60_000, 0), 600_000) // 60


def spikes() -> Iterator[tuple[str, list[Sample]]]:
    """A room at 21 °C in which single samples are off by anything, once in ten and every other one."""
    for period_ms in (500, 1000, 2000, 5000):
        for height_c in (-1000, -60, -20, 5, 10, 36, 60, 200, 1000):
            for every in (2, 3, 10):
                name = f"{height_c} °C in one of {every} samples of {period_ms} ms"
                heights_mc = [height_c * 1000 if number % every == 1 else 0 for number in range(300)]
                yield name, [(number * period_ms, (21_000 + mc,)) for number, mc in enumerate(heights_mc)]


def raising(rule: HeatRule, cases: Iterable[tuple[str, list[Sample]]]) -> tuple[int, list[str]]:
    """How many cases there were, and the names of those that raised."""
    names = [(name, bool(decide(rule, samples))) for name, samples in cases]
    return len(names), [name for name, has_raised in names if has_raised]


def report(fires: list[Fire], rule: HeatRule) -> dict[str, object]:
    """The result as one JSON object."""
    leads = [fire.lead_s for fire in fires if fire.file.startswith(UPHOLSTERED) and fire.lead_s is not None]
    ramp_cases, ramp_raises = raising(rule, ramps())
    spike_cases, spike_raises = raising(rule, spikes())
    return {
        "fires": [asdict(fire) | {"lead_s": fire.lead_s} for fire in fires],
        "missed": [fire.file for fire in fires if fire.alarm_s is None],
        "later_than_fixed": [fire.file for fire in fires if fire.is_late],
        "raised_before": [fire.file for fire in fires if fire.raises_before],
        "upholstered": len(leads),
        "upholstered_median_lead_s": statistics.median(leads) if leads else None,
        "ramps": ramp_cases,
        "ramps_raised": ramp_raises,
        "spikes": spike_cases,
        "spikes_raised": spike_raises,
        "confirm_s": rule.confirm_ms / 1000,
        "machine": f"{platform.platform()}, Python {platform.python_version()}",
    }


def print_table(fires: list[Fire], result: dict[str, object]) -> None:
    """The result for people."""
    width = max(len(fire.file) for fire in fires)
    print(f"{'seconds from ignition':{width}}   early   alarm  57 °C    lead  raises before")
    for fire in fires:
        times = "".join(_column(value) for value in (fire.early_s, fire.alarm_s, fire.fixed_s, fire.lead_s))
        print(f"{fire.file:{width}}{times}  {fire.raises_before:13}{'  LATE' if fire.is_late else ''}")
    print()
    for key, value in result.items():
        if key != "fires":
            print(f"{key.replace('_', ' ')}: {_shown(value)}")


def _column(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.1f}':>8}"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "-" if value is None else str(value)


def main() -> int:
    """Exit status 2 where there is nothing to judge."""
    parser = argparse.ArgumentParser(description="Real compartment fires through the core.")
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder of recordings, one CSV per fire")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rules", default="cn-2026", help="rule profile (default: the shipped default, cn-2026)")
    parser.add_argument("--kind", default="heat", help="kind of point in the profile (default: heat)")
    args = parser.parse_args()
    try:
        rule = heat_rule(args.rules, args.kind)
        recordings = {path.stem: read_recording(path) for path in sorted(args.folder.glob("*.csv"))}
    except (ConfigError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if not recordings:
        print(f"{args.folder}: expected recordings (*.csv), got none", file=sys.stderr)
        return 2
    fires = [judge(name, rule, samples) for name, samples in recordings.items()]
    result = report(fires, rule)
    print_table(fires, result)
    if args.json:
        print(json.dumps(result, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
