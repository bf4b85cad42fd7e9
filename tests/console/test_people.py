"""Sessions and the lock: five wrong PINs, whoever they were for, and a session that ends when nobody is there."""

import asyncio

import pytest

from edge.console.people import IDLE_END_MS, LATEST_END_MS, LOCK_MS, Busy, Locked, People, WrongPin
from edge.console.tables import PersonTable, Right

LI, WANG = PersonTable("李护士", "hash of 111111"), PersonTable("王主任", "hash of 222222", (Right.CONFIGURE,))


class Desk:
    """People whose PINs are checked at once, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now_ms = 1_000
        self.checked = 0
        self.people = People({item.name: item for item in (LI, WANG)}, lambda: self.now_ms, self._check)

    def _check(self, pin: str, hashed: str) -> bool:
        self.checked += 1
        return hashed == f"hash of {pin}"

    def sign_in(self, name: str, pin: str, station: str = "") -> str:
        return asyncio.run(self.people.sign_in(station, name, pin))


def test_a_session_belongs_to_its_station_and_ends_when_nobody_operates() -> None:
    desk = Desk()
    token = desk.sign_in("李护士", "111111")
    session = desk.people.session("", token)
    assert session is not None and session.name == "李护士" and Right.OPERATE in session.rights
    assert desk.people.session("tablet", token) is None
    assert desk.people.session("", "another") is None
    desk.now_ms += IDLE_END_MS - 1
    assert desk.people.session("", token) is not None  # a look is no use
    assert desk.people.session("", token, is_use=True) is not None
    desk.now_ms += IDLE_END_MS - 1
    assert desk.people.session("", token) is not None
    desk.now_ms += 1
    assert desk.people.session("", token) is None


def test_no_session_is_for_ever() -> None:
    desk = Desk()
    token = desk.sign_in("李护士", "111111")
    for _ in range(LATEST_END_MS // (IDLE_END_MS // 2)):
        desk.people.session("", token, is_use=True)
        desk.now_ms += IDLE_END_MS // 2
    assert desk.people.session("", token) is None


def test_signing_out_and_a_station_that_is_no_more_end_sessions() -> None:
    desk = Desk()
    here, there = desk.sign_in("李护士", "111111"), desk.sign_in("李护士", "111111", "tablet")
    desk.people.sign_out(here)
    assert desk.people.session("", here) is None
    desk.people.end_station("tablet")
    assert desk.people.session("tablet", there) is None


def test_five_wrong_pins_lock_the_station_for_a_minute_and_no_other() -> None:
    desk = Desk()
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(WrongPin) as wrong:
            desk.sign_in("李护士" if left % 2 else "nobody", "999999")
        assert wrong.value.left == left
    with pytest.raises(Locked):
        desk.sign_in("李护士", "111111")
    assert desk.sign_in("李护士", "111111", "tablet")
    assert desk.people.locked_ms("") == LOCK_MS
    desk.now_ms += LOCK_MS
    assert desk.sign_in("李护士", "111111")


def test_ones_own_pin_forgives_only_ones_own_mistakes() -> None:
    desk = Desk()
    for _ in range(4):
        with pytest.raises(WrongPin):
            desk.sign_in("王主任", "999999")
        desk.sign_in("李护士", "111111")
    with pytest.raises(WrongPin):
        desk.sign_in("王主任", "999999")
    assert desk.people.locked_ms("") > 0


def test_of_many_tries_at_once_only_five_are_checked() -> None:
    desk = Desk()

    async def crowd() -> list[object]:
        answers: list[object] = []
        for _ in range(4):
            tries = [desk.people.sign_in("", "李护士", "999999") for _ in range(30)]
            answers += await asyncio.gather(*tries, return_exceptions=True)
        return answers

    refused = [type(item) for item in asyncio.run(crowd())]
    assert desk.checked == 5
    assert set(refused) == {WrongPin, Locked, Busy}


def test_who_may_not_operate_is_not_offered() -> None:
    assert Desk().people.names() == ["李护士"]
