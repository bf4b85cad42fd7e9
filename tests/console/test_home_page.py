"""The page in a real browser, a real console, a real agent and the simulated building: fire, and what dies."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from edge import station
from edge.status import PAGE
from tests.console.home import Home, home_with_console
from tests.console.running import NURSE, PIN
from tests.support import wait_until
from tests.system.running import BUZZER, LATE_S, SMOKE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LATE_MS = int(LATE_S * 1000)
DEAD_NOTES = (988, 494)


@pytest.fixture(scope="module")
def all_of_it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home_with_console(tmp_path_factory.mktemp("h")) as made:
        yield made


@pytest.fixture
def home(all_of_it: Home) -> Home:
    all_of_it.calm()
    return all_of_it


@pytest.fixture
def opened(screen: "Page", home: Home) -> "Page":
    """The page at rest, touched once so that it may sound."""
    screen.goto(home.console.url)
    screen.wait_for_selector("body[data-state=rest]", timeout=LATE_MS)
    screen.click("h1")
    return screen


def test_a_fire_comes_spreads_is_silenced_acknowledged_and_reset(opened: "Page", home: Home) -> None:
    home.building.set({"203.smoke_pct_m": SMOKE})
    opened.wait_for_selector(".lead[data-class=fire]", timeout=LATE_MS)
    assert opened.inner_text(".lead .where") == "二楼203室"
    assert "首警" in opened.inner_text(".lead") and "待确认" in opened.inner_text(".lead")
    home.building.set({"204.smoke_pct_m": SMOKE})
    opened.wait_for_selector(".spread li:has-text('二楼204室')", timeout=LATE_MS)
    opened.wait_for_selector(".badge.confirmed")
    lead = opened.inner_text("#stage")
    for word in ("房内 3 人", "卧床 2 人", "夜班在岗 2 人", "叫醒另一名值班员", "201室"):
        assert word in lead
    assert opened.evaluate("window.notes.length") > 0  # whoever is out of the buzzer's hearing hears the page
    assert opened.evaluate("parseFloat(getComputedStyle(document.querySelector('.lead .where')).fontSize)") >= 96
    opened.click("[data-do=silence]")  # no PIN
    opened.wait_for_selector(".badge:has-text('已消音')", timeout=LATE_MS)
    assert home.gateway.status()["sound"] is None
    opened.click("[data-do=acknowledge]")
    opened.wait_for_selector("#pin[open]")
    opened.check(f"#pin input[value='{NURSE}']")
    for digit in PIN:
        opened.click(f"#pin .key:text-is('{digit}')")
    opened.click("#pin .primary")
    opened.wait_for_selector("#pin", state="hidden")
    opened.wait_for_selector(".badge:has-text('已有人确认')", timeout=LATE_MS)
    assert NURSE in opened.inner_text("#person")
    home.building.set({"203.smoke_pct_m": 0.1, "204.smoke_pct_m": 0.1})
    opened.click("[data-do=reset]")  # signed in already
    opened.wait_for_selector("body[data-state=rest]", timeout=LATE_MS)


def test_it_is_used_by_keyboard_alone(opened: "Page", home: Home) -> None:
    home.building.set({"203.smoke_pct_m": SMOKE})
    opened.wait_for_selector(".lead[data-class=fire]", timeout=LATE_MS)
    for _ in range(12):
        opened.keyboard.press("Tab")
        if opened.evaluate("document.activeElement.dataset.do") == "acknowledge":
            break
    opened.keyboard.press("Enter")
    opened.wait_for_selector("#pin[open]")
    opened.keyboard.type(PIN)
    opened.keyboard.press("Enter")
    opened.wait_for_selector(".badge:has-text('已有人确认')", timeout=LATE_MS)
    opened.click("#person")
    opened.wait_for_selector("#person", state="hidden")


def test_a_killed_agent_is_said_in_the_largest_letters_and_sounds_and_its_last_word_is_not_shown(
    opened: "Page", home: Home
) -> None:
    home.building.set({"203.smoke_pct_m": SMOKE})
    opened.wait_for_selector(".lead[data-class=fire]", timeout=LATE_MS)
    opened.click("[data-do=points]")  # nothing that is open may lie over it
    opened.wait_for_selector("#sheet tbody tr")
    home.gateway.kill()
    opened.wait_for_selector("#dead h2:has-text('网关没有应答')", timeout=LATE_MS)
    assert "203" not in opened.inner_text("body")
    assert opened.evaluate("document.querySelectorAll('dialog[open]').length") == 0
    sizes = """[...document.querySelectorAll('body *')].filter((one) => one.checkVisibility() && one.innerText)
        .map((one) => [parseFloat(getComputedStyle(one).fontSize), one.tagName])"""
    assert max(opened.evaluate(sizes))[1] == "H2"
    wait_until(lambda: set(DEAD_NOTES) <= set(opened.evaluate("window.notes")), what="the page to sound by itself")
    opened.click("#mute-dead")
    opened.wait_for_selector("#mute-dead:has-text('已静音')")
    home.gateway.start()
    opened.wait_for_selector(".lead .where:has-text('二楼203室')", timeout=LATE_MS)  # it stood before the power went
    opened.wait_for_selector("#dead", state="hidden")


def test_a_killed_console_is_said_by_the_page_costs_the_agent_nothing_and_comes_back(
    opened: "Page", home: Home
) -> None:
    home.console.kill()
    opened.wait_for_selector("#dead h2:has-text('本屏幕已断线')", timeout=LATE_MS)
    assert "一切正常" not in opened.inner_text("body")
    since_ns = home.building.set({"203.smoke_pct_m": SMOKE})
    wait_until(lambda: home.building.driven(BUZZER, 1, since_ns), timeout_s=LATE_S, what="the buzzer")
    home.console.start()
    opened.wait_for_selector(".lead .where:has-text('二楼203室')", timeout=LATE_MS)
    opened.wait_for_selector("#dead", state="hidden")
    opened.click("[data-do=silence]")  # with the new console's token
    opened.wait_for_selector(".badge:has-text('已消音')", timeout=LATE_MS)


def test_a_console_that_hangs_and_one_that_floods_delay_no_alarm(home: Home) -> None:
    assert home.console.process is not None
    with contextlib.ExitStack() as stack:
        home.console.process.send_signal(signal.SIGSTOP)
        stack.callback(home.console.process.send_signal, signal.SIGCONT)
        for _ in range(6):
            flood = stack.enter_context(socket.socket(socket.AF_UNIX))
            flood.connect(str(home.gateway.data / "agent.sock"))
            flood.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(2_000):
                    flood.send(b'{"do": "status"}\n')  # and never reads an answer
        since_ns = home.building.set({"203.smoke_pct_m": SMOKE})
        wait_until(lambda: home.building.driven(BUZZER, 1, since_ns), timeout_s=LATE_S, what="the buzzer")
        began_s = time.monotonic()
        home.gateway.operate("silence", "李护士")
        assert time.monotonic() - began_s < LATE_S


def test_a_browser_that_was_there_first_finds_the_console_when_it_comes(browser: "Browser", home: Home) -> None:
    home.console.end()
    page = browser.new_page()
    with contextlib.suppress(Exception):
        page.goto(home.console.url)
    home.console.start()
    # Chromium tries a page again by itself where the connection was refused.
    page.wait_for_selector("body[data-state=rest]", timeout=3 * LATE_MS)
    page.close()


def test_the_pages_of_the_real_agent_are_its_status(home: Home) -> None:
    whole = home.gateway.status()["points"]
    first = station.ask(home.gateway.data, {"do": "page", "from": 0})
    last = station.ask(home.gateway.data, {"do": "page", "from": len(whole) - 1})
    codes = [point["code"] for point in whole]
    assert [point["code"] for point in first["points"]] == codes[:PAGE]
    assert [point["code"] for point in last["points"]] == codes[-1:]
    assert first["point_count"] == last["point_count"] == len(codes)
    for wrong in (-1, "0", None, True):
        with pytest.raises(station.StationError):
            station.ask(home.gateway.data, {"do": "page", "from": wrong})
