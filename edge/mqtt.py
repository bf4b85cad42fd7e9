"""One connection to an MQTT broker: paho as a codec, driven by a thread of ours, thrown away when it breaks.

A fresh client for every connection leaves no queue behind: whoever speaks says again what nobody has acknowledged.
"""

import contextlib
import logging
import selectors
import socket
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from device import wire

log = logging.getLogger(__name__)

ANSWER_WITHIN_MS = 10_000
"""For the broker's CONNACK, once the TCP connection stands."""


class Access(NamedTuple):
    """Where a broker is and how to be let in; `tls` None is a line without it."""

    host: str
    port: int
    client_id: str
    keepalive_ms: int
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None


class Will(NamedTuple):
    """What the broker says, and keeps, when a connection breaks."""

    topic: str
    payload: bytes


class Message(NamedTuple):
    """What came. `is_retained`: the broker kept it, and it says nothing about now."""

    topic: str
    payload: bytes
    is_retained: bool


class Connection:
    """Connects in the constructor (OSError where that fails); `is_up` turns true when the broker has agreed.

    `on_the_way` counts the messages that the broker has not confirmed.
    """

    def __init__(self, access: Access, now_ms: int, will: Will | None = None) -> None:
        self._incoming: list[Message] = []
        self._answer_by_ms = now_ms + ANSWER_WITHIN_MS
        self.is_up = False
        self.is_over = False
        self.why = ""
        self.on_the_way = 0
        self._client = self._make(access, will)
        self._client.connect(access.host, access.port, max(1, access.keepalive_ms // 1000))

    def _make(self, access: Access, will: Will | None) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=access.client_id, clean_session=True, reconnect_on_failure=False
        )
        client.max_inflight_messages_set(0)  # our windows are the limit; paho must not hold anything back
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        if access.username is not None:
            client.username_pw_set(access.username, access.password)
        if access.tls is not None:
            client.tls_set_context(access.tls)
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        return client

    # --- paho's callbacks, on the thread that polls

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.is_over, self.why = True, f"refused: {reason}"
        else:
            self.is_up = True

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.is_up, self.is_over = False, True
        self.why = self.why or str(reason)

    def _on_message(self, _client: Client, _data: Any, message: Any) -> None:
        self._incoming.append(Message(message.topic, bytes(message.payload), bool(message.retain)))

    def _on_publish(self, _client: Client, _data: Any, _mid: int, _reason: Any, _properties: Any) -> None:
        self.on_the_way -= 1

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            log.error("the broker refused a subscription: %s", ", ".join(refused))

    # --- for the thread that polls

    def subscribe(self, topics: list[str]) -> None:
        """Ask for all that is said there."""
        self._client.subscribe([(topic, 1) for topic in topics])

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> bool:
        """Hand a message to the broker. False where it cannot be taken now."""
        if not self.is_up or len(payload) > wire.MAX_BYTES:
            return False
        told = self._client.publish(topic, payload, qos=qos, retain=retain)
        if told.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        self.on_the_way += 1
        return True

    def poll(self, wake: socket.socket, timeout_ms: int, now_ms: Callable[[], int]) -> list[Message]:
        """Wait for the network or for `wake`, take what came, send what waits."""
        client = self._client
        connection: Any = client.socket()
        if connection is None:
            self.is_up, self.is_over = False, True
            return []
        with selectors.PollSelector() as selector:
            interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.want_write() else 0)
            selector.register(connection, interest)
            selector.register(wake, selectors.EVENT_READ)
            ready = {key.fileobj: mask for key, mask in selector.select(self._wait_s(connection, timeout_ms))}
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                wake.recv(4096)
        self._serve(connection, ready.get(connection, 0))
        if not self.is_up and now_ms() >= self._answer_by_ms:
            self.is_over, self.why = True, self.why or "no answer to CONNECT"
        taken, self._incoming = self._incoming, []
        return taken

    def _wait_s(self, connection: Any, timeout_ms: int) -> float:
        return 0 if _pending(connection) else max(0, timeout_ms) / 1000

    def _serve(self, connection: Any, mask: int) -> None:
        client = self._client
        if mask & selectors.EVENT_READ or _pending(connection):
            client.loop_read()
            while client.socket() is connection and _pending(connection):
                client.loop_read()
        if client.want_write():
            client.loop_write()
        client.loop_misc()

    def close(self) -> None:
        """End the connection on purpose: the last will is not published."""
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
        self.cut()

    def cut(self) -> None:
        """Close the socket, from any thread: a thread that hangs in it comes back."""
        self.is_up, self.is_over = False, True
        connection: Any = self._client.socket()
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                connection.close()


def tls_context(authority: str, certificate: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """For a broker whose certificate `authority` has signed, and who wants to see ours where one is given."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None and key is not None:
        context.load_cert_chain(certificate, key)
    return context


def _pending(connection: Any) -> bool:
    """Whether TLS has decrypted more than was taken: the socket itself says nothing about that."""
    pending = getattr(connection, "pending", None)
    return bool(pending and pending())


def _send_at_once(_client: Client, _data: Any, line: Any) -> None:
    # Else a small message waits for the acknowledgement of the one before: 40 ms on a quiet line.
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
