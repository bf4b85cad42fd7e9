"""Server-sent events to many browsers: each message is serialised once, each client has a bounded queue.

`event: tick` comes every few seconds, because a comment never reaches the page's script and it could not tell a quiet
night from a dead line. A message's id is `{start}-{number}`; a client that comes back with the last one it saw gets
what it missed, or a snapshot where that is too old, and so does one that is too slow for its queue.
"""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

QUEUE = 256
HISTORY = 512
MAX_CLIENTS = 500


class TooManyClients(Exception):
    """No more streams than the process can serve."""


class Client:
    """One open stream."""

    def __init__(self) -> None:
        self.queue: deque[bytes] = deque()
        self.wants_snapshot = False
        self.wake = asyncio.Event()

    def put(self, message: bytes) -> bool:
        """Queue a message; False where the client is too slow and will get a snapshot instead."""
        is_full = len(self.queue) >= QUEUE
        if is_full:
            self.queue.clear()
            self.wants_snapshot = True
        elif not self.wants_snapshot:
            self.queue.append(message)
        self.wake.set()
        return not is_full


class Hub:
    """Lives on the event loop. `snapshot` gives the whole board as of now."""

    def __init__(self, snapshot: Callable[[], Any]) -> None:
        self._snapshot = snapshot
        self._start = secrets.token_hex(4)
        self._number = 0
        self._history: deque[tuple[int, bytes]] = deque(maxlen=HISTORY)
        self._clients: set[Client] = set()
        self._is_closed = False
        self.overflows = 0

    @property
    def clients(self) -> int:
        """Open streams."""
        return len(self._clients)

    def send(self, event: str, data: Any) -> None:
        """Send a change to everybody, and remember it for those who come back."""
        self._number += 1
        message = _encode(event, data, f"{self._start}-{self._number}")
        self._history.append((self._number, message))
        self._put(message)

    def tick(self, data: Any) -> None:
        """Say that the line is alive. It has no id and is not remembered."""
        self._put(_encode("tick", data))

    def close(self) -> None:
        """End every stream, so that the process can end."""
        self._is_closed = True
        for client in self._clients:
            client.wake.set()

    async def stream(self, last_id: str | None = None) -> AsyncIterator[bytes]:
        """The bytes for one client, from its last id or from a snapshot on. Raises TooManyClients."""
        if len(self._clients) >= MAX_CLIENTS:
            raise TooManyClients
        client = Client()
        missed = self._missed(last_id)
        client.wants_snapshot = missed is None
        client.queue.extend(missed or ())
        client.wake.set()
        self._clients.add(client)
        try:
            yield b"retry: 1000\n\n"
            while not self._is_closed:
                await client.wake.wait()
                client.wake.clear()
                if chunk := self._next(client):
                    yield chunk
        finally:
            self._clients.discard(client)

    def _next(self, client: Client) -> bytes:
        if client.wants_snapshot:
            client.wants_snapshot = False
            client.queue.clear()  # the snapshot is at least as new
            return _encode("snapshot", self._snapshot(), f"{self._start}-{self._number}")
        chunk = b"".join(client.queue)
        client.queue.clear()
        return chunk

    def _put(self, message: bytes) -> None:
        for client in self._clients:
            if not client.put(message):
                self.overflows += 1

    def _missed(self, last_id: str | None) -> list[bytes] | None:
        """What came after `last_id`, or None where that cannot be told."""
        start, _, number = (last_id or "").rpartition("-")
        if start != self._start or not number.isascii() or not number.isdigit() or int(number) > self._number:
            return None
        oldest = self._history[0][0] if self._history else self._number + 1
        if int(number) + 1 < oldest:
            return None
        return [message for sent, message in self._history if sent > int(number)]


def _encode(event: str, data: Any, number: str = "") -> bytes:
    head = f"id: {number}\n" if number else ""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{head}event: {event}\ndata: {body}\n\n".encode()
