"""Each rule of test_architecture.py, shown a tree that breaks it: a gate that cannot fail guards nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import architecture
from tests import test_architecture as rules

LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 61
LONG_DOCSTRING = 'def f():\n    """A\n' + "    line\n" * 70 + '    """\n    return 1\n'


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts the rules before a tree of one file."""

    def holds(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        for module in (architecture, rules):
            monkeypatch.setattr(module, "ROOT", tmp_path)
            monkeypatch.setattr(module, "project_files", lambda: (path,))

    return holds


BREACHES = [
    (lambda: rules.test_arrows_run_left_to_right("edge"), "edge/a.py", "import collector.store"),
    (lambda: rules.test_arrows_run_left_to_right("edge"), "edge/b/a.py", "def f():\n    from collector import store"),
    (lambda: rules.test_arrows_run_left_to_right("collector"), "collector/a.py", "from edge.core import values"),
    (lambda: rules.test_arrows_run_left_to_right("simulators"), "simulators/a.py", "from device.wire import topic"),
    (lambda: rules.test_arrows_run_left_to_right("edge"), "edge/a.py", "import_module('demo.x')"),
    (rules.test_the_core_imports_nothing_of_ours_but_itself, "edge/core/a.py", "from edge import config"),
    (rules.test_the_core_imports_nothing_of_ours_but_itself, "edge/core/a.py", "from ..journal import rows"),
    (rules.test_the_core_imports_nothing_of_ours_but_itself, "edge/core/a.py", "from device import wire"),
    (rules.test_the_core_imports_no_library, "edge/core/a.py", "import pymodbus"),
    (rules.test_what_is_pure_touches_no_clock_no_chance_and_no_machine, "edge/core/a.py", "from time import monotonic"),
    (rules.test_what_is_pure_touches_no_clock_no_chance_and_no_machine, "collector/board.py", "import datetime"),
    (rules.test_what_is_pure_touches_no_clock_no_chance_and_no_machine, "edge/core/a.py", "print(1)"),
    (rules.test_the_device_needs_only_what_micropython_has, "device/a.py", "import dataclasses"),
    (rules.test_sql_stays_in_the_journal_and_the_store, "edge/agent.py", "q = 'SELECT a\\n FROM b'"),
    (rules.test_sql_stays_in_the_journal_and_the_store, "collector/app.py", "q = f'DELETE FROM {1}'"),
    (rules.test_sql_stays_in_the_journal_and_the_store, "collector/app.py", "import sqlite3"),
    (rules.test_what_people_read_comes_from_catalogues, "edge/a.py", "say(f'火警 {1}')"),
    (rules.test_no_file_is_too_long_to_read, "edge/a.py", "x = 1\n" * 401),
    (rules.test_no_function_is_too_long_to_read, "edge/a.py", LONG_FUNCTION),
    (rules.test_no_folder_appears_unplanned, "utils/a.py", ""),
    (rules.test_no_file_names_a_registry_or_one_persons_folder, "docs/a.md", "see /home/" + "wang/x"),
    (rules.test_no_file_names_a_registry_or_one_persons_folder, "docs/a.md", "from files.pythonhosted" + ".org"),
]

ALLOWED = [
    (lambda: rules.test_arrows_run_left_to_right("edge"), "edge/a.py", "from device import wire\nfrom . import b"),
    (rules.test_the_core_imports_nothing_of_ours_but_itself, "edge/core/rules/a.py", "from ..values import Level"),
    (rules.test_the_core_imports_nothing_of_ours_but_itself, "edge/core/a.py", "from edge.core.values import Level"),
    (rules.test_sql_stays_in_the_journal_and_the_store, "edge/journal/rows.py", "q = 'SELECT a FROM b'"),
    (rules.test_sql_stays_in_the_journal_and_the_store, "edge/a.py", "say('update the clock and set it')"),
    (rules.test_what_people_read_comes_from_catalogues, "edge/a.py", "def f():\n    '''首警'''  # 首警"),
    (rules.test_no_function_is_too_long_to_read, "edge/a.py", LONG_DOCSTRING),
    (rules.test_no_file_names_a_registry_or_one_persons_folder, "docs/a.md", "/home/pi/x and network/root/x"),
]


@pytest.mark.parametrize(("rule", "name", "text"), BREACHES)
def test_a_breach_is_found(tree, rule: Callable[[], None], name: str, text: str):
    tree(name, text)
    with pytest.raises(AssertionError):
        rule()


@pytest.mark.parametrize(("rule", "name", "text"), ALLOWED)
def test_what_is_allowed_passes(tree, rule: Callable[[], None], name: str, text: str):
    tree(name, text)
    rule()
