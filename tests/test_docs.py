"""What the documents say is so: configurations load, commands and their options exist, links lead somewhere."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from edge import config, profiles
from edge.schema import ConfigError
from tests import documents
from tests.architecture import name_of, project_files
from tests.support import ROOT

README = ROOT / "README.md"
README_CHINESE = ROOT / "README.zh-CN.md"
EXAMPLE = ROOT / "deploy" / "example" / "gateway.toml"
DOCUMENTS = [path for path in project_files() if path.suffix == ".md"]

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=[name_of(path) for path in DOCUMENTS])


@pytest.mark.parametrize("path", [README, README_CHINESE], ids=lambda path: path.name)
def test_there_is_a_readme_in_both_languages(path: Path):
    text = path.read_text(encoding="utf-8")
    other = README_CHINESE if path == README else README
    assert f"({other.name})" in text, f"expected a link to {other.name}"
    for command in ("./run demo", "./run test"):
        assert command in text


def test_the_chinese_quick_start_names_the_commands_of_the_readme():
    english, chinese = (
        {" ".join(words[:2]) for _, words in documents.commands(path.read_text(encoding="utf-8"))}
        for path in (README, README_CHINESE)
    )
    assert chinese <= english


@each_document
def test_its_links_lead_somewhere(path: Path):
    text = path.read_text(encoding="utf-8")
    _fail_on(path, broken_links(path, text))


@each_document
def test_its_commands_exist(path: Path):
    _fail_on(path, wrong_commands(path.read_text(encoding="utf-8")))


@each_document
def test_its_blocks_are_what_they_say(path: Path, tmp_path: Path):
    _fail_on(path, wrong_blocks(path.read_text(encoding="utf-8"), tmp_path))


def _fail_on(path: Path, problems: Iterator[tuple[int, str]]) -> None:
    found = [f"{name_of(path)}:{line}: {problem}" for line, problem in problems]
    assert not found, "\n  ".join(["", *found])


# --- links ------------------------------------------------------------------------------------------------------------


def broken_links(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Links to files and headings that are not there. Nothing is fetched."""
    for line, target in documents.links(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists():
            yield line, f"{target}: no such file"
        elif anchor and file.suffix == ".md" and anchor not in documents.anchors(file.read_text(encoding="utf-8")):
            yield line, f"{target}: no such heading"


# --- commands ---------------------------------------------------------------------------------------------------------

RUN_COMMANDS = {"demo", "test", "setup", "help", "--help"}
PLACEHOLDER = re.compile(r"^(?:[A-Z_]+|<.*>|\[.*\]|\.\.\.|…)$")


@cache
def help_of(program: str, *subcommand: str) -> str:
    """What `program subcommand --help` prints; empty where there is no such subcommand, but a program has to work."""
    command = [str(Path(sys.executable).parent / program)] if program.startswith("shouwang-") else [sys.executable]
    if program == "demo":
        command += ["-m", "demo"]
    elif program.endswith(".py"):
        command += [program]
    done = subprocess.run([*command, *subcommand, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or subcommand, f"{program} --help failed:\n{done.stderr}"
    return done.stdout if done.returncode == 0 else ""


def wrong_commands(text: str) -> Iterator[tuple[int, str]]:
    """Commands of ours that do not exist, with subcommands and options that their --help does not name."""
    for line, words in documents.commands(text):
        for problem in _wrong(words):
            yield line, f"{' '.join(words)}: {problem}"


def _wrong(words: list[str]) -> Iterator[str]:
    if words[0] == "./run":
        yield from _wrong_run(words[1:])
    elif words[0].startswith("shouwang-"):
        yield from _wrong_subcommands(words[0], words[1:])
    else:
        yield from _wrong_bench(words[1:])


def _wrong_run(words: list[str]) -> Iterator[str]:
    if not words or PLACEHOLDER.match(words[0]):
        return
    if words[0] not in RUN_COMMANDS:
        yield f"./run knows no {words[0]}"
    elif words[0] == "demo":
        yield from _unknown_options(words[1:], help_of("demo"))


def _wrong_subcommands(program: str, words: list[str]) -> Iterator[str]:
    if not words or PLACEHOLDER.match(words[0]) or words[0].startswith("-"):
        yield from _unknown_options(words, help_of(program))
        return
    help_of(program)
    for subcommand in words[0].split("|"):
        text = help_of(program, subcommand)
        if text:
            yield from _unknown_options(words[1:], _help_of_act(program, subcommand, words[1:]) or text)
        else:
            yield f"{program} knows no {subcommand}"


def _help_of_act(program: str, subcommand: str, words: list[str]) -> str:
    """The help of `home add` and the like; empty where the word after the subcommand is no command."""
    if not words or words[0].startswith(("-", "[")) or PLACEHOLDER.match(words[0]):
        return ""
    return help_of(program, subcommand, words[0])


def _wrong_bench(words: list[str]) -> Iterator[str]:
    script = words[1].replace(".", "/") + ".py" if words[0] == "-m" else words[0]
    if (ROOT / script).is_file():
        yield from _unknown_options(words[1:], help_of(script))
    else:
        yield f"no file {script}"


def _unknown_options(words: list[str], text: str) -> Iterator[str]:
    for word in words:
        option = re.match(r"\[?(--[a-z][\w-]*)", word)
        if option and option[1] != "--help" and not re.search(rf"{option[1]}(?![\w-])", text):
            yield f"its --help names no {option[1]}"


# --- blocks -----------------------------------------------------------------------------------------------------------


def wrong_blocks(text: str, folder: Path) -> Iterator[tuple[int, str]]:
    """TOML, JSON, configurations and profiles that are not what their fence says. Profiles are put into `folder`."""
    found = list(documents.blocks(text))
    files = _write_profiles(found, folder)
    for block in found:
        try:
            _check(block.info, _with_real_paths(block.text, files))
        except ConfigError as error:
            yield block.line, "; ".join(error.lines)
        except ValueError as error:
            yield block.line, str(error)


def _write_profiles(found: list[documents.Block], folder: Path) -> dict[str, Path]:
    files = {}
    for block in found:
        if block.info[:2] == ("toml", "profile"):
            documented = block.info[2] if len(block.info) > 2 else f"/line-{block.line}.toml"
            files[documented] = folder / documented.strip("/").replace("/", "-")
            files[documented].write_text(block.text, encoding="utf-8")
    return files


def _with_real_paths(text: str, files: dict[str, Path]) -> str:
    for documented, file in files.items():
        text = text.replace(documented, str(file))
    return text


def _check(info: tuple[str, ...], text: str) -> None:
    if info[:1] == ("json",):
        json.loads(text)
    elif info[:1] == ("toml",):
        mark = info[1] if len(info) > 1 else ""
        if mark not in TOML_CHECKS:
            raise ValueError(f"expected ```toml with one of {', '.join(filter(None, TOML_CHECKS))}, found {mark}")
        TOML_CHECKS[mark](text)


def _load_gateway(text: str) -> None:
    config.parse(tomllib.loads(text), "gateway.toml")


def _load_part(text: str) -> None:
    _load_gateway(EXAMPLE.read_text(encoding="utf-8") + "\n" + text)


def _load_profile(text: str) -> None:
    kind = profiles.MeterProfile if tomllib.loads(text).get("kind") == "modbus" else profiles.TransducerProfile
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        profiles.load(file.name, kind)


TOML_CHECKS: dict[str, Callable[[str], object]] = {
    "": tomllib.loads,
    "gateway": _load_gateway,
    "gateway-part": _load_part,
    "profile": _load_profile,
}


# --- the checks themselves --------------------------------------------------------------------------------------------

PROFILE = """\
```toml profile /etc/shouwang/meter.toml
title = "A meter"
source = "its manual"
kind = "modbus"
quantity.current = { function = 3, address = 0, unit = "mA" }
```
"""

WRONG = [
    ("see [this](docs/nosuch.md)", "no such file"),
    ("![board](docs/nosuch.png)", "no such file"),
    ('<img alt="" src="docs/nosuch.png">', "no such file"),
    ("# One\n[up](#two)", "no such heading"),
    ("`./run nosuch`", "./run knows no nosuch"),
    ("```console\n$ ./run demo --nosuch\n```", "--nosuch"),
    ("`shouwang-edge run|nosuch`", "shouwang-edge knows no nosuch"),
    ("```sh\nFOO=1 shouwang-edge status --nosuch && ls\n```", "--nosuch"),
    ("1. do\n   ```console\n   $ shouwang-sim nosuch\n   ```", "shouwang-sim knows no nosuch"),
    ("`python bench/nosuch.py`", "no file bench/nosuch.py"),
    ("```json\n{'a': 1}\n```", "Expecting property name"),
    ("```toml\na = \n```", "Invalid value"),
    ("```toml gatway\na = 1\n```", "expected ```toml with one of"),
    ("```toml gateway\nnosuch = 1\n```", "nosuch"),
    ('```toml gateway-part\n[[zone]]\ncode = "f1"\nname = "again"\n```', "f1"),
    (PROFILE.replace("function = 3", "function = 6"), "function"),
]

RIGHT = [
    "# 快速开始 `x`: go!\n[up](#快速开始-x-go) and <a href=\"#快速开始-x-go\">again</a>",
    "[licence](LICENSE), [site](https://example.org/x#y), `[a](b)`",
    "`./run demo --loop`, `./run test tests/core -k leak`, `./run COMMAND`",
    "`shouwang-edge status --json | less`; `shouwang-edge ack --who NAME`",
    "```console\n$ shouwang-edge check --config FILE  # --nosuch\nsome ./run nosuch output\n```",
    "```toml\na = 1\n```\n```json\n[1]\n```",
    '```toml gateway-part\n[[zone]]\ncode = "f9"\nname = "九楼"\n```',
    PROFILE,
]


def _all_problems(text: str, folder: Path) -> list[str]:
    document = folder / "document.md"
    document.write_text(text, encoding="utf-8")
    (folder / "LICENSE").touch()
    checks = (broken_links(document, text), wrong_commands(text), wrong_blocks(text, folder))
    return [problem for found in checks for _, problem in found]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_what_is_wrong_is_found(text: str, problem: str, tmp_path: Path):
    (found,) = _all_problems(text, tmp_path)
    assert problem in found


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_passes(text: str, tmp_path: Path):
    assert _all_problems(text, tmp_path) == []
