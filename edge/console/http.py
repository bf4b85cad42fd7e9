"""A small HTTP/1.1 server on asyncio and h11: bounded heads, bodies, times and seats, and nothing else.

The console has a dozen routes. A framework for them costs 5 MiB more than this file, on a machine whose agent has 48;
h11 is the parser that the frameworks' own server uses.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import h11

log = logging.getLogger("shouwang.console")

HEAD_MAX = 16 << 10
BODY_MAX = 4 << 10
REQUEST_S = 10.0
"""From the first byte awaited to the last: whoever sends slower is no browser on the home's own network."""
WRITE_S = 5.0
CLOSE_S = 1.0
_CHUNK = 16 << 10


class Refused(Exception):
    """A request that is answered with a bare status."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(slots=True)
class Request:
    """One request, whole."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    is_tls: bool
    caller: "Caller"

    @property
    def cookies(self) -> Mapping[str, str]:
        """By name; none where the header is no list of cookies."""
        try:
            jar = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}


@dataclass(slots=True)
class Response:
    """An answer, whole."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)


class Stream(Protocol):
    """An answer without end: `take` gives what is to be sent next, nothing at the end."""

    async def take(self) -> bytes: ...


@dataclass(slots=True)
class Streaming:
    """An answer that goes on; `left` is called when it has ended, whoever ended it."""

    stream: Stream
    left: Callable[[], None]


Answer = Response | Streaming


class Caller:
    """A connection. `kind` says which seats it takes: those who have proven nothing cannot take the others'."""

    def __init__(self, writer: asyncio.StreamWriter, kind: str) -> None:
        self.writer = writer
        self.kind = kind
        self.task = asyncio.current_task()


class Seats:
    """How many may be connected, by kind. One too many ends the oldest of its own kind."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._callers: list[Caller] = []

    def take(self, caller: Caller) -> None:
        """Let a caller in, or let it change its kind."""
        same = [other for other in self._callers if other.kind == caller.kind and other is not caller]
        if len(same) >= self._each:
            self._callers.remove(same[0])
            same[0].writer.transport.abort()
        if caller not in self._callers:
            self._callers.append(caller)

    def leave(self, caller: Caller) -> None:
        """A caller has gone."""
        if caller in self._callers:
            self._callers.remove(caller)

    async def close(self) -> None:
        """End all connections, and wait until whoever served them has seen it."""
        tasks = [caller.task for caller in self._callers if caller.task is not None]
        for caller in self._callers:
            caller.writer.transport.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)


class Server:
    """Serves connections of one listener; `handle` answers, and every answer gets `headers` too."""

    def __init__(
        self,
        handle: Callable[[Request], Awaitable[Answer]],
        seats: Seats,
        kind: str,
        headers: list[tuple[str, str]],
    ) -> None:
        self._handle = handle
        self._seats = seats
        self._kind = kind
        self._headers = headers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first byte to its last."""
        caller = Caller(writer, self._kind)
        self._seats.take(caller)
        talk = _Talk(reader, caller)
        try:
            while await self._exchange(talk):
                pass
        except (OSError, TimeoutError, h11.ProtocolError):
            pass  # a caller that hangs, lies or goes away costs its own connection only
        except Exception:
            log.exception("a request failed")
        finally:
            self._seats.leave(caller)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _exchange(self, talk: "_Talk") -> bool:
        """One request and its answer; whether another may follow."""
        try:
            async with asyncio.timeout(REQUEST_S):
                request = await talk.request()
            if request is None:
                return False
            answer = await self._answer(request)
        except Refused as refused:
            answer = Response(refused.status)
        except h11.RemoteProtocolError as error:
            answer = Response(error.error_status_hint)
        if isinstance(answer, Streaming):
            await self._stream(talk, answer)
            return False
        await talk.send(answer, self._headers)
        return talk.may_go_on()

    async def _answer(self, request: Request) -> Answer:
        try:
            return await self._handle(request)
        except Refused:
            raise
        except Exception:  # the caller has to know, and the console goes on
            log.exception("%s %s failed", request.method, request.path)
            raise Refused(500) from None

    async def _stream(self, talk: "_Talk", answer: Streaming) -> None:
        try:
            await talk.begin_stream(self._headers)
            while data := await answer.stream.take():
                await talk.send_part(data)
            await talk.end_stream()
        finally:
            answer.left()


class _Talk:
    """h11's state machine on a connection."""

    def __init__(self, reader: asyncio.StreamReader, caller: Caller) -> None:
        self._reader = reader
        self._caller = caller
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)

    async def request(self) -> Request | None:
        """The next request; None where the caller has gone."""
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        body = b""
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > BODY_MAX:
                raise Refused(413)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        target = urlsplit(head.target.decode("latin-1"))
        return Request(
            method=head.method.decode("latin-1"),
            path=target.path,
            query=dict(parse_qsl(target.query, max_num_fields=8)),
            headers=headers,
            body=body,
            is_tls=self._caller.writer.get_extra_info("sslcontext") is not None,
            caller=self._caller,
        )

    async def send(self, answer: Response, headers: list[tuple[str, str]]) -> None:
        """A whole answer."""
        all_headers = [("content-type", answer.content_type), ("content-length", str(len(answer.body)))]
        if self._h11.their_state is not h11.DONE:
            all_headers.append(("connection", "close"))  # what of the request was not read is no next request
        self._write(h11.Response(status_code=answer.status, headers=[*all_headers, *headers, *answer.headers]))
        self._write(h11.Data(data=answer.body))
        self._write(h11.EndOfMessage())
        await self._drain()

    async def begin_stream(self, headers: list[tuple[str, str]]) -> None:
        """The head of an answer without end."""
        own = [("content-type", "text/event-stream"), ("connection", "close"), ("x-accel-buffering", "no")]
        self._write(h11.Response(status_code=200, headers=[*own, *headers]))
        await self._drain()

    async def send_part(self, data: bytes) -> None:
        """More of it. Raises TimeoutError where the caller does not take it."""
        self._write(h11.Data(data=data))
        await self._drain()

    async def end_stream(self) -> None:
        """Say that no more is coming."""
        self._write(h11.EndOfMessage())
        await self._drain()

    def may_go_on(self) -> bool:
        """Whether the connection can carry another request; if so it is made ready for it."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            if self._h11.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._h11.receive_data(await self._reader.read(_CHUNK))
        return event

    def _write(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data:
            self._caller.writer.write(data)

    async def _drain(self) -> None:
        async with asyncio.timeout(WRITE_S):
            await self._caller.writer.drain()
