"""The simulated board of tests/micropython for benches: a flash laid out, and a program run in real MicroPython."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MICROPYTHON = ROOT / "tests" / "micropython"


class NoBoard(Exception):
    """Node or its MicroPython is not installed, or the program failed."""


def run_program(folder: Path, name: str, heap: int, **values: object) -> list[str]:
    """The lines that a program of tests/micropython/programs prints; `values` go into the board's board.py."""
    if shutil.which("node") is None or not (_MICROPYTHON / "node_modules").is_dir():
        raise NoBoard("MicroPython under Node is not installed (./run setup)")
    shutil.copytree(ROOT / "device", folder / "device", ignore=shutil.ignore_patterns("*.pyi", "__pycache__"))
    shutil.copy(_MICROPYTHON / "programs" / name, folder / "main.py")
    lines = "".join(f"{key} = {value!r}\n" for key, value in values.items())
    (folder / "board.py").write_text((ROOT / "device" / "board.py").read_text("utf-8") + lines, "utf-8")
    command = ["node", str(_MICROPYTHON / "board.mjs"), str(folder), "--heap", str(heap)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    try:
        return _lines(process)
    finally:
        process.kill()
        process.communicate()


def _lines(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith("# end "):
            if line != "# end 0\n":
                raise NoBoard("\n".join(lines[-10:]))
            return lines
    raise NoBoard("\n".join(["the board went away", *lines[-10:]]))
