"""A line that can be cut, or go silent without a word: a TCP relay on loopback, in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

_CHUNK = 65_536
_LOOPBACK = "127.0.0.1"


class Line:
    """Relays connections from its own `port` to `target`, which may change. Cut, it drops what is open and refuses what
    comes; silent, it keeps connections open and hands nothing on, as a network does that has lost a route."""

    def __init__(self) -> None:
        self.target = 0
        self.port = 0
        self._is_cut = False
        self._loop = asyncio.new_event_loop()
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._thread.start()
        self._do(self._listen())

    def cut(self) -> None:
        """Drop what is open, refuse what comes."""
        self._do(self._cut())

    def silence(self) -> None:
        """Hand nothing on."""
        self._do(self._speak(False))

    def mend(self) -> None:
        """Be whole again. What was underway when the line fell silent is handed on, late."""
        self._is_cut = False
        self._do(self._speak(True))

    def close(self) -> None:
        """End it."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- the thread

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._relay, _LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        self._is_cut = True
        for writer in list(self._open):
            writer.transport.abort()

    async def _speak(self, may: bool) -> None:
        if may:
            self._speaks.set()
        else:
            self._speaks.clear()

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        self._speaks.set()
        await asyncio.sleep(0)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            if not self._is_cut:
                there, back = await asyncio.open_connection(_LOOPBACK, self.target)
                ends.append(back)
                if not self._is_cut:  # while it was connecting
                    self._open.update(ends)
                    await asyncio.gather(self._pour(reader, back), self._pour(there, writer))
        except OSError:
            pass  # nobody listens there: the caller is hung up on, as by the machine itself
        finally:
            self._open.difference_update(ends)
            for end in ends:
                end.transport.abort()

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._speaks.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
