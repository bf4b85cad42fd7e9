"""The tables, as migrations, and how a database is opened."""

import sqlite3
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.db import Table
from sqlite_utils.migrations import Migrations

FILE = "collector.sqlite"
BUSY_TIMEOUT_MS = 5_000
# Beyond this the check at the start would keep the board dark for longer than a home may stay unheard.
CHECK_UP_TO_BYTES = 256 * 1024 * 1024

migrations = Migrations("shouwang-collector")


@migrations()
def m001_messages(db: Database) -> None:
    """What the homes sent. A gateway's current journal is the one of the highest `rank`; gateway "" is our own log."""
    _table(db, "journal").create(
        {
            "id": int, "home": str, "gateway": str, "journal": str, "rank": int, "first_ms": int,
            "event_contiguous": int, "reading_contiguous": int, "event_head": str,
        },
        pk="id",
        not_null={
            "home", "gateway", "journal", "rank", "first_ms", "event_contiguous", "reading_contiguous", "event_head"
        },
    ).create_index(["home", "gateway", "journal"], unique=True)  # fmt: skip
    event = _table(db, "event").create(
        {
            "id": int, "home": str, "gateway": str, "journal": str, "seq": int, "kind": str, "condition": str,
            "hash": str, "prev": str, "received_ms": int, "payload": bytes,
        },
        pk="id",
        not_null={"home", "gateway", "journal", "seq", "kind", "hash", "prev", "received_ms", "payload"},
    )  # fmt: skip
    event.create_index(["home", "gateway", "journal", "seq"], unique=True)
    event.create_index(["home", "id"])
    event.create_index(["condition", "id"])
    reading = _table(db, "reading").create(
        {
            "id": int, "home": str, "gateway": str, "journal": str, "seq": int,
            "digest": str, "received_ms": int, "payload": bytes,
        },
        pk="id",
        not_null={"home", "gateway", "journal", "seq", "digest", "received_ms", "payload"},
    )  # fmt: skip
    reading.create_index(["home", "gateway", "journal", "seq"], unique=True)
    reading.create_index(["received_ms"])


@migrations()
def m002_latest(db: Database) -> None:
    """What a gateway said last on its retained channels, and what contradicts what it said before."""
    _table(db, "latest").create(
        {"home": str, "gateway": str, "channel": str, "received_ms": int, "payload": bytes},
        pk=("home", "gateway", "channel"),
        not_null={"received_ms", "payload"},
    )
    _table(db, "quarantine").create(
        {
            "id": int, "home": str, "gateway": str, "journal": str, "lane": str, "seq": int,
            "hash": str, "received_ms": int, "payload": bytes,
        },
        pk="id",
        not_null={"home", "gateway", "journal", "lane", "seq", "hash", "received_ms", "payload"},
    ).create_index(["home", "gateway", "journal", "lane", "seq", "hash"], unique=True)  # fmt: skip


@migrations()
def m003_people(db: Database) -> None:
    """The register of homes, and personal accounts. Of a session only the digest of its token is kept."""
    _table(db, "home").create({"code": str, "name": str, "added_ms": int}, pk="code", not_null={"name", "added_ms"})
    _table(db, "account").create(
        {"name": str, "password": str, "added_ms": int}, pk="name", not_null={"password", "added_ms"}
    )
    session = _table(db, "session").create(
        {"digest": str, "account": str, "csrf": str, "started_ms": int, "used_ms": int},
        pk="digest",
        not_null={"account", "csrf", "started_ms", "used_ms"},
    )
    session.create_index(["account"])


@migrations()
def m004_access(db: Database) -> None:
    """Roles and the homes that go with them. Who had an account until now was of the bureau and saw everything."""
    for table, columns in (
        ("home", ("street TEXT NOT NULL DEFAULT ''",)),
        (
            "account",
            (
                "role TEXT NOT NULL DEFAULT 'bureau'",
                "reach TEXT NOT NULL DEFAULT 'district'",
                "organisation TEXT NOT NULL DEFAULT ''",
                "street TEXT NOT NULL DEFAULT ''",
                "rights TEXT NOT NULL DEFAULT ''",
            ),
        ),
        ("session", ("watched_ms INTEGER NOT NULL DEFAULT 0", "address TEXT NOT NULL DEFAULT ''")),
    ):
        for column in columns:
            db.conn.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    _table(db, "assignment").create(
        {"account": str, "home": str, "first_day": str, "last_day": str},
        pk=("account", "home"),
        not_null={"first_day", "last_day"},
    )
    _table(db, "failure").create({"key": str, "count": int, "until_ms": int}, pk="key", not_null={"count", "until_ms"})


def open_for_writing(folder: Path) -> Database:
    """The migrated database in `folder`. Its one connection may pass from thread to thread, not be shared by two."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # what was acknowledged survives a power cut
        connection.execute("PRAGMA cache_size=-4000")
        db = Database(connection)
        migrations.apply(db)
    except BaseException:
        connection.close()
        raise
    return db


def open_for_reading(folder: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    path = (folder / FILE).resolve().as_uri() + "?mode=ro"
    connection = sqlite3.connect(path, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA cache_size=-1000")
    return connection


def is_damaged(folder: Path) -> bool:
    """Whether the database cannot be read as one. A missing one is whole; a very big one is believed."""
    path = folder / FILE
    if not path.exists() or path.stat().st_size > CHECK_UP_TO_BYTES:
        return False
    try:
        connection = sqlite3.connect(path)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return not isinstance(error, sqlite3.OperationalError)  # locked or unreadable is not damaged


def move_aside(folder: Path, at_ms: int) -> Path:
    """Take a damaged database out of the way, with its journal files, and say where it went."""
    aside = folder / f"{FILE}.damaged-{at_ms}"
    for suffix in ("", "-wal", "-shm"):
        part = folder / (FILE + suffix)
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside


def _table(db: Database, name: str) -> Table:
    return db.table(name)
