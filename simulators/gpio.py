"""GPIO lines on a UNIX socket: the face that bounces the building's contacts, and the pin factory at its other end.

    request   R pin | W pin level | I pin | O pin [level] | P pin pull      one line each, pins and levels as digits
    reply     = [level]    or    ! text
    edge      E pin level monotonic_ns                                    between replies, whenever an input changes
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import queue
import random
import socket
import threading
from pathlib import Path

from simulators.building import Building
from simulators.chip import FUNCTIONS, PULLS, Change, GpioChip
from simulators.faults import Chatter, Fault
from simulators.pins import ChipFactory, InProcessPins
from simulators.sockets import UnixServer

__all__ = ["GpioFace", "InProcessPins", "SimulatedPinFactory", "Wire"]

# Relays and buttons of this class settle in 2 to 10 ms.
BOUNCE_MIN_MS, BOUNCE_MAX_MS = 2, 10
# No answer on a local socket for this long means that the simulator hangs.
REPLY_TIMEOUT_S = 5.0


def bounces_ms(generator: random.Random) -> list[float]:
    """Times after the first edge at which a contact flips again: an even number of them, so that it stays changed."""
    length_ms = generator.uniform(BOUNCE_MIN_MS, BOUNCE_MAX_MS)
    flips = 2 * generator.randint(1, 3)
    return sorted([*(generator.uniform(0, length_ms) for _ in range(flips - 1)), length_ms])


class GpioFace:
    """Wires a building's contacts to a chip, with bounce, and serves the chip on a UNIX socket."""

    def __init__(self, building: Building, chip: GpioChip) -> None:
        self.chip = chip
        self._building = building
        self._random = random.Random(building.seed)
        self._timers: dict[int, list[asyncio.TimerHandle]] = {}
        self._chatter: dict[int, asyncio.Task[None]] = {}
        self._server = UnixServer(self._serve)
        self._clients: set[asyncio.StreamWriter] = set()
        for each in building.plan.inputs:
            chip.contact(each.pin, building.contact(each.pin))
        building.watch(self._contact_changed)
        building.faults.watch(self._fault_changed)
        chip.watch(self._line_changed)

    async def start(self, path: Path) -> None:
        """Listen on `path`."""
        await self._server.start(path)

    async def stop(self) -> None:
        """Stop bouncing, listening and close what is open."""
        for timers in self._timers.values():
            _cancel(timers)
        for task in self._chatter.values():
            task.cancel()
        await self._server.stop()

    # --- the building's side ---

    def _contact_changed(self, pin: int, is_closed: bool) -> None:
        if self._building.faults.at(f"gpio/{pin}") is None:
            self._bounce(pin, is_closed)

    def _bounce(self, pin: int, is_closed: bool) -> None:
        """Change the contact now, and flip it there and back for some milliseconds."""
        _cancel(self._timers.get(pin, []))
        self.chip.contact(pin, is_closed)
        loop = asyncio.get_running_loop()
        flips = enumerate(bounces_ms(self._random))
        self._timers[pin] = [
            loop.call_later(at_ms / 1000, self.chip.contact, pin, is_closed == bool(flip % 2)) for flip, at_ms in flips
        ]

    def _fault_changed(self, place: str, fault: Fault | None) -> None:
        family, _, pin = place.partition("/")
        if family != "gpio":
            return
        task = self._chatter.pop(int(pin), None)
        if task is not None:
            task.cancel()
        if isinstance(fault, Chatter):
            self._chatter[int(pin)] = asyncio.get_running_loop().create_task(self._chatters(int(pin), fault.hz))
        elif fault is None:
            self._bounce(int(pin), self._building.contact(int(pin)))
        else:
            # Stuck: whatever the contact is now is what it stays.
            self._building.contact(int(pin))

    async def _chatters(self, pin: int, hz: int) -> None:
        """Open and close `hz` times a second, as well as the event loop's timer of a millisecond can."""
        loop = asyncio.get_running_loop()
        due_s, is_closed = loop.time(), False
        while True:
            is_closed = not is_closed
            self.chip.contact(pin, is_closed)
            due_s = max(due_s + 0.5 / hz, loop.time())
            await asyncio.sleep(due_s - loop.time())

    def _line_changed(self, change: Change) -> None:
        if change.kind == "output":
            self._building.drive(change.pin, change.level)
            return
        line = f"E {change.pin} {change.level:d} {change.monotonic_ns}\n".encode()
        for client in self._clients:
            client.write(line)

    # --- the program's side ---

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while request := await reader.readline():
                writer.write(self._answer(request.decode().split()))
        finally:
            self._clients.discard(writer)

    def _answer(self, words: list[str]) -> bytes:
        try:
            return f"= {self._execute(*words)}\n".encode()
        except (OSError, KeyError, ValueError, TypeError) as error:
            return f"! {error}\n".encode()

    def _execute(self, verb: str, pin_word: str, value: str = "") -> str:
        pin = int(pin_word)
        if verb == "R":
            return f"{self.chip.read(pin):d}"
        if verb == "W":
            self.chip.write(pin, value == "1")
        elif verb == "P" and value in PULLS:
            self.chip.set_pull(pin, value)
        elif verb in ("I", "O"):
            self.chip.claim(pin, FUNCTIONS["IO".index(verb)], None if value == "" else value == "1")
        else:
            raise ValueError(f"no request {verb} {value}")
        return ""


def _cancel(timers: list[asyncio.TimerHandle]) -> None:
    for timer in timers:
        timer.cancel()


class Wire:
    """The program's end of a chip's socket. A reader thread delivers edges; after a break every call raises OSError."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise
        self._lock = threading.Lock()
        self._replies: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._is_broken = False
        self._thread: threading.Thread | None = None

    def listen(self, factory: ChipFactory) -> None:
        """Start handing edges to `factory`."""
        self._thread = threading.Thread(target=self._read, args=(factory,), name="simulated gpio", daemon=True)
        self._thread.start()

    def read(self, pin: int) -> bool:
        return self._ask(f"R {pin}") == "1"

    def write(self, pin: int, level: bool) -> None:
        self._ask(f"W {pin} {level:d}")

    def claim(self, pin: int, function: str, level: bool | None = None) -> None:
        self._ask(f"{'IO'[FUNCTIONS.index(function)]} {pin}" + ("" if level is None else f" {level:d}"))

    def set_pull(self, pin: int, pull: str) -> None:
        self._ask(f"P {pin} {pull}")

    def close(self) -> None:
        """Hang up; the simulator keeps the outputs as they are."""
        self._is_broken = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()
        self._socket.close()

    def _ask(self, request: str) -> str:
        with self._lock:
            if self._is_broken:
                raise OSError(errno.ENODEV, "the simulated GPIO chip is gone")
            self._socket.sendall(f"{request}\n".encode())
            try:
                reply = self._replies.get(timeout=REPLY_TIMEOUT_S)
            except queue.Empty:
                # An answer that comes after this would be taken for the next one's.
                self._is_broken = True
                raise TimeoutError(errno.ETIMEDOUT, "the simulated GPIO chip does not answer") from None
        if reply is None:
            raise OSError(errno.ENODEV, "the simulated GPIO chip is gone")
        if reply.startswith("!"):
            raise OSError(errno.EINVAL, reply[2:])
        return reply[2:]

    def _read(self, factory: ChipFactory) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("r", encoding="ascii") as lines:
            for line in lines:
                words = line.split()
                if words[0] == "E":
                    factory.deliver(Change("edge", int(words[1]), words[2] == "1", int(words[3])))
                else:
                    self._replies.put(line.rstrip("\n"))
        self._is_broken = True
        self._replies.put(None)


class SimulatedPinFactory(ChipFactory):
    """gpiozero's pins at a running simulator's `gpio.sock`. Raises OSError where none listens at `address`."""

    def __init__(self, address: str) -> None:
        self._wire = Wire(address)
        super().__init__(self._wire)
        self._wire.listen(self)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()
        self._wire.close()
