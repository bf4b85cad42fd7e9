"""Writes that people cause: the register of homes, accounts and sessions. Each runs in the writer's transaction."""

from collector.ownlog import OwnKind
from collector.records import HomeNamed
from collector.store.intake import Intake


class Taken(ValueError):
    """The name is in use already, or nobody has it."""


def name_home(intake: Intake, code: str, name: str) -> None:
    """Register a home, or give it another name."""
    intake.db.conn.execute(
        "INSERT INTO home (code, name, added_ms) VALUES (?, ?, ?)"
        " ON CONFLICT (code) DO UPDATE SET name = excluded.name",
        (code, name, intake.clock.wall_ms()),
    )
    intake.out.append(HomeNamed(code, name))


def add_account(intake: Intake, name: str, password: str) -> None:
    """Add a personal account; `password` is its hash. Raises Taken."""
    sql = intake.db.conn
    if sql.execute("SELECT 1 FROM account WHERE name = ?", (name,)).fetchone():
        raise Taken(f"there is an account {name!r} already")
    sql.execute(
        "INSERT INTO account (name, password, added_ms) VALUES (?, ?, ?)", (name, password, intake.clock.wall_ms())
    )
    intake.note(OwnKind.USER, who=name, act="added")


def change_password(intake: Intake, name: str, password: str) -> None:
    """Give an account another password's hash and end its sessions. Raises Taken."""
    sql = intake.db.conn
    if sql.execute("UPDATE account SET password = ? WHERE name = ?", (password, name)).rowcount == 0:
        raise Taken(f"there is no account {name!r}")
    sql.execute("DELETE FROM session WHERE account = ?", (name,))
    intake.note(OwnKind.USER, who=name, act="password changed")


def remove_account(intake: Intake, name: str) -> None:
    """Remove an account and end its sessions; what its owner did keeps the name. Raises Taken."""
    sql = intake.db.conn
    sql.execute("DELETE FROM session WHERE account = ?", (name,))
    if sql.execute("DELETE FROM account WHERE name = ?", (name,)).rowcount == 0:
        raise Taken(f"there is no account {name!r}")
    intake.note(OwnKind.USER, who=name, act="removed")


def begin_session(intake: Intake, digest: str, account: str, csrf: str, ended_before_ms: int) -> None:
    """Keep a new session, and forget those not used since `ended_before_ms` (Unix time)."""
    now_ms = intake.clock.wall_ms()
    sql = intake.db.conn
    sql.execute("DELETE FROM session WHERE used_ms < ?", (ended_before_ms,))
    sql.execute(
        "INSERT INTO session (digest, account, csrf, started_ms, used_ms) VALUES (?, ?, ?, ?, ?)",
        (digest, account, csrf, now_ms, now_ms),
    )


def use_session(intake: Intake, digest: str) -> None:
    """Say that a session is still in use."""
    intake.db.conn.execute("UPDATE session SET used_ms = ? WHERE digest = ?", (intake.clock.wall_ms(), digest))


def end_session(intake: Intake, digest: str) -> None:
    """Log out."""
    intake.db.conn.execute("DELETE FROM session WHERE digest = ?", (digest,))


def prune_readings(intake: Intake, before_ms: int, at_most: int = 500) -> int:
    """Drop the oldest raw readings received before `before_ms` (Unix time); gives how many went."""
    return intake.db.conn.execute(
        "DELETE FROM reading WHERE id IN (SELECT id FROM reading WHERE received_ms < ? ORDER BY received_ms LIMIT ?)",
        (before_ms, at_most),
    ).rowcount
