"""Server-sent events to many browsers: each message is serialised once for all who see the same homes, each client has
a bounded queue.

`event: tick` comes every few seconds, because a comment never reaches the page's script and it could not tell a quiet
night from a dead line. A message's id is `{start}-{number}`; a client that comes back with the last one it saw gets
what it missed, or a snapshot where that is too old, and so does one that is too slow for its queue, or sees other homes
than it did.
"""

import asyncio
import hashlib
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from collector.access import Homes

QUEUE = 256
HISTORY = 512
MAX_CLIENTS = 500


class TooManyClients(Exception):
    """No more streams than the process can serve."""


class Client:
    """One open stream, of those homes."""

    def __init__(self, homes: Homes) -> None:
        self.homes = homes
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
    """Lives on the event loop.

    `snapshot` gives the board of some homes as of now, `narrow(event, data, homes)` what those hear of a message who
    see these homes only, None for nothing.
    """

    def __init__(
        self, snapshot: Callable[[Homes], Any], narrow: Callable[[str, Any, frozenset[str]], Any | None]
    ) -> None:
        self._snapshot = snapshot
        self._narrow = narrow
        self._secret = secrets.token_hex(4)
        self._number = 0
        self._history: deque[tuple[int, str, bytes]] = deque(maxlen=HISTORY)
        self._clients: dict[Client, None] = {}
        self._is_closed = False
        self.overflows = 0

    @property
    def clients(self) -> int:
        """Open streams."""
        return len(self._clients)

    def send(self, event: str, data: Any) -> None:
        """Send a change to everybody whom it concerns, and remember it for those who come back."""
        self._number += 1
        whole = _dump(data)
        self._history.append((self._number, event, whole))
        self._put(event, data, whole, self._number)

    def tick(self, data: Any) -> None:
        """Say that the line is alive. It has no id and is not remembered."""
        self._put("tick", data, _dump(data))

    def close(self) -> None:
        """End every stream, so that the process can end."""
        self._is_closed = True
        for client in self._clients:
            client.wake.set()

    async def stream(self, last_id: str | None = None, homes: Homes = None) -> AsyncIterator[bytes]:
        """The bytes for one client, from its last id or from a snapshot on. Raises TooManyClients."""
        if len(self._clients) >= MAX_CLIENTS:
            raise TooManyClients
        client = Client(homes)
        missed = self._missed(last_id, homes)
        client.wants_snapshot = missed is None
        client.queue.extend(missed or ())
        client.wake.set()
        self._clients[client] = None
        try:
            yield b"retry: 1000\n\n"
            while not self._is_closed:
                await client.wake.wait()
                client.wake.clear()
                if chunk := self._next(client):
                    yield chunk
        finally:
            self._clients.pop(client, None)

    def _next(self, client: Client) -> bytes:
        if client.wants_snapshot:
            client.wants_snapshot = False
            client.queue.clear()  # the snapshot is at least as new
            body = _dump(self._snapshot(client.homes))
            return _frame("snapshot", body, self._id(self._number, client.homes))
        chunk = b"".join(client.queue)
        client.queue.clear()
        return chunk

    def _put(self, event: str, data: Any, whole: bytes, number: int | None = None) -> None:
        """To every client the message of its homes, made once for all who see the same."""
        made: dict[Homes, bytes | None] = {}
        for client in self._clients:
            if client.homes not in made:
                made[client.homes] = self._message(event, data, whole, number, client.homes)
            message = made[client.homes]
            if message is not None and not client.put(message):
                self.overflows += 1

    def _message(self, event: str, data: Any, whole: bytes, number: int | None, homes: Homes) -> bytes | None:
        if homes is not None:
            data = self._narrow(event, data, homes)
            if data is None:
                return None
            whole = _dump(data)
        return _frame(event, whole, "" if number is None else self._id(number, homes))

    def _id(self, number: int, homes: Homes) -> str:
        return f"{self._start(homes)}-{number}"

    def _start(self, homes: Homes) -> str:
        """Names this process and the homes: who sees others now must begin with a snapshot."""
        if homes is None:
            return self._secret
        return self._secret + hashlib.sha256("\n".join(sorted(homes)).encode()).hexdigest()[:8]

    def _missed(self, last_id: str | None, homes: Homes) -> list[bytes] | None:
        """What came after `last_id`, or None where that cannot be told."""
        start, _, number = (last_id or "").rpartition("-")
        if start != self._start(homes) or not number.isascii() or not number.isdigit() or int(number) > self._number:
            return None
        oldest = self._history[0][0] if self._history else self._number + 1
        if int(number) + 1 < oldest:
            return None
        after = [item for item in self._history if item[0] > int(number)]
        made = [self._message(event, json.loads(whole), whole, sent, homes) for sent, event, whole in after]
        return [message for message in made if message is not None]


def _dump(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _frame(event: str, body: bytes, number: str = "") -> bytes:
    head = f"id: {number}\n" if number else ""
    return b"%sevent: %s\ndata: %s\n\n" % (head.encode(), event.encode(), body)
