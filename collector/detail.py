"""One home in full, for its own page: gateways, points with their last values, what was noted. Pure."""

from collector import view
from collector.board import Board, Gateway, Value
from collector.view import Json, Moment
from device import wire


def home_detail(board: Board, code: str, now: Moment) -> Json | None:
    """The home's tile and all that stands behind it; None where nobody knows the home."""
    if code not in view.home_codes(board):
        return None
    gateways = view.gateways_of(board, code)
    return {
        **view.home_view(board, code, now),
        "gateways": [_gateway(gateway, now) for gateway in gateways],
        "points": [_point(gateway, point, now) for gateway in gateways for point in _points(gateway)],
    }


def _gateway(gateway: Gateway, now: Moment) -> Json:
    heard = gateway.state
    state = heard.state if heard else None
    return {
        "code": gateway.code,
        "freshness": view.freshness(gateway, now),
        "heard_age_ms": view.heard_age_ms([gateway], now),
        "journal": state.journal if state else "",
        "version": state.version if state else "",
        "config": state.config if state else "",
        "clock_ok": state.clock_ok if state else None,
        "clock_ahead_ms": _clock_ahead_ms(gateway),
        "disk": state.disk if state else "",
        "event_backlog": state.event_backlog if state else None,
        "reading_backlog": state.reading_backlog if state else None,
        "unproven": list(state.unproven) if state else [],
        "disabled": list(state.disabled) if state else [],
        "state_received_ms": heard.received_ms if heard else None,
    }


def _clock_ahead_ms(gateway: Gateway) -> int | None:
    """How far the gateway's wall clock is ahead of the collector's, where the gateway trusts its own."""
    heard = gateway.state
    if heard is None or not heard.is_live or not heard.state.clock_ok:
        return None
    return heard.state.wall_ms - heard.received_ms


def _point(gateway: Gateway, point: wire.Point, now: Moment) -> Json:
    value = gateway.values.get(point.code)
    return {
        "gateway": gateway.code,
        "code": point.code,
        "zone": point.zone,
        "zone_name": view.zone_name(gateway, point.zone),
        "place": point.place,
        "kind": point.kind,
        "unit": point.unit,
        "scale": point.scale,
        "profile": point.profile,
        "supervised": point.supervised,
        "early": point.early,
        "alarm": point.alarm,
        "value": value.value if value else None,
        "unknown": value.unknown if value else "not_heard",
        "value_age_ms": _value_age_ms(gateway, value, now) if value else None,
        "value_ms": value.wall_ms if value and value.clock_ok else None,
    }


def _value_age_ms(gateway: Gateway, value: Value, now: Moment) -> int | None:
    anchor = gateway.anchor
    if anchor is None or anchor.boot != value.boot:
        return None
    return max(0, now.mono_ms - value.mono_ms - anchor.lag_ms)


def _points(gateway: Gateway) -> tuple[wire.Point, ...]:
    return tuple(gateway.points[1].points) if gateway.points else ()
