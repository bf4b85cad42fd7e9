"""The wheel holds all of the product, data files included, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.architecture import PRODUCT, project_files
from tests.support import ROOT

BUILD_FILES = ("pyproject.toml", "README.md", "LICENSE")


def test_the_wheel_holds_every_file_of_the_product(tmp_path: Path):
    source = tmp_path / "source"
    product = {path.relative_to(ROOT) for path in project_files() if path.relative_to(ROOT).parts[0] in PRODUCT}
    for file in (*product, *(Path(name) for name in BUILD_FILES), Path("tests/support.py")):
        if (ROOT / file).is_file():
            (source / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, source / file)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "out"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "./source"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "out").glob("shouwang-*.whl")
    held = {Path(name) for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert sorted(product - held) == []
    assert sorted(held - product) == []
