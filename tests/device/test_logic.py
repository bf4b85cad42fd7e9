"""The tests of logic/ once more, in real MicroPython: the same `unittest` cases over the same modules."""

from pathlib import Path

from tests.support import ROOT, MicroPython

FOLDER = Path(__file__).parent
CASES = sorted((FOLDER / "logic").glob("test_*.py"))

SCRIPT = """
import unittest
failed = run = 0
for name in NAMES:
    module = __import__(name)
    suite = unittest.TestSuite(name)
    for item in dir(module):
        case = getattr(module, item)
        if isinstance(case, type) and issubclass(case, unittest.TestCase):
            suite.addTest(case)
    result = unittest.TestRunner().run(suite)
    failed += result.failuresNum + result.errorsNum
    run += result.testsRun
print("run", run)
raise SystemExit(1 if failed else 0)
"""


def test_every_case_holds_in_micropython(micropython: MicroPython):
    files = {path.name: str(path) for path in CASES}
    files["tests/device/fakes.py"] = str(FOLDER / "fakes.py")
    names = [path.stem for path in CASES]
    printed = micropython.run(f"NAMES = {names!r}\n{SCRIPT}", files)
    written = sum(path.read_text("utf-8").count("    def test_") for path in CASES)
    assert written > 80
    assert printed.endswith(f"run {written}\n"), printed


def test_the_cases_are_all_of_the_product():
    """Each module with logic of its own has its cases."""
    tested = {path.stem.removeprefix("test_") for path in CASES}
    logic = {path.stem for path in (ROOT / "device").glob("*.py")} - {"__init__", "board", "main", "wire", "node_wire"}
    by_other_cases = {"link", "start"}  # those of node and of update
    assert logic - tested == by_other_cases | {"stream"}, "test_stream.py has sockets of its own"
