"""`shouwang-edge commission` as an installer meets it: at a terminal, beside a real agent on the simulated building."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge import cli, config, station
from edge.cli import FAILED, WELL
from edge.field import sheet
from edge.field.commissioning import STATE, Commissioning, Outcome, Result, outputs_of, points_of
from edge.field.words import Words
from tests.edge.home import write_home
from tests.edge.test_agent import agent, example_of
from tests.simulators.running import RunningHome
from tests.support import ROOT, wait_until

LATE_S = 40.0
COMMAND = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())", "commission"]


class Installer:
    """A person at a terminal: reads what is on it, and types."""

    def __init__(self, home: Path, *more: str) -> None:
        self._master, slave = pty.openpty()
        environment = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "", "LC_MESSAGES": ""}
        self.process = subprocess.Popen(
            [*COMMAND, "--config", str(home), "--language", "en", *more],
            stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.screen = ""
        self._read_to = 0

    def sees(self, text: str) -> str:
        """Wait until the text appears behind what was seen before; what came up to its end."""
        until_s = time.monotonic() + LATE_S
        while (at := self.screen.find(text, self._read_to)) < 0:
            assert time.monotonic() < until_s, f"never saw {text!r} after:\n{self.screen[self._read_to - 300 :]}"
            self._read(0.1)
        seen = self.screen[self._read_to : at + len(text)]
        self._read_to = at + len(text)
        return seen

    def types(self, text: str) -> None:
        os.write(self._master, text.encode() + b"\n")

    def interrupts(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ends(self) -> int:
        """Its exit status, with all that it still said on the screen."""
        until_s = time.monotonic() + LATE_S
        while self.process.poll() is None and time.monotonic() < until_s:
            self._read(0.1)
        self._read(0.2)
        return self.process.wait(1)

    def leaves(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _read(self, wait_s: float) -> None:
        while select.select([self._master], [], [], wait_s)[0]:
            try:
                found = os.read(self._master, 65_536)
            except OSError:  # the other side is closed
                return
            if not found:
                return
            self.screen += found.decode("utf-8", "replace").replace("\r\n", "\n")
            wait_s = 0


@contextmanager
def installer(home: Path, *more: str) -> Iterator[Installer]:
    sitting = Installer(home, *more)
    try:
        yield sitting
    finally:
        sitting.leaves()


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHome]:
    home = RunningHome(tmp_path_factory.mktemp("b"))
    yield home
    home.stop()


@pytest.fixture
def home(building: RunningHome, tmp_path: Path) -> Iterator[Path]:
    """The configuration of a running gateway with two zones, four points and two outputs."""
    text = _smaller(example_of(building, tmp_path / "data"))
    with agent(tmp_path, text, tmp_path / "data") as running:
        wait_until(running.answers, timeout_s=LATE_S, what="the agent to answer")
        wait_until(lambda: _all_heard(tmp_path / "data"), timeout_s=LATE_S, what="every point to be heard")
        yield running.config
    building.do(heal="all")
    building.do(set={"203.smoke_pct_m": 0.1, "204.smoke_pct_m": 0.1})


KEPT = ("smoke-203", "smoke-204", "leak-2", "gas-k")
KEPT_OUTPUTS = ("buzzer", "detector-supply")


def _smaller(text: str) -> str:
    """The example with some of its points: what is tried for one is tried for all."""
    parts = re.split(r"(?m)^(?=\[)", text)
    kept = []
    for part in parts:
        if part.startswith("[[point]]") and tomllib.loads(part)["point"][0]["code"] not in KEPT:
            continue
        if part.startswith("[[output]]") and tomllib.loads(part)["output"][0]["name"] not in KEPT_OUTPUTS:
            continue
        if part.startswith("[[zone]]"):
            part = part.replace('reset_pulse = "3s"', 'reset_pulse = "1500ms"')
        kept.append(part)
    return "".join(kept)


def _all_heard(data: Path) -> bool:
    return all(point["age_ms"] is not None for point in _status(data)["points"] if point["code"] in KEPT)


def _status(data: Path) -> dict[str, Any]:
    return station.ask(data, {"do": "status"})


def sheet_of(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data / "commissioning" / "commissioning-h01-g1.json").read_text("utf-8"))
    return found


def results(data: Path) -> dict[str, str]:
    table = sheet_of(data)
    return {row["code"]: row["result"] for row in (*table["points"], *table["outputs"])}


def test_a_home_is_commissioned_point_by_point(home: Path, building: RunningHome):
    """Triggered, seen, named; the wrong one said; measured; skipped with a reason; stopped, and gone on with later."""
    data = home.parent / "data"
    with installer(home) as person:
        _first_point(person, building, data)
        _rest_of_the_zone(person)
        person.sees("Trigger it.")
        person.interrupts()
        person.sees("Type the same command to go on")
        assert person.ends() == FAILED
    assert _status(data)["tests"] == [], "no walk test is left behind"
    assert results(data) == {
        "smoke-203": "seen", "smoke-204": "skipped", "leak-2": "measured", "gas-k": "untried",
        "buzzer": "untried", "detector-supply": "untried",
    }  # fmt: skip
    with installer(home) as person:
        _go_on(person)
        assert person.ends() == FAILED
    with installer(home) as person:  # what failed is tried again
        person.sees("厨房燃气 (gas-k, gas)")
        person.sees("Trigger it.")
        building.do(set={"kitchen.gas_pct_lel": 30})
        person.sees('Is the place you triggered "厨房燃气"?')
        building.do(set={"kitchen.gas_pct_lel": 0.5})
        person.types("y")
        person.sees("Commissioned: 4 passed, 0 failed, 2 skipped.")
        assert person.ends() == WELL
    _check_sheet(home, data)
    people = {event["who"] for event in _events(data) if event["kind"] in ("prove", "walk_test")}
    assert any(who.startswith("张师傅") for who in people), "every act has a name"


def _first_point(person: Installer, building: RunningHome, data: Path) -> None:
    person.sees("4 points and 2 outputs, 6 left")
    person.sees("SIMULATED")
    person.sees("Your name: ")
    person.types("张师傅")
    person.sees("== zone 二楼 (f2): 3 points left ==")
    person.sees("walk test of this zone has begun")
    assert _status(data)["tests"][0]["who"].startswith("张师傅")
    seen = person.sees("Trigger it.")
    assert "二楼203室 (smoke-203, smoke)" in seen and "wired: gpio pin 4" in seen and "level: normal" in seen
    assert "unsupervised: a broken wire is not seen" in seen
    building.do(set={"204.smoke_pct_m": 8.0})
    person.sees("二楼204室 (smoke-204) answered, not this one")
    building.do(set={"204.smoke_pct_m": 0.1, "203.smoke_pct_m": 8.0})
    person.sees("seen: alarm, value 1")
    person.sees('Is the place you triggered "二楼203室"? [Y/n]')
    building.do(set={"203.smoke_pct_m": 0.1})
    assert not [item for item in _status(data)["active"] if item["class"] == "fire"], "none in a walk test"
    person.types("")
    person.sees("Let it go back to normal")


def _rest_of_the_zone(person: Installer) -> None:
    person.sees("二楼204室 (smoke-204, smoke)")
    person.types("x")
    person.sees('no such answer: "x"')
    person.types("s")
    person.sees("The reason: ")
    person.types("")
    person.sees("It needs a reason.")
    person.types("天花板够不着")
    person.sees("二楼回路 (leak-2, leakage)")
    person.types("m")
    person.sees("What does your own instrument show")
    person.types("41 mA")
    person.sees("== zone 厨房 (kitchen): 1 points left ==")


def _go_on(person: Installer) -> None:
    seen = person.sees("== zone 厨房 (kitchen): 1 points left ==")
    assert "3 left" in seen and "Your name" not in seen
    person.sees("Trigger it.")
    person.types("f")
    person.sees("The reason: ")
    person.types("探测器坏了")
    person.sees("Does everybody in the house know? [y/N]")
    person.types("y")
    person.sees("The self-test runs")
    person.sees("buzzer (buzzer, gpio pin 18): did you see or hear it?")
    person.types("y")
    person.sees("detector-supply")
    person.types("s")
    person.sees("The reason: ")
    person.types("与烟感同试")
    person.sees("Commissioned: 3 passed, 1 failed, 2 skipped.")
    person.sees("Not complete: 1 left.")


def _check_sheet(home: Path, data: Path) -> None:
    table = sheet_of(data)
    assert table["complete"] is False, "what was skipped has not been tried"
    assert (table["passed"], table["skipped"], table["installer"]) == (4, 2, "张师傅")
    smoke = table["points"][0]
    assert (smoke["code"], smoke["rest"], smoke["value"], smoke["who"]) == ("smoke-203", 0, 1, "张师傅")
    assert 0 <= smoke["after_ms"] < 60_000
    leak = next(row for row in table["points"] if row["code"] == "leak-2")
    assert (leak["note"], leak["unit"]) == ("41 mA", "mA") and 35 <= leak["value"] <= 48
    assert cli.main(["commission", "--config", str(home), "--sheet"]) == WELL
    page = (data / "commissioning" / "commissioning-h01-g1.html").read_text("utf-8")
    for text in ("和平里养老院 调试单", "动作正确", "天花板够不着", "机构负责人签字", "无断线监视的输入"):
        assert text in page, text
    assert table["config"] in page


def _events(data: Path) -> list[dict[str, Any]]:
    from edge.journal.reading import reading

    with reading(data) as db:
        return [json.loads(payload) for number, *_ in db.volumes() for _, payload in db.all_events(number)]


def test_nothing_happens_and_somebody_else_hangs_up(home: Path):
    """A kind time-out that can be answered, and a terminal that goes away: what was done is kept, no test is left."""
    data = home.parent / "data"
    with installer(home, "--installer", "李工", "--timeout", "1", "--zone", "kitchen") as person:
        person.sees("nothing seen for 1 s. r try again")
        person.types("r")
        person.sees("nothing seen for 1 s. r try again")
        person.types("q")
        person.sees("Stopped; what has been done is kept")
        assert person.ends() == FAILED
    with installer(home, "--zone", "kitchen") as person:
        person.sees("Trigger it.")
        assert _status(data)["tests"][0]["zone"] == "kitchen"
        person.types("\x04")  # end of the input
        person.ends()
    wait_until(lambda: _status(data)["tests"] == [], what="the walk test to be ended")
    assert json.loads((data / STATE).read_text("utf-8"))["installer"] == "李工"


# --- without an agent


def test_without_an_agent_it_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    home = write_home(tmp_path)
    with open(os.devnull) as nothing:
        done = subprocess.run(
            [*COMMAND, "--config", str(home)], stdin=nothing, capture_output=True, text=True, cwd=ROOT, timeout=60
        )
    assert done.returncode == FAILED
    assert "start it with: shouwang-edge run" in done.stderr


@pytest.mark.parametrize("arguments", [["--timeout", "0"], ["--timeout", "x"], ["--language", "fr"]])
def test_wrong_arguments(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main(["commission", "--config", str(write_home(tmp_path)), *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: shouwang-edge commission")


def test_a_zone_that_is_none_and_a_damaged_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    home = write_home(tmp_path)
    assert cli.main(["commission", "--config", str(home), "--zone", "f9"]) == FAILED
    assert "no zone f9; zones are f2" in capsys.readouterr().err
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / STATE).write_text("[]", "utf-8")
    assert cli.main(["commission", "--config", str(home), "--sheet"]) == FAILED
    assert "damaged; put it aside" in capsys.readouterr().err


def test_what_is_wired_or_named_anew_has_to_be_tried_again(tmp_path: Path):
    (tmp_path / "data").mkdir()
    done = Commissioning.load(tmp_path / "data")
    first = points_of(config.load(write_home(tmp_path)))
    for item in first:
        done.points[item.code] = Result(Outcome.SEEN, "x", 1, item.mark)
    done.save()
    again = Commissioning.load(tmp_path / "data")
    assert list(again.left(first)) == []
    for change in ({"at = { pin = 4 }": "at = { pin = 5 }"}, {'place = "二楼203室"': 'place = "二楼205室"'}):
        items = points_of(config.load(write_home(tmp_path, **change)))
        assert [item.code for item in again.left(items)] == ["smoke-203"]


def test_a_sheet_of_nothing_and_names_that_would_be_markup(tmp_path: Path):
    text: Callable[..., Any] = write_home
    setup = config.load(text(tmp_path, **{'place = "二楼203室"': 'place = "<b>|203</b>"'}))
    (tmp_path / "data").mkdir()
    done = Commissioning.load(tmp_path / "data")
    page, markdown, table = (path.read_text("utf-8") for path in sheet.write(setup, done, Words("zh"), tmp_path / "s"))
    assert "<b>" not in page and "&lt;b&gt;|203" in page
    assert "<b>\\|203</b>" in markdown and "未试" in markdown
    found = json.loads(table)
    assert found["complete"] is False and found["left"] == len(points_of(setup)) + len(outputs_of(setup))
    assert found["rules"]["id"] == "cn-2026" and found["rules"]["edition"]
    assert found["unsupervised"] == ["smoke-203"]


def test_the_catalogues_have_the_same_texts_with_the_same_fields():
    tables = [
        tomllib.loads((ROOT / "edge" / "field" / "locale" / f"{language}.toml").read_text("utf-8"))
        for language in ("zh", "en")
    ]

    def fields(table: dict[str, dict[str, str]]) -> dict[tuple[str, str], list[str]]:
        return {
            (section, key): sorted(re.findall(r"{(\w+)}", text))
            for section, texts in table.items()
            for key, text in texts.items()
        }

    assert fields(tables[0]) == fields(tables[1])
