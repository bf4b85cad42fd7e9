"""What the director measures: buzzer, board and backlog, from recorded logs and tiles."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from demo.awaited import Awaited
from demo.backlog import Doubled, missing
from demo.buzzer import Buzzer
from demo.homes import EVERY
from demo.play import Expect
from demo.watch import Home, Listener, Watch, messages

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000


class Board:
    """A watch whose tiles the test shows."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def show(self, at_ns: int, **facts: object) -> None:
        home: Home = {"code": "h01", "class": "normal", "silenced": False, "conditions": [], **facts}
        for listener in self.listeners:
            listener(at_ns, home)


def awaited(expect: Expect, board: Board, began_ns: int = 0, limit: tuple[int, bool] | None = None) -> Awaited:
    return Awaited(expect, "", began_ns, cast(Watch, board), None, limit)


def edge(pin: int, level: int, at_ns: int) -> dict[str, Any]:
    return {"kind": "edge", "pin": pin, "level": level, "monotonic_ns": at_ns}


def sound(level: int, at_ns: int) -> dict[str, Any]:
    return {"kind": "output", "pin": 18, "level": level, "monotonic_ns": at_ns}


def fire(**facts: object) -> dict[str, Any]:
    return {"class": "fire", "point": "smoke-203", "order": 1, "confirmed": False, "acknowledged": False, **facts}


SMOKE = Expect("fire_first", 10, stands="fire/smoke-203", pin=4, sounds=True)


def test_from_the_first_edge_of_the_contact_to_buzzer_and_board() -> None:
    board, buzzer = Board(), Buzzer()
    waiting = awaited(SMOKE, board)
    entries = [edge(17, 0, 10), edge(4, 0, 100 * MS_NS), edge(4, 1, 102 * MS_NS), edge(4, 0, 104 * MS_NS)]
    entries.append(sound(1, 510 * MS_NS))
    buzzer.take(entries)
    waiting.take_log(entries, buzzer, 520 * MS_NS)
    assert not waiting.is_done
    board.show(530 * MS_NS, conditions=[fire()])
    assert waiting.is_done
    outcome = waiting.end(is_missed=False)
    assert (outcome.buzzer_ms, outcome.board_ms, outcome.was_sounding) == (410, 430, False)
    assert board.listeners == []


def test_an_edge_from_before_the_step_is_no_cause() -> None:
    board, buzzer = Board(), Buzzer()
    waiting = awaited(SMOKE, board, began_ns=SECOND_NS)
    waiting.take_log([edge(4, 0, SECOND_NS - 1)], buzzer, SECOND_NS)
    board.show(SECOND_NS, conditions=[fire()])
    assert not waiting.is_done
    assert waiting.end(is_missed=True).board_ms is None


def test_a_buzzer_that_sounds_already_measures_nothing() -> None:
    board, buzzer = Board(), Buzzer()
    waiting = awaited(SMOKE, board)
    entries = [sound(1, 1), sound(0, 2), edge(4, 0, 3 * SECOND_NS), sound(1, 4 * SECOND_NS)]
    buzzer.take(entries)
    waiting.take_log(entries, buzzer, 4 * SECOND_NS)
    board.show(4 * SECOND_NS, conditions=[fire()])
    outcome = waiting.end(is_missed=False)
    assert outcome.was_sounding
    assert outcome.buzzer_ms is None


@pytest.mark.parametrize(("limit", "values"), [((200, False), (199, 200)), ((1000, True), (1001, 1000))])
def test_a_quantity_s_crossing_is_the_cause(limit: tuple[int, bool], values: tuple[float, float]) -> None:
    board = Board()
    waiting = awaited(Expect("early_warning", 10, stands="fire/smoke-203", quantity="q"), board, limit=limit)
    waiting.take_value(values[0], 1 * SECOND_NS)
    assert waiting.needs_values
    waiting.take_value(values[1], 2 * SECOND_NS)
    assert not waiting.needs_values
    board.show(4 * SECOND_NS, conditions=[fire()])
    assert waiting.end(is_missed=False).board_ms == 2000


def test_quiet_is_when_the_pattern_has_been_over_for_longer_than_its_pauses() -> None:
    buzzer = Buzzer()
    buzzer.take([sound(1, 1 * SECOND_NS), sound(0, 2 * SECOND_NS)])
    assert buzzer.quiet_since(0, 3 * SECOND_NS) is None
    assert buzzer.quiet_since(0, 4 * SECOND_NS) == 2 * SECOND_NS
    buzzer.take([sound(1, 5 * SECOND_NS)])
    assert buzzer.quiet_since(0, 9 * SECOND_NS) is None


def test_what_the_board_showed_before_is_said_to_be_older_than_the_cause() -> None:
    board = Board()
    waiting = awaited(Expect("silenced", 10, flag="silenced"), board, began_ns=2 * SECOND_NS)
    board.show(1 * SECOND_NS, silenced=True)
    assert waiting.is_done
    assert waiting.end(is_missed=False).board_ms == -1000


def test_all_homes_count_from_the_last_and_fall_back_together() -> None:
    board = Board()
    waiting = awaited(Expect("all_normal", 10, home=EVERY, is_="normal"), board)
    board.show(1 * SECOND_NS)
    board.show(2 * SECOND_NS, code="h02", **{"class": "fire"})
    assert not waiting.is_done
    board.show(3 * SECOND_NS, code="h02")
    board.show(4 * SECOND_NS)
    assert waiting.end(is_missed=False).board_ms == 3000


def test_it_is_late_after_its_time() -> None:
    waiting = awaited(SMOKE, Board(), began_ns=SECOND_NS)
    assert not waiting.is_late(11 * SECOND_NS)
    assert waiting.is_late(11 * SECOND_NS + 1)


def test_a_backlog_is_complete_with_each_event_once() -> None:
    wanted = {("j", 3), ("j", 4)}
    assert missing(wanted, [("j", 2), ("j", 3)]) == 1
    assert missing(wanted, [("j", 4), ("j", 3), ("other", 3)]) == 0
    with pytest.raises(Doubled, match="j 3"):
        missing(wanted, [("j", 3), ("j", 4), ("j", 3)])


def test_a_stream_of_events_is_read_as_browsers_do() -> None:
    raw = b'retry: 1\n\nid: a-1\nevent: home\ndata: {"code":\ndata: 1}\n\nevent: tick\ndata: {}\n\n: no\n\nid: a-2\n\n'
    assert list(messages(raw.splitlines(keepends=True))) == [("a-1", "home", '{"code":\n1}'), ("", "tick", "{}")]
