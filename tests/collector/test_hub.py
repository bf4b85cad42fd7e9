"""The event streams: resume, overflow, ticks, the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from collector.hub import HISTORY, QUEUE, Hub


def made(board: Any) -> Hub:
    """A hub whose board is that, and whose messages concern the home that they name."""
    return Hub(lambda homes: board, lambda event, data, homes: data if data in homes else None)


def parse(chunk: bytes) -> list[tuple[str, str, Any]]:
    """(id, event, data) of each message in it."""
    found = []
    for block in chunk.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return found


async def opened(hub: Hub, last_id: str | None = None) -> AsyncIterator[bytes]:
    stream = hub.stream(last_id)
    assert await anext(stream) == b"retry: 1000\n\n"
    return stream


async def following(stream: AsyncIterator[bytes]) -> list[tuple[str, str, Any]]:
    return parse(await asyncio.wait_for(anext(stream), 5))


def test_a_stream_begins_with_a_snapshot_and_goes_on_with_changes() -> None:
    async def scene() -> None:
        hub = made({"homes": ["h01"]})
        stream = await opened(hub)
        [(first_id, event, data)] = await following(stream)
        assert (event, data) == ("snapshot", {"homes": ["h01"]})
        hub.send("home", {"name": "和平里"})
        hub.tick({"server_ms": 5})
        [(home_id, event, data), (tick_id, tick, _)] = await following(stream)
        assert (event, data, tick, tick_id) == ("home", {"name": "和平里"}, "tick", "")
        assert home_id.rsplit("-", 1)[0] == first_id.rsplit("-", 1)[0] and home_id.endswith("-1")

    asyncio.run(scene())


def test_a_client_that_comes_back_gets_what_it_missed() -> None:
    async def scene() -> None:
        hub = made("all")
        stream = await opened(hub)
        await following(stream)
        hub.send("home", 1)
        [(last_id, _, _)] = await following(stream)
        hub.send("home", 2)
        hub.send("alarm", 3)
        again = await opened(hub, last_id)
        assert [(event, data) for _, event, data in await following(again)] == [("home", 2), ("alarm", 3)]

    asyncio.run(scene())


def test_an_id_that_means_nothing_any_more_gets_a_snapshot() -> None:
    async def scene() -> None:
        hub = made("all")
        for number in range(HISTORY + 2):
            hub.send("home", number)
        stream = await opened(hub)
        [(current, _, _)] = await following(stream)
        start = current.rsplit("-", 1)[0]
        for stale in (f"{start}-1", f"{start}-999999", "other-5", "nonsense", "-", f"{start}-x", f"{start}-٣"):
            again = await opened(hub, stale)
            assert [event for _, event, _ in await following(again)] == ["snapshot"], stale

    asyncio.run(scene())


def test_a_slow_client_gets_a_snapshot_instead_of_an_endless_queue() -> None:
    async def scene() -> None:
        hub = made("all")
        stream = await opened(hub)
        await following(stream)
        for number in range(QUEUE * 3):
            hub.send("home", number)
        assert hub.overflows
        assert [event for _, event, _ in await following(stream)] == ["snapshot"]
        hub.send("home", "after")
        assert [data for _, _, data in await following(stream)] == ["after"]

    asyncio.run(scene())


def test_closing_ends_every_stream_and_a_gone_client_is_forgotten() -> None:
    async def scene() -> None:
        hub = made("all")
        streams = [await opened(hub) for _ in range(3)]
        assert hub.clients == 3
        await streams[0].aclose()  # type: ignore[attr-defined]
        assert hub.clients == 2
        hub.close()
        for stream in streams[1:]:
            async with asyncio.timeout(5):
                async for _ in stream:
                    pass
        assert hub.clients == 0

    asyncio.run(scene())
