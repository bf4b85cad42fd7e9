"""One agent per GPIO chip, bus and port: an advisory lock that the kernel drops with the process, however it ends."""

import fcntl
import os
import re
from pathlib import Path


class InUse(Exception):
    """Another process holds what this one needs; the text names both."""


class Lock:
    """A thing held by this process until `release`."""

    def __init__(self, descriptor: int, what: str) -> None:
        self.what = what
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let another process have it. The file stays: removing it would let two processes lock two files of one
        name.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def hold(folder: Path, what: str) -> Lock:
    """Hold `what` ("gpiochip0", "/dev/ttyUSB0") for this process, or raise `InUse`.

    `folder` is shared by all agents of the machine. OSError when it cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (re.sub(r"[^A-Za-z0-9._-]+", "-", what).strip("-") + ".lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise InUse(f"{what} is in use by process {holder or 'unknown'}") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Lock(descriptor, what)
