"""The words: complete in both languages, and every word the page asks for is there."""

import re
from pathlib import Path

import pytest

from collector import catalogue, view
from collector.ownlog import OwnKind
from edge.core.values import Kind

WEB = Path(catalogue.__file__).parent / "web"
ZH, EN = (catalogue._load(language) for language in catalogue.LANGUAGES)


def test_both_languages_have_the_same_words() -> None:
    assert {table: set(words) for table, words in ZH.items()} == {table: set(words) for table, words in EN.items()}


def test_both_languages_fill_in_the_same_places() -> None:
    for table, words in ZH.items():
        for key, text in words.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", EN[table][key])), (table, key)


def test_every_class_and_every_kind_of_the_own_log_has_a_word() -> None:
    assert set(view.CLASSES) <= set(ZH["class"])
    assert {str(kind) for kind in OwnKind} <= set(ZH["kind"])


def test_every_event_that_a_gateway_may_send_has_a_word() -> None:
    assert {str(kind) for kind in Kind} <= set(ZH["kind"])


def test_every_word_that_scripts_and_templates_name_exists() -> None:
    asked = set()
    for path in WEB.rglob("*.js"):
        asked |= set(re.findall(r'say\("(\w+)", "(\w+)"', path.read_text(encoding="utf-8")))
    for path in WEB.rglob("*.html"):
        asked |= set(re.findall(r"words\.(\w+)\.(\w+)", path.read_text(encoding="utf-8")))
    assert len(asked) > 40
    assert not {(table, key) for table, key in asked if key not in ZH.get(table, {})}


def test_every_icon_that_scripts_and_templates_name_exists() -> None:
    sprite = (WEB / "static" / "icons.svg").read_text(encoding="utf-8")
    drawn = set(re.findall(r'<symbol id="(\w+)"', sprite))
    asked = set(view.CLASSES)
    for path in [*WEB.rglob("*.js"), *WEB.rglob("*.html")]:
        text = path.read_text(encoding="utf-8")
        asked |= set(re.findall(r'icon\("(\w+)"', text)) | set(re.findall(r"icons\.svg#(\w+)", text))
    assert asked <= drawn


@pytest.mark.parametrize(("asked", "language"), [(None, "zh"), ("en", "en"), ("zh", "zh"), ("tlh", "zh"), ("", "zh")])
def test_the_language_is_chinese_unless_a_person_asked_for_another(asked: str | None, language: str) -> None:
    assert catalogue.choose(asked) == language
