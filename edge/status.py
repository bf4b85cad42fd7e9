"""What the station answers to `{"do": "status"}`: the home as it stands, for the command line and the console.

It is made on the loop's thread from what is in memory alone, so that whoever asks can slow nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edge import view
from edge.core.values import Unknown
from edge.gateway import Gateway
from edge.nodes.service import nodes_of
from edge.own_points import LINK_POINT
from edge.sources import Source

PAGE = 50
"""Points in a page: five hundred at once are 9 ms of the loop's time on a PC, and the alarm path has five."""

OutputNow = tuple[str, str, bool, bool]
"""Name, role, driven on, failed."""


def compose_status(
    gateway: Gateway, sources: Mapping[str, Source], outputs: Sequence[OutputNow], start: int | None = None
) -> dict[str, Any]:
    """The whole answer, or with `PAGE` points from `start` on."""
    points = gateway.setup.points if start is None else gateway.setup.points[start : start + PAGE]
    setup, panel, clock = gateway.setup, gateway.engine.panel, gateway.clock
    gateway.engine.tick()
    volume = gateway.journal.volume()
    return {
        "home": setup.home.code,
        "home_name": setup.home.name,
        "gateway": setup.gateway.code,
        "simulated": setup.gateway.simulated,
        "zones": [{"code": zone.code, "name": zone.name} for zone in setup.zones],
        "clock_ok": clock.clock_ok(),
        "wall_ms": clock.wall_ms(),
        "listening": _is_listening(gateway),
        "silenced": gateway.report.is_silenced,
        "sound": gateway.engine.wanted.sound,
        "active": view.describe_active(panel, setup.points),
        "points": view.describe_points(panel, points),
        "point_count": len(setup.points),
        "tests": view.describe_tests(panel),
        "ask": view.describe_question(panel),
        "outputs": view.describe_outputs(panel, outputs),
        "journal": {"id": volume.journal, "event_seq": volume.event_seq, "disk": gateway.journal.disk},
        "uplink": {
            "connected": gateway.uplink.is_connected,
            "heard_ms": gateway.uplink.collector_heard_ms,
            **asdict(gateway.uplink.counters),
        },
        "sms": None if gateway.sms is None else gateway.sms.status(),
        "nodes": nodes_of(sources.values()),
        "sources": {name: dict(source.counters()) for name, source in sources.items()},
    }


def _is_listening(gateway: Gateway) -> bool | None:
    """Whether the collector has been heard of late; None while that is not known, or where there is no uplink."""
    link = gateway.engine.panel.points[LINK_POINT]
    return None if link.unknown is Unknown.NOT_POLLED or link.value is None else link.value == 0
