"""The gateway's own points: what can go wrong with itself. Their codes cannot be given by an installer."""

from device import wire
from edge.core.plan import PointPlan
from edge.core.rules.contact import ContactRule
from edge.core.values import Class
from edge.outputs import OutputConfig

LINK_POINT = "gw-link"
"""Nobody has been listening for too long."""
DISK_POINT = "gw-disk"
"""The journal's disk refuses or does not answer."""
JOURNAL_POINT = "gw-journal"
"""The journal was found damaged and begun anew; stands until the agent is started again, so that a person sees it."""
CERTIFICATE_POINT = "gw-cert"
"""The gateway's certificate ends soon; after that the collector hears nothing from this home."""
VOLTAGE_POINT = "gw-voltage"
"""The board's supply is too low, as the board itself says; where the configuration asks for it."""
CONFIG_POINT = "gw-config"
"""A new configuration was refused, and the old one goes on; stands until one is taken."""
OUTPUT_PREFIX = "out-"
"""Before the name of an output that says how it is: it is not as it should be."""

OUTPUT_FAULT_AFTER_MS = 10_000


def is_reserved(code: str) -> bool:
    """Whether a code is, or looks like, one of the gateway's own."""
    return code.startswith(("gw-", OUTPUT_PREFIX))


def own_points(has_certificate: bool = False, watch_voltage: bool = False) -> list[PointPlan]:
    """What can go wrong with the gateway itself; fed by the agent, so not supervised as a sensor is."""
    at_once = ContactRule(on_ms=0, off_ms=0)
    # The flag says it at once; it is gone when it has not been said for a minute, so that a weak supply is one fault.
    weak = ContactRule(on_ms=0, off_ms=60_000)
    certificate = PointPlan(CERTIFICATE_POINT, "", CERTIFICATE_POINT, at_once, Class.FAULT, fault_after_ms=None)
    voltage = PointPlan(VOLTAGE_POINT, "", VOLTAGE_POINT, weak, Class.FAULT, lamp="lamp_supply")
    return [
        *([certificate] if has_certificate else []),
        *([voltage] if watch_voltage else []),
        PointPlan(LINK_POINT, "", LINK_POINT, at_once, Class.FAULT, fault_after_ms=None, lamp="lamp_link"),
        PointPlan(DISK_POINT, "", DISK_POINT, at_once, Class.FAULT, fault_after_ms=None),
        PointPlan(CONFIG_POINT, "", CONFIG_POINT, at_once, Class.FAULT, fault_after_ms=None),
        PointPlan(JOURNAL_POINT, "", JOURNAL_POINT, at_once, Class.FAULT, fault_after_ms=None),
    ]


def output_point(output: OutputConfig) -> PointPlan:
    """An output with feedback. A relay that is slow to follow, or to answer, is no fault for ten seconds; a board that
    is dead is one fault, not one per relay."""
    rule = ContactRule(on_ms=OUTPUT_FAULT_AFTER_MS, off_ms=0)
    return PointPlan(
        OUTPUT_PREFIX + output.name,
        "",
        output.name,
        rule,
        Class.FAULT,
        bus=output.source,
        unit=f"{output.source}/{output.at.unit}",
        fault_after_ms=OUTPUT_FAULT_AFTER_MS,
        is_feedback=True,
    )


def describe_own(point: PointPlan) -> wire.Point:
    """As the collector is told of it."""
    return wire.Point(point.code, "gateway", point.place, "gateway", "", 0, "", True, None, None)
