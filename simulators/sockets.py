"""A server on a UNIX socket whose `stop` leaves nothing open: what GPIO, I2C and the control socket share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class UnixServer:
    """Runs `serve(reader, writer)` for each client until it returns, the client goes away, or the server stops."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        """Listen on `path`. Raises OSError."""
        self._server = await asyncio.start_unix_server(self._connected, path)

    async def stop(self) -> None:
        """Stop listening, end every client's task wherever it waits, and close its connection."""
        if self._server is None:
            return
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine, so that no client exists that `stop` does not know.
        task = asyncio.get_running_loop().create_task(self._attend(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that breaks off in the middle, or sends a line without end, concerns nobody else.
        try:
            with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
