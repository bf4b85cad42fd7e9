"""The play fits the scenario, the wiring and the words."""

import tomllib
from importlib import resources

import pytest

from demo import play
from demo.homes import EVERY, homes
from simulators import scenario
from simulators.building import Building

WORDS = play.load()
EVENING = scenario.load("district")
CODES = {home.code for home in homes()}


def test_every_word_of_the_scenario_is_in_the_play_and_every_word_of_the_play_is_used() -> None:
    assert {step.demo for step in EVENING.steps if step.demo} == set(WORDS)


def test_homes_have_codes_and_names_of_their_own() -> None:
    assert len(homes()) == 22
    assert [home.code for home in homes()] == [f"h{number:02}" for number in range(1, 23)]
    assert len({home.name for home in homes()}) == 22


def test_orders_and_expectations_name_homes_that_exist() -> None:
    orders = {order.home for word in WORDS.values() for order in word.district}
    expected = {expect.home for word in WORDS.values() for expect in word.expect}
    assert (orders | expected) - {EVERY} <= CODES
    assert play.dark_home(WORDS) in CODES


def test_orders_name_quantities_that_the_building_has() -> None:
    quantities = Building.load("home").plan.quantities
    named = {name for word in WORDS.values() for order in word.district for name in order.set}
    assert named <= set(quantities)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_expectation_has_words(language: str) -> None:
    catalogue = tomllib.loads((resources.files("demo") / "locale" / f"{language}.toml").read_text("utf-8"))
    assert {expect.words for word in WORDS.values() for expect in word.expect} == set(catalogue["words"])


def test_both_catalogues_have_the_same_entries() -> None:
    chinese, english = (
        tomllib.loads((resources.files("demo") / "locale" / f"{language}.toml").read_text("utf-8"))
        for language in ("zh", "en")
    )
    assert chinese.keys() == english.keys()
    assert chinese["label"].keys() == english["label"].keys()


def test_nothing_is_expected_beyond_the_end_of_the_evening() -> None:
    for step in EVENING.steps:
        for expect in WORDS[step.demo].expect if step.demo else ():
            assert step.at_ms + expect.within_s * 1000 <= EVENING.end_ms, expect.words


def tile(**facts: object) -> play.Home:
    fire = {"class": "fire", "point": "smoke-203", "order": 1, "confirmed": False, "acknowledged": False}
    return {"code": "h01", "class": "fire", "silenced": False, "conditions": [fire], **facts}


@pytest.mark.parametrize(
    ("expect", "is_met"),
    [
        (play.Expect("x", 1, stands="fire/smoke-203"), True),
        (play.Expect("x", 1, stands="fire/smoke-203", order=1), True),
        (play.Expect("x", 1, stands="fire/smoke-203", order=2), False),
        (play.Expect("x", 1, stands="fire/smoke-203", confirmed=True), False),
        (play.Expect("x", 1, stands="fault/smoke-203"), False),
        (play.Expect("x", 1, gone=("fire/smoke-203", "fire/smoke-204")), False),
        (play.Expect("x", 1, gone=("fire/smoke-204",)), True),
        (play.Expect("x", 1, flag="silenced"), False),
        (play.Expect("x", 1, flag="acknowledged"), False),
        (play.Expect("x", 1, is_="fire"), True),
        (play.Expect("x", 1, is_="normal"), False),
    ],
)
def test_an_expectation_is_met_by_what_a_tile_shows(expect: play.Expect, is_met: bool) -> None:
    assert expect.is_met(tile()) is is_met
