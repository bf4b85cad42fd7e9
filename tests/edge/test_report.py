"""The `state` message out of the panel's report and the journal's numbers."""

from device import wire
from edge.core.values import Class
from edge.journal import Volume
from edge.report import MAX_ACTIVE, ActiveCondition, Identity, PanelReport, compose_state
from tests.edge.parts import SetClock


class Numbers:
    """A journal of which only the numbers matter."""

    disk = "ok"

    def volume(self) -> Volume:
        return Volume("journal-0001", 9, 3, 5, 20, 11, 12)

    def raised_seq(self, condition: Class, subject: str) -> int:
        return {"smoke-203": 7}.get(subject, 0)


def compose(report: PanelReport) -> wire.State:
    """Through the bytes, as the collector gets it."""
    sent = wire.encode(compose_state(report, Identity("0.1.0", "c0ffee", True), Numbers(), SetClock()))
    state = wire.decode(wire.STATE, sent)
    assert isinstance(state, wire.State)
    return state


def test_numbers():
    state = compose(PanelReport())
    assert (state.journal, state.event_seq, state.event_held, state.event_backlog) == ("journal-0001", 9, 3, 4)
    assert (state.reading_seq, state.reading_held, state.reading_backlog) == (20, 11, 8)
    assert (state.version, state.config, state.simulated, state.disk) == ("0.1.0", "c0ffee", True, "ok")


def test_what_stands():
    fire = ActiveCondition(Class.FIRE, "f2", "smoke-203", 1, is_acknowledged=True, is_confirmed=True)
    fault = ActiveCondition(Class.FAULT, "", "meters/3")
    state = compose(PanelReport((fault, fire), is_silenced=True, disabled=("heat-k",), unproven=("loop-1",)))
    assert state.active == (
        wire.Active("fire", "f2", "smoke-203", 7, 1, True, True),
        wire.Active("fault", "", "meters/3", 0, 0, False, False),
    )
    assert dict(state.counts) == {item.value: int(item in (Class.FIRE, Class.FAULT)) for item in Class}
    assert (state.silenced, state.disabled, state.unproven) == (True, ("heat-k",), ("loop-1",))


def test_of_too_many_the_worst_are_told_and_all_are_counted():
    faults = tuple(ActiveCondition(Class.FAULT, "", f"leak-{number}") for number in range(300))
    state = compose(PanelReport((*faults, ActiveCondition(Class.FIRE, "f2", "smoke-203", 1))))
    assert len(state.active) == MAX_ACTIVE
    assert state.active[0].condition == "fire"
    assert dict(state.counts)["fault"] == 300
