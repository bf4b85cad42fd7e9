"""Processes that are started again and again, and killed in between; none outlives the torture."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
READY_S = 60.0
END_S = 60.0
_LAST_LINES = 12
_PR_SET_PDEATHSIG = 1
_ENTRY = "import sys; from {module} import main; sys.exit(main())"
# Loaded before any fork: between fork and exec nothing may take a lock.
_LIBC = ctypes.CDLL(None)


class Trouble(Exception):
    """The torture itself cannot go on; the text says why."""


def until(condition: Callable[[], Any], what: str, within_s: float = READY_S, every_s: float = 0.02) -> None:
    """Wait for `condition`, asked `every_s`. Raises Trouble."""
    end_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end_s:
            raise Trouble(f"waited {within_s:g} s in vain for {what}")
        time.sleep(every_s)


def program(module: str, *arguments: str) -> list[str]:
    """One of our commands by its module."""
    return [sys.executable, "-c", _ENTRY.format(module=module), *arguments]


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.create_server((LOOPBACK, 0)) as free:
        return int(free.getsockname()[1])


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on a port of loopback."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
    except OSError:
        return False


class Program:
    """One of the processes, over all its starts; what it writes is appended to its log. For the main thread: the kernel
    ends a child with the thread that started it."""

    def __init__(self, name: str, logs: Path) -> None:
        self.name = name
        self.starts = 0
        self._log = logs / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, command: Sequence[str]) -> None:
        """Begin, unless it runs. Raises OSError."""
        if self.is_alive:
            return
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=_die_with(os.getpid())
            )
        self.starts += 1

    def wait(self, answers: Callable[[], bool]) -> None:
        """Until it answers. Raises Trouble where it does not, or has ended."""

        def has_come() -> bool:
            if not self.is_alive:
                raise Trouble(f"the {self.name} ended:\n{self._tail()}")
            return answers()

        until(has_come, f"the {self.name} to answer")

    def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """In order, as the machine is shut down; by force where it does not."""
        if self._process is None or not self.is_alive:
            return
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Trouble(f"the {self.name} did not end:\n{self._tail()}") from None

    def _tail(self) -> str:
        lines = self._log.read_text("utf-8", "replace").splitlines() if self._log.exists() else []
        return "\n".join(f"    {line}" for line in lines[-_LAST_LINES:])


def _die_with(parent: int) -> Callable[[], None]:
    def in_child() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before that call
            os._exit(1)

    return in_child
