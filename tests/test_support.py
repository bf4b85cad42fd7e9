"""The rules that every other test leans on: when it is skipped, when it fails, how it waits."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import support


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception), (None, pytest.skip.Exception)]
)
def test_a_missing_tool_skips_and_in_ci_fails(monkeypatch: pytest.MonkeyPatch, ci: str | None, outcome):
    if ci is None:
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=r"no-such-tool is not installed, needed for a reason"):
        support.need("no-such-tool", "a reason")


def test_a_tool_that_is_there_is_found():
    assert support.need("sh", "this test").endswith("/sh")


def test_waiting_gives_the_first_true_answer():
    answers = iter([0, "", None, 7])
    assert support.wait_until(lambda: next(answers)) == 7


def test_waiting_in_vain_fails_and_says_for_what():
    begin = time.monotonic()
    with pytest.raises(pytest.fail.Exception, match=r"0\.05 s in vain for the moon"):
        support.wait_until(lambda: False, timeout_s=0.05, what="the moon")
    assert time.monotonic() - begin >= 0.05


def test_a_broker_keeps_its_port_over_stop_and_kill(mosquitto: support.Mosquitto):
    port = mosquitto.port
    assert support.accepts(port)
    mosquitto.stop()
    assert not support.accepts(port)
    mosquitto.start()
    mosquitto.kill()
    assert not support.accepts(port)
    mosquitto.start()
    assert mosquitto.port == port


def test_the_browser_shows_chinese(page):
    page.set_content("<h1>守望</h1>")
    assert page.inner_text("h1") == "守望"


def test_a_thread_that_does_not_end_fails_the_run_and_does_not_hang_it(tmp_path: Path):
    leaky = tmp_path / "test_leaky.py"
    leaky.write_text(
        "import threading\n"
        "def test_it():\n"
        "    threading.Thread(target=threading.Event().wait, name='forgotten').start()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "--rootdir", str(tmp_path), str(leaky)]
    done = subprocess.run(command, cwd=support.ROOT, capture_output=True, text=True, timeout=60)
    assert "1 passed, 1 error" in done.stdout
    assert "threads left behind: forgotten" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
