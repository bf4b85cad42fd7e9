"""Child processes that never outlive the demonstration, and say why when they die before it.

Each leads a process group of its own, so that Ctrl-C on the terminal reaches only the parent, which then ends them.
Should the parent itself be killed, the kernel ends them (PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

STOP_WITHIN_S = 6.0
_LAST_LINES = 12
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may take a lock.
_LIBC = ctypes.CDLL(None)


class ChildDied(Exception):
    """A child ended that should have gone on; the text has its name, its status and the end of its log."""


@dataclass(slots=True)
class Child:
    """A started process. `process.stdin` and `.stdout` are pipes where it was asked for. One that is not lasting may
    end well at any time. Those that serve others (`is_server`) end after them."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    is_lasting: bool = True
    is_server: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether it has ended as it should not have."""
        status = self.process.poll()
        return status is not None and (self.is_lasting or status != 0)

    def tail(self) -> str:
        """The last lines that it wrote."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-_LAST_LINES:])


class Children:
    """Starts processes, and ends all of them. For the main thread: the kernel ends a child with
    the thread that started it."""

    def __init__(self, logs: Path, folder: Path) -> None:
        self._logs = logs
        self._folder = folder
        self._children: list[Child] = []

    @property
    def pids(self) -> list[int]:
        """The process ids of those that run."""
        return [child.process.pid for child in self._children if child.process.poll() is None]

    def start(
        self,
        name: str,
        command: Sequence[str],
        with_pipes: bool = False,
        is_lasting: bool = True,
        is_server: bool = False,
    ) -> Child:
        """Start `command` in the data folder; what it writes goes to its log. Raises OSError."""
        log = self._logs / f"{name}.log"
        pipe = subprocess.PIPE if with_pipes else None
        with log.open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or out,
                stderr=out,
                cwd=self._folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                process_group=0,
                preexec_fn=_die_with(os.getpid()),
            )
        child = Child(name, process, log, is_lasting, is_server)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raises ChildDied for one that has ended and should not have."""
        for child in self._children:
            if child.has_failed:
                status = child.process.returncode
                words = f"its last words ({child.log}):\n{child.tail()}"
                raise ChildDied(f"{child.name} ended with status {status}; {words}")
        self._children = [child for child in self._children if child.process.poll() is None]

    def stop_all(self) -> None:
        """End what is left: politely, then by force; first those that are served, side by side, then the servers."""
        children, self._children = self._children, []
        for is_server in (False, True):
            wave = [child for child in children if child.is_server is is_server]
            for child in wave:
                _ask_to_end(child)
            deadline_s = time.monotonic() + STOP_WITHIN_S
            for child in wave:
                _wait_or_kill(child, deadline_s)


def _die_with(parent: int) -> Callable[[], None]:
    def in_child() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before that call.
        if os.getppid() != parent:
            os._exit(1)

    return in_child


def _ask_to_end(child: Child) -> None:
    if child.process.poll() is None:
        child.process.terminate()
    _close(child.process.stdin)


def _wait_or_kill(child: Child, deadline_s: float) -> None:
    try:
        child.process.wait(max(0.0, deadline_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        # Not waited for yet, so the group is still its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
    _close(child.process.stdout)


def _close(pipe: "IO[bytes] | None") -> None:
    if pipe is not None:
        with contextlib.suppress(OSError):
            pipe.close()
