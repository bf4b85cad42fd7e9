"""Time since the start, out of a counter that wraps, and how long to wait before the next attempt."""

FIRST_WAIT_MS = 1_000
LONGEST_WAIT_MS = 30_000
"""A node that the broker's restart has thrown out is back well before 100 s, when it would be a fault."""


class Uptime:
    """Milliseconds since the start, never less than before.

    `ticks_ms` wraps after 12.4 days on most ports and `ticks_diff` is right within half of that; the loop asks 100
    times a second.
    """

    def __init__(self, ticks_ms, ticks_diff):
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last = ticks_ms()
        self._total = 0

    def now_ms(self):
        """Time since this object was made."""
        ticks = self._ticks_ms()
        passed = self._ticks_diff(ticks, self._last)
        if passed > 0:
            self._last = ticks
            self._total += passed
        return self._total


class Backoff:
    """Doubling waits with jitter, so that a hundred nodes do not come back in the same second."""

    def __init__(self, random_bits):
        self._random_bits = random_bits
        self._tries = 0

    def wait_ms(self):
        """The next wait: between half and the whole of 1, 2, 4, 8, 16, 30, 30 ... seconds."""
        longest = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(self._tries, 5))
        self._tries += 1
        return longest // 2 + self._random_bits(16) * (longest // 2) // 65535

    def reset(self):
        """All is well: begin with the shortest again."""
        self._tries = 0


class WallClock:
    """The gateway's time, only to date what is kept over a power cut; never used to decide anything."""

    def __init__(self):
        self._offset_ms = None

    def set(self, wall_ms, clock_ok, now_ms):
        """As the gateway says; one that is not sure of its own clock is not believed."""
        self._offset_ms = wall_ms - now_ms if clock_ok else None

    def at(self, now_ms):
        """Unix time in milliseconds at an uptime, or None while nobody has said."""
        return None if self._offset_ms is None else self._offset_ms + now_ms
