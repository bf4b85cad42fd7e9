"""What closes a dry contact in the building: detectors, call points, the mains relay, buttons.

Each is a small model that advances with the world and says whether its contact is closed. `sense` reads a quantity of
the world by its name ("203.smoke_pct_m").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Sense = Callable[[str], float]

# GB 4715 detectors respond between 0.05 and 0.7 dB/m; 3 %/m (0.13 dB/m) is a common factory setting.
SMOKE_THRESHOLD_PCT_M = 3.0
# A latched two-wire base needs its supply to fall for about a second before the thyristor lets go.
SUPPLY_CUT_MS = 1000
# Combustible-gas detectors of GB 15322 alarm between 5 and 25 %LEL.
GAS_THRESHOLD_PCT_LEL = 10.0
GAS_HYSTERESIS_PCT_LEL = 2.0


class Contact(Protocol):
    """Anything that opens and closes a contact."""

    @property
    def closed(self) -> bool:
        """Whether the contact is closed now."""

    def advance(self, dt_ms: int, sense: Sense, is_supply_cut: bool) -> None:
        """Live through `dt_ms` in which the detector supply was cut or not."""


class SmokeDetector:
    """Closes at the threshold and latches itself until its supply was cut for a second and the smoke is gone."""

    def __init__(self, quantity: str, threshold_pct_m: float = SMOKE_THRESHOLD_PCT_M) -> None:
        self.quantity = quantity
        self.threshold_pct_m = threshold_pct_m
        self.closed = False
        self._cut_ms = 0

    def advance(self, dt_ms: int, sense: Sense, is_supply_cut: bool) -> None:
        self._cut_ms = self._cut_ms + dt_ms if is_supply_cut else 0
        has_smoke = sense(self.quantity) >= self.threshold_pct_m
        if has_smoke and not is_supply_cut:
            self.closed = True
        elif not has_smoke and self._cut_ms >= SUPPLY_CUT_MS:
            self.closed = False


class GasDetector:
    """Follows the gas with a small hysteresis; it has its own supply, so a reset pulse does not reach it."""

    def __init__(self, quantity: str, threshold_pct_lel: float = GAS_THRESHOLD_PCT_LEL) -> None:
        self.quantity = quantity
        self.threshold_pct_lel = threshold_pct_lel
        self.closed = False

    def advance(self, dt_ms: int, sense: Sense, is_supply_cut: bool) -> None:
        gas = sense(self.quantity)
        limit = self.threshold_pct_lel - (GAS_HYSTERESIS_PCT_LEL if self.closed else 0.0)
        self.closed = gas >= limit


class MainsRelay:
    """Drops out (closed contact = mains lost) below 0.7 of 220 V, where a typical 220 V relay lets go."""

    DROP_OUT_V = 154.0

    def __init__(self, quantity: str) -> None:
        self.quantity = quantity
        self.closed = False

    def advance(self, dt_ms: int, sense: Sense, is_supply_cut: bool) -> None:
        self.closed = sense(self.quantity) < self.DROP_OUT_V


class CallPoint:
    """A break-glass call point: pressing latches it mechanically until somebody turns the key."""

    def __init__(self) -> None:
        self.closed = False

    def press(self, hold_ms: int) -> None:
        """Press it; how long does not matter to a latch."""
        self.closed = True

    def turn_key(self) -> None:
        """Reset it with the key."""
        self.closed = False

    def advance(self, dt_ms: int, sense: Sense, is_supply_cut: bool) -> None:
        """Nothing happens to a call point by itself."""


class Button:
    """A momentary push button."""

    def __init__(self) -> None:
        self.closed = False
        self._left_ms = 0

    def press(self, hold_ms: int) -> None:
        """Hold it down for `hold_ms`; pressing again while it is down extends the press."""
        self.closed = True
        self._left_ms = max(self._left_ms, hold_ms)

    def advance(self, dt_ms: int, sense: Sense, is_supply_cut: bool) -> None:
        self._left_ms = max(0, self._left_ms - dt_ms)
        if not self._left_ms:
            self.closed = False
