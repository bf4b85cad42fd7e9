"""The buzzer as the simulator's log has it: when its pin rose after a cause, and when it has fallen silent."""

from collections import deque
from collections.abc import Iterable
from typing import Any

PIN = 18
LONGEST_OFF_NS = 5_000_000_000
"""The longest pause within any pattern (edge/outputs/pattern.py) but the reminders', which no play causes."""
ALARM_OFF_NS = 1_500_000_000
"""The longest pause within the patterns of alarms."""
_KEPT = 2000


class Buzzer:
    """Takes the log as it grows. All stamps are monotonic ns, the same in every process."""

    def __init__(self) -> None:
        self._changes: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    def take(self, entries: Iterable[dict[str, Any]]) -> None:
        """More of the log, in its order."""
        for entry in entries:
            if entry["kind"] == "output" and entry["pin"] == PIN:
                self._changes.append((int(entry["monotonic_ns"]), int(entry["level"])))

    def rise_after(self, cause_ns: int) -> int | None:
        """When it first rose after `cause_ns`."""
        return next((at_ns for at_ns, level in self._changes if level and at_ns > cause_ns), None)

    def was_sounding(self, cause_ns: int) -> bool:
        """Whether it was playing a pattern already, so that the next rise says nothing."""
        before = [change for change in self._changes if change[0] <= cause_ns]
        return bool(before) and (before[-1][1] == 1 or before[-1][0] > cause_ns - LONGEST_OFF_NS)

    def quiet_since(self, cause_ns: int, now_ns: int) -> int | None:
        """Since when an alarm's pattern has been over, not earlier than `cause_ns`; None while it may still play."""
        last_ns, level = self._changes[-1] if self._changes else (cause_ns, 0)
        is_over = level == 0 and now_ns - max(last_ns, cause_ns) > ALARM_OFF_NS
        return max(last_ns, cause_ns) if is_over else None
