"""Fixtures that every test may ask for. The plain functions behind them are in tests/support.py."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests import support

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Without the last four, Chromium calls home at every start.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
]
RUN_MARK = "SHOUWANG_TEST_RUN"


@pytest.fixture(scope="session", autouse=True)
def no_process_left_behind() -> Iterator[None]:
    """Fails the run when a process that a test started outlives it, also one that was handed to init."""
    mark = uuid.uuid4().hex
    os.environ[RUN_MARK] = mark
    yield
    left: list[psutil.Process] = []

    def none_left() -> bool:
        left[:] = _processes_of(mark)
        return not left

    try:
        support.wait_until(none_left, timeout_s=5.0, what="every started process to end")
    except pytest.fail.Exception:
        names = [_describe(process) for process in left]
        _kill(left)
        pytest.fail("left behind:\n  " + "\n  ".join(names), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fails the run when a thread that a test started outlives it: the interpreter would wait for it for ever."""
    yield
    left = _threads_left()
    if left:
        pytest.fail("threads left behind: " + ", ".join(left), pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run although a thread does not; the fixture above has said so."""
    if _lasting_threads():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(pytest.ExitCode.TESTS_FAILED)


def _threads_left() -> list[str]:
    """The threads that an interpreter waits for, some moments after they should have ended."""
    for thread in _lasting_threads():
        thread.join(5.0)
    return [thread.name for thread in _lasting_threads()]


def _lasting_threads() -> list[threading.Thread]:
    me = threading.current_thread()
    return [thread for thread in threading.enumerate() if thread is not me and not thread.daemon]


def _processes_of(mark: str) -> list[psutil.Process]:
    """Our descendants, and whoever else inherited this run's mark: a daemon is nobody's descendant any more."""
    me = psutil.Process()
    descendants = set(me.children(recursive=True))
    return [process for process in psutil.process_iter() if process != me and _belongs(process, descendants, mark)]


def _belongs(process: psutil.Process, descendants: set[psutil.Process], mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process in descendants or process.environ().get(RUN_MARK) == mark
    except psutil.Error:  # gone meanwhile, or another user's
        return False


def _describe(process: psutil.Process) -> str:
    with process.oneshot():
        return f"{process.pid} {' '.join(process.cmdline()) or process.name()}"


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=5.0)


@pytest.fixture
def need() -> Callable[[str, str], str]:
    """`need("node", "why")`: the program's path, or a skip that says so (with CI=true a failure)."""
    return support.need


@pytest.fixture
def wait_until() -> Callable[..., object]:
    """`wait_until(condition, timeout_s=10, what="...")`: the first true answer of `condition`."""
    return support.wait_until


@pytest.fixture
def free_port() -> int:
    """A loopback TCP port that nobody listens on."""
    return support.free_port()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[support.Mosquitto]:
    """A running private broker with host, port, log, stop(), start() and kill()."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    with support.running_mosquitto(folder) as broker:
        yield broker


@pytest.fixture(scope="session")
def micropython() -> support.MicroPython:
    """Real MicroPython that sees device/: `micropython.run(script)` gives what the script prints."""
    return support.MicroPython()


@pytest.fixture(scope="session")
def chinese_font() -> str:
    """The family of a font with Chinese glyphs. Without one a page's texts are boxes, and its layout is another."""
    fc_list = support.need("fc-list", "seeing that a Chinese font is installed")
    listed = subprocess.run([fc_list, ":lang=zh-cn", "family"], capture_output=True, text=True, timeout=30, check=True)
    families = sorted(line for line in listed.stdout.splitlines() if line)
    if not families:
        support.lack("no Chinese font is installed, needed for browser tests (fonts-wqy-microhei; ./run setup)")
    return families[0]


@pytest.fixture(scope="module")
def browser(chinese_font: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """Debian's Chromium, headless, under Playwright.

    For a module and not for the session: Playwright's loop stays the thread's running one as long as it lives, and no
    test after it could use asyncio.run.
    """
    chromium = support.need("chromium", "tests in a real browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=CHROMIUM_FLAGS,
            env={**os.environ, "HOME": str(tmp_path_factory.mktemp("chromium"))},
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A fresh page in a context of its own, desktop size, Chinese. An uncaught script error on it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="zh-CN")
    context.set_default_timeout(15_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, f"uncaught script errors on the page: {errors}"
