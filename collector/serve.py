"""Running the collector: puts the parts together, serves until told to end, and takes them apart in order."""

import asyncio
import contextlib
import fcntl
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import uvicorn

from collector.accounts import Accounts
from collector.app import make_app
from collector.clock import SYSTEM, Clock
from collector.ingest import Ingest
from collector.live import Live
from collector.ownlog import OwnKind
from collector.records import AckDue, Record
from collector.routes import Services
from collector.settings import Settings, check_secret
from collector.store import schema
from collector.store.reader import Reader
from collector.store.writer import Writer

GRACE_S = 1

log = logging.getLogger(__name__)


class CannotServe(Exception):
    """Why the collector does not start, in a sentence."""


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. `say` is told the address once requests are answered. Raises CannotServe."""
    with locked(settings.data), listening(settings) as sock, _broker(settings):
        # uvicorn raises the signal again when it has ended; by then everything is in order, so that means nothing.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        asyncio.run(_serve(settings, sock, say))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the data folder against a second collector. Raises CannotServe."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock: TextIO = (folder / "lock").open("w")
    except OSError as error:
        raise CannotServe(f"{folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotServe(f"{folder}: another collector is running on this folder") from error
        yield


@contextlib.contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """The socket to serve on. Raises CannotServe."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((settings.host, settings.port))
        except OSError as error:
            raise CannotServe(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
        yield sock


@contextlib.contextmanager
def _broker(settings: Settings) -> Iterator[None]:
    if not settings.embedded_broker:
        yield
        return
    from collector.broker import EmbeddedBroker  # only here: in production it is never loaded

    broker = EmbeddedBroker(settings.broker.host, settings.broker.port)
    try:
        broker.start()
    except OSError as error:
        raise CannotServe(str(error)) from error
    try:
        yield
    finally:
        broker.stop()


def _web_keys(settings: Settings) -> dict[str, Path]:
    """What uvicorn wants to be told of certificate and key. Raises CannotServe."""
    if settings.tls is None:
        return {}
    certificate, key = settings.tls
    try:
        check_secret(key)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:  # as a sentence now, not as a traceback of the server's later
        raise CannotServe(f"{certificate} and {key} cannot be used for https: {error}") from error
    return {"ssl_certfile": certificate, "ssl_keyfile": key}


async def _serve(settings: Settings, sock: socket.socket, say: Callable[[str], None]) -> None:
    keys: Any = _web_keys(settings)
    async with running(settings, SYSTEM) as parts:
        config = uvicorn.Config(
            make_app(parts),
            **keys,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_S,
            server_header=False,
        )
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{'https' if keys else 'http'}://{host}:{sock.getsockname()[1]}"
        await _Server(config, parts.live.hub.close, lambda: say(f"listening on {address}")).serve([sock])


class _Server(uvicorn.Server):
    """Ends the event streams as soon as it is told to end: they would otherwise hold it up until the grace is over."""

    def __init__(self, config: uvicorn.Config, before_end: Callable[[], None], ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_end = before_end
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._before_end)


@contextlib.asynccontextmanager
async def running(settings: Settings, clock: Clock) -> AsyncIterator[Services]:
    """All parts, started; stopped in the order in which they depend on each other. Raises CannotServe."""
    loop = asyncio.get_running_loop()
    replaced = _replace_damaged(settings.data, clock)
    reader = Reader(settings.data)
    parts: list[Services] = []

    def committed(records: list[Record], acks: list[AckDue]) -> None:
        parts[0].ingest.acknowledge(acks)
        if records and not loop.is_closed():
            loop.call_soon_threadsafe(parts[0].live.take, records)

    def on_line(is_up: bool) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(parts[0].live.line, is_up)

    writer = Writer(settings.data, clock, committed)
    live = Live(reader, writer, clock, settings.silent_after_ms, settings.keep_readings_ms)
    ingest = Ingest(settings.broker, clock, writer.deliver, on_line)
    parts.append(Services(settings, clock, live, ingest, reader, writer, Accounts(reader, writer, clock)))
    writer.start()
    if replaced is not None:
        writer.run(lambda intake: intake.note(OwnKind.STORE_REPLACED, aside=replaced.name))
    writer.run(lambda intake: intake.note(OwnKind.START))
    live.start()
    try:
        ingest.start()
        yield parts[0]
    except (OSError, ValueError) as error:
        raise CannotServe(f"the line to the broker cannot be set up: {error}") from error
    finally:
        await asyncio.to_thread(ingest.stop)
        await live.stop()
        writer.run(lambda intake: intake.note(OwnKind.STOP))
        await asyncio.to_thread(writer.stop)
        reader.close()


def _replace_damaged(folder: Path, clock: Clock) -> Path | None:
    """Move a damaged database aside: the homes send again what they still hold, and alarms go on."""
    if not schema.is_damaged(folder):
        return None
    aside = schema.move_aside(folder, clock.wall_ms())
    log.error("the database is damaged; moved it to %s and begin a new one: accounts have to be added again", aside)
    return aside
