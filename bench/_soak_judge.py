"""What the gateway has written down, against what had to come: no false alarm, no missed one, nothing left standing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench._soak_script import Allowed, Cycle, Expected
from device import wire

JUDGED = ("fire", "electrical", "early_warning", "supervisory", "fault")
KEPT = 10


@dataclass
class Verdict:
    """Counts, and the first few of what was wrong in words."""

    raises: int = 0
    expected: int = 0
    false: int = 0
    missed: int = 0
    standing: int = 0
    latest_ms: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return not (self.false or self.missed or self.standing)

    def complain(self, text: str) -> None:
        if len(self.examples) < KEPT:
            self.examples.append(text)


def judge(events: Iterable[wire.Event], played: Sequence[tuple[int, Cycle]]) -> Verdict:
    """`played`: each cycle with the monotonic time (ms) at which it began."""
    verdict = Verdict()
    ends_ms = [began_ms + cycle.lasts_ms for began_ms, cycle in played]
    by_cycle: list[list[wire.Event]] = [[] for _ in played]
    standing: dict[tuple[str, str], int] = {}
    at = 0
    for event in events:
        while at < len(played) and event.mono_ms >= ends_ms[at]:
            _judge_end(verdict, standing, played[at][1])
            at += 1
        if event.kind in ("raise", "clear") and event.condition in JUDGED and at < len(played):
            if event.kind == "raise":
                standing[event.condition, event.point] = event.mono_ms
                by_cycle[at].append(event)
            else:
                standing.pop((event.condition, event.point), None)
    for _, cycle in played[at:]:
        _judge_end(verdict, standing, cycle)
    for (began_ms, cycle), raised in zip(played, by_cycle, strict=True):
        _judge_cycle(verdict, began_ms, cycle, raised)
    return verdict


def _judge_end(verdict: Verdict, standing: dict[tuple[str, str], int], cycle: Cycle) -> None:
    if standing:
        verdict.standing += len(standing)
        verdict.complain(f"{cycle.name}: still standing at the end: {', '.join(map(' '.join, standing))}")
        standing.clear()


def _judge_cycle(verdict: Verdict, began_ms: int, cycle: Cycle, raised: list[wire.Event]) -> None:
    verdict.raises += len(raised)
    verdict.expected += len(cycle.expected)
    for wanted in cycle.expected:
        found = [event for event in raised if _meets(event, wanted, began_ms)]
        if not found:
            verdict.missed += 1
            verdict.complain(f"{cycle.name}: {wanted.condition} at {' or '.join(wanted.subjects)} was missed")
            continue
        late_ms = found[0].mono_ms - began_ms - wanted.from_ms
        verdict.latest_ms[wanted.condition] = max(verdict.latest_ms.get(wanted.condition, 0), late_ms)
    for event in raised:
        is_covered = any(_meets(event, wanted, began_ms) for wanted in cycle.expected)
        if not is_covered and not any(_may(event, item, began_ms) for item in cycle.allowed):
            verdict.false += 1
            at_s = (event.mono_ms - began_ms) / 1000
            verdict.complain(
                f"{cycle.name}: {event.condition} at {event.point} after {at_s:.1f} s, value {event.value}"
            )


def _meets(event: wire.Event, wanted: Expected, began_ms: int) -> bool:
    since_ms = event.mono_ms - began_ms
    return (
        event.condition == wanted.condition
        and event.point in wanted.subjects
        and wanted.from_ms <= since_ms <= wanted.by_ms
    )


def _may(event: wire.Event, allowed: Allowed, began_ms: int) -> bool:
    since_ms = event.mono_ms - began_ms
    is_its = event.condition in allowed.conditions and event.point in allowed.subjects
    return is_its and allowed.from_ms <= since_ms <= allowed.by_ms
