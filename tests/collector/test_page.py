"""The board page in a real browser: it updates by itself, says when it no longer does, sounds, and fits its screens."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import support
from tests.collector.gateway import LineGateway
from tests.collector.running import NAME, PASSWORD, Collector, collector
from tests.support import Mosquitto, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOMES = 22


class District:
    """A collector, its broker, and one line that speaks for all homes."""

    def __init__(self, made: Collector, broker: Mosquitto) -> None:
        self.collector = made
        self.broker = broker
        self.line = LineGateway(broker.host, broker.port)
        self.homes = {f"h{number:02}": f"第{number}养老院" for number in range(1, HOMES + 1)}

    def speak(self, code: str) -> LineGateway:
        """The line as the gateway of one home, its journal begun anew."""
        line = self.line
        line.home, line.name, line.journal = code, self.homes[code], f"journal-{code}-{line.mono_ms}"
        line.seq, line.head = 0, "0" * 64
        line.active.clear()
        line.send_state()
        return line

    def all_normal(self) -> None:
        for code in self.homes:
            self.speak(code).send_points()


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Iterator[District]:
    folder = tmp_path_factory.mktemp("page")
    with support.running_mosquitto(folder) as broker:
        address = f"{broker.host}:{broker.port}"
        with collector(folder / "data", "--mqtt", address, account=True) as made:
            district = District(made, broker)
            yield district
            district.line.close()


@pytest.fixture
def board(page: "Page", district: District) -> "Page":
    """The board of a district at peace, after a log-in as a person does it."""
    district.all_normal()
    _log_in(page, district)
    wait_until(lambda: page.locator(".tile[data-class=normal]").count() == HOMES, what="a district at peace")
    return page


def test_a_fire_comes_and_goes_on_the_page_by_itself(board: "Page", district: District) -> None:
    assert "当前无报警" in board.inner_text("#alarms")
    line = district.speak("h05")
    line.send_event("raise", "fire", "smoke-203", order=1)
    board.wait_for_selector(".lead[data-class=fire]")
    line.send_event("raise", "fire", "smoke-204", order=2)
    line.send_event("confirm", "fire", zone="f2")
    board.wait_for_selector(".lead .spread li")
    board.wait_for_selector("text=已确认")
    lead = board.inner_text(".lead")
    for word in ("火警", "首警", "二楼203室", "二楼204室", "第5养老院", "二楼", "感烟"):
        assert word in lead
    tile = board.inner_text(".tile[data-home=h05]")
    assert "火警" in tile and "二楼203室" in tile
    line.send_event("clear", "fire", "smoke-203")
    line.send_event("clear", "fire", "smoke-204")
    board.wait_for_selector(".quiet")
    board.wait_for_selector(".tile[data-home=h05][data-class=normal]")


def test_english(board: "Page", district: District) -> None:
    board.click("#language")
    board.wait_for_selector(f".tile:nth-child({HOMES})")
    assert board.get_attribute("html", "lang") == "en"
    district.speak("h03").send_event("raise", "electrical", "leak-k", value=342)
    board.wait_for_selector(".lead[data-class=electrical]")
    text = board.inner_text("body")
    for word in ("Electrical", "342 mA", "Normal", "Mark as seen", "Shouwang"):
        assert word in text
    for word in ("电气报警", "正常", "知悉"):
        assert word not in text
    district.line.send_event("clear", "electrical", "leak-k")
    board.click("#language")
    board.wait_for_selector("text=正常")


def test_sound_repeats_until_a_person_has_seen_the_alarm(board: "Page", district: District) -> None:
    board.evaluate("""() => {
        window.started = [];
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (at) { window.started.push(at); return start.call(this, at); };
    }""")
    board.click("h1")  # a browser lets a page sound only after a gesture
    assert not board.is_visible("#sound-blocked")
    line = district.speak("h07")
    line.send_event("raise", "fire", "smoke-203", order=1)
    wait_until(lambda: board.evaluate("window.started.length") > 8, what="more than two rounds of four notes")
    board.click("#mute")
    board.wait_for_selector("#muted:visible")
    line.send_event("raise", "fire", "smoke-204", order=2)
    board.wait_for_selector("#muted", state="hidden")  # muting never covers a new alarm
    board.click(".lead .seen")
    board.wait_for_selector(f".seen-by:has-text('{NAME}')")
    count = board.evaluate("window.started.length")
    board.wait_for_timeout(3_000)  # longer than a round: nothing may follow
    assert board.evaluate("window.started.length") == count
    with district.collector.client() as client:
        events = client.get("/api/v1/events", params={"home": "h07"}).json()["events"]
    assert [event["who"] for event in events if event["kind"] == "seen"] == [NAME, NAME]


def test_a_blocked_sound_is_said_in_red(browser: "Browser", district: District) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.add_init_script("""Object.defineProperty(AudioContext.prototype, "state", { get: () => "suspended" })""")
    _log_in(page, district)
    page.wait_for_selector("#sound-blocked:visible")
    assert "允许" in page.inner_text("#sound-blocked")
    context.close()


def test_the_page_says_when_the_line_is_lost_and_goes_on_by_itself(
    page: "Page", tmp_path: Path, mosquitto: Mosquitto
) -> None:
    arguments = ("--mqtt", f"{mosquitto.host}:{mosquitto.port}", "--open-read")
    with collector(tmp_path / "data", *arguments) as made:
        line = LineGateway(mosquitto.host, mosquitto.port)
        line.send_points()
        line.send_state()
        page.goto(made.url + "/")
        page.wait_for_selector(".tile[data-class=normal]")
        assert not page.is_visible("#line-lost")
        made.kill()
        page.wait_for_selector("#line-lost:visible", timeout=20_000)
        assert page.get_attribute("#lamp", "data-line") == "down"
        made.start()
        wait_until(lambda: made.board()["line"]["mqtt"] == "up", what="the line to the broker")
        line.send_event("raise", "fire", "smoke-203")
        line.send_state()
        page.wait_for_selector(".lead[data-class=fire]", timeout=20_000)
        page.wait_for_selector("#line-lost", state="hidden")
        assert "登录后知悉" in page.inner_text(".lead")  # an open board shows, and only a named person acts
        line.close()


def test_a_lost_broker_is_said(board: "Page", district: District) -> None:
    district.broker.stop()
    board.wait_for_selector("#server-line:visible")
    assert "消息总线" in board.inner_text("#server-line")
    district.broker.start()
    board.wait_for_selector("#server-line", state="hidden", timeout=30_000)


def test_a_home_opens_with_its_points_and_its_latest_entries(board: "Page", district: District) -> None:
    line = district.speak("h09")
    line.send_event("raise", "fault", "ext-2", unknown="sensor_broken")
    line.send_readings(("leak-k", 12, None), ("ext-2", 1_250, None), ("smoke-204", None, "nack"))
    board.wait_for_selector(".tile[data-home=h09][data-class=fault]")
    board.click(".tile[data-home=h09]")
    board.wait_for_selector(".sheet")
    sheet = board.inner_text(".sheet")
    for word in ("第9养老院", "故障", "12 mA", "1.25 MPa", "无应答", "厨房回路", "发生"):
        assert word in sheet
    board.keyboard.press("Escape")
    board.wait_for_selector(".sheet", state="hidden")


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1440, 900), (390, 844)])
def test_it_fits_its_screen(board: "Page", district: District, width: int, height: int) -> None:
    district.speak("h02").send_event("raise", "fire", "smoke-203", order=1)
    district.speak("h04").send_event("raise", "electrical", "leak-k", value=342)
    board.set_viewport_size({"width": width, "height": height})
    board.wait_for_selector(".lead[data-class=fire]")
    board.wait_for_selector(".other[data-class=electrical]")
    size = board.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size[0] <= width
    if width >= 1440:
        assert size[1] <= height
    if width == 1920:
        style = "parseFloat(getComputedStyle(document.querySelector('.lead .where')).fontSize)"
        assert board.evaluate(style) >= 48
    clipped = board.evaluate("""() => [...document.querySelectorAll('.tile .head, .lead, .counts li')]
        .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.className)""")
    assert clipped == []


def test_a_storm_leaves_the_homes_in_sight_and_a_button_stays_under_the_finger(
    board: "Page", district: District
) -> None:
    board.set_viewport_size({"width": 1920, "height": 1080})
    line = district.speak("h11")
    line.send_event("raise", "fire", "smoke-203", order=1)
    board.wait_for_selector(".lead .seen")
    button = board.query_selector(".lead .seen")
    assert button is not None
    district.speak("h12").send_readings(("leak-k", 5, None))  # another home's news
    district.line.send_event("raise", "fault", "ext-2")
    board.wait_for_selector(".tile[data-home=h12][data-class=fault]")
    assert button.evaluate("button => button.isConnected")
    line = district.speak("h11")
    for number in range(1, 31):
        line.send_event("raise", "fire", f"smoke-{number}", order=number, zone="f2")
    for code in list(district.homes)[12:]:
        district.speak(code).send_event("raise", "electrical", "leak-k", value=400)
    board.wait_for_selector(".spread .more")
    wait_until(lambda: board.locator(".other").count() >= 10, what="the other homes' alarms")
    assert "另有 19 处" in board.inner_text(".spread")
    assert board.evaluate("document.documentElement.scrollHeight") <= 1080
    for code in list(district.homes)[10:]:
        district.speak(code)


def test_what_a_home_calls_itself_is_never_markup(board: "Page", district: District) -> None:
    line = district.speak("h06")
    line.send_points(name="<img src=x onerror=alert(1)>")
    board.wait_for_selector(".tile[data-home=h06]:has-text('<img src=x')")
    assert board.locator(".tile img").count() == 0
    line.send_points()


def _log_in(page: "Page", district: District) -> None:
    page.goto(district.collector.url + "/")
    page.fill("input[name=name]", NAME)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector(".tile")
