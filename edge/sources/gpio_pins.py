"""The pins of a GPIO chip, as its source uses them: an input that counts its edges, an output that keeps its wish."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from edge.core.values import Reading

PIN_MAX = 27
# A line that chatters faster than the loop keeps up loses edges, not the loop; the sweep repairs the level.
QUEUED_MAX = 64
# A sweep that hangs in the chip holds the output's lock; the loop does not wait for it.
DRIVE_DEADLINE_S = 0.005


@dataclass(frozen=True, slots=True)
class GpioAt:
    """A contact: BCM pin number, the level that means active, and the pull of the pin."""

    pin: int
    active: Literal["low", "high"] = "low"
    pull: Literal["up", "down", "none"] = "up"

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if not 0 <= self.pin <= PIN_MAX:
            yield "pin", f"a BCM pin number, 0 to {PIN_MAX}", self.pin


class InputLine:
    """An input pin. `seen` and `dropped` are written by the pin library's thread alone, `taken` by the loop alone.

    `level` is the last one delivered; `queue` takes each edge on the library's thread.
    """

    def __init__(self, point: str, at: GpioAt, queue: Callable[["InputLine", int], None]) -> None:
        self.point = point
        self.at = at
        self.seen = self.dropped = self.taken = 0
        self.level: int | None = None
        self.pin: Any = None
        self._queue = queue

    def open(self, factory: Any) -> None:
        """Claim the pin and listen to its edges. Raises what the pin library raises."""
        pin = factory.pin(self.at.pin)
        pin.input_with_pull("floating" if self.at.pull == "none" else self.at.pull)
        # gpiozero keeps a weak reference to the method, so this line must outlive the pin.
        pin.when_changed = self.changed
        self.pin = pin

    def release(self) -> None:
        """Forget the pin of a chip that is closed."""
        self.pin = self.level = None

    def changed(self, ticks: float, level: int) -> None:
        """An edge, on the pin library's thread. Other levels than 0 and 1 are the library's own messages."""
        if level not in (0, 1):
            return
        self.seen += 1
        if self.seen - self.dropped - self.taken > QUEUED_MAX:
            self.dropped += 1
        else:
            self._queue(self, level)

    def reading(self, level: int) -> Reading:
        """1 where the level is the active one."""
        return Reading(self.point, int(bool(level) is (self.at.active == "high")))


class GpioOutput:
    """An output pin of the source's chip, driven at once and set again by every sweep."""

    def __init__(self, pin: int, is_active_high: bool, failed: Callable[["GpioOutput", Exception], None]) -> None:
        self.pin = pin
        self._is_active_high = is_active_high
        self._wish = False
        self._written: bool | None = None
        self._device: Any = None
        self._failed = failed
        # Whoever writes reads the wish inside the lock, and once more after it: the last write is of the latest wish.
        self._lock = threading.Lock()

    def drive(self, is_on: bool) -> None:
        """Set the pin on the caller's thread, as the kernel does it without waiting. Never raises.

        Where that fails the wish is kept and the source sets it as soon as the chip is back.
        """
        self._wish = is_on
        if self._written is not is_on:
            try:
                self.write(DRIVE_DEADLINE_S)
            except Exception as error:  # a pin library raises classes of its own
                self._failed(self, error)

    def write(self, deadline_s: float) -> None:
        """Set the pin as it should be. Raises what the pin library raises; a chip that hangs keeps the lock.

        A wish that comes meanwhile is set as well: whoever brought it may have given up waiting for the lock.
        """
        wish: bool | None = None
        while wish is not self._wish:
            device, lock = self._device, self._lock
            if device is None or not lock.acquire(timeout=deadline_s):
                return
            try:
                wish = self._wish
                device.value = wish
                self._written = wish
            except BaseException:
                self._written = None
                raise
            finally:
                lock.release()

    def close(self) -> None:
        """Off, as long as the chip is there."""
        self.drive(False)

    @property
    def is_failing(self) -> bool:
        """Whether the pin is not claimed, or was not set as it should be."""
        return self._device is None or self._written is not self._wish

    @property
    def is_open(self) -> bool:
        """Whether the pin is claimed."""
        return self._device is not None

    def open(self, factory: Any) -> None:
        """Claim the pin as it should be at once. Raises what the pin library raises."""
        from gpiozero import DigitalOutputDevice

        wish = self._wish
        self._device = DigitalOutputDevice(
            self.pin, active_high=self._is_active_high, initial_value=wish, pin_factory=factory
        )
        self._written = wish

    def release(self) -> None:
        """Give the pin back, or forget that of a chip that is gone."""
        device, self._device, self._written = self._device, None, None
        # A chip that was just opened again must not wait for the thread that hangs in the old one.
        self._lock = threading.Lock()
        if device is not None:
            device.close()
