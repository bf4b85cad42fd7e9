"""The console as a process: the agent's line, the pages, and the two doors.

The door for the home's own screen is open from the start to the end. The one for tablets is open while there is one to
come in; whatever is wrong with it never closes the first.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections import Counter
from typing import Any

from edge.clock import Clock, SystemClock
from edge.console import certificate, view
from edge.console.agent_line import AgentLine
from edge.console.app import HEADERS, HOME, App
from edge.console.http import Seats, Server
from edge.console.hub import Hub
from edge.console.people import People
from edge.console.site import Site
from edge.console.tablets import Tablets, TabletsError
from edge.station import SOCKET_NAME

log = logging.getLogger("shouwang.console")

SILENT_MS = 3_000
"""Without an answer for so long the agent counts as dead, and nothing that it said is shown any more."""
TICK_S = 0.5
SEATS = 24
HANDSHAKES, HANDSHAKES_EACH = 12, 3
"""Strangers may be coming in at the same time: all of them, and from one address."""
HANDSHAKE_S = 3.0
NICE = 10


class Console:
    """One home's console. `run` returns when it has been told to stop."""

    def __init__(self, site: Site, clock: Clock | None = None) -> None:
        self._site = site
        self._clock = clock or SystemClock()
        self._hub = Hub()
        self._seats = Seats(SEATS)
        self._tablets = Tablets(site.folder, self._clock)
        self._people = People(site.people, self._clock.mono_ms)
        self._agent = AgentLine(site.data / SOCKET_NAME, self._told)
        app = App(
            site, self._agent, self._hub, self._people, self._tablets, self._seats, self._clock, lambda: self._status
        )
        self._handle = app.handle
        self._door = Door(Server(self._handle, self._seats, "stranger", HEADERS), site)
        self._status: dict[str, Any] | None = None
        self._shown: Any = None
        self._is_silent = False
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises OSError where the port is taken."""
        with contextlib.suppress(OSError):
            os.nice(NICE)  # whatever is asked of the console, the agent's turn comes first
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)
        home = Server(self._handle, self._seats, "home", HEADERS)
        port = self._site.console.port
        listener = await asyncio.start_server(home.serve, "127.0.0.1", port, limit=64 << 10)
        print(f"console on http://127.0.0.1:{port}", flush=True)
        tasks = [asyncio.create_task(self._agent.run()), asyncio.create_task(self._tick())]
        try:
            await self._stopping.wait()
        finally:
            listener.close()
            self._door.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._agent.close()
            self._hub.close()
            await self._seats.close()

    def _told(self, status: dict[str, Any]) -> None:
        """The agent has answered. What looks the same as before is not sent again."""
        shown = {**view.panel(status, self._site), "staff": self._staff(bool(status.get("clock_ok")))}
        self._status = status
        self._hub.keep("panel", shown)
        content = _without_times(shown)
        if content != self._shown or self._is_silent:
            self._shown = content
            self._is_silent = False
            self._hub.forget("silent")
            self._hub.send("panel", shown)

    async def _tick(self) -> None:
        while True:
            try:
                self._look_at_the_agent()
                self._hub.send("tick", self._now())
                await self._look_at_the_tablets()
            except Exception:
                log.exception("the tick failed")
            await asyncio.sleep(TICK_S)

    def _look_at_the_agent(self) -> None:
        is_silent = self._agent.quiet_ms >= SILENT_MS
        if is_silent and not self._is_silent:
            self._is_silent = True
            self._status = self._shown = None
            self._hub.forget("panel")
            said = {
                "home": self._site.home.name,
                "simulated": self._site.is_simulated,
                "was_heard": self._agent.was_heard,
            }
            self._hub.keep("silent", said)
            self._hub.send("silent", said)

    def _now(self) -> dict[str, Any]:
        return {"is_silent": self._is_silent, "quiet_ms": self._agent.quiet_ms, "wall_ms": self._clock.wall_ms()}

    async def _look_at_the_tablets(self) -> None:
        """Open or close their door, and end the streams of those that have been revoked."""
        try:
            names = {tablet.name for tablet in self._tablets.all()}
            is_wanted = bool(names) or self._tablets.invitation() is not None
        except TabletsError as error:
            log.error("%s", error)
            names, is_wanted = set(), False
        for station in self._hub.stations() - names - {HOME}:
            self._hub.close(station)
            self._people.end_station(station)
        await self._door.turn(is_wanted)

    def _staff(self, clock_ok: bool) -> dict[str, Any] | None:
        staff = self._site.staff
        if staff is None:
            return None
        now = time.localtime(self._clock.wall_ms() / 1000)
        minute = now.tm_hour * 60 + now.tm_min if clock_ok else None
        night = view.is_night(minute, staff.night_from, staff.night_until)
        return {"night": night, "count": staff.night if night else staff.day}


class Door:
    """The tablets' listener. It accepts one by one, so that strangers who do not finish their handshake hold no more
    than their few places."""

    def __init__(self, server: Server, site: Site) -> None:
        self._server = server
        self._site = site
        self._task: asyncio.Task[None] | None = None
        self._coming: Counter[str] = Counter()
        self._places = asyncio.Semaphore(HANDSHAKES)
        self._visits: set[asyncio.Task[None]] = set()
        self._complaint = ""

    async def turn(self, is_wanted: bool) -> None:
        """Open or close it."""
        if self._task is not None and (not is_wanted or self._task.done()):
            self.close()
        if is_wanted and self._task is None:
            try:
                self._open()
            except OSError as error:
                if self._complaint != str(error):
                    log.error("tablets cannot come in: %s", error)
                self._complaint = str(error)

    def close(self) -> None:
        """Let nobody more in."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _open(self) -> None:
        context = certificate.context(self._site.folder)
        host, port = self._site.console.tablet_host, self._site.console.tablet_port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=16)
        listener.setblocking(False)
        self._complaint = ""
        self._task = asyncio.create_task(self._accept(listener, context))
        log.info("tablets may come in on port %d", port)

    async def _accept(self, listener: socket.socket, context: Any) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                await self._places.acquire()
                try:
                    sock, address = await loop.sock_accept(listener)
                except OSError:  # a caller who has gone already, or no file left for it
                    self._places.release()
                    await asyncio.sleep(TICK_S)
                    continue
                except BaseException:
                    self._places.release()
                    raise
                visit = asyncio.create_task(self._welcome(sock, str(address[0]), context))
                self._visits.add(visit)
                visit.add_done_callback(self._visits.discard)

    async def _welcome(self, sock: socket.socket, address: str, context: Any) -> None:
        reader = asyncio.StreamReader(limit=64 << 10)
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        try:
            self._coming[address] += 1
            if self._coming[address] > HANDSHAKES_EACH:
                sock.close()
                return
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, sock, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError:
            return
        finally:
            self._coming[address] -= 1
            if self._coming[address] <= 0:
                del self._coming[address]
            self._places.release()
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        await self._server.serve(reader, writer)


def _without_times(value: Any) -> Any:
    """A view without what changes by itself."""
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if not str(key).endswith("_ms")}
    return [_without_times(item) for item in value] if isinstance(value, list) else value
