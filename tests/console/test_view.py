"""What the page is given: sorted, joined with the home's rooms, and never surer than the agent was."""

from copy import deepcopy
from typing import Any

import pytest

from edge.console import site as sites
from edge.console import view

SITE = sites.parse(
    {
        "home": {"code": "h01", "name": "和平里养老院"},
        "gateway": {"code": "g1", "data": "/var/lib/shouwang", "rules": "cn-2026"},
        "zone": [
            {"code": "f1", "name": "一楼"},
            {"code": "f2", "name": "二楼", "instructions": ["叫醒另一名值班员"]},
        ],
        "room": [
            {"zone": "f2", "name": "201室", "residents": 2, "bed_bound": 1},
            {"zone": "f2", "name": "203室", "residents": 3},
            {"zone": "f2", "name": "204室", "residents": 2},
            {"zone": "f1", "name": "101室", "residents": 4},
        ],
    },
    "gateway.toml",
)


def point(code: str, **more: Any) -> dict[str, Any]:
    plain = {"zone": "f2", "place": f"二楼{code[-3:]}室", "kind": "smoke", "level": "normal", "unknown": None}
    rest = {"value": 0, "unit": "", "scale": 0, "age_ms": 5, "proven_age_ms": None, "supervised": False}
    return {"code": code, **plain, **rest, **more}


def active(condition: str, subject: str, order: int = 0, **more: Any) -> dict[str, Any]:
    return {"class": condition, "zone": "f2", "point": subject, "order": order, "raised_age_ms": 900, **more}


POINTS = [point("smoke-203"), point("smoke-204"), point("mains", zone="f1", kind="mains", place="配电间")]
STATUS = {"home": "h01", "points": POINTS, "active": [], "simulated": False, "listening": True, "clock_ok": True}


def panel(*conditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return view.panel({**deepcopy(STATUS), "active": list(conditions), **more}, SITE)


def test_the_worst_comes_first_and_in_it_the_first_up() -> None:
    shown = panel(
        active("early_warning", "mains"), active("fire", "smoke-204", 2), active("fault", "gw-link"),
        active("electrical", "mains"), active("fire", "smoke-203", 1),
    )  # fmt: skip
    assert [(item["class"], item["point"]) for item in shown["alarms"]] == [
        *(("fire", "smoke-203"), ("fire", "smoke-204"), ("electrical", "mains"), ("early_warning", "mains")),
    ]
    assert [item["point"] for item in shown["faults"]] == ["gw-link"]


def test_a_zone_in_alarm_says_what_to_do_and_who_sleeps_there_the_room_in_alarm_first() -> None:
    (guide,) = panel(active("fire", "smoke-203", 1))["guides"]
    assert guide["instructions"] == ["叫醒另一名值班员"]
    assert [(room["name"], room["points"]) for room in guide["rooms"]] == [
        ("203室", ["smoke-203"]), ("201室", []), ("204室", []),
    ]  # fmt: skip
    assert (guide["residents"], guide["bed_bound"]) == (7, 1)


def test_what_the_agent_does_not_say_is_unknown_and_not_well() -> None:
    shown = view.panel({"points": deepcopy(POINTS), "active": []}, SITE)
    assert shown["lamps"] == {"supply": "well", "link": "unknown"}
    assert shown["clock_ok"] is None
    assert shown["simulated"] is True  # nobody said that it is real
    assert shown["home"] == "和平里养老院"


@pytest.mark.parametrize(("listening", "lamp"), [(True, "well"), (False, "bad"), (None, "unknown"), (0, "unknown")])
def test_the_lamp_of_the_link(listening: Any, lamp: str) -> None:
    assert panel(listening=listening)["lamps"]["link"] == (lamp if listening != 0 or listening is False else "bad")


def test_the_lamp_of_the_supply() -> None:
    assert panel(active("fault", "mains"))["lamps"]["supply"] == "bad"
    assert panel(points=[point("mains", kind="mains", unknown="timeout")])["lamps"]["supply"] == "unknown"
    assert panel(points=[point("smoke-203")])["lamps"]["supply"] == "none"


def test_a_class_of_tomorrow_is_not_hidden_behind_those_of_today() -> None:
    assert panel(active("flood", "smoke-203"), active("fault", "gw-link"))["alarms"][0]["class"] == "flood"


def test_the_gateways_own_parts_are_no_points_of_the_installer() -> None:
    own = point("gw-disk", zone="gateway", place="gw-disk", kind="gateway")
    shown = view.panel({**STATUS, "points": [*POINTS, own], "active": [active("fault", "gw-disk")]}, SITE)
    assert shown["counts"]["points"] == 3
    assert shown["faults"][0]["place"] == ""  # the catalogue has the words
    assert [item["code"] for item in view.points_table({**STATUS, "points": [*POINTS, own]}, SITE)] == [
        *("smoke-203", "smoke-204", "mains"),
    ]


def test_what_is_disabled_and_tested_says_by_whom_and_until_when() -> None:
    off = point("smoke-203", disabled={"who": "李护士 (shouwang)", "why": "施工动火", "remaining_ms": 60_000})
    test = {"zone": "f2", "who": "陈师傅", "remaining_ms": 5, "unproven": ["smoke-204", "gone"]}
    shown = view.panel({**STATUS, "points": [off, POINTS[1]], "tests": [test]}, SITE)
    assert shown["disabled"] == [
        {
            "point": "smoke-203",
            "place": "二楼203室",
            "zone_name": "二楼",
            "who": "李护士",
            "why": "施工动火",
            "remaining_ms": 60_000,
        }
    ]
    assert shown["tests"][0]["unproven"] == ["二楼204室"]


@pytest.mark.parametrize(
    ("minute", "night"),
    [(None, True), (20 * 60, True), (19 * 60 + 59, False), (0, True), (7 * 60 - 1, True), (7 * 60, False)],
)
def test_it_is_night_by_the_clock_or_where_the_clock_is_not_trusted(minute: int | None, night: bool) -> None:
    assert view.is_night(minute, "20:00", "07:00") is night


def test_a_night_within_one_day() -> None:
    assert view.is_night(60, "00:00", "06:00") and not view.is_night(600, "00:00", "06:00")
