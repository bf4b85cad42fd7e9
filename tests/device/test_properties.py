"""What holds for any course of events, by Hypothesis; the cases that a person can read are in logic/."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import start
from device.alarms import NAME, AlarmLog, parse, record
from device.inputs import LONGEST_SAMPLE_MS, Change, Contact
from device.mqtt import MQTTClient, MQTTError
from device.reports import RING, Reports
from device.ticks import Uptime
from device.update import Updater
from tests.device.fakes import BrokerLine, PowerCut, TearingFlash
from tests.device.logic.test_update import KEY, NEW, NODE, OLD, Gateway, firmware, flash_with

PERIOD = 1 << 30
ALARM = Change("smoke", 1, None, True)
CALM = Change("smoke", 0, None, False)


@given(st.lists(st.integers(0, PERIOD // 2 - 1), max_size=50), st.integers(0, PERIOD - 1))
def test_uptime_is_the_sum_of_what_passed_wherever_the_ticks_began(steps: list[int], first: int):
    ticks = [first]
    uptime = Uptime(lambda: ticks[0], lambda a, b: ((a - b + PERIOD // 2) % PERIOD) - PERIOD // 2)
    for at, step in enumerate(steps, 1):
        ticks[0] = (ticks[0] + step) % PERIOD
        assert uptime.now_ms() == sum(steps[:at])


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=80), st.integers(10, 1000))
def test_a_contact_never_raises_on_less_than_its_debounce_and_always_on_a_steady_one(course, on_ms: int):
    contact = Contact("smoke", on_ms, 1000)
    now_ms = active_ms = 0
    was = False
    for active, passed in course:
        now_ms += passed
        active_ms += min(passed, LONGEST_SAMPLE_MS) if was else 0
        change = contact.step(active, now_ms)
        was = active
        if change is not None and change.value == 1:
            assert active_ms >= on_ms
            return
    if contact.value != 1:
        changes = [contact.step(True, now_ms + passed) for passed in range(10, on_ms + LONGEST_SAMPLE_MS + 20, 10)]
        assert [change.value for change in changes if change is not None] == [1]


@given(st.lists(st.permutations([True, True, False]), min_size=60, max_size=60))
def test_a_contact_that_is_closed_two_thirds_of_the_time_raises(thirds: list[list[bool]]):
    contact = Contact("smoke", 300, 1000)
    samples = [sample for third in thirds for sample in third]
    assert [change.value for i, sample in enumerate(samples) if (change := contact.step(sample, i * 10))] == [1]


rows = st.builds(
    lambda boot, seq, name, value, wall: (boot, seq, Change(name, value, None, True), wall),
    st.text("0123", min_size=8, max_size=16), st.integers(1, 1 << 40), st.text("abc", min_size=1, max_size=9),
    st.integers(-(1 << 40), 1 << 40), st.none() | st.integers(0, 1 << 43),
)  # fmt: skip


@given(st.lists(rows, max_size=5), st.data())
def test_a_mangled_file_gives_alarms_that_were_written_or_none(written: list, data: st.DataObject):
    whole = b"".join(record(row) for row in written)
    assert parse(whole) == (written, False)
    start_at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start_at, len(whole)))
    mangled = whole[:start_at] + data.draw(st.binary(max_size=20)) + whole[end:]
    assert all(row in written for row in parse(mangled)[0])


@given(st.lists(st.sampled_from(["alarm", "calm", "ack", "boot"]), max_size=200), st.data())
def test_whatever_is_lost_is_no_alarm_or_counted(events: list[str], data: st.DataObject):
    flash = TearingFlash()
    reports: Any = Reports("boot-0", AlarmLog(flash))
    alarms: set[tuple[str, int]] = set()
    boots = 0
    for at, event in enumerate(events):
        boot = f"boot-{boots}"
        if event in ("alarm", "calm"):
            reports.add(ALARM if event == "alarm" else CALM, at, None, False)
            if event == "alarm":
                alarms.add((boot, reports.seq))
            reports.store(at, False)
        elif event == "ack":
            seq = data.draw(st.integers(0, reports.seq))
            reports.acknowledged(boot, seq)
            alarms = {(of, number) for of, number in alarms if of != boot or number > seq}
        elif not reports.dropped_alarms and len(alarms) < 20:  # what the file holds; more are in memory only
            boots += 1
            reports = Reports(f"boot-{boots}", AlarmLog(flash))
        assert len(reports.due(10**9, True, -(10**6))) == reports.waiting() <= RING + 24
        waiting = {(entry.boot, entry.seq) for entry in reports.due(10**9, True, -(10**6))}
        assert len(alarms - waiting) <= reports.dropped_alarms or flash.content.get(NAME) is None
        assert all(entry.seq >= reports.held(entry.boot) for entry in reports.due(10**9, True, -(10**6)))


def _client(heard: list) -> tuple[MQTTClient, BrokerLine]:
    client, line = MQTTClient("n-203"), BrokerLine()
    client.set_callback(lambda topic, payload: heard.append((topic, payload)))
    client.connect(line, 0)
    client.check_msg(0)
    return client, line


messages = st.lists(st.tuples(st.sampled_from(["a", "b/c"]), st.binary(max_size=400), st.integers(0, 1)), max_size=12)


@given(messages, messages, st.lists(st.integers(1, 90), min_size=1, max_size=20))
def test_a_line_in_pieces_of_any_size_carries_both_ways_all_and_in_order(down, up, pieces: list[int]):
    heard: list[tuple[str, bytes]] = []
    client, line = _client(heard)
    for topic, payload, qos in down:
        line.publish(topic, payload, qos, 9)
    line.takes = pieces[0]
    for topic, payload, qos in up:
        client.publish(topic, payload, 0, qos=qos)
    for turn in range(10_000):
        line.gives = line.takes = pieces[turn % len(pieces)]
        client.check_msg(0)
        if len(line.published) == len(up) and len(heard) == len(down) and not client.in_flight:
            break
    assert heard == [(topic, payload) for topic, payload, _ in down]
    assert [item[:2] for item in line.published] == [item[:2] for item in up]


@given(st.binary(max_size=200))
def test_whatever_a_broker_sends_is_taken_or_ends_the_connection(data: bytes):
    client, line = _client([])
    line.send(data)
    try:
        client.check_msg(0)
    except MQTTError as error:
        assert ": " in str(error)


contents = st.dictionaries(st.sampled_from(["main.py", "wire.py", "x.py"]), st.binary(max_size=1500), min_size=1)


@given(contents, contents, st.integers(0, 60), st.integers(0, 1100))
def test_a_power_cut_anywhere_in_any_update_leaves_one_whole_firmware(old, new, cut: int, torn: int):
    flash = flash_with(old)
    flash.cut_after, flash.torn_bytes = cut, torn
    with pytest.raises(PowerCut):
        _live(flash, Gateway(new))
        raise PowerCut  # it ended before the cut
    flash.power_up()
    slot = start.choose(flash)
    assert firmware(flash, slot) == (old if slot == "a" else new)
    _live(flash, Gateway(new))
    assert start.choose(flash) == "b"


def _live(flash: TearingFlash, gateway: Gateway) -> None:
    for _ in range(8):
        slot = start.choose(flash)
        updater: Any = Updater(flash, slot, NODE, KEY)
        updater.heard()
        if updater.release == 2 and not updater.on_trial:
            return
        gateway.serve(updater)


def test_the_firmware_of_the_cases_differs_where_it_should():
    """Else the tests of updates would prove nothing."""
    assert set(OLD) != set(NEW) and OLD["main.py"] != NEW["main.py"] and OLD["wire.py"] == NEW["wire.py"]


def test_the_real_flash_behaves_as_the_one_of_the_tests(tmp_path):
    real, fake = start.Files(str(tmp_path)), TearingFlash()
    steps: list[Callable[[Any], object]] = [
        lambda flash: flash.read("/x"),
        lambda flash: flash.remove("/x"),
        lambda flash: flash.names("/d"),
        lambda flash: flash.make_folder("/d"),
        lambda flash: flash.make_folder("/d"),
        lambda flash: flash.append("/d/x", b"ab"),
        lambda flash: flash.append("/d/x", b"cd"),
        lambda flash: flash.names("/d"),
        lambda flash: flash.read("/d/x"),
        lambda flash: flash.replace("/d/x", b"new"),
        lambda flash: flash.rename("/d/x", "/d/y"),
        lambda flash: b"".join(flash.pieces("/d/y")),
        lambda flash: flash.names("/d"),
        lambda flash: flash.remove("/d/y"),
        lambda flash: flash.names("/d"),
    ]
    assert [step(real) for step in steps] == [step(fake) for step in steps]
