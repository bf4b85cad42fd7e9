"""A copy of the journal while it is being written, and the way back from one.

A copy that is put back has numbers behind it that the lost original went on to give to other events. So it never goes
on where it was: a volume with an id of its own is begun in it, and the collector can tell the two apart for ever.
"""

import contextlib
import os
import shutil
import sqlite3
import uuid
from pathlib import Path

from device import wire
from edge.journal.layout import FILE, SCHEMA_VERSION
from edge.journal.reading import JournalError

_SIDES = ("-wal", "-shm", "")


def copy_to(folder: Path, target: Path) -> None:
    """Copy the journal in `folder` to the new file `target`, whole as it is at this moment; the agent goes on writing.

    JournalError where there is no journal to read; OSError where the target cannot be written.
    """
    source = folder / FILE
    if not source.is_file():
        raise JournalError(f"{source}: no journal is there")
    # Made first, by us: SQLite would say of a folder that refuses only that it cannot open the database.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            contextlib.closing(sqlite3.connect(source.resolve().as_uri() + "?mode=ro", uri=True)) as living,
            contextlib.closing(sqlite3.connect(target)) as made,
        ):
            # In one step: with pauses in between, SQLite would begin anew at each commit of the agent's.
            living.backup(made)
            made.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise JournalError(f"{source}: {error}") from None
    _sync(target)


def put_back(copied: Path, folder: Path, when: str) -> Path | None:
    """Make the copy the journal in `folder`, and say where the one that was there has been put aside.

    The caller holds the data folder's lock and has verified the copy. The events' second copy stays: what it has of the
    time after is taken in at the next start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{FILE}.restoring"
    draft.unlink(missing_ok=True)
    shutil.copyfile(copied, draft)
    draft.chmod(0o600)
    try:
        _begin_volume(draft)
    except sqlite3.Error as error:
        draft.unlink(missing_ok=True)
        raise JournalError(f"{copied}: {error}") from None
    _sync(draft)
    aside = _put_aside(folder, when)
    draft.rename(folder / FILE)
    _sync(folder)
    return aside


def _begin_volume(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise JournalError(f"{file.name}: expected a journal of version {SCHEMA_VERSION}, got {version}")
        with db:
            db.execute("INSERT INTO volume (journal, anchor) VALUES (?, ?)", (uuid.uuid4().hex, wire.GENESIS))


def _put_aside(folder: Path, when: str) -> Path | None:
    if not (folder / FILE).exists():
        return None
    aside = folder / f"{FILE}.replaced-{when}"
    for suffix in _SIDES:
        part = folder / (FILE + suffix)
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
