"""The engine: people first, memory second, and no failure of memory, network or disk on the way to the sound."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.core.plan import Plan, PointPlan, ZonePlan
from edge.core.rules.contact import ContactRule
from edge.core.values import Act, Class, Kind, Operation, Reading, Unknown
from edge.engine import Engine
from edge.report import PanelReport
from tests.edge.home import Diary, FakeClock

AT_ONCE = ContactRule(on_ms=0, off_ms=0)
PLAN = Plan(
    (
        PointPlan("smoke-203", "f2", "二楼203室", AT_ONCE, Class.FIRE, bus="gpio"),
        PointPlan("smoke-204", "f2", "二楼204室", AT_ONCE, Class.FIRE, bus="gpio"),
        PointPlan("mains", "f2", "配电间", AT_ONCE, Class.FAULT, bus="gpio", lamp="lamp_supply"),
        PointPlan("slow", "f2", "走廊", ContactRule(on_ms=30, off_ms=0), Class.FIRE, bus="gpio", fault_after_ms=None),
    ),
    (ZonePlan("f2", 60_000, 3000),),
)
FIRE = Reading("smoke-203", 1)


def in_loop(test: Callable[[], Any]) -> None:
    """Run a test of an engine where it belongs: on a loop."""

    async def run() -> None:
        test()

    asyncio.run(run())


def an_engine(diary: Any, **more: Any) -> Engine:
    return Engine(PLAN, more.pop("clock", FakeClock()), diary, more.pop("memory", diary), **more)


def test_outputs_are_driven_before_anything_is_remembered_or_told() -> None:
    def test() -> None:
        diary = Diary()
        engine = an_engine(diary, on_change=lambda report: diary.entries.append(("told", report)))
        for item in ([FIRE], [Reading("smoke-204", 1)]):
            diary.entries.clear()
            engine.take(item)
            assert [name for name, _ in diary.entries] == ["show", "record", "told", "observe"]
        assert diary.of("show")[0].sound is Class.FIRE

    in_loop(test)


def test_a_rule_that_fails_costs_its_own_point_only_and_that_becomes_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    def fails(*_: Any) -> Any:
        raise ZeroDivisionError

    def test() -> None:
        diary, clock = Diary(), FakeClock()
        engine = an_engine(diary, clock=clock)
        engine.panel.points["mains"].step = fails
        for second in range(70):
            clock.now_ms = 1_000_000 + second * 1000
            engine.take([Reading("mains", 0), Reading("smoke-203", int(second == 1)), Reading("smoke-204", 0)])
        raised = [(item.condition, item.subject) for item in diary.transitions if item.kind is Kind.RAISE]
        assert raised == [(Class.FIRE, "smoke-203"), (Class.FAULT, "mains")]

    in_loop(test)
    assert caplog.text.count("mains could not be decided on") == 1


def test_an_act_is_shown_recorded_and_told_with_its_name() -> None:
    def test() -> None:
        diary = Diary()
        engine = an_engine(diary)
        engine.take([FIRE])
        engine.act(Act(Operation.SILENCE, "李护士 (pi)", "看过了"))
        assert (diary.transitions[-1].kind, diary.transitions[-1].who) == (Kind.SILENCE, "李护士 (pi)")
        assert diary.of("show")[-1].sound is None

    in_loop(test)


def test_the_moment_of_sounding_is_kept_with_what_sounds_and_with_nothing_else() -> None:
    def test() -> None:
        clock, diary = FakeClock(5000), Diary()
        engine = an_engine(diary, clock=clock)
        clock.now_ms = 6000
        engine.take([FIRE])
        clock.now_ms = 7000
        engine.act(Act(Operation.ACKNOWLEDGE, "x"))
        assert [sounded_ms for _, sounded_ms, _ in diary.of("record")] == [None, 6000, None]

    in_loop(test)


class ForgettingMemory(Diary):
    """Raises whatever it is given: a bug, a full disk that nobody foresaw."""

    def record(self, *what: Any, **more: Any) -> None:
        raise RuntimeError("no memory")

    def observe(self, *what: Any) -> None:
        raise MemoryError


def test_a_memory_that_fails_keeps_nobody_from_deciding_sounding_or_telling(caplog: pytest.LogCaptureFixture) -> None:
    def test() -> None:
        diary, reports = Diary(), list[PanelReport]()
        engine = an_engine(diary, memory=ForgettingMemory(), on_change=reports.append)
        for _ in range(5):
            engine.take([FIRE, Reading("smoke-204", 0)])
        engine.take([Reading("smoke-204", 1)])
        engine.act(Act(Operation.SILENCE, "x"))
        assert [item.subject for item in reports[-1].active] == ["smoke-203", "smoke-204"]
        assert diary.of("show")[-1].sound is None

    in_loop(test)
    assert len(caplog.records) == 2, "said once for each that fails, not once a reading"


def test_whoever_is_told_may_fail_too() -> None:
    def test() -> None:
        diary = Diary()

        def fail(_: PanelReport) -> None:
            raise OSError("nobody listens")

        engine = an_engine(diary, on_change=fail)
        engine.take([FIRE])
        assert diary.of("show")[-1].sound is Class.FIRE
        assert diary.transitions[-1].kind is Kind.RAISE

    in_loop(test)


def test_a_deadline_is_met_though_nothing_comes_in_and_memory_fails() -> None:
    """The debounce of `slow` ends by time alone; a failing memory must not cost the timer."""

    async def run() -> None:
        diary = Diary()
        engine = Engine(PLAN, SystemClock(), diary, ForgettingMemory())
        engine.take([Reading("slow", 1)])
        assert diary.of("show")[-1].sound is None
        async with asyncio.timeout(5):
            while diary.of("show")[-1].sound is not Class.FIRE:
                await asyncio.sleep(0.005)
        engine.stop()

    asyncio.run(run())


def test_the_state_is_asserted_again_as_it_is_by_now() -> None:
    """A lamp of a point follows readings that make no transition: it must not wait for the next alarm to be lit."""

    def test() -> None:
        diary = Diary()
        engine = an_engine(diary)
        engine.assert_outputs()
        assert "lamp_supply" not in diary.of("show")[-1].lamps, "not heard yet, so nobody says that all is well"
        engine.take([Reading("mains", 0)])
        engine.assert_outputs()
        assert "lamp_supply" in diary.of("show")[-1].lamps

    in_loop(test)


def test_what_stood_before_a_restart_sounds_before_anything_is_read() -> None:
    def test() -> None:
        diary = Diary()
        engine = an_engine(diary)
        engine.take([FIRE, Reading("smoke-204", 1)])
        saved = diary.of("record")[-1][2]
        again = Diary()
        an_engine(again, saved=saved)
        assert again.entries[0][0] == "show"
        assert again.entries[0][1].sound is Class.FIRE
        assert [item.kind for item in again.transitions] == [Kind.START, Kind.RESTORE, Kind.RESTORE]
        assert [item.order for item in again.transitions] == [0, 1, 2]

    in_loop(test)


def test_time_spent_off_counts_for_the_confirmation() -> None:
    def test() -> None:
        clock, diary = FakeClock(), Diary()
        an_engine(diary, clock=clock).take([FIRE])
        saved = diary.of("record")[-1][2]
        for off_ms, kinds in ((0, []), (61_000, [Kind.CONFIRM])):
            again = Diary()
            engine = an_engine(again, clock=clock, saved=saved, off_ms=off_ms)
            clock.now_ms += 2
            engine.tick()
            assert [item.kind for item in again.transitions][2:] == kinds

    in_loop(test)


def a_memory(row: str, fire_order: str = "1", confirmed: str = "[]") -> bytes:
    """A saved panel with one condition, as it is on the disk."""
    return (f'{{"version": 1, "fire_order": {fire_order}, "confirmed": {confirmed}, "conditions": [{row}]}}').encode()


ROW = '["fire", "smoke-203", "f2", 5, 1, false, false]'


@pytest.mark.parametrize(
    "saved",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"version": 99}',
        b'{"version": 1}',
        a_memory(ROW, fire_order='"x"'),
        a_memory(ROW, confirmed="null"),
        a_memory(ROW.replace("5", "1e400")),
        a_memory(ROW.replace('"smoke-203"', '["x"]')),
        a_memory(ROW.replace("fire", "flood")),
        a_memory("7"),
    ],
)
def test_a_memory_of_rubbish_is_a_gap_and_alarms_go_on(saved: bytes) -> None:
    def test() -> None:
        diary = Diary()
        engine = an_engine(diary, saved=saved)
        assert [item.kind for item in diary.transitions][:1] == [Kind.START]
        if saved:
            assert Kind.GAP in [item.kind for item in diary.transitions]
        engine.take([FIRE])
        assert diary.of("show")[-1].sound is Class.FIRE
        assert ("smoke-203", Kind.RAISE) in [(item.subject, item.kind) for item in diary.transitions]

    in_loop(test)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats()
    | st.sampled_from(["fire", "fault", "smoke-203", "f2", "x"]),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=16,
)
_ROW = st.tuples(
    st.sampled_from(["fire", "electrical", "fault", "test"]) | _JSON, st.sampled_from(["smoke-203", "gpio"]) | _JSON,
    st.sampled_from(["f2", "f9", ""]) | _JSON, st.integers() | _JSON, st.integers() | _JSON, st.booleans() | _JSON,
    st.booleans() | _JSON,
).map(list)  # fmt: skip
_SAVED = st.fixed_dictionaries(
    {"version": st.just(1) | _JSON, "fire_order": st.integers() | _JSON, "confirmed": st.just(["f2"]) | _JSON,
     "conditions": st.lists(_ROW, max_size=4) | _JSON}
)  # fmt: skip


@settings(max_examples=100)
@given(_SAVED)
def test_no_memory_however_damaged_keeps_a_fire_from_sounding(saved: dict[str, Any]) -> None:
    def test() -> None:
        clock, diary = FakeClock(), Diary()
        engine = an_engine(diary, clock=clock, saved=json.dumps(saved).encode())
        engine.take([FIRE, Reading("smoke-204", 1), Reading("mains", None, Unknown.NO_LINK)])
        clock.now_ms += 100_000
        engine.tick()
        assert ("smoke-203", True) in [(item.subject, item.is_present) for item in engine.panel.of_class(Class.FIRE)], (
            "the fire stands"
        )
        assert json.loads(diary.of("record")[-1][2])["version"] == 1, "and can be saved again"

    in_loop(test)


def test_nothing_happens_after_the_end_but_its_record() -> None:
    async def run() -> None:
        diary, clock = Diary(), FakeClock()
        engine = an_engine(diary, clock=clock)
        engine.take([Reading("slow", 1)])
        engine.stop()
        told = len(diary.entries)
        clock.now_ms += 1000
        await asyncio.sleep(0.06)
        assert len(diary.entries) == told
        assert diary.transitions[-1].kind is Kind.STOP

    asyncio.run(run())
