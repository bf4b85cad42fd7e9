"""`shouwang-edge simulate-config` on a journal that a core has really written."""

import json
import math
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge import cli, config
from edge.cli import FAILED, WELL, WRONG
from edge.core.replay import Replay
from edge.core.values import Act, Kind, Operation, Reading, Transition, Unknown
from edge.field.simulate import simulate
from edge.journal.layout import FILE
from tests.edge.home import FakeClock, small_home, write_home
from tests.edge.parts import journal_in

SECOND, MINUTE = 1_000, 60_000
World = Callable[[str, int], int | None]


def live(
    folder: Path,
    home: Path,
    minutes: int,
    world: World,
    acts: Mapping[int, str] | None = None,
    mono_ms: int = 1_000_000,
) -> FakeClock:
    """A gateway that read `world(point, second)` every second; `acts`: operations by second. Its clock at the end."""
    setup, clock = config.load(home), FakeClock(mono_ms)
    start_ms = clock.now_ms
    noted: list[Transition] = []
    core = Replay(setup.plan, clock.now_ms, noted.append)
    with journal_in(folder / "data", clock, setup.journal, deadbands=setup.deadbands) as journal:
        noted.append(Transition(Kind.START, clock.now_ms))
        for second in range(minutes * 60):
            clock.now_ms = start_ms + second * SECOND
            readings = [_reading(point.code, world(point.code, second)) for point in setup.points]
            for reading in readings:
                core.take(reading, clock.now_ms)
            journal.observe(readings, clock.now_ms)
            if second in (acts or {}):
                core.take(Act(Operation((acts or {})[second]), "tester"), clock.now_ms)
            if noted:
                journal.record(tuple(noted), None, lambda _: "")
                noted.clear()
    return clock


def _reading(code: str, value: int | None) -> Reading:
    return Reading(code, None, Unknown.TIMEOUT) if value is None else Reading(code, value)


def evening(point: str, second: int) -> int | None:
    """Leakage with a hump of 340 mA and one of 250 mA, some smoke, one meter that dies."""
    if point == "leak-k":
        hump = 340 if 600 <= second < 660 else 250 if 1_200 <= second < 1_260 else 90
        return hump + round(2 * math.sin(second))
    if point == "smoke-203":
        return int(1_500 <= second < 1_530)
    return 0 if point.startswith(("gw-", "out-")) else None if 2_000 <= second < 2_100 and point == "heat-k" else 21_000


ACTS = {700: "reset", 1_600: "reset"}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("lived")
    home = write_home(folder)
    points = {point.code for point in config.load(home).points}
    assert {"leak-k", "smoke-203"} <= points
    live(folder, home, 40, evening, ACTS)
    yield folder


def rings(table: dict[str, Any]) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {(row["point"], row["class"]): (row["did"], row["would"], row["same"]) for row in table["rings"]}


def ask(lived: Path, capsys: pytest.CaptureFixture[str], *more: str, **changes: str) -> dict[str, Any]:
    """The answer of the command about the home with these changes."""
    home = write_home(lived, **changes)
    assert cli.main(["simulate-config", "--config", str(home), "--json", *more]) == WELL
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_the_same_configuration_rings_as_it_rang(lived: Path, capsys: pytest.CaptureFixture[str]):
    answer = ask(lived, capsys)
    found = rings(answer)
    assert found[("leak-k", "electrical")] == (1, 1, 1)
    assert found[("smoke-203", "fire")] == (1, 1, 1)
    assert not any(row["new"] or row["gone"] for row in answer["rings"]), answer["rings"]
    assert answer["readings"] < 40 * 60, "by exception"


def test_a_lower_limit_would_have_rung_and_the_value_is_told(lived: Path, capsys: pytest.CaptureFixture[str]):
    lower = {'kind = "leakage"': 'kind = "leakage"\nrule = { threshold = { alarm = 240 } }'}
    answer = ask(lived, capsys, **lower)
    (row,) = [row for row in answer["rings"] if (row["point"], row["class"]) == ("leak-k", "electrical")]
    assert (row["did"], row["would"], row["same"], len(row["gone"])) == (1, 2, 1, 0)
    (new,) = row["new"]
    begun_s = (new["wall_ms"] - answer["from_wall_ms"]) / 1000
    assert 1_208 <= begun_s <= 1_212, "8 s after the hump began"
    assert 245 <= new["value"] <= 255


def test_a_higher_limit_would_not_have_rung(lived: Path, capsys: pytest.CaptureFixture[str]):
    higher = {'kind = "leakage"': 'kind = "leakage"\nrule = { loosened = "old cables", threshold = { alarm = 400 } }'}
    answer = ask(lived, capsys, **higher)
    assert rings(answer)[("leak-k", "electrical")] == (1, 0, 0)


def test_a_point_that_is_new_or_gone_is_named_and_rings_nothing(lived: Path, capsys: pytest.CaptureFixture[str]):
    answer = ask(lived, capsys, **{'code = "smoke-203"': 'code = "smoke-999"'})
    assert answer["without_history"] == ["smoke-999"]
    assert answer["not_watched"] == ["smoke-203"]
    assert ("smoke-999", "fault") not in rings(answer), "that nothing was heard of it is no fault"
    assert rings(answer)[("smoke-203", "fire")] == (1, 0, 0)


def test_only_the_last_part_is_replayed_when_asked(lived: Path, capsys: pytest.CaptureFixture[str]):
    answer = ask(lived, capsys, "--days", "0.013")  # 18.7 minutes of 40: after both humps, before the smoke
    assert ("leak-k", "electrical") not in rings(answer)
    assert rings(answer)[("smoke-203", "fire")] == (1, 1, 1)


def test_people_are_told_what_it_cannot_know(lived: Path, capsys: pytest.CaptureFixture[str]):
    home = write_home(lived, **{'kind = "leakage"': 'kind = "leakage"\nrule = { threshold = { alarm = 240 } }'})
    assert cli.main(["simulate-config", "--config", str(home)]) == WELL
    out, err = capsys.readouterr()
    assert err == ""
    assert "rang 1, would ring 2" in out
    assert "contacts are approximate" in out and "between them" in out
    assert "Whether a value is stuck cannot be told" in out


def test_nothing_is_written(lived: Path, capsys: pytest.CaptureFixture[str]):
    before = (lived / "data" / FILE).read_bytes()
    ask(lived, capsys)
    assert (lived / "data" / FILE).read_bytes() == before


@pytest.mark.parametrize("days", ["0", "-1", "x", "nan", "99999"])
def test_a_number_of_days_that_is_none(lived: Path, days: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate-config", "--config", str(write_home(lived)), "--days", days])
    assert ended.value.code == WRONG
    assert "expected a number of days" in capsys.readouterr().err


def test_without_a_journal_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["simulate-config", "--config", str(write_home(tmp_path))]) == FAILED
    assert "no journal is there" in capsys.readouterr().err


def test_a_damaged_row_is_counted_and_the_rest_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    home = write_home(tmp_path)
    live(tmp_path, home, 12, evening, ACTS)
    db = sqlite3.connect(tmp_path / "data" / FILE)
    with db:
        (key,) = db.execute("SELECT max(key) FROM reading").fetchone()
        db.execute("UPDATE reading SET payload = x'00' WHERE key = ?", (key,))
    db.close()
    answer = ask(tmp_path, capsys)
    assert answer["unreadable"] == 1
    assert rings(answer)[("leak-k", "electrical")][0] == 1, "what is recorded as having rung is still told"


def test_a_restart_is_no_alarm(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    home = write_home(tmp_path)
    clock = live(tmp_path, home, 5, lambda point, second: evening(point, 0))
    live(tmp_path, home, 5, lambda point, second: evening(point, 0), mono_ms=clock.now_ms + 200 * SECOND)
    answer = ask(tmp_path, capsys)
    assert not any(row["new"] for row in answer["rings"]), answer["rings"]


def test_what_was_out_of_service_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    home = write_home(tmp_path)
    clock = live(tmp_path, home, 2, lambda point, second: evening(point, 0))
    with journal_in(tmp_path / "data", clock) as journal:
        journal.record([Transition(Kind.DISABLE, clock.now_ms, subject="smoke-203", who="x", why="battery")])
    assert ask(tmp_path, capsys)["disablements_and_tests"] == 1
    assert cli.main(["simulate-config", "--config", str(home)]) == WELL
    assert "1 disablements and walk tests were not replayed" in capsys.readouterr().out


def test_memory_does_not_grow_with_the_record(tmp_path: Path):
    def moving(point: str, second: int) -> int:
        return 90 + second % 2 * 10 if point == "leak-k" else 0

    live(tmp_path, write_home(tmp_path), 240, moving)
    setup = small_home(tmp_path)
    tracemalloc.start()
    try:
        answer = simulate(setup, tmp_path / "data", 7, lambda _: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.coverage.readings >= 240 * 60
    assert peak < 60 * answer.coverage.readings, "a reading that was kept would take more than its tuple's 64 bytes"
