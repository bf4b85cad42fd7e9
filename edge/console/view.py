"""What the page shows of what the agent said: joined with the home's rooms, sorted, worst first. Pure.

A field that the agent did not give is unknown, and unknown is never shown as normal. Ages and remaining times end in
`_ms`; everything else in a view changes only when something for people to see has changed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from edge.console.site import Site
from edge.console.tables import RoomTable
from edge.core.values import PRIORITY, Class

LESSER = (Class.FAULT, Class.DISABLED, Class.TEST)
"""What stands in a list of its own. All else is an alarm, also a class that this console has not heard of."""
SHOWN_MAX = 60
"""Alarms or faults in one list; whoever has more knows that everything is wrong, and the count says how many."""
SUPPLY_KINDS = frozenset({"mains", "battery_low", "battery_empty", "under_voltage"})

_KEPT = (
    *("code", "place", "zone", "kind", "level", "value", "unit", "scale", "unknown", "supervised"),
    *("age_ms", "proven_age_ms", "disabled", "fault"),
)

Status = Mapping[str, Any]


def panel(status: Status, site: Site) -> dict[str, Any]:
    """The whole page, but for the table of points."""
    points = {point["code"]: point for point in status["points"]}
    active = sorted(status["active"], key=_urgency)
    alarms = [_condition(item, points, site) for item in active if item["class"] not in LESSER]
    faults = [_condition(item, points, site) for item in active if item["class"] == Class.FAULT]
    return {
        "home": status.get("home_name") or site.home.name,
        "simulated": bool(status.get("simulated", True)),
        "sound": status.get("sound"),
        "silenced": bool(status.get("silenced")),
        "alarms": alarms[:SHOWN_MAX],
        "alarm_count": len(alarms),
        "faults": faults[:SHOWN_MAX],
        "fault_count": len(faults),
        "disabled": [_disabled(point, site) for point in points.values() if point.get("disabled")],
        "tests": [_test(item, points, site) for item in status.get("tests", ())],
        "ask": status.get("ask"),
        "guides": [_guide(zone, alarms, site) for zone in dict.fromkeys(item["zone"] for item in alarms) if zone],
        "lamps": _lamps(status, points, faults),
        "counts": _counts(points.values()),
        "clock_ok": status.get("clock_ok"),
    }


def points_table(status: Status, site: Site) -> list[dict[str, Any]]:
    """Every point of the installer's: what it says, since when, and when it was last proven."""
    own = ({key: point.get(key) for key in _KEPT} for point in status["points"] if not _is_own(point))
    return [{**point, "zone_name": _zone_name(point["zone"], site)} for point in own]


def is_night(minute: int | None, night_from: str, night_until: str) -> bool:
    """Whether `minute` of the day lies in the night; None, an untrusted clock, does."""
    if minute is None:
        return True
    begins, ends = _minute(night_from), _minute(night_until)
    return begins <= minute < ends if begins < ends else minute >= begins or minute < ends


def _minute(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def _urgency(item: Status) -> tuple[int, int]:
    """Worst class first; in it the first-up first."""
    known = [str(condition) for condition in PRIORITY]
    # A class that this console does not know is not hidden behind those that it knows.
    return known.index(item["class"]) if item["class"] in known else 0, item.get("order") or 0


def _condition(item: Status, points: Mapping[str, Status], site: Site) -> dict[str, Any]:
    point = points.get(item["point"], {})
    return {
        "class": item["class"],
        "zone": item["zone"],
        "zone_name": _zone_name(item["zone"], site),
        "point": item["point"],
        "place": "" if _is_own(item["point"]) else point.get("place", ""),
        "kind": point.get("kind", ""),
        "order": item.get("order", 0),
        "confirmed": bool(item.get("confirmed")),
        "acknowledged": bool(item.get("acknowledged")),
        "silenced": bool(item.get("silenced")),
        "unknown": point.get("unknown"),
        "measured": _scaled(item),
        "raised_age_ms": item.get("raised_age_ms"),
    }


def _scaled(item: Status) -> dict[str, Any] | None:
    """What the point of a condition measures now, where it has a unit to be shown with."""
    if item.get("value") is None or not item.get("unit"):
        return None
    return {key: item.get(key) for key in ("value", "unit", "scale")}


def _disabled(point: Status, site: Site) -> dict[str, Any]:
    return {
        "point": point["code"],
        "place": point["place"],
        "zone_name": _zone_name(point["zone"], site),
        **{key: point["disabled"].get(key) for key in ("why", "remaining_ms")},
        "who": _person(point["disabled"].get("who")),
    }


def _test(item: Status, points: Mapping[str, Status], site: Site) -> dict[str, Any]:
    unproven = [points[code]["place"] for code in item.get("unproven", ()) if code in points]
    return {
        "zone": item["zone"],
        "zone_name": _zone_name(item["zone"], site),
        "who": _person(item.get("who")),
        "remaining_ms": item.get("remaining_ms"),
        "unproven": unproven,
    }


def _guide(zone: str, alarms: Iterable[Status], site: Site) -> dict[str, Any]:
    """What to know of a zone in alarm before going there: the rooms in alarm first, then those with the bed-bound."""
    table = site.zones.get(zone)
    rooms = [_room(room, alarms) for room in site.rooms if room.zone == zone]
    return {
        "zone": zone,
        "zone_name": _zone_name(zone, site),
        "instructions": list(table.instructions) if table is not None else [],
        "rooms": sorted(rooms, key=lambda room: (not room["points"], -room["bed_bound"])),
        "residents": sum(room["residents"] for room in rooms),
        "bed_bound": sum(room["bed_bound"] for room in rooms),
    }


def _room(room: RoomTable, alarms: Iterable[Status]) -> dict[str, Any]:
    """A room, with the points in alarm whose place names it."""
    inside = [item["point"] for item in alarms if item["zone"] == room.zone and room.name in item["place"]]
    return {"name": room.name, "residents": room.residents, "bed_bound": room.bed_bound, "points": inside}


def _lamps(status: Status, points: Mapping[str, Status], faults: Iterable[Status]) -> dict[str, str]:
    """Supply and link: "well", "bad", "unknown", or "none" where there is nothing of the kind."""
    standing = {item["point"] for item in faults}
    supplies = [point for point in points.values() if point.get("kind") in SUPPLY_KINDS]
    if not supplies:
        supply = "none"
    elif any(point["code"] in standing for point in supplies):
        supply = "bad"
    else:
        supply = "unknown" if any(point.get("unknown") for point in supplies) else "well"
    link = {True: "well", False: "bad"}.get(status.get("listening"), "unknown")  # type: ignore[arg-type]
    return {"supply": supply, "link": link}


def _counts(points: Iterable[Status]) -> dict[str, int]:
    own = [point for point in points if not _is_own(point)]
    return {
        "points": len(own),
        "unknown": sum(1 for point in own if point.get("unknown")),
        "unproven": sum(1 for point in own if point.get("proven_age_ms") is None),
        "unsupervised": sum(1 for point in own if point.get("supervised") is False),
    }


def _person(who: object) -> str:
    """A person's name without the user behind it, which stands in the record beside it."""
    name, _, user = str(who or "").rpartition(" (")
    return name if name and user.endswith(")") else str(who or "")


def _zone_name(zone: str, site: Site) -> str:
    return site.zones[zone].name if zone in site.zones else zone


def _is_own(point: Status | str) -> bool:
    """Whether it is a part of the gateway itself (edge/own_points.py), which the catalogue names."""
    code = point if isinstance(point, str) else point["code"]
    return code.startswith(("gw-", "out-"))
