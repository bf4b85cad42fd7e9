"""One physical quantity of the world: a value, the ramp that it is on, and the noise that a sensor would see on it.

Both are pure functions of time, so a world that nobody reads costs nothing, and reading never changes it.
"""

from __future__ import annotations

from typing import NamedTuple

# White noise of a real sensor changes with every conversion; meters refresh about once a second.
NOISE_PERIOD_MS = 1000
_MASK64 = (1 << 64) - 1


class Ramp(NamedTuple):
    """A straight line from `start` at `start_ms` to `target` at `end_ms`, then level. Units are the quantity's."""

    start: float
    target: float
    start_ms: int
    end_ms: int

    def value_at(self, now_ms: int) -> float:
        """The value at `now_ms` on the world's clock."""
        if now_ms >= self.end_ms:
            return self.target
        if now_ms <= self.start_ms:
            return self.start
        share = (now_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return self.start + (self.target - self.start) * share


def level(value: float) -> Ramp:
    """A ramp that is already over: the steady value."""
    return Ramp(value, value, 0, 0)


class Quantity:
    """A named value that moves in ramps. `noise` is its standard deviation in the quantity's own unit."""

    __slots__ = ("_seed", "noise", "ramp")

    def __init__(self, value: float, noise: float, seed: int) -> None:
        self.ramp = level(value)
        self.noise = noise
        self._seed = seed

    def move_to(self, target: float, over_ms: int, now_ms: int) -> None:
        """Start from the present value and reach `target` in `over_ms`; 0 is a step."""
        self.ramp = Ramp(self.ramp.value_at(now_ms), target, now_ms, now_ms + over_ms)

    def true_at(self, now_ms: int) -> float:
        """The value without noise."""
        return self.ramp.value_at(now_ms)

    def measured_at(self, now_ms: int) -> float:
        """The value as a sensor sees it: with this second's noise, never below zero unless the value itself is."""
        true = self.ramp.value_at(now_ms)
        if not self.noise:
            return true
        seen = true + self.noise * _gauss(self._seed, now_ms // NOISE_PERIOD_MS)
        return max(0.0, seen) if true >= 0 else seen


def _gauss(seed: int, step: int) -> float:
    """Standard normal deviate for (seed, step): the sum of four uniform words of one mixed 64-bit value.

    A hash instead of a generator, so that the noise does not depend on how often or in which steps it is read.
    """
    mixed = (seed + step * 0x9E3779B97F4A7C15) & _MASK64
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK64
    mixed ^= mixed >> 31
    words = (mixed & 0xFFFF) + (mixed >> 16 & 0xFFFF) + (mixed >> 32 & 0xFFFF) + (mixed >> 48)
    # Four uniforms on [0, 65536): mean 131070, standard deviation 65536 / sqrt(3).
    return (words - 131070) / 37837.0
