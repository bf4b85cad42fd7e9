"""What the demonstration does and expects at each word of its scenario, read from play.toml."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from typing import Any, Literal

from demo.homes import FULL
from edge.schema import ConfigError, Mistakes, read_table

Home = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expect:
    """One thing that has to be seen; play.toml says what each key means."""

    words: str
    within_s: int
    home: str = FULL
    stands: str = ""
    order: int = 0
    confirmed: bool = False
    gone: tuple[str, ...] = ()
    flag: Literal["", "silenced", "acknowledged"] = ""
    is_: str = ""
    backlog: bool = False
    pin: int | None = None
    quantity: str = ""
    sounds: bool = False
    quiet: bool = False

    def mistakes(self) -> Iterable[tuple[str, str, str]]:
        """Exactly one thing is looked for; `backlog` is looked for elsewhere than on a tile."""
        asked = [name for name in ("stands", "gone", "flag", "is_", "backlog") if getattr(self, name)]
        if len(asked) != 1:
            yield "stands", "one of stands, gone, flag, is, backlog", ", ".join(asked) or "none"

    @property
    def point(self) -> str:
        """The point (or unit) that it is about; "" where it is about none."""
        return self.stands.partition("/")[2]

    def is_met(self, home: Home) -> bool:
        """Whether a home's tile shows it."""
        standing = {f"{item['class']}/{item['point']}": item for item in home["conditions"]}
        if self.stands:
            found = standing.get(self.stands)
            return found is not None and self._fits(found)
        if self.gone:
            return not standing.keys() & set(self.gone)
        if self.flag == "silenced":
            return bool(home["silenced"])
        if self.flag == "acknowledged":
            return all(item["acknowledged"] for item in standing.values())
        return bool(self.is_) and home["class"] == self.is_

    def _fits(self, found: Mapping[str, Any]) -> bool:
        return (not self.order or found["order"] == self.order) and (not self.confirmed or found["confirmed"])


@dataclass(frozen=True, slots=True)
class Order:
    """An order to light homes; demo/district.py says what each key means. `home` may be every one."""

    home: str
    set: dict[str, float] = field(default_factory=dict)
    operation: str = ""
    who: str = ""
    cable: str = ""
    all: str = ""

    def line(self) -> dict[str, Any]:
        """The order as it is sent: what is given."""
        return {key: value for key, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Word:
    """What one word of the scenario stands for."""

    operate: Literal["", "ack", "silence", "reset"] = ""
    district: tuple[Order, ...] = ()
    expect: tuple[Expect, ...] = ()


def load() -> Mapping[str, Word]:
    """All words. Raises ConfigError."""
    mistakes = Mistakes("play.toml")
    table = tomllib.loads((resources.files("demo") / "play.toml").read_text("utf-8"))
    words = {name: read_table(Word, of_word, name, mistakes) for name, of_word in table.items()}
    if mistakes.lines:
        raise ConfigError(mistakes.lines)
    return {name: word for name, word in words.items() if word is not None}


def dark_home(words: Mapping[str, Word]) -> str:
    """The home whose cable is cut; "" where none is."""
    orders = (order for word in words.values() for order in word.district)
    return next((order.home for order in orders if order.cable), "")
