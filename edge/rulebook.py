"""Rule profiles: which rule watches which kind of point, with every figure and where it comes from.

A profile is a file of `edge/rules/`: `id`, `edition`, `effective` and one table per kind of point. Regulations change,
so no figure of theirs stands in code; a home's configuration names the profile, and a point may set single figures of
its own. A profile may be `based_on` another and then only says what differs.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from importlib import resources
from itertools import pairwise
from typing import Any

from edge.core.plan import Rule
from edge.core.rules.contact import ContactRule
from edge.core.rules.heat import HeatRule
from edge.core.rules.loop import LoopRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.values import Class
from edge.schema import ConfigError, Mistakes, Ms, Words, read_table

FOLDER = resources.files("edge") / "rules"


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

    def mistakes(self) -> Iterable[tuple[str, str, str]]:
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

    def mistakes(self) -> Iterable[tuple[str, str, str]]:
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
class KindRules:
    """How points of one kind are watched. `source` says where the figures come from; exactly one rule is given."""

    class_: Class
    source: str
    fault_after: Ms = Ms(60_000)
    early_class: Class | None = None
    confirms: bool = False
    contact: ContactFigures | None = None
    threshold: ThresholdFigures | None = None
    loop: LoopFigures | None = None
    heat: HeatFigures | None = None

    def figures(self) -> "ContactFigures | ThresholdFigures | LoopFigures | HeatFigures | None":
        """The figures of the one rule."""
        return self.contact or self.threshold or self.loop or self.heat

    def mistakes(self) -> Iterable[tuple[str, str, str]]:
        """What types cannot say: one rule, and never blind for longer than promised (DESIGN.md, promise 3)."""
        given = [name for name in RULE_NAMES if getattr(self, name) is not None]
        if len(given) != 1:
            yield "contact", f"exactly one of {', '.join(RULE_NAMES)}", ", ".join(given) or "none"
        most_ms = PRESSURE_BLIND_MS if self.class_ is Class.SUPERVISORY else BLIND_MS
        if self.fault_after > most_ms:
            yield "fault_after", f"at most {most_ms // 1000}s", f"{self.fault_after // 1000}s"


RULE_NAMES = ("contact", "threshold", "loop", "heat")
BLIND_MS = 90_000
"""Fire, electrical and loop points are fresh or in fault within 100 s; supervision itself may take 5 s more."""
PRESSURE_BLIND_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A rule profile. `tables` are the kinds' tables as they were read, for points to merge their own figures into."""

    id: str
    edition: str
    effective: str
    tables: Mapping[str, Mapping[str, Any]]

    def of_kind(self, kind: str, own: Mapping[str, Any], where: str, mistakes: Mistakes) -> KindRules | None:
        """The rules of a kind of point with a point's own figures merged in."""
        if kind not in self.tables:
            mistakes.add(f"{where}.kind", "one of " + ", ".join(f'"{name}"' for name in self.tables), kind)
            return None
        return read_table(KindRules, merged(self.tables[kind], own), f"{where}.rule", mistakes)


@dataclass(frozen=True, slots=True)
class _Head:
    id: str
    edition: str
    effective: str
    based_on: str = ""


def profile_ids() -> list[str]:
    """The rule profiles that are shipped."""
    return sorted(entry.name.removesuffix(".toml") for entry in FOLDER.iterdir() if entry.name.endswith(".toml"))


def load_rulebook(name: str) -> Rulebook:
    """The profile `name`, checked whole. Raises ConfigError."""
    mistakes = Mistakes(f"rules/{name}.toml")
    head, tables = _read(name, mistakes)
    book = Rulebook(head.id, head.edition, head.effective, tables)
    for kind in tables:
        book.of_kind(kind, {}, kind, mistakes)
    if mistakes.lines:
        raise ConfigError(mistakes.lines)
    return book


def _read(name: str, mistakes: Mistakes) -> tuple[_Head, dict[str, Any]]:
    if name not in profile_ids():
        raise ConfigError([f"rule profile: expected one of {', '.join(profile_ids())}, got {name}"])
    table = tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
    own = {key: value for key, value in table.items() if isinstance(value, dict)}
    head = read_table(_Head, {key: value for key, value in table.items() if key not in own}, "", mistakes)
    if head is None:
        raise ConfigError(mistakes.lines)
    if not head.based_on:
        return head, own
    return head, merged(_read(head.based_on, mistakes)[1], own)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables laid over each other; where both have a value, `over` has it."""
    out = dict(under)
    for key, value in over.items():
        below = out.get(key)
        out[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return out


def core_rule(rules: KindRules, unit: str, scale: int, where: str, mistakes: Mistakes) -> Rule | None:
    """The core's rule, in scaled integers of a point whose readings have this unit and scale."""
    figures = rules.figures()
    match figures:
        case ContactFigures():
            if _is_contact(unit, where, mistakes):
                return ContactRule(figures.on, figures.off)
        case ThresholdFigures():
            if _has_unit(unit, figures.unit, where, mistakes):
                return _threshold(figures, scale)
        case LoopFigures():
            if _has_unit(unit, "V", where, mistakes):
                return _loop(figures, scale)
        case HeatFigures():
            if _has_unit(unit, "°C", where, mistakes) and _has_scale(scale, -3, where, mistakes):
                return _heat(figures, where, mistakes)
    return None


def _is_contact(unit: str, where: str, mistakes: Mistakes) -> bool:
    """A number is never a contact: it would be closed at every value but zero."""
    if unit:
        mistakes.add(f"{where}.at", "a contact for this rule", Words(f'a quantity in "{unit}"'))
    return not unit


def _has_unit(unit: str, wanted: str, where: str, mistakes: Mistakes) -> bool:
    if unit != wanted:
        found = f'a quantity in "{unit}"' if unit else "a contact"
        mistakes.add(f"{where}.at", f'a quantity in "{wanted}" for this rule', Words(found))
    return unit == wanted


def _has_scale(scale: int, wanted: int, where: str, mistakes: Mistakes) -> bool:
    if scale != wanted:
        mistakes.add(f"{where}.at", f"a quantity with scale {wanted} for this rule", scale)
    return scale == wanted


def scaled(value: float, scale: int) -> int:
    """A value in its unit as the integer that a reading of this scale carries."""
    return round(value * 10.0**-scale)


def _threshold(figures: ThresholdFigures, scale: int) -> ThresholdRule:
    return ThresholdRule(
        early=None if figures.early is None else scaled(figures.early, scale),
        alarm=None if figures.alarm is None else scaled(figures.alarm, scale),
        hysteresis=scaled(figures.hysteresis, scale),
        early_after_ms=figures.early_after,
        alarm_after_ms=figures.alarm_after,
        clear_after_ms=figures.clear_after,
        below=figures.below,
    )


def _loop(figures: LoopFigures, scale: int) -> LoopRule:
    return LoopRule(
        short_below=scaled(figures.short_below, scale),
        alarm_below=scaled(figures.alarm_below, scale),
        normal_below=scaled(figures.normal_below, scale),
        hysteresis=scaled(figures.hysteresis, scale),
        after_ms=figures.after,
        clear_after_ms=figures.clear_after,
        alarm_resistors=figures.alarm_resistors,
    )


def _heat(figures: HeatFigures, where: str, mistakes: Mistakes) -> HeatRule:
    values = {_heat_field(field.name): _heat_value(getattr(figures, field.name)) for field in fields(figures)}
    rule = HeatRule(**values)
    spelt = {_heat_field(field.name): field.name for field in fields(figures)}
    for key, expected, got in rule.mistakes():
        mistakes.add(f"{where}.rule.heat.{spelt[key]}", expected, got)
    return rule


def _heat_field(name: str) -> str:
    """The core's name of a figure: what is °C in the file is m°C there, and a duration is milliseconds."""
    for suffix in ("_c_per_min", "_c"):
        if name.endswith(suffix):
            return name.removesuffix(suffix) + "_m" + suffix[1:]
    return name + "_ms"


def _heat_value(value: int | float) -> int:
    return scaled(value, -3) if isinstance(value, float) else value
