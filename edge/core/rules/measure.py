"""A quantity that is watched for another point's sake, such as a circuit's load: it raises nothing by itself."""

from dataclasses import dataclass
from typing import NamedTuple

from edge.core.values import Level


@dataclass(frozen=True, slots=True)
class MeasureRule:
    """Nothing to judge; the point is supervised all the same."""


class MeasureState(NamedTuple):
    """Always normal."""

    level: Level
    due_ms: int | None


_STATE = MeasureState(Level.NORMAL, None)


def initial() -> MeasureState:
    """The one state there is."""
    return _STATE


def step(rule: MeasureRule, state: MeasureState, value: int | None, now_ms: int) -> MeasureState:
    """The same state."""
    return state
