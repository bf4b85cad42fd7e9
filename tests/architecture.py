"""How the test of the architecture reads the tree: its files, and what each module imports, says and holds."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support import ROOT

PARTS = ("edge", "device", "collector", "simulators", "demo", "bench", "tests")
PRODUCT = ("edge", "device", "collector", "simulators", "demo")
CHINESE = re.compile(r"[\u3400-\u9fff\uff01-\uff5e]")
SQL = re.compile(
    r"^\s*(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|REPLACE\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM"
    r"|CREATE\s+(UNIQUE\s+|TEMP\s+)?(TABLE|INDEX|VIEW|TRIGGER)|DROP\s+(TABLE|INDEX)|PRAGMA\s)",
    re.IGNORECASE | re.DOTALL,
)


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed: what git knows and what it does not ignore."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return tuple(path for name in sorted(set(listed.split("\0")) - {""}) if (path := ROOT / name).is_file())


def python_files(*parts: str) -> tuple[Path, ...]:
    """The project's Python files under these top-level folders."""
    return tuple(path for path in project_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in parts)


def name_of(path: Path) -> str:
    """A path as a failure should name it."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute module) for every import in a file, inside functions and by name too.

    `from a import b` gives a and a.b, since b may be a module.
    """
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call):
            yield from _import_by_name(node)


def _import_by_name(call: ast.Call) -> Iterator[tuple[int, str]]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("import_module", "__import__", "run_module") and call.args:
        argument = call.args[0]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield call.lineno, argument.value


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every string in a file that is no docstring."""
    tree = tree_of(path)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def functions(path: Path) -> Iterator[tuple[int, str, int]]:
    """(line, name, lines of code) of every function; its docstring and the functions inside it do not count."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = [
                child
                for child in ast.walk(node)
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and child is not node
            ]
            first = node.body[0]
            doc = _lines(first) if ast.get_docstring(node, clean=False) is not None else 0
            yield node.lineno, node.name, _lines(node) - doc - sum(map(_lines, _outermost(inside)))


def _outermost(nodes: list[ast.FunctionDef | ast.AsyncFunctionDef]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    def within(a: ast.stmt, b: ast.stmt) -> bool:
        return a is not b and b.lineno <= a.lineno and (a.end_lineno or 0) <= (b.end_lineno or 0)

    return [node for node in nodes if not any(within(node, other) for other in nodes)]


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
