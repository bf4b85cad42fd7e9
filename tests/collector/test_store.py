"""What a message changes in the store, on a real database with the real writer."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import audit
from collector.board import Board, conditions, fold_all
from collector.clock import Clock
from collector.ownlog import OwnEvent, OwnKind
from collector.records import AckDue, Delivery, EventSeen, OwnSeen, Receipt, Record
from collector.store import people, schema
from collector.store.intake import Intake
from collector.store.reader import Reader
from collector.store.writer import Writer
from device import wire
from tests.collector.gateway import Script
from tests.support import wait_until

DAY_MS = 86_400_000


class Store:
    """A writer on a folder, and all that it said after its commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_ms = 1_000
        self.records: list[Record] = []
        self.acks: list[AckDue] = []
        self.number = 0
        self.open()

    def open(self) -> None:
        clock = Clock(lambda: self.now_ms, lambda: self.now_ms)
        self.writer = Writer(self.folder, clock, self._committed)
        self.reader = Reader(self.folder)
        self.writer.start()

    def _committed(self, records: list[Record], acks: list[AckDue]) -> None:
        self.records += records
        self.acks += acks

    def close(self) -> None:
        self.reader.close()
        self.writer.stop()

    def send(self, script: Script, channel: str, message: Any, retained: bool = False) -> None:
        payload = message if isinstance(message, bytes) else wire.encode(message)
        self.number += 1
        receipt = Receipt(self.number, self.now_ms, self.now_ms)
        found = wire.Address(script.home, script.gateway, channel)
        delivery = Delivery(found, wire.decode(channel, payload), payload, receipt, retained)
        self.writer.run(lambda intake: intake.take(delivery)).result(10)

    def event(self, script: Script, *seqs: int) -> None:
        """Send events of the script by number."""
        for seq in seqs:
            self.send(script, wire.EVENT, script.payloads[seq])

    def acked(self, script: Script) -> tuple[int, int]:
        ack = next(due.ack for due in reversed(self.acks) if due.ack.journal == script.journal)
        return ack.event, ack.reading

    def noted(self, kind: OwnKind) -> list[OwnEvent]:
        return [record.own for record in self.records if isinstance(record, OwnSeen) and record.own.kind == kind]

    def stored(self, script: Script) -> list[int]:
        return [seq for seq, _ in self.reader.payloads(script.home, script.gateway, script.journal)]

    def faults(self) -> list[str]:
        return [fault for result in audit.audit_all(self.reader) for fault in result.faults]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "data")
    yield made
    made.close()


def script_of(count: int, **more: Any) -> Script:
    script = Script(**more)
    for number in range(count):
        script.event("raise" if number % 2 == 0 else "clear", "fire", "smoke-203")
    return script


# --- identity -------------------------------------------------------------------------------------------------------


def test_the_exact_bytes_are_kept(store: Store) -> None:
    script = script_of(3)
    store.event(script, 1, 2, 3)
    assert dict(store.reader.payloads("h01", "g1", script.journal)) == script.payloads


def test_the_same_message_again_changes_nothing(store: Store) -> None:
    script = script_of(2)
    store.event(script, 1, 2, 1, 2, 2)
    assert store.stored(script) == [1, 2]
    assert sum(isinstance(record, EventSeen) for record in store.records) == 2
    assert store.writer.counts["duplicates"] == 3
    assert store.acked(script) == (2, 0)


def test_the_same_number_with_other_content_is_put_aside_and_said_once(store: Store) -> None:
    script, other = script_of(2), script_of(1)
    impostor = other.event("raise", "fault", "leak-k")  # also number 2 of that journal
    store.event(script, 1, 2)
    for _ in range(3):
        store.send(script, wire.EVENT, impostor)
    assert dict(store.reader.payloads("h01", "g1", script.journal)) == script.payloads
    assert [entry.detail["seq"] for entry in store.noted(OwnKind.DUPLICATE)] == [2]
    rows = sqlite3.connect(store.folder / schema.FILE).execute("SELECT seq, payload FROM quarantine").fetchall()
    assert rows == [(2, impostor)]
    store.now_ms += DAY_MS
    store.send(script, wire.EVENT, impostor)
    assert len(store.noted(OwnKind.DUPLICATE)) == 2


def test_a_batch_that_comes_again_out_of_the_backlog_is_the_same_batch(store: Store) -> None:
    script = Script()
    batch = script.readings(("leak-k", 12, None))
    store.send(script, wire.READING, batch)
    store.send(script, wire.READING, batch._replace(live=False))
    assert store.writer.counts["duplicates"] == 1 and not store.noted(OwnKind.DUPLICATE)
    store.send(script, wire.READING, batch._replace(readings=(wire.Sample("leak-k", 0, 13, None),)))
    assert len(store.noted(OwnKind.DUPLICATE)) == 1


def test_gateways_and_journals_do_not_meet(store: Store) -> None:
    scripts = [script_of(1), script_of(1, gateway="g2"), script_of(1, home="h02"), script_of(1, journal="journal-b")]
    for script in scripts:
        store.event(script, 1)
    assert [store.stored(script) for script in scripts] == [[1]] * 4
    assert not store.noted(OwnKind.DUPLICATE)


# --- acknowledgement, gaps, chain -----------------------------------------------------------------------------------


def test_only_what_is_contiguous_is_acknowledged(store: Store) -> None:
    script = script_of(5)
    for seq, expected in ((1, 1), (3, 1), (5, 1), (2, 3), (4, 5)):
        store.event(script, seq)
        assert store.acked(script) == (expected, 0)
    assert store.faults() == []


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(list(range(1, 9))), again=st.lists(st.integers(1, 8), max_size=5))
def test_any_order_is_acknowledged_to_the_end(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], again: list[int]
) -> None:
    store = Store(tmp_path_factory.mktemp("order"))
    script = script_of(8)
    store.event(script, *order[:4], *again, *order[4:])
    assert store.acked(script) == (8, 0) and store.faults() == []
    store.close()


def test_live_readings_before_the_backlog(store: Store) -> None:
    script = Script()
    batches = [script.readings(("leak-k", number, None)) for number in range(5)]
    for number, expected in ((3, 0), (4, 0), (0, 1), (1, 2), (2, 5)):
        store.send(script, wire.READING, batches[number])
        assert store.acked(script) == (0, expected)


def test_what_the_gateway_does_not_hold_any_more_is_a_gap_and_is_passed_over(store: Store) -> None:
    script = script_of(9)
    store.event(script, 1, 4)
    store.send(script, wire.STATE, script.state(event_held=7, reading_held=3))
    gaps = [(entry.detail["lane"], entry.detail["first"], entry.detail["last"]) for entry in store.noted(OwnKind.GAP)]
    assert gaps == [("event", 2, 3), ("event", 5, 6), ("reading", 1, 2)]
    assert store.acked(script) == (6, 2)
    store.event(script, 7, 8, 9)
    assert store.acked(script) == (9, 2)
    store.send(script, wire.STATE, script.state(event_held=7, reading_held=3))
    assert len(store.noted(OwnKind.GAP)) == 3 and not store.noted(OwnKind.CHAIN_BREAK)
    assert store.faults() == []


def test_a_gateway_that_holds_nothing_leaves_no_gap(store: Store) -> None:
    script = script_of(2)
    store.event(script, 1, 2)
    store.send(script, wire.STATE, script.state(event_held=3))
    assert not store.noted(OwnKind.GAP)


def test_an_event_that_does_not_follow_is_said(store: Store) -> None:
    script, other = script_of(1), script_of(0)
    other.event("raise", "fault", "leak-k")
    forged = other.event("clear", "fault", "leak-k")
    store.event(script, 1)
    store.send(script, wire.EVENT, forged)
    assert [entry.detail["seq"] for entry in store.noted(OwnKind.CHAIN_BREAK)] == [2]
    assert store.faults() == ["event 2: does not follow the one before"]


def test_positions_survive_a_restart(store: Store) -> None:
    script = script_of(4)
    store.event(script, 1, 2, 4)
    store.close()
    store.open()
    store.writer.run(Intake.ask_acks).result(10)
    assert store.acked(script) == (2, 0)
    store.event(script, 3)
    assert store.acked(script) == (4, 0) and not store.noted(OwnKind.CHAIN_BREAK)


def test_a_recount_finds_a_position_that_rests_on_nothing(store: Store) -> None:
    script = script_of(6)
    store.event(script, 3)
    store.send(script, wire.STATE, script.state(event_held=3))
    store.event(script, 4, 5, 6)
    store.writer.run(lambda intake: intake.db.execute("DELETE FROM event WHERE seq = 5 AND gateway = 'g1'")).result(10)
    assert store.faults() == ["event 5: missing, and not said"]
    assert store.writer.run(Intake.recount).result(10) == 1
    store.event(script, 5)
    assert store.acked(script) == (6, 0) and store.faults() == []


# --- journals -------------------------------------------------------------------------------------------------------


def test_a_new_journal_is_said_and_both_are_kept(store: Store) -> None:
    old, new = script_of(2), script_of(1, journal="journal-b")
    store.event(old, 1)
    store.send(old, wire.STATE, old.state())
    store.send(new, wire.STATE, new.state())
    store.event(new, 1)
    store.event(old, 2)
    assert [entry.detail["before"] for entry in store.noted(OwnKind.NEW_JOURNAL)] == [old.journal]
    assert (store.stored(old), store.stored(new)) == ([1, 2], [1])
    assert (store.acked(old), store.acked(new)) == ((2, 0), (1, 0))


def test_the_board_follows_whoever_spoke_last_of_two_that_use_one_identity(store: Store) -> None:
    first, second = Script(), script_of(1, journal="journal-b")
    for script in (first, second, first, second):
        store.send(script, wire.STATE, script.state())
    assert [entry.detail["lane"] for entry in store.noted(OwnKind.DUPLICATE)] == ["journal", "journal"]
    for script, classes in ((first, []), (second, ["fire"])):
        store.send(script, wire.STATE, script.state())
        gateway = fold_all(Board(), store.records).gateways["h01", "g1"]
        assert [item.condition for item in conditions(gateway)] == classes


def test_what_the_broker_kept_of_another_journal_is_left_alone(store: Store) -> None:
    old, new = Script(), script_of(1, journal="journal-b")
    store.event(new, 1)
    store.send(old, wire.STATE, old.state(), retained=True)
    assert not store.noted(OwnKind.NEW_JOURNAL) and not store.noted(OwnKind.DUPLICATE)


def test_a_gateway_that_was_set_back_is_said(store: Store) -> None:
    script = script_of(5)
    store.event(script, 1, 2, 3, 4, 5)
    store.send(script, wire.STATE, script.state(event_seq=2, boot="boot-0002"))
    store.send(script, wire.STATE, script.state(event_seq=2, boot="boot-0002"))
    assert [entry.detail for entry in store.noted(OwnKind.REWOUND)] == [
        {"journal": script.journal, "seq": 2, "stored": 5}
    ]


def test_a_state_overtaken_by_an_event_is_no_set_back(store: Store) -> None:
    script = script_of(1)
    overtaken = script.state()
    script.event("clear", "fire", "smoke-203")
    store.event(script, 1, 2)
    store.send(script, wire.STATE, overtaken)
    assert not store.noted(OwnKind.REWOUND)


# --- the own log, the disk, people ----------------------------------------------------------------------------------


def test_the_own_log_is_one_chain_over_restarts(store: Store) -> None:
    store.writer.run(lambda intake: intake.note(OwnKind.START)).result(10)
    store.close()
    store.open()
    store.writer.run(lambda intake: intake.note(OwnKind.SILENT, "h01", "g1")).result(10)
    entries = store.reader.own_events()
    assert [entry.seq for entry in entries] == [1, 2]
    assert entries[1].prev == entries[0].hash and entries[1].boot != entries[0].boot
    assert store.faults() == []


def test_a_changed_row_is_found(store: Store) -> None:
    script = script_of(3)
    store.event(script, 1, 2, 3)
    change = "UPDATE event SET payload = replace(payload, 'smoke-203', 'smoke-204') WHERE seq = 2 AND gateway = 'g1'"
    store.writer.run(lambda intake: intake.db.execute(change)).result(10)
    assert store.faults() == ["event 2: hash: expected that of its bytes, got another"]
    assert [row.event.seq for row in store.reader.events().rows if row.event] == [3, 1]
    assert fold_all(Board(), store.reader.records()).gateways["h01", "g1"].events.keys() == {1, 3}


def test_nothing_is_said_before_the_commit_and_nothing_of_a_failed_one(store: Store) -> None:
    script = script_of(2)
    blocker = sqlite3.connect(store.folder / schema.FILE, isolation_level=None)
    store.writer.run(lambda intake: intake.db.execute("PRAGMA busy_timeout=50")).result(10)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        store.event(script, 1)
    assert store.writer.trouble and not store.acks and not store.records
    blocker.execute("ROLLBACK")
    blocker.close()
    wait_until(lambda: _sends(store, script), what="the writer to write again")
    assert store.acked(script) == (1, 0) and not store.writer.trouble


def _sends(store: Store, script: Script) -> bool:
    try:
        store.event(script, 1)
    except sqlite3.OperationalError:
        return False
    return True


def test_one_bad_job_does_not_take_the_others_of_its_batch_with_it(store: Store) -> None:
    script = script_of(2)
    gate = threading.Event()
    store.writer.run(lambda intake: gate.wait(10))
    good = [store.writer.run(lambda intake: intake.note(OwnKind.START)), None, None]
    bad = store.writer.run(lambda intake: intake.db.execute("INSERT INTO home (code) VALUES ('h01')"))
    good[1] = store.writer.run(lambda intake: intake.note(OwnKind.STOP))
    gate.set()
    with pytest.raises(sqlite3.IntegrityError):
        bad.result(10)
    for future in good[:2]:
        assert future is not None
        future.result(10)
    store.event(script, 1)
    assert [entry.kind for entry in store.reader.own_events()] == ["start", "stop"]
    assert store.faults() == []


def test_a_quiet_night_writes_nothing(store: Store) -> None:
    script = Script()
    store.send(script, wire.STATE, script.state())
    changes = "SELECT total_changes()"
    before = store.writer.run(lambda intake: intake.db.execute(changes).fetchone()).result(10)
    for _ in range(5):
        store.send(script, wire.STATE, script.state())
    assert store.writer.run(lambda intake: intake.db.execute(changes).fetchone()).result(10) == before
    store.send(script, wire.STATE, script.state(unproven=("smoke-203",)))
    assert store.writer.run(lambda intake: intake.db.execute(changes).fetchone()).result(10) > before


def test_old_readings_go_and_events_stay(store: Store) -> None:
    script = script_of(1)
    store.event(script, 1)
    for _ in range(3):
        store.send(script, wire.READING, script.readings(("leak-k", 1, None)))
        store.now_ms += DAY_MS
    gone = store.writer.run(lambda intake: people.prune_readings(intake, store.now_ms - 2 * DAY_MS)).result(10)
    assert gone == 1 and store.stored(script) == [1]


def test_the_board_folded_from_the_store_is_the_board_as_it_lived(store: Store) -> None:
    script = script_of(3)
    store.send(script, wire.POINTS, script.points())
    store.event(script, 1)
    store.send(script, wire.STATE, script.state(event_seq=1))
    store.event(script, 2, 3)
    store.send(script, wire.READING, script.readings(("leak-k", 1, None)))
    store.writer.run(lambda intake: intake.note(OwnKind.SILENT, "h01", "g1")).result(10)
    lived = fold_all(Board(), store.records).gateways["h01", "g1"]
    rebuilt = fold_all(Board(), store.reader.records()).gateways["h01", "g1"]
    assert conditions(rebuilt) == conditions(lived) and conditions(lived)
    assert (rebuilt.values, rebuilt.silent, rebuilt.notices) == (lived.values, lived.silent, lived.notices)
    assert rebuilt.heard_ms is None and rebuilt.state is not None and not rebuilt.state.is_live


def test_what_stood_in_an_old_journal_still_stands_after_a_restart_of_the_collector(store: Store) -> None:
    old, new = script_of(1), script_of(1, journal="journal-b")
    store.event(old, 1)
    store.send(old, wire.STATE, old.state())
    store.event(new, 1)
    lived, rebuilt = (
        fold_all(Board(), records).gateways["h01", "g1"] for records in (store.records, store.reader.records())
    )
    assert [item.journal for item in conditions(rebuilt)] == [item.journal for item in conditions(lived)]
    store.send(new, wire.STATE, new.state(active=()))
    assert conditions(fold_all(Board(), store.reader.records()).gateways["h01", "g1"]) == ()


def test_events_are_paged_by_key(store: Store) -> None:
    script = script_of(7)
    store.event(script, *range(1, 8))
    page = store.reader.events(limit=3, home="h01")
    pages = [page]
    while page.next is not None:
        page = store.reader.events(before=page.next, limit=3, home="h01")
        pages.append(page)
    assert [[row.event.seq for row in page.rows if row.event] for page in pages] == [[7, 6, 5], [4, 3, 2], [1]]
    assert store.reader.events(condition="fault") == ([], None)
    assert store.reader.events(limit=7).next is None


def test_a_damaged_database_is_told_from_a_whole_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.event(script_of(200), *range(1, 201))
    store.close()
    assert not schema.is_damaged(tmp_path) and not schema.is_damaged(tmp_path / "nothing")
    path = tmp_path / schema.FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes(len(whole) // 2) + whole[100 + len(whole) // 2 :])
    assert schema.is_damaged(tmp_path)
    aside = schema.move_aside(tmp_path, 7)
    assert aside.exists() and not path.exists()
