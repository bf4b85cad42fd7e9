"""What a point's own figures loosen of its profile: refused without a written reason, and put on record with one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

from edge.figures import LOOSER, LOOSER_OF_KIND, Looser, is_less
from edge.rulebook import KindRules, Rulebook
from edge.schema import Mistakes, Words, show


@dataclass(frozen=True, slots=True)
class Loosened:
    """One figure of one point that is looser than its profile's, and why."""

    point: str
    figure: str
    profile: str
    own: str
    reason: str

    @property
    def text(self) -> str:
        """As the journal keeps it."""
        return f"{self.figure} {self.profile} -> {self.own}: {self.reason}"


class Figures(NamedTuple):
    """The figures of a kind or of a point, and the table as it was written."""

    rules: KindRules
    table: Mapping[str, Any]


def loosened(point: str, book: Rulebook, kind: str, own: Figures, where: str, mistakes: Mistakes) -> list[Loosened]:
    """Every figure of `own` that is looser than the profile's; each is a mistake where no reason is given."""
    rules = book.of_kind(kind, {}, where, mistakes)
    if rules is None or any(f": {where}.rule" in line for line in mistakes.lines):
        return []  # a figure that cannot be is not also blamed for being loose
    shipped = Figures(rules, book.tables[kind])
    reason = own.rules.loosened.strip()
    found = [
        Loosened(point, figure, _written(shipped.table, figure, was), _written(own.table, figure, now), reason)
        for figure, was, now in _looser(shipped.rules, own.rules)
    ]
    if not reason:
        for item in found:
            expected = f'{item.profile} or stricter, or a reason: rule = {{ loosened = "..." }}'
            mistakes.add(f"{where}.rule.{item.figure}", expected, Words(item.own))
    elif not found:
        mistakes.add(f"{where}.rule.loosened", "no reason where nothing is loosened", own.rules.loosened)
    return found


def _looser(shipped: KindRules, own: KindRules) -> Iterator[tuple[str, Any, Any]]:
    for name in ("class_", "early_class"):
        was, now = getattr(shipped, name), getattr(own, name)
        if is_less(now, than=was):
            yield name.rstrip("_"), was, now
    for name, way in LOOSER_OF_KIND.items():
        was, now = getattr(shipped, name), getattr(own, name)
        if _is_looser(way, was, now):
            yield name, was, now
    for field in fields(shipped):
        was, now = getattr(shipped, field.name), getattr(own, field.name)
        if is_dataclass(was) and is_dataclass(now):
            yield from _looser_figures(field.name, was, now)


def _looser_figures(rule: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    below = getattr(was, "below", False)
    for name, way in LOOSER[type(was)].items():
        if way is Looser.BEYOND:
            way = Looser.DOWN if below else Looser.UP
        if _is_looser(way, getattr(was, name), getattr(now, name)):
            yield f"{rule}.{name}", getattr(was, name), getattr(now, name)


def _is_looser(way: Looser, was: Any, now: Any) -> bool:
    if way is Looser.NEITHER or was is None:
        return False
    if now is None:
        return True
    return bool(now > was if way is Looser.UP else now < was)


def _written(table: Mapping[str, Any], figure: str, value: Any) -> str:
    """A figure as its file has it; as it counts, where it is not there."""
    found: Any = table
    for key in figure.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    if found is None:
        found = value
    return "none" if found is None else show(found)
