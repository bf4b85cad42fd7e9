"""Blocking calls with a deadline: one daemon thread that does one call at a time.

A call that misses its deadline cannot be interrupted, so its thread is given up and the next call gets a fresh one.
The threads given up are counted and bounded. They are daemons: a bus that hangs for ever must not keep the agent from
ending, which a pool of `concurrent.futures` would.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

# A thread stuck in the kernel costs about 100 KiB of memory; four are enough to see that a bus does not come back.
GIVEN_UP_MAX = 4

_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Stuck(Exception):
    """A call did not return before its deadline, or all threads that may be given up are."""


class Worker:
    """A thread for one bus. Use from one event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] | None = None
        self._given_up: list[threading.Thread] = []
        self._thread: threading.Thread | None = None

    async def call(self, work: Callable[[], T], deadline_s: float) -> T:
        """The result of `work()` in the thread, or its exception; `Stuck` after `deadline_s`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._queue().put((work, loop, done))
        timer = loop.call_later(deadline_s, _expire, done)
        try:
            return await done
        except (Stuck, asyncio.CancelledError):
            self._give_up()
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Let the thread end once its present call returns."""
        self._give_up()

    @property
    def given_up(self) -> int:
        """Threads still stuck in calls that missed their deadline."""
        self._given_up = [thread for thread in self._given_up if thread.is_alive()]
        return len(self._given_up)

    def _queue(self) -> "SimpleQueue[_Job | None]":
        if self._jobs is None:
            if self.given_up >= GIVEN_UP_MAX:
                raise Stuck(f"{self._name}: {GIVEN_UP_MAX} calls never returned")
            self._jobs = SimpleQueue()
            self._thread = threading.Thread(target=_serve, args=(self._jobs,), name=self._name, daemon=True)
            self._thread.start()
        return self._jobs

    def _give_up(self) -> None:
        if self._jobs is not None and self._thread is not None:
            self._jobs.put(None)
            self._given_up.append(self._thread)
            self._jobs = self._thread = None


def finish(work: Callable[[], object], deadline_s: float) -> None:
    """Do a last thing that may block, and leave it behind after `deadline_s`: the process is about to end."""
    thread = threading.Thread(target=work, name="closing", daemon=True)
    thread.start()
    thread.join(deadline_s)


def _serve(jobs: "SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        work, loop, done = job
        try:
            outcome: tuple[Any, BaseException | None] = (work(), None)
        except Exception as error:
            outcome = (None, error)
        # The loop may be gone by the time a stuck call returns.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, done, *outcome)


def _settle(done: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _expire(done: "asyncio.Future[Any]") -> None:
    if not done.done():
        done.set_exception(Stuck("the call did not return before its deadline"))
