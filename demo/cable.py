"""The line between one light home and the broker, so that it can be cut: a TCP relay on loopback."""

import asyncio
import contextlib

_CHUNK = 65_536


class Cable:
    """Relays connections to `port` while it is whole. Cut, it drops those that are open and refuses new ones."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._broker_port = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        """Listen, on the same port as before the cut. Raises OSError."""
        if self._server is None:
            self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Drop what is open and refuse what comes."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._broker_port)
        except OSError:
            self._hang_up(writer)
            return
        self._open.add(back)
        await asyncio.gather(_pour(reader, back), _pour(there, writer))
        self._hang_up(writer)
        self._hang_up(back)

    def _hang_up(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.close()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes until either side ends; the other direction ends with it."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
