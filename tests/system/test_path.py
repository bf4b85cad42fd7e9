"""From a detector's contact to the district's board: real processes, real bytes, and people who operate."""

import re
from typing import Any

from tests.support import wait_until
from tests.system.running import (
    BUTTON_RESET,
    BUTTON_SILENCE,
    BUZZER,
    FIRE_RELAY,
    LATE_S,
    NO_SMOKE,
    SIREN_F2,
    SMOKE,
    SUPPLY_CUT,
    WholePath,
)

PERSON = "李护士"


def smoke(path: WholePath, room: str) -> int:
    """Let a room fill with smoke, and wait for the board to show it; when it began (monotonic ns)."""
    since_ns = path.building.set({f"{room}.smoke_pct_m": SMOKE})
    shown(path, "fire", f"smoke-{room}")
    return since_ns


def shown(path: WholePath, condition: str, point: str) -> dict[str, Any]:
    """Wait for the board to show a condition with the event that raised it; a state may be there a moment sooner."""

    def found() -> dict[str, Any] | None:
        item = path.standing().get((condition, point))
        return item if item is not None and item["received_ms"] is not None else None

    shown = wait_until(found, timeout_s=LATE_S, what=f"the board to show {condition} of {point}")
    assert shown is not None
    return shown


def is_sounding(path: WholePath) -> bool:
    """Whether the gateway wants the buzzer to sound; the pin itself follows a pattern."""
    return path.gateway.status()["sound"] is not None


def test_smoke_sounds_the_buzzer_and_stands_on_the_board_with_its_place(path: WholePath) -> None:
    since_ns = smoke(path, "203")
    assert path.building.driven(BUZZER, 1, since_ns), "the buzzer's pin was driven before the board showed anything"
    tile = path.home()
    assert (tile["class"], tile["name"], tile["simulated"]) == ("fire", "和平里养老院", True)
    fire = shown(path, "fire", "smoke-203")
    assert (fire["place"], fire["zone_name"], fire["order"], fire["kind"]) == ("二楼203室", "二楼", 1, "smoke")
    assert (fire["confirmed"], fire["acknowledged"], fire["sound"]) == (False, False, True)
    assert path.building.coil(SIREN_F2) == 0, "one detector alone is not confirmed: no siren yet"


def test_the_neighbour_confirms_the_fire_and_is_second_in_its_spread(path: WholePath) -> None:
    smoke(path, "203")
    smoke(path, "204")
    wait_until(lambda: all(item["confirmed"] for item in path.standing().values()), what="a confirmed fire")
    assert {point: item["order"] for (_, point), item in path.standing().items()} == {"smoke-203": 1, "smoke-204": 2}
    wait_until(lambda: path.building.coil(SIREN_F2) == 1, what="the siren of the floor")
    wait_until(lambda: path.building.coil(FIRE_RELAY) == 1, what="the fire relay")
    path.gateway.operate("silence", PERSON)
    wait_until(lambda: path.building.coil(SIREN_F2) == 0, what="the siren to be silent")
    assert path.building.coil(FIRE_RELAY) == 1, "silence stops sounds, not what a fire commands"


def test_leakage_warns_early_and_then_alarms(path: WholePath) -> None:
    path.building.set({"kitchen.leakage_ma": 240})
    early = shown(path, "early_warning", "leak-k")
    assert 200 <= early["value"] * 10 ** early["scale"] <= 280
    assert (early["unit"], early["place"]) == ("mA", "厨房回路")
    path.building.set({"kitchen.leakage_ma": 380})
    alarm = shown(path, "electrical", "leak-k")
    assert alarm["value"] * 10 ** alarm["scale"] >= 300
    wait_until(lambda: list(path.standing()) == [("electrical", "leak-k")], what="the alarm in the warning's stead")
    path.building.set({"kitchen.leakage_ma": 96})
    wait_until(lambda: path.gateway.status()["sound"] == "electrical")
    assert ("electrical", "leak-k") in path.standing(), "an alarm latches though its cause is gone"


def test_people_acknowledge_silence_and_reset_in_their_own_name(path: WholePath) -> None:
    smoke(path, "203")
    smoke(path, "204")
    path.gateway.operate("ack", PERSON, "看到了")
    wait_until(lambda: all(item["acknowledged"] for item in path.standing().values()), what="it on the board")
    assert is_sounding(path), "an acknowledged fire sounds on until somebody silences it"
    path.gateway.operate("silence", PERSON)
    wait_until(lambda: path.home()["silenced"], what="silence on the board")
    assert not is_sounding(path)
    smoke(path, "201")
    assert is_sounding(path), "silence never covers a new point"
    path.building.set({f"{room}.smoke_pct_m": NO_SMOKE for room in ("203", "204", "201")})
    since_ns = path.building.set({})
    path.gateway.operate("reset", PERSON, "烟散了")
    wait_until(lambda: not path.gateway.active() and not path.standing(), timeout_s=LATE_S, what="all to be cleared")
    cut_ns, back_ns = (path.building.driven(SUPPLY_CUT, level, since_ns) for level in (1, 0))
    assert cut_ns and back_ns and back_ns - cut_ns >= 1_150_000_000, "the detectors' supply is cut for a while"
    acts = [event for event in path.events() if event["kind"] in ("acknowledge", "silence", "reset")][-3:]
    assert [event["kind"] for event in acts] == ["acknowledge", "silence", "reset"]
    assert [event["why"] for event in acts] == ["看到了", "", "烟散了"]
    cleared = [event for event in path.events(kind="clear") if event["point"].startswith("smoke")][-3:]
    assert {event["who"] for event in (*acts, *cleared)} == {acts[0]["who"]}
    assert re.fullmatch(rf"{PERSON} \(\S+\)", acts[0]["who"]), "the name that was given, and the user the kernel knows"


def test_the_buttons_act_as_their_station_and_a_reset_while_it_burns_sounds_again(path: WholePath) -> None:
    smoke(path, "203")
    path.building.press(BUTTON_SILENCE)
    wait_until(lambda: not is_sounding(path), what="silence by the button")
    path.building.press(BUTTON_RESET)
    wait_until(lambda: is_sounding(path), timeout_s=LATE_S + 15, what="the fire to sound again")
    assert ("fire", "smoke-203") in path.gateway.active()
    wait_until(lambda: path.events(kind="resound", point="smoke-203"), what="that on record")
    assert path.events(kind="silence", who="值班室") and path.events(kind="reset", who="值班室")


def test_what_dies_together_is_one_fault_and_goes_with_its_cause(path: WholePath) -> None:
    """A dead unit, a cut serial line, replies of a wrong unit and garbage, all at once and each by itself."""
    path.building.fault("modbus/2", "silent")
    path.building.fault("modbus/1", "foreign_unit")
    path.building.fault("modbus/4", "garbage")
    path.building.fault("breakers", "silent")
    wanted = {("fault", "meters/1"), ("fault", "meters/2"), ("fault", "meters/4"), ("fault", "breakers")}
    wait_until(lambda: set(path.standing()) == wanted, timeout_s=60, what="one fault for each thing that died")
    points = {point["code"]: point for point in path.gateway.status()["points"]}
    for code in ("leak-k", "leak-2", "leak-p1", "cable-p4", "leak-b1", "cable-b2"):
        assert points[code]["unknown"] and points[code]["value"] is None, code
    assert points["heat-k"]["value"] is not None, "its neighbour on the same wire goes on"
    assert points["leak-k"]["level"] == "normal", "what cannot be read is neither normal nor alarm: it stays as it was"
    counters = path.gateway.status()["sources"]["meters"]
    assert counters["foreign_units"] > 0, "a reply under another unit's address is counted"
    assert counters["timeouts"] > 0
    since_ns = smoke(path, "203")
    assert path.building.driven(BUZZER, 1, since_ns), "a fire is heard whatever has died"
    path.building.set({"203.smoke_pct_m": NO_SMOKE})
    path.building.heal()
    path.gateway.operate("reset", PERSON)
    wait_until(lambda: not path.standing() and not path.gateway.active(), timeout_s=60, what="the faults to go")
    raised = [event["point"] for event in path.events(kind="raise", **{"class": "fault"})]
    assert sorted(raised) == sorted(point for _, point in wanted), "one fault each, not one per point behind it"
