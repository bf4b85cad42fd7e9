"""What a gateway says it has lost is not waited for, and is a gap on record; what it may still hold is waited for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.ownlog import OwnKind
from collector.store.losses import Loss, loss_in
from device import wire
from tests.collector.gateway import Script
from tests.collector.test_store import Store, script_of

DAMAGE = "lane=event cause=damage kept=journal.sqlite.damaged-20261123T192200Z-0"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "data")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("why", "loss"),
    [
        ("lane=event journal=j-1 from=41 to=49 cause=damage", Loss("j-1", "event", 41, 49)),
        ("lane=reading journal=j-1 from=12 cause=damage", Loss("j-1", "reading", 12, None)),
        ("lane=event journal=* from=1 cause=damage", Loss("*", "event", 1, None)),
        (DAMAGE, None),
        ("lane=event count=3 cause=memory", None),
        ("lane=state journal=j-1 from=1", None),
        ("lane=event journal=j-1 from=0", None),
        ("lane=event journal=j-1 from=9 to=3", None),
        ("lane=event journal=j-1 from=1 to=many", None),
        ("lane=event journal=j-1 from=99999999999999999999", None),
        ("lane=event journal=j-1 from=٣", None),
        ("lane=event journal= from=1", None),
        ("老鼠咬断了线", None),
        ("", None),
    ],
)
def test_only_what_names_a_journal_and_a_number_is_a_loss(why: str, loss: Loss | None) -> None:
    assert loss_in(why) == loss


def said(store: Store) -> list[tuple[object, ...]]:
    """The gaps in the own log."""
    names = ("journal", "lane", "first", "last")
    return [tuple(entry.detail[name] for name in names) for entry in store.noted(OwnKind.GAP)]


def successor(store: Store, *whys: str) -> Script:
    """The journal that a gateway begins after damage, and what it says of the one before."""
    script = Script(journal="journal-b")
    for why in whys:
        script.event("gap", why=why)
    store.event(script, *script.payloads)
    return script


def test_lost_events_are_said_and_what_was_saved_behind_them_is_taken(store: Store) -> None:
    script = script_of(9)
    store.event(script, 1, 2, 4)
    successor(store, DAMAGE, "lane=event journal=journal-a from=1 to=6 cause=damage")
    assert said(store) == [("journal-a", "event", 3, 3), ("journal-a", "event", 5, 6)]
    assert store.acked(script) == (2, 0), "nothing of it has come since"
    store.event(script, 7, 8, 9)
    assert store.acked(script) == (9, 0)
    assert store.faults() == []
    assert not store.noted(OwnKind.CHAIN_BREAK)


def test_what_is_below_the_loss_is_still_waited_for(store: Store) -> None:
    script = script_of(9)
    store.event(script, 1)
    successor(store, "lane=event journal=journal-a from=5 to=6 cause=damage")
    store.event(script, 7, 8)
    assert store.acked(script) == (1, 0), "2 to 4 may be on their way: acknowledged, they would be let go"
    store.event(script, 2, 3, 4)
    assert store.acked(script) == (8, 0)
    assert said(store) == [("journal-a", "event", 5, 6)]
    assert store.faults() == []


def test_a_number_that_was_thought_lost_may_come_after_all(store: Store) -> None:
    script = script_of(6)
    store.event(script, 1)
    successor(store, "lane=event journal=journal-a from=2 to=4 cause=damage")
    store.event(script, 3, 2, 5)
    assert store.acked(script) == (5, 0)
    assert store.stored(script) == [1, 2, 3, 5]
    assert store.faults() == []


def test_readings_whose_end_nobody_knows(store: Store) -> None:
    script = Script()
    batches = [script.readings(("leak-k", number, None)) for number in range(6)]
    for number in (0, 4, 5):
        store.send(script, wire.READING, batches[number])
    successor(store, "lane=reading journal=journal-a from=1 cause=damage")
    assert said(store) == [("journal-a", "reading", 2, 4)]
    store.send(script, wire.READING, batches[5])
    assert store.acked(script) == (0, 6)


def test_of_a_database_that_is_wholly_gone_every_hole_is_a_gap(store: Store) -> None:
    script = script_of(4)
    store.event(script, 2, 4)
    successor(store, "lane=event journal=* from=1 cause=damage")
    assert said(store) == [("journal-a", "event", 1, 1), ("journal-a", "event", 3, 3)]
    assert store.faults() == []


def test_a_journal_that_a_restored_collector_has_not_met(store: Store) -> None:
    successor(store, "lane=event journal=journal-a from=1 to=3 cause=damage")
    assert said(store) == [("journal-a", "event", 1, 3)]
    script = script_of(5)
    store.event(script, 4, 5)
    assert store.acked(script) == (5, 0)
    assert store.faults() == []


def test_losses_survive_a_restart_and_are_said_once(store: Store) -> None:
    script = script_of(8)
    store.event(script, 1)
    other = successor(store, "lane=event journal=journal-a from=3 to=5 cause=damage")
    store.close()
    store.open()
    store.event(other, 1)
    store.event(script, 6, 2)
    assert store.acked(script) == (6, 0)
    store.send(script, wire.STATE, script.state(event_held=6))
    assert said(store) == [("journal-a", "event", 3, 5)]
    assert store.faults() == []


def test_nobody_speaks_of_another_gateways_journal(store: Store) -> None:
    script = script_of(3)
    store.event(script, 1)
    liar = Script(gateway="g2", journal="journal-b")
    liar.event("gap", why="lane=event journal=journal-a from=2 to=2 cause=damage")
    store.event(liar, 1)
    store.event(script, 3)
    assert store.acked(script) == (1, 0)


def test_older_journals_that_come_again_after_a_restore_are_no_second_gateway(store: Store) -> None:
    current, older = script_of(2, journal="journal-b"), script_of(2)
    store.event(current, 1, 2)
    store.send(current, wire.STATE, current.state())
    store.event(older, 1, 2)
    store.send(current, wire.STATE, current.state())
    assert not store.noted(OwnKind.DUPLICATE)
    store.send(older, wire.STATE, older.state())
    store.send(current, wire.STATE, current.state())
    assert len(store.noted(OwnKind.DUPLICATE)) >= 1, "two that both say they are writing are two"
