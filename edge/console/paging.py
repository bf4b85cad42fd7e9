"""The points of a status that comes in pages: put together again, with their ages brought up to the moment.

A page is asked for with each poll, so that no answer costs the agent more than a millisecond, however big the home is.
The first round is asked without a pause; after it a page is at most a round old.
"""

from collections.abc import Mapping
from typing import Any

_AGES = ("age_ms", "proven_age_ms")


class Pages:
    """The pages that have come so far."""

    def __init__(self) -> None:
        self._pages: dict[int, tuple[int, list[dict[str, Any]]]] = {}
        self._count = -1
        self.next = 0

    @property
    def is_whole(self) -> bool:
        """Whether every point has been told at least once."""
        return bool(self._pages) and sum(len(page) for _, page in self._pages.values()) >= self._count

    def take(self, status: Mapping[str, Any], now_ms: int) -> None:
        """The page that was asked for last. Raises KeyError or TypeError where it is none."""
        points, count = list(status["points"]), int(status["point_count"])
        if count != self._count:  # another configuration: what was told before is of another home
            self._pages.clear()
            self._count = count
        self._pages[self.next] = (now_ms, points)
        self.next += len(points)
        if not points or self.next >= count:
            self.next = 0

    def forget(self) -> None:
        """Nothing that was told holds any more."""
        self._pages.clear()
        self._count, self.next = -1, 0

    def points(self, now_ms: int) -> list[dict[str, Any]]:
        """All points in their order."""
        return [_aged(point, now_ms - at_ms) for _, (at_ms, page) in sorted(self._pages.items()) for point in page]


def _aged(point: dict[str, Any], by_ms: int) -> dict[str, Any]:
    aged = {key: point[key] + by_ms for key in _AGES if isinstance(point.get(key), int)}
    off = point.get("disabled")
    if isinstance(off, dict) and isinstance(off.get("remaining_ms"), int):
        aged["disabled"] = {**off, "remaining_ms": max(0, off["remaining_ms"] - by_ms)}
    return {**point, **aged}
