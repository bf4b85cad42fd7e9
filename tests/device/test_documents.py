"""What the documents and the package list say about nodes is what the code does."""

import json
import re
import subprocess
import sys
from pathlib import Path

from bench.node_battery import life_years, table
from tests.support import ROOT

DOCUMENT = ROOT / "docs" / "node.md"


def test_the_battery_table_is_the_computed_one():
    rows = [list(row.values()) for row in table()]
    lines = [line.strip("| ").split(" | ") for line in DOCUMENT.read_text("utf-8").splitlines() if " years |" in line]
    assert lines == rows


def test_a_battery_lasts_longer_the_less_it_wakes_and_never_beyond_its_shelf_life():
    lives = [life_years(3000, wakings) for wakings in (1, 4, 24, 144)]
    assert lives == sorted(lives, reverse=True)
    assert life_years(1e9, 1) == 10


def test_the_package_lists_every_file_that_is_flashed():
    listed = json.loads((ROOT / "device" / "package.json").read_text("utf-8"))["urls"]
    files = sorted(path.name for path in (ROOT / "device").glob("*.py"))
    assert listed == [[f"device/{name}", name] for name in files]


def test_the_pins_of_the_picture_are_those_of_the_board():
    picture = (ROOT / "docs" / "pictures" / "node-wiring.svg").read_text("utf-8")
    board = (ROOT / "device" / "board.py").read_text("utf-8")
    pins = [re.search(rf"^{name} = (\d+)", board, re.M) for name in ("TAMPER_PIN", "BUTTON_PIN", "LED_PIN")]
    assert all(pin is not None and f">GPIO{pin[1]}<" in picture for pin in pins)
    assert '"pin": 4' in board and ">GPIO4<" in picture


def test_the_battery_bench_prints_its_table(tmp_path: Path):
    command = [sys.executable, str(ROOT / "bench" / "node_battery.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert json.loads(done.stdout.splitlines()[-1])["life"] == table()
