"""The homes of the demonstration's district, from homes.toml."""

import tomllib
from importlib import resources
from typing import NamedTuple

FULL = "h01"
"""The home that is served over real bytes."""
EVERY = "*"
"""Every home, in an order or an expectation."""


class Home(NamedTuple):
    """A home's code and its invented name."""

    code: str
    name: str


def homes() -> tuple[Home, ...]:
    """All of them, by code."""
    table = tomllib.loads((resources.files("demo") / "homes.toml").read_text("utf-8"))
    return tuple(Home(**home) for home in table["home"])


def light_homes() -> tuple[Home, ...]:
    """All but the one in full."""
    return tuple(home for home in homes() if home.code != FULL)
