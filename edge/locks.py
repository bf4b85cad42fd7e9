"""One agent per GPIO chip, bus and port: an advisory lock that the kernel drops with the process, however it ends."""

import fcntl
import hashlib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

RUN_LOCK = Path("/run/lock")
"""Gone with a reboot, as the locks are, and shared by all users of the machine."""
NAME_MAX = 120


class InUse(Exception):
    """Another process holds what this one needs; the text names both."""


class Lock:
    """A thing held by this process until `release`."""

    def __init__(self, descriptor: int, what: str, path: Path) -> None:
        self.what = what
        self.path = path
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let another process have it. The file goes first, while it is still ours: see `_is_at`."""
        if self._descriptor is not None:
            with suppress(OSError):
                self.path.unlink()
            os.close(self._descriptor)
            self._descriptor = None


def machine_folder() -> Path:
    """Where all agents of this machine lock its chips, buses and ports, whatever their data folders are."""
    return RUN_LOCK if os.access(RUN_LOCK, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def hold(folder: Path, what: str, called: str = "") -> Lock:
    """Hold `what` ("gpiochip0", "/dev/ttyUSB0") for this process, or raise `InUse`, which says it as people call it.

    A path is followed to what it leads to: /dev/serial/by-id/... and /dev/ttyUSB0 are one port. `folder` is shared by
    all agents that may want it. OSError when it cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _file_name(os.path.realpath(what) if what.startswith("/") else what)
    while True:
        descriptor = _open(path)
        _lock(descriptor, called or what)
        if _is_at(path, descriptor):
            break
        os.close(descriptor)
    with suppress(OSError):  # another user's file: locked all the same, only without our number in it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Lock(descriptor, what, path)


def _lock(descriptor: int, called: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise InUse(f"{called} is in use by process {holder or 'unknown'}") from None


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the locked file is the one that others will find. Its last holder may have removed it after we opened it;
    without this look two processes would hold two files of one name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _file_name(what: str) -> str:
    """A name in one folder that all agents agree on; what does not fit is told apart by its hash."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", what).strip("-")
    if len(name) > NAME_MAX:
        name = name[:NAME_MAX] + "-" + hashlib.sha256(what.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"shouwang-{name}.lock"
