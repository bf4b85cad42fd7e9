"""A server on a UNIX socket whose `stop` leaves nothing open: what GPIO, I2C and the control socket share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


# Turns of the event loop that a connection, once accepted, takes to reach `_connected`.
_ACCEPT_TURNS = 4


class UnixServer:
    """Runs `serve(reader, writer)` for each client until it returns, the client goes away, or the server stops."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        """Listen on `path`. Raises OSError."""
        self._server = await asyncio.start_unix_server(self._connected, path)

    async def stop(self) -> None:
        """Stop listening, end every client's task wherever it waits, and close its connection."""
        if self._server is None:
            return
        self._server.close()
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        clients = dict(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        # A task that was cancelled before its first step has closed nothing.
        for writer in clients.values():
            await _close(writer)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine, so that no client exists that `stop` does not know.
        task = asyncio.get_running_loop().create_task(self._attend(reader, writer))
        self._clients[task] = writer
        task.add_done_callback(self._clients.pop)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that breaks off in the middle, or sends a line without end, concerns nobody else.
        try:
            with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
