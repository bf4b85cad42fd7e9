"""`shouwang-edge` as people type it: what it says, what it ends with, and that it starts nothing it should not."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge import cli
from edge.cli import FAILED, WELL, WRONG
from edge.station import SOCKET_NAME
from tests.edge.home import HOME, write_home
from tests.support import ROOT, wait_until

COMMANDS = ["run", "check", "status", "ack", "silence", "reset", "verify"]
ASKING = ["status", "ack", "silence", "reset"]
WRONG_HOMES = sorted(path.with_suffix(".toml") for path in HOME.parent.glob("*.txt"))


class Answering:
    """Somebody who answers on a data folder's socket in the agent's stead, and keeps what was asked."""

    def __init__(self, folder: Path, answer: dict[str, Any]) -> None:
        folder.mkdir()
        self.asked: list[dict[str, Any]] = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / SOCKET_NAME))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            with line, line.makefile("rwb") as lines:
                self.asked.append(json.loads(lines.readline()))
                lines.write(json.dumps(self._answer).encode() + b"\n")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Answering]:
    answering = Answering(tmp_path / "data", {"ok": True})
    yield answering
    answering.close()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("home", [WRONG_HOMES[0], HOME.parent / "ten_mistakes.toml"], ids=lambda path: path.stem)
def test_a_wrong_configuration_starts_nothing(
    command: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    file = tmp_path / home.name
    file.write_text(home.read_text("utf-8").replace("/var/lib/shouwang", str(data)), "utf-8")
    assert cli.main([command, "--config", str(file)]) == WRONG
    out, err = capsys.readouterr()
    assert out == ""
    said = err.splitlines()
    count = len(home.with_suffix(".txt").read_text("utf-8").splitlines())
    assert said[-1] == f"{count} mistake{'s' if count > 1 else ''}; nothing was started"
    assert len(said) == count + 1
    assert not data.exists(), "not even its data folder"


@pytest.mark.parametrize("home", WRONG_HOMES, ids=lambda path: path.stem)
def test_check_ends_with_2_on_every_mistake(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--config", str(home)]) == WRONG


def test_check_says_what_the_home_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_home(tmp_path)
    assert cli.main(["check", "--config", str(file)]) == WELL
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        f"{file}: well",
        "  home h01 和平里养老院, gateway g1, rules cn-2026",
        "  3 points in 1 zone, 2 outputs",
        "  sources: gpio (gpio), meters (modbus), i2c (i2c)",
        "  unsupervised, a broken wire is not seen: smoke-203",
    ]
    assert not (tmp_path / "data").exists()


def test_check_says_simulated_of_a_simulated_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_home(tmp_path, **{'rules = "cn-2026"': 'rules = "demo"\nsimulated = true'})
    assert cli.main(["check", "--config", str(file)]) == WELL
    assert "SIMULATED" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "said"), [("nothing.toml", "No such file"), (".", "Is a directory"), ("a/b", "No such")]
)
def test_a_file_that_is_none(
    command: str, name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--config", str(tmp_path / name)]) == WRONG
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"shouwang-edge: {tmp_path / name}: ".replace("/.:", ":")) and said in err
    assert len(err.splitlines()) == 1


def test_a_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--config", "/proc/self/mem"]) == WRONG
    assert capsys.readouterr().err == "shouwang-edge: /proc/self/mem: Input/output error\n"


@pytest.mark.parametrize("command", ASKING)
def test_without_an_agent_it_says_how_to_start_one(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_home(tmp_path)
    assert cli.main([command, "--config", str(file)]) == FAILED
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"shouwang-edge: {tmp_path / 'data' / SOCKET_NAME}: no agent is running there; "
        "start it with: shouwang-edge run\n"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("arguments", [[], ["fly"], ["check", "--fast"], ["run", "--log", "loud"], ["ack", "--who"]])
def test_wrong_arguments_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == WRONG
    assert capsys.readouterr().err.startswith("usage: shouwang-edge")


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_is_enough_to_use_it(command: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"] if command is None else [command, "--help"])
    assert ended.value.code == WELL
    out = capsys.readouterr().out
    if command is None:
        assert all(f"  {name} " in out for name in COMMANDS)
    else:
        assert "--config FILE" in out and "/etc/shouwang/gateway.toml" in out
    assert ("--who NAME" in out) is (command in ("ack", "silence", "reset"))


@pytest.mark.parametrize(("command", "do"), [("ack", "acknowledge"), ("silence", "silence"), ("reset", "reset")])
def test_an_operation_is_asked_of_the_agent_with_who_and_why(
    command: str, do: str, agent: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_home(tmp_path)
    assert cli.main([command, "--config", str(file), "--who", "李护士", "--why", "看过了"]) == WELL
    assert agent.asked == [{"do": do, "who": "李护士", "why": "看过了"}]
    assert capsys.readouterr().out == f"{do}: done\n"


@pytest.mark.parametrize("who", ["", "a" * 1000, "$(reboot)", "'; DROP TABLE event; --", "\x1b[2J", "😀", "\udcff"])
def test_an_odd_name_reaches_the_agent_as_it_is_and_breaks_nothing(who: str, agent: Answering, tmp_path: Path) -> None:
    """The agent decides what is a name; see test_station."""
    assert cli.main(["silence", "--config", str(write_home(tmp_path)), "--who", who]) == WELL
    assert agent.asked == [{"do": "silence", "who": who, "why": ""}]


def test_a_refusal_of_the_agent_is_said_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answering = Answering(tmp_path / "data", {"ok": False, "error": "who and why: expected one line each"})
    assert cli.main(["reset", "--config", str(write_home(tmp_path))]) == FAILED
    assert capsys.readouterr().err == "shouwang-edge: who and why: expected one line each\n"
    answering.close()


STATUS = {
    "ok": True,
    "home": "h01",
    "gateway": "g1",
    "simulated": True,
    "active": [
        {"class": "fire", "zone": "f2", "point": "smoke-203", "order": 1, "acknowledged": False, "confirmed": True},
        {"class": "fault", "zone": "", "point": "meters", "order": 0, "acknowledged": True, "confirmed": False},
    ],
    "points": [
        {"code": "smoke-203", "zone": "f2", "place": "二楼203室", "kind": "smoke", "level": "alarm", "value": 1,
         "unit": "", "scale": 0, "unknown": None, "age_ms": 1250},
        {"code": "heat-k", "zone": "f2", "place": "厨房", "kind": "heat", "level": "normal", "value": 21_500,
         "unit": "°C", "scale": -3, "unknown": None, "age_ms": 40},
        {"code": "leak-k", "zone": "f2", "place": "厨房", "kind": "leakage", "level": "normal", "value": None,
         "unit": "mA", "scale": 0, "unknown": "timeout", "age_ms": None},
    ],
}  # fmt: skip


def test_status_says_what_stands_and_what_is_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answering = Answering(tmp_path / "data", STATUS)
    assert cli.main(["status", "--config", str(write_home(tmp_path))]) == WELL
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "h01/g1 SIMULATED",
        "FIRE 二楼203室 (smoke-203) no. 1, confirmed",
        "FAULT meters acknowledged",
        "smoke-203 alarm 1 1.2 s ago 二楼203室",
        "heat-k normal 21.500 °C 0.0 s ago 厨房",
        "leak-k normal unknown: timeout never heard 厨房",
    ]
    assert cli.main(["status", "--config", str(write_home(tmp_path)), "--json"]) == WELL
    assert json.loads(capsys.readouterr().out) == STATUS
    answering.close()


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    """`shouwang-edge status | head -1`"""
    answering = Answering(tmp_path / "data", {**STATUS, "points": STATUS["points"] * 5000})  # type: ignore[operator]
    command = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())", "status"]
    process = subprocess.Popen(
        [*command, "--config", str(write_home(tmp_path))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "h01/g1  SIMULATED\n"
    process.stdout.close()
    wait_until(lambda: process.poll() is not None, what="the command to end")
    assert process.stderr.read() == ""
    process.stderr.close()
    answering.close()
