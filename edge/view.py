"""What the panel looks like from outside: the report that the agent publishes, and parts of the station's status."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from device import wire
from edge.core import duty, walk_test
from edge.core.panel import Condition, Panel, Point
from edge.core.signals import signals
from edge.core.values import Class
from edge.report import ActiveCondition, PanelReport

Json = Mapping[str, Any]


def report(panel: Panel) -> PanelReport:
    """The panel at this moment, for the state message."""
    standing = panel.conditions.values()
    return PanelReport(
        active=tuple(
            ActiveCondition(
                item.condition,
                item.zone,
                item.subject,
                item.order,
                item.is_acknowledged,
                _is_confirmed(panel, item),
                item.word,
            )
            for item in standing
        ),
        is_silenced=any(item.is_silenced for item in standing) and signals(panel).sound is None,
        disabled=tuple(sorted(panel.disabled)),
        unproven=unproven(panel),
    )


def _is_confirmed(panel: Panel, item: Condition) -> bool:
    return item.condition is Class.FIRE and item.zone in panel.zones and panel.zones[item.zone].is_confirmed


def unproven(panel: Panel) -> tuple[str, ...]:
    """The codes of the points that have not been seen to alarm, in a test or for real, for as long as the plan asks."""
    oldest_ms = panel.now_ms - panel.plan.prove_within_ms
    return tuple(
        code
        for code, point in panel.points.items()
        if point.plan.is_watching and (point.proven_ms is None or point.proven_ms < oldest_ms)
    )


def describe_active(panel: Panel, described: Sequence[wire.Point]) -> list[Json]:
    """What stands, oldest first, with what its point says now."""
    known = {item.code: item for item in described}
    return [_standing(panel, item, known.get(item.subject)) for item in panel.conditions.values()]


def _standing(panel: Panel, item: Condition, described: wire.Point | None) -> Json:
    point = panel.points.get(item.subject)
    return {
        "class": item.condition,
        "zone": item.zone,
        "point": item.subject,
        "order": item.order,
        "acknowledged": item.is_acknowledged,
        "silenced": item.is_silenced,
        "confirmed": _is_confirmed(panel, item),
        "word": item.word,
        "raised_age_ms": panel.now_ms - item.raised_ms,
        "value": point.value if point is not None and point.unknown is None else None,
        "unit": described.unit if described is not None else "",
        "scale": described.scale if described is not None else 0,
    }


def describe_points(panel: Panel, described: Sequence[wire.Point]) -> list[Json]:
    """Each point as it stands now: its value or why there is none, how old that is, and whether it is in service."""
    return [_point_now(panel, panel.points[item.code], item) for item in described]


def _point_now(panel: Panel, point: Point, described: wire.Point) -> Json:
    return {
        "code": described.code,
        "zone": described.zone,
        "place": described.place,
        "kind": described.kind,
        "level": point.state.level.name.lower(),
        "value": point.value if point.unknown is None else None,
        "unit": described.unit,
        "scale": described.scale,
        "unknown": point.unknown,
        "age_ms": panel.now_ms - point.heard_ms if point.is_heard else None,
        "supervised": described.supervised,
        "disabled": _disabled(panel, described.code),
        "proven_age_ms": None if point.proven_ms is None else panel.now_ms - point.proven_ms,
        "fault": is_at_fault(panel, point),
        "rule": point.module.says(point.rule, point.state, panel.now_ms) if hasattr(point.module, "says") else None,
    }


def _disabled(panel: Panel, code: str) -> Json | None:
    item = panel.disabled.get(code)
    if item is None:
        return None
    return {"who": item.who, "why": item.why, "remaining_ms": _left(panel, item.end_ms)}


def is_at_fault(panel: Panel, point: Point) -> bool:
    """Whether a fault of the point, or of what it hangs on, stands."""
    subjects = (point.plan.code, point.unit.code, point.bus.code)
    return any((Class.FAULT, subject) in panel.conditions for subject in subjects)


def describe_tests(panel: Panel) -> list[Json]:
    """The walk test that runs, if one does."""
    test = panel.walk_test
    if test is None:
        return []
    left_ms = _left(panel, test.end_ms)
    return [{"zone": test.zone, "who": test.who, "remaining_ms": left_ms, "unproven": walk_test.unproven(panel)}]


def describe_question(panel: Panel) -> Json | None:
    """The duty check that people are to see; none while there is a fire."""
    question = duty.shown(panel)
    if question is None:
        return None
    return {"id": question.id, "text": question.text, "remaining_ms": _left(panel, question.end_ms)}


def _left(panel: Panel, end_ms: int) -> int:
    return max(0, end_ms - panel.now_ms)


def describe_outputs(panel: Panel, outputs: Iterable[tuple[str, str, bool, bool]]) -> list[Json]:
    """Each output: name, role, whether it is driven on, and whether it is at fault, by its driver or its feedback."""
    found: list[Json] = []
    for name, role, is_on, has_failed in outputs:
        point = panel.points.get("out-" + name)
        is_faulty = has_failed or (point is not None and is_at_fault(panel, point))
        found.append({"name": name, "role": role, "on": is_on, "fault": is_faulty})
    return found
