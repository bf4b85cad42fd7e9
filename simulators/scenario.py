"""A scenario: what happens in a building, as data. A step is a list of control commands at a time, with words for it.

    title_zh, title_en, end_s
    [[step]]
    at_s = 8
    zh = "..."            what the step is, for people
    en = "..."
    do = [{ set = { "203.smoke_pct_m" = 8.0 } }]      commands of simulators/control.py
    demo = "acknowledge"  a word for whoever plays the scenario; the building takes no notice of it
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

Command = Mapping[str, Any]
_STEP_KEYS = {"at_s", "zh", "en", "do", "demo"}


class ScenarioError(ValueError):
    """The scenario does not exist or is malformed; the text says where."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: when, its words in both languages, the commands, and the player's own word (empty: none)."""

    at_ms: int
    zh: str
    en: str
    do: tuple[Command, ...]
    demo: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps in the order of their times. After `end_ms` it may begin again."""

    name: str
    title_zh: str
    title_en: str
    end_ms: int
    steps: tuple[Step, ...]


def load(scenario: str | Path) -> Scenario:
    """The scenario in a file, or a shipped one by name. Raises ScenarioError, OSError."""
    path = Path(scenario)
    if path.suffix != ".toml":
        path = Path(str(resources.files("simulators") / "scenarios" / f"{scenario}.toml"))
        if not path.is_file():
            raise ScenarioError(f"no scenario {str(scenario)!r}; give a .toml file, or one of {', '.join(shipped())}")
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")), path.name)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path.name}: {error}") from error


def shipped() -> list[str]:
    """Names of the scenarios that come with the simulator."""
    folder = resources.files("simulators") / "scenarios"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def parse(document: Mapping[str, Any], file: str) -> Scenario:
    """The scenario in a parsed TOML document; `file` names it in errors. Raises ScenarioError."""
    steps = tuple(_step(table, f"{file}: step[{at}]") for at, table in enumerate(document.get("step", [])))
    if not steps:
        raise ScenarioError(f"{file}: no [[step]]")
    if list(steps) != sorted(steps, key=lambda step: step.at_ms):
        raise ScenarioError(f"{file}: the steps are not in the order of their times")
    return Scenario(
        name=file.removesuffix(".toml"),
        title_zh=str(document.get("title_zh", "")),
        title_en=str(document.get("title_en", "")),
        end_ms=round(document.get("end_s", 0) * 1000) or steps[-1].at_ms,
        steps=steps,
    )


def _step(table: Mapping[str, Any], where: str) -> Step:
    if unknown := set(table) - _STEP_KEYS:
        raise ScenarioError(f"{where}: no such key: {', '.join(sorted(unknown))}")
    at_s = table.get("at_s")
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or at_s < 0:
        raise ScenarioError(f"{where}.at_s: expected seconds from the start, got {at_s!r}")
    commands = table.get("do", [])
    if not isinstance(commands, list) or not all(isinstance(command, dict) for command in commands):
        raise ScenarioError(f"{where}.do: expected a list of commands, got {commands!r}")
    words = {key: table.get(key, "") for key in ("zh", "en", "demo")}
    if not all(isinstance(word, str) for word in words.values()):
        raise ScenarioError(f"{where}: zh, en and demo are words")
    return Step(round(at_s * 1000), do=tuple(commands), **words)


async def play(scenario: Scenario, do: Callable[[Command], Any], began: Callable[[Step], None]) -> None:
    """Play it once in real time until its end: `began(step)` at each step, then `do(command)` for each command."""
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    for step in scenario.steps:
        await asyncio.sleep(start_s + step.at_ms / 1000 - loop.time())
        began(step)
        for command in step.do:
            do(command)
    await asyncio.sleep(start_s + scenario.end_ms / 1000 - loop.time())
