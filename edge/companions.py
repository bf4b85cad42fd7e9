"""Points that another point's rule reads beside its own: an extinguisher's temperature, a circuit's load."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from edge.core.plan import PointPlan
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.pressure import PressureRule
from edge.core_rules import scaled
from edge.rulebook import KindRules
from edge.schema import Mistakes, Words
from edge.sources import Described


class Companion(NamedTuple):
    """A point that may name another one: where it stands in the file, its figures, and what its readings mean."""

    where: str
    rules: KindRules
    described: Described


def joined(plan: PointPlan, points: Mapping[str, Companion], mistakes: Mistakes) -> PointPlan:
    """The plan with the digits of the readings that it is to read beside; what is wrong with the pair is a mistake."""
    rule = plan.rule
    if not isinstance(rule, PressureRule | LeakageRule) or not rule.beside:
        return plan
    own = points[plan.code]
    is_pressure = isinstance(rule, PressureRule)
    key = f"{own.where}.rule." + ("pressure.temperature" if is_pressure else "leakage.load")
    named = points.get(rule.beside)
    if named is None or rule.beside == plan.code:
        mistakes.add(key, "the code of another [[point]]", rule.beside)
        return plan
    unit, scale = named.described.unit, named.described.scale
    if is_pressure and (unit != "°C" or scale > 0):
        mistakes.add(key, 'a point that reads "°C"', Words(f'{rule.beside}, in "{unit}"'))
        return plan
    if isinstance(rule, PressureRule):
        return replace(plan, rule=replace(rule, beside_per_degree=10**-scale))
    load_from = own.rules.leakage.load_from if own.rules.leakage is not None else 1.0
    return replace(plan, rule=replace(rule, load_from=max(1, scaled(load_from, scale))))


def learners(points: Mapping[str, Companion]) -> dict[str, int]:
    """The points whose usual values are to be learned from the home's own record, each with its scaled margin."""
    figures = {code: (item.rules.leakage, item.described.scale) for code, item in points.items()}
    return {
        code: max(1, scaled(leakage.learn_margin, scale))
        for code, (leakage, scale) in figures.items()
        if leakage is not None and leakage.learn
    }
