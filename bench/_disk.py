"""A disk that stops for seconds at a time, for the whole process that is measured, without root and without a driver.

"fsync": a seccomp filter hands every fsync and fdatasync of this process to another one (seccomp_unotify(2), Linux
5.5), which lets it go on when the disk "works" again. The caller hangs in the kernel, as with an SD card that is busy
with itself. A thread that must not wait for the disk would hang just the same, so that nothing is staged about it.

"lock": another process holds the journal's write lock instead (SQLite's BEGIN IMMEDIATE), where seccomp is not allowed.
"""

import contextlib
import ctypes
import fcntl
import os
import platform
import random
import select
import socket
import sqlite3
import struct
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench._children import END, ask, child, heard

Span = tuple[float, float]
"""Shortest and longest, in seconds."""
STALL_S: Span = (1.0, 4.0)
WORK_S: Span = (1.0, 3.0)
"""How long the disk stops, and how long it works in between. Beyond two seconds the journal calls it dead."""


@dataclass(slots=True)
class Stalls:
    """What a disk did: calls that had to wait, how long altogether, and the longest."""

    calls: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0

    def add(self, waited_s: float) -> None:
        """A call waited for so long."""
        self.calls += 1
        self.total_s = round(self.total_s + waited_s, 3)
        self.longest_s = round(max(self.longest_s, waited_s), 3)


class Disk:
    """The stalling disk as the bench sees it. `method` is "fsync" or "lock"."""

    def __init__(self, method: str, pipe: Connection) -> None:
        self.method = method
        self._pipe = pipe

    def figures(self) -> dict[str, Any]:
        """What it did so far."""
        return {"method": self.method, **ask(self._pipe, "stalls")}


@contextlib.contextmanager
def stalling(journal: Path, method: str = "fsync", work_s: Span = WORK_S, stall_s: Span = STALL_S) -> Iterator[Disk]:
    """Have the disk stop from now on: for this process, or where that cannot be, for the database `journal`.

    Start every other process before: a filter is inherited. Afterwards the process can sync no more.
    """
    ours, theirs = socket.socketpair()
    try:
        if method == "fsync":
            with child(_hold_syncs, theirs, work_s, stall_s) as pipe:
                socket.send_fds(ours, [b"\0"], [_notify_of_syncs()])
                yield Disk(method, pipe)
        else:
            with child(_hold_lock, str(journal), work_s, stall_s) as pipe:
                yield Disk(method, pipe)
    finally:
        ours.close()
        theirs.close()


# --- the filter -------------------------------------------------------------------------------------------------------

_ARCHITECTURES = {
    # Audit number, then the numbers of seccomp, fsync and fdatasync.
    "x86_64": (0xC000003E, 317, 74, 75),
    "aarch64": (0xC00000B7, 277, 82, 83),
}
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ALLOW, _USER_NOTIF = 0x7FFF0000, 0x7FC00000
_LOAD, _IS_EQUAL, _RETURN = 0x20, 0x15, 0x06
"""BPF: load a word of seccomp_data, jump if equal, return."""
_NR_AT, _ARCH_AT = 0, 4


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def can_hold_syncs() -> bool:
    """Whether this machine's kernel and processor are ones that `_notify_of_syncs` knows."""
    actions = Path("/proc/sys/kernel/seccomp/actions_avail")
    return platform.machine() in _ARCHITECTURES and actions.exists() and "user_notif" in actions.read_text()


def _notify_of_syncs() -> int:
    """Filter this thread and all that it starts; the descriptor on which its syncs are announced. Raises OSError."""
    architecture, seccomp, fsync, fdatasync = _ARCHITECTURES[platform.machine()]
    code = b"".join(
        struct.pack("HBBI", *each)
        for each in (
            (_LOAD, 0, 0, _ARCH_AT),
            (_IS_EQUAL, 0, 3, architecture),
            (_LOAD, 0, 0, _NR_AT),
            (_IS_EQUAL, 2, 0, fsync),
            (_IS_EQUAL, 1, 0, fdatasync),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _USER_NOTIF),
        )
    )
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    program = _Program(len(code) // 8, code)
    listener: int = libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


# --- the other process ------------------------------------------------------------------------------------------------

_NOTIFICATION, _RESPONSE = 80, struct.Struct("QqiI")
"""sizeof(struct seccomp_notif); struct seccomp_notif_resp."""
_RECEIVE = 3 << 30 | _NOTIFICATION << 16 | 0x21 << 8
_SEND = 3 << 30 | _RESPONSE.size << 16 | 0x21 << 8 | 1
_GO_ON = 1


class _Weather:
    """When the disk works and when it does not."""

    def __init__(self, work_s: Span, stall_s: Span) -> None:
        self._work_s, self._stall_s = work_s, stall_s
        self._stops_s = self._works_s = time.monotonic()

    def waits_s(self) -> float:
        """How long the disk stands still from now on; 0 while it works."""
        now_s = time.monotonic()
        while now_s >= self._works_s:
            self._stops_s = self._works_s + random.uniform(*self._work_s)
            self._works_s = self._stops_s + random.uniform(*self._stall_s)
        return self._works_s - now_s if now_s >= self._stops_s else 0.0


def _hold_syncs(pipe: Connection, line: socket.socket, work_s: Span, stall_s: Span) -> None:
    _, (listener,), _, _ = socket.recv_fds(line, 1, 1)
    stalls, weather = Stalls(), _Weather(work_s, stall_s)
    while True:
        ready, _, _ = select.select([listener, pipe.fileno()], [], [])
        if pipe.fileno() in ready:
            if heard(pipe) == END:
                return
            pipe.send(asdict(stalls))
        if listener in ready:
            _hold_one(listener, weather, stalls)


def _hold_one(listener: int, weather: _Weather, stalls: Stalls) -> None:
    call = bytearray(_NOTIFICATION)
    try:
        fcntl.ioctl(listener, _RECEIVE, call)
        waits_s = weather.waits_s()
        if waits_s:
            time.sleep(waits_s)
            stalls.add(waits_s)
        number = struct.unpack_from("Q", call)[0]
        fcntl.ioctl(listener, _SEND, bytearray(_RESPONSE.pack(number, 0, 0, _GO_ON)))
    except FileNotFoundError:
        pass  # the caller has died meanwhile


def _hold_lock(pipe: Connection, journal: str, work_s: Span, stall_s: Span) -> None:
    stalls, weather = Stalls(), _Weather(work_s, stall_s)
    while True:
        waits_s = weather.waits_s()
        if waits_s and os.path.exists(journal):
            with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(_locked(journal)) as database:
                time.sleep(waits_s)
                stalls.add(waits_s)
                database.execute("ROLLBACK")
        if pipe.poll(0.05):
            if heard(pipe) == END:
                return
            pipe.send(asdict(stalls))


def _locked(journal: str) -> sqlite3.Connection:
    database = sqlite3.connect(journal, timeout=1.0, isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
    except sqlite3.Error:
        database.close()
        raise
    return database
