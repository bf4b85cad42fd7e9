"""The live stream of the board."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException
from fastapi.responses import StreamingResponse

from collector import models
from collector.hub import MAX_CLIENTS
from collector.routes import Parts, may_read

router = APIRouter(prefix="/api/v1", tags=["board"])


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={
        200: {"description": "snapshot, home, board, alarm and tick events", "content": {"text/event-stream": {}}},
        401: {"model": models.Problem, "description": "nobody has logged in"},
        503: {"model": models.Problem, "description": "too many streams are open"},
    },
    dependencies=[Depends(may_read)],
)
async def get_stream(
    parts: Parts, last_event_id: Annotated[str | None, Header(max_length=64)] = None
) -> StreamingResponse:
    """`snapshot` (the board), then `home`, `board` and `alarm` as they change, and a `tick` every 3 s.

    With `Last-Event-ID` the stream resumes where it broke off, or begins with a snapshot where that is too long ago.
    """
    if parts.live.hub.clients >= MAX_CLIENTS:
        raise HTTPException(503, f"{MAX_CLIENTS} streams are open already; try again later")
    stream: AsyncIterator[bytes] = parts.live.hub.stream(last_event_id)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}  # a proxy that buffers would hide the alarm
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
