"""Who may import whom, what stays pure, and what belongs in which file.

Each rule is one test that lists every breach as `file:line: what`. The rules themselves are tables at the top, so that
changing one is a visible line in a review.
"""

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.architecture import (
    CHINESE,
    PARTS,
    PRODUCT,
    SQL,
    functions,
    imports,
    name_of,
    project_files,
    python_files,
    texts,
    tree_of,
)
from tests.support import ROOT

MAY_IMPORT = {
    "edge": {"edge", "device"},
    "collector": {"collector", "device"},
    "device": {"device"},
    # Written from data sheets: one that shared code with the gateway would agree with its mistakes.
    "simulators": {"simulators"},
    "demo": {"demo", "edge", "device", "collector", "simulators"},
    "bench": {"bench", "edge", "device", "collector", "simulators"},
    "tests": set(PARTS),
}

TOP_LEVEL_FOLDERS = {*PARTS, "deploy", "docs", ".ci"}

# What would let a decision depend on anything but its arguments: the clock, chance, the machine, other threads.
IMPURE = {
    *("asyncio", "concurrent", "datetime", "glob", "io", "logging", "multiprocessing", "os", "pathlib", "queue"),
    *("random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile"),
    *("threading", "time", "uuid", "zoneinfo"),
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
SMS_PURE = tuple(f"edge/sms/{name}" for name in ("gsm7", "incident", "ladder", "outbox", "pdu", "texts"))
PURE = ("edge/core/", *SMS_PURE, "collector/access", "collector/board", "collector/ledger")

# What MicroPython's ports and micropython-lib have on the boards that we flash.
MICROPYTHON = {
    *("array", "asyncio", "binascii", "bluetooth", "collections", "cryptolib", "deflate", "dht", "ds18x20", "errno"),
    *("esp32", "gc", "hashlib", "heapq", "io", "json", "machine", "math", "micropython", "network", "ntptime"),
    *("onewire", "os", "random", "re", "rp2", "select", "socket", "ssl", "struct", "sys", "time", "uctypes", "umqtt"),
}

MAY_HOLD_SQL = ("edge/journal", "collector/store", "tests/", "bench/")
MAY_HOLD_CHINESE = re.compile(r"(^|/)(locale|catalogues?)(/|\.py$|_\w+\.py$)|^tests/|^bench/")

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONGER_FILES = {
    "device/wire.py": 550,  # flashed as one file, and read as one document: the contract
}

# Nobody else can use these: registries' addresses (mirrors exist for a reason) and folders of one person's machine.
FORBIDDEN_TEXT = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|deb\.debian\.org|security\.debian\.org"
    r"|(?<![\w.])/(work|root)/\w|(?<![\w.])/tmp/[w]/|(?<![\w.])/home/(?!pi\b|shouwang\b)\w"
)


def _fail_on(breaches: Iterable[str]) -> None:
    found = sorted(set(breaches))
    assert not found, "\n  ".join(["", *found])


def _root_of(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("part", PARTS)
def test_arrows_run_left_to_right(part: str):
    _fail_on(
        f"{name_of(path)}:{line}: imports {module}"
        for path in python_files(part)
        for line, module in imports(path)
        if _root_of(module) in PARTS and _root_of(module) not in MAY_IMPORT[part]
    )


def test_the_core_imports_nothing_of_ours_but_itself():
    _fail_on(
        f"{name_of(path)}:{line}: imports {module}"
        for path in _under("edge/core/")
        for line, module in imports(path)
        if _root_of(module) in PARTS and module != "edge" and not f"{module}.".startswith("edge.core.")
    )


def test_the_core_imports_no_library():
    _fail_on(
        f"{name_of(path)}:{line}: imports {module}"
        for path in _under("edge/core/")
        for line, module in imports(path)
        if _root_of(module) not in PARTS and _root_of(module) not in sys.stdlib_module_names
    )


def test_what_is_pure_touches_no_clock_no_chance_and_no_machine():
    pure = [path for prefix in PURE for path in _under(prefix)]
    assert pure
    by_import = [
        f"{name_of(path)}:{line}: imports {module}"
        for path in pure
        for line, module in imports(path)
        if _root_of(module) in IMPURE
    ]
    by_call = [
        f"{name_of(path)}:{node.lineno}: calls {node.func.id}()"
        for path in pure
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS
    ]
    _fail_on(by_import + by_call)


def test_the_device_needs_only_what_micropython_has():
    own = {path.stem for path in python_files("device")}
    _fail_on(
        f"{name_of(path)}:{line}: imports {module}"
        for path in python_files("device")
        for line, module in imports(path)
        if _root_of(module) not in MICROPYTHON | own | {"device"}
    )


def test_sql_stays_in_the_journal_and_the_store():
    outside = [path for path in python_files(*PARTS) if not name_of(path).startswith(MAY_HOLD_SQL)]
    by_text = [f"{name_of(path)}:{line}: SQL" for path in outside for line, text in texts(path) if SQL.match(text)]
    by_import = [
        f"{name_of(path)}:{line}: imports {module}"
        for path in outside
        for line, module in imports(path)
        if _root_of(module) in ("sqlite3", "sqlite_utils")
    ]
    _fail_on(by_text + by_import)


def test_what_people_read_comes_from_catalogues():
    _fail_on(
        f"{name_of(path)}:{line}: {text[:40]!r}"
        for path in python_files(*PRODUCT)
        if not MAY_HOLD_CHINESE.search(name_of(path))
        for line, text in texts(path)
        if CHINESE.search(text)
    )


def test_no_file_is_too_long_to_read():
    code = [path for path in project_files() if path.suffix in (".py", ".js", ".css") and _part(path) != "tests"]
    _fail_on(
        f"{name_of(path)}: {lines} lines"
        for path in code
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGER_FILES.get(name_of(path), LONGEST_FILE)
    )


def test_no_function_is_too_long_to_read():
    _fail_on(
        f"{name_of(path)}:{line}: {name} has {lines} lines"
        for path in python_files(*PARTS)
        for line, name, lines in functions(path)
        if lines > LONGEST_FUNCTION
    )


def test_no_folder_appears_unplanned():
    folders = {path.relative_to(ROOT).parts[0] for path in project_files() if path.parent != ROOT}
    assert folders <= TOP_LEVEL_FOLDERS


def test_no_file_names_a_registry_or_one_persons_folder():
    breaches = []
    for path in project_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:  # a picture
            continue
        found = ((number, FORBIDDEN_TEXT.search(line)) for number, line in enumerate(lines, 1))
        breaches += [f"{name_of(path)}:{number}: {match[0]}" for number, match in found if match]
    _fail_on(breaches)


# --- adding a source --------------------------------------------------------------------------------------------------


def _sources() -> list[str]:
    return sorted(importlib.import_module("edge.sources").SOURCES)


def test_every_source_has_its_module_simulator_test_and_example():
    examples = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "deploy").rglob("*.toml"))
    breaches = []
    for kind in _sources():
        for wanted in (f"edge/sources/{kind}", f"simulators/{kind}"):
            if not any((ROOT / f"{wanted}{end}").is_file() for end in (".py", "/__init__.py")):
                breaches.append(f"{kind}: expected {wanted}.py, found none")
        if not list((ROOT / "tests").rglob(f"sources/test_{kind}.py")):
            breaches.append(f"{kind}: expected tests/sources/test_{kind}.py, found none")
        if not re.search(rf'^\s*kind\s*=\s*"{re.escape(kind)}"', examples, re.MULTILINE):
            breaches.append(f'{kind}: expected a stanza with kind = "{kind}" in deploy/, found none')
    _fail_on(breaches)


def test_no_module_of_the_sources_is_forgotten():
    used = {module for path in python_files("edge") for _, module in imports(path)}
    kinds = {f"edge.sources.{kind}" for kind in _sources()}
    modules = {_module_of(path) for path in _under("edge/sources/")} - {"edge.sources"}
    _fail_on(f"{module}: expected a line in SOURCES or its import, found none" for module in modules - used - kinds)


def _module_of(path: Path) -> str:
    return name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


# --- packaging --------------------------------------------------------------------------------------------------------


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _entry_points() -> list[str]:
    project = _project()
    groups = [project["scripts"], *project["entry-points"].values()]
    return [target for group in groups for target in group.values()]


@pytest.mark.parametrize("target", _entry_points())
def test_every_entry_point_leads_somewhere(target: str):
    module, _, name = target.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def _requirement_name(line: str) -> str:
    match = re.match(r"[\w.-]+", line)
    assert match, line
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def test_every_dependency_is_pinned_by_version_alone():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    _fail_on(f"constraints.txt: {line}" for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line))
    project = _project()
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    pinned = {_requirement_name(line) for line in lines}
    assert {_requirement_name(line) for line in wanted} - {"shouwang"} <= pinned


def test_the_lock_of_the_node_packages_names_no_address():
    lock = ROOT / "tests" / "micropython" / "package-lock.json"
    assert '"resolved"' not in lock.read_text()
    assert '"integrity": "sha512-' in lock.read_text()


def _under(prefix: str) -> list[Path]:
    return [path for path in python_files(*PARTS) if name_of(path).startswith(prefix)]


def _part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]
