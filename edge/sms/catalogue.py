"""The words that reach people's phones: `locale/zh.toml`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def words() -> Mapping[str, Any]:
    """The whole catalogue."""
    return tomllib.loads((files("edge.sms") / "locale" / "zh.toml").read_text(encoding="utf-8"))
