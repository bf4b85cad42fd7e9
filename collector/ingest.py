"""The line to the broker: subscribes at every connect, decodes, hands over to the writer, and sends acknowledgements.

Runs in the MQTT client's own thread. What is not of the contract is counted, logged once per change, and never fatal.
Nothing rests on the broker's promises: a message counts once its event is committed, and until its gateway has been
told so it comes again.
"""

import itertools
import logging
import secrets
import socket
import ssl
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from collector.clock import Clock
from collector.records import AckDue, Delivery, Receipt
from collector.settings import Broker, check_secret
from device import wire

KEEPALIVE_S = 15
RECONNECT_MIN_S = 1
RECONNECT_MAX_S = 5  # the homes show a lost collector after 100 s; do not use that up with waiting
SPEAKERS_REMEMBERED = 1_000

log = logging.getLogger(__name__)


class Ingest:
    """`deliver` takes each good message; `on_line` is told, in the client's thread, when the line comes and goes."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        deliver: Callable[[Delivery], bool],
        on_line: Callable[[bool], None],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._broker = broker
        self._clock = clock
        self._deliver = deliver
        self._on_line = on_line
        self._numbers = itertools.count(1)
        self._complaints: OrderedDict[str, str] = OrderedDict()
        self._is_up = False
        self._lock = threading.Lock()
        self._client = self._new_client()

    def start(self) -> None:
        """Connect, and go on trying. Raises OSError or ValueError where the broker's files cannot be used."""
        if self._broker.password_file is not None:
            password = self._broker.password_file.read_text(encoding="utf-8").strip()
            self._client.username_pw_set(self._broker.user, password)
        if self._broker.ca is not None:
            self._client.tls_set_context(_tls(self._broker.ca, self._broker.cert, self._broker.key))
        self._client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
        self._client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Say goodbye and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def is_up(self) -> bool:
        """Whether the broker has confirmed every subscription."""
        return self._is_up

    def acknowledge(self, acks: list[AckDue]) -> None:
        """Tell gateways what has been committed. Without a line it is dropped: they are told again every 20 s."""
        if not self._is_up:
            return
        for due in acks:
            self._client.publish(wire.topic(due.home, due.gateway, wire.ACK), wire.encode(due.ack), qos=1)
            self.counts["acks"] += 1

    # --- the client's thread ---

    def _new_client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, f"shouwang-collector-{secrets.token_hex(4)}")
        client.max_queued_messages_set(10_000)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        client.on_socket_open = _send_at_once
        client.on_connect_fail = lambda *_: self._complain("broker", "cannot reach the broker")
        return client

    def _connected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._complain("broker", f"the broker refused: {reason}")
            return
        self._complaints.pop("broker", None)
        client.subscribe([(f"{wire.ROOT}/+/+/{channel}", 1) for channel in wire.UP])

    def _subscribed(
        self,
        client: mqtt.Client,
        userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        refused = [channel for channel, reason in zip(wire.UP, reasons, strict=False) if reason.is_failure]
        if refused:
            self._complain("broker", f"the broker refused to subscribe us to {', '.join(refused)}")
            return
        self._set_up(True)

    def _disconnected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._set_up(False)

    def _set_up(self, is_up: bool) -> None:
        with self._lock:
            changed, self._is_up = self._is_up != is_up, is_up
        if changed:
            log.info("broker %s:%s %s", self._broker.host, self._broker.port, "heard" if is_up else "lost")
            self.counts["line_changes"] += 1
            self._on_line(is_up)

    def _message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        self.counts["messages"] += 1
        receipt = Receipt(next(self._numbers), self._clock.wall_ms(), self._clock.mono_ms())
        try:
            topic, payload = message.topic, bytes(message.payload)
            found = wire.parse_topic(topic)
            decoded = wire.decode(found.channel, payload)
        except (wire.WireError, UnicodeDecodeError) as error:
            self.counts["refused"] += 1
            self._complain(_topic_text(message), str(error))
            return
        except Exception:  # the network thread must outlive whatever one message can do
            self.counts["refused"] += 1
            log.exception("a message could not be read")
            return
        self._complaints.pop(topic, None)
        if not self._deliver(Delivery(found, decoded, payload, receipt, message.retain)):
            self._complain("writer", "the writer does not keep up; gateways will send again")

    def _complain(self, about: str, text: str) -> None:
        if self._complaints.get(about) != text:
            log.warning("%s: %s", about, text)
        self._complaints[about] = text
        self._complaints.move_to_end(about)
        if len(self._complaints) > SPEAKERS_REMEMBERED:
            self._complaints.popitem(last=False)


def _send_at_once(client: mqtt.Client, userdata: object, sock: object) -> None:
    """Nagle's algorithm would hold an acknowledgement back for 40 ms, until the broker has confirmed the one before."""
    if isinstance(sock, socket.socket) and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _tls(authority: Path, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Raises OSError where a file cannot be used, or the key can be read by others."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        check_secret(key or certificate)
        context.load_cert_chain(certificate, key)
    return context


def _topic_text(message: mqtt.MQTTMessage) -> str:
    try:
        return message.topic[:200]
    except UnicodeDecodeError:
        return "a topic that is not UTF-8"
