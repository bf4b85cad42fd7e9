"""Who may do what: the table, how an account's homes are found, and what makes no account."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.access import (
    TABLE,
    Action,
    Assignment,
    Reach,
    Right,
    Role,
    Standing,
    Visitor,
    homes_of,
    may,
    objection,
)

ALL = set(Role)
MATRIX = {
    Action.WATCH: ALL,
    Action.LOOK: ALL,
    Action.SEE_ALARM: {Role.BUREAU},
    Action.OWN_ACCOUNT: ALL,
    Action.ADMINISTER: set(),
    Action.AUDIT: set(),
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", Role)
def test_what_a_role_may(role: Role, action: Action) -> None:
    assert may(Visitor("王", role, None), action) == (role in MATRIX[action])


@pytest.mark.parametrize("role", Role)
def test_a_right_is_held_apart_from_the_role_and_gives_nothing_else(role: Role) -> None:
    keeper, auditor = (Visitor("王", role, None, frozenset({right})) for right in Right)
    assert (may(keeper, Action.ADMINISTER), may(keeper, Action.AUDIT)) == (True, False)
    assert (may(auditor, Action.ADMINISTER), may(auditor, Action.AUDIT)) == (False, True)
    for action in MATRIX.keys() - {Action.ADMINISTER, Action.AUDIT}:
        assert may(keeper, action) == may(auditor, action) == may(Visitor("王", role, None), action)


codes = st.sampled_from(["h01", "h02", "h03", "h04"])
days = st.sampled_from(["", "2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26"])
givens = st.lists(st.builds(Assignment, codes, days, days), max_size=4)
rights = st.frozensets(st.sampled_from(list(Right)))


@given(st.sampled_from(list(Role)), st.frozensets(codes), rights, st.sampled_from(list(Action)), codes)
def test_nobody_may_anything_to_a_home_that_is_not_theirs(
    role: Role, homes: frozenset[str], held: frozenset[Right], action: Action, home: str
) -> None:
    visitor = Visitor("王", role, homes, held)
    assert may(visitor, action, home) == (may(visitor, action) and home in homes)


@given(st.sampled_from(list(Role)), st.sampled_from(list(Reach)), st.frozensets(codes), givens)
def test_only_the_reach_of_a_district_is_without_a_bound(
    role: Role, reach: Reach, in_street: frozenset[str], given_: list[Assignment]
) -> None:
    homes = homes_of(Standing(role, reach, street="东城"), in_street, given_, "2026-11-24")
    assert (homes is None) == (reach is Reach.DISTRICT)
    assert homes is None or homes <= in_street | {item.home for item in given_}


@pytest.mark.parametrize(
    ("first", "last", "is_seen"),
    [
        ("", "", True), ("2026-11-24", "2026-11-24", True), ("2026-11-23", "2026-11-25", True),
        ("2026-11-25", "2026-11-26", False), ("2026-11-20", "2026-11-23", False), ("", "2026-11-23", False),
    ],
)  # fmt: skip
def test_a_home_is_seen_on_its_days_both_included(first: str, last: str, is_seen: bool) -> None:
    inspector = Standing(Role.INSPECTOR, Reach.HOMES, "应急管理局")
    assert homes_of(inspector, (), [Assignment("h01", first, last)], "2026-11-24") == frozenset(
        ["h01"] if is_seen else []
    )


def test_homes_without_a_street_are_of_no_street() -> None:
    assert homes_of(Standing(Role.STREET, Reach.STREET), ["h01"], (), "2026-11-24") == frozenset()


VISIT = [Assignment("h01", "2026-11-24", "2026-11-25")]
ALWAYS = [Assignment("h01")]


@pytest.mark.parametrize(
    ("standing", "given_", "said"),
    [
        (Standing(Role.BUREAU, Reach.DISTRICT), [], ""),
        (Standing(Role.BUREAU, Reach.HOMES), ALWAYS, "sees all homes"),
        (Standing(Role.STREET, Reach.STREET, street="东城"), [], ""),
        (Standing(Role.STREET, Reach.DISTRICT), [], "needs --street"),
        (Standing(Role.HOME, Reach.HOMES), ALWAYS, ""),
        (Standing(Role.HOME, Reach.HOMES), [], "needs --home"),
        (Standing(Role.HOME, Reach.DISTRICT), [], "needs --home"),
        (Standing(Role.INSPECTOR, Reach.HOMES, "应急管理局"), VISIT, ""),
        (Standing(Role.INSPECTOR, Reach.HOMES, "应急管理局"), ALWAYS, "needs --until"),
        (Standing(Role.INSPECTOR, Reach.HOMES), VISIT, "needs --organisation"),
        (Standing(Role.INSPECTOR, Reach.DISTRICT, "应急管理局"), [], "needs --home"),
        (Standing(Role.MAINTENANCE, Reach.HOMES, "安达维保"), ALWAYS, "needs --until"),
        (Standing(Role.VIEWER, Reach.DISTRICT), [], ""),
        (Standing(Role.VIEWER, Reach.STREET, street="东城"), [], ""),
        (Standing(Role.BUREAU, Reach.DISTRICT, rights=frozenset(Right)), [], "separate"),
        (Standing(Role.BUREAU, Reach.DISTRICT, rights=frozenset({Right.AUDITOR})), [], ""),
        (Standing(Role.HOME, Reach.HOMES, rights=frozenset({Right.AUDITOR})), ALWAYS, "of the bureau"),
    ],
)  # fmt: skip
def test_what_makes_an_account(standing: Standing, given_: list[Assignment], said: str) -> None:
    found = objection(standing, given_)
    assert said in found and bool(found) == bool(said)


def test_every_action_has_its_rule() -> None:
    assert set(TABLE) == set(Action) == set(MATRIX)
