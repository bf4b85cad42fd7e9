"""The board, a home, the logs, and the bureau's having seen an alarm."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query

from collector import access, models, view
from collector.access import Action, Visitor
from collector.board import Gateway
from collector.routes import CODE, NO_SUCH_HOME, HomeCode, Looking, Needs, Parts, Watching
from collector.store import StoreError
from collector.store.reader import EventRow
from collector.view import Json
from device import wire

router = APIRouter(prefix="/api/v1", tags=["board"])
UNREAD: dict[int | str, dict[str, Any]] = {
    401: {"model": models.Problem, "description": "nobody has logged in"},
    403: {"model": models.Problem, "description": "this account may not, or the request is not from our own page"},
}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": models.Problem, "description": "there is none"}}

RowId = Annotated[int | None, Query(ge=1, le=wire.MAX_INT, description="only rows older than this id")]
Limit = Annotated[int, Query(ge=1, le=200)]
HomeFilter = Annotated[str | None, Query(pattern=CODE)]
Seeing = Annotated[Visitor, Depends(Needs(Action.SEE_ALARM))]
ClassFilter = Annotated[str | None, Query(alias="class", pattern=CODE)]


@router.get("/board", response_model=models.Board, responses=UNREAD)
async def get_board(parts: Parts, who: Watching) -> Json:
    """The visitor's homes by worst class, and their active alarms."""
    return parts.live.snapshot(who.homes)


@router.get("/homes/{home}", response_model=models.HomeDetail, responses={**UNREAD, **UNKNOWN})
async def get_home(home: HomeCode, parts: Parts, who: Looking) -> Json:
    """One home: its gateways, its points with their last values, what is active."""
    found = parts.live.home(home)
    if found is None:
        raise HTTPException(404, NO_SUCH_HOME)
    return found


@router.get("/events", response_model=models.Events, responses=UNREAD)
def get_events(
    parts: Parts,
    who: Looking,
    before: RowId = None,
    limit: Limit = 50,
    home: HomeFilter = None,
    condition: ClassFilter = None,
) -> Json:
    """Both logs, newest first; what concerns accounts for an auditor only. In a worker thread: a long page must not
    hold up the board."""
    page = parts.reader.events(
        before=before,
        limit=limit,
        home=home,
        condition=condition,
        homes=who.homes,
        with_accounts=access.may(who, Action.AUDIT),
    )
    return {"events": [_event(parts, row) for row in page.rows], "next": page.next}


@router.post(
    "/alarms/seen",
    response_model=models.Seen,
    responses={
        **UNREAD,
        **UNKNOWN,
        503: {"model": models.Problem, "description": "it cannot be stored now"},
    },
)
async def post_seen(which: models.AlarmKey, parts: Parts, who: Seeing) -> Json:
    """Say by name that the bureau has seen an alarm: its sound ends on the boards, nothing changes in the home."""
    if not access.may(who, Action.SEE_ALARM, which.home):
        raise HTTPException(404, NO_SUCH_HOME)
    alarm = parts.live.find_alarm(which.model_dump(by_alias=True))
    if alarm is None:
        raise HTTPException(404, "that alarm is not active any more")
    if alarm["seen_ms"] is not None:
        return {"who": alarm["seen_by"], "at_ms": alarm["seen_ms"]}
    try:
        entry = await parts.live.see(alarm, who.name)
    except StoreError as error:
        raise HTTPException(503, f"it cannot be stored now: {error}") from error
    return {"who": entry.who, "at_ms": entry.at_ms}


def _event(parts: Parts, row: EventRow) -> Json:
    board = parts.live.board
    gateway = board.gateways.get((row.home, row.gateway)) or Gateway(row.home, row.gateway)
    name = board.names.get(row.home) or (gateway.points[1].name if gateway.points else row.home)
    common = {"id": row.id, "home": row.home, "home_name": name, "gateway": row.gateway, "received_ms": row.received_ms}
    if row.event is not None:
        return {**common, **_gateway_event(gateway, row.event)}
    assert row.own is not None
    own = row.own
    return {
        **common,
        "source": "collector",
        "journal": own.journal,
        "seq": own.seq,
        "kind": own.kind,
        "class": None,
        **dict.fromkeys(("zone", "zone_name", "point", "place", "unit", "why"), ""),
        "value": None,
        "scale": 0,
        "unknown": None,
        "order": 0,
        "who": own.who,
        "wall_ms": own.at_ms,
        "clock_ok": True,
        "durable": True,
        "hash": own.hash,
        "detail": dict(own.detail),
    }


def _gateway_event(gateway: Gateway, event: wire.Event) -> Json:
    point = view.find_point(gateway, event.point)
    same = ("journal", "seq", "kind", "zone", "point", "value", "unknown", "order", "who", "why", "wall_ms")
    return {
        "source": "gateway",
        "class": event.condition,
        "zone_name": view.zone_name(gateway, event.zone),
        "place": point.place if point else "",
        "unit": event.unit or (point.unit if point else ""),
        "scale": point.scale if point else 0,
        **{name: getattr(event, name) for name in same},
        "clock_ok": event.clock_ok,
        "durable": event.durable,
        "hash": event.hash,
        "detail": {},
    }
