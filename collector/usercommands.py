"""`shouwang-collector user ...`: personal accounts, what they may, and the homes they see."""

import argparse
import getpass
import re
import sys
from datetime import date
from pathlib import Path

from collector.access import Assignment, Reach, Right, Role, Standing, objection
from collector.accounts import hash_password
from collector.offline import Refused, ensure_store, read, write
from collector.store import people


def add_user(command: argparse.ArgumentParser) -> None:
    """The `user` command's acts."""
    acts = command.add_subparsers(dest="act", required=True, metavar="ACT")
    for act, run, text in (
        ("add", _add, "add an account; asks for the password, or reads it from standard input"),
        ("assign", _assign, "give an account homes, or other days for them"),
        ("password", _change_password, "give an account another password and end its sessions"),
        ("remove", _remove, "remove an account and end its sessions"),
        ("list", _list, "print name, role, organisation, homes and right of all accounts"),
    ):
        part = acts.add_parser(act, help=text, description=text)
        part.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the store")
        if act != "list":
            part.add_argument("name", metavar="NAME")
        if act in ("add", "password"):
            part.add_argument("--password-file", type=Path, metavar="FILE", help="read it from this file's first line")
        if act == "add":
            _add_standing(part)
        if act in ("add", "assign"):
            _add_homes(part, required=act == "assign")
        part.set_defaults(run=run)


def _add_standing(part: argparse.ArgumentParser) -> None:
    part.add_argument("--role", type=Role, choices=list(Role), required=True, metavar="ROLE",
                      help=f"one of {', '.join(Role)}")  # fmt: skip
    part.add_argument("--organisation", default="", metavar="NAME", help="the office, home, agency or firm it is of")
    part.add_argument("--street", default="", metavar="NAME", help="sees the homes of this street (home add --street)")
    part.add_argument("--district", action="store_true", help="a viewer of all homes")
    part.add_argument("--right", type=Right, choices=list(Right), action="append", default=[], metavar="RIGHT",
                      help="administrator (keeps the accounts) or auditor (reads who did what)")  # fmt: skip


def _add_homes(part: argparse.ArgumentParser, required: bool) -> None:
    part.add_argument("--home", nargs="+", default=[], required=required, metavar="CODE", help="sees these homes")
    part.add_argument("--from", dest="first", type=_day, metavar="DAY", help="from this day (2026-11-24)")
    part.add_argument("--until", dest="last", type=_day, metavar="DAY", help="to this day, included")


# --- what they do ---------------------------------------------------------------------------------------------------


def _add(options: argparse.Namespace) -> int:
    if not re.fullmatch(r"\S(.{0,38}\S)?", options.name):
        raise Refused(f"expected a name of 1 to 40 characters, got {options.name!r}")
    standing, given = _standing(options), _given(options)
    if said := objection(standing, given):
        raise Refused(said)
    password = _password(options)
    write(options.data, lambda intake: people.add_account(intake, options.name, password, standing, given))
    return 0


def _assign(options: argparse.Namespace) -> int:
    ensure_store(options.data)
    account = read(options.data, lambda reader: reader.account(options.name))
    if account is None:
        raise people.Taken(f"there is no account {options.name!r}")
    if account.standing.reach is not Reach.HOMES:
        raise Refused(f"{options.name} sees the homes of its {account.standing.reach}, whatever it is assigned")
    given = _given(options)
    if said := objection(account.standing, given):
        raise Refused(said)
    write(options.data, lambda intake: people.assign(intake, options.name, given))
    return 0


def _change_password(options: argparse.Namespace) -> int:
    password = _password(options)
    write(options.data, lambda intake: people.change_password(intake, options.name, password))
    return 0


def _remove(options: argparse.Namespace) -> int:
    write(options.data, lambda intake: people.remove_account(intake, options.name))
    return 0


def _list(options: argparse.Namespace) -> int:
    ensure_store(options.data)
    for account in read(options.data, lambda reader: reader.accounts()):
        name, standing = account.name, account.standing
        given = read(options.data, lambda reader, name=name: reader.assignments(name))  # type: ignore[misc]
        homes = standing.street or ", ".join(map(_said, given)) or str(standing.reach)
        print("\t".join((name, standing.role, standing.organisation, homes, *sorted(standing.rights))))
    return 0


def _said(item: Assignment) -> str:
    return f"{item.home} {item.first_day}..{item.last_day}" if item.last_day else item.home


# --- what they are told ---------------------------------------------------------------------------------------------


def _standing(options: argparse.Namespace) -> Standing:
    ways = [
        reach
        for reach, given in (
            (Reach.DISTRICT, options.district), (Reach.STREET, options.street), (Reach.HOMES, options.home),
        )
        if given
    ]  # fmt: skip
    if len(ways) > 1:
        raise Refused("give one of --home, --street and --district")
    usual = {Role.BUREAU: Reach.DISTRICT, Role.STREET: Reach.STREET}.get(options.role, Reach.HOMES)
    if options.role is Role.STREET and not options.street:
        raise Refused("a street account needs --street")
    organisation = options.organisation or (options.street if options.role is Role.STREET else "")
    reach = ways[0] if ways else usual
    return Standing(options.role, reach, organisation, options.street, frozenset(options.right))


def _given(options: argparse.Namespace) -> list[Assignment]:
    first = options.first or (date.today().isoformat() if options.last else "")
    if options.last and options.last < first:
        raise Refused(f"expected --until not before --from, got {first} to {options.last}")
    return [Assignment(code, first, options.last or "") for code in options.home]


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day like 2026-11-24, got {text!r}") from None


def _password(options: argparse.Namespace) -> str:
    """The hash of a password that was never an argument, where the list of processes would show it."""
    if options.password_file is not None:
        try:
            password = options.password_file.read_text(encoding="utf-8").splitlines()[0]
        except (OSError, IndexError, UnicodeDecodeError) as error:
            raise Refused(f"{options.password_file}: no password could be read: {error}") from error
    elif sys.stdin.isatty():
        password = getpass.getpass("password: ")
        if getpass.getpass("again: ") != password:
            raise Refused("the two passwords differ")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        return hash_password(password)
    except ValueError as error:
        raise Refused(str(error)) from error
