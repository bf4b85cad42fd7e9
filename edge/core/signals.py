"""What the outputs have to show, from the panel alone: the shell re-asserts it, so a lost edge silences nothing."""

from dataclasses import dataclass

from edge.core.panel import Condition, Panel, Point, Step
from edge.core.values import PRIORITY, Class, Level

_UNTIL_SILENCED = frozenset({Class.FIRE, Class.ELECTRICAL})
_LAMPS = {
    "lamp_fire": (Class.FIRE,),
    "lamp_electrical": (Class.ELECTRICAL, Class.EARLY_WARNING),
    "lamp_fault": (Class.FAULT, Class.SUPERVISORY),
    "lamp_disabled": (Class.DISABLED,),
    "lamp_test": (Class.TEST,),
}


@dataclass(frozen=True, slots=True)
class Signals:
    """`sound`: the class whose pattern the buzzer plays. `lamps`: roles that are lit. The others are codes of zones:
    where sirens sound, where the fire relay holds (confirmed, silenced or not), where the detectors' supply is cut for
    a reset or a test. `self_test`: what a self-test drives beside all that."""

    sound: Class | None
    lamps: frozenset[str]
    sirens: frozenset[str]
    fire: frozenset[str]
    supply_cut: frozenset[str]
    self_test: Step | None = None


def signals(panel: Panel) -> Signals:
    """The outputs that the panel's state asks for."""
    standing = list(panel.conditions.values())
    sounding = {item.condition for item in standing if _sounds(item)}
    fires = [item for item in standing if item.condition is Class.FIRE and panel.zones[item.zone].is_confirmed]
    return Signals(
        sound=next((item for item in PRIORITY if item in sounding), None),
        lamps=frozenset(_lamps(panel, {item.condition for item in standing})),
        sirens=frozenset(item.zone for item in fires if not item.is_silenced),
        fire=frozenset(item.zone for item in fires),
        supply_cut=_supply_cut(panel),
        self_test=panel.self_test.step if panel.self_test is not None else None,
    )


def _supply_cut(panel: Panel) -> frozenset[str]:
    cut = panel.reset.supply_zones if panel.reset is not None else frozenset()
    test = panel.walk_test
    return cut | {test.zone} if test is not None and test.is_cut else cut


def _sounds(item: Condition) -> bool:
    if item.is_silenced:
        return False
    return item.condition in _UNTIL_SILENCED or not item.is_acknowledged


def _lamps(panel: Panel, classes: set[Class]) -> list[str]:
    lit = [lamp for lamp, shown in _LAMPS.items() if not classes.isdisjoint(shown)]
    # The lamps of points (supply, link) are lit while all is well, and only while that is known: a dead gateway, or one
    # that has not heard yet, must not look like a good supply.
    return lit + [lamp for lamp, points in panel.lamps.items() if all(_is_well(panel, point) for point in points)]


def _is_well(panel: Panel, point: Point) -> bool:
    if not point.is_heard or point.bus.is_down or point.unit.is_down:
        return False
    return point.state.level is Level.NORMAL and (Class.FAULT, point.plan.code) not in panel.conditions
