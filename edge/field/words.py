"""The words of commissioning, from its catalogues."""

import os
import tomllib
from functools import cache
from importlib import resources
from typing import Any

LANGUAGES = ("zh", "en")


class Words:
    """One language. `words("talk.seen", value=3)` is a text with its fields filled in."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._tables = _catalogue(language)

    def __call__(self, name: str, /, **fields: Any) -> str:
        table, _, key = name.partition(".")
        return str(self._tables[table][key]).format(**fields)

    def level(self, name: str) -> str:
        """A point's level; the word itself where there is none for it."""
        return str(self._tables["level"].get(name, name))


def of_terminal() -> str:
    """The language of whoever sits at the terminal: Chinese where the system speaks it, else English."""
    told = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh" if told.lower().startswith("zh") else "en"


@cache
def _catalogue(language: str) -> dict[str, dict[str, str]]:
    file = resources.files("edge.field") / "locale" / f"{language}.toml"
    return tomllib.loads(file.read_text("utf-8"))
