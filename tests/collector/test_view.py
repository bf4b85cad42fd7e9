"""What the board says at a moment: freshness, the worst class, ages."""

import json

import pytest

from collector import models, view
from collector.board import Board, fold_all
from collector.detail import home_detail
from collector.ownlog import OwnEvent, OwnKind
from collector.records import (
    EventSeen,
    Heard,
    HomeNamed,
    LinkSeen,
    OwnSeen,
    PointsSeen,
    ReadingsSeen,
    Record,
    StateSeen,
)
from collector.view import Moment
from device import wire
from tests.collector.gateway import WALL_MS, Script

KEY = ("h01", "g1")
SILENT_MS = 65_000


def at(mono_ms: int, listening_ms: int | None = 0) -> Moment:
    return Moment(WALL_MS + mono_ms, mono_ms, listening_ms, SILENT_MS)


def state(script: Script, is_live: bool = True, **more: object) -> StateSeen:
    return StateSeen(*KEY, 1, 1, script.state(**more), WALL_MS, is_live)


def board(*records: Record) -> Board:
    return fold_all(Board(), records)


def tile(records: list[Record], now: Moment) -> view.Json:
    return view.home_view(board(*records), "h01", now)


def own(kind: OwnKind, at_ms: int = WALL_MS) -> OwnSeen:
    return OwnSeen(OwnEvent("own", 1, "boot", at_ms, 0, kind, *KEY))


LIVE: list[Record] = [state(Script()), Heard(*KEY, 10_000)]
FRESHNESS: list[tuple[str, list[Record], Moment, str, str]] = [
    ("only registered", [HomeNamed("h01", "甲")], at(500_000), "unheard", "unheard"),
    ("heard just now", LIVE, at(11_000), "heard", "normal"),
    ("at the limit", LIVE, at(10_000 + SILENT_MS), "heard", "normal"),
    ("beyond the limit", LIVE, at(10_001 + SILENT_MS), "silent", "silent"),
    ("a state from the store, before anything was heard", [state(Script(), False)], at(5_000), "unheard", "unheard"),
    ("a state kept by the broker counts for nothing", [state(Script(), False), LinkSeen(*KEY, 1, "up")], at(5_000),
     "unheard", "unheard"),
    ("not heard since the start, for too long", [state(Script(), False)], at(1 + SILENT_MS), "silent", "silent"),
    ("heard, but no state yet", [Heard(*KEY, 10_000)], at(11_000), "unheard", "unheard"),
    ("our own line is down: nobody is accused", LIVE, at(500_000, None), "unheard", "unheard"),
    ("our own line has just gone", LIVE, at(11_000, None), "heard", "normal"),
    ("our own line has just come back", LIVE, at(500_000, 499_000), "heard", "normal"),
    ("noted as silent, not yet as back", [*LIVE, own(OwnKind.SILENT)], at(11_000), "silent", "silent"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "records", "now", "fresh", "worst"), FRESHNESS, ids=[row[0] for row in FRESHNESS])
def test_freshness(what: str, records: list[Record], now: Moment, fresh: str, worst: str) -> None:
    found = tile(records, now)
    assert (found["freshness"], found["class"]) == (fresh, worst)


@pytest.mark.parametrize(
    ("records", "now", "expected"),
    [
        (LIVE, at(11_000), None),
        (LIVE, at(10_001 + SILENT_MS), OwnKind.SILENT),
        (LIVE, at(10_001 + SILENT_MS, None), None),
        ([*LIVE, own(OwnKind.SILENT)], at(10_001 + SILENT_MS), None),
        ([*LIVE, own(OwnKind.SILENT)], at(11_000), OwnKind.BACK),
        ([state(Script(), False), own(OwnKind.SILENT)], at(11_000), None),
    ],
)
def test_silence_is_noted_once_and_so_is_the_return(
    records: list[Record], now: Moment, expected: OwnKind | None
) -> None:
    assert view.silence_change(board(*records).gateways[KEY], now) == expected


@pytest.mark.parametrize(
    ("conditions", "worst"),
    [
        (["fault", "fire"], "fire"),
        (["early_warning", "electrical"], "electrical"),
        (["fault", "supervisory"], "supervisory"),
        (["test"], "test"),
        (["a_class_of_a_later_version"], "fault"),
    ],
)
def test_a_home_is_as_bad_as_its_worst_condition(conditions: list[str], worst: str) -> None:
    script = Script()
    for name in conditions:
        script.event("raise", name, "smoke-203")
    assert tile([state(script), Heard(*KEY, 0)], at(1_000))["class"] == worst


def test_a_fire_outranks_silence_and_both_are_shown() -> None:
    script = Script()
    script.event("raise", "fire", "smoke-203")
    found = tile([state(script), Heard(*KEY, 0)], at(500_000))
    assert (found["class"], found["freshness"]) == ("fire", "silent")


def test_a_disabled_point_is_never_normal() -> None:
    assert tile([state(Script(), disabled=("smoke-203",)), Heard(*KEY, 0)], at(1_000))["class"] == "disabled"


def test_a_duplicate_gateway_is_a_fault_for_a_day() -> None:
    noted: list[Record] = [*LIVE, own(OwnKind.DUPLICATE)]
    assert tile(noted, at(11_000))["class"] == "fault"
    assert tile(noted, at(view.NOTICE_FOR_MS)._replace(mono_ms=11_000))["class"] == "normal"


# --- ages -----------------------------------------------------------------------------------------------------------


def alarm(script: Script, now: Moment, *more: Record, clock_ok: bool = True) -> view.Json:
    payload = script.event("raise", "fire", "smoke-203", clock_ok=clock_ok, order=1)
    raised = EventSeen(*KEY, 1, wire.decode_event(payload), WALL_MS + 9_000)
    found: view.Json = view.board_view(board(state(script), PointsSeen(*KEY, 1, script.points()), raised, *more), now)
    first: view.Json = found["alarms"][0]
    return first


def test_an_age_in_the_same_boot_needs_no_wall_clock() -> None:
    script = Script()  # its event comes at mono 1,100 of the gateway
    heard = [Heard(*KEY, 50_000, script.boot, 2_000), Heard(*KEY, 60_500, script.boot, 12_000)]  # the second came late
    now = at(70_000)._replace(wall_ms=5)
    assert alarm(script, now, *heard)["age_ms"] == 70_000 - 1_100 - 48_000


@pytest.mark.parametrize(("clock_ok", "age_ms"), [(True, 20_000 - 1_100), (False, 20_000 - 9_000)])
def test_an_age_of_another_boot_takes_the_gateway_s_clock_only_where_it_trusted_it(clock_ok: bool, age_ms: int) -> None:
    assert alarm(Script(), at(20_000), Heard(*KEY, 1, "boot-0002", 1), clock_ok=clock_ok)["age_ms"] == age_ms


def test_an_alarm_says_place_and_zone_in_words() -> None:
    found = alarm(Script(), at(20_000))
    assert (found["place"], found["zone_name"], found["order"], found["sound"]) == ("二楼203室", "二楼", 1, True)


def test_alarms_stand_worst_first_and_each_home_together_in_its_order_of_spread() -> None:
    records: list[Record] = []
    for home, condition, point, received in (
        ("h02", "fire", "a", 5), ("h01", "electrical", "b", 1), ("h03", "fire", "c", 2), ("h02", "fire", "d", 1),
    ):  # fmt: skip
        script = Script(home=home, journal=f"journal-{point}")
        event = wire.decode_event(script.event("raise", condition, point))
        records.append(EventSeen(home, point, 1, event, received))
    found = view.board_view(board(*records), at(0))["alarms"]
    assert [(item["home"], item["class"]) for item in found] == [
        ("h02", "fire"), ("h02", "fire"), ("h03", "fire"), ("h01", "electrical"),
    ]  # fmt: skip


# --- shapes ---------------------------------------------------------------------------------------------------------


def full_board() -> Board:
    script = Script()
    raised = wire.decode_event(script.event("raise", "fire", "smoke-203", order=1))
    batch = script.readings(("leak-k", 12, None), ("ext-2", None, "timeout"))
    return board(
        HomeNamed("h01", "和平里养老院"), HomeNamed("h02", "安康"), PointsSeen(*KEY, 1, script.points()), state(script),
        EventSeen(*KEY, 1, raised, WALL_MS), ReadingsSeen(*KEY, 1, batch, WALL_MS), LinkSeen(*KEY, 1, "up"),
        Heard(*KEY, 1_000, script.boot, script.mono_ms), own(OwnKind.GAP),
    )  # fmt: skip


def test_the_views_have_the_documented_shapes() -> None:
    found = view.board_view(full_board(), at(2_000))
    models.Board.model_validate_json(json.dumps(found))
    detail = home_detail(full_board(), "h01", at(2_000))
    models.HomeDetail.model_validate_json(json.dumps(detail))
    assert home_detail(full_board(), "h99", at(2_000)) is None


def test_a_point_s_value_has_an_age_and_an_unknown_has_its_reason() -> None:
    detail = home_detail(full_board(), "h01", at(2_000))
    assert detail is not None
    points = {point["code"]: point for point in detail["points"]}
    assert (points["leak-k"]["value"], points["leak-k"]["value_age_ms"]) == (12, 1_001)
    assert (points["ext-2"]["value"], points["ext-2"]["unknown"]) == (None, "timeout")
    assert points["smoke-204"]["unknown"] == "not_heard"


def test_the_same_records_and_moment_give_the_same_bytes() -> None:
    assert json.dumps(view.board_view(full_board(), at(2_000))) == json.dumps(view.board_view(full_board(), at(2_000)))


def test_only_ages_change_by_themselves() -> None:
    early, late = (view.board_view(full_board(), at(ms)) for ms in (2_000, 9_000))
    assert early != late
    early["server_ms"] = late["server_ms"] = 0
    assert view.without_ages(early) == view.without_ages(late)
