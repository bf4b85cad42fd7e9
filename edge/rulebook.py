"""Rule profiles: which rule watches which kind of point, with every figure and where it comes from.

A profile is a file of `edge/rules/`: `id`, `edition`, `effective` and one table per kind of point. Regulations change,
so no figure of theirs stands in code; a home's configuration names the profile, and a point may set single figures of
its own: tighter ones, or looser ones with a reason (`edge.loosening`). A profile may be `based_on` another and then
only says what differs.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from edge.core.plan import Rule
from edge.core.values import LATCHING, Class
from edge.core_rules import rule_of
from edge.figures import (
    ContactFigures,
    Figures,
    HeatFigures,
    LeakageFigures,
    LoopFigures,
    MeasureFigures,
    PanelFigures,
    PressureFigures,
    ThresholdFigures,
)
from edge.schema import ConfigError, Mistakes, Ms, read_table

FOLDER = resources.files("edge") / "rules"


@dataclass(frozen=True, slots=True)
class KindRules:
    """How points of one kind are watched. `source` says where the figures come from; exactly one rule is given, and
    `leakage` goes on top of a threshold.

    A value that has not moved for `stuck_after` is a fault; `lamp` is lit while the point is well. `loosened` is a
    point's own: the reason why it has figures looser than its profile's.
    """

    class_: Class
    source: str
    fault_after: Ms = Ms(60_000)
    early_class: Class | None = None
    confirms: bool = False
    contact: ContactFigures | None = None
    threshold: ThresholdFigures | None = None
    loop: LoopFigures | None = None
    heat: HeatFigures | None = None
    pressure: PressureFigures | None = None
    measure: MeasureFigures | None = None
    leakage: LeakageFigures | None = None
    stuck_after: Ms | None = None
    lamp: str = ""
    loosened: str = ""

    def figures(self) -> Figures | None:
        """The figures of the one rule."""
        return next((found for name in RULE_NAMES if (found := getattr(self, name)) is not None), None)

    def mistakes(self) -> Iterable[tuple[str, str, str]]:
        """What types cannot say: one rule, and never blind for longer than promised (DESIGN.md, promise 3)."""
        given = [name for name in RULE_NAMES if getattr(self, name) is not None]
        if len(given) != 1:
            yield "contact", f"exactly one of {', '.join(RULE_NAMES)}", ", ".join(given) or "none"
        if self.leakage is not None and self.threshold is None:
            yield "leakage", "a threshold beside it", "none"
        if self.stuck_after is not None and self.stuck_after < STUCK_LEAST_MS:
            yield "stuck_after", f'"{STUCK_LEAST_MS // 60_000}min" or more', f"{self.stuck_after}ms"
        if len(self.loosened) > REASON_MAX or not (self.loosened.isprintable() or not self.loosened):
            yield "loosened", f"a reason of at most {REASON_MAX} characters on one line", self.loosened
        most_ms = PRESSURE_BLIND_MS if self.class_ is Class.SUPERVISORY else BLIND_MS
        if self.fault_after > most_ms:
            yield "fault_after", f"at most {most_ms // 1000}s", f"{self.fault_after // 1000}s"


PANEL = "panel"
"""The table that is no kind of point."""
RULE_NAMES = ("contact", "threshold", "loop", "heat", "pressure", "measure")
STUCK_LEAST_MS = 600_000
"""A room, a cable or a bottle may well stay at one digit for minutes."""
REASON_MAX = 200
"""Characters: point, figure and reason are one event's text."""
DEBOUNCE_MAX_MS = 1_000
"""A contact's `on` up to this counts bounces out; a longer one is a delay."""
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
    panel: PanelFigures

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
    panel = read_table(PanelFigures, tables.pop(PANEL, {"source": "own"}), PANEL, mistakes)
    for kind in tables:
        read_table(KindRules, tables[kind], f"{kind}.rule", mistakes)
    if mistakes.lines or panel is None:
        raise ConfigError(mistakes.lines)
    return Rulebook(head.id, head.edition, head.effective, tables, panel)


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


def for_device(rules: KindRules, is_debounced: bool, quiet_ms: int, where: str, mistakes: Mistakes) -> KindRules:
    """The rules as the point's device needs them.

    One that has counted out the bounces of its contact raises at once; what waits for longer than any contact bounces
    (mains that fail) waits all the same. One that may sleep for `quiet_ms` is at fault after that, and cannot watch
    what has to be heard of sooner.
    """
    contact = rules.contact
    if is_debounced and contact is not None and contact.on <= DEBOUNCE_MAX_MS:
        rules = replace(rules, contact=replace(contact, on=Ms(0)))
    if quiet_ms > rules.fault_after and rules.class_ in LATCHING:
        mistakes.note(f"{where}.at", "expected a device that is always awake for an alarm, got one that sleeps")
    return replace(rules, fault_after=Ms(max(rules.fault_after, quiet_ms)))


def core_rule(rules: KindRules, unit: str, scale: int, where: str, mistakes: Mistakes) -> Rule | None:
    """The core's rule, in scaled integers of a point whose readings have this unit and scale."""
    return rule_of(rules.figures(), rules.leakage, unit, scale, where, mistakes)
