"""What the core has to know about a home: its points, zones and supervision tree, frozen."""

from dataclasses import dataclass

from edge.core.rules.contact import ContactRule
from edge.core.rules.heat import HeatRule
from edge.core.rules.leakage import LeakageRule
from edge.core.rules.loop import LoopRule
from edge.core.rules.measure import MeasureRule
from edge.core.rules.pressure import PressureRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.values import Class, Operation

SETTLE_MS = 5_000
"""How much later a sibling's last good reading may be for both to have died of one cause: more than a poll cycle."""

Rule = ContactRule | ThresholdRule | HeatRule | LoopRule | PressureRule | LeakageRule | MeasureRule


@dataclass(frozen=True, slots=True)
class PointPlan:
    """One thing watched at one place.

    `condition` is what its rule's alarm level means, `early` what its early level means (None: nothing).
    `bus` and `unit` name what dies with it; `unit` is "" where the bus has no units. `fault_after_ms` is how long it
    may be without a good reading (None: not supervised, for the gateway's own points). A point that `confirms` (a call
    point) confirms its zone at once. A point with an `operation` is a button: its alarm level is that act, by `place`.
    `lamp` names the lamp that is lit while the point is known to be well (supply, link). A value that has not moved at
    all for `stuck_after_ms` is a fault (None: it may stand still). `is_feedback`: its readings say whether an output is
    as it should be. `settle_ms` is longer than `SETTLE_MS` where siblings do not speak within one poll cycle; a device
    that `sleeps` is silent by nature, which says nothing of its bus.
    """

    code: str
    zone: str
    place: str
    rule: Rule
    condition: Class
    early: Class | None = None
    bus: str = ""
    unit: str = ""
    fault_after_ms: int | None = 60_000
    confirms: bool = False
    operation: Operation | None = None
    lamp: str = ""
    stuck_after_ms: int | None = None
    is_feedback: bool = False
    settle_ms: int = SETTLE_MS
    sleeps: bool = False

    @property
    def is_watching(self) -> bool:
        """Whether it watches the home, and not the gateway, its supply or a button: what can be disabled and proven."""
        return self.zone != "" and self.operation is None and self.condition is not Class.FAULT


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """A zone. One detector alone is confirmed as fire after `confirm_after_ms`, or by a second one before that.

    `reset_pulse_ms`: how long the zone's detector supply is cut at a reset, because smoke detectors latch themselves
    (0: there is no supply relay).
    """

    code: str
    confirm_after_ms: int = 60_000
    reset_pulse_ms: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A home's points and zones. `reset_within_ms`: when a reset gives up and what is still there sounds again
    (EN 54-2 asks for 20 s). `fault_reminder_ms`: an acknowledged fault that still stands sounds again after this;
    `service_reminder_ms`: so do what is disabled and a test, so that each shift hears of it. `disable_max_ms` and
    `test_max_ms`: how long a disablement and a walk test may be asked for. `prove_within_ms`: a point that has not been
    seen to alarm for longer is unproven (Fire Law of the PRC art. 16: facilities are inspected whole at least once a
    year).

    What is raised `flap_count` times within `flap_within_ms` flaps: it is held until it has been gone for
    `flap_rest_ms`.
    """

    points: tuple[PointPlan, ...]
    zones: tuple[ZonePlan, ...]
    reset_within_ms: int = 15_000
    fault_reminder_ms: int = 86_400_000
    flap_count: int = 5
    flap_within_ms: int = 600_000
    flap_rest_ms: int = 600_000
    service_reminder_ms: int = 8 * 3_600_000
    disable_max_ms: int = 7 * 86_400_000
    test_max_ms: int = 8 * 3_600_000
    prove_within_ms: int = 365 * 86_400_000
