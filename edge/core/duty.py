"""Duty check 查岗: the bureau asks whether somebody is on duty, and a named person answers.

It shows a question and does nothing else: no sound, no lamp, no way to any other operation. It waits behind fire.
"""

from edge.core.panel import Panel, Question, Task
from edge.core.values import Act, Class, Kind, Transition


def ask(panel: Panel, act: Act) -> None:
    """A question has come; of two that wait the later one holds."""
    panel.question = Question(act.subject, act.why, panel.now_ms + act.for_ms)
    panel.last_question = act.subject
    panel.call_at(panel.question.end_ms, Task.UNANSWERED, "")


def answer(panel: Panel, _: Act) -> None:
    """The act itself is the answer."""
    panel.question = None
    panel.due.pop((Task.UNANSWERED, ""), None)


def after_time(panel: Panel, _: str) -> None:
    """Nobody has answered in time."""
    question, panel.question = panel.question, None
    if question is not None:
        panel.out.append(Transition(Kind.UNANSWERED, panel.now_ms, subject=question.id))


def shown(panel: Panel) -> Question | None:
    """The question that people are to see now: none while there is a fire."""
    return None if panel.of_class(Class.FIRE) else panel.question
