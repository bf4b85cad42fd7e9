"""The connection to the collector's broker: which channel has which topic, and who may be told what."""

from collections.abc import Callable
from socket import socket
from typing import NamedTuple

from device import wire
from edge.mqtt import Access, Connection, Will, tls_context
from edge.uplink.config import UplinkConfig, check_secret, read_secret

MAX_ON_THE_WAY = 128
"""Messages that the broker has not confirmed, beyond which nothing more is given to it."""


class Incoming(NamedTuple):
    """A message from the collector. `is_retained`: the broker kept it, and it says nothing about now."""

    channel: str
    payload: bytes
    is_retained: bool


class Link:
    """Connects in the constructor (OSError where that fails); `is_up` turns true when the broker has agreed."""

    def __init__(self, config: UplinkConfig, home: str, gateway: str, boot: str, now_ms: int) -> None:
        self._topic = {channel: wire.topic(home, gateway, channel) for channel in wire.UP + wire.DOWN}
        self._channel = {self._topic[channel]: channel for channel in wire.DOWN}
        self._down = wire.encode(wire.Link(boot, "down"))
        access = _access(config, config.client_id or f"{home}-{gateway}")
        self._connection = Connection(access, now_ms, Will(self._topic[wire.LINK], self._down))

    @property
    def is_up(self) -> bool:
        """Whether the broker has agreed and the line stands."""
        return self._connection.is_up

    @property
    def is_over(self) -> bool:
        """Whether it is to be thrown away; `why` says what happened."""
        return self._connection.is_over

    @property
    def why(self) -> str:
        """What ended it."""
        return self._connection.why

    @why.setter
    def why(self, text: str) -> None:
        self._connection.why = text

    @property
    def on_the_way(self) -> int:
        """Messages that the broker has not confirmed."""
        return self._connection.on_the_way

    def subscribe(self) -> None:
        """Ask for all that the collector may say."""
        self._connection.subscribe([self._topic[channel] for channel in wire.DOWN])

    def publish(self, channel: str, payload: bytes) -> bool:
        """Hand a message to the broker. False where it cannot be taken now."""
        return self._connection.publish(self._topic[channel], payload, retain=channel in wire.RETAINED)

    def has_room(self) -> bool:
        """Whether the broker keeps up with what it is given."""
        return self.is_up and self.on_the_way < MAX_ON_THE_WAY

    def poll(self, wake: socket, timeout_ms: int, now_ms: Callable[[], int]) -> list[Incoming]:
        """Wait for the network or for `wake`, take what came, send what waits."""
        came = self._connection.poll(wake, timeout_ms, now_ms)
        known = [(self._channel.get(message.topic), message) for message in came]
        return [Incoming(channel, item.payload, item.is_retained) for channel, item in known if channel is not None]

    def say_down(self) -> None:
        """Say that this gateway goes on purpose; the last will is for the other cases."""
        self.publish(wire.LINK, self._down)

    def close(self) -> None:
        """End the connection on purpose: the last will is not published."""
        self._connection.close()

    def cut(self) -> None:
        """Close the socket, from any thread: a thread that hangs in it comes back."""
        self._connection.cut()


def _access(config: UplinkConfig, client_id: str) -> Access:
    password = None
    if config.username is not None and config.password_file is not None:
        password = read_secret(config.password_file)
    if config.key is not None:
        check_secret(config.key)
    tls = None if config.ca is None else tls_context(config.ca, config.cert, config.key)
    return Access(config.host, config.port, client_id, config.keepalive, config.username, password, tls)
