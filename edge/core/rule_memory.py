"""What rules remember of days, across a restart: plain lists and numbers, every time as how long ago it was.

Apart from the snapshot, which is kept with each transition: this changes by the hour, and is much more.
"""

from collections.abc import Mapping
from typing import Any

from edge.core.panel import Panel
from edge.core.values import Kind, Transition


def remember(panel: Panel) -> dict[str, Any]:
    """What `recall` needs, by point."""
    return {
        code: point.module.remember(point.state, panel.now_ms)
        for code, point in panel.points.items()
        if hasattr(point.module, "remember")
    }


def recall(panel: Panel, saved: Mapping[str, Any], off_ms: int = 0) -> list[Transition]:
    """Give the rules of a new panel their days back, `off_ms` later. What cannot be read is a `gap` of its point: its
    rule begins anew, and nothing else does."""
    lost = []
    for code, point in panel.points.items():
        if code in saved and hasattr(point.module, "recall"):
            try:
                point.state = point.module.recall(saved[code], panel.now_ms, off_ms)
            except ValueError:
                lost.append(Transition(Kind.GAP, panel.now_ms, subject=code, why="lane=rules cause=damage"))
    return lost
