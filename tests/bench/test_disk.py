"""The bench's stalling disk: syncs of the process really hang, and the journal's lock is really held.

Each in a process of its own: a filter of system calls stays until its process ends.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench._disk import can_hold_syncs, stalling
from tests.support import ROOT, lack

OFTEN: dict[str, Any] = {"work_s": (0.01, 0.02), "stall_s": (0.2, 0.2)}
DEADLINE_S = 20.0


def sync_until_stalled(path: Path) -> dict[str, Any]:
    """Sync a file until a call had to wait: what the disk says, and how long the last call took."""
    with path.open("wb") as file, stalling(path, "fsync", **OFTEN) as disk:
        until_s, last_s = time.monotonic() + DEADLINE_S, 0.0
        while not (figures := disk.figures())["calls"] and time.monotonic() < until_s:
            began_s = time.monotonic()
            os.fsync(file.fileno())
            last_s = time.monotonic() - began_s
        return {**figures, "last_s": last_s}


def insert_until_locked(path: Path) -> dict[str, Any]:
    """Insert rows until the lock is held by another process: what SQLite said, and whether a row goes in afterwards."""
    said = ""
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
        database.execute("CREATE TABLE event (seq INTEGER)")
        with stalling(path, "lock", **OFTEN) as disk:
            until_s = time.monotonic() + DEADLINE_S
            while not said and time.monotonic() < until_s:
                try:
                    database.execute("INSERT INTO event VALUES (1)")
                except sqlite3.OperationalError as error:
                    said = str(error)
        after = database.execute("INSERT INTO event VALUES (2)").rowcount
    return {"method": disk.method, "said": said, "after": after}


def in_a_process(function: str, path: Path) -> Any:
    """What a function of this module returns there."""
    script = (
        "import json, pathlib, sys; from tests.bench import test_disk\n"
        f"print(json.dumps(test_disk.{function}(pathlib.Path(sys.argv[1]))))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_sync_hangs_and_then_succeeds(tmp_path: Path):
    if not can_hold_syncs():
        lack("this kernel or processor cannot hand a process's syncs to another one")
    figures = in_a_process("sync_until_stalled", tmp_path / "file")
    assert (figures["method"], figures["calls"]) == ("fsync", 1)
    # The call that was held is the last one made.
    assert figures["last_s"] >= figures["longest_s"] - 0.001 > 0


def test_the_lock_is_held_and_let_go(tmp_path: Path):
    figures = in_a_process("insert_until_locked", tmp_path / "journal.sqlite")
    assert figures == {"method": "lock", "said": "database is locked", "after": 1}
