"""The tables of cases that a fire officer could read: `cases/*.toml`, each case one sentence and one timeline.

A case plays in the home of `home.toml`, or in one with `only` some of its points. A step is a moment. What it gives:
`read` (a value, or the reason why there is none), `keep` (the same, or a list of them in turn, read every second from
then on or as `every` says), `drift` (a value that moves steadily from there), `stop`, `act`, `hour` (of the day, or
"unknown" while no clock is trusted), `learned` (what a point is used to, for each hour), `restart`. What it wants:
`expect`, all transitions of that moment in their order and no others, the signals `sound`, `lamps`, `sirens`, `fire`,
`supply_cut`, `self_test` after it, and the question that is `asked`. An act is written "disable smoke-203 for 2h
confirmed by 李护士", with its reason as `why`; `refused` says why it is not done. Between two steps nothing may happen.
A transition is written "raise fire smoke-203"; of "#1" (its order), "=250" (its value), "timeout" (its unknown), "low"
(its word), "in f2" (its zone) and "by 李护士" only what is given is compared.
"""

import tomllib
from typing import Any

import pytest

from edge.core import duty
from edge.core.refusals import refusal
from edge.core.signals import signals
from edge.core.values import Act, Hour, Learned, Operation, Transition
from tests.core.timeline import CASES, Timeline, home, ms, reading

_CASE = {"says", "supervised", "only", "steps"}
_GIVEN = {"at", "read", "keep", "drift", "every", "stop", "act", "why", "hour", "learned", "restart"}
_WANTED = {"expect", "refused", "sound", "lamps", "sirens", "fire", "supply_cut", "self_test", "asked"}


def _cases() -> list[Any]:
    params = []
    for path in sorted(CASES.glob("*.toml")):
        table = tomllib.loads(path.read_text("utf-8"))
        given = {"supervised": table.get("supervised", False)}
        params += [pytest.param(given | case, id=f"{path.stem}: {case['says']}") for case in table.get("case", ())]
    return params


@pytest.mark.parametrize("case", _cases())
def test_case(case: dict[str, Any]) -> None:
    assert case.keys() <= _CASE
    timeline = Timeline(home(case["supervised"], case.get("only", ())))
    for step in case["steps"]:
        assert step.keys() <= _GIVEN | _WANTED, f"unknown key in {step}"
        _let_pass(timeline, ms(step["at"]))
        _give(timeline, step)
        _check(timeline, step)


def _let_pass(timeline: Timeline, at_ms: int) -> None:
    assert at_ms >= timeline.now_ms, "steps are in the order of time"
    timeline.until(at_ms)
    early = [f"{item.at_ms} ms: {_written(item)}" for item in timeline.noted if item.at_ms < at_ms]
    assert not early, "happened between the steps"


def _give(timeline: Timeline, step: dict[str, Any]) -> None:
    if "restart" in step:
        asked = step["restart"]
        timeline.restart(tuple(asked.get("without", ())), asked.get("moved"), ms(asked.get("off", "0s")))
    if "hour" in step:
        timeline.take(Hour(None if step["hour"] == "unknown" else step["hour"]))
    for code, usual in step.get("learned", {}).items():
        timeline.take(Learned(code, tuple(usual)))
    for code in step.get("stop", ()):
        timeline.stop(code)
    for code, value in step.get("keep", {}).items():
        timeline.keep(code, value, ms(step.get("every", "1s")))
    for code, moving in step.get("drift", {}).items():
        timeline.drift(code, moving["from"], moving["per_day"], ms(step.get("every", "1s")))
    for code, value in step.get("read", {}).items():
        timeline.take(reading(code, value))
    if "act" in step:
        act = _act(step)
        assert (refusal(timeline.panel, act) or "") == step.get("refused", ""), f"at {step['at']}"
        timeline.take(act)
    timeline.until(timeline.now_ms)


def _act(step: dict[str, Any]) -> Act:
    said, _, who = step["act"].partition(" by ")
    operation, *words = said.split()
    confirmed = "confirmed" in words
    for_ms = ms(words[words.index("for") + 1]) if "for" in words else 0
    subject = words[0] if words and words[0] not in ("for", "confirmed") else ""
    return Act(Operation(operation), who, step.get("why", "a check"), subject, for_ms, confirmed)


def _check(timeline: Timeline, step: dict[str, Any]) -> None:
    noted, timeline.noted = timeline.noted, []
    wanted = step.get("expect", [])
    matches = len(noted) == len(wanted) and all(map(_is, noted, wanted))
    assert matches, f"at {step['at']}: expected {wanted}, got {[_written(item) for item in noted]}"
    shown = signals(timeline.panel)
    if "sound" in step:
        assert (shown.sound or "none") == step["sound"], f"at {step['at']}"
    if "self_test" in step:
        assert ("none" if shown.self_test is None else shown.self_test.name.lower()) == step["self_test"]
    if "asked" in step:
        question = duty.shown(timeline.panel)
        assert ("none" if question is None else question.id) == step["asked"], f"at {step['at']}"
    for name in step.keys() & {"lamps", "sirens", "fire", "supply_cut"}:
        assert getattr(shown, name) == frozenset(step[name]), f"at {step['at']}: {name}"


def _is(item: Transition, wanted: str) -> bool:
    head, *details = wanted.replace(" in ", " in:").replace(" by ", " by:").split(" ")
    parts = _parts(item)
    return head == item.kind and all(detail in parts for detail in details)


def _parts(item: Transition) -> list[str]:
    parts = [str(item.condition or ""), item.subject, f"in:{item.zone}", f"#{item.order}", f"by:{item.who}"]
    return [*parts, f"={item.value}", str(item.unknown or ""), item.why]


def _written(item: Transition) -> str:
    parts = [item.kind.value, *(part for part in _parts(item) if part not in ("", "#0", "in:", "by:", "=None"))]
    return " ".join(parts).replace(":", " ")


def test_says_each_thing_once() -> None:
    said = [param.id for param in _cases()]
    assert said and len(said) == len(set(said))
