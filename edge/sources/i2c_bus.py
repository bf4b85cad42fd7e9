"""What a chip's driver needs of an I2C bus, and the two ways in which reading a chip goes wrong.

A bus fails with OSError: no acknowledge, a lost arbitration, a time-out of the kernel's. A chip that answers wrongly is
`BadAnswer`.
"""

from typing import Any, Protocol


class I2cBus(Protocol):
    """What a bus has to offer: smbus2's combined transfers."""

    def i2c_rdwr(self, *messages: Any) -> None:
        """Carry out the messages as one transaction. Raises OSError."""

    def close(self) -> None:
        """Let the bus go."""


class BadAnswer(Exception):
    """The chip answered, but not with what was asked of it."""
