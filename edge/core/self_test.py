"""Self-test of what people hear and see: the buzzer and all lamps, then the sirens. It yields to alarms at once.

The fire relay, the fault relay and the detectors' supply are left alone: what hangs on them (doors, lifts, another
panel) would take a test for the real thing. An output with feedback is judged by what it says while it is driven.
"""

from edge.core.panel import Panel, SelfTest, Step, Task
from edge.core.values import Act, Kind, Transition

STEP_MS = {Step.SOUND: 4_000, Step.SIRENS: 3_000}
"""Long enough to walk round a desk of lamps with one's eyes, and for a relay board to be asked whether it followed."""
REPORT_MAX = 300


def start(panel: Panel, act: Act) -> None:
    """Begin; the rest is a matter of time."""
    _step(panel, act.who, Step.SOUND)


def _step(panel: Panel, who: str, step: Step) -> None:
    panel.self_test = SelfTest(who, step, panel.now_ms)
    panel.call_at(panel.now_ms + STEP_MS[step], Task.SELF_TEST, "")


def after_step(panel: Panel, _: str) -> None:
    """A step has had its time."""
    test = panel.self_test
    if test is None:
        return
    if test.step is Step.SOUND:
        _step(panel, test.who, Step.SIRENS)
    else:
        _end(panel, test, _verdict(panel, test))


def give_way(panel: Panel) -> None:
    """Something has to be heard: the test is over."""
    if panel.self_test is not None:
        _end(panel, panel.self_test, "cause=alarm")


def stop(panel: Panel) -> None:
    """Somebody wants it silent."""
    if panel.self_test is not None:
        _end(panel, panel.self_test, "cause=silenced")


def _end(panel: Panel, test: SelfTest, why: str) -> None:
    panel.self_test = None
    panel.due.pop((Task.SELF_TEST, ""), None)
    panel.out.append(Transition(Kind.END_SELF_TEST, panel.now_ms, who=test.who, why=why))


def _verdict(panel: Panel, test: SelfTest) -> str:
    """What the outputs with feedback said since the last step began: followed, did not, or was not heard."""
    points = [point for point in panel.points.values() if point.plan.is_feedback]
    heard = [point for point in points if point.unknown is None and point.heard_ms >= test.step_ms]
    failed = sorted(point.plan.code for point in heard if point.value)
    unheard = sorted(point.plan.code for point in points if point not in heard)
    text = f"cause=done followed={len(heard) - len(failed)}/{len(points)}"
    text += f" failed={','.join(failed)}" if failed else ""
    text += f" unheard={','.join(unheard)}" if unheard else ""
    return text if len(text) <= REPORT_MAX else text[: REPORT_MAX - 3] + "..."
