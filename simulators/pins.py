"""gpiozero pins over a simulated chip: real device classes above, the chip of another process or of this one below.

As with lgpio, edges arrive on a thread of their own and carry the time at which they happened. `bounce` is accepted and
kept, but nothing is filtered: the debounce under test is the caller's.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from time import monotonic, monotonic_ns
from typing import Any, Protocol

from gpiozero.exc import PinFixedPull, PinInvalidEdges, PinInvalidFunction, PinInvalidPull, PinSetInput
from gpiozero.pins.pi import PiFactory, PiPin

from simulators.chip import FUNCTIONS, PULLS, Change, GpioChip

# A Raspberry Pi 4B of 2 GB, so that gpiozero knows the header.
PI_4B_REVISION = 0xB03114
_log = logging.getLogger(__name__)


class Lines(Protocol):
    """What a pin needs of a chip; `GpioChip` in this process, `simulators.gpio.Wire` to another one."""

    def read(self, pin: int) -> bool:
        """The level. Raises OSError where the chip is gone."""

    def write(self, pin: int, level: bool) -> None:
        """Drive an output."""

    def claim(self, pin: int, function: str, level: bool | None = None) -> None:
        """Make it an input or an output."""

    def set_pull(self, pin: int, pull: str) -> None:
        """Switch its pull."""


class ChipPin(PiPin):  # type: ignore[misc]
    """One pin of the header; see gpiozero.Pin for the meaning of its properties."""

    def __init__(self, factory: ChipFactory, info: Any) -> None:
        super().__init__(factory, info)
        self._lines = factory.lines
        self._function = "input"
        self._pull = info.pull or "floating"
        self._bounce: float | None = None
        self._edges = "both"
        self._watched_ns = 0
        self._lines.claim(self._number, "input")
        self._lines.set_pull(self._number, self._pull)

    def close(self) -> None:
        self.when_changed = None
        # A chip that is gone has no lines left to release.
        with contextlib.suppress(OSError):
            if self._function == "output":
                self.function = "input"

    def output_with_state(self, state: Any) -> None:
        self._function = "output"
        self._lines.claim(self._number, "output", bool(state))

    def edge(self, change: Change) -> None:
        """The chip saw this line change; called on the factory's own thread."""
        if self._function != "input" or self._edges not in ("both", _EDGE_NAMES[change.level]):
            return
        # An edge from before somebody listened (its own pull being switched, say) is none.
        handler = self._get_when_changed()
        if handler is not None and change.monotonic_ns > self._watched_ns:
            handler(change.monotonic_ns / 1e9, int(change.level))

    def _get_when_changed(self) -> Any:
        reference = self._when_changed
        return None if reference is None else reference()

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value not in FUNCTIONS:
            raise PinInvalidFunction(f'invalid function "{value}" for pin {self!r}')
        self._function = value
        self._lines.claim(self._number, value)

    def _get_state(self) -> int:
        return int(self._lines.read(self._number))

    def _set_state(self, value: Any) -> None:
        if self._function != "output":
            raise PinSetInput(f"cannot set state of pin {self!r}")
        self._lines.write(self._number, bool(value))

    def _get_pull(self) -> str:
        return str(self._pull)

    def _set_pull(self, value: str) -> None:
        if self._function != "input":
            raise PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        if self.info.pull not in (value, ""):
            raise PinFixedPull(f"{self!r} has a physical pull-{self.info.pull} resistor")
        if value not in PULLS:
            raise PinInvalidPull(f'invalid pull "{value}" for pin {self!r}')
        self._pull = value
        self._lines.set_pull(self._number, value)

    def _get_bounce(self) -> float | None:
        return self._bounce

    def _set_bounce(self, value: float | None) -> None:
        self._bounce = None if value is None else float(value)

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        if value not in ("both", "rising", "falling", "none"):
            raise PinInvalidEdges(f'invalid edge specification "{value}" for pin {self!r}')
        self._edges = value

    def _enable_event_detect(self) -> None:
        self._watched_ns = monotonic_ns()

    def _disable_event_detect(self) -> None:
        """Nothing to undo: an edge without a handler goes nowhere."""


_EDGE_NAMES = {True: "rising", False: "falling"}


class ChipFactory(PiFactory):  # type: ignore[misc]
    """A pin factory over any `Lines`. Edges that `deliver` takes are called back on one thread, in their order."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self.lines = lines
        self.pin_class = ChipPin
        self._by_number: dict[int, ChipPin] = {}
        self._edges: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._call_back, name="simulated edges", daemon=True)
        self._thread.start()

    def deliver(self, change: Change) -> None:
        """Take an edge from the chip, in any thread."""
        if change.kind == "edge":
            self._edges.put(change)

    def close(self) -> None:
        super().close()
        self._by_number.clear()
        self._edges.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def pin(self, name: Any) -> ChipPin:
        pin: ChipPin = super().pin(name)
        self._by_number[pin._number] = pin
        return pin

    def _call_back(self) -> None:
        while (change := self._edges.get()) is not None:
            pin = self._by_number.get(change.pin)
            try:
                if pin is not None:
                    pin.edge(change)
            except Exception:
                # One bad handler must not make every other pin deaf.
                _log.exception("the handler of %r failed", pin)

    def _get_revision(self) -> int:
        return PI_4B_REVISION

    @staticmethod
    def ticks() -> float:
        return monotonic()

    @staticmethod
    def ticks_diff(later: float, earlier: float) -> float:
        return later - earlier


class InProcessPins(ChipFactory):
    """A factory over a chip of this process: no socket, but edges on a foreign thread all the same."""

    def __init__(self, chip: GpioChip) -> None:
        super().__init__(chip)
        self._chip = chip
        chip.watch(self.deliver)

    def close(self) -> None:
        if self._thread.is_alive():
            self._chip.unwatch(self.deliver)
        super().close()
