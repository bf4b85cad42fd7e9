"""How the page looks and behaves with whatever an agent may say: sizes, storms, names that look like markup."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.running import STATUS, Console, FakeAgent, console_with_fake_agent

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LATE_MS = 20_000
SIZES = [(1920, 1080), (1024, 768), (390, 844)]
ROOMS = "".join(
    f'\n[[room]]\nzone = "f2"\nname = "2{n:02}室"\nresidents = 2\nbed_bound = {n % 3}\n' for n in range(1, 13)
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Console, FakeAgent]]:
    with console_with_fake_agent(tmp_path_factory.mktemp("p"), ROOMS) as made:
        yield made


@pytest.fixture
def agent(both: tuple[Console, FakeAgent]) -> FakeAgent:
    both[1].status = dict(STATUS)
    return both[1]


@pytest.fixture
def opened(screen: "Page", both: tuple[Console, FakeAgent], agent: FakeAgent) -> "Page":
    screen.goto(both[0].url)
    screen.wait_for_selector(".headline", timeout=LATE_MS)
    return screen


def condition(name: str, subject: str, order: int = 0, **more: Any) -> dict[str, Any]:
    plain = {"acknowledged": False, "silenced": False, "confirmed": False, "raised_age_ms": 83_000}
    return {"class": name, "zone": "f2", "point": subject, "order": order, **plain, **more}


def points(count: int, place: str = "二楼{n}室") -> list[dict[str, Any]]:
    return [{**STATUS["points"][0], "code": f"p{n}", "place": place.format(n=n)} for n in range(count)]


def storm() -> dict[str, Any]:
    """Everything at once: a fire that has spread through a floor, warnings, faults, a duty check."""
    return {
        "points": points(60),
        "active": [condition("fire", f"p{n}", n + 1) for n in range(30)]
        + [condition("electrical", "p40", value=342, unit="mA", scale=0), condition("early_warning", "p41")]
        + [condition("fault", f"p{n}") for n in range(42, 60)],
        "ask": {"id": "a1", "text": "请值班员应答", "remaining_ms": 60_000},
        "sound": "fire",
    }


def many_faults() -> dict[str, Any]:
    off = {"who": "李护士", "why": "施工动火", "remaining_ms": 3_600_000}
    return {
        "points": [{**point, "disabled": off if n < 6 else None} for n, point in enumerate(points(60))],
        "active": [condition("fault", f"p{n}") for n in range(40)] + [condition("fault", "meters/7")],
        "tests": [{"zone": "f2", "who": "陈师傅", "remaining_ms": 600_000, "unproven": [f"p{n}" for n in range(20)]}],
        "listening": False,
        "clock_ok": False,
    }


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("what", [storm, many_faults])
def test_nothing_is_cut_off_and_every_button_is_big_enough_for_a_finger(
    opened: "Page", agent: FakeAgent, what: Any, width: int, height: int
) -> None:
    opened.set_viewport_size({"width": width, "height": height})
    agent.status = {**STATUS, **what()}
    opened.wait_for_selector(".lead" if what is storm else ".card[data-class=fault] li", timeout=LATE_MS)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("document.documentElement.scrollHeight") <= height
    wide = """[...document.querySelectorAll('#stage *, .actions *, .top *')].filter((one) => one.checkVisibility()
        && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.className || one.tagName)"""
    assert opened.evaluate(wide) == []
    small = """[...document.querySelectorAll('button, a')].filter((one) => one.checkVisibility())
        .map((one) => [one.getBoundingClientRect(), one.innerText])
        .filter(([box]) => box.height < 43.5 || box.width < 43.5).map(([box, text]) => text)"""
    assert opened.evaluate(small) == []
    if what is storm:
        where = "document.querySelector('.lead .where')"
        assert opened.evaluate(f"{where}.getBoundingClientRect().bottom") < height / 2
        least = {1920: 96, 1024: 72, 390: 42}[width]
        assert opened.evaluate(f"parseFloat(getComputedStyle({where}).fontSize)") >= least


def test_the_longest_place_is_shown_whole(opened: "Page", agent: FakeAgent) -> None:
    place = "综合楼东侧三层护理单元二区走廊尽头被服库房内靠窗一侧顶棚中部检修口旁第二个探测器"[:40]
    agent.status = {**STATUS, "points": points(1, place), "active": [condition("fire", "p0", 1)]}
    opened.wait_for_selector(".lead", timeout=LATE_MS)
    where = opened.locator(".lead .where")
    assert where.inner_text() == place
    assert where.evaluate("one => parseFloat(getComputedStyle(one).fontSize)") >= 96
    assert where.evaluate("one => one.scrollWidth <= one.clientWidth + 1")


def test_a_duty_check_waits_behind_fire(opened: "Page", agent: FakeAgent) -> None:
    ask = {"id": "a1", "text": "请值班员应答", "remaining_ms": 60_000}
    agent.status = {**STATUS, "ask": ask}
    opened.wait_for_selector("#ask:has-text('请值班员应答')", timeout=LATE_MS)
    agent.status = {**STATUS, "ask": ask, "active": [condition("fire", "smoke-203", 1)]}
    opened.wait_for_selector(".lead", timeout=LATE_MS)
    assert opened.is_hidden("#ask")


def test_what_is_not_known_is_not_called_normal(opened: "Page", agent: FakeAgent) -> None:
    assert opened.inner_text(".headline h2") == "一切正常"
    agent.status = {**STATUS, "points": [{**STATUS["points"][0], "unknown": "not_polled", "value": None}]}
    opened.wait_for_selector(".headline[data-class=fault]", timeout=LATE_MS)
    text = opened.inner_text(".headline")
    assert "一切正常" not in text and "1 个点位情况未知" in text


def test_an_alarm_closes_what_lies_over_it(opened: "Page", agent: FakeAgent) -> None:
    opened.click("[data-do=points]")
    opened.wait_for_selector("#sheet tbody tr")
    agent.status = {**STATUS, "active": [condition("fire", "smoke-203", 1)]}
    opened.wait_for_selector(".lead", timeout=LATE_MS)
    opened.wait_for_selector("#sheet", state="hidden")


def test_disabling_asks_for_how_long_and_why_and_by_whom(opened: "Page", agent: FakeAgent) -> None:
    agent.asked.clear()
    opened.click("[data-do=points]")
    opened.click("#sheet tr[data-point=smoke-203] button")
    opened.check("#form input[value='60']")
    opened.check("#form input[value='维修']")
    opened.click("#form .primary")
    opened.wait_for_selector("#pin[open]")
    opened.keyboard.type("482915")
    opened.keyboard.press("Enter")
    opened.wait_for_selector("#toast:has-text('已屏蔽')", timeout=LATE_MS)
    (asked,) = agent.operations()
    assert (asked["do"], asked["subject"], asked["for_ms"], asked["why"]) == ("disable", "smoke-203", 3_600_000, "维修")
    assert asked["who"] == "李护士" and not asked["confirmed"]


def test_names_are_never_markup(opened: "Page", agent: FakeAgent) -> None:
    evil = "<img src=x onerror=alert(1)>"
    agent.status = {**STATUS, "home_name": evil, "points": points(1, evil), "active": [condition("fire", "p0", 1)]}
    opened.wait_for_selector(".lead", timeout=LATE_MS)
    assert opened.inner_text(".lead .where") == evil
    assert opened.locator("img").count() == 0


def test_english(opened: "Page", agent: FakeAgent) -> None:
    opened.click("#language")
    opened.wait_for_selector(".headline h2:has-text('All normal')", timeout=LATE_MS)
    assert opened.get_attribute("html", "lang") == "en"
    agent.status = {**STATUS, **storm()}
    opened.wait_for_selector(".lead:has-text('First-up')", timeout=LATE_MS)
    assert "SIMULATED" in opened.inner_text(".top")
    opened.click("#language")


def test_a_blocked_sound_is_said_in_red(browser: "Browser", both: tuple[Console, FakeAgent]) -> None:
    page = browser.new_page()
    page.add_init_script("""Object.defineProperty(AudioContext.prototype, "state", { get: () => "suspended" })""")
    page.goto(both[0].url)
    page.wait_for_selector("#sound-blocked:visible")
    assert "未允许发声" in page.inner_text("#sound-blocked")
    page.close()
