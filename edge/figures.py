"""The figures of rules as a profile or a point's own `rule` writes them, each kind of rule one frozen dataclass.

What each figure does stands with its rule in `edge.core.rules`. Beside the figures stands which way each of them is
looser: a home may tighten what its profile says, and has to give a reason where it loosens it (`edge.loosening`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from edge.core.plan import Plan
from edge.core.values import PRIORITY, Class
from edge.schema import Ms

Mistake = tuple[str, str, str]
"""Figure, what was expected, what was found."""


@dataclass(frozen=True, slots=True)
class PanelFigures:
    """What holds for the whole panel; see `edge.core.plan.Plan`. `flap_count` 0: nothing flaps, for plays and tests
    that move contacts as often as they like."""

    source: str
    reset_within: Ms = Ms(15_000)
    fault_reminder: Ms = Ms(86_400_000)
    service_reminder: Ms = Ms(8 * 3_600_000)
    disable_max: Ms = Ms(7 * 86_400_000)
    test_max: Ms = Ms(8 * 3_600_000)
    prove_within: Ms = Ms(365 * 86_400_000)
    flap_count: int = 5
    flap_within: Ms = Ms(600_000)
    flap_rest: Ms = Ms(600_000)

    def mistakes(self) -> Iterable[tuple[str, str, str]]:
        """What PANEL.md bounds: a reset that fails sounds again within 20 s, a fault is told again after a day."""
        for name, most_ms in (("reset_within", 18_000), ("fault_reminder", 86_400_000)):
            found = getattr(self, name)
            if not 0 < found <= most_ms:
                yield name, f"up to {most_ms // 1000}s", f"{found}ms"

    def applied(self, plan: Plan) -> Plan:
        """The plan with these figures."""
        return replace(
            plan,
            reset_within_ms=self.reset_within,
            fault_reminder_ms=self.fault_reminder,
            service_reminder_ms=self.service_reminder,
            disable_max_ms=self.disable_max,
            test_max_ms=self.test_max,
            prove_within_ms=self.prove_within,
            flap_count=self.flap_count,
            flap_within_ms=self.flap_within,
            flap_rest_ms=self.flap_rest,
        )


@dataclass(frozen=True, slots=True)
class ContactFigures:
    """A contact's debounce: `on` of active time raises, `off` of unbroken rest clears."""

    on: Ms
    off: Ms


@dataclass(frozen=True, slots=True)
class ThresholdFigures:
    """Limits in the unit named; see `edge.core.rules.threshold`."""

    unit: str
    hysteresis: float
    alarm_after: Ms
    clear_after: Ms
    early: float | None = None
    alarm: float | None = None
    early_after: Ms = Ms(0)
    below: bool = False

    def mistakes(self) -> Iterable[Mistake]:
        """A threshold without a limit watches nothing, and an early warning beyond the alarm warns of nothing."""
        if self.early is None and self.alarm is None:
            yield "alarm", "a limit, early or alarm", "neither"
        if self.hysteresis < 0:
            yield "hysteresis", "0 or more", str(self.hysteresis)
        if self.early is not None and self.alarm is not None and (self.early > self.alarm) != self.below:
            order = "above" if self.below else "below"
            yield "early", f"a limit {order} the alarm's {self.alarm:g}", f"{self.early:g}"


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """A supervised loop's bands in volts; see `edge.core.rules.loop`."""

    short_below: float
    alarm_below: float
    normal_below: float
    hysteresis: float
    after: Ms
    clear_after: Ms
    alarm_resistors: bool = True

    def mistakes(self) -> Iterable[Mistake]:
        """Bands follow each other upwards, further apart than their hysteresis reaches."""
        edges = (self.short_below, self.alarm_below, self.normal_below)
        if any(high - low <= 2 * self.hysteresis for low, high in pairwise(edges)):
            yield "alarm_below", "bands that rise by more than twice the hysteresis", str(edges)


@dataclass(frozen=True, slots=True)
class HeatFigures:
    """A heat detector's figures: temperatures in °C, rates in °C per minute; see `edge.core.rules.heat`."""

    static_c: float
    hot_c: float
    hot_rise_c: float
    alarm_rise_c: float
    early_rise_c: float
    early_climb_c: float
    ramp_c_per_min: float
    climb_cap_c_per_min: float
    climb_slack_c: float
    settle_c_per_min: float
    confirm: Ms
    gap: Ms
    clear_rise_c: float
    hysteresis_c: float
    clear_after: Ms
    presumed_room_c: float


@dataclass(frozen=True, slots=True)
class PressureFigures:
    """An extinguisher: pressures in MPa; see `edge.core.rules.pressure`. `temperature` is the code of the point whose
    readings are the bottle's temperature; without one the gauge is judged as it reads."""

    low: float
    high: float
    hysteresis: float
    empty_below: float
    full_from: float
    sudden: Ms
    empty_after: Ms
    refill: float
    clear_after: Ms
    leak_per_year: float
    warn_within_days: int
    lowest: float
    highest: float
    day: Ms = Ms(86_400_000)
    temperature: str = ""

    def mistakes(self) -> Iterable[Mistake]:
        """The levels follow each other, or one of them would never be reached."""
        levels = (self.lowest, self.empty_below, self.full_from, self.low, self.high, self.highest)
        if any(low >= high for low, high in pairwise(levels)):
            yield "low", "lowest, empty_below, full_from, low, high and highest in rising order", f"{self.low:g}"
        elif self.hysteresis < 0 or 2 * self.hysteresis >= self.high - self.low:
            yield "hysteresis", "0 or more, and less than half of the band", f"{self.hysteresis:g}"
        if self.day < 24:
            yield "day", '"24ms" or more', f"{self.day}ms"


@dataclass(frozen=True, slots=True)
class LeakageFigures:
    """What a residual current's limits do not say: see `edge.core.rules.leakage`. `growth` is in the limits' unit.

    `load` is the code of a point that reads the circuit's load, `load_from` from where on, in its unit, it carries any;
    or the circuit `is_loaded` always. Without either, 0 is a value like any other. `learn` has what is usual at each
    hour learned; it may be passed by half of it, and by `learn_margin` in any case.
    """

    zero_after: Ms | None = None
    is_loaded: bool = False
    load: str = ""
    load_from: float = 0.5
    growth: float | None = None
    growth_within_days: int = 14
    day: Ms = Ms(86_400_000)
    learn: bool = True
    learn_margin: float = 30.0

    def mistakes(self) -> Iterable[Mistake]:
        """What would watch nothing."""
        if self.growth is not None and self.growth <= 0:
            yield "growth", "more than 0", f"{self.growth:g}"
        if self.learn_margin <= 0:
            yield "learn_margin", "more than 0", f"{self.learn_margin:g}"
        if self.load_from <= 0:
            yield "load_from", "more than 0", f"{self.load_from:g}"
        if self.day < 24:
            yield "day", '"24ms" or more', f"{self.day}ms"


@dataclass(frozen=True, slots=True)
class MeasureFigures:
    """A quantity that raises nothing by itself, such as a circuit's load."""

    unit: str


Figures = (
    ContactFigures | ThresholdFigures | LoopFigures | HeatFigures | PressureFigures | LeakageFigures | MeasureFigures
)


class Looser(StrEnum):
    """Which way a figure is looser. A figure that is left out altogether is looser than any that is there."""

    UP = "up"
    DOWN = "down"
    BEYOND = "beyond"
    """Up; down where the rule alarms below its limit."""
    NEITHER = "neither"
    """It says when something ends, fits the wiring, or picks a word: a latch ends by a reset in any case."""


_UP, _DOWN, _BEYOND, _NEITHER = Looser.UP, Looser.DOWN, Looser.BEYOND, Looser.NEITHER

LOOSER: Mapping[type, Mapping[str, Looser]] = {
    ContactFigures: {"on": _UP, "off": _NEITHER},
    ThresholdFigures: {
        "unit": _NEITHER,
        "early": _BEYOND,
        "alarm": _BEYOND,
        "early_after": _UP,
        "alarm_after": _UP,
        "hysteresis": _NEITHER,
        "clear_after": _NEITHER,
        "below": _NEITHER,
    },
    LoopFigures: {
        "short_below": _NEITHER,
        "alarm_below": _NEITHER,
        "normal_below": _NEITHER,
        "hysteresis": _NEITHER,
        "after": _UP,
        "clear_after": _NEITHER,
        # With them a short is a fault of the wire; without them it is fire.
        "alarm_resistors": _UP,
    },
    HeatFigures: {
        "static_c": _UP,
        "hot_c": _UP,
        "hot_rise_c": _UP,
        "alarm_rise_c": _UP,
        "early_rise_c": _UP,
        "early_climb_c": _UP,
        "ramp_c_per_min": _UP,
        "climb_cap_c_per_min": _DOWN,
        "climb_slack_c": _DOWN,
        "settle_c_per_min": _DOWN,
        "confirm": _UP,
        # A shorter one forgets sooner what was about to be confirmed.
        "gap": _DOWN,
        "clear_rise_c": _NEITHER,
        "hysteresis_c": _NEITHER,
        "clear_after": _NEITHER,
        "presumed_room_c": _UP,
    },
    PressureFigures: {
        "low": _DOWN,
        "high": _UP,
        "hysteresis": _NEITHER,
        "empty_below": _DOWN,
        "full_from": _NEITHER,
        "sudden": _NEITHER,
        "empty_after": _UP,
        # What is taken for another charge ends what was said of the one before.
        "refill": _DOWN,
        "clear_after": _NEITHER,
        "leak_per_year": _UP,
        "warn_within_days": _DOWN,
        "lowest": _DOWN,
        "highest": _UP,
        "day": _UP,
        "temperature": _NEITHER,
    },
    LeakageFigures: {
        "zero_after": _UP,
        "is_loaded": _DOWN,
        "load": _NEITHER,
        "load_from": _UP,
        "growth": _UP,
        "growth_within_days": _DOWN,
        "day": _UP,
        "learn": _DOWN,
        "learn_margin": _UP,
    },
    MeasureFigures: {"unit": _NEITHER},
}
"""For every figure of every rule."""

LOOSER_OF_KIND: Mapping[str, Looser] = {"fault_after": _UP, "stuck_after": _UP, "confirms": _DOWN}
"""For the figures that all kinds have; a class is looser the less it is (`is_less`)."""


def is_less(condition: Class | None, than: Class | None) -> bool:
    """Whether a class means less to people than another; none at all means the least."""
    ranks = [len(PRIORITY) if item is None else PRIORITY.index(item) for item in (condition, than)]
    return ranks[0] > ranks[1]
