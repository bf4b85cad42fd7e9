"""Dry contacts on GPIO pins: raw edges for speed, and a sweep of the levels that repairs a lost edge.

    [[source]]
    name = "gpio"
    kind = "gpio"

    [[point]]
    at = { pin = 4, active = "low", pull = "up" }

A reading is 1 while the contact is active, else 0. Nothing is debounced here: a library's debounce drops real edges,
so the point's own rule integrates the raw ones. Edges come on a thread of the pin library and are delivered on the
loop in their order. The sweep runs every second in a thread of its own, delivers every level, and finds out that a
chip is gone. Outputs of the same chip are driven through the source, because only one may have the chip open.
"""

import asyncio
import contextlib
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edge.core.values import Reading, Unknown
from edge.locks import Lock, hold
from edge.schema import Ms
from edge.sources import backends
from edge.sources.backoff import Backoff
from edge.sources.seam import Changes, Deliver, Described, Site, SourceKind, Wired
from edge.sources.worker import Worker

FACTORIES = "gpiozero_pin_factories"
PIN_MAX = 27
# The kernel answers in microseconds; a simulated chip's socket may hang.
SWEEP_DEADLINE_S = 0.8
OPEN_DEADLINE_S = 5.0
CLOSE_DEADLINE_S = 1.0
# A sweep that hangs in the chip holds the output's lock; the loop does not wait for it.
DRIVE_DEADLINE_S = 0.005
REOPEN_FIRST_S = 0.25
REOPEN_CAP_S = 5.0
# A line that chatters faster than the loop keeps up loses edges, not the loop; the sweep repairs the level.
QUEUED_MAX = 64


@dataclass(frozen=True, slots=True)
class GpioConfig:
    """A GPIO chip. `backend` other than "hardware" names a pin factory's entry point; `address` is what it takes."""

    name: str
    kind: Literal["gpio"]
    backend: str = backends.HARDWARE
    address: str | None = None
    chip: int = 0
    sweep: Ms = Ms(1000)

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        """What the types cannot say."""
        if (self.address is None) is not (self.backend == backends.HARDWARE):
            yield "address", "an address for a simulated back-end, none for the hardware", self.address
        if not 100 <= self.sweep <= 10_000:
            yield "sweep", '"100ms" to "10s"', f"{self.sweep}ms"

    @property
    def where(self) -> str:
        """The chip as a person knows it; also what is locked."""
        return f"gpiochip{self.chip}" if self.address is None else self.address


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


def describe(config: GpioConfig, at: GpioAt) -> Described | str:
    """What readings of a contact mean. A plain contact cannot tell a cut wire from rest, so it is unsupervised."""
    return Described("", 0, "contact", False, "")


class _Line:
    """An input pin. `seen` and `dropped` are written by the pin library's thread alone, `taken` by the loop alone."""

    def __init__(self, source: "GpioSource", wired: Wired) -> None:
        self.point = wired.point
        self.at: GpioAt = wired.at
        self.seen = self.dropped = self.taken = 0
        self.level: int | None = None
        self.pin: Any = None
        self._source = source

    def open(self, factory: Any) -> None:
        pin = factory.pin(self.at.pin)
        pin.input_with_pull("floating" if self.at.pull == "none" else self.at.pull)
        # gpiozero keeps a weak reference to the method, so this line must outlive the pin.
        pin.when_changed = self.changed
        self.pin = pin

    def release(self) -> None:
        self.pin = self.level = None

    def changed(self, ticks: float, level: int) -> None:
        """An edge, on the pin library's thread. Other levels than 0 and 1 are the library's own messages."""
        if level not in (0, 1):
            return
        self.seen += 1
        if self.seen - self.dropped - self.taken > QUEUED_MAX:
            self.dropped += 1
        else:
            self._source.take_edge(self, level)

    def reading(self, level: int) -> Reading:
        return Reading(self.point, int(bool(level) is (self.at.active == "high")))


class GpioOutput:
    """An output pin of the source's chip, driven at once and set again by every sweep."""

    def __init__(self, source: "GpioSource", pin: int, is_active_high: bool) -> None:
        self.pin = pin
        self._is_active_high = is_active_high
        self._wish = False
        self._written: bool | None = None
        self._device: Any = None
        self._source = source
        # Whoever writes reads the wish inside the lock, so the last write is always of the latest wish.
        self._lock = threading.Lock()

    def drive(self, is_on: bool) -> None:
        """Set the pin on the caller's thread, as the kernel does it without waiting. Never raises.

        Where that fails the wish is kept and the source sets it as soon as the chip is back.
        """
        self._wish = is_on
        if self._written is not is_on:
            try:
                self.write(DRIVE_DEADLINE_S)
            except Exception as error:  # see GpioSource.run
                self._source.write_failed(self, error)

    def write(self, deadline_s: float) -> None:
        """Set the pin as it should be. Raises what the pin library raises; a chip that hangs keeps the lock."""
        if self._device is None or not self._lock.acquire(timeout=deadline_s):
            return
        try:
            self._device.value = self._wish
            self._written = self._wish
        except BaseException:
            self._written = None
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Off, as long as the chip is there."""
        self.drive(False)

    @property
    def is_open(self) -> bool:
        """Whether the pin is claimed."""
        return self._device is not None

    def open(self, factory: Any) -> None:
        from gpiozero import DigitalOutputDevice

        wish = self._wish
        self._device = DigitalOutputDevice(
            self.pin, active_high=self._is_active_high, initial_value=wish, pin_factory=factory
        )
        self._written = wish

    def release(self) -> None:
        device, self._device, self._written = self._device, None, None
        # A chip that was just opened again must not wait for the thread that hangs in the old one.
        self._lock = threading.Lock()
        if device is not None:
            device.close()


class GpioSource:
    """The source of kind "gpio"."""

    def __init__(self, config: GpioConfig, wired: Sequence[Wired], site: Site) -> None:
        self.name = config.name
        self._config = config
        self._make_factory = _factory_maker(config, site.simulated)
        self._lock: Lock = hold(site.locks, config.where)
        self._changes = Changes(logging.getLogger(__name__), config.name)
        self._counters: Counter[str] = Counter()
        self._lines = [_Line(self, each) for each in wired]
        self._outputs: dict[int, GpioOutput] = {}
        self._edges: deque[tuple[_Line, int]] = deque()
        self._worker = Worker(f"{config.name}-sweep")
        self._backoff = Backoff(REOPEN_FIRST_S, REOPEN_CAP_S)
        self._broken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._factory: Any = None
        self._deliver: Deliver = lambda readings: None

    def output(self, pin: int, is_active_high: bool) -> GpioOutput:
        """An output on this chip. ValueError where the pin is taken."""
        if pin in self._outputs or any(line.at.pin == pin for line in self._lines):
            raise ValueError(f"{self.name} pin {pin} is used twice")
        self._outputs[pin] = GpioOutput(self, pin, is_active_high)
        return self._outputs[pin]

    async def run(self, deliver: Deliver) -> None:
        """Watch until cancelled; a chip that is gone is opened again."""
        self._loop, self._deliver = asyncio.get_running_loop(), deliver
        while True:
            try:
                await self._worker.call(self._open, OPEN_DEADLINE_S)
                await self._watch()
            except Exception as error:  # a pin library raises classes of its own; whatever it is, the chip is gone
                self._counters["losses"] += 1
                self._changes.say("", f"{self._config.where}: {str(error) or type(error).__name__}")
                deliver([Reading(line.point, None, Unknown.NO_LINK) for line in self._lines])
            await self._release()
            await asyncio.sleep(self._backoff.next_s())

    def close(self) -> None:
        """Outputs off, pins released. Waits a second at most for a chip that hangs."""
        closing = threading.Thread(target=self._end, daemon=True)
        closing.start()
        closing.join(CLOSE_DEADLINE_S)
        self._worker.close()
        self._lock.release()

    def counters(self) -> Mapping[str, int]:
        """edges; edges_dropped: more than the loop could take; repairs: levels that the sweep found changed without an
        edge; losses: times the chip went away; write_failures."""
        own = {"edges": sum(line.seen for line in self._lines)}
        return {**self._counters, **own, "edges_dropped": sum(line.dropped for line in self._lines)}

    # -- edges, from the pin library's thread

    def take_edge(self, line: _Line, level: int) -> None:
        """Queue an edge for the loop; called on a foreign thread."""
        self._edges.append((line, level))
        # After the loop has ended nobody is interested any more.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        readings = []
        while self._edges:
            line, level = self._edges.popleft()
            line.taken += 1
            line.level = level
            readings.append(line.reading(level))
        if readings:
            self._deliver(readings)

    # -- the sweep

    async def _watch(self) -> None:
        while True:
            self._broken.clear()
            self._take_levels(await self._worker.call(self._sweep, SWEEP_DEADLINE_S))
            self._backoff.reset()
            self._changes.say("", "")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.sweep / 1000):
                    await self._broken.wait()

    def _sweep(self) -> list[tuple[_Line, int, int | None]]:
        """Set the outputs again and read the inputs, in the worker's thread.

        Gives (line, edges seen before the read, level) of each line; None for a pin that could not be claimed.
        """
        self._claim()
        for output in self._outputs.values():
            output.write(SWEEP_DEADLINE_S)
        return [(line, line.seen, None if line.pin is None else line.pin.state) for line in self._lines]

    def _take_levels(self, levels: Sequence[tuple[_Line, int, int | None]]) -> None:
        """Deliver the levels, but for lines whose contact has moved since: their edge is newer than the level."""
        self._drain()
        readings = []
        for line, seen, level in levels:
            if level is None:
                readings.append(Reading(line.point, None, Unknown.REFUSED))
            elif line.seen == seen:
                self._counters["repairs"] += line.level not in (None, level)
                line.level = level
                readings.append(line.reading(level))
        if readings:
            self._deliver(readings)

    def write_failed(self, output: GpioOutput, error: Exception) -> None:
        """An output could not be set: the chip is looked after at once."""
        self._counters["write_failures"] += 1
        self._changes.say(f"output {output.pin}", str(error) or type(error).__name__)
        self._broken.set()

    # -- the chip

    def _open(self) -> None:
        self._factory = self._make_factory()
        self._claim()

    def _claim(self) -> None:
        """Claim the pins that are not yet; outputs first, because after a restart the buzzer waits for nothing.

        A pin that something else holds must not make the others deaf. Raises only when no pin at all can be claimed.
        """
        unclaimed: list[GpioOutput | _Line] = [output for output in self._outputs.values() if not output.is_open]
        unclaimed += [line for line in self._lines if line.pin is None]
        failures = [error for error in map(self._claim_one, unclaimed) if error is not None]
        if failures and len(failures) == len(self._outputs) + len(self._lines):
            raise failures[0]

    def _claim_one(self, pin: GpioOutput | _Line) -> Exception | None:
        number = pin.pin if isinstance(pin, GpioOutput) else pin.at.pin
        try:
            pin.open(self._factory)
        except Exception as error:  # see run
            self._changes.say(f"pin {number}", str(error) or type(error).__name__)
            return error
        self._changes.say(f"pin {number}", "")
        return None

    async def _release(self) -> None:
        with contextlib.suppress(Exception):
            await self._worker.call(self._release_chip, CLOSE_DEADLINE_S)

    def _release_chip(self) -> None:
        factory, self._factory = self._factory, None
        for line in self._lines:
            line.release()
        for output in self._outputs.values():
            with contextlib.suppress(Exception):
                output.release()
        with contextlib.suppress(Exception):
            if factory is not None:
                factory.close()

    def _end(self) -> None:
        """Outputs off, then the chip released."""
        for output in self._outputs.values():
            output.close()
        self._release_chip()


def _factory_maker(config: GpioConfig, is_simulated: bool) -> Any:
    """A function that opens the chip. Raises `backends.NotAllowed` now, rather than at the first opening."""
    if config.backend != backends.HARDWARE:
        factory = backends.load(config.backend, FACTORIES, is_simulated)
        return lambda: factory(config.address)

    def hardware() -> Any:
        from gpiozero.pins.lgpio import LGPIOFactory

        return LGPIOFactory(chip=config.chip)

    return hardware


KIND = SourceKind(GpioConfig, GpioAt, describe, GpioSource)
