"""A copy of the store that is consistent while the collector runs, and is checked before it counts as one."""

import contextlib
import sqlite3
from pathlib import Path

from collector.store.schema import open_for_reading


def back_up(folder: Path, to: Path) -> int:
    """Copy the store in `folder` to the file `to`, which must not be there; its size in bytes.

    The copy gets its name only when it is whole and sound. Raises StoreError where it is not, FileExistsError, OSError.
    """
    if to.exists():
        raise FileExistsError(f"{to}: is there already")
    to.parent.mkdir(parents=True, exist_ok=True)
    half = to.with_name(to.name + ".half")
    half.unlink(missing_ok=True)
    try:
        with contextlib.closing(open_for_reading(folder)) as store, contextlib.closing(sqlite3.connect(half)) as copy:
            # In one step, out of one read transaction: in pieces it would begin anew with each commit of the collector.
            store.backup(copy, pages=-1)
            (said,) = copy.execute("PRAGMA quick_check").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(f"the copy is not sound: {said}")
        half.chmod(0o600)  # it holds accounts
        half.replace(to)
    finally:
        half.unlink(missing_ok=True)
    return to.stat().st_size
