"""A home and a collector around a real broker, each with the misbehaviour that a test asks for."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from device import wire
from edge.journal import Journal
from edge.report import Identity, PanelReport, compose_state
from edge.uplink import Home, Uplink, UplinkConfig
from tests.edge.parts import SetClock, journal_in, smoke
from tests.support import Mosquitto

HOME, GATEWAY = "h01", "g1"


class Collector:
    """Takes what comes, in order, and acknowledges as the contract wants; each misbehaviour is a switch."""

    def __init__(self, broker: Mosquitto, name: str = "collector") -> None:
        self.seen: list[tuple[str, Any]] = []
        self.acknowledges = True
        self.retained: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe(f"{wire.ROOT}/#", 1)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        channel = wire.parse_topic(message.topic).channel
        if channel in wire.DOWN:
            return
        decoded = wire.decode(channel, message.payload)
        with self._lock:
            if message.retain:
                self.retained[channel] = decoded
            else:
                self.seen.append((channel, decoded))
        if self.acknowledges and channel in (wire.EVENT, wire.READING, wire.STATE):
            self.acknowledge(decoded.journal)  # type: ignore[union-attr]

    def acknowledge(self, journal: str) -> None:
        self.say(wire.Ack(journal, self.contiguous(wire.EVENT, journal), self.contiguous(wire.READING, journal)))

    def contiguous(self, channel: str, journal: str) -> int:
        numbers = {message.seq for message in self.of(channel) if message.journal == journal}
        return next(seq for seq in range(len(numbers) + 1) if seq + 1 not in numbers)

    def say(self, message: Any, channel: str = wire.ACK, retain: bool = False) -> None:
        payload = message if isinstance(message, bytes) else wire.encode(message)
        self._client.publish(wire.topic(HOME, GATEWAY, channel), payload, 1, retain)

    def of(self, channel: str) -> list[Any]:
        with self._lock:
            return [message for name, message in self.seen if name == channel]

    def forget_after(self, seq: int) -> None:
        """Be restored from a backup that knows no more than that."""
        with self._lock:
            self.seen = [item for item in self.seen if item[0] != wire.EVENT or item[1].seq <= seq]


class House:
    """A journal and an uplink as an agent has them."""

    def __init__(self, journal: Journal, config: UplinkConfig, **more: Any) -> None:
        self.journal = journal
        self.report = PanelReport()
        self.asked: list[wire.Ask] = []
        identity = Identity("0.1.0", "c0ffee", True)
        points = wire.Points("c0ffee", "和平里养老院", True, (), ())
        home = Home(
            HOME,
            GATEWAY,
            lambda: compose_state(self.report, identity, journal, journal.clock),
            lambda: points,
            self.asked.append,
        )
        self.uplink = Uplink(config, home._replace(**more), journal, journal.clock)

    def alarm(self, number: int) -> None:
        self.journal.record([smoke(number, self.journal.clock.mono_ms())])


@contextmanager
def living(folder: Path, config: UplinkConfig, **more: Any) -> Iterator[House]:
    with journal_in(folder, SetClock()) as journal:
        house = House(journal, config, **more)
        house.uplink.start()
        try:
            yield house
        finally:
            journal.close()  # in the agent's order
            house.uplink.close()


def to(broker: Mosquitto, **more: Any) -> UplinkConfig:
    return UplinkConfig(host=broker.host, port=broker.port, **more)


def whys(collector: Collector) -> list[str]:
    return [event.why for event in collector.of(wire.EVENT)]


def numbered(count: int) -> list[str]:
    return [f"no. {number}" for number in range(1, count + 1)]


def acknowledged(house: House, count: int) -> Callable[[], bool]:
    """Whether the collector has so many events of the current volume."""
    return lambda: house.journal.volume().event_acked == count


class Cable:
    """A cable between gateway and broker that can go silent without closing anything."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._silent = threading.Event()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> "Cable":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for item in self._sockets:
            item.close()
        for thread in self._threads:
            thread.join(10)

    def swallow(self) -> None:
        self._silent.set()

    def mend(self) -> None:
        self._silent.clear()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._broker_port))
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=self._carry, args=(source, sink))
                self._threads.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        source.settimeout(0.2)
        dead = False
        while True:
            try:
                data = source.recv(65536)
            except TimeoutError:
                if source.fileno() < 0:
                    return
                continue
            except OSError:
                return
            dead = dead or self._silent.is_set()
            if dead:  # a connection that has lost bytes stays lost, whatever happens to the cable
                continue
            if not data:
                sink.close()
                return
            try:
                sink.sendall(data)
            except OSError:
                return
