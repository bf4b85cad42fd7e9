"""Plays the scenario and measures: from each cause, stamped by the simulator, to the buzzer's pin and to the board."""

import time
from collections.abc import Mapping
from typing import Any

from demo.awaited import Awaited
from demo.backlog import Backlog, Doubled, Mark
from demo.buzzer import Buzzer
from demo.homes import EVERY, FULL, homes
from demo.meter import Meter
from demo.narrator import Narrator
from demo.orders import Orders
from demo.outcome import Delay, Outcome
from demo.play import Expect, Order, Word
from demo.processes import Child
from demo.stage import Stage
from demo.stopping import Stopping
from demo.watch import Watch
from edge.core.plan import PointPlan, Rule
from edge.core.rules.contact import ContactRule
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.pressure import PressureRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.values import Class
from simulators.control import Control
from simulators.scenario import Scenario, Step

LOOK_EVERY_S = 0.05
"""How often log and values are looked at. Stamps of pins do not depend on it; a quantity's crossing does."""
METER_EVERY_NS = 1_000_000_000


class Director:
    """One stage, any number of plays of one scenario."""

    def __init__(
        self,
        stage: Stage,
        orders: Orders,
        control: Control,
        watch: Watch,
        narrator: Narrator,
        stopping: Stopping,
        meter: Meter,
    ) -> None:
        self._stage, self._orders, self._control = stage, orders, control
        self._watch, self._narrator, self._stopping, self._meter = watch, narrator, stopping, meter
        self._buzzer = Buzzer()
        self._log_ns = time.monotonic_ns()
        self._metered_ns = 0
        self._began_ns = 0
        self._awaited: list[Awaited] = []
        self._typed: list[tuple[Child, Awaited]] = []
        self._marks: dict[str, Mark] = {}
        self._backlogs: dict[str, Backlog] = {}
        self.outcomes: list[Outcome] = []

    def play(self, scenario: Scenario, words: Mapping[str, Word]) -> None:
        """Play it once; `outcomes` are then this play's. Raises Stopped, ChildDied, OSError."""
        self.outcomes = []
        self._began_ns = time.monotonic_ns()
        for step in scenario.steps:
            self._look_until(step.at_ms)
            self._begin(step, words.get(step.demo, Word()))
        self._look_until(scenario.end_ms)
        for awaited in list(self._awaited):
            self._end(awaited, is_missed=True)

    def idle(self) -> None:
        """Nothing is played: only see that everything lives. Raises Stopped, ChildDied."""
        self._look()
        self._stopping.wait(LOOK_EVERY_S * 10)

    # --- steps

    def _begin(self, step: Step, word: Word) -> None:
        self._narrator.step(step.at_ms, step.zh, step.en)
        began_ns = time.monotonic_ns()
        for command in step.do:
            self._control.do(**command)
        for order in word.district:
            self._order(order)
        carer = self._stage.operate(word.operate, self._narrator.word("carer")[0]) if word.operate else None
        for expect in word.expect:
            awaited = self._await(expect, began_ns)
            if carer is not None:
                awaited.is_typed = True
                self._typed.append((carer, awaited))

    def _order(self, order: Order) -> None:
        answer = self._orders.send(order.line())
        mark = Mark(str(answer["journal"]), int(answer["event_seq"]))
        if order.cable == "cut":
            self._marks[order.home] = mark
        elif order.cable and order.home in self._marks:
            self._backlogs[order.home] = Backlog(self._stage.address, order.home, self._marks.pop(order.home), mark)

    def _await(self, expect: Expect, began_ns: int) -> Awaited:
        point = self._point(expect)
        delay = self._delay(expect, point)
        awaited = Awaited(expect, self._place(expect, point), began_ns, self._watch, delay, _limit(expect, point))
        self._awaited.append(awaited)
        return awaited

    def _point(self, expect: Expect) -> PointPlan | None:
        return next((point for point in self._stage.setup.plan.points if point.code == expect.point), None)

    def _place(self, expect: Expect, point: PointPlan | None) -> str:
        if expect.home == EVERY:
            return ""
        name = next(home.name for home in homes() if home.code == expect.home)
        of_unit = (each.place for each in self._stage.setup.plan.points if expect.point and each.unit == expect.point)
        place = point.place if point is not None else next(of_unit, expect.point)
        return place if expect.home == FULL else f"{name} {place}".strip()

    def _delay(self, expect: Expect, point: PointPlan | None) -> Delay | None:
        if point is not None:
            return None if expect.confirmed else _delay_of(expect, point)
        points = self._stage.setup.plan.points
        patience = [each.fault_after_ms for each in points if expect.point and each.unit == expect.point]
        return Delay("lost", min(filter(None, patience))) if patience else None

    # --- looking

    def _look_until(self, at_ms: int) -> None:
        due_ns = self._began_ns + at_ms * 1_000_000
        while True:
            self._look()
            left_s = (due_ns - time.monotonic_ns()) / 1e9
            if left_s <= 0:
                return
            self._stopping.wait(min(left_s, LOOK_EVERY_S))

    def _look(self) -> None:
        now_ns = time.monotonic_ns()
        is_metered = now_ns - self._metered_ns >= METER_EVERY_NS
        if is_metered:
            self._metered_ns = now_ns
            self._stage.children.check()
            self._meter.sample(self._stage.children.pids)
        # The log is followed in idle times too: whether the buzzer sounded before a cause has to be known.
        if is_metered or self._awaited:
            self._take_log()
        self._take_commands(now_ns)
        self._take_values(now_ns)
        self._take_backlogs(now_ns)
        for awaited in list(self._awaited):
            if awaited.is_done:
                self._end(awaited, is_missed=False)
            elif awaited.is_late(now_ns):
                self._end(awaited, is_missed=True)

    def _take_log(self) -> None:
        entries: list[dict[str, Any]] = self._control.do(get="log", since_ns=self._log_ns)["log"]
        if entries:
            self._log_ns = int(entries[-1]["monotonic_ns"])
        self._buzzer.take(entries)
        for entry in entries:
            if entry["kind"] == "sms":
                self._narrator.sms((int(entry["monotonic_ns"]) - self._began_ns) // 1_000_000, entry)
        for awaited in self._awaited:
            awaited.take_log(entries, self._buzzer, time.monotonic_ns())

    def _take_commands(self, now_ns: int) -> None:
        """A command takes its own time to start, which is neither the gateway's nor the board's."""
        for carer, awaited in list(self._typed):
            if carer.process.poll() is not None:
                self._typed.remove((carer, awaited))
                awaited.delay = Delay("command", (now_ns - awaited.began_ns) // 1_000_000)

    def _take_values(self, now_ns: int) -> None:
        wanting = [awaited for awaited in self._awaited if awaited.needs_values]
        if wanting:
            values = self._control.do(get="values")["values"]
            for awaited in wanting:
                awaited.take_value(values[awaited.expect.quantity], now_ns)

    def _take_backlogs(self, now_ns: int) -> None:
        for awaited in self._awaited:
            backlog = self._backlogs.get(awaited.expect.home) if awaited.expect.backlog else None
            if backlog is None:
                continue
            try:
                if backlog.is_complete():
                    awaited.take_backlog(now_ns, backlog.count)
            except Doubled as error:
                self._narrator.plain(f"!!! {error}")
                self._backlogs.pop(awaited.expect.home)

    def _end(self, awaited: Awaited, is_missed: bool) -> None:
        self._awaited.remove(awaited)
        outcome = awaited.end(is_missed)
        self.outcomes.append(outcome)
        self._narrator.outcome((time.monotonic_ns() - self._began_ns) // 1_000_000, outcome)


def _limit(expect: Expect, point: PointPlan | None) -> tuple[int, bool] | None:
    """The level that the rule compares with. The simulator's quantities have the same scale (mA, kPa)."""
    rule = _watched(point.rule) if point is not None else None
    if expect.quantity and isinstance(rule, PressureRule):
        return rule.low, True
    if not expect.quantity or point is None or not isinstance(rule, ThresholdRule):
        return None
    level = rule.early if _is_early(expect, point) else rule.alarm
    return None if level is None else (level, rule.below)


def _delay_of(expect: Expect, point: PointPlan) -> Delay | None:
    rule = _watched(point.rule)
    if isinstance(rule, PressureRule):
        return Delay("delay", rule.day_ms // 2)  # half of a day's median
    if isinstance(rule, ContactRule):
        return Delay("debounce", rule.on_ms)
    if isinstance(rule, ThresholdRule):
        return Delay("delay", rule.early_after_ms if _is_early(expect, point) else rule.alarm_after_ms)
    return None


def _watched(rule: Rule) -> Rule:
    """The rule that has the limits."""
    return rule.limits if isinstance(rule, LeakageRule) else rule


def _is_early(expect: Expect, point: PointPlan) -> bool:
    return point.early is not None and Class(expect.stands.partition("/")[0]) is point.early
