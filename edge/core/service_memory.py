"""What is out of service, proven and asked, across a restart: times as what is left of them, or as how old they are.

A disablement never outlasts its remaining running time. Where it is not known how long the gateway was off, that time
does not count; what ran and was not saved any more counts in full, so that the doubt ends it sooner.
"""

from typing import Any

from edge.core import service
from edge.core.panel import Disablement, Panel, Question, Task, WalkTest
from edge.core.values import Class

_DISABLED = [str, str, str, int]
_PROVEN = [str, int]
_TEST = [str, str, str, int, list]
_QUESTION = [str, str, int]


def saved(panel: Panel) -> dict[str, Any]:
    """What `restore` needs; a part of the panel's snapshot."""
    now_ms, test, question = panel.now_ms, panel.walk_test, panel.question
    return {
        "disabled": [[code, item.who, item.why, item.end_ms - now_ms] for code, item in panel.disabled.items()],
        "proven": [
            [code, now_ms - point.proven_ms] for code, point in panel.points.items() if point.proven_ms is not None
        ],
        "walk_test": [test.zone, test.who, test.why, test.end_ms - now_ms, sorted(test.proven)] if test else None,
        "question": [question.id, question.text, question.end_ms - now_ms] if question else None,
        "last_question": panel.last_question,
    }


def restore(panel: Panel, memory: dict[str, Any], off_ms: int, unsaved_ms: int) -> None:
    """Bring it back into a new panel; one that an older version saved has nothing of it. Raises what damage raises."""
    gone_ms = off_ms + unsaved_ms
    for code, who, why, left_ms in _rows(memory.get("disabled", []), _DISABLED):
        if code in panel.points and panel.points[code].plan.is_watching:
            left_ms = min(left_ms, panel.plan.disable_max_ms) - gone_ms
            panel.disabled[code] = Disablement(who, why, panel.now_ms + left_ms)
    for code, age_ms in _rows(memory.get("proven", []), _PROVEN):
        if code in panel.points:
            panel.points[code].proven_ms = panel.now_ms - max(0, age_ms) - off_ms
    test, question = memory.get("walk_test"), memory.get("question")
    if test is not None:
        _restore_test(panel, test, gone_ms)
    if question is not None:
        ((name, text, left_ms),) = _rows([question], _QUESTION)
        panel.question = Question(name, text, panel.now_ms + left_ms - off_ms)
        panel.call_at(panel.question.end_ms, Task.UNANSWERED, "")
    panel.last_question = _text(memory.get("last_question", ""))
    service.watch_expiry(panel)


def _restore_test(panel: Panel, row: Any, gone_ms: int) -> None:
    ((zone, who, why, left_ms, proven),) = _rows([row], _TEST)
    if zone in panel.zones and service.meant(panel, zone):
        end_ms = panel.now_ms + min(left_ms, panel.plan.test_max_ms) - gone_ms
        panel.walk_test = WalkTest(zone, who, why, end_ms, {_text(code) for code in proven}, {})


def agree(panel: Panel) -> None:
    """Nothing is out of service without saying so: what has no condition that stands is in service."""
    for code in [code for code in panel.disabled if (Class.DISABLED, code) not in panel.conditions]:
        del panel.disabled[code]
    test = panel.walk_test
    if test is not None and (Class.TEST, test.zone) not in panel.conditions:
        panel.walk_test = None
    service.watch_expiry(panel)


def _rows(rows: Any, types: list[type]) -> list[list[Any]]:
    for row in rows:
        if [type(item) for item in row] != types:
            raise ValueError(row)
    return list(rows)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(value)
    return value
