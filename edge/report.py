"""What the panel looks like from outside: published whole by the agent, read by any thread."""

from dataclasses import dataclass
from typing import Protocol

from device import wire
from edge.clock import Clock
from edge.core.values import PRIORITY, Class
from edge.journal.volume import Volume

MAX_ACTIVE = 200
MAX_CODES = 2000
"""What a state message may list (device/wire.py)."""


@dataclass(frozen=True, slots=True)
class ActiveCondition:
    """A condition that stands. `order`: its place in the order of spread, 1 the first-up, 0 where it means nothing.
    `word`: what its rule says of it ("low", "removed", "stuck"), "" where its class says all."""

    condition: Class
    zone: str
    subject: str
    order: int = 0
    is_acknowledged: bool = False
    is_confirmed: bool = False
    word: str = ""


@dataclass(frozen=True, slots=True)
class PanelReport:
    """The panel at one moment. `is_silenced`: something was silenced and nothing sounds since. `disabled` and
    `unproven` are codes of points."""

    active: tuple[ActiveCondition, ...] = ()
    is_silenced: bool = False
    disabled: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """What does not change while the agent runs. `config` is the hash of its configuration."""

    version: str
    config: str
    is_simulated: bool


class Ledger(Protocol):
    """What a state message has to ask of the journal."""

    @property
    def disk(self) -> str: ...

    def volume(self) -> Volume: ...

    def raised_seq(self, condition: Class, subject: str) -> int: ...


def compose_state(report: PanelReport, identity: Identity, journal: Ledger, clock: Clock) -> wire.State:
    """The `state` message. The worst come first, so that what is cut off beyond 200 is the least."""
    volume = journal.volume()
    ranked = sorted(report.active, key=lambda item: PRIORITY.index(item.condition))
    return wire.State(
        journal=volume.journal,
        boot=clock.boot,
        mono_ms=clock.mono_ms(),
        wall_ms=clock.wall_ms(),
        clock_ok=clock.clock_ok(),
        version=identity.version,
        config=identity.config,
        simulated=identity.is_simulated,
        silenced=report.is_silenced,
        active=tuple(_active(item, journal) for item in ranked[:MAX_ACTIVE]),
        counts=_counts(report),
        disabled=report.disabled[:MAX_CODES],
        unproven=report.unproven[:MAX_CODES],
        event_seq=volume.event_seq,
        event_held=volume.event_held,
        event_backlog=volume.event_seq - volume.event_acked,
        reading_seq=volume.reading_seq,
        reading_held=volume.reading_held,
        reading_backlog=volume.reading_seq - volume.reading_acked,
        disk=journal.disk,
    )


def _active(item: ActiveCondition, journal: Ledger) -> wire.Active:
    return wire.Active(
        item.condition.value,
        item.zone,
        item.subject,
        journal.raised_seq(item.condition, item.subject),
        item.order,
        item.is_acknowledged,
        item.is_confirmed,
    )


def _counts(report: PanelReport) -> tuple[tuple[str, int], ...]:
    counts = dict.fromkeys(PRIORITY, 0)
    for item in report.active:
        counts[item.condition] += 1
    return tuple((condition.value, count) for condition, count in counts.items())
