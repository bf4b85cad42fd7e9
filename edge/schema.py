"""TOML tables into frozen dataclasses: one table is one class with the same spelling; every mistake is said at once.

A field's type says what the file may hold: `str`, `int`, `float`, `bool`, an enum, a `Literal`, `Ms` (a duration
written "10s", kept as integer milliseconds), `tuple[X, ...]` for a list, `dict[str, X]` for a table of free keys,
another dataclass for a table, `Any` for what is read later, and `X | None` for what may be left out. A field without a
default has to be there; an unknown key is a mistake. A key that is a Python word has a field with an underscore behind
it. A class may have `def mistakes(self) -> Iterable[tuple[str, str, str]]` giving (key, expected, got) for what types
cannot say.
"""

import json
import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from math import isfinite
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

Ms = NewType("Ms", int)
"""Milliseconds of a duration; in a file written with its unit: "500ms", "10s", "2min", "24h", "30d"."""

T = TypeVar("T")
_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|min|h|d)", re.ASCII)
_ABSENT = object()


class Mistakes:
    """What is wrong with a configuration: file, key, expected, found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: list[str] = []

    def add(self, where: str, expected: str, got: object = _ABSENT) -> None:
        found = "" if got is _ABSENT else f", got {show(got)}"
        self.lines.append(f"{self.file}: {where}: expected {expected}{found}")

    def note(self, where: str, text: str) -> None:
        """A mistake that is no matter of expected and found."""
        self.lines.append(f"{self.file}: {where}: {text}")


class ConfigError(Exception):
    """A configuration that must not be started; `lines` says everything that is wrong with it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read_toml(raw: bytes, file: str) -> dict[str, Any]:
    """The tables in the bytes of `file`. Raises ConfigError with where it is no TOML."""
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        said = f"line {line}: expected text in UTF-8, got the byte {raw[error.start]:#x}"
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a bare ValueError
        said = str(error)
    raise ConfigError([f"{file}: {said}"])


class Words(str):
    """Something found that does not stand in the file like this: shown without quotation marks, and whole."""


def show(value: object) -> str:
    """A value as a person wrote it in the file."""
    if isinstance(value, Words):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # As TOML would have it on one line: a line break in it must not look like another mistake.
        return json.dumps(value if len(value) <= 60 else value[:57] + "...", ensure_ascii=False)
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return str(value)


def read_table(kind: type[T], table: object, where: str, mistakes: Mistakes) -> T | None:
    """The dataclass `kind` out of `table`, or None where that cannot be made; what is wrong is added to `mistakes`."""
    if not isinstance(table, Mapping):
        mistakes.add(where, "a table", table)
        return None
    values = read_parts(kind, table, where, mistakes)
    if not values.is_whole:
        return None
    made = kind(**values)
    for key, expected, got in getattr(made, "mistakes", tuple)():
        mistakes.add(f"{where}.{key}" if where else key, expected, _as_written(kind, key, got, table))
    return made


class Parts(dict[str, Any]):
    """Fields by name. `is_whole`: every one of them could be read, and none is missing."""

    is_whole = True


def read_parts(kind: type, table: Mapping[str, object], where: str, mistakes: Mistakes) -> Parts:
    """The fields of the dataclass `kind` that `table` has, one by one: what of it can be used beside its mistakes.

    A field, or the entry of a list, that is wrong is None.
    """
    hints = _hints(kind)
    _refuse_unknown(table, [_key(name) for name in hints], where, mistakes)
    before = len(mistakes.lines)
    values = Parts()
    for field in fields(kind):
        key = _key(field.name)
        place = f"{where}.{key}" if where else key
        if key in table:
            values[field.name] = _value(hints[field.name], table[key], place, mistakes)
        elif field.default is MISSING and field.default_factory is MISSING:
            mistakes.add(place, _describe(hints[field.name]), Words("nothing"))
    values.is_whole = len(mistakes.lines) == before
    return values


def _as_written(kind: type, key: str, got: object, table: Mapping[str, object]) -> object:
    """What was found, as the file has it; the words of a check where they say more than the file."""
    if key in table and _hints(kind).get(key) in (Ms, Ms | None, float, float | None):
        return table[key]
    return Words(got) if isinstance(got, str) and got and got != table.get(key) else got


def _key(name: str) -> str:
    return name.rstrip("_")


def duration_ms(text: object) -> int | None:
    """Milliseconds of "10s", or None where the text is no duration."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    return round(float(match[1]) * _UNITS_MS[match[2]]) if match else None


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _refuse_unknown(table: Mapping[str, object], known: list[str], where: str, mistakes: Mistakes) -> None:
    for key in table:
        if key not in known:
            close = get_close_matches(key, known, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; known keys: {', '.join(known)}"
            mistakes.note(f"{where}.{key}" if where else key, f"unknown key{hint}")


def _value(kind: Any, value: object, where: str, mistakes: Mistakes) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _value(_some(kind), value, where, mistakes)
    if origin is tuple:
        return _list(get_args(kind)[0], value, where, mistakes)
    if origin is dict:
        return _free_table(get_args(kind)[1], value, where, mistakes)
    if isinstance(kind, type) and is_dataclass(kind):
        return read_table(kind, value, where, mistakes)
    made = _plain(kind, value)
    if made is _ABSENT:
        mistakes.add(where, _describe(kind), value)
        return None
    return made


def _some(kind: Any) -> Any:
    return next(arg for arg in get_args(kind) if arg is not type(None))


def _list(kind: Any, value: object, where: str, mistakes: Mistakes) -> tuple[Any, ...]:
    if not isinstance(value, list):
        mistakes.add(where, _describe_list(kind), value)
        return ()
    return tuple(_value(kind, item, f"{where}[{i}]", mistakes) for i, item in enumerate(value))


def _free_table(kind: Any, value: object, where: str, mistakes: Mistakes) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        mistakes.add(where, "a table", value)
        return {}
    return {key: _value(kind, item, f"{where}.{key}", mistakes) for key, item in value.items()}


def _plain(kind: Any, value: object) -> Any:
    if kind is Ms:
        made = duration_ms(value)
        return _ABSENT if made is None else made
    if get_origin(kind) is Literal:
        return value if value in get_args(kind) else _ABSENT
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value) if value in [str(item) for item in kind] else _ABSENT
    if kind is float:
        return _finite(value)
    return value if type(value) is kind else _ABSENT


def _finite(value: object) -> float | object:
    """A number that can be compared with: neither infinity nor "not a number", which TOML can both write."""
    if type(value) not in (int, float):
        return _ABSENT
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return _ABSENT
    return number if isfinite(number) else _ABSENT


def _describe(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _describe(_some(kind))
    if kind is Ms:
        return 'a duration like "10s"'
    if origin is Literal:
        return "one of " + ", ".join(show(arg) for arg in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "one of " + ", ".join(f'"{item}"' for item in kind)
    if origin is tuple:
        return _describe_list(get_args(kind)[0])
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(kind, "a table")


def _describe_list(kind: Any) -> str:
    plural = {"a table": "tables", "text": "texts", "a whole number": "whole numbers", "a number": "numbers"}
    item = _describe(kind)
    return f"a list of {plural.get(item, item)}"
