"""A gateway without its hardware: what it looks after in itself, and how long it was off as far as that is believed."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from device import wire
from edge.config import Setup
from edge.core.rule_memory import recall
from edge.core.values import Act, Class, Kind, Operation, Reading, Refusal, Transition, Unknown
from edge.gateway import Gateway
from edge.journal import Journal
from edge.journal.volume import Stamp
from edge.own_points import CERTIFICATE_POINT, DISK_POINT, JOURNAL_POINT, LINK_POINT
from edge.report import compose_state
from edge.rule_file import FILE, RuleFile
from edge.view import describe_question
from tests.edge.home import Diary, FakeClock, small_home
from tests.support import wait_until

UPLINK: dict[str, Any] = {"[[zone]]": '[uplink]\nhost = "127.0.0.1"\nport = 9\n\n[[zone]]'}


class Clock(FakeClock):
    """Stands until it is set."""


def with_gateway(
    folder: Path, test: Callable[[Gateway, Diary, Clock], Any], clock: Clock | None = None, **changes: str
) -> Any:
    """Run a test of a started gateway on a loop, and close it."""
    setup = small_home(folder, **changes)
    return asyncio.run(_run(setup, test, clock or Clock()))


async def _run(setup: Setup, test: Callable[[Gateway, Diary, Clock], Any], clock: Clock) -> Any:
    diary = Diary()
    gateway = Gateway(setup, clock, diary)
    await asyncio.to_thread(gateway.journal.start)
    gateway.journal.start = lambda: None  # type: ignore[method-assign]
    gateway.start()
    try:
        return test(gateway, diary, clock)
    finally:
        gateway.stop()
        await asyncio.to_thread(gateway.close)


def lamps(diary: Diary) -> frozenset[str]:
    """The lamps that are lit."""
    found: frozenset[str] = diary.of("show")[-1].lamps
    return found


def faults(gateway: Gateway) -> list[str]:
    """What is at fault."""
    return [item.subject for item in gateway.report.active if item.condition is Class.FAULT]


def heard(gateway: Gateway, now_ms: int | None) -> None:
    """Let the collector have been heard at a time."""
    gateway.uplink._shared.heard_ms = now_ms


def test_nobody_listening_is_a_fault_with_its_lamp_within_its_time_and_ends_with_it(tmp_path: Path) -> None:
    def test(gateway: Gateway, diary: Diary, clock: Clock) -> None:
        gateway.beat()
        assert "lamp_link" not in lamps(diary), "nobody has been heard yet"
        clock.now_ms += 100_000
        gateway.beat()
        assert LINK_POINT not in faults(gateway)
        clock.now_ms += 1
        gateway.beat()
        assert LINK_POINT in faults(gateway)
        assert "lamp_link" not in lamps(diary) and "lamp_fault" in lamps(diary)
        heard(gateway, clock.now_ms)
        gateway.beat()
        assert LINK_POINT not in faults(gateway)
        assert "lamp_link" in lamps(diary), "lit by the beat, with no alarm to wait for"
        clock.now_ms += 100_001
        gateway.beat()
        assert LINK_POINT in faults(gateway)

    with_gateway(tmp_path, test, **UPLINK)


CERTIFICATE: dict[str, Any] = {
    "[[zone]]": '[uplink]\nhost = "127.0.0.1"\nport = 9\nca = "ca"\ncert = "pair"\nkey = "pair"\n\n[[zone]]'
}
DAY_MS = 86_400_000


def test_a_certificate_that_ends_within_a_month_is_a_fault_until_it_is_renewed(tmp_path: Path) -> None:
    def test(gateway: Gateway, diary: Diary, clock: Clock) -> None:
        def ending_in(days: int) -> bool:
            gateway.uplink._shared.certificate_ends_ms = clock.wall_ms() + days * DAY_MS
            clock.now_ms += 1
            gateway.beat()
            return CERTIFICATE_POINT in faults(gateway)

        gateway.beat()
        assert CERTIFICATE_POINT not in faults(gateway), "nobody has read it yet"
        assert not ending_in(31)
        assert ending_in(29)
        assert ending_in(-1)
        assert not ending_in(400)

    with_gateway(tmp_path, test, **CERTIFICATE)


def test_a_clock_that_is_not_trusted_accuses_no_certificate(tmp_path: Path) -> None:
    def test(gateway: Gateway, diary: Diary, clock: Clock) -> None:
        gateway.uplink._shared.certificate_ends_ms = 0
        clock.is_trusted = False
        gateway.beat()
        assert CERTIFICATE_POINT not in faults(gateway)

    with_gateway(tmp_path, test, **CERTIFICATE)


def test_a_home_without_an_uplink_has_nobody_to_miss(tmp_path: Path) -> None:
    def test(gateway: Gateway, diary: Diary, clock: Clock) -> None:
        clock.now_ms += 1_000_000
        gateway.beat()
        assert LINK_POINT not in faults(gateway)
        assert "lamp_link" not in lamps(diary), "and nobody who listens"

    with_gateway(tmp_path, test)


def test_a_damaged_journal_is_a_fault_that_a_person_sees(tmp_path: Path) -> None:
    def test(gateway: Gateway, diary: Diary, clock: Clock) -> None:
        wait_until(lambda: not gateway.journal.is_disk_faulty, what="a new journal to be begun")
        gateway.beat()
        assert faults(gateway) == [JOURNAL_POINT]
        assert gateway.journal.recovered_from is not None

    folder = Path(small_home(tmp_path).gateway.data)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "journal.sqlite").write_bytes(b"no database" * 1000)
    with_gateway(tmp_path, test)


def test_a_disk_that_fails_is_a_fault_until_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the journal say so is tested with the journal; what a home then hears, in test_agent."""

    def test(gateway: Gateway, diary: Diary, clock: Clock) -> None:
        for is_faulty in (False, True, False):
            monkeypatch.setattr(Journal, "is_disk_faulty", is_faulty)
            clock.now_ms += 1000
            gateway.beat()
            assert (DISK_POINT in faults(gateway)) is is_faulty
            assert ("lamp_fault" in lamps(diary)) is is_faulty
            state = compose_state(gateway.report, gateway._identity, gateway.journal, clock)
            assert [item.point for item in state.active] == [DISK_POINT] * is_faulty
            assert (state.disk == "ok") is not is_faulty

    with_gateway(tmp_path, test)


def test_an_alarm_survives_the_end_of_the_gateway_with_what_people_did(tmp_path: Path) -> None:
    def before(gateway: Gateway, _: Diary, clock: Clock) -> None:
        gateway.take([Reading("smoke-203", 1)])
        clock.now_ms += 500
        gateway.take([Reading("smoke-203", 1)])
        gateway.act(Act(Operation.ACKNOWLEDGE, "x"))

    def after(gateway: Gateway, diary: Diary, _: Clock) -> list[Any]:
        assert diary.entries[0][1].sound is Class.FIRE, "the very first thing that is shown"
        return list(gateway.report.active)

    clock = Clock()
    with_gateway(tmp_path, before, clock)
    (active,) = with_gateway(tmp_path, after, clock)
    assert (active.condition, active.subject, active.is_acknowledged) == (Class.FIRE, "smoke-203", True)


def test_what_it_tells_of_a_value_has_its_unit(tmp_path: Path) -> None:
    def test(gateway: Gateway, _: Diary, clock: Clock) -> None:
        gateway.take([Reading("leak-k", 350)])
        clock.now_ms += 20_000
        gateway.take([Reading("leak-k", 350)])
        wait_until(lambda: gateway.journal.volume().event_seq >= 2, what="the events to be offered")
        outbox = gateway.journal.outbox()
        told = b"".join(payload for _, payload in outbox.events(gateway.journal.volume().journal, 0, 50))
        outbox.close()
        assert b'"unit":"mA"' in told and b'"value":350' in told

    with_gateway(tmp_path, test)


def saved(
    boot: str = "boot-0001", mono_ms: int = 900_000, wall_ms: int = 1_700_000_900_000, clock_ok: bool = True
) -> Any:
    """A snapshot's stamp."""
    return SimpleNamespace(saved=SimpleNamespace(boot=boot, mono_ms=mono_ms, wall_ms=wall_ms, clock_ok=clock_ok))


@pytest.mark.parametrize(
    ("snapshot", "is_trusted", "off_ms"),
    [
        (None, True, 0),
        (saved(), True, 100_000),
        (saved(), False, 100_000),  # the same boot: no clock on the wall is asked
        (saved(mono_ms=1_100_000), True, 0),  # never before now
        (saved(boot="boot-0000", mono_ms=5), True, 100_000),
        (saved(boot="boot-0000", clock_ok=False), True, 0),
        (saved(boot="boot-0000"), False, 0),
        (saved(boot="boot-0000", wall_ms=1_800_000_000_000), True, 0),  # the clock was set back
    ],
)
def test_time_off_counts_only_where_it_can_be_believed(
    tmp_path: Path, snapshot: Any, is_trusted: bool, off_ms: int
) -> None:
    clock = Clock()
    clock.is_trusted = is_trusted
    gateway = Gateway(small_home(tmp_path), clock, Diary())
    assert gateway._off_ms(snapshot) == off_ms


def test_the_end_of_the_battery_is_the_last_event_on_the_disk_and_no_end_of_watching(tmp_path: Path) -> None:
    changes: dict[str, Any] = {'kind = "smoke"': 'kind = "battery_empty"'}

    async def run() -> None:
        clock, diary = Clock(), Diary()
        gateway = Gateway(small_home(tmp_path, **changes), clock, diary)
        gateway.start()
        gateway.take([Reading("smoke-203", 1)])
        clock.now_ms += 2_000
        gateway.take([Reading("smoke-203", 1)])
        await asyncio.sleep(0)
        wait_until(lambda: _told(gateway, b'"kind":"power_end"'), what="the last event to be durable")
        assert b'"durable":true' in _told(gateway, b'"kind":"power_end"')
        gateway.act(Act(Operation.SILENCE, "李护士"))
        assert diary.of("show")[-1].sound is None, "it goes on"
        gateway.stop()
        await asyncio.to_thread(gateway.close)

    asyncio.run(run())


def _told(gateway: Gateway, part: bytes) -> bytes:
    outbox = gateway.journal.outbox()
    found = [payload for _, payload in outbox.events(gateway.journal.volume().journal, 0, 50)]
    outbox.close()
    return b"".join(payload for payload in found if part in payload)


def answered(gateway: Gateway, **answer: Any) -> Any:
    return gateway.act(Act(Operation.ANSWER, "李护士 (pi)", answer.get("why", "在岗"), subject=answer.get("id", "")))


def test_a_question_of_the_bureau_is_shown_and_answered_by_a_person_as_an_event_of_the_contract(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        gateway = Gateway(small_home(tmp_path), Clock(), Diary())
        gateway.start()
        await asyncio.to_thread(gateway._asked, wire.Ask("question-1", "在岗吗\u202e", 600))  # as the uplink's thread
        await asyncio.sleep(0)
        asked = describe_question(gateway.engine.panel)
        assert asked == {"id": "question-1", "text": "在岗吗", "remaining_ms": 600_000}
        await asyncio.to_thread(gateway._asked, wire.Ask("question-2", "and another", 600))
        await asyncio.sleep(0)
        asked = describe_question(gateway.engine.panel)
        assert asked is not None and asked["id"] == "question-1", "a flood of them shows one in ten seconds"
        assert answered(gateway, id="question-9") is Refusal.NO_QUESTION
        assert answered(gateway, id="question-1") is None
        assert describe_question(gateway.engine.panel) is None
        wait_until(lambda: _told(gateway, b'"kind":"answer"'), what="the answer to be durable")
        event = wire.decode_event(_told(gateway, b'"kind":"answer"'))
        assert (event.point, event.who, event.why) == ("question-1", "李护士 (pi)", "在岗")
        gateway.stop()
        await asyncio.to_thread(gateway.close)

    asyncio.run(run())


def test_what_is_out_of_service_is_saved_each_minute_while_it_runs(tmp_path: Path) -> None:
    def test(gateway: Gateway, _: Diary, clock: Clock) -> None:
        saved: list[bytes] = []
        gateway.journal.save_state = saved.append  # type: ignore[assignment,method-assign]
        for __ in range(120):
            clock.now_ms += 1000
            gateway.beat()
        assert saved == [], "nothing that a power cut could make longer"
        gateway.act(Act(Operation.DISABLE, "x", "y", "leak-k", 3_600_000, True))
        for __ in range(120):
            clock.now_ms += 1000
            gateway.beat()
        left = [json.loads(body)["disabled"][0][3] for body in saved]
        assert len(left) == 2 and left[0] - left[1] == 60_000
        state = compose_state(gateway.report, gateway._identity, gateway.journal, clock)
        assert state.disabled == ("leak-k",) and "leak-k" in state.unproven
        assert dict(state.counts)["disabled"] == 1

    with_gateway(tmp_path, test)


@pytest.mark.parametrize(("is_trusted", "left_ms"), [(True, 3_600_000 - 100_000), (False, 3_600_000 - 60_000)])
def test_a_power_cut_makes_no_disablement_longer_whatever_the_clock_says(
    tmp_path: Path, is_trusted: bool, left_ms: int
) -> None:
    """Where the clock is not trusted the cut itself does not count, but the minute that may be unsaved does."""

    def before(gateway: Gateway, _: Diary, clock: Clock) -> None:
        gateway.act(Act(Operation.DISABLE, "x", "y", "leak-k", 3_600_000, True))

    def after(gateway: Gateway, _: Diary, clock: Clock) -> int:
        return gateway.engine.panel.disabled["leak-k"].end_ms - clock.now_ms

    clock = Clock()
    with_gateway(tmp_path, before, clock)
    clock.boot, clock.now_ms, clock.is_trusted = "boot-0002", 500, is_trusted
    clock.wall_of_mono_ms = 1_700_000_000_000 + 1_000_000 + 100_000 - 500
    assert with_gateway(tmp_path, after, clock) == left_ms


def test_a_question_of_the_bureau_does_nothing_here(tmp_path: Path) -> None:
    def test(gateway: Gateway, diary: Diary, _: Clock) -> None:
        gateway.take([Reading("smoke-203", 1)])
        before = len(diary.entries)
        gateway._asked(wire.Ask("question-1", "silence", 60))
        assert len(diary.entries) == before

    with_gateway(tmp_path, test)


def test_the_rules_are_told_the_hour_when_it_changes_and_the_strictest_while_the_clock_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def test(gateway: Gateway, diary: Diary, clock: Clock) -> None:
        told: list[Any] = []
        monkeypatch.setattr(gateway.engine, "tell", told.append)
        for _ in range(3):
            gateway.beat()
        clock.now_ms += 3_600_000
        gateway.beat()
        clock.is_trusted = False
        gateway.beat()
        hours = [item.hour for item in told]
        assert len(hours) == 3 and hours[1] == (hours[0] + 1) % 24 and hours[2] is None

    with_gateway(tmp_path, test)


def kept_days(folder: Path) -> Any:
    """What is kept of the bottle's days."""
    return RuleFile(folder / "data").load()[0].get("ext")


def test_the_days_that_rules_remember_are_kept_every_hour_and_given_back(tmp_path: Path) -> None:
    def a_day(gateway: Gateway, _: Diary, clock: Clock) -> None:
        for minute in range(20 * 60):
            clock.now_ms += 60_000
            gateway.take([Reading("ext", 950)])
            gateway.beat()
            if minute == 90:
                wait_until(lambda: kept_days(tmp_path), what="the days to be kept")

    def after(gateway: Gateway, _: Diary, clock: Clock) -> list[Any]:
        for _minute in range(5 * 60):
            clock.now_ms += 60_000
            gateway.take([Reading("ext", 950)])
        return [(item.condition, item.subject, item.word) for item in gateway.report.active if item.subject == "ext"]

    clock = Clock()
    with_gateway(tmp_path, a_day, clock)
    assert len(kept_days(tmp_path)[3]) == 20, "kept at the end as well"
    assert with_gateway(tmp_path, after, clock) == [(Class.SUPERVISORY, "ext", "low")]


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"stamp": [1], "rules": {}}', b"\xff", b"[" * 100_000])
def test_days_that_cannot_be_read_cost_nothing_else(damage: bytes, tmp_path: Path) -> None:
    def test(gateway: Gateway, diary: Diary, clock: Clock) -> None:
        gateway.take([Reading("smoke-203", 1)])
        clock.now_ms += 500
        gateway.take([Reading("smoke-203", 1)])
        assert diary.of("show")[-1].sound is Class.FIRE

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_bytes(damage)
    with_gateway(tmp_path, test)


def test_the_damaged_days_of_one_point_are_a_gap_of_that_point(tmp_path: Path) -> None:
    def test(gateway: Gateway, _: Diary, clock: Clock) -> list[str]:
        stamp = Stamp(clock.boot, clock.mono_ms(), clock.wall_ms(), True)
        gaps = []
        for days in ([], ["x"], {"a": 1}, [1, 2, 3, [[-1, 2, True]], []]):
            RuleFile(tmp_path / "data").save({"ext": days, "leak-k": []}, stamp)
            gaps += recall(gateway.engine.panel, RuleFile(tmp_path / "data").load()[0])
        return [item.subject for item in gaps]

    assert with_gateway(tmp_path, test) == ["ext"] * 3


LOOSE = {
    'kind = "leakage"': 'kind = "leakage"\nrule = { loosened = "old wiring until June", threshold = { alarm = 400 } }'
}


def loosenings(folder: Path, **changes: str) -> list[str]:
    """What a start of this configuration puts on record as loosened."""

    def test(gateway: Gateway, diary: Diary, clock: Clock) -> list[str]:
        wait_until(lambda: gateway.journal.volume().event_seq >= 1, what="the start to be on record")
        return [item.why for item in told if item.kind is Kind.LOOSEN]

    told: list[Transition] = []
    record = Gateway.record

    def noted(self: Gateway, transitions: Any, *more: Any, **keys: Any) -> None:
        told.extend(transitions)
        record(self, transitions, *more, **keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gateway, "record", noted)
        found: list[str] = with_gateway(folder, test, None, **changes)
    return found


def test_what_is_loosened_is_on_record_with_its_reason_once_for_each_configuration(tmp_path: Path) -> None:
    said = ["threshold.alarm 300 -> 400: old wiring until June"]
    assert loosenings(tmp_path, **LOOSE) == said
    assert loosenings(tmp_path, **LOOSE) == [], "the same configuration"
    assert loosenings(tmp_path) == []
    assert loosenings(tmp_path, **LOOSE) == said, "loosened again"


def test_a_number_that_is_no_pressure_is_never_remembered_as_one(tmp_path: Path) -> None:
    def test(gateway: Gateway, _: Diary, __: Clock) -> None:
        kept: list[Reading] = []
        gateway.journal.observe = lambda readings, mono_ms: kept.extend(readings)  # type: ignore[method-assign]
        gateway.take([Reading("ext", 2_000), Reading("smoke-203", 0), Reading("ext", 1_200)])
        assert kept == [
            Reading("ext", None, Unknown.OUT_OF_RANGE), Reading("smoke-203", 0), Reading("ext", 1_200)
        ]  # fmt: skip

    with_gateway(tmp_path, test)
