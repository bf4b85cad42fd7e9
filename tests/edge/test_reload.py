"""SIGHUP on a real agent in alarm, and a power cut of one with points out of service: nothing stops sounding, nothing
that was in force is forgotten, and what is wrong with a new configuration is a fault beside the old one."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge import station
from edge.station import StationError
from tests.edge.test_agent import Agent, agent, example_of
from tests.simulators.running import RunningHome
from tests.support import wait_until

LATE_S = 30.0
BUZZER, LAMP_FIRE, LAMP_DISABLED, LAMP_TEST = 18, 23, 25, 8
PERSON = "李护士"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RunningHome]:
    (tmp_path / "b").mkdir()
    building = RunningHome(tmp_path / "b")
    yield building
    building.stop()


def status(running: Agent) -> dict[str, Any]:
    return station.ask(running.data, {"do": "status"})


def active(running: Agent) -> dict[tuple[str, str], int]:
    """What stands, with its order."""
    return {(item["class"], item["point"]): item["order"] for item in status(running)["active"]}


def codes(running: Agent) -> set[str]:
    return {point["code"] for point in status(running)["points"]}


def ask(running: Agent, do: str, **more: Any) -> None:
    station.ask(running.data, {"do": do, "who": PERSON, **more})


def heard(running: Agent, code: str) -> bool:
    return any(point["code"] == code and point["value"] is not None for point in status(running)["points"])


def on_record(running: Agent, *parts: str) -> bool:
    """Whether an event with all of these stands in the journal."""
    kept = b"".join(path.read_bytes() for path in running.data.glob("journal.sqlite*"))
    return any(
        all(part.encode() in event for part in parts) for event in re.findall(rb'\{"v":1,"journal"[^{}]*\}', kept)
    )


def without(text: str, code: str) -> str:
    """The configuration without a point."""
    stanzas = text.split("\n[[")
    left = [stanza for stanza in stanzas if f'code = "{code}"' not in stanza]
    assert len(left) == len(stanzas) - 1
    return "\n[[".join(left)


def change(running: Agent, text: str) -> None:
    running.config.write_text(text, "utf-8")
    running.process.send_signal(signal.SIGHUP)


def test_a_reload_in_alarm_goes_on_sounding_and_records_what_it_removes(home: RunningHome, tmp_path: Path) -> None:
    text = example_of(home, tmp_path / "a" / "data")
    with agent(tmp_path / "a", text) as running:
        wait_until(running.answers, timeout_s=LATE_S, what="the agent to answer")
        wait_until(lambda: heard(running, "smoke-203"), timeout_s=LATE_S, what="the chip to be read")
        ask(running, "disable", subject="smoke-101", for_ms=7_200_000, why="换电池")
        ask(running, "disable", subject="smoke-c2", for_ms=7_200_000, why="换电池")
        home.do(set={"203.smoke_pct_m": 8.0})
        wait_until(lambda: ("fire", "smoke-203") in active(running), timeout_s=LATE_S, what="the fire")
        home.do(set={"204.smoke_pct_m": 8.0})
        wait_until(lambda: ("fire", "smoke-204") in active(running), timeout_s=LATE_S, what="the second fire")
        since_ns = time.monotonic_ns()
        change(running, without(without(text, "smoke-204"), "smoke-c2"))
        wait_until(lambda: "smoke-204" not in codes(running), timeout_s=LATE_S, what="the new configuration")
        stands = active(running)
        assert stands["fire", "smoke-203"] == 1 and ("disabled", "smoke-101") in stands
        assert ("fire", "smoke-204") not in stands and ("disabled", "smoke-c2") not in stands
        wait_until(
            lambda: (
                on_record(running, '"kind":"clear"', '"class":"fire"', "smoke-204", "no longer")
                and on_record(running, '"kind":"clear"', '"class":"disabled"', "smoke-c2", "no longer")
                and on_record(running, '"kind":"reload"')
            ),
            timeout_s=LATE_S,
            what="what was removed on record",
        )
        home.do(set={"201.smoke_pct_m": 8.0})
        wait_until(lambda: active(running).get(("fire", "smoke-201")) == 3, timeout_s=LATE_S, what="a new fire")
        wait_until(lambda: len(strokes(home, since_ns)) >= 3, timeout_s=LATE_S, what="the buzzer to go on")
        log = home.do(get="log", since_ns=since_ns)["log"]
        let_go = [entry for entry in log if entry.get("pin") == LAMP_FIRE and entry.get("level") == 0]
        assert let_go == [], "the lamp beside it was lit all the time"


def strokes(home: RunningHome, since_ns: int) -> list[int]:
    """When the buzzer began to sound; in a fire it does once a second."""
    log = home.do(get="log", since_ns=since_ns)["log"]
    return [entry["monotonic_ns"] for entry in log if entry.get("pin") == BUZZER and entry.get("level") == 1]


def test_a_bad_configuration_is_refused_and_is_a_fault_until_a_good_one_comes(
    home: RunningHome, tmp_path: Path
) -> None:
    text = example_of(home, tmp_path / "a" / "data")
    with agent(tmp_path / "a", text) as running:
        wait_until(running.answers, timeout_s=LATE_S, what="the agent to answer")
        for bad, said in (
            (text.replace('kind = "smoke"', 'kind = "smog"', 1), "kind: expected one of"),
            (text.replace('code = "g1"', 'code = "g2"', 1), "need a restart: gateway.code"),
            ("", "expected"),
        ):
            change(running, bad)
            wait_until(lambda: ("fault", "gw-config") in active(running), timeout_s=LATE_S, what="the refusal to show")
            assert said in running.log
            assert "smoke-204" in codes(running)
            change(running, text)
            wait_until(lambda: ("fault", "gw-config") not in active(running), timeout_s=LATE_S, what="the good one")
        wait_until(lambda: heard(running, "smoke-203"), timeout_s=LATE_S, what="the chip to be read")
        home.do(set={"203.smoke_pct_m": 8.0})
        wait_until(lambda: ("fire", "smoke-203") in active(running), timeout_s=LATE_S, what="the fire")


def test_a_power_cut_forgets_no_disablement_and_no_test(home: RunningHome, tmp_path: Path) -> None:
    text = example_of(home, tmp_path / "a" / "data")
    with agent(tmp_path / "a", text) as running:
        wait_until(running.answers, timeout_s=LATE_S, what="the agent to answer")
        wait_until(lambda: heard(running, "smoke-203"), timeout_s=LATE_S, what="the chip to be read")
        with pytest.raises(StationError) as refused:
            ask(running, "disable", subject="f1", for_ms=60_000, why="装修")
        assert refused.value.reason == "last_detector"
        ask(running, "disable", subject="smoke-101", for_ms=7_200_000, why="换电池")
        asked_ns = time.monotonic_ns()
        ask(running, "walk_test", subject="f2", for_ms=3_600_000)
        home.do(press=11, ms=800)  # the call point of f2
        wait_until(lambda: "call-c2" not in status(running)["tests"][0]["unproven"], timeout_s=LATE_S, what="its proof")
        assert time.monotonic_ns() > asked_ns
        assert ("fire", "call-c2") not in active(running)
        wait_until(lambda: on_record(running, '"kind":"prove"', "call-c2"), timeout_s=LATE_S, what="it on record")
        left_ms = status(running)["tests"][0]["remaining_ms"]
        running.process.kill()
        running.process.wait(30)
    with agent(tmp_path / "a", text) as running:
        wait_until(running.answers, timeout_s=LATE_S, what="the agent to answer again")
        now = status(running)
        points = {point["code"]: point for point in now["points"]}
        assert PERSON in points["smoke-101"]["disabled"]["who"]
        assert 0 < points["smoke-101"]["disabled"]["remaining_ms"] <= 7_200_000
        (test,) = now["tests"]
        assert test["zone"] == "f2" and "call-c2" not in test["unproven"] and test["remaining_ms"] <= left_ms
        assert points["call-c2"]["proven_age_ms"] is not None and points["smoke-203"]["proven_age_ms"] is None
        assert ("test", "f2") in active(running) and ("disabled", "smoke-101") in active(running)
        wait_until(
            lambda: all(home.do(get="outputs")["pins"][pin]["level"] for pin in (LAMP_DISABLED, LAMP_TEST)),
            timeout_s=LATE_S,
            what="their lamps",
        )
        ask(running, "end_walk_test")
        wait_until(lambda: on_record(running, '"kind":"end_walk_test"', "cause=person proven=1/"), what="the report")
