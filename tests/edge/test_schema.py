"""From TOML tables to frozen dataclasses: what is read, and how each mistake is said."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.schema import Mistakes, Ms, Words, duration_ms, read_parts, read_table, show


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Table:
    name: str
    wait: Ms = Ms(1000)
    level: float = 1.0
    is_on: bool = False
    colour: Colour = Colour.RED
    side: Literal["left", "right"] = "left"
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    names: tuple[str, ...] = ()
    free: dict[str, int] = field(default_factory=dict)
    class_: str | None = None
    later: Any = None

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        if self.level < 0:
            yield "level", "0 or more", str(self.level)
        if self.wait > 10_000:
            yield "wait", "up to 10s", f"{self.wait} ms"
        if self.side == "right" and not self.names:
            yield "names", "at least one", "none"


def read(**table: object) -> tuple[Table | None, list[str]]:
    mistakes = Mistakes("f.toml")
    return read_table(Table, table, "t", mistakes), mistakes.lines


def test_a_table_becomes_a_value_with_its_defaults() -> None:
    made, said = read(
        name="x",
        wait="1.5s",
        level=2,
        is_on=True,
        colour="green",
        many=[{"size": 2}, {}],
        free={"a": 1},
        **{"class": "c"},
    )
    assert said == []
    assert made == Table("x", Ms(1500), 2.0, True, Colour.GREEN, many=(Inner(2), Inner(1)), free={"a": 1}, class_="c")


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("0s", 0), ("1ms", 1), ("500ms", 500), ("10s", 10_000), ("1.5s", 1500), ("2min", 120_000), ("24h", 86_400_000),
        ("30d", 2_592_000_000), ("0.0004s", 0),
    ],
)  # fmt: skip
def test_a_duration_is_integer_milliseconds(text: str, ms: int) -> None:
    assert duration_ms(text) == ms
    assert isinstance(duration_ms(text), int)


@pytest.mark.parametrize(
    "text",
    ["", "10", "10 s", "s", "-1s", "+1s", "1e3s", "10S", "10sec", "1.s", ".5s", "1m",
     "٣s", "9" * 400 + "s", 10, None, True, []],
)  # fmt: skip
def test_what_is_no_duration_is_none(text: object) -> None:
    assert duration_ms(text) is None


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({}, "t.name: expected text, got nothing"),
        ({"name": 1}, "t.name: expected text, got 1"),
        ({"name": "x", "wait": 10}, 't.wait: expected a duration like "10s", got 10'),
        ({"name": "x", "level": "high"}, 't.level: expected a number, got "high"'),
        ({"name": "x", "level": True}, "t.level: expected a number, got true"),
        ({"name": "x", "level": float("nan")}, "t.level: expected a number, got nan"),
        ({"name": "x", "level": 10**400}, f"t.level: expected a number, got {10**400}"),
        ({"name": "x", "is_on": 1}, "t.is_on: expected true or false, got 1"),
        ({"name": "x", "colour": "blue"}, 't.colour: expected one of "red", "green", got "blue"'),
        ({"name": "x", "colour": []}, 't.colour: expected one of "red", "green", got a list'),
        ({"name": "x", "side": "up"}, 't.side: expected one of "left", "right", got "up"'),
        ({"name": "x", "inner": 3}, "t.inner: expected a table, got 3"),
        ({"name": "x", "inner": {"size": "big"}}, 't.inner.size: expected a whole number, got "big"'),
        ({"name": "x", "inner": {"sise": 1}}, "t.inner.sise: unknown key; did you mean size?"),
        ({"name": "x", "many": {}}, "t.many: expected a list of tables, got a table"),
        ({"name": "x", "many": [{}, 4]}, "t.many[1]: expected a table, got 4"),
        ({"name": "x", "names": ["a", 1]}, "t.names[1]: expected text, got 1"),
        ({"name": "x", "names": "a"}, 't.names: expected a list of texts, got "a"'),
        ({"name": "x", "free": {"a": "b"}}, 't.free.a: expected a whole number, got "b"'),
        (
            {"name": "x", "zzz": 1},
            "t.zzz: unknown key; known keys: name, wait, level, is_on, colour, side, inner, many,",
        ),
        ({"name": "x", "clas": "c"}, "t.clas: unknown key; did you mean class?"),
        ({"name": "x", "class_": "c"}, "t.class_: unknown key; did you mean class?"),
        ({"name": "x", "level": -1}, "t.level: expected 0 or more, got -1"),
        ({"name": "x", "wait": "1h"}, 't.wait: expected up to 10s, got "1h"'),
        ({"name": "x", "side": "right"}, "t.names: expected at least one, got none"),
    ],
)
def test_a_mistake_is_said_with_key_expected_and_found(table: dict[str, object], line: str) -> None:
    _, (said,) = read(**table)
    assert said.startswith(f"f.toml: {line}")
    assert said == f"f.toml: {line}" or line.endswith(",")


def test_a_table_that_is_none_is_a_mistake() -> None:
    mistakes = Mistakes("f.toml")
    assert read_table(Table, 5, "t", mistakes) is None
    assert mistakes.lines == ["f.toml: t: expected a table, got 5"]


def test_an_unknown_key_hides_no_mistake_in_what_the_values_mean() -> None:
    _, said = read(name="x", nmae="y", level=-1)
    assert said == ["f.toml: t.nmae: unknown key; did you mean name?", "f.toml: t.level: expected 0 or more, got -1"]


def test_parts_keep_what_is_right_beside_what_is_wrong() -> None:
    mistakes = Mistakes("f.toml")
    parts = read_parts(Table, {"name": "x", "many": [{"size": 2}, {"size": "big"}], "level": "high"}, "", mistakes)
    assert parts == {"name": "x", "many": (Inner(2), None), "level": None}
    assert not parts.is_whole
    assert len(mistakes.lines) == 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a", '"a"'), ("二楼", '"二楼"'), ("a\nb", r'"a\nb"'), ("x" * 61, '"' + "x" * 57 + '..."'), (True, "true"),
     ({}, "a table"), ([], "a list"), (1.5, "1.5"), (Words("none"), "none"), ("", '""')],
)  # fmt: skip
def test_what_was_found_is_shown_as_it_was_written(value: object, shown: str) -> None:
    assert show(value) == shown


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["size", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["name", "wait", "level", "colour", "side", "inner", "many", "free", "x"]), _ANY)
)
def test_any_table_is_read_or_its_mistakes_are_said(table: dict[str, object]) -> None:
    made, said = read(**table)
    assert said or made is not None
    assert made is None or isinstance(made, Table)
