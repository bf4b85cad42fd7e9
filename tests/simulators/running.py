"""A simulated home in a thread of its own, for tests with blocking clients (gpiozero, smbus2, pymodbus)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from simulators.building import Building
from simulators.home import HomeSimulator

_T = TypeVar("_T")
TIMEOUT_S = 10.0


class LoopThread:
    """An event loop in a thread; `run` carries out a coroutine there and `call` a function."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="simulated home", daemon=True)
        self._thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(TIMEOUT_S)

    def call(self, function: Callable[..., _T], *arguments: Any) -> _T:
        async def within() -> _T:
            return function(*arguments)

        result: _T = self.run(within())
        return result

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class RunningHome:
    """A home served from `folder`; `ready` is what its ready.json says."""

    def __init__(self, folder: Path, building: Building | None = None) -> None:
        self.folder = folder
        self._thread = LoopThread()
        self.simulator = HomeSimulator(building or Building.load("home"), folder)
        try:
            self.ready: dict[str, Any] = self._thread.run(self.simulator.start())
        except BaseException:
            self._thread.close()
            raise
        self._is_running = True

    def do(self, **command: Any) -> dict[str, Any]:
        """A command to the controller, without the socket. Fails on an error reply."""
        reply = self._thread.call(self.simulator.controller.handle, command)
        assert "error" not in reply, reply["error"]
        return reply

    def stop(self) -> None:
        """Stop serving; a second time nothing happens."""
        if self._is_running:
            self._is_running = False
            self._thread.run(self.simulator.stop())
            self._thread.close()
