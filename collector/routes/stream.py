"""The live stream of the board."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Request
from fastapi.responses import StreamingResponse

from collector import models
from collector.access import Visitor
from collector.hub import MAX_CLIENTS
from collector.routes import COOKIE, Parts, Services, Watching
from collector.routes.board import UNREAD

router = APIRouter(prefix="/api/v1", tags=["board"])
log = logging.getLogger(__name__)


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={
        **UNREAD,
        200: {"description": "snapshot, home, board, alarm and tick events", "content": {"text/event-stream": {}}},
        503: {"model": models.Problem, "description": "too many streams are open"},
    },
)
async def get_stream(
    request: Request, parts: Parts, who: Watching, last_event_id: Annotated[str | None, Header(max_length=64)] = None
) -> StreamingResponse:
    """`snapshot` (the board), then `home`, `board` and `alarm` as they change, and a `tick` every 3 s, of the visitor's
    homes.

    With `Last-Event-ID` the stream resumes where it broke off, or begins with a snapshot where that is too long ago.
    It ends when the session does, or when other homes are the visitor's.
    """
    if parts.live.hub.clients >= MAX_CLIENTS:
        raise HTTPException(503, f"{MAX_CLIENTS} streams are open already; try again later")
    stream: AsyncIterator[bytes] = parts.live.hub.stream(last_event_id, who.homes)
    if who.session:
        stream = _while_welcome(stream, parts, who, request.cookies[COOKIE])
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}  # a proxy that buffers would hide the alarm
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _while_welcome(
    stream: AsyncIterator[bytes], parts: Services, who: Visitor, token: str
) -> AsyncIterator[bytes]:
    """The stream until the visitor may no longer see it. No alarm waits for that question, whose answer a sick disk may
    owe; the ticks make it asked every few seconds."""
    asking = asyncio.create_task(parts.accounts.visitor(token, watches=True))
    try:
        async for chunk in stream:
            if asking.done():
                if not _is_welcome(asking, who):
                    return
                asking = asyncio.create_task(parts.accounts.visitor(token, watches=True))
            yield chunk
    finally:
        asking.cancel()
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator


def _is_welcome(asked: "asyncio.Task[Visitor | None]", who: Visitor) -> bool:
    if asked.exception() is not None:
        log.error("a stream's session cannot be checked: %s", asked.exception())
        return True
    now = asked.result()
    return now is not None and now.homes == who.homes
