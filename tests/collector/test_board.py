"""The fold: what is active after which messages, in whatever order they come."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import board as fold
from collector.board import Board, Gateway
from collector.ownlog import OwnEvent, OwnKind
from collector.records import EventSeen, Heard, OwnSeen, PointsSeen, ReadingsSeen, Record, StateSeen
from device import wire
from tests.collector.gateway import Script

KEY = ("h01", "g1")


def event(script: Script, *arguments: object, rank: int = 1, **more: object) -> EventSeen:
    decoded = wire.decode_event(script.event(*arguments, **more))  # type: ignore[arg-type]
    return EventSeen(*KEY, rank, decoded, 5_000 + script.seq)


def state(script: Script, no: int, rank: int = 1, **more: object) -> StateSeen:
    return StateSeen(*KEY, rank, no, script.state(**more), 9_000 + no, True)


def active(records: Iterable[Record]) -> list[tuple[str, str]]:
    gateway = fold.fold_all(Board(), records).gateways[KEY]
    return [(item.condition, item.point) for item in fold.conditions(gateway)]


# --- a table: what was sent, what is active -------------------------------------------------------------------------

FIRE_203, FIRE_204, LEAK = ("fire", "smoke-203"), ("fire", "smoke-204"), ("electrical", "leak-k")
Step = tuple[str, str | None, str]
TABLE: list[tuple[str, list[Step], list[tuple[str, str]]]] = [
    ("nothing", [], []),
    ("a raise", [("raise", *FIRE_203)], [FIRE_203]),
    ("raised and cleared", [("raise", *FIRE_203), ("clear", *FIRE_203)], []),
    ("another point stays", [("raise", *FIRE_203), ("raise", *FIRE_204), ("clear", *FIRE_203)], [FIRE_204]),
    ("another class of the point stays", [("raise", *LEAK), ("raise", "fault", "leak-k"), ("clear", *LEAK)],
     [("fault", "leak-k")]),
    ("raised again", [("raise", *FIRE_203), ("clear", *FIRE_203), ("raise", *FIRE_203)], [FIRE_203]),
    ("acts clear nothing", [("raise", *FIRE_203), ("acknowledge", None, ""), ("silence", None, ""),
                            ("reset", None, ""), ("restore", *FIRE_203)], [FIRE_203]),
    ("a start clears nothing", [("raise", *FIRE_203), ("start", None, "")], [FIRE_203]),
    ("a clear of nothing", [("clear", *FIRE_203)], []),
    ("a kind of a later version", [("raise", *FIRE_203), ("levitate", *FIRE_203)], [FIRE_203]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "steps", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_events_alone(what: str, steps: list[Step], expected: list[tuple[str, str]]) -> None:
    script = Script()
    records: list[Record] = [state(script, 1), *(event(script, *step) for step in steps)]
    assert active(records) == expected


@pytest.mark.parametrize(("what", "steps", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_a_state_alone_says_the_same(what: str, steps: list[Step], expected: list[tuple[str, str]]) -> None:
    script = Script()
    for step in steps:
        script.event(*step)
    assert active([state(script, 1)]) == expected


# --- states and events ----------------------------------------------------------------------------------------------


def test_a_backlog_that_the_state_has_already_counted_raises_nothing() -> None:
    script = Script()
    backlog = [event(script, "raise", *FIRE_203), event(script, "clear", *FIRE_203)]
    first = state(script, 1)
    board = fold.fold(Board(), first)
    for record in backlog:
        board = fold.fold(board, record)
        assert fold.conditions(board.gateways[KEY]) == ()


def test_an_event_beyond_the_state_counts_at_once() -> None:
    script = Script()
    first = state(script, 1)
    assert active([first, event(script, "raise", *FIRE_203)]) == [FIRE_203]


def test_a_newer_state_wins_over_the_events_it_has_counted() -> None:
    script = Script()
    records: list[Record] = [state(script, 1), event(script, "raise", *FIRE_203)]
    script.event("clear", *FIRE_203)  # never arrives
    assert active([*records, state(script, 2)]) == []


def test_a_condition_listed_by_the_state_gets_its_time_when_the_event_arrives() -> None:
    script = Script()
    raised = event(script, "raise", *FIRE_203, order=1)
    board = fold.fold(Board(), state(script, 1))
    assert fold.conditions(board.gateways[KEY])[0].raised is None
    board = fold.fold(board, raised)
    found = fold.conditions(board.gateways[KEY])[0]
    assert found.raised is not None and found.raised.event == raised.event and found.order == 1


def test_the_number_of_another_journal_is_not_taken_for_the_condition_s_event() -> None:
    script = Script()
    other = event(script, "raise", *LEAK)
    listed = wire.Active("fire", "f2", "smoke-203", 1, 1, False, False)
    board = fold.fold_all(Board(), [state(script, 1, active=(listed,)), other])
    assert fold.conditions(board.gateways[KEY])[0].raised is None


def test_confirmation_and_acknowledgement_reach_whom_they_name() -> None:
    script = Script()
    records: list[Record] = [state(script, 1), event(script, "raise", *FIRE_203), event(script, "raise", *LEAK)]
    records += [event(script, "confirm", "fire", zone="f2"), event(script, "raise", *FIRE_204)]
    records += [event(script, "acknowledge", "electrical")]
    gateway = fold.fold_all(Board(), records).gateways[KEY]
    found = {(item.condition, item.point): item for item in fold.conditions(gateway)}
    assert found[FIRE_203].confirmed and found[FIRE_204].confirmed and not found[LEAK].confirmed
    assert found[LEAK].acknowledged and not found[FIRE_203].acknowledged


@pytest.mark.parametrize(
    ("kinds", "silenced"),
    [(["silence"], True), (["silence", "raise"], False), (["silence", "clear"], True), (["silence", "reset"], False)],
)
def test_a_new_alarm_ends_the_silence(kinds: list[str], silenced: bool) -> None:
    script = Script()
    records: list[Record] = [state(script, 1), *(event(script, kind, "fire", "smoke-203") for kind in kinds)]
    assert fold.is_silenced(fold.fold_all(Board(), records).gateways[KEY]) is silenced


def test_a_new_journal_begins_anew_and_the_old_one_s_stragglers_change_nothing() -> None:
    old, new = Script(), Script(journal="journal-b")
    straggler = event(old, "raise", *FIRE_203, rank=1)
    records: list[Record] = [state(new, 2, rank=2), straggler]
    assert active(records) == []
    assert active([straggler, state(old, 1, rank=1), state(new, 2, rank=2)]) == []


def test_what_stood_in_the_old_journal_stands_until_the_new_one_has_said_its_state() -> None:
    old, new = Script(), Script(journal="journal-b")
    raised = event(old, "raise", *FIRE_203)
    records: list[Record] = [raised, state(old, 1), event(new, "raise", *LEAK, rank=2)]
    for order in (records, records[::-1], [records[2], records[0], records[1]]):
        assert sorted(active(order)) == sorted([FIRE_203, LEAK])
    assert active([*records, event(new, "clear", *FIRE_203, rank=2)]) == [LEAK]
    assert active([*records, state(new, 2, rank=2, active=())]) == []


def test_events_without_a_state_are_bounded() -> None:
    script = Script()
    board = fold.fold_all(Board(), [event(script, "raise", "fault", f"p-{n}") for n in range(fold.MAX_EVENTS + 50)])
    assert len(board.gateways[KEY].events) == fold.MAX_EVENTS


# --- values, silence, seen ------------------------------------------------------------------------------------------


def test_a_reading_out_of_the_backlog_does_not_replace_a_newer_one() -> None:
    script = Script()
    old, new = script.readings(("leak-k", 10, None), live=False), script.readings(("leak-k", 20, None))
    for order in ([old, new], [new, old]):
        board = fold.fold_all(Board(), [ReadingsSeen(*KEY, 1, batch, 0) for batch in order])
        assert board.gateways[KEY].values["leak-k"].value == 20


def test_an_unknown_replaces_the_value_before_it() -> None:
    script = Script()
    batches = [script.readings(("leak-k", 10, None)), script.readings(("leak-k", None, "timeout"))]
    board = fold.fold_all(Board(), [ReadingsSeen(*KEY, 1, batch, 0) for batch in batches])
    value = board.gateways[KEY].values["leak-k"]
    assert (value.value, value.unknown) == (None, "timeout")


def own(number: int, kind: OwnKind, **detail: str | int) -> OwnSeen:
    return OwnSeen(OwnEvent("own", number, "boot", 1_000 + number, number, kind, *KEY, "王建国", detail))


def test_silence_follows_the_newest_entry() -> None:
    entries = [own(1, OwnKind.SILENT), own(2, OwnKind.BACK), own(3, OwnKind.SILENT)]
    for count, silent in ((1, True), (2, False), (3, True)):
        for records in (entries[:count], entries[:count][::-1]):
            assert fold.fold_all(Board(), records).gateways[KEY].silent[1] is silent


def test_who_saw_an_alarm_first_stays() -> None:
    script = Script()
    raised = event(script, "raise", *FIRE_203)
    mark: dict[str, str | int] = {"journal": script.journal, "seq": 1, "class": "fire", "point": "smoke-203"}
    entries = [own(4, OwnKind.SEEN, **mark), own(5, OwnKind.SEEN, **mark)]
    for records in (entries, entries[::-1]):
        found = fold.conditions(fold.fold_all(Board(), [raised, *records]).gateways[KEY])[0]
        assert found.seen is not None and found.seen.seq == 4


# --- any order, any repetition --------------------------------------------------------------------------------------

POINTS = ["smoke-203", "smoke-204", "leak-k"]
MOVES = st.tuples(
    st.sampled_from(["raise", "clear", "confirm", "acknowledge", "silence", "state", "state", "reading"]),
    st.sampled_from(["fire", "fault"]),
    st.sampled_from(POINTS),
)


def story(moves: list[tuple[str, str, str]]) -> list[Record]:
    """What one gateway sends over time, in its order."""
    script, records = Script(), list[Record]()
    for no, (kind, condition, point) in enumerate(moves, 1):
        if kind == "state":
            records.append(state(script, no))
            records.append(Heard(*KEY, 100 * no, script.boot, script.mono_ms))
        elif kind == "reading":
            records.append(ReadingsSeen(*KEY, 1, script.readings((point, no, None)), 0))
        else:
            records.append(event(script, kind, condition, point))
    records.append(PointsSeen(*KEY, 1, script.points()))
    return records


@settings(max_examples=300, deadline=None)
@given(st.lists(MOVES, max_size=25), st.data())
def test_any_order_ends_in_the_same_board(moves: list[tuple[str, str, str]], data: st.DataObject) -> None:
    records = story(moves)
    repeated = records + data.draw(st.lists(st.sampled_from(records), max_size=10))
    shuffled = data.draw(st.permutations(repeated))
    assert fold.fold_all(Board(), shuffled) == fold.fold_all(Board(), records)


@settings(max_examples=300, deadline=None)
@given(st.lists(MOVES, max_size=25))
def test_what_is_active_is_what_the_gateway_says_is_active(moves: list[tuple[str, str, str]]) -> None:
    records = story(moves)
    script = Script()
    for kind, condition, point in moves:
        if kind not in ("state", "reading"):
            script.event(kind, condition, point)
    gateway = fold.fold_all(Board(), records).gateways.get(KEY, Gateway(*KEY))
    assert {(item.condition, item.point) for item in fold.conditions(gateway)} == set(script.active)
