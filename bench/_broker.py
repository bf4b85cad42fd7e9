"""A real broker on a free port, and the least that has to be at its other end: a taker that acknowledges."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from bench._children import END, heard
from device import wire

_CONFIGURATION = (
    "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 100000\n"
    "set_tcp_nodelay true\n"
)
# Debian keeps daemons off a user's PATH.
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
_STARTS_WITHIN_S = 5.0
_ACK_EVERY_S = 20.0
"""As CONTRACT.md has it: repeated even when idle."""


class NoBroker(Exception):
    """mosquitto is not installed, or did not start."""


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """The port of a mosquitto of our own. Raises NoBroker."""
    program = shutil.which("mosquitto", path=_PATH)
    if program is None:
        raise NoBroker("mosquitto is not installed: apt-get install mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    path = folder / "mosquitto.conf"
    path.write_text(_CONFIGURATION.format(port=port), "ascii")
    process = subprocess.Popen([program, "-c", str(path)], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    """Until somebody listens. Raises NoBroker."""
    until_s = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.02)
    raise NoBroker("mosquitto does not listen")


def collect(pipe: Connection, port: int, home: str, gateway: str) -> None:
    """A child's work: acknowledge every event and batch of readings; answers with the messages by channel so far."""
    collector = _Collector(port, home, gateway)
    while True:
        if not pipe.poll(_ACK_EVERY_S):
            collector.acknowledge()
        elif heard(pipe) == END:
            break
        else:
            pipe.send(dict(collector.counts))
    collector.close()


class _Collector:
    """Takes what is of the contract and says what it has."""

    def __init__(self, port: int, home: str, gateway: str) -> None:
        self.counts: Counter[str] = Counter()
        self._topics = {wire.topic(home, gateway, channel): channel for channel in wire.UP}
        self._ack_topic = wire.topic(home, gateway, wire.ACK)
        self._seqs: dict[str, dict[str, int]] = {}
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(topic, 1) for topic in self._topics])
        self._client.loop_start()

    def _take(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        channel = self._topics[message.topic]
        self.counts[channel] += 1
        said = wire.decode(channel, bytes(message.payload))
        if isinstance(said, wire.Event | wire.Readings):
            self._seqs.setdefault(said.journal, {wire.EVENT: 0, wire.READING: 0})[channel] = said.seq
            self.acknowledge()

    def acknowledge(self) -> None:
        """Say what is here, of every journal."""
        for journal, seqs in list(self._seqs.items()):
            self._client.publish(self._ack_topic, wire.encode(wire.Ack(journal, seqs[wire.EVENT], seqs[wire.READING])))
            self.counts[wire.ACK] += 1

    def close(self) -> None:
        """Hang up."""
        self._client.loop_stop()
        self._client.disconnect()
