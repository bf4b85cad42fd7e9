"""The demonstration as a person starts it: real processes, a real broker, a real board."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.__main__ import main
from demo.homes import homes
from tests.support import wait_until

MARK = "SHOUWANG_DEMO_TEST"
ADDRESS = re.compile(r"board: (http://127\.0\.0\.1:\d+)")
LOCKS = Path("/run/lock")
EARLY_WARNING = re.compile(r"early warning: leakage → 蜂鸣器 buzzer \d+ ms → 平台 board \d+ ms")
LOGIN = re.compile(r"login: (\S+) / (\S{10,})")


class Running:
    """A demonstration that runs; `folder` holds all that it may write to."""

    def __init__(self, folder: Path, *arguments: str, data: str = "data") -> None:
        self.data = folder / data
        self.elsewhere = [folder / name for name in ("home", "tmp", "cwd")]
        for place in self.elsewhere:
            place.mkdir()
        self._pids: set[int] = set()
        self.mark = uuid.uuid4().hex
        home, temporary, cwd = self.elsewhere
        environment = {"HOME": str(home), "TMPDIR": str(temporary), MARK: self.mark, "PYTHONDONTWRITEBYTECODE": "1"}
        self._out = (folder / "out").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo", "--no-browser", "--port", "0", "--data", str(self.data), *arguments],
            stdout=self._out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **environment},
        )

    @property
    def output(self) -> str:
        """What it has said so far."""
        return Path(self._out.name).read_text("utf-8", "replace")

    def processes(self) -> list[psutil.Process]:
        """Those of its processes that live, however far from their parent."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
                    self._pids.add(process.pid)
            except psutil.Error:
                continue
        return found

    def address(self) -> str:
        """Where the board is, once it has been said."""
        wait_until(lambda: ADDRESS.search(self.output), timeout_s=25, what="the board's address")
        return ADDRESS.findall(self.output)[0]  # type: ignore[no-any-return]

    def ask(self, path: str) -> dict[str, Any]:
        """A JSON answer of the board."""
        with urllib.request.urlopen(self.address() + path, timeout=5) as answer:
            body: dict[str, Any] = json.load(answer)
            return body

    def wait(self, timeout_s: float) -> int:
        """Its exit status."""
        return self.process.wait(timeout_s)

    def has_left_nothing(self) -> None:
        """No process, and no file outside its data folder."""
        wait_until(lambda: not self.processes(), timeout_s=5, what=f"an end of {self.processes()}")
        assert [entry for place in self.elsewhere for entry in place.rglob("*")] == []
        mine = {str(self.process.pid), *map(str, self._pids)}
        assert [path for path in LOCKS.glob("shouwang*") if path.read_text("utf-8", "replace").strip() in mine] == []

    def close(self) -> None:
        for process in self.processes():
            process.kill()
        self.process.wait(10)
        self._out.close()


@contextmanager
def running(folder: Path, *arguments: str, data: str = "data") -> Iterator[Running]:
    demo = Running(folder, *arguments, data=data)
    try:
        yield demo
    finally:
        demo.close()


def test_a_district_lives_and_alarms_until_ctrl_c(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        wait_until(lambda: "all 22 homes heard" in demo.output, timeout_s=40, what="all homes")
        login = LOGIN.search(demo.output)
        assert login is not None
        assert_shows_the_district(demo)
        alarms = wait_until(lambda: demo.ask("/api/v1/board")["alarms"], timeout_s=40, what="the first alarm")
        assert (alarms[0]["home"], alarms[0]["class"], alarms[0]["point"]) == ("h01", "early_warning", "leak-k")
        wait_until(lambda: EARLY_WARNING.search(demo.output), what="the alarm's line")
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0, demo.output
        assert re.search(r"mean 0\.\d+ cores, peak \d+ MiB", demo.output)
        demo.has_left_nothing()
        assert not list(demo.data.rglob("*.sock")), "sockets are gone too"
        assert (demo.data / "gateway.toml").exists()
        assert login[2] not in "".join(path.read_text("utf-8", "replace") for path in (demo.data / "logs").iterdir())


def assert_shows_the_district(demo: Running) -> None:
    board = demo.ask("/api/v1/board")
    assert [(home["code"], home["name"]) for home in board["homes"]] == list(homes())
    assert all(home["simulated"] and home["registered"] for home in board["homes"])
    assert demo.output.count("SIMULATED") >= 3
    assert "SIMULATED" in (demo.data / "logs" / "building.log").read_text("utf-8")
    assert len(demo.processes()) == 7, "itself, broker, collector, building, gateway, console, light homes"


def test_it_ends_by_itself_after_its_seconds_wherever_it_is(tmp_path: Path) -> None:
    # A folder whose sockets would be longer than a UNIX socket's address may be.
    deep = "a-folder-with-a-name-that-is-long-" * 3
    with running(tmp_path, "--seconds", "5", data=deep) as demo:
        assert demo.wait(25) == 0, demo.output
        assert "ended" in demo.output
        demo.has_left_nothing()
        assert [link for link in Path("/tmp").glob("shouwang-*/d") if link.resolve() == demo.data] == []


def test_a_second_one_on_the_same_folder_is_refused_and_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        wait_until((demo.data / "shouwang-demo.lock").exists, timeout_s=20, what="the lock")
        second = run_demo("--data", str(demo.data), "--port", "0")
        assert second.returncode == 2
        assert f"process {demo.process.pid}" in second.stderr
        wait_until(lambda: len(demo.processes()) >= 4, timeout_s=20, what="some of its processes")
        demo.process.kill()
        demo.process.wait(5)
        wait_until(lambda: not demo.processes(), timeout_s=15, what="the children's end")


def run_demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "demo", "--no-browser", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_a_taken_port_is_told_with_its_holder(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        done = run_demo("--port", str(port), "--data", str(tmp_path / "data"))
    assert done.returncode == 2
    assert f"port {port} is taken by" in done.stderr
    assert f"process {os.getpid()}" in done.stderr
    assert "--port" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--seconds", "soon"], "expected a number of seconds above 0, got 'soon'"),
        (["--seconds", "0"], "expected a number of seconds above 0, got '0'"),
        (["--seconds", "nan"], "expected a number of seconds above 0, got 'nan'"),
        (["--port", "70000"], "expected a port from 0 to 65535, got '70000'"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments_are_told_and_start_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--data", str(tmp_path / "data")])
    assert end.value.code == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_help_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert all(option in said for option in ("--loop", "--seconds", "--port", "--no-browser", "--data"))
