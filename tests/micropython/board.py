"""A sensor node under test: the firmware on a simulated board that runs real MicroPython (board.mjs says how)."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import LOOPBACK, ROOT, end, lack, need, wait_until

FIRMWARE = ROOT / "device"
RUNNER = ROOT / "tests" / "micropython" / "board.mjs"
KEY = bytes(range(32))
SMOKE_PIN = 4
TAMPER_PIN = 5
BUTTON_PIN = 9


def flash(folder: Path, **values: object) -> Path:
    """Lay out a board's flash as an installer does; `values` replace those of board.py."""
    (folder / "a" / "device").mkdir(parents=True)
    for path in FIRMWARE.glob("*.py"):
        shutil.copy(path, folder / "a" / "device" / path.name)
    shutil.copy(FIRMWARE / "start.py", folder / "main.py")
    values = {"GATEWAY_HOST": LOOPBACK, "UPDATE_KEY": KEY.hex(), **values}
    lines = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    (folder / "board.py").write_text((FIRMWARE / "board.py").read_text() + lines)
    return folder


def program(folder: Path, name: str, **values: object) -> Path:
    """A flash whose /main.py is a program of programs/, with the firmware beside it as the package `device`."""
    flash(folder, **values)
    (folder / "a" / "device").rename(folder / "device")
    shutil.copy(RUNNER.parent / "programs" / name, folder / "main.py")
    return folder


class Board:
    """One running board. Its flash is a folder that outlives it."""

    def __init__(self, folder: Path, heap: int | None = None) -> None:
        node = need("node", "running device/ in real MicroPython")
        if not (RUNNER.parent / "node_modules" / "@micropython").is_dir():
            lack("MicroPython is not installed in tests/micropython (./run setup)")
        self.folder = folder
        self.lines: list[str] = []
        command = [node, str(RUNNER), str(folder), *(["--heap", str(heap)] if heap else [])]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def do(self, command: str) -> None:
        """Change the world around it; returns when that has happened."""
        assert self._process.stdin is not None
        done = self.lines.count("# ok")
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        wait_until(lambda: self.lines.count("# ok") > done, what=command)

    def wait(self, line: str, timeout_s: float = 20.0) -> None:
        """Until it has said a line."""
        wait_until(lambda: line in self.lines, timeout_s=timeout_s, what=f"{line!r} in {self.lines[-5:]}")

    def printed(self) -> list[str]:
        """What the program on it has printed."""
        return [line for line in self.lines if not line.startswith("# ")]

    def close(self) -> None:
        """Take it off the bench."""
        end(self._process)
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def running_board(folder: Path, heap: int | None = None) -> Iterator[Board]:
    """A board that is gone at the end of the block; its flash stays."""
    board = Board(folder, heap)
    try:
        yield board
    finally:
        board.close()
