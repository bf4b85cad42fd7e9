"""What rang, in the record and in a replay of it: for each point what is the same, new or gone."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TOLERANCE_MS = 120_000
"""Two rings of one point and class that begin no further apart are one: delays count from readings by exception."""
MAX_RINGS = 20_000
"""Kept to be listed; the rest is only counted."""


class Key(NamedTuple):
    """What can ring: a point, a unit or a bus, and the class."""

    subject: str
    condition: str


@dataclass
class Ring:
    """`for_ms` is None where it still stood at the end."""

    at_ms: int
    wall_ms: int
    value: int | None
    for_ms: int | None = None


@dataclass
class Rings:
    """One side's rings. Raises and clears come in the order of time."""

    by_key: dict[Key, list[Ring]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0
    uncounted: int = 0
    _open: dict[Key, Ring] = field(default_factory=dict)

    def raised(self, key: Key, at_ms: int, wall_ms: int, value: int | None) -> None:
        if key in self._open:
            return  # restored after a restart, or raised anew in another volume: it stands already
        ring = Ring(at_ms, wall_ms, value)
        self._open[key] = ring
        self.count += 1
        if self.count <= MAX_RINGS:
            self.by_key[key].append(ring)
        else:
            self.uncounted += 1

    def cleared(self, key: Key, at_ms: int) -> None:
        ring = self._open.pop(key, None)
        if ring is not None:
            ring.for_ms = at_ms - ring.at_ms

    def forget(self) -> None:
        """Count from now on; what stands goes on standing."""
        self.by_key.clear()
        self.count = 0


class Difference(NamedTuple):
    """One point and class: how many rings are on both sides, those that are new, and those that are gone."""

    key: Key
    same: int
    new: list[Ring]
    gone: list[Ring]


def compare(did: Rings, would: Rings) -> list[Difference]:
    """Every point and class that rang on either side, by name."""
    keys = sorted({*did.by_key, *would.by_key})
    return [_difference(key, did.by_key.get(key, []), would.by_key.get(key, [])) for key in keys]


def _difference(key: Key, did: Iterable[Ring], would: Iterable[Ring]) -> Difference:
    """Rings are paired in the order of time; one that lies within the other's time is the same, however much later."""
    left, new, same = list(did), [], 0
    for ring in would:
        twin = next((other for other in left if _is_same(ring, other)), None)
        if twin is None:
            new.append(ring)
        else:
            left.remove(twin)
            same += 1
    return Difference(key, same, new, left)


def _is_same(one: Ring, other: Ring) -> bool:
    first, second = (one, other) if one.at_ms <= other.at_ms else (other, one)
    end_ms = None if first.for_ms is None else first.at_ms + first.for_ms
    return second.at_ms - first.at_ms <= TOLERANCE_MS or end_ms is None or second.at_ms <= end_ms


def as_table(ring: Ring) -> dict[str, Any]:
    """As JSON has it."""
    return {"wall_ms": ring.wall_ms, "for_ms": ring.for_ms, "value": ring.value}
