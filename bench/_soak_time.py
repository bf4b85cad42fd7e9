"""Simulated time for a whole agent: an event loop that jumps from deadline to deadline instead of sleeping.

Time stands still while anything works: the loop, a thread that it waits for, the journal's writer. It moves only when
all of them have nothing left to do but to wait, and then to the nearest of their deadlines, which is what a machine
without other work would do. So a slow disk, or a neighbour that takes the processor, cannot look like a time-out.

TCP connections of the loop are pairs of buffers: what the bytes are, and when they come, is the product's and the
simulator's; only the kernel is left out.
"""

import asyncio
import itertools
import selectors
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

from edge.sources.modbus import pace
from edge.sources.worker import Worker

T = TypeVar("T")
_POLL_S = 0.002
TURN_S = 1e-6
"""What a turn of the loop takes. Work that took no time could wait for ever for a deadline a nanosecond ahead."""
_THREADS = threading.local()


class SimulatedTime:
    """`now_s` moves in `advance` alone, on the loop's thread."""

    def __init__(self, start_s: float = 1_000.0) -> None:
        self.now_s = start_s
        self.events: list[SimulatedEvent] = []
        self.jobs: dict[int, bool] = {}
        """Calls in threads that the loop waits for, and whether each hangs, as a stuck bus does, until time passes."""

    def is_busy(self) -> bool:
        """Whether anything still works at this moment."""
        return not all(self.jobs.values()) or any(event.is_busy() for event in tuple(self.events))

    def advance(self, by_s: float) -> None:
        """Pass time, as far as the nearest deadline of a thread; one that is reached already is told so."""
        due_s = min((event.due_s for event in tuple(self.events) if event.due_s is not None), default=self.now_s + by_s)
        self.now_s = max(self.now_s, min(self.now_s + by_s, due_s))
        self.look()

    def look(self) -> None:
        """Tell the threads whose deadline has come."""
        for event in tuple(self.events):
            event.look()


class SimulatedEvent:
    """A threading.Event of one waiting thread, whose time-outs pass in simulated time."""

    def __init__(self, time: SimulatedTime, thread: threading.Thread | None = None) -> None:
        self.due_s: float | None = None
        self._time = time
        self._thread = thread
        self._is_set = False
        self._changed = threading.Condition()
        time.events.append(self)

    def is_busy(self) -> bool:
        """Whether its thread works, or is about to."""
        if self._thread is not None and not self._thread.is_alive():
            return False
        return self._is_set or self.due_s is None or self._time.now_s >= self.due_s

    def set(self) -> None:
        with self._changed:
            self._is_set = True
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._is_set = False

    def wait(self, timeout_s: float) -> bool:
        with self._changed:
            self.due_s = self._time.now_s + timeout_s
            self._changed.wait_for(lambda: self._is_set or self._time.now_s >= (self.due_s or 0))
            self.due_s = None
            return self._is_set

    def look(self) -> None:
        """Time has passed."""
        if self.due_s is not None and self._time.now_s >= self.due_s:
            with self._changed:
                self._changed.notify_all()


class SimulatedClock:
    """The agent's clock in simulated time, always trusted."""

    boot = "simulated"

    def __init__(self, time: SimulatedTime) -> None:
        self._time = time

    def mono_ms(self) -> int:
        return int(self._time.now_s * 1000)

    def wall_ms(self) -> int:
        return 1_750_000_000_000 + self.mono_ms()

    def clock_ok(self) -> bool:
        return True


class _Selector(selectors.DefaultSelector):
    def __init__(self, time: SimulatedTime) -> None:
        super().__init__()
        self._time = time

    def select(self, timeout: float | None = None) -> Any:
        self._time.advance(TURN_S)
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        while self._time.is_busy():
            self._time.look()
            if ready := super().select(_POLL_S):
                return ready
        # What finished just now may have told the loop before it was seen to be idle.
        if ready := super().select(0):
            return ready
        if timeout is None:
            return super().select(_POLL_S)
        self._time.advance(timeout)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop in simulated time, with listeners and connections of its own."""

    def __init__(self, time: SimulatedTime) -> None:
        self._simulated = time
        self._listeners: dict[int, Callable[[], asyncio.Protocol]] = {}
        self._ports = itertools.count(20_001)
        super().__init__(_Selector(time))

    def time(self) -> float:
        return self._simulated.now_s

    async def create_server(self, factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:  # type: ignore[override]
        port = port or next(self._ports)
        self._listeners[port] = factory
        name = SimpleNamespace(getsockname=lambda: (host, port))

        async def closed() -> None:
            return None

        return SimpleNamespace(sockets=[name], close=lambda: self._listeners.pop(port, None), wait_closed=closed)

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:  # type: ignore[override]
        listener = self._listeners.get(port)
        if listener is None:
            raise ConnectionRefusedError(f"nobody listens on {port}")
        near, far = _Wire(self, factory()), _Wire(self, listener())
        near.peer, far.peer = far, near
        for wire in (far, near):
            wire.protocol.connection_made(wire)
        return near, near.protocol


class _Wire(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = loop
        self.protocol = protocol
        self.peer: _Wire | None = None
        self._is_open = True

    def write(self, data: Any) -> None:
        if self._is_open and self.peer is not None:
            self._loop.call_soon(self.peer._take, bytes(data))

    def _take(self, data: bytes) -> None:
        if self._is_open:
            self.protocol.data_received(data)

    def abort(self) -> None:
        for end in (self, self.peer):
            if end is not None and end._is_open:
                end._is_open = False
                self._loop.call_soon(end.protocol.connection_lost, None)

    close = abort


def count_jobs(time: SimulatedTime) -> None:
    """Have time stand still while a thread of the product works for the loop."""
    call, numbers = Worker.call, itertools.count()

    async def counted(worker: Worker, work: Callable[[], T], deadline_s: float) -> T:
        number = next(numbers)

        def known() -> T:
            _THREADS.job = number
            return work()

        time.jobs[number] = False
        try:
            return await call(worker, known, deadline_s)
        finally:
            time.jobs.pop(number, None)

    Worker.call = counted  # type: ignore[method-assign,assignment]
    # The silence between RTU frames is the kernel's to keep; over TCP there is none, but the question what time it is.
    vars(pace)["time"] = SimpleNamespace(monotonic=lambda: time.now_s)


def hang(time: SimulatedTime, until: Callable[[], object]) -> None:
    """In a thread of the product: let time pass meanwhile, because this call is one that hangs."""
    number = getattr(_THREADS, "job", -1)
    if number in time.jobs:
        time.jobs[number] = True
    until()
    if number in time.jobs:
        time.jobs[number] = False
