"""Writes that people cause: the register of homes, accounts and sessions. Each runs in the writer's transaction."""

from collections.abc import Iterable

from collector.access import Assignment, Standing
from collector.ownlog import OwnKind
from collector.records import HomeNamed
from collector.store.intake import Intake


class Taken(ValueError):
    """The name is in use already, or nobody has it."""


def name_home(intake: Intake, code: str, name: str, street: str | None = None) -> None:
    """Register a home, or give it another name; another street only where one is given."""
    intake.db.conn.execute(
        "INSERT INTO home (code, name, added_ms, street) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (code) DO UPDATE SET name = excluded.name",
        (code, name, intake.clock.wall_ms(), street or ""),
    )
    if street is not None:
        intake.db.conn.execute("UPDATE home SET street = ? WHERE code = ?", (street, code))
    intake.out.append(HomeNamed(code, name))


def add_account(intake: Intake, name: str, password: str, standing: Standing, given: Iterable[Assignment] = ()) -> None:
    """Add a personal account; `password` is its hash. Raises Taken."""
    sql = intake.db.conn
    if sql.execute("SELECT 1 FROM account WHERE name = ?", (name,)).fetchone():
        raise Taken(f"there is an account {name!r} already")
    sql.execute(
        "INSERT INTO account (name, password, added_ms, role, reach, organisation, street, rights)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (name, password, intake.clock.wall_ms(), standing.role, standing.reach, standing.organisation,
         standing.street, " ".join(sorted(standing.rights))),
    )  # fmt: skip
    intake.note(OwnKind.USER, who=name, act="added", role=standing.role, reach=standing.reach)
    assign(intake, name, given)


def assign(intake: Intake, name: str, given: Iterable[Assignment]) -> None:
    """Give an account homes for some days, in the place of what it had of the same homes. Raises Taken."""
    sql = intake.db.conn
    if not sql.execute("SELECT 1 FROM account WHERE name = ?", (name,)).fetchone():
        raise Taken(f"there is no account {name!r}")
    for item in given:
        if not sql.execute("SELECT 1 FROM home WHERE code = ?", (item.home,)).fetchone():
            raise Taken(f"no home {item.home!r} is registered: shouwang-collector home add {item.home} NAME")
        sql.execute(
            "INSERT INTO assignment (account, home, first_day, last_day) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (account, home)"
            " DO UPDATE SET first_day = excluded.first_day, last_day = excluded.last_day",
            (name, *item),
        )
        intake.note(OwnKind.USER, who=name, act="assigned", given=item.home, first=item.first_day, last=item.last_day)


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
    sql.execute("DELETE FROM assignment WHERE account = ?", (name,))
    if sql.execute("DELETE FROM account WHERE name = ?", (name,)).rowcount == 0:
        raise Taken(f"there is no account {name!r}")
    intake.note(OwnKind.USER, who=name, act="removed")


def begin_session(intake: Intake, digest: str, account: str, csrf: str, address: str, ended_before_ms: int) -> None:
    """Keep a new session, and forget those that nothing has used since `ended_before_ms` (Unix time)."""
    now_ms = intake.clock.wall_ms()
    sql = intake.db.conn
    sql.execute("DELETE FROM session WHERE used_ms < ? AND watched_ms < ?", (ended_before_ms, ended_before_ms))
    sql.execute(
        "INSERT INTO session (digest, account, csrf, started_ms, used_ms, watched_ms, address)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (digest, account, csrf, now_ms, now_ms, now_ms, address),
    )


def use_session(intake: Intake, digest: str, used_ms: int, watched_ms: int) -> None:
    """Say when a person used a session last, and when its board last watched (Unix time)."""
    intake.db.conn.execute(
        "UPDATE session SET used_ms = ?, watched_ms = ? WHERE digest = ?", (used_ms, watched_ms, digest)
    )


def end_session(intake: Intake, digest: str) -> None:
    """Log out."""
    intake.db.conn.execute("DELETE FROM session WHERE digest = ?", (digest,))


def prune_readings(intake: Intake, before_ms: int, at_most: int = 500) -> int:
    """Drop the oldest raw readings received before `before_ms` (Unix time); gives how many went."""
    return intake.db.conn.execute(
        "DELETE FROM reading WHERE id IN (SELECT id FROM reading WHERE received_ms < ? ORDER BY received_ms LIMIT ?)",
        (before_ms, at_most),
    ).rowcount
