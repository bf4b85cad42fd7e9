"""The page's files: templates filled with words, and what they load. Read once; nothing else of the disk is served."""

import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from edge.console import catalogue

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_PLACE = re.compile(r"\{\{ (\w+)(?:\.(\w+))? \}\}")


@cache
def static(name: str) -> tuple[bytes, str] | None:
    """A file that the page loads, and its type; None where there is none of that name."""
    ending = name.rpartition(".")[2]
    if not re.fullmatch(r"[a-z]+\.[a-z]+", name) or ending not in TYPES:
        return None
    path = files("edge.console") / "web" / "static" / name
    return (path.read_bytes(), f"{TYPES[ending]}; charset=utf-8") if path.is_file() else None


@cache
def build() -> str:
    """Names what is served: an open page that came from another build loads itself anew."""
    digest = hashlib.sha256()
    for folder in ("web", "web/static", "locale"):
        found = files("edge.console").joinpath(folder)
        for path in sorted(found.iterdir(), key=lambda item: item.name):
            digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:12]


def page(template: str, language: str, data: Mapping[str, Any]) -> bytes:
    """A template with the words of a language; `{{ data }}` becomes JSON for the script."""
    words = catalogue.words(language)
    others = {"language": language, "other": next(code for code in catalogue.LANGUAGES if code != language)}
    others["data"] = _json({**data, "language": language, "words": words})

    def filled(match: re.Match[str]) -> str:
        table, key = match[1], match[2]
        if key is None:
            return others[table]
        return html.escape(words[table][key])

    return _PLACE.sub(filled, _template(template)).encode()


@cache
def _template(name: str) -> str:
    return (files("edge.console") / "web" / name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("&", "\\u0026")
