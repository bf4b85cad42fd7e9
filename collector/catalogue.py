"""The words people read, by language. Chinese first; what English lacks is shown in Chinese rather than not at all."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import cast

LANGUAGES = ("zh", "en")
Words = dict[str, dict[str, str]]


@cache
def words(language: str) -> Words:
    """All tables of a language's catalogue, as `words("zh")["class"]["fire"]`."""
    if language not in LANGUAGES:
        raise ValueError(f"expected one of {', '.join(LANGUAGES)}, got {language!r}")
    found = _load(language)
    if language == LANGUAGES[0]:
        return found
    return {table: {**texts, **found.get(table, {})} for table, texts in _load(LANGUAGES[0]).items()}


def choose(asked: str | None) -> str:
    """The language a person asked for, else Chinese: browsers set up in English are common where Chinese is read."""
    return asked if asked is not None and asked in LANGUAGES else LANGUAGES[0]


def _load(language: str) -> Words:
    text = (files("collector") / "locale" / f"{language}.toml").read_text(encoding="utf-8")
    return cast(Words, tomllib.loads(text))
