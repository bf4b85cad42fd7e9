"""The uplink against a real broker and a collector that speaks the contract."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import wire
from edge.core.values import Class, Reading
from edge.report import ActiveCondition, PanelReport
from edge.schema import Ms
from edge.uplink import UplinkConfig
from edge.uplink import lanes as lanes_module
from edge.uplink import worker as worker_module
from tests.edge.district import GATEWAY, Cable, Collector, House, acknowledged, living, numbered, to, whys
from tests.edge.parts import journal_in, offered, smoke
from tests.support import Mosquitto, wait_until


@pytest.fixture
def collector(mosquitto: Mosquitto) -> Iterator[Collector]:
    made = Collector(mosquitto)
    yield made
    made.close()


@pytest.fixture
def mute(collector: Collector) -> Collector:
    """A collector that has not said a word yet; ask for it before `house`."""
    collector.acknowledges = False
    return collector


@pytest.fixture
def house(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[House]:
    with living(tmp_path / "journal", to(mosquitto)) as made:
        yield made


def test_events_arrive_in_order_chained_and_are_let_go_only_when_acknowledged(mute: Collector, house: House):
    for number in range(1, 6):
        house.alarm(number)
    wait_until(lambda: len(whys(mute)) == 5)
    assert whys(mute) == numbered(5)
    events = mute.of(wire.EVENT)
    assert [event.prev for event in events] == [wire.GENESIS, *(event.hash for event in events[:-1])]
    assert house.journal.volume().event_acked == 0
    assert house.uplink.collector_heard_ms is None
    mute.acknowledge(events[0].journal)
    wait_until(acknowledged(house, 5))
    assert house.uplink.collector_heard_ms is not None


def test_a_connection_says_who_is_there(collector: Collector, house: House):
    wait_until(lambda: collector.of(wire.STATE))
    assert [message.link for message in collector.of(wire.LINK)] == ["up"]
    assert collector.of(wire.POINTS)[0].name == "和平里养老院"
    assert collector.of(wire.STATE)[0].simulated


def test_a_latecomer_finds_state_points_and_link_kept(collector: Collector, house: House, mosquitto: Mosquitto):
    wait_until(lambda: collector.of(wire.STATE))
    late = Collector(mosquitto, "late")
    try:
        wait_until(lambda: late.retained.keys() >= set(wire.RETAINED))
    finally:
        late.close()


def test_the_state_names_the_event_that_raised_what_stands(collector: Collector, house: House):
    house.alarm(1)
    standing = (ActiveCondition(Class.FIRE, "f2", "smoke-2", 2), ActiveCondition(Class.FIRE, "f2", "x"))
    house.report = PanelReport(standing)
    house.alarm(2)
    house.uplink.state_changed()
    wait_until(lambda: collector.of(wire.STATE) and collector.of(wire.STATE)[-1].event_seq == 2)
    state = collector.of(wire.STATE)[-1]
    assert [(item.point, item.seq, item.order) for item in state.active] == [("smoke-2", 2, 2), ("x", 0, 0)]
    assert dict(state.counts)["fire"] == 2


def test_events_go_before_readings(tmp_path: Path, mosquitto: Mosquitto, collector: Collector):
    with journal_in(tmp_path / "journal") as journal:
        for number in range(1, 31):
            journal.observe([Reading("leak-k", number * 10)], number)
            journal.record([smoke(number)])
            offered(journal, number)
        assert journal.volume().reading_seq == 30
    with living(tmp_path / "journal", to(mosquitto)) as house:
        wait_until(lambda: len(collector.of(wire.READING)) == 30)
        lanes = [channel for channel, _ in collector.seen if channel in (wire.EVENT, wire.READING)]
        assert lanes == [wire.EVENT] * 30 + [wire.READING] * 30
        wait_until(lambda: house.journal.volume().reading_acked == 30)


def test_a_new_alarm_overtakes_a_backlog_of_readings(tmp_path: Path, mosquitto: Mosquitto, mute: Collector):
    with journal_in(tmp_path / "journal") as journal:
        for number in range(1, 61):
            journal.observe([Reading("leak-k", number * 10)], number)
            journal.record([smoke(number)])
            offered(journal, number)
    with living(tmp_path / "journal", to(mosquitto)) as house:
        wait_until(lambda: len(mute.of(wire.READING)) == lanes_module.READING_WINDOW)
        house.journal.observe([Reading("leak-k", 9_999)], 99)
        house.alarm(61)
        wait_until(lambda: len(mute.of(wire.READING)) == lanes_module.READING_WINDOW + 1)
        assert [message.seq for _, message in mute.seen[-2:] if hasattr(message, "seq")][-1] == 61
        assert whys(mute) == numbered(61)  # both are there; of the old readings, no more than the window
        assert mute.of(wire.READING)[-1].readings[0].value == 9_999


def test_a_broker_that_is_not_there_is_no_error(tmp_path: Path, mosquitto: Mosquitto):
    mosquitto.stop()
    with living(tmp_path / "journal", to(mosquitto)) as house:
        house.alarm(1)
        wait_until(lambda: house.uplink.counters.failures >= 1)
        mosquitto.start()
        collector = Collector(mosquitto)
        try:
            wait_until(lambda: whys(collector) == ["no. 1"], timeout_s=20)
        finally:
            collector.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_outage_of_the_broker_loses_and_doubles_nothing(
    collector: Collector, house: House, mosquitto: Mosquitto, end: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lanes_module, "RESEND_MIN_MS", 500)
    house.alarm(1)
    wait_until(acknowledged(house, 1))
    getattr(mosquitto, end)()
    wait_until(lambda: not house.uplink.is_connected)
    for number in range(2, 102):
        house.alarm(number)
    mosquitto.start()
    wait_until(lambda: len(whys(collector)) >= 101 and acknowledged(house, 101)(), timeout_s=30)
    # By number and not by arrival: what the broker took before the collector was back it has thrown away, so what came
    # a moment later overtakes it. A repetition may come, a loss may not.
    told = {event.seq: event.why for event in collector.of(wire.EVENT)}
    assert [told[seq] for seq in sorted(told)] == numbered(101)


def test_a_link_that_is_half_open_is_noticed(
    tmp_path: Path, mosquitto: Mosquitto, collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker_module, "TURN_MS", 200)
    with (
        Cable(mosquitto.port) as cable,
        living(tmp_path / "journal", UplinkConfig(host="127.0.0.1", port=cable.port, keepalive=Ms(1_000))) as house,
    ):
        house.alarm(1)
        wait_until(acknowledged(house, 1))
        cable.swallow()
        house.alarm(2)
        wait_until(lambda: not house.uplink.is_connected, timeout_s=20)
        cable.mend()
        wait_until(lambda: whys(collector) == numbered(2), timeout_s=20)


def test_unacknowledged_events_go_out_again(
    mute: Collector, tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lanes_module, "RESEND_MIN_MS", 100)
    with living(tmp_path / "journal", to(mosquitto)) as house:
        house.alarm(1)
        wait_until(lambda: len(whys(mute)) >= 3)
        assert set(whys(mute)) == {"no. 1"}
        assert len({event.hash for event in mute.of(wire.EVENT)}) == 1  # byte for byte the same
        mute.acknowledge(house.journal.volume().journal)
        wait_until(acknowledged(house, 1))
        assert house.uplink.counters.resent >= 2


def test_a_collector_restored_from_a_backup_gets_the_rest_again(collector: Collector, house: House):
    for number in range(1, 6):
        house.alarm(number)
    wait_until(acknowledged(house, 5))
    collector.forget_after(2)
    collector.acknowledge(house.journal.volume().journal)
    wait_until(lambda: house.uplink.counters.acks_back == 1)
    wait_until(lambda: whys(collector) == numbered(5))
    wait_until(acknowledged(house, 5))


@pytest.mark.parametrize(
    ("payload", "counter"),
    [
        (wire.encode(wire.Ack("another-journal", 1, 0)), "acks_foreign"),
        (b'{"v":1}', "garbage"),
        (b"\xff\xfe", "garbage"),
        (b"[" * 70_000, "garbage"),
        (b"", "garbage"),
    ],
)
def test_what_is_not_for_us_changes_nothing(mute: Collector, house: House, payload: bytes, counter: str):
    house.alarm(1)
    wait_until(lambda: whys(mute) == ["no. 1"])
    mute.say(payload)
    wait_until(lambda: getattr(house.uplink.counters, counter) == 1)
    assert house.journal.volume().event_acked == 0
    assert house.uplink.collector_heard_ms is None
    house.alarm(2)
    wait_until(lambda: whys(mute) == numbered(2))


def test_an_acknowledgement_beyond_what_was_sent_lets_nothing_go(mute: Collector, house: House):
    house.alarm(1)
    wait_until(lambda: whys(mute) == ["no. 1"])
    mute.say(wire.Ack(house.journal.volume().journal, 7, 0))
    wait_until(lambda: house.uplink.counters.acks_beyond == 1)
    assert house.journal.volume().event_acked == 0


def test_a_retained_acknowledgement_is_no_sign_of_life(tmp_path: Path, mosquitto: Mosquitto, mute: Collector):
    with journal_in(tmp_path / "journal") as journal:
        journal.record([smoke(1)])
        offered(journal, 1)
        mute.say(wire.Ack(journal.volume().journal, 1, 0), retain=True)
    with living(tmp_path / "journal", to(mosquitto)) as house:
        wait_until(lambda: house.uplink.counters.stale == 1)
        assert house.uplink.collector_heard_ms is None
        assert house.journal.volume().event_acked == 0


def test_asks_are_handed_on_and_configurations_only_counted(collector: Collector, house: House):
    wait_until(lambda: house.uplink.is_connected)
    wait_until(lambda: collector.of(wire.STATE))
    ask = wire.Ask("ask-00000001", "请报告", 120)
    collector.say(ask, wire.ASK)
    collector.say(wire.Config(GATEWAY, 1, 2, "body", "signature"), wire.CONFIG)
    wait_until(lambda: house.asked == [ask] and house.uplink.counters.config_messages == 1)


def test_the_end_says_down_and_a_cut_leaves_the_will(tmp_path: Path, mosquitto: Mosquitto, collector: Collector):
    with living(tmp_path / "journal", to(mosquitto)) as house:
        wait_until(lambda: collector.of(wire.STATE))
        house.alarm(1)
    wait_until(lambda: [message.link for message in collector.of(wire.LINK)] == ["up", "down"])
    assert whys(collector) == ["no. 1"]  # the last event is out before the goodbye
    with living(tmp_path / "journal", to(mosquitto)) as house:
        wait_until(lambda: len(collector.of(wire.LINK)) == 3)
        worker = house.uplink._worker
        assert worker is not None
        worker.abandon()  # the thread hangs, and its connection is cut
        wait_until(lambda: len(collector.of(wire.LINK)) == 4)
        assert collector.of(wire.LINK)[-1].link == "down"


def test_a_thread_that_died_is_replaced(
    tmp_path: Path, mosquitto: Mosquitto, collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("edge.uplink.uplink.GUARD_EVERY_S", 0.05)
    with living(tmp_path / "journal", to(mosquitto)) as house:
        wait_until(lambda: house.uplink.is_connected)
        first = house.uplink._worker
        assert first is not None
        first.abandon()
        wait_until(lambda: house.uplink.counters.restarts == 1)
        wait_until(lambda: not first.thread.is_alive())
        house.alarm(1)
        wait_until(lambda: whys(collector) == ["no. 1"])


def test_a_message_too_big_is_refused_and_the_rest_goes_on(tmp_path: Path, mosquitto: Mosquitto, collector: Collector):
    big = wire.Points("c0ffee", "home", True, (), tuple(
        wire.Point(f"point-{number}", "f1", "很长的地方" * 8, "contact", "", 0, "profile", True, None, None)
        for number in range(1_500)
    ))  # fmt: skip
    with living(tmp_path / "journal", to(mosquitto), points=lambda: big) as house:
        house.alarm(1)
        wait_until(lambda: whys(collector) == ["no. 1"])
        assert house.uplink.counters.refused == 1
        assert not collector.of(wire.POINTS)


def test_a_flood_of_transitions_is_one_picture(collector: Collector, house: House):
    wait_until(lambda: collector.of(wire.STATE))
    for number in range(1, 301):
        house.alarm(number)
        house.uplink.state_changed()
    wait_until(lambda: len(whys(collector)) == 300)
    wait_until(lambda: collector.of(wire.STATE)[-1].event_seq == 300)
    assert len(collector.of(wire.STATE)) < 30


def test_without_an_uplink_nothing_runs(tmp_path: Path):
    before = threading.active_count()
    with living(tmp_path / "journal", UplinkConfig(enabled=False)) as house:
        house.alarm(1)
        house.uplink.wake()
        house.uplink.state_changed()
        assert threading.active_count() == before + 1  # the journal's
        assert not house.uplink.is_connected


def test_three_threads_a_home(house: House):
    mine = [thread.name for thread in threading.enumerate() if thread.name in ("journal", "uplink", "uplink-guard")]
    assert sorted(mine) == ["journal", "uplink", "uplink-guard"]


def told(collector: Collector) -> list[str]:
    """What the collector has, once each: what it has already may come again when a volume is new to it."""
    return sorted(set(whys(collector)))


def durable(collector: Collector, why: str) -> bool:
    """What an event says of itself."""
    return next(bool(event.durable) for event in collector.of(wire.EVENT) if event.why == why)


def test_events_leave_while_the_disk_is_dead(collector: Collector, house: House):
    house.alarm(1)
    wait_until(acknowledged(house, 1))
    with house.journal._intake.lock:
        house.journal._intake.ledger.leave_disk()
    house.alarm(2)
    wait_until(lambda: told(collector) == numbered(2))
    assert not durable(collector, "no. 2")
    wait_until(lambda: not house.journal.is_disk_faulty)
    house.alarm(3)
    wait_until(lambda: told(collector) == numbered(3))
    assert durable(collector, "no. 3")
    wait_until(lambda: [volume.event_acked for volume in house.journal.volumes()] == [1, 2])


def test_a_volume_that_was_all_acknowledged_goes_out_again_where_the_collector_lost_it(
    collector: Collector, house: House
):
    house.alarm(1)
    wait_until(acknowledged(house, 1))
    old = house.journal.volume().journal
    with house.journal._intake.lock:
        house.journal._intake.ledger.leave_disk()
    house.alarm(2)
    wait_until(lambda: told(collector) == numbered(2) and acknowledged(house, 1)())
    wait_until(lambda: not house.journal.is_disk_faulty)
    collector.forget_after(0)
    collector.say(wire.Ack(old, 0, 0))
    wait_until(lambda: "no. 1" in whys(collector))


def closed_and_current(collector: Collector, house: House) -> None:
    """One event in a volume that is closed and acknowledged, two in the current one."""
    house.alarm(1)
    wait_until(acknowledged(house, 1))
    with house.journal._intake.lock:
        house.journal._intake.ledger.leave_disk()
    house.alarm(2)
    wait_until(lambda: not house.journal.is_disk_faulty)
    house.alarm(3)
    wait_until(lambda: told(collector) == numbered(3))


def test_a_collector_set_back_speaks_of_the_current_volume_only_and_gets_all_again(collector: Collector, house: House):
    closed_and_current(collector, house)
    wait_until(acknowledged(house, 2))
    wait_until(lambda: [volume.event_acked for volume in house.journal.volumes()] == [1, 2])
    collector.forget_after(0)
    collector.acknowledge(house.journal.volume().journal)
    wait_until(lambda: told(collector) == numbered(3))
    wait_until(lambda: [volume.event_acked for volume in house.journal.volumes()] == [1, 2])


def test_a_collector_set_back_before_it_heard_of_the_current_volume_gets_all_again(collector: Collector, house: House):
    house.alarm(1)
    wait_until(acknowledged(house, 1))
    collector.acknowledges = False
    collector.forget_after(0)
    with house.journal._intake.lock:
        house.journal._intake.ledger.leave_disk()
    house.alarm(2)
    wait_until(lambda: whys(collector) == ["no. 2"])
    collector.acknowledges = True
    collector.acknowledge(house.journal.volume().journal)
    wait_until(lambda: told(collector) == numbered(2))


def test_an_agent_that_cannot_compose_a_state_keeps_no_event_back(
    tmp_path: Path, mosquitto: Mosquitto, collector: Collector
):
    def broken() -> wire.State:
        raise KeyError("report")

    with living(tmp_path / "journal", to(mosquitto), state=broken, on_ask=lambda _: broken()) as house:
        wait_until(lambda: house.uplink.is_connected)
        collector.say(wire.Ask("ask-00000001", "请报告", 120), wire.ASK)
        house.alarm(1)
        wait_until(lambda: whys(collector) == ["no. 1"])
        assert house.uplink.counters.refused >= 1
        assert house.uplink.counters.connections == 1


def test_what_an_older_volume_holds_is_delivered_too(tmp_path: Path, mosquitto: Mosquitto, collector: Collector):
    with journal_in(tmp_path / "journal") as journal:
        journal.record([smoke(1)])
        offered(journal, 1)
        with journal._intake.lock:
            journal._intake.ledger.leave_disk()
        journal.record([smoke(2)])
        wait_until(lambda: not journal.is_disk_faulty)
    with living(tmp_path / "journal", to(mosquitto)) as house:
        # An older volume is sent again at the first word on the current one, until the collector speaks of it too.
        wait_until(lambda: set(whys(collector)) == set(numbered(2)))
        wait_until(lambda: [volume.event_acked for volume in house.journal.volumes()] == [1, 1])
