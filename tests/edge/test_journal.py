"""The journal on a real disk: restart, grouping, retention, damage, refusal."""

import random
import sqlite3
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from device import wire
from edge.core.values import Class, Kind, Reading, Unknown
from edge.journal import Journal, JournalConfig, verify
from edge.journal import writer as writer_module
from edge.journal.copy import FILE as COPY
from edge.journal.layout import FILE
from edge.schema import Ms
from tests.edge.parts import SetClock, batch_of, events_of, journal_in, offered, readings_of, smoke
from tests.support import wait_until

DAY_MS = 86_400_000


def decoded(journal: Journal, name: str | None = None) -> list[wire.Event]:
    return [wire.decode_event(payload) for payload in events_of(journal, name)]


def fill(journal: Journal, count: int) -> None:
    before = journal.volume().event_seq
    for number in range(count):
        journal.record([smoke(number)])
    offered(journal, before + count)


def test_an_event_as_the_collector_gets_it(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        stamp_ms = journal.clock.mono_ms()
        journal.record([smoke(203, stamp_ms - 40)], stamp_ms - 35, lambda subject: "mA" if subject else "")
        offered(journal, 1)
        (event,) = decoded(journal)
    assert (event.journal, event.seq, event.prev) == (journal.volume().journal, 1, wire.GENESIS)
    assert (event.kind, event.condition, event.zone, event.point) == ("raise", "fire", "f2", "smoke-203")
    assert (event.mono_ms, event.sounded_ms, event.order) == (stamp_ms - 40, stamp_ms - 35, 1)
    assert (event.durable, event.clock_ok, event.boot, event.unit) == (True, True, SetClock.boot, "mA")
    assert 0 <= event.wall_ms - (1_700_000_000_000 + stamp_ms - 40) < 1000  # the wall clock at the time of the cause


def test_only_what_sounds_carries_when_it_sounded(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        journal.record([smoke(1), smoke(1, kind=Kind.ACKNOWLEDGE)], 77)
        offered(journal, 2)
        assert [event.sounded_ms for event in decoded(journal)] == [77, None]


def test_restart_goes_on_where_it_was(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        journal.record([smoke(1)], snapshot=b"one")
        journal.record([smoke(2)], snapshot=b"two")
        offered(journal, 2)
        journal.acknowledge(journal.volume().journal, 1, 0)
        first = journal.volume()
    with journal_in(tmp_path) as journal:
        assert journal.volume() == first
        assert journal.snapshot is not None
        assert (journal.snapshot.body, journal.snapshot.saved.boot) == (b"two", SetClock.boot)
        assert journal.raised_seq(Class.FIRE, "smoke-2") == 2
        fill(journal, 1)
        assert [event.why for event in decoded(journal)] == ["no. 1", "no. 2", "no. 0"]
    (chain,) = verify(tmp_path)
    assert (chain.first_seq, chain.last_seq, chain.broken_seq) == (1, 3, None)


def test_the_panel_alone_is_saved(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        journal.save_state(b"quiet")
    with journal_in(tmp_path) as journal:
        assert journal.snapshot is not None
        assert journal.snapshot.body == b"quiet"
        assert journal.volume().event_seq == 0


def test_readings_are_written_together_and_ride_along_with_events(tmp_path: Path):
    with journal_in(tmp_path, config=JournalConfig(readings_every=Ms(10_000))) as journal:
        now_ms = journal.clock.mono_ms()
        for number in range(5):
            lost = Reading("lost", None, Unknown.TIMEOUT)
            journal.observe([Reading(f"leak-{number}", number), lost], now_ms + number)
        assert journal.volume().reading_seq == 0
        fill(journal, 1)
        assert journal.volume().reading_seq == 1
        (payload,) = readings_of(journal)
    batch = batch_of(payload)
    assert [(item.point, item.offset_ms, item.value) for item in batch.readings] == [
        ("leak-0", 0, 0), ("lost", 0, None), ("leak-1", 1, 1), ("leak-2", 2, 2), ("leak-3", 3, 3), ("leak-4", 4, 4),
    ]  # fmt: skip
    assert (batch.mono_ms, batch.live) == (now_ms, False)


def test_many_readings_are_cut_into_batches(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        journal.set_live(True)
        journal.observe([Reading(f"p{number}", 1) for number in range(2 * wire.MAX_BATCH + 1)], 10)
        wait_until(lambda: journal.volume().reading_seq == 3)
        batches = [batch_of(payload) for payload in readings_of(journal)]
    assert [len(batch.readings) for batch in batches] == [wire.MAX_BATCH, wire.MAX_BATCH, 1]
    assert all(batch.live for batch in batches)


def test_waiting_readings_are_written_at_the_close(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        journal.observe([Reading("leak-k", 1)], 10)
    with journal_in(tmp_path) as journal:
        assert journal.volume().reading_seq == 1
        assert len(readings_of(journal)) == 1


def care(folder: Path, clock: SetClock, config: JournalConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open, have it pruned once, close."""
    monkeypatch.setattr(writer_module, "CARE_FIRST_MS", 0)
    with journal_in(folder, clock, config) as journal:
        wait_until(lambda: journal._writer._care_ms > journal.clock.mono_ms() + 1000, what="the care of the file")


@pytest.mark.parametrize(
    ("acked", "days", "trusted", "left"),
    [
        (30, 91, True, 10),  # all old: the last ten rows stay
        (15, 91, True, 15),  # what the collector does not have stays
        (30, 89, True, 30),  # nothing is old
        (30, 91, False, 30),  # by a clock that nobody vouches for, nothing is old
        (30, -9_000, True, 30),  # nor by one that was set back
    ],
)
def test_events_are_let_go_only_when_old_acknowledged_and_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acked: int, days: int, trusted: bool, left: int
):
    clock = SetClock()
    with journal_in(tmp_path, clock) as journal:
        fill(journal, 30)
        journal.acknowledge(journal.volume().journal, acked, 0)
    clock.skew_ms, clock.trusted = days * DAY_MS, trusted
    config = JournalConfig(keep_event_rows=10)
    care(tmp_path, clock, config, monkeypatch)
    with journal_in(tmp_path, clock, config) as journal:
        volume = journal.volume()
        assert (volume.event_seq, volume.event_held) == (30, 31 - left)
        fill(journal, 1)
    (chain,) = verify(tmp_path)
    assert (chain.first_seq, chain.last_seq, chain.broken_seq) == (31 - left, 31, None)


def test_old_acknowledged_readings_are_let_go_and_numbers_never_start_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = SetClock()
    with journal_in(tmp_path, clock) as journal:
        journal.observe([Reading("leak-k", 1)], clock.mono_ms())
        fill(journal, 1)
        journal.acknowledge(journal.volume().journal, 0, 1)
    clock.skew_ms = 8 * DAY_MS
    care(tmp_path, clock, JournalConfig(), monkeypatch)
    with journal_in(tmp_path, clock) as journal:
        assert readings_of(journal) == []
        assert journal.volume()[4:] == (1, 2, 1)
        journal.observe([Reading("leak-k", 1)], clock.mono_ms())
        fill(journal, 1)
        assert journal.volume().reading_seq == 2


def test_beyond_the_budget_the_oldest_readings_go_and_the_loss_is_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = SetClock()
    with journal_in(tmp_path, clock) as journal:
        for number in range(150):
            journal.observe([Reading(f"point-with-a-long-name-{i}", number) for i in range(wire.MAX_BATCH)], number)
            wait_until(partial(lambda seq: journal.volume().reading_seq == seq, number + 1))
        fill(journal, 1)
    care(tmp_path, clock, JournalConfig(budget_mb=2), monkeypatch)
    with journal_in(tmp_path, clock) as journal:
        volume = journal.volume()
        assert 1 < volume.reading_held < volume.reading_seq == 150
        gaps = [event.why for event in decoded(journal) if event.kind == "gap"]
        spans = [tuple(int(part.split("=")[1]) for part in why.split()[2:4]) for why in gaps]
        assert spans[0][0] == 1
        assert all(earlier[1] + 1 == later[0] for earlier, later in pairwise(spans))
        assert spans[-1][1] == volume.reading_held - 1
        assert "cause=space" in gaps[0]


def damage(folder: Path, *spots: float) -> None:
    """Overwrite a page at each of these parts of the file, as a dying card does. What was there is gone."""
    path = folder / FILE
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    content = bytearray(path.read_bytes())
    for spot in spots:
        page = int(len(content) / 4096 * spot) * 4096
        content[page : page + 4096] = random.Random(1).randbytes(4096)
    path.write_bytes(content)


def test_a_damaged_database_without_its_copy_is_moved_aside_and_what_is_sound_is_saved(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        fill(journal, 400)
        old = journal.volume().journal
    damage(tmp_path, 0.5)
    (tmp_path / COPY).unlink()
    with journal_in(tmp_path) as journal:
        assert journal.recovered_from is not None
        assert journal.recovered_from.exists()
        assert journal.volume().journal != old
        wait_until(lambda: not journal.is_disk_faulty, what="the new database")
        saved = [event.seq for event in decoded(journal, old)]
        assert saved[-1] == 400
        assert saved == list(range(saved[0], 401))
        assert saved[0] > 1
        fill(journal, 1)
        whys = [event.why for event in decoded(journal)]
        assert whys[0].startswith("lane=event cause=damage")
        assert whys[1] == f"lane=event journal={old} from=1 to={saved[0] - 1} cause=damage"
        assert whys[2] == f"lane=reading journal={old} from=1 cause=damage"
    assert [chain.broken_seq for chain in verify(tmp_path)] == [None, None]
    with journal_in(tmp_path) as journal:
        assert journal.recovered_from is None


@pytest.mark.parametrize("content", [b"", b"this is no database" * 1000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes):
    (tmp_path / FILE).write_bytes(content)
    with journal_in(tmp_path) as journal:
        fill(journal, 3)
        assert (journal.recovered_from is None) == (content == b"")
        wait_until(lambda: journal.disk == "ok")
        gaps = [event.why for event in decoded(journal) if event.kind == "gap"]
        lost = [f"lane={lane} journal=* from=1 cause=damage" for lane in ("event", "reading")]
        assert gaps[1:] == ([] if content == b"" else lost), "the collector need not wait for what came before"
    assert verify(tmp_path)[-1].broken_seq is None


def test_a_volume_without_one_sound_event_is_said_to_be_lost(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        fill(journal, 3)
        old = journal.volume().journal
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("UPDATE event SET payload = 'x'")
    other.close()
    (tmp_path / COPY).unlink()
    with journal_in(tmp_path) as journal:
        fill(journal, 1)
        wait_until(lambda: journal.disk == "ok")
        assert journal.find(old) is None
        gaps = [event.why for event in decoded(journal) if event.kind == "gap"]
        assert gaps[1:] == [f"lane={lane} journal={old} from=1 cause=damage" for lane in ("event", "reading")]


def test_damage_met_while_running(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        journal.observe([Reading(f"p{number}", 1) for number in range(wire.MAX_BATCH)], 1)
        fill(journal, 5)
        first = journal.volume().journal
        with sqlite3.connect(tmp_path / FILE) as other:  # another hand breaks the schema under us
            other.execute("PRAGMA writable_schema=ON")
            other.execute("UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'event'")
            other.execute("PRAGMA schema_version=99")
        other.close()
        journal.record([smoke(99)])
        wait_until(lambda: journal.recovered_from, what="the damage to be met")
        wait_until(lambda: "no. 99" in [event.why for event in decoded(journal)])
        assert journal.volume().journal != first
        wait_until(lambda: not journal.is_disk_faulty)
        fill(journal, 2)
    assert verify(tmp_path)[-1].broken_seq is None


def test_a_folder_that_cannot_be_written_is_a_fault_and_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer_module, "OPEN_WITHIN_MS", 100)
    monkeypatch.setattr(writer_module, "RETRY_MAX_MS", 300)
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "journal"
    with journal_in(folder) as journal:
        journal.record([smoke(1)], snapshot=b"{}")
        assert journal.snapshot is None
        wait_until(lambda: journal.is_disk_faulty)
        assert journal.disk == "failed"
        wait_until(lambda: journal.pull() is None and journal.volume().event_seq == 1)
        (event,) = decoded(journal)
        assert not event.durable
        (tmp_path / "file").unlink()  # the disk appears
        wait_until(lambda: journal.disk == "ok")
        fill(journal, 1)
        assert [event.durable for event in decoded(journal)] == [False, True]
    with journal_in(folder) as journal:
        assert [event.why for event in decoded(journal)] == ["no. 1", "no. 0"]
        assert journal.snapshot is not None


def test_a_database_that_another_holds_is_waited_for_and_then_gone_around(tmp_path: Path):
    told: list[int] = []
    with journal_in(tmp_path) as journal:
        fill(journal, 2)
        old = journal.volume().journal
        journal.subscribe(lambda: told.append(1))
        holder = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        journal.record([smoke(3)], snapshot=b"three")
        due_ms = journal.pull()
        assert due_ms is not None
        assert journal.clock.mono_ms() < due_ms <= journal.clock.mono_ms() + 2_000
        assert journal.volume().event_seq == 2
        wait_until(lambda: journal.pull() is None and journal.is_disk_faulty)
        sent = events_of(journal)
        assert [wire.decode_event(payload).durable for payload in sent] == [False]
        journal.record([smoke(4)])
        journal.pull()
        sent = events_of(journal)
        assert [wire.decode_event(payload).why for payload in sent] == ["no. 3", "no. 4"]
        holder.close()
        wait_until(lambda: not journal.is_disk_faulty, timeout_s=20)
        new = journal.volume().journal
        fill(journal, 1)
        assert told
    assert old != new
    with journal_in(tmp_path) as journal:
        assert [event.why for event in decoded(journal, old)] == ["no. 0", "no. 1"]
        assert events_of(journal, new)[:2] == sent
        assert [event.durable for event in decoded(journal, new)] == [False, False, True]
        assert journal.snapshot is not None
        assert journal.snapshot.body == b"three"
    assert [chain.broken_seq for chain in verify(tmp_path)] == [None, None]


def test_the_file_is_taken_away_while_running(tmp_path: Path):
    with journal_in(tmp_path) as journal:
        fill(journal, 2)
        first = journal.volume().journal
        journal._writer._close_database()  # as after any error: the next commit opens the file again
        for path in tmp_path.glob(FILE + "*"):
            path.unlink()
        journal.record([smoke(3)])
        wait_until(lambda: journal.volume().journal != first and journal.volume().event_seq >= 1)
        wait_until(lambda: not journal.is_disk_faulty)
    assert verify(tmp_path)[-1].broken_seq is None


def test_empty_closed_volumes_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = SetClock()
    with journal_in(tmp_path, clock) as journal:
        fill(journal, 2)
        old = journal.volume().journal
        journal.acknowledge(old, 2, 0)
        with journal._intake.lock:
            journal._intake.ledger.leave_disk()
        journal.record([smoke(5)])
        wait_until(lambda: not journal.is_disk_faulty)
        assert journal.volumes()[0].journal == old
    clock.skew_ms = 91 * DAY_MS
    care(tmp_path, clock, JournalConfig(keep_event_rows=0), monkeypatch)
    with journal_in(tmp_path, clock) as journal:
        assert [volume.journal for volume in journal.volumes()] == [journal.volume().journal]
        assert journal.volume().journal != old


FOURTH = "FROM event x WHERE x.key & 1023 = 4"
OTHER = "replace(CAST(payload AS TEXT), 'no. 4', 'no. 9')"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (f"UPDATE event SET payload = CAST({OTHER} AS BLOB) WHERE key & 1023 = 5", "hash"),
        (f"UPDATE event SET payload = {OTHER} WHERE key & 1023 = 5", "bytes"),
        ("DELETE FROM event WHERE key & 1023 = 5", "missing"),
        (f"UPDATE event SET payload = x.payload {FOURTH} AND event.key & 1023 = 5", "expected event 5"),
    ],
)
def test_verify_names_the_first_broken_event(tmp_path: Path, change: str, problem: str):
    with journal_in(tmp_path) as journal:
        fill(journal, 9)
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute(change).rowcount == 1
    db.close()
    (chain,) = verify(tmp_path)
    assert (chain.broken_seq, chain.last_seq) == (5, 4)
    assert problem in chain.problem


def test_acknowledgements_survive_a_restart_and_may_go_back(tmp_path: Path):
    for acked in (3, 1):
        with journal_in(tmp_path) as journal:
            fill(journal, 3)
            journal.acknowledge(journal.volume().journal, acked, 0)
            journal.acknowledge("somebody-elses", 2, 0)
        with journal_in(tmp_path) as journal:
            assert journal.volume().event_acked == acked
