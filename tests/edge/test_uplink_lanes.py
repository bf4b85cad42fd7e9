"""Windows and cursors, against a channel that loses what it likes and a collector that may be set back."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.uplink.lanes import (
    EVENT_WINDOW,
    READING_WINDOW,
    RESEND_MAX_MS,
    RESEND_MIN_MS,
    EventLane,
    Heard,
    ReadingLane,
    Timer,
)


def timer() -> Timer:
    return Timer(lambda: 1.0)


def send_events(lane: EventLane, head: int, now_ms: int = 0, held: int = 1) -> list[int]:
    after, count = lane.wanted(head, held)
    numbers = list(range(after + 1, after + count + 1))
    for seq in numbers:
        lane.sent(seq, now_ms)
    return numbers


def send_readings(lane: ReadingLane, head: int, now_ms: int = 0, held: int = 1) -> list[int]:
    numbers: list[int] = []
    while True:
        after, count = lane.wanted(head, held)
        if not count or len(numbers) > 1_000:
            return numbers
        for seq in range(after + 1, after + count + 1):
            lane.sent(seq, now_ms)
            numbers.append(seq)


def test_no_more_than_the_window_is_on_the_way():
    lane = EventLane(0, 0, timer())
    assert send_events(lane, 200) == list(range(1, EVENT_WINDOW + 1))
    assert send_events(lane, 200) == []
    assert lane.heard(10, 0) is Heard.FORWARD
    assert send_events(lane, 200) == list(range(EVENT_WINDOW + 1, EVENT_WINDOW + 11))


def test_what_is_not_acknowledged_goes_out_again_later_and_later():
    lane = EventLane(0, 0, timer())
    send_events(lane, 2)
    now_ms, waits = 0, []
    for _ in range(6):
        due_ms = lane.timer.due_ms
        assert due_ms is not None
        assert not lane.again(2, due_ms - 1, False)
        assert lane.again(2, due_ms, False)
        waits.append(due_ms - now_ms)
        now_ms = due_ms
        assert send_events(lane, 2, now_ms) == [1, 2]
    assert waits == [RESEND_MIN_MS, 10_000, 20_000, 40_000, RESEND_MAX_MS, RESEND_MAX_MS]
    lane.heard(1, now_ms)
    assert lane.timer.due_ms == now_ms + RESEND_MIN_MS
    lane.heard(2, now_ms)
    assert lane.timer.due_ms is None


def test_an_acknowledgement_beyond_what_was_sent_is_ignored():
    lane = EventLane(0, 0, timer())
    send_events(lane, 3)
    assert lane.heard(4, 0) is Heard.BEYOND
    assert (lane.acked, send_events(lane, 5)) == (0, [4, 5])
    assert lane.heard(5, 0) is Heard.FORWARD


def test_what_an_earlier_process_sent_may_be_acknowledged():
    lane = EventLane(3, 8, timer())
    assert lane.heard(8, 0) is Heard.FORWARD
    assert send_events(lane, 9) == [9]


def test_a_restored_collector_gets_again_what_is_still_held():
    lane = EventLane(0, 0, timer())
    send_events(lane, 9)
    lane.heard(9, 0)
    assert lane.heard(2, 0) is Heard.BACK
    assert send_events(lane, 9, held=5) == [5, 6, 7, 8, 9]


def test_behind_a_hole_in_a_closed_volume_nothing_is_kept_back_for_ever():
    """The collector's contiguous number cannot rise over what a damaged disk took; the rest still has to get there."""
    lane = EventLane(0, 200, timer())
    seen: set[int] = set()
    now_ms = 0
    for _ in range(20):
        seen.update(seq for seq in send_events(lane, 200, now_ms) if seq != 1)
        now_ms += RESEND_MAX_MS * 2
        lane.again(200, now_ms, is_closed=True)
    assert seen == set(range(2, 201))


def test_live_readings_before_backlog():
    lane = ReadingLane(0, 100, timer())
    lane.rewind(100)
    assert send_readings(lane, 102) == [101, 102, *range(1, READING_WINDOW + 1)]
    lane.heard(5, 0)
    assert send_readings(lane, 103) == [103, *range(READING_WINDOW + 1, READING_WINDOW + 6)]


def test_all_backlog_and_live_readings_arrive_once_where_nothing_is_lost():
    lane = ReadingLane(0, 50, timer())
    lane.rewind(50)
    sent: list[int] = []
    for head in range(51, 90):
        sent += send_readings(lane, head)
        acked = max(seq for seq in range(head + 1) if set(range(1, seq + 1)) <= set(sent))
        lane.heard(acked, 0)
    assert sorted(sent) == list(range(1, 90))
    assert lane.acked == 89


def test_a_lost_live_reading_goes_out_again():
    lane = ReadingLane(0, 0, timer())
    assert send_readings(lane, 3) == [1, 2, 3]
    lane.heard(1, 0)  # number 2 was lost
    assert lane.again(RESEND_MIN_MS)
    assert send_readings(lane, 4) == [4, 2, 3]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.6), st.booleans())
def test_everything_arrives_over_any_channel(seed: int, loss: float, is_reading: bool):
    chance = random.Random(seed)
    collector: set[int] = set()
    order: list[int] = []
    start = chance.randrange(0, 150)
    event, reading = EventLane(0, start, timer()), ReadingLane(0, start, timer())
    head, now_ms = start, 0
    for step in range(4_000):
        now_ms += 1_000
        if step < 60:
            head += chance.randrange(0, 4)
        if chance.random() < 0.02 and step < 60:  # the connection breaks
            event.rewind()
            reading.rewind(head)
        if chance.random() < 0.02 and step < 60 and collector:  # the collector comes back from a backup
            collector = {seq for seq in collector if seq < chance.randrange(1, head + 2)}
        sent = send_readings(reading, head, now_ms) if is_reading else send_events(event, head, now_ms)
        order += sent
        collector.update(seq for seq in sent if chance.random() >= loss)
        contiguous = next(seq for seq in range(head + 2) if seq + 1 not in collector)
        if chance.random() >= loss:
            (reading if is_reading else event).heard(contiguous, now_ms)
        event.again(head, now_ms, False)
        reading.again(now_ms)
        if step > 60 and contiguous == head:
            break
    assert collector == set(range(1, head + 1))
    if not is_reading:
        firsts = list(dict.fromkeys(order))
        assert firsts == sorted(firsts)  # an event never leaves before the one before it has left
