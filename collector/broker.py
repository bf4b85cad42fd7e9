"""The embedded broker, for one machine where mosquitto is not installed.

It loses QoS 1 messages now and then and forgets sessions. That costs repetitions, not events: a gateway holds an event
until the collector has told it that it is committed. In production mosquitto stands between.
"""

import asyncio
import logging
import threading
from concurrent.futures import Future

from amqtt.broker import Broker

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 1.5


class EmbeddedBroker:
    """An MQTT broker in a thread and loop of its own, so that its work does not hold up the board."""

    def __init__(self, host: str, port: int) -> None:
        self._bind = f"{host}:{port}"
        self._started: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="broker", daemon=True)

    def start(self) -> None:
        """Returns when it accepts connections. Raises OSError where it cannot."""
        logging.getLogger("amqtt").setLevel(logging.ERROR)  # it logs every packet
        logging.getLogger("transitions").setLevel(logging.ERROR)
        self._thread.start()
        self._started.result(START_TIMEOUT_S)

    def stop(self) -> None:
        """End it; a client that will not let go is not waited for."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_TIMEOUT_S)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": self._bind}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        try:
            await broker.start()
        except Exception as error:
            self._started.set_exception(OSError(f"the embedded broker cannot listen on {self._bind}: {error}"))
            return
        self._started.set_result(None)
        await self._stop.wait()
        try:
            await asyncio.wait_for(broker.shutdown(), STOP_TIMEOUT_S)
        except Exception:  # the process is ending anyway, and the broker keeps nothing
            logging.getLogger(__name__).debug("the embedded broker did not end in order", exc_info=True)
