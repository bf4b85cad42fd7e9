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
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from edge.core.values import Reading, Unknown
from edge.locks import Lock, hold
from edge.schema import Ms
from edge.sources import backends
from edge.sources.backoff import Backoff
from edge.sources.gpio_pins import GpioAt, GpioOutput, InputLine
from edge.sources.seam import Changes, Deliver, Described, Site, SourceKind, Wired
from edge.sources.worker import Worker, finish

T = TypeVar("T")

FACTORIES = "gpiozero_pin_factories"
# The kernel answers in microseconds; a simulated chip's socket may hang.
SWEEP_DEADLINE_S = 0.8
OPEN_DEADLINE_S = 5.0
CLOSE_DEADLINE_S = 1.0
REOPEN_FIRST_S = 0.25
REOPEN_CAP_S = 5.0


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


def describe(config: GpioConfig, at: GpioAt) -> Described | str:
    """What readings of a contact mean. A plain contact cannot tell a cut wire from rest, so it is unsupervised."""
    return Described("", 0, "contact", False, "")


class _ChipGone(Exception):
    """The chip cannot be opened or read."""


class GpioSource:
    """The source of kind "gpio"."""

    def __init__(self, config: GpioConfig, wired: Sequence[Wired], site: Site) -> None:
        self.name = config.name
        self._config = config
        self._make_factory = _factory_maker(config, site.simulated)
        self._lock: Lock = hold(site.locks, config.where)
        self._changes = Changes(logging.getLogger(__name__), config.name)
        self._counters: Counter[str] = Counter()
        self._lines = [InputLine(each.point, each.at, self._take_edge) for each in wired]
        self._outputs: dict[int, GpioOutput] = {}
        self._leaving: list[InputLine | GpioOutput] = []
        self._edges: deque[tuple[InputLine, int]] = deque()
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
        made = GpioOutput(pin, is_active_high, self._write_failed)
        self._outputs = {**self._outputs, pin: made}  # a sweep may be going through the old ones
        return made

    def rewire(self, wired: Sequence[Wired], pins: Collection[int]) -> None:
        """Watch these points from now on, and keep the outputs on `pins`. What stays is not touched: a line keeps its
        edges, an output sounds on. The next sweep, which comes at once, gives back what goes and claims what is new."""
        lasting = {(line.point, line.at): line for line in self._lines}
        wanted = [(each.point, each.at) for each in wired]
        self._lines = [lasting[key] if key in lasting else InputLine(*key, self._take_edge) for key in wanted]
        left = [line for key, line in lasting.items() if key not in wanted]
        gone = [output for pin, output in self._outputs.items() if pin not in pins]
        self._outputs = {pin: output for pin, output in self._outputs.items() if pin in pins}
        self._leaving += [*left, *gone]
        self._broken.set()

    async def run(self, deliver: Deliver) -> None:
        """Watch until cancelled; a chip that is gone is opened again."""
        self._loop, self._deliver = asyncio.get_running_loop(), deliver
        while True:
            await self._release()
            try:
                await self._on_chip(self._open, OPEN_DEADLINE_S)
                await self._watch()
            except _ChipGone as gone:
                self._counters["losses"] += 1
                self._changes.say("", f"{self._config.where}: {gone}")
                if self._lines:
                    deliver([Reading(line.point, None, Unknown.NO_LINK) for line in self._lines])
            await self._release()
            await asyncio.sleep(self._backoff.next_s())

    def close(self) -> None:
        """Outputs off, pins released. Waits a second at most for a chip that hangs."""
        finish(self._end, CLOSE_DEADLINE_S)
        self._worker.close()
        self._lock.release()

    def counters(self) -> Mapping[str, int]:
        """edges; edges_dropped: more than the loop could take; repairs: levels that the sweep found changed without an
        edge; losses: times the chip went away; write_failures."""
        own = {"edges": sum(line.seen for line in self._lines)}
        return {**self._counters, **own, "edges_dropped": sum(line.dropped for line in self._lines)}

    # -- edges, from the pin library's thread

    def _take_edge(self, line: InputLine, level: int) -> None:
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
            self._take_levels(await self._on_chip(self._sweep, SWEEP_DEADLINE_S))
            self._backoff.reset()
            self._changes.say("", "")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.sweep / 1000):
                    await self._broken.wait()

    def _sweep(self) -> list[tuple[InputLine, int, int | None]]:
        """Set the outputs again and read the inputs, in the worker's thread.

        Gives (line, edges seen before the read, level) of each line; None for a pin that could not be claimed.
        """
        while self._leaving:
            self._let_go(self._leaving.pop())
        self._claim()
        for output in self._outputs.values():
            output.write(SWEEP_DEADLINE_S)
        return [(line, line.seen, None if line.pin is None else line.pin.state) for line in self._lines]

    def _take_levels(self, levels: Sequence[tuple[InputLine, int, int | None]]) -> None:
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

    def _write_failed(self, output: GpioOutput, error: Exception) -> None:
        """An output could not be set: the chip is looked after at once."""
        self._counters["write_failures"] += 1
        self._changes.say(f"output {output.pin}", str(error) or type(error).__name__)
        self._broken.set()

    # -- the chip

    async def _on_chip(self, work: Callable[[], T], deadline_s: float) -> T:
        """`work()` in the worker's thread. Raises _ChipGone for whatever the pin library raises, and for a hang."""
        try:
            return await self._worker.call(work, deadline_s)
        except Exception as error:  # a pin library raises classes of its own; whatever it is, the chip is gone
            raise _ChipGone(str(error) or type(error).__name__) from error

    def _open(self) -> None:
        self._factory = self._make_factory()
        self._claim()

    def _claim(self) -> None:
        """Claim the pins that are not yet; outputs first, because after a restart the buzzer waits for nothing.

        A pin that something else holds must not make the others deaf. Raises only when no pin at all can be claimed.
        """
        unclaimed: list[GpioOutput | InputLine] = [output for output in self._outputs.values() if not output.is_open]
        unclaimed += [line for line in self._lines if line.pin is None]
        failures = [error for error in map(self._claim_one, unclaimed) if error is not None]
        if failures and len(failures) == len(self._outputs) + len(self._lines):
            raise failures[0]

    def _claim_one(self, pin: GpioOutput | InputLine) -> Exception | None:
        number = pin.pin if isinstance(pin, GpioOutput) else pin.at.pin
        try:
            pin.open(self._factory)
        except Exception as error:  # see _on_chip
            self._changes.say(f"pin {number}", str(error) or type(error).__name__)
            return error
        self._changes.say(f"pin {number}", "")
        return None

    def _let_go(self, gone: InputLine | GpioOutput) -> None:
        """Give a pin back that nothing hangs on any more; an output is off before that."""
        with contextlib.suppress(Exception):  # of a chip that is gone there is nothing to give back
            if isinstance(gone, GpioOutput):
                gone.drive(False)
                gone.release()
            elif (pin := gone.pin) is not None:
                gone.release()
                pin.when_changed = None
                pin.close()

    async def _release(self) -> None:
        if self._factory is None:
            return
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
