"""The words of the page, by language. Chinese first; what English lacks is shown in Chinese rather than not at all."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import cast

LANGUAGES = ("zh", "en")
Words = dict[str, dict[str, str]]


@cache
def words(language: str) -> Words:
    """All tables of a language's catalogue, as `words("zh")["class"]["fire"]`."""
    found = load(language)
    return {table: {**texts, **found.get(table, {})} for table, texts in load(LANGUAGES[0]).items()}


def choose(asked: str | None) -> str:
    """The language a person asked for, else Chinese."""
    return asked if asked is not None and asked in LANGUAGES else LANGUAGES[0]


def load(language: str) -> Words:
    """One catalogue as its file has it."""
    text = (files("edge.console") / "locale" / f"{language}.toml").read_text(encoding="utf-8")
    return cast(Words, tomllib.loads(text))
