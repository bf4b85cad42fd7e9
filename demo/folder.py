"""The data folder: emptied at the start, held against a second demonstration, reachable by short paths."""

import os
import shutil
import tempfile
from pathlib import Path

from edge import locks

MARK = ".shouwang-demo"
"""Says that the folder is a demonstration's own, and may be emptied by the next one."""
LOCK = "demo"
DEFAULT = Path(__file__).parents[1] / "data" / "demo"
MAX_SOCKET_PATH = 107
"""A UNIX socket's path has to fit into sockaddr_un."""
_LONGEST = "building/control.sock"


class FolderError(Exception):
    """The folder cannot be used; the text says why."""


class Folder:
    """`kept` is the folder; `path` is the same by a path short enough for sockets, through a link where need be.

    Raises FolderError. `close` removes the link and lets another demonstration in.
    """

    def __init__(self, kept: Path) -> None:
        self.kept = kept.absolute()
        self._link: Path | None = None
        self._check()
        try:
            self._lock = locks.hold(self.kept, LOCK)
            _empty(self.kept, self._lock.path)
            (self.kept / MARK).touch()
            for name in ("logs", "homes"):
                (self.kept / name).mkdir()
            self.path = self._short()
        except (OSError, locks.InUse) as error:
            raise FolderError(f"{self.kept}: {error}") from error
        self.logs = self.path / "logs"

    def close(self) -> None:
        """End the use of the folder; what is in it stays until the next start."""
        if self._link is not None:
            shutil.rmtree(self._link.parent, ignore_errors=True)
        self._lock.release()

    def _check(self) -> None:
        """A folder that is somebody else's is not emptied."""
        if self.kept.is_dir() and any(self.kept.iterdir()) and not (self.kept / MARK).exists():
            raise FolderError(f"{self.kept} holds something that no demonstration left there; choose another folder")

    def _short(self) -> Path:
        if len(os.fsencode(self.kept / _LONGEST)) <= MAX_SOCKET_PATH:
            return self.kept
        for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
            if len(os.fsencode(place)) + len("/shouwang-12345678/d/" + _LONGEST) <= MAX_SOCKET_PATH:
                self._link = Path(tempfile.mkdtemp(prefix="shouwang-", dir=place)) / "d"
                self._link.symlink_to(self.kept, target_is_directory=True)
                return self._link
        raise OSError("its path is too long for sockets, and so is that of the folder for temporary files")


def _empty(folder: Path, lock: Path) -> None:
    for entry in folder.iterdir():
        if entry == lock:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
