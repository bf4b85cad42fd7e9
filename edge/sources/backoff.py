"""Waits that double up to a cap, with jitter, so that homes restarted together do not knock together."""

import random


class Backoff:
    """`next_s()` gives the seconds to wait before the next attempt; `reset()` after a success."""

    def __init__(self, first_s: float, cap_s: float, uniform: random.Random | None = None) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._wait_s = first_s
        self._random = uniform or random.Random()

    def next_s(self) -> float:
        """Between 75 % and 125 % of the doubling wait, never beyond the cap."""
        wait_s = self._wait_s
        self._wait_s = min(2 * wait_s, self._cap_s)
        return min(wait_s * self._random.uniform(0.75, 1.25), self._cap_s)

    def reset(self) -> None:
        """The next wait is the first one again."""
        self._wait_s = self._first_s
