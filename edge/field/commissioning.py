"""What has been tried at a home, point by point: a file in the data folder, written after every step.

A result holds for a point as it was wired and named then: another place, pin or kind, and it has to be tried again.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge.config import Setup
from edge.own_points import is_reserved

STATE = "commissioning.json"


class Outcome(StrEnum):
    """What came of trying a point or an output."""

    SEEN = "seen"
    MEASURED = "measured"
    FAILED = "failed"
    SKIPPED = "skipped"


PASSED = frozenset({Outcome.SEEN, Outcome.MEASURED})


@dataclass(frozen=True, slots=True)
class Item:
    """A point or an output to be tried. `wiring` is where it hangs; `mark` changes with all a result depends on."""

    code: str
    zone: str
    place: str
    kind: str
    wiring: str
    unit: str = ""
    scale: int = 0
    supervised: bool = True

    @property
    def mark(self) -> str:
        told = "\n".join((self.code, self.zone, self.place, self.kind, self.wiring))
        return hashlib.sha256(told.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Result:
    """`rest` is the raw value before it was tried, `value` the one when it answered; `note` is the person's."""

    outcome: Outcome
    who: str
    wall_ms: int
    mark: str
    rest: int | None = None
    value: int | None = None
    level: str = ""
    after_ms: int | None = None
    note: str = ""


def points_of(setup: Setup) -> list[Item]:
    """The points of a home by zone, in the order of the file."""
    wiring = {
        wired.point: f"{source.config.name} {_spot(wired.at)}" for source in setup.sources for wired in source.wired
    }
    order = {zone.code: place for place, zone in enumerate(setup.zones)}
    found = [
        Item(
            point.code,
            point.zone,
            point.place,
            point.kind,
            wiring.get(point.code, ""),
            point.unit,
            point.scale,
            point.supervised,
        )
        for point in setup.points
        if not is_reserved(point.code)
    ]
    return sorted(found, key=lambda item: order.get(item.zone, len(order)))


def outputs_of(setup: Setup) -> list[Item]:
    """The outputs of a home."""
    return [
        Item(output.name, " ".join(output.zones), output.name, output.role, f"{output.source} {_spot(output.at)}")
        for output in setup.outputs
    ]


def _spot(at: Any) -> str:
    """Where on its source: "pin 4", "unit 3 quantity temperature_1"."""
    names = ("pin", "chip", "channel", "unit", "quantity", "coil", "node", "input")
    found = [(name, getattr(at, name, None)) for name in names]
    return " ".join(f"{name} {hex(value) if name == 'chip' else value}" for name, value in found if value is not None)


@dataclass
class Commissioning:
    """The state of a home's commissioning."""

    path: Path
    installer: str = ""
    started_ms: int = 0
    points: dict[str, Result] = field(default_factory=dict)
    outputs: dict[str, Result] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "Commissioning":
        """What was tried before; nothing where the file is not there. ValueError where it is none of ours."""
        path = folder / STATE
        made = cls(path, started_ms=time.time_ns() // 1_000_000)
        try:
            table = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return made
        try:
            made.installer, made.started_ms = str(table["installer"]), int(table["started_ms"])
            made.points = {code: _result(row) for code, row in table["points"].items()}
            made.outputs = {code: _result(row) for code, row in table["outputs"].items()}
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ValueError(f"{path}: damaged; put it aside to begin anew") from None
        return made

    def save(self) -> None:
        """Write it, so that a power cut leaves the old file or the new one."""
        table = {
            "installer": self.installer,
            "started_ms": self.started_ms,
            "points": {code: asdict(result) for code, result in self.points.items()},
            "outputs": {code: asdict(result) for code, result in self.outputs.items()},
        }
        draft = self.path.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(table, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def result(self, item: Item, is_output: bool = False) -> Result | None:
        """What came of trying it as it is wired and named now; None where it has to be tried."""
        found = (self.outputs if is_output else self.points).get(item.code)
        return found if found is not None and found.mark == item.mark else None

    def left(self, items: list[Item], is_output: bool = False) -> Iterator[Item]:
        """Those that have not passed and were not skipped for a reason."""
        for item in items:
            found = self.result(item, is_output)
            if found is None or found.outcome is Outcome.FAILED:
                yield item


def _result(row: Any) -> Result:
    return Result(**{**row, "outcome": Outcome(row["outcome"])})
