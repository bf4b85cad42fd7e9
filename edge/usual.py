"""What a point is used to at each hour of the day, by the home's own journal: `python -m edge.usual FOLDER MARGINS`.

A process of its own, which the agent starts (`edge.learning`): reading weeks of readings takes seconds of a core, and
inside the agent it would hold the interpreter while an alarm waits. It only reads, a few batches at a time, so that the
journal is never held up; and it runs when nobody else wants the processor.

Readings are kept by exception, so each counts for as long as it held. Only those with a trusted clock count, and an
hour of the day only when it was seen on `MIN_DAYS` days. What is usual is what 99 of 100 minutes of that hour do not
exceed.
Prints one JSON object: the limits of 24 hours by point.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from device import wire
from edge.journal.filter import HEARTBEAT_MS
from edge.journal.reading import Reading, Unreadable

DAYS = 28
MIN_DAYS = 7
BATCHES = 50
"""Rows in one query: each is a read of its own, so that the journal's log can be brought in between."""
REST_S = 0.05
HOURS = 24
USUAL_PERCENT = 99
DAY_MS = 86_400_000
MOST = wire.MAX_INT
"""The limit of an hour that nothing is known of: none."""


class Hours:
    """One point's hours: how long each value held, and on which days the hour was seen."""

    def __init__(self) -> None:
        self._held_ms: list[dict[int, int]] = [{} for _ in range(HOURS)]
        self._days: list[set[tuple[int, int]]] = [set() for _ in range(HOURS)]

    def add(self, wall_ms: int, value: int, held_ms: int) -> None:
        """A value that held from then on for so long."""
        local = time.localtime(wall_ms // 1000)
        held = self._held_ms[local.tm_hour]
        held[value] = held.get(value, 0) + held_ms
        self._days[local.tm_hour].add((local.tm_year, local.tm_yday))

    def limits(self, margin: int) -> list[int] | None:
        """What is usual in each hour, half as much again and `margin` at least; None where no hour is known yet."""
        found = [self._limit(hour, margin) for hour in range(HOURS)]
        return None if all(limit == MOST for limit in found) else found

    def _limit(self, hour: int, margin: int) -> int:
        held = self._held_ms[hour]
        total_ms = sum(held.values())
        if len(self._days[hour]) < MIN_DAYS or total_ms == 0:
            return MOST
        sum_ms = 0
        for value in sorted(held):
            sum_ms += held[value]
            if sum_ms * 100 >= total_ms * USUAL_PERCENT:
                return max(value + value // 2, value + margin)
        return MOST


def usual(samples: Iterator[tuple[str, int, int | None]], margins: Mapping[str, int]) -> dict[str, list[int]]:
    """The limits of the points in `margins`, out of (point, wall_ms, value or None) in the order they were taken."""
    hours = {point: Hours() for point in margins}
    last: dict[str, tuple[int, int]] = {}
    for point, wall_ms, value in samples:
        if point not in hours:
            continue
        if point in last:
            since_ms, held = last.pop(point)
            # A value is kept again after a heartbeat at the latest: what lasts longer is a gap.
            hours[point].add(since_ms, held, min(max(0, wall_ms - since_ms), HEARTBEAT_MS))
        if value is not None:
            last[point] = (wall_ms, value)
    found = {point: hours[point].limits(margin) for point, margin in margins.items()}
    return {point: limits for point, limits in found.items() if limits is not None}


def samples_in(
    folder: Path, since_ms: int, points: Mapping[str, int], rest_s: float = REST_S
) -> Iterator[tuple[str, int, int | None]]:
    """The readings that the journal has of these points since then, where the clock was trusted."""
    journal = Reading(folder)
    try:
        for number, _, _, _ in journal.volumes():
            after = journal.first_reading_since(number, since_ms)
            while rows := journal.rows("reading", number, after, wire.MAX_INT >> 14, BATCHES):
                after = rows[-1][0]
                for _, payload in rows:
                    yield from _samples(payload, points)
                time.sleep(rest_s)
    finally:
        journal.close()


def _samples(payload: bytes, points: Mapping[str, int]) -> Iterator[tuple[str, int, int | None]]:
    try:
        batch = wire.decode(wire.READING, payload)
    except wire.WireError:
        return  # a damaged batch is the journal's affair
    assert isinstance(batch, wire.Readings)
    if not batch.clock_ok:
        return
    for sample in batch.readings:
        if sample.point in points:
            yield sample.point, batch.wall_ms + sample.offset_ms, sample.value


def main(argv: list[str]) -> int:
    """Exit status 0 with the limits printed, 1 where the journal cannot be read."""
    # The agent's real-time priority is inherited, and this is the last thing that should have it.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    folder, margins = Path(argv[0]), json.loads(argv[1])
    try:
        samples = samples_in(folder, time.time_ns() // 1_000_000 - DAYS * DAY_MS, margins)
        print(json.dumps(usual(samples, margins)))
    except Unreadable as error:
        print(f"the journal in {folder} cannot be read: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
