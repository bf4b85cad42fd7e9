"""What is usual is learned from a real journal by a process of its own, and what goes wrong there does no harm."""

import asyncio
import json
import random
import time
from pathlib import Path

import pytest

from edge import learning, usual
from edge.core.values import Learned, Reading
from edge.journal import Journal, JournalConfig
from edge.usual import DAY_MS, MIN_DAYS, MOST
from tests.edge.home import FakeClock, small_home

HOUR_MS = 3_600_000
MIDNIGHT_MS = 1_700_000_000_000 - 1_700_000_000_000 % DAY_MS
MARGINS = {"leak-k": 30}


def nights_and_days(days: int, noise: int = 0, seed: int = 1) -> list[tuple[str, int, int | None]]:
    """A circuit that leaks 40 mA from 22 to 6 and 120 by day, kept every ten minutes."""
    chance = random.Random(seed)
    return [
        (
            "leak-k",
            at_ms,
            (40 if at_ms % DAY_MS // HOUR_MS in (22, 23, 0, 1, 2, 3, 4, 5) else 120) + chance.randint(0, noise),
        )
        for at_ms in range(MIDNIGHT_MS, MIDNIGHT_MS + days * DAY_MS, 600_000)
    ]


def hour_of(utc_hour: int) -> int:
    """The machine's own hour of the day at that one."""
    return time.localtime((MIDNIGHT_MS + utc_hour * HOUR_MS) // 1000).tm_hour


def test_each_hour_has_a_limit_above_what_it_is_used_to() -> None:
    limits = usual.usual(iter(nights_and_days(14)), MARGINS)["leak-k"]
    assert limits[hour_of(2)] == 70, "40 and the margin of 30, which is more than half of it"
    assert limits[hour_of(12)] == 180, "120 and half as much again"
    assert len(limits) == 24


def test_a_spike_in_a_hundred_minutes_is_not_usual() -> None:
    samples = nights_and_days(28)
    samples[300] = ("leak-k", samples[300][1], 900)
    assert max(usual.usual(iter(samples), MARGINS)["leak-k"]) == 180


def test_too_few_days_are_no_habit() -> None:
    assert usual.usual(iter(nights_and_days(MIN_DAYS - 1)), MARGINS) == {}
    half = [item for item in nights_and_days(14) if item[1] % DAY_MS < 12 * HOUR_MS]
    limits = usual.usual(iter(half), MARGINS)["leak-k"]
    assert limits[hour_of(20)] == MOST and limits[hour_of(2)] == 70


def test_what_was_not_read_counts_for_nothing() -> None:
    samples: list[tuple[str, int, int | None]] = []
    for _, at_ms, value in nights_and_days(14):
        samples += [("leak-k", at_ms, value), ("leak-k", at_ms + 60_000, None), ("other", at_ms, 5_000)]
    assert max(usual.usual(iter(samples), MARGINS)["leak-k"]) == 180


def journal_of(folder: Path, days: int, trusted: bool = True) -> None:
    """A real journal with so many days of readings in it, up to now."""
    clock = FakeClock(0)
    clock.is_trusted = trusted
    now_ms = time.time_ns() // 1_000_000
    clock.wall_of_mono_ms = now_ms - days * DAY_MS
    journal = Journal(folder, clock, JournalConfig(readings_every=1))  # type: ignore[arg-type]
    journal.start()
    try:
        for clock.now_ms in range(0, days * DAY_MS, 1_800_000):
            journal.observe([Reading("leak-k", 40 + clock.now_ms // 1_800_000 % 3), Reading("heat-k", 1)], clock.now_ms)
    finally:
        journal.close()


def test_it_is_learned_from_a_journal_by_another_process(tmp_path: Path) -> None:
    journal_of(tmp_path, days=10)
    (found,) = asyncio.run(learning.learn(str(tmp_path), MARGINS))
    assert found.point == "leak-k" and set(found.usual) <= {70, 71, 72, MOST}
    assert found.usual.count(MOST) <= 2, "hours at the seams may have been seen on fewer days"


def test_days_without_a_trusted_clock_teach_nothing(tmp_path: Path) -> None:
    journal_of(tmp_path, days=10, trusted=False)
    assert asyncio.run(learning.learn(str(tmp_path), MARGINS)) == []


def test_older_readings_are_skipped_without_being_read(tmp_path: Path) -> None:
    journal_of(tmp_path, days=20)
    since_ms = time.time_ns() // 1_000_000 - 2 * DAY_MS
    times = [at_ms for _, at_ms, _ in usual.samples_in(tmp_path, since_ms, MARGINS, rest_s=0)]
    assert times and since_ms - 6 * DAY_MS < min(times) < since_ms, "a batch of this test is five days long"


def test_a_journal_that_is_not_there_is_said_and_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Learned] = []
    setup = small_home(tmp_path)
    assert setup.learned == {"leak-k": 30}

    async def once() -> None:
        task = asyncio.create_task(learning.keep_learning(setup, told.append, first_s=0))
        while "could not be learned" not in caplog.text:
            await asyncio.sleep(0.01)
        assert not task.done(), "it is tried again the next day"
        task.cancel()

    asyncio.run(asyncio.wait_for(once(), 30))
    assert told == []


@pytest.mark.parametrize("said", ["nonsense", "[]", json.dumps({"leak-k": [1, 2]}), json.dumps({"leak-k": ["x"] * 24})])
def test_nonsense_is_not_taken_for_a_habit(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "says"
    script.write_text(f"#!/bin/sh\nprintf '%s' '{said}'\n")
    script.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(script))
    with pytest.raises((ValueError, AttributeError)):
        asyncio.run(learning.learn(str(tmp_path), MARGINS))


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "hangs"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(script))
    with pytest.raises(TimeoutError):
        asyncio.run(learning.learn(str(tmp_path), MARGINS, within_s=0.2))
