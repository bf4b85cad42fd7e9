"""The words: complete in both languages, and every word that the page asks for is there."""

import re
from pathlib import Path

import pytest

from edge.console import catalogue
from edge.console.app import HEADERS
from edge.console.questions import OPERATIONS
from edge.core.values import PRIORITY, Level, Unknown
from edge.own_points import own_points
from edge.rulebook import load_rulebook

WEB = Path(catalogue.__file__).parent / "web"
ZH, EN = (catalogue.load(language) for language in catalogue.LANGUAGES)
SCRIPTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(WEB.rglob("*.js")))
PAGES = "\n".join(path.read_text(encoding="utf-8") for path in sorted(WEB.rglob("*.html")))


def test_both_languages_have_the_same_words() -> None:
    assert {table: set(words) for table, words in ZH.items()} == {table: set(words) for table, words in EN.items()}


def test_both_languages_fill_in_the_same_places() -> None:
    for table, words in ZH.items():
        for key, text in words.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", EN[table][key])), (table, key)


def test_whatever_the_agent_can_say_has_a_word() -> None:
    assert {str(item) for item in PRIORITY} <= set(ZH["class"])
    assert {str(item) for item in Unknown} <= set(ZH["unknown"])
    assert {level.name.lower() for level in Level} <= set(ZH["points"])
    assert {point.code for point in own_points()} <= set(ZH["own"])
    assert set(ZH["do"]) >= OPERATIONS and set(ZH["done"]) >= OPERATIONS


@pytest.mark.parametrize("profile", ["cn-2026", "demo"])
def test_every_kind_of_point_has_a_word(profile: str) -> None:
    assert set(load_rulebook(profile).tables) <= set(ZH["kind"])


def test_every_word_that_scripts_and_pages_name_exists() -> None:
    asked = set(re.findall(r'say\("(\w+)", "(\w+)"', SCRIPTS)) | set(re.findall(r"\{\{ (\w+)\.(\w+) \}\}", PAGES))
    assert len(asked) > 80
    assert not {(table, key) for table, key in asked if key not in ZH.get(table, {})}


def test_every_icon_that_scripts_and_pages_name_exists() -> None:
    drawn = set(re.findall(r'<symbol id="(\w+)"', (WEB / "static" / "icons.svg").read_text(encoding="utf-8")))
    asked = {str(item) for item in PRIORITY} | set(re.findall(r'icon\("(\w+)"', SCRIPTS))
    asked |= set(re.findall(r"icons\.svg#(\w+)", PAGES)) | {"supply", "link", "clock"}
    assert asked <= drawn


def test_the_page_asks_nothing_of_the_internet_and_has_no_script_of_its_own() -> None:
    files = "\n".join(path.read_text(encoding="utf-8") for path in WEB.rglob("*.*"))
    assert set(re.findall(r"https?://[^\s\"'`)]+", files)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\son\w+=|style=|<script(?![^>]*(src=|application/json))", PAGES)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", SCRIPTS)
    policy = dict(HEADERS)["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy


@pytest.mark.parametrize(("asked", "language"), [(None, "zh"), ("en", "en"), ("zh", "zh"), ("tlh", "zh"), ("", "zh")])
def test_the_language_is_chinese_unless_a_person_asked_for_another(asked: str | None, language: str) -> None:
    assert catalogue.choose(asked) == language
