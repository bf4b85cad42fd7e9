"""Figures into the core's rules: numbers in their unit become scaled integers, as the point's readings are."""

from dataclasses import fields

from edge.core.plan import Rule
from edge.core.rules.contact import ContactRule
from edge.core.rules.heat import HeatRule
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.loop import LoopRule
from edge.core.rules.measure import MeasureRule
from edge.core.rules.pressure import PressureRule
from edge.core.rules.threshold import ThresholdRule
from edge.figures import (
    ContactFigures,
    Figures,
    HeatFigures,
    LeakageFigures,
    LoopFigures,
    MeasureFigures,
    PressureFigures,
    ThresholdFigures,
)
from edge.journal.filter import deadband
from edge.schema import Mistakes, Words


def rule_of(
    figures: Figures | None, leakage: LeakageFigures | None, unit: str, scale: int, where: str, mistakes: Mistakes
) -> Rule | None:
    """The core's rule of a point whose readings have this unit and scale. `leakage` goes on top of a threshold."""
    match figures:
        case ContactFigures() if _is_contact(unit, where, mistakes):
            return ContactRule(figures.on, figures.off)
        case ThresholdFigures():
            if _has_unit(unit, figures.unit, where, mistakes):
                limits = _threshold(figures, scale)
                return limits if leakage is None else _leakage(leakage, limits, scale)
        case LoopFigures() if _has_unit(unit, "V", where, mistakes):
            return _loop(figures, scale)
        case HeatFigures():
            if _has_unit(unit, "°C", where, mistakes) and _has_scale(scale, -3, where, mistakes):
                return _heat(figures, where, mistakes)
        case PressureFigures():
            if _has_unit(unit, "MPa", where, mistakes) and _has_scale(scale, -3, where, mistakes):
                return _pressure(figures)
        case MeasureFigures() if _has_unit(unit, figures.unit, where, mistakes):
            return MeasureRule()
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


def _pressure(figures: PressureFigures) -> PressureRule:
    return PressureRule(
        low=scaled(figures.low, -3),
        high=scaled(figures.high, -3),
        hysteresis=scaled(figures.hysteresis, -3),
        empty_below=scaled(figures.empty_below, -3),
        full_from=scaled(figures.full_from, -3),
        sudden_ms=figures.sudden,
        empty_after_ms=figures.empty_after,
        refill=scaled(figures.refill, -3),
        clear_after_ms=figures.clear_after,
        day_ms=figures.day,
        leak_per_year=scaled(figures.leak_per_year, -3),
        warn_within_days=figures.warn_within_days,
        lowest=scaled(figures.lowest, -3),
        highest=scaled(figures.highest, -3),
        beside=figures.temperature,
    )


def _leakage(figures: LeakageFigures, limits: ThresholdRule, scale: int) -> LeakageRule:
    can_be_loaded = figures.is_loaded or figures.load
    return LeakageRule(
        limits=limits,
        zero_after_ms=figures.zero_after if can_be_loaded else None,
        is_loaded=figures.is_loaded,
        beside=figures.load,
        growth=None if figures.growth is None else scaled(figures.growth, scale),
        growth_within_days=figures.growth_within_days,
        day_ms=figures.day,
    )


def limits_of(rule: Rule) -> tuple[int | None, int | None]:
    """The early and the alarm level that people are shown, where a rule has such."""
    if isinstance(rule, PressureRule):
        return None, rule.low
    limits = rule.limits if isinstance(rule, LeakageRule) else rule
    return (limits.early, limits.alarm) if isinstance(limits, ThresholdRule) else (None, None)


def deadband_of(rule: Rule, own: float | None, scale: int) -> int:
    """How far a reading moves before it is worth keeping: as configured, else a hundredth of the alarm level.

    A loop has bands instead of a level; what stays within their hysteresis tells nothing. A contact has two values, and
    both are news.
    """
    if own is not None:
        return max(1, scaled(own, scale))
    if isinstance(rule, LoopRule):
        return rule.hysteresis
    if isinstance(rule, ContactRule):
        return 0
    return deadband(rule.static_mc if isinstance(rule, HeatRule) else limits_of(rule)[1])
