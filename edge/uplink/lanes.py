"""What to send next, and what to send again: windows and cursors over the numbers of a lane. No clock, no network.

Only the collector's own acknowledgement counts. A cursor goes forward with what is sent, and back to the first
unacknowledged number when nothing was heard for a growing while, when the connection was new, or when the collector
says that it has less than before.
"""

from collections.abc import Callable
from enum import StrEnum

EVENT_WINDOW = 64
READING_WINDOW = 8
LIVE_WINDOW = 8
RESEND_MIN_MS = 5_000
RESEND_MAX_MS = 60_000
SKIP_AFTER = 3
"""Times that a window of a closed volume is sent before the next one is tried: a hole, left by a damaged disk, keeps
the collector's contiguous number from ever rising, and must not keep back what lies behind it."""


class Heard(StrEnum):
    """What an acknowledgement tells."""

    SAME = "same"
    FORWARD = "forward"
    BACK = "back"
    BEYOND = "beyond"


class Timer:
    """When to send again: later each time, and never all gateways at once. `jitter` gives a factor of about 1."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self.due_ms: int | None = None
        self.times = 0

    def start(self, now_ms: int) -> None:
        if self.due_ms is None:
            self.due_ms = now_ms + int(min(RESEND_MAX_MS, RESEND_MIN_MS << min(self.times, 8)) * self._jitter())

    def stop(self) -> None:
        self.due_ms = None

    def forget(self) -> None:
        self.due_ms, self.times = None, 0

    def is_over(self, now_ms: int) -> bool:
        if self.due_ms is None or now_ms < self.due_ms:
            return False
        self.due_ms = None
        self.times += 1
        return True


class EventLane:
    """Strictly by number. `head` and `held` (the last offered, the first kept) come from the journal each time."""

    def __init__(self, acked: int, head: int, timer: Timer) -> None:
        self.acked = acked
        self.next = acked + 1
        self.timer = timer
        self._sent = head  # an earlier process may have sent all there is
        self._top = 0
        self._floor = 0

    def wanted(self, head: int, held: int) -> tuple[int, int]:
        """Send up to so many numbers after this one; 0 where none are due."""
        base = max(self.acked, held - 1, self._floor)
        self.next = max(self.next, base + 1)
        return self.next - 1, max(0, min(EVENT_WINDOW - (self.next - 1 - base), head - self.next + 1))

    def has_unsent(self, head: int) -> bool:
        return self.next <= head

    def sent(self, seq: int, now_ms: int) -> bool:
        """Note that a number went out. Whether it had before."""
        is_again = seq <= self._top
        self._top = max(self._top, seq)
        self.next = seq + 1
        self._sent = max(self._sent, seq)
        self.timer.start(now_ms)
        return is_again

    def heard(self, acked: int, now_ms: int) -> Heard:
        """Take an acknowledgement."""
        if acked > self._sent:
            return Heard.BEYOND
        if acked == self.acked:
            return Heard.SAME
        went = Heard.FORWARD if acked > self.acked else Heard.BACK
        self.acked = acked
        self.next = max(self.next, acked + 1) if went is Heard.FORWARD else acked + 1
        self._floor = 0
        self.timer.forget()
        if self.next > acked + 1:
            self.timer.start(now_ms)
        return went

    def rewind(self) -> None:
        """A new connection: what was on the way may be lost."""
        self.next = max(self.acked, self._floor) + 1
        self.timer.stop()

    def again(self, head: int, now_ms: int, is_closed: bool) -> bool:
        """Go back if nothing was heard for too long. Whether it did."""
        if not self.timer.is_over(now_ms):
            return False
        if is_closed and self.timer.times % SKIP_AFTER == 0:
            self._floor = self.next - 1 if self.next <= head else 0
        self.rewind()
        return True


class ReadingLane:
    """Live before backlog. What came to be after the connection goes out as it comes; what was there before follows
    from the oldest on, as far as the window and the live ones leave room."""

    def __init__(self, acked: int, head: int, timer: Timer) -> None:
        self.acked = acked
        self.timer = timer
        self._sent = head
        self._top = 0
        self.next = acked + 1
        self.live_from = self.live_next = head + 1

    def wanted(self, head: int, held: int) -> tuple[int, int]:
        """Send up to so many numbers after this one; 0 where none are due."""
        base = max(self.acked, held - 1)
        self.next = max(self.next, base + 1)
        self.live_next = max(self.live_next, base + 1)
        # Once all before them is acknowledged, the live ones are counted; before that the broker's word has to do.
        is_caught_up = base >= self.live_from - 1
        room = LIVE_WINDOW - (self.live_next - 1 - base) if is_caught_up else LIVE_WINDOW
        live = min(room, head - self.live_next + 1)
        if live > 0:
            return self.live_next - 1, live
        room = min(READING_WINDOW - (self.next - 1 - base), self.live_from - self.next)
        return self.next - 1, max(0, min(room, head - self.next + 1))

    def sent(self, seq: int, now_ms: int) -> bool:
        """Note that a number went out. Whether it had before."""
        is_again = seq <= self._top
        if seq >= self.live_from:
            self.live_next = seq + 1
        else:
            self.next = seq + 1
            self._top = max(self._top, seq)
        self._sent = max(self._sent, seq)
        self.timer.start(now_ms)
        return is_again

    def heard(self, acked: int, now_ms: int) -> Heard:
        """Take an acknowledgement."""
        if acked > self._sent:
            return Heard.BEYOND
        if acked == self.acked:
            return Heard.SAME
        went = Heard.FORWARD if acked > self.acked else Heard.BACK
        self.acked = acked
        self.timer.forget()
        if went is Heard.BACK:
            self._restart(self.live_next)
        elif max(self.next, self.live_next) > acked + 1:
            self.timer.start(now_ms)
        return went

    def rewind(self, head: int) -> None:
        """A new connection: all that is there is backlog."""
        self._restart(max(head + 1, self.acked + 1))
        self.timer.stop()

    def again(self, now_ms: int) -> bool:
        """Go back if nothing was heard for too long. Whether it did."""
        if not self.timer.is_over(now_ms):
            return False
        self._restart(self.live_next)
        return True

    def _restart(self, live_from: int) -> None:
        self.next = self.acked + 1
        self.live_from = self.live_next = live_from
