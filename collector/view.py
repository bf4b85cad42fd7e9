"""What the board says at a given moment, as the plain values that the API and the page show.

Pure: the moment is an argument. Ages count the collector's own monotonic receipt. Wall times are given to be read, not
to be reckoned with, save where the gateway trusted its clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from collector import board as fold
from collector.access import Homes
from collector.board import Board, Condition, Gateway, Received
from collector.ownlog import OwnKind
from device import wire

CLASSES = (
    "fire",
    "electrical",
    "early_warning",
    "supervisory",
    "fault",
    "silent",
    "unheard",
    "disabled",
    "test",
    "normal",
)
"""A home's classes, worst first."""

ALARM_CLASSES = CLASSES[:4]
SOUNDING = frozenset({"fire", "electrical"})
NOTICE_FOR_MS = 24 * 3_600_000
"""How long an entry such as a gap stays on the home's tile (by the collector's wall clock)."""

Json = dict[str, Any]


class Moment(NamedTuple):
    """Now, and how well the collector hears.

    `listening_ms`: since when the line to the broker has been up (monotonic), None while it is down. `trouble`: why
    nothing can be stored, or "".
    """

    wall_ms: int
    mono_ms: int
    listening_ms: int | None
    silent_after_ms: int
    trouble: str = ""


def freshness(gateway: Gateway, now: Moment) -> str:
    """`heard`, `unheard` (nothing known of now) or `silent` (it should have spoken and did not).

    While the collector's own line is down no home is accused of silence. A gateway counts as heard only with a state
    that this process received: before that nobody knows what is active there.
    """
    if gateway.silent[1]:
        return "silent"
    heard_ms = gateway.heard_ms
    if now.listening_ms is None:
        is_recent = heard_ms is not None and now.mono_ms - heard_ms <= now.silent_after_ms
        return "heard" if is_recent and _has_live_state(gateway) else "unheard"
    if now.mono_ms - max(now.listening_ms, heard_ms or now.listening_ms) > now.silent_after_ms:
        return "silent"
    return "heard" if heard_ms is not None and _has_live_state(gateway) else "unheard"


def silence_change(gateway: Gateway, now: Moment) -> OwnKind | None:
    """What the collector has to note of a gateway: that it fell silent, or that it is back; None for nothing new."""
    if now.listening_ms is None:
        return None
    if not gateway.silent[1]:
        return OwnKind.SILENT if freshness(gateway, now) == "silent" else None
    is_recent = gateway.heard_ms is not None and now.mono_ms - gateway.heard_ms <= now.silent_after_ms
    return OwnKind.BACK if is_recent else None


def board_view(board: Board, now: Moment, visible: Homes = None) -> Json:
    """The whole board, or what those see of it who see these homes only."""
    codes = [code for code in home_codes(board) if visible is None or code in visible]
    homes = [home_view(board, code, now) for code in codes]
    alarms = alarms_of(homes)
    return {
        "server_ms": now.wall_ms,
        "line": line_view(board, now),
        "homes": homes,
        "alarms": alarms,
        "counts": counts_of(homes, alarms),
    }


def home_codes(board: Board) -> list[str]:
    """Every home that is registered or has spoken, by code."""
    return sorted({*board.names, *(key[0] for key in board.gateways)})


def line_view(board: Board, now: Moment) -> Json:
    """How well the collector itself hears and stores."""
    last = board.line
    return {
        "mqtt": "down" if now.listening_ms is None else "up",
        "since_ms": last.at_ms if last is not None else None,
        "store": now.trouble,
    }


def alarms_of(homes: Iterable[Json]) -> list[Json]:
    """The active alarms: worst class first, then home by home as they began, each in its order of spread."""
    alarms: list[Json] = []
    for home in homes:
        of_home = [item for item in home["conditions"] if item["class"] in ALARM_CLASSES]
        for item in of_home:
            alarms.append({**item, "home_name": home["name"], "simulated": home["simulated"]})
    began: dict[tuple[str, str], int] = {}
    for item in alarms:
        key = (item["class"], item["home"])
        began[key] = min(began.get(key, wire.MAX_INT), item["received_ms"] or 0)
    return sorted(
        alarms, key=lambda item: (rank(item["class"]), began[item["class"], item["home"]], item["home"], item["seq"])
    )


def counts_of(homes: Sequence[Json], alarms: Sequence[Json]) -> Json:
    """Homes by worst class, and how many alarms nobody at the bureau has seen yet."""
    by_class = dict.fromkeys(CLASSES, 0)
    for home in homes:
        by_class[home["class"]] = by_class.get(home["class"], 0) + 1
    return {
        "homes": len(homes),
        "by_class": by_class,
        "alarms": len(alarms),
        "unseen": sum(alarm["sound"] for alarm in alarms),
    }


def home_view(board: Board, code: str, now: Moment) -> Json:
    """One home's tile. A home that never spoke is not heard, and never normal."""
    gateways = gateways_of(board, code)
    found = [condition_view(item, gateway, now) for gateway in gateways for item in fold.conditions(gateway)]
    found.sort(key=lambda item: (rank(item["class"]), item["seq"]))
    fresh = [freshness(gateway, now) for gateway in gateways] or ["unheard"]
    states = [gateway.state.state for gateway in gateways if gateway.state]
    notices = [notice for gateway in gateways for notice in notices_of(gateway, now)]
    return {
        "code": code,
        "name": _name(board, code, gateways),
        "registered": code in board.names,
        "class": _worst(found, fresh, states, notices),
        "freshness": min(fresh, key=("silent", "unheard", "heard").index),
        "conditions": found,
        "notices": notices,
        "simulated": _is_simulated(gateways),
        "silenced": any(fold.is_silenced(gateway) for gateway in gateways),
        "link": _link(gateways),
        "backlog": sum(state.event_backlog + state.reading_backlog for state in states),
        "unproven": sum(len(state.unproven) for state in states),
        "disabled": sum(len(state.disabled) for state in states),
        "clock_ok": all(state.clock_ok for state in states),
        "heard_age_ms": heard_age_ms(gateways, now),
    }


def gateways_of(board: Board, home: str) -> list[Gateway]:
    """A home's gateways by code."""
    return [board.gateways[key] for key in sorted(board.gateways) if key[0] == home]


def heard_age_ms(gateways: Sequence[Gateway], now: Moment) -> int | None:
    """How long ago the gateway spoke that was heard longest ago; None if one has not been heard at all."""
    if not gateways or any(gateway.heard_ms is None for gateway in gateways):
        return None
    return max(now.mono_ms - gateway.heard_ms for gateway in gateways if gateway.heard_ms is not None)


def condition_view(item: Condition, gateway: Gateway, now: Moment) -> Json:
    """One active condition with its place in words."""
    point, raised = find_point(gateway, item.point), item.raised
    event = raised.event if raised else None
    return {
        "home": gateway.home,
        "gateway": gateway.code,
        "journal": item.journal,
        "seq": item.seq,
        "class": item.condition,
        "zone": item.zone,
        "zone_name": zone_name(gateway, item.zone),
        "point": item.point,
        "place": point.place if point else "",
        "kind": point.kind if point else "",
        "order": item.order,
        "confirmed": item.confirmed,
        "acknowledged": item.acknowledged,
        "value": event.value if event else None,
        "unit": point.unit if point else "",
        "scale": point.scale if point else 0,
        "unknown": event.unknown if event else None,
        "raised_ms": event.wall_ms if event else None,
        "clock_ok": event.clock_ok if event else False,
        "received_ms": raised.received_ms if raised else None,
        "age_ms": age_ms(raised, gateway, now) if raised else None,
        "seen_by": item.seen.who if item.seen else "",
        "seen_ms": item.seen.at_ms if item.seen else None,
        "sound": item.condition in SOUNDING and item.seen is None,
    }


def age_ms(raised: Received, gateway: Gateway, now: Moment) -> int:
    """How long ago an event happened: by the gateway's monotonic clock in the same boot, else by wall clocks where the
    gateway trusted its own, else since it was received."""
    event, anchor = raised.event, gateway.anchor
    if anchor is not None and anchor.boot == event.boot:
        return max(0, now.mono_ms - event.mono_ms - anchor.lag_ms)
    since_ms = event.wall_ms if event.clock_ok else raised.received_ms
    return max(0, now.wall_ms - since_ms)


def notices_of(gateway: Gateway, now: Moment) -> list[Json]:
    """What the collector noted of a gateway in the last day."""
    return [
        {"kind": str(own.kind), "gateway": gateway.code, "at_ms": own.at_ms}
        for own in sorted(gateway.notices.values(), key=lambda entry: entry.seq)
        if now.wall_ms - own.at_ms < NOTICE_FOR_MS
    ]


def find_point(gateway: Gateway, code: str) -> wire.Point | None:
    """The description of a point."""
    points = gateway.points[1].points if gateway.points else ()
    return next((point for point in points if point.code == code), None)


def zone_name(gateway: Gateway, code: str) -> str:
    """A zone in words; its code where nobody has said."""
    zones = gateway.points[1].zones if gateway.points else ()
    return next((zone.name for zone in zones if zone.code == code), code)


def rank(name: str) -> int:
    """0 is worst. A class that this version does not know ranks with the faults: unknown is not normal."""
    return CLASSES.index(name) if name in CLASSES else CLASSES.index("fault")


def without_ages(value: Any) -> Any:
    """The same without what changes by itself as time goes by, to see whether anything else has changed."""
    if isinstance(value, Mapping):
        return {key: without_ages(item) for key, item in value.items() if not key.endswith("age_ms")}
    if isinstance(value, list):
        return [without_ages(item) for item in value]
    return value


def _worst(found: Sequence[Json], fresh: Sequence[str], states: Sequence[wire.State], notices: Sequence[Json]) -> str:
    names = ["normal", *(item["class"] for item in found), *(name for name in fresh if name != "heard")]
    if any(notice["kind"] == OwnKind.DUPLICATE for notice in notices):
        names.append("fault")
    if any(state.disabled for state in states):
        names.append("disabled")
    worst = min(names, key=rank)
    return worst if worst in CLASSES else "fault"


def _name(board: Board, code: str, gateways: Sequence[Gateway]) -> str:
    said = (gateway.points[1].name for gateway in gateways if gateway.points)
    return board.names.get(code) or next((name for name in said if name), code)


def _link(gateways: Sequence[Gateway]) -> str:
    links = [gateway.link[1] for gateway in gateways if gateway.link]
    return "down" if "down" in links else "up" if links else ""


def _is_simulated(gateways: Sequence[Gateway]) -> bool:
    by_state = any(gateway.state.state.simulated for gateway in gateways if gateway.state)
    return by_state or any(gateway.points[1].simulated for gateway in gateways if gateway.points)


def _has_live_state(gateway: Gateway) -> bool:
    return gateway.state is not None and gateway.state.is_live
