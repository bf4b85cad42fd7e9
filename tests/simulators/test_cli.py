"""The command as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

from simulators.cli import main
from simulators.control import Control
from tests.support import wait_until

COMMAND = [sys.executable, "-c", "import sys; from simulators.cli import main; sys.exit(main())"]
HEADER = "t_s,temp_a,temp_b,temp_c,temp_d"


class Started:
    """A `shouwang-sim` process."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, stop: signal.Signals | None = None) -> tuple[int, str, str]:
        if stop is not None:
            self.process.send_signal(stop)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "h"


@pytest.fixture
def served(folder: Path) -> Iterator[Started]:
    started = Started("home", "--dir", str(folder))
    wait_until((folder / "ready.json").exists, what="ready.json")
    yield started
    if started.process.poll() is None:
        started.end(signal.SIGKILL)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_home_is_served_until_it_is_interrupted(served: Started, folder: Path, stop: signal.Signals) -> None:
    line = served.line()
    assert line.startswith("SIMULATED: ")
    assert json.loads(line.removeprefix("SIMULATED: ")) == json.loads((folder / "ready.json").read_text("utf-8"))
    status, out, err = served.end(stop)
    assert (status, out, err) == (0, "", "")
    assert [path.name for path in folder.iterdir()] == ["sim.lock"]


def test_a_second_home_in_the_folder_is_refused(served: Started, folder: Path) -> None:
    status, _, err = Started("home", "--dir", str(folder)).end()
    assert status == 2
    assert err.strip() == f"shouwang-sim: {folder}: another simulator serves this folder"


def test_a_storm_breaks_over_a_home(
    served: Started, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = tmp_path / "short.toml"
    short.write_text(
        '[[step]]\nat_s = 0\nzh = "甲"\nen = "all"\ndo = [{ set = { "203.smoke_pct_m" = 8 } }, { press = 5 }]\n',
        encoding="utf-8",
    )
    assert main(["storm", "--dir", str(folder), "--scenario", str(short)]) == 0
    assert "SIMULATED:    0.0 s  甲  all" in capsys.readouterr().out
    with Control(folder / "control.sock") as control:
        contacts = control.do(get="contacts")["contacts"]
    assert [pin for pin, is_closed in contacts.items() if is_closed] == ["4", "5"]


def test_a_storm_without_a_home_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["storm", "--dir", str(folder)]) == 2
    assert "shouwang-sim: " in capsys.readouterr().err


def test_a_home_can_begin_with_a_scenario(folder: Path) -> None:
    started = Started("home", "--dir", str(folder), "--play", "storm")
    wait_until((folder / "ready.json").exists, what="ready.json")
    with Control(folder / "control.sock") as control:
        wait_until(lambda: control.do(get="contacts")["contacts"]["6"], what="the gas detector")
    assert started.end(signal.SIGINT)[0] == 0


def test_a_fire_is_replayed_to_its_end(tmp_path: Path) -> None:
    fire = tmp_path / "fire.csv"
    fire.write_text(f"{HEADER}\n-1,20,21,22,23\n0,30,31,32,33\n", encoding="utf-8")
    started = Started("replay", str(fire), "--speed", "2", "--unit", "9", "--exit-at-end")
    line = started.line()
    port = int(line.split("127.0.0.1:")[1].split(",")[0])
    client = ModbusTcpClient("127.0.0.1", port=port, timeout=2)
    assert client.connect()
    wait_until(
        lambda: client.read_input_registers(0, count=4, device_id=9).registers == [300, 310, 320, 330],
        what="the last sample",
    )
    client.close()
    status, out, err = started.end()
    assert status == 0
    assert "SIMULATED: end of fire.csv; done" in out
    assert err.strip() == "shouwang-sim: warning: at speed 2 every rate of rise is scaled by as much"


def test_at_its_own_speed_there_is_no_warning(tmp_path: Path) -> None:
    fire = tmp_path / "fire.csv"
    fire.write_text(f"{HEADER}\n0,20,21,22,23\n", encoding="utf-8")
    started = Started("replay", str(fire), "--pty")
    assert "Modbus RTU /dev/" in started.line()
    assert "its last sample stays" in started.line()
    assert started.end(signal.SIGTERM) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["replay", "{folder}/none.csv"], "No such file"),
        (["replay", "{folder}/bad.csv"], "bad.csv: row 1: expected the columns"),
        (["home", "--dir", "{folder}/h", "--building", "castle"], "no building 'castle'"),
        (["home", "--dir", "{folder}/h", "--play", "flood"], "no scenario 'flood'"),
    ],
)
def test_what_the_user_has_to_put_right_is_status_2(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.csv").write_text("x\n")
    assert main([word.format(folder=tmp_path) for word in arguments]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["home"],
        ["replay"],
        ["replay", "x.csv", "--speed", "0"],
        ["replay", "x.csv", "--speed", "nan"],
        ["replay", "x.csv", "--speed", "fast"],
        ["replay", "x.csv", "--unit", "0"],
        ["replay", "x.csv", "--port", "-1"],
        ["home", "--dir", "d", "--modbus-port", "70000"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: shouwang-sim" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["home", "replay", "storm"])
def test_help_says_enough(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    words = {
        "home": ("--dir", "gpio.sock", "control.sock", "203.smoke_pct_m"),
        "replay": ("--speed", "--pty", "t_s,temp_a"),
        "storm": ("--dir", "--scenario"),
    }
    assert all(word in text for word in words[command])
