"""The linter and the type checker, with the settings of pyproject.toml, as tests like any other."""

import subprocess
import sys

import pytest

from tests.support import ROOT


def _run(*command: str, timeout_s: float) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff():
    _run("ruff", "check", "--output-format=concise", ".", timeout_s=60)


@pytest.mark.timeout(600)  # with no cache it reads the types of every library
def test_mypy():
    _run("mypy", timeout_s=590)
