"""Who may do what, and with which homes. Every route names its action, and this one table says who may.

Pure: who a visitor is and what day it is are arguments. A home that a visitor may not see does not exist for them: a
refusal never tells an unknown home from somebody else's.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

Homes = frozenset[str] | None
"""The codes of the homes that somebody sees; None means all of the district, also those registered later."""


class Role(StrEnum):
    """What an account's organisation is to the homes. A viewer only looks, whatever the organisation."""

    BUREAU = "bureau"
    STREET = "street"
    HOME = "home"
    INSPECTOR = "inspector"
    MAINTENANCE = "maintenance"
    VIEWER = "viewer"


class Right(StrEnum):
    """What is granted apart from the role, and never both to one account: who keeps the accounts is not who audits."""

    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Reach(StrEnum):
    """How an account's homes are found: all, those of its street, or those that it was given by code."""

    DISTRICT = "district"
    STREET = "street"
    HOMES = "homes"


class Action(StrEnum):
    """What a route does."""

    WATCH = "watch"
    """Have the board before one: the page and its stream, which go on by themselves while nobody touches them."""
    LOOK = "look"
    SEE_ALARM = "see_alarm"
    OWN_ACCOUNT = "own_account"
    ADMINISTER = "administer"
    AUDIT = "audit"


class Rule(NamedTuple):
    """Any of the roles may, or whoever holds the right."""

    roles: frozenset[Role] = frozenset()
    right: Right | None = None


EVERYBODY = frozenset(Role)
TABLE: Mapping[Action, Rule] = {
    Action.WATCH: Rule(EVERYBODY),
    Action.LOOK: Rule(EVERYBODY),
    # It ends the sound on every board. A street or a home that could say so would silence the bureau.
    Action.SEE_ALARM: Rule(frozenset({Role.BUREAU})),
    Action.OWN_ACCOUNT: Rule(EVERYBODY),
    Action.ADMINISTER: Rule(right=Right.ADMINISTRATOR),
    Action.AUDIT: Rule(right=Right.AUDITOR),
}

REACHES: Mapping[Role, frozenset[Reach]] = {
    Role.BUREAU: frozenset({Reach.DISTRICT}),
    Role.STREET: frozenset({Reach.STREET}),
    Role.HOME: frozenset({Reach.HOMES}),
    Role.INSPECTOR: frozenset({Reach.HOMES}),
    Role.MAINTENANCE: frozenset({Reach.HOMES}),
    Role.VIEWER: frozenset(Reach),
}

BY_THE_DAY = frozenset({Role.INSPECTOR, Role.MAINTENANCE})
"""Outsiders: they see a home only on the days for which they were given it."""


class Standing(NamedTuple):
    """What an account is, apart from its name and its password."""

    role: Role
    reach: Reach
    organisation: str = ""
    street: str = ""
    rights: frozenset[Right] = frozenset()


class Assignment(NamedTuple):
    """A home given to an account, from one day to another, both included ("2026-11-24"; "" has no limit)."""

    home: str
    first_day: str = ""
    last_day: str = ""


class Visitor(NamedTuple):
    """Who sends a request. `csrf` is the secret that its acts carry; `session` names the session, "" for none.

    `is_idle`: nobody has touched the page for so long that it may only go on watching.
    """

    name: str
    role: Role
    homes: Homes
    rights: frozenset[Right] = frozenset()
    organisation: str = ""
    csrf: str = ""
    session: str = ""
    is_idle: bool = False


ANYBODY = Visitor("", Role.VIEWER, None)
"""Whoever looks at a board that a demo opened on its own machine."""


def may(visitor: Visitor, action: Action, home: str | None = None) -> bool:
    """Whether the visitor may do that, and to that home where the action concerns one."""
    rule = TABLE[action]
    if visitor.role not in rule.roles and rule.right not in visitor.rights:
        return False
    return home is None or visitor.homes is None or home in visitor.homes


def homes_of(standing: Standing, in_street: Iterable[str], given: Iterable[Assignment], today: str) -> Homes:
    """The homes of an account: `in_street` are those of its street, `given` what it was assigned, `today` a day."""
    if standing.reach is Reach.DISTRICT:
        return None
    if standing.reach is Reach.STREET:
        return frozenset(in_street) if standing.street else frozenset()
    return frozenset(item.home for item in given if _is_on(item, today))


def _is_on(item: Assignment, today: str) -> bool:
    return item.first_day <= today and (not item.last_day or today <= item.last_day)


def objection(standing: Standing, given: Iterable[Assignment]) -> str:
    """What is wrong with an account as it is to be made, in a sentence; "" where nothing is."""
    role, homes = standing.role, list(given)
    if standing.reach not in REACHES[role]:
        wanted = " or ".join(f"--{'home' if reach is Reach.HOMES else reach}" for reach in sorted(REACHES[role]))
        return f"a {role} account needs {wanted}" if role is not Role.BUREAU else "a bureau account sees all homes"
    if standing.reach is Reach.HOMES and not homes:
        return f"a {role} account needs --home"
    if role in BY_THE_DAY and not standing.organisation:
        return f"a {role} account needs --organisation, the agency or firm it belongs to"
    if role in BY_THE_DAY and not all(item.first_day and item.last_day for item in homes):
        return f"a {role} account needs --until, the last day on which it sees the home"
    if len(standing.rights) > 1:
        return "administration and audit are separate: give one account one of the two rights"
    if standing.rights and standing.reach is not Reach.DISTRICT:
        return "an administrator or auditor is of the bureau, or a viewer of the whole district"
    return ""
