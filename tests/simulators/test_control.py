"""The control socket, spoken to as a demo does: JSON lines from outside."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators.building import Building, WorldError
from simulators.control import Control, apply
from simulators.home import HomeError
from tests.simulators.running import LoopThread, RunningHome
from tests.support import wait_until


@pytest.fixture
def control(home: RunningHome) -> Iterator[Control]:
    with Control(home.ready["control"]) as control:
        yield control


def test_ready_json_is_what_a_gateway_s_installer_needs(home: RunningHome) -> None:
    ready = json.loads((home.folder / "ready.json").read_text(encoding="utf-8"))
    assert ready == home.ready
    assert ready["simulated"] is True
    assert ready["modbus_port"] > 0
    for key, name in (("rtu", "rtu"), ("gpio", "gpio.sock"), ("i2c", "i2c.sock"), ("control", "control.sock")):
        assert ready[key] == str(home.folder / name)
        assert Path(ready[key]).exists()


def test_setting_and_ramping(control: Control) -> None:
    control.do(set={"kitchen.leakage_ma": 150, "stairs-1.loop_ohm": "open"})
    values = control.do(get="values")["values"]
    assert (values["kitchen.leakage_ma"], values["stairs-1.loop_ohm"]) == (150, 10_000_000)
    control.do(ramp={"kitchen.leakage_ma": {"to": 250, "over_s": 0.4}})
    assert control.do(get="values")["values"]["kitchen.leakage_ma"] < 250
    wait_until(lambda: control.do(get="values")["values"]["kitchen.leakage_ma"] == 250, what="the ramp's end")


def test_pressing_and_the_key(control: Control) -> None:
    control.do(press=11)
    control.do(press=19, ms=150)
    assert control.do(get="contacts")["contacts"]["11"] is True
    wait_until(lambda: not control.do(get="contacts")["contacts"]["19"], what="the button's release")
    control.do(key=11)
    assert control.do(get="contacts")["contacts"]["11"] is False


def test_faults_come_and_go(control: Control) -> None:
    control.do(fault={"where": "modbus/2", "kind": "late", "delay_ms": 900})
    control.do(fault={"where": "i2c", "kind": "nack"})
    assert control.do(get="faults")["faults"] == {"meters/2": "late", "i2c": "nack"}
    control.do(heal="modbus/2")
    assert control.do(get="faults")["faults"] == {"i2c": "nack"}
    control.do(heal="all")
    assert control.do(get="faults")["faults"] == {}


def test_the_log_is_in_the_order_of_time_and_can_be_read_on(control: Control) -> None:
    before_ns = time.monotonic_ns()
    control.do(press=11)
    wait_until(lambda: control.do(get="log", since_ns=before_ns)["log"], what="the press")
    log = control.do(get="log")["log"]
    stamps = [entry["monotonic_ns"] for entry in log]
    assert stamps == sorted(stamps)
    assert control.do(get="log", since_ns=stamps[-1])["log"] == []


def test_a_scenario_plays_and_is_logged(control: Control, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        '[[step]]\nat_s = 0\nzh = "甲"\nen = "a"\ndo = [{ set = { "203.smoke_pct_m" = 8 } }]\n'
        '[[step]]\nat_s = 0.1\nzh = "乙"\nen = "b"\ndemo = "dark"\ndo = [{ set = { "attic.x" = 8 } }]\n',
        encoding="utf-8",
    )
    control.do(play=str(mine))
    wait_until(lambda: any(entry["kind"] == "end" for entry in control.do(get="log")["log"]), what="the end")
    log = control.do(get="log")["log"]
    steps = [(entry["zh"], entry["demo"]) for entry in log if entry["kind"] == "step"]
    assert steps == [("甲", ""), ("乙", "dark")]
    assert control.do(get="contacts")["contacts"]["4"] is True
    (error,) = [entry["text"] for entry in log if entry["kind"] == "error"]
    assert "attic.x" in error, "a step that cannot be carried out is not passed over in silence"
    assert control.do(get="scenario") == {"ok": True, "scenario": "mine", "is_playing": False}


def test_a_scenario_can_be_stopped(control: Control) -> None:
    control.do(play="district")
    assert control.do(get="scenario")["is_playing"] is True
    control.do(stop="play")
    assert control.do(get="scenario")["is_playing"] is False
    wait_until(lambda: control.do(get="log")["log"][-1]["kind"] == "stopped", what="the note of it")


def test_another_scenario_takes_the_place_of_the_one_that_plays(control: Control) -> None:
    control.do(play="district")
    control.do(play="storm")
    wait_until(lambda: control.do(get="contacts")["contacts"]["6"], what="the storm")
    log = control.do(get="log")["log"]
    assert [(entry["kind"], entry["scenario"]) for entry in log if "scenario" in entry] == [("stopped", "district")]
    assert control.do(get="scenario") == {"ok": True, "scenario": "storm", "is_playing": True}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("no json", "expected a JSON object on one line"),
        ("[1]", "expected a JSON object on one line"),
        ("{}", "expected one of set, ramp, press, key, fault, heal"),
        ('{"set": {}, "press": 5}', "expected one of"),
        ('{"set": 5}', "set: malformed"),
        ('{"set": {"attic.x": 5}}', "no quantity 'attic.x'"),
        ('{"set": {"203.smoke_pct_m": "much"}}', "203.smoke_pct_m: expected a number, got 'much'"),
        ('{"ramp": {"203.smoke_pct_m": 5}}', "ramp: malformed"),
        ('{"ramp": {"203.smoke_pct_m": {"to": 5}}}', "ramp: malformed"),
        ('{"press": 4}', "nothing to press on pin 4"),
        ('{"press": [4]}', "press: malformed"),
        ('{"fault": {"kind": "silent"}}', "fault: malformed"),
        ('{"fault": {"where": "modbus/2", "kind": "sulking"}}', "expected one of silent"),
        ('{"heal": "attic"}', "no place 'attic'"),
        ('{"get": "everything"}', "get: expected outputs, values"),
        ('{"play": "flood"}', "no scenario 'flood'"),
        ('{"play": "/nowhere/x.toml"}', "No such file"),
    ],
)
def test_a_bad_command_is_answered_with_what_was_expected(home: RunningHome, line: str, complaint: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rwb") as lines:
        connection.settimeout(5)
        connection.connect(home.ready["control"])
        for text in (line, '{"get": "faults"}'):
            lines.write(text.encode() + b"\n")
            lines.flush()
            reply = json.loads(lines.readline())
            if text == line:
                assert complaint in reply["error"]
        assert reply["ok"] is True, "the connection goes on after an error"


def test_the_client_raises_what_the_simulator_refuses(control: Control) -> None:
    with pytest.raises(WorldError, match="nothing to press on pin 4"):
        control.do(press=4)


def test_a_home_that_stops_leaves_nothing_behind(home: RunningHome, control: Control) -> None:
    home.stop()
    assert [path.name for path in home.folder.iterdir()] == ["sim.lock"]
    with pytest.raises(OSError, match=r"."):
        control.do(get="faults")
        control.do(get="faults")


def test_a_folder_has_one_simulator(home: RunningHome) -> None:
    with pytest.raises(HomeError, match="another simulator serves this folder"):
        RunningHome(home.folder)
    with Control(home.ready["control"]) as control:
        assert control.do(get="faults")["ok"], "the first one lives on"


def test_what_a_killed_simulator_left_is_cleared_away(tmp_path: Path) -> None:
    for name in ("ready.json", "gpio.sock", "i2c.sock", "control.sock"):
        (tmp_path / name).write_text("stale")
    (tmp_path / "rtu").symlink_to("/nowhere")
    home = RunningHome(tmp_path)
    with Control(home.ready["control"]) as control:
        assert control.do(get="faults")["ok"]
    home.stop()


def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="path too long for a UNIX socket"):
        RunningHome(tmp_path / ("d" * 100))


def test_commands_move_a_building_without_faces_too() -> None:
    building = Building.load("home")
    commands: list[dict[str, Any]] = [{"set": {"203.smoke_pct_m": 9}}, {"fault": {"where": "modbus/1", "kind": "busy"}}]
    for command in commands:
        apply(building, command)
    assert building.contact(4)
    assert building.register("meters", 1, 0) is None


def test_time_passes_for_a_home_by_itself(home: RunningHome, loop_thread: LoopThread) -> None:
    began_ms = home.simulator.building.now_ms
    wait_until(lambda: home.simulator.building.now_ms > began_ms + 250, what="a quarter of a second")
