"""The journal's memory against a disk that commits late, refuses, or lands what was given up."""

import copy
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from device import wire
from edge.core.values import Class, Kind, Transition
from edge.journal import ledger as ledger_module
from edge.journal.ledger import Batch, Ledger
from edge.journal.volume import Book, Entry, Sample, Stamp
from tests.edge.parts import batch_of, smoke

STAMP = Stamp("boot-of-the-test", 5_000, 1_700_000_000_000, True)


def entry(transition: Transition) -> Entry:
    return Entry(transition, "", STAMP.boot, STAMP.wall_ms, True, None, transition.at_ms)


class Disk:
    """What commits leave behind: rows by (journal, seq)."""

    def __init__(self) -> None:
        self.events: dict[tuple[str, int], bytes] = {}
        self.numbers = 0

    def land(self, batch: Batch) -> None:
        for row in batch.superseded:
            self.events.pop((row.book.journal, row.seq), None)
        for row in batch.events:
            self.events[row.book.journal, row.seq] = row.payload
        for book in batch.books:
            self.numbers += 1
            book.number = self.numbers


def offered_of(ledger: Ledger) -> dict[tuple[str, int], bytes]:
    found: dict[tuple[str, int], bytes] = {}
    for book in ledger.books:
        for seq, payload in ledger.in_memory(False, book.journal, 0, 10_000):
            found[book.journal, seq] = payload
    return found


def whys(payloads: list[bytes]) -> list[str]:
    return [wire.decode_event(payload).why for payload in payloads]


def test_nothing_is_offered_before_it_is_on_disk():
    ledger = Ledger()
    ledger.seal(entry(smoke(1)))
    assert not offered_of(ledger)
    batch = ledger.batch()
    ledger.committed(batch)
    (payload,) = offered_of(ledger).values()
    assert wire.decode_event(payload).durable


def test_a_dead_disk_lets_events_leave_in_a_volume_of_their_own():
    ledger, disk = Ledger(), Disk()
    ledger.seal(entry(smoke(1)))
    first = ledger.batch()
    disk.land(first)
    ledger.committed(first)
    old = ledger.current.journal
    ledger.seal(entry(smoke(2)))
    stuck = ledger.batch()
    ledger.leave_disk()
    ledger.seal(entry(smoke(3)))
    new = ledger.current.journal
    assert new != old
    sent = ledger.in_memory(False, new, 0, 10)
    assert [wire.decode_event(payload).durable for _, payload in sent] == [False, False]
    assert whys([payload for _, payload in sent]) == ["no. 2", "no. 3"]
    disk.land(stuck)  # the commit that was given up comes through after all
    ledger.committed(stuck)
    gone = ledger.find(old)
    assert gone is not None
    assert (gone.event.offered, gone.event.seq) == (1, 1)
    last = ledger.batch()
    disk.land(last)
    ledger.committed(last)
    assert sorted(disk.events) == sorted([(old, 1), (new, 1), (new, 2)])
    assert disk.events[new, 1] == sent[0][1]


def test_the_raising_event_is_known_until_it_is_cleared():
    ledger = Ledger()
    ledger.seal(entry(smoke(7)))
    ledger.seal(entry(smoke(8)))
    assert ledger.raised_seq(Class.FIRE, "smoke-8") == 2
    ledger.seal(entry(smoke(8, kind=Kind.ACKNOWLEDGE)))
    assert ledger.raised_seq(Class.FIRE, "smoke-8") == 2
    ledger.seal(entry(smoke(8, kind=Kind.CLEAR)))
    assert ledger.raised_seq(Class.FIRE, "smoke-8") == 0
    assert ledger.raised_seq(Class.FIRE, "smoke-7") == 1
    ledger.leave_disk()  # nothing was offered: both are numbered anew
    assert ledger.raised_seq(Class.FIRE, "smoke-7") == 1


def test_readings_without_a_disk_are_bounded_and_the_loss_is_written_down():
    ledger = Ledger()
    ledger.leave_disk()
    for number in range(ledger_module.MAX_READINGS + 3):
        ledger.seal_readings([Sample("leak-k", number, number, None)], STAMP, False)
    book = ledger.current
    assert book.reading.held == 4
    assert not ledger.in_memory(True, book.journal, 2, 1)
    assert ledger.in_memory(True, book.journal, 3, 1)
    ledger.return_to_disk()
    ledger.say_losses(STAMP)
    event = wire.decode_event(ledger.batch().events[-1].payload)
    assert (event.kind, event.why) == ("gap", f"lane=reading journal={book.journal} from=1 to=3 cause=memory")


def test_a_bad_name_takes_no_other_reading_with_it():
    ledger = Ledger()
    ledger.seal_readings([Sample("not a code", 1, 1, None), Sample("leak-k", 2, 2, None)], STAMP, False)
    ledger.seal_readings([Sample("not a code", 1, 1, None)], STAMP, False)
    (row,) = ledger.batch().readings
    assert [sample.point for sample in batch_of(row.payload).readings] == ["leak-k"]


def test_what_was_sent_but_not_written_follows_what_was_salvaged():
    ledger, disk = Ledger(), Disk()
    ledger.leave_disk()
    for number in (1, 2, 3, 4):
        ledger.seal(entry(smoke(number)))
        if number < 3:
            batch = ledger.batch()
            disk.land(batch)
            ledger.committed(batch)
    sent = offered_of(ledger)
    name = ledger.current.journal
    for saved, lost in ((2, []), (1, [(name, 3), (name, 4)])):
        trial = copy.deepcopy(ledger)
        book = Book(name, 1)
        book.event.seq = book.event.offered = saved
        assert trial.start_over([book]) == lost
        assert trial.current.journal != name
        trial.seal(entry(smoke(5)))
        batch = trial.batch()
        rows = {(row.book.journal, row.seq): row.payload for row in batch.events}
        assert {key: rows[key] for key in rows if key[0] == name} == {
            key: payload for key, payload in sent.items() if key[1] > 2 and not lost
        }
        assert (trial.current.journal, 1) in rows


@pytest.mark.parametrize(
    ("field", "given", "sent"),
    [
        ("why", "x" * 500, "x" * 400),
        ("why", "a\ud800b", "a?b"),
        ("who", "守" * 401, "守" * 400),
        ("value", 1 << 60, None),
        ("at_ms", -5, 0),
    ],
)
def test_an_event_is_never_refused_for_its_wording(field: str, given: Any, sent: Any):
    transition = Transition(**{"kind": Kind.RAISE, "at_ms": 1, field: given})
    event = wire.decode_event(Book().seal(entry(transition), is_durable=True).payload)
    assert getattr(event, {"at_ms": "mono_ms"}.get(field, field)) == sent


class LedgerMachine(RuleBasedStateMachine):
    """Any order of sealing, commits that land, fail or land late, and of giving the disk up and finding it again."""

    @initialize()
    def start(self) -> None:
        self.ledger = Ledger()
        self.disk = Disk()
        self.given = 0
        self.stuck: Batch | None = None
        self.sent: dict[tuple[str, int], bytes] = {}

    @rule(count=st.integers(1, 3))
    def seal(self, count: int) -> None:
        for _ in range(count):
            self.given += 1
            self.ledger.seal(entry(smoke(self.given)))

    @precondition(lambda self: self.stuck is None)
    @rule()
    def begin_commit(self) -> None:
        self.stuck = self.ledger.batch()

    @precondition(lambda self: self.stuck is not None)
    @rule()
    def commit_lands(self) -> None:
        assert self.stuck is not None
        self.disk.land(self.stuck)
        self.ledger.committed(self.stuck)
        self.stuck = None

    @precondition(lambda self: self.stuck is not None)
    @rule()
    def commit_fails(self) -> None:
        self.stuck = None

    @precondition(lambda self: not self.ledger.is_memory)
    @rule()
    def disk_dies(self) -> None:
        self.ledger.leave_disk()

    @precondition(lambda self: self.ledger.is_memory)
    @rule()
    def disk_returns(self) -> None:
        self.ledger.return_to_disk()

    @invariant()
    def what_left_never_changes_and_was_durable_or_said_so(self) -> None:
        for key, payload in offered_of(self.ledger).items():
            assert self.sent.setdefault(key, payload) == payload
            assert key in self.disk.events or not wire.decode_event(payload).durable

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        self.stuck = None
        for _ in range(2):
            batch = self.ledger.batch()
            self.disk.land(batch)
            self.ledger.committed(batch)
        self.what_left_never_changes_and_was_durable_or_said_so()
        assert self.sent == self.disk.events
        told: list[str] = []
        for book in self.ledger.books:
            head = wire.GENESIS
            mine = sorted((seq, payload) for (journal, seq), payload in self.sent.items() if journal == book.journal)
            for place, (seq, payload) in enumerate(mine, 1):
                event = wire.decode_event(payload)
                assert (seq, event.prev) == (place, head)
                head = event.hash
                told.append(event.why)
        assert told == [f"no. {number}" for number in range(1, self.given + 1)]


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
