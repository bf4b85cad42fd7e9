"""What every fault of the menu is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(slots=True)
class Fault:
    """No fault at all: every hook hands its argument on. A kind overrides the one that it spoils."""

    kind: ClassVar[str]
    hangs_up: ClassVar[bool] = False
    delay_ms: int = 0

    def pdu(self, pdu: bytes) -> bytes:
        """The Modbus reply as the unit composes it: function code and data, before framing."""
        return pdu

    def unit(self, unit: int) -> int:
        """The unit id that the reply carries."""
        return unit

    def frame(self, frame: bytes) -> bytes:
        """The bytes as they reach the wire; empty means that nothing is sent."""
        return frame

    def measured(self, value: float, age_ms: int) -> float:
        """What the sensor reports for `value`, `age_ms` after the fault began."""
        return value
