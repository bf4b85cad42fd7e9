"""Readings by exception: a value is worth keeping when it has moved, when it was lost or found, and now and then."""

from collections.abc import Iterable, Mapping
from zlib import crc32

from device.wire import MAX_INT
from edge.core.values import Reading, Unknown
from edge.journal.volume import Sample

HEARTBEAT_MS = 15 * 60_000
CONTACT_APART_MS = 500
"""A contact that chatters at 1 kHz would fill the disk; what was left out comes with the sweep of each second."""


def deadband(alarm: int | None) -> int:
    """The default deadband of a point, in its scaled unit: 1 % of its alarm level, and not less than one digit."""
    return 1 if alarm is None else max(1, abs(alarm) // 100)


class ReadingFilter:
    """Which readings are kept. `deadbands` are absolute and scaled; a point that has none keeps every change. One whose
    deadband is 0, a contact, keeps its changes at least `apart_ms` from each other."""

    def __init__(self, deadbands: Mapping[str, int], heartbeat_ms: int = HEARTBEAT_MS, apart_ms: int = 0) -> None:
        self._deadbands = deadbands
        self._heartbeat_ms = heartbeat_ms
        self._apart_ms = apart_ms
        # Per point: lowest and highest value not worth keeping, reason where unknown, when to keep one anyway, and from
        # when on a change may be kept.
        self._last: dict[str, tuple[int, int, str | None, int, int]] = {}

    def set_deadbands(self, deadbands: Mapping[str, int]) -> None:
        """Other deadbands, for a changed configuration."""
        self._deadbands = deadbands

    def pick(self, readings: Iterable[Reading], mono_ms: int) -> list[Sample]:
        """The readings worth keeping; they count as kept from now on."""
        last = self._last
        out = []
        for point, value, unknown, _ in readings:
            known = last.get(point)
            if known is not None and mono_ms < known[3]:
                if value is None:
                    if known[2] == unknown:
                        continue
                elif known[2] is None and (known[0] <= value <= known[1] or mono_ms < known[4]):
                    continue
            out.append(self._keep(point, value, unknown, mono_ms, known is None))
        return out

    def _keep(self, point: str, value: int | None, unknown: str | None, mono_ms: int, is_first: bool) -> Sample:
        if value is not None and abs(value) > MAX_INT:
            value, unknown = None, Unknown.OUT_OF_RANGE.value
        band = self._deadbands.get(point, 0)
        centre = value or 0
        due_ms = mono_ms + self._heartbeat_ms
        if is_first:  # hundreds of points are first read in one second; their heartbeats must not stay together
            due_ms -= crc32(point.encode()) % max(1, self._heartbeat_ms)
        reason = None if unknown is None else str(unknown)
        is_contact = not band and point in self._deadbands
        again_ms = mono_ms + self._apart_ms if is_contact else mono_ms
        self._last[point] = (centre - band, centre + band, reason, due_ms, again_ms)
        return Sample(point, mono_ms, value, reason)
