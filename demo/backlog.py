"""The backlog of a home that was cut off: which events it recorded meanwhile, and whether each is on record once."""

import json
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

LOOK_EVERY_NS = 500_000_000
_PAGE = 200
_TIMEOUT_S = 5.0


class Doubled(Exception):
    """An event is on record more than once."""


class Mark(NamedTuple):
    """Where a journal stood."""

    journal: str
    event_seq: int


class Backlog:
    """The events of `home` that its journal took between two marks, looked for at the collector's `address`."""

    def __init__(self, address: str, home: str, cut: Mark, mended: Mark) -> None:
        self._address = address
        self._home = home
        first = cut.event_seq if cut.journal == mended.journal else 0
        self._wanted = {(mended.journal, seq) for seq in range(first + 1, mended.event_seq + 1)}
        self._look_ns = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._wanted)

    def is_complete(self) -> bool:
        """Whether all are on record; asks at most twice a second. Raises Doubled."""
        now_ns = time.monotonic_ns()
        if now_ns < self._look_ns:
            return False
        self._look_ns = now_ns + LOOK_EVERY_NS
        return missing(self._wanted, self._events()) == 0

    def _events(self) -> list[tuple[str, int]]:
        """The home's latest events at the collector; none where it cannot be asked now."""
        query = urllib.parse.urlencode({"home": self._home, "limit": _PAGE})
        try:
            with urllib.request.urlopen(f"{self._address}/api/v1/events?{query}", timeout=_TIMEOUT_S) as answer:
                rows: list[dict[str, Any]] = json.load(answer)["events"]
        except (OSError, ValueError):
            return []
        return [(row["journal"], row["seq"]) for row in rows if row["source"] == "gateway"]


def missing(wanted: set[tuple[str, int]], found: Iterable[tuple[str, int]]) -> int:
    """How many of `wanted` are not among `found`. Raises Doubled where one is there twice."""
    counts = Counter(key for key in found if key in wanted)
    doubled = [key for key, count in counts.items() if count > 1]
    if doubled:
        raise Doubled(f"on record more than once: {', '.join(f'{journal} {seq}' for journal, seq in sorted(doubled))}")
    return len(wanted) - len(counts)
