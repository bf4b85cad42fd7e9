"""The firmware as it is flashed: start.py and main.py in real MicroPython, over a real socket, to a real broker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from device import node_wire
from tests.micropython.board import Board, flash, running_board
from tests.support import LOOPBACK, Mosquitto, wait_until

NODE = "node-example"


class Gateway:
    """The least that is at the other end: it keeps what comes, and answers as node_wire.py says, if it is to."""

    def __init__(self, port: int) -> None:
        self.taken: list[tuple[str, Any]] = []
        self.answers = True
        self._lock = threading.Lock()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe(node_wire.topic(NODE, "beat")[:-4] + "+", 1)
        self._client.connect(LOOPBACK, port)
        self._client.loop_start()

    def _take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        channel = node_wire.parse_topic(message.topic).channel
        if channel not in node_wire.UP:
            return
        said = node_wire.decode(channel, bytes(message.payload))
        with self._lock:
            self.taken.append((channel, said))
        if self.answers and isinstance(said, node_wire.Report):
            self.say(node_wire.Ack(said.boot, said.seq))
        if self.answers and isinstance(said, node_wire.Beat):
            self.say(node_wire.Ack(said.boot, said.held - 1))
            self.say(node_wire.Clock(1_795_363_200_000, True))

    def say(self, message: Any, qos: int = 0) -> None:
        """Publish to the node."""
        channel = type(message).__name__.lower()
        self._client.publish(node_wire.topic(NODE, channel), node_wire.encode(message), qos)

    def all(self, channel: str, **fields: object) -> list[Any]:
        """What came on a channel with these values."""
        with self._lock:
            found = [said for where, said in self.taken if where == channel]
        return [said for said in found if all(getattr(said, name) == value for name, value in fields.items())]

    def wait(self, channel: str, **fields: object) -> Any:
        """The first such message."""
        found = wait_until(lambda: self.all(channel, **fields), timeout_s=30, what=f"{channel} with {fields}")
        return found[0]

    def close(self) -> None:
        """Go away."""
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def listening(port: int) -> Iterator[Gateway]:
    gateway = Gateway(port)
    try:
        yield gateway
    finally:
        gateway.close()


@pytest.fixture
def gateway(mosquitto: Mosquitto) -> Iterator[Gateway]:
    with listening(mosquitto.port) as gateway:
        yield gateway


@pytest.fixture
def folder(tmp_path: Path, mosquitto: Mosquitto) -> Path:
    return flash(tmp_path / "flash", GATEWAY_PORT=mosquitto.port)


@pytest.fixture
def board(folder: Path) -> Iterator[Board]:
    with running_board(folder) as board:
        yield board


def test_a_contact_that_closes_is_a_live_report_and_leaves_no_trace_on_the_flash(board: Board, gateway: Gateway):
    gateway.wait("report", input="smoke", value=0)
    board.do("pin 4 0")
    report = gateway.wait("report", input="smoke", value=1)
    assert report.live and report.age_ok and report.age_ms < 5_000
    board.do("pin 9 0")
    assert {level.input: level.value for level in gateway.wait("beat", seq=4).levels}["smoke"] == 1
    assert not (board.folder / "alarms").exists()


def test_an_alarm_that_nobody_took_outlives_a_power_cut_and_comes_with_its_age(board: Board, gateway: Gateway):
    gateway.wait("report", input="smoke", value=0)
    board.do("wifi down")
    board.do("pin 4 0")
    wait_until(lambda: (board.folder / "alarms").exists(), what="the alarm on the flash")
    board.do("cut")
    board.do("pin 4 1")
    board.do("wifi up")
    board.do("power")
    late = gateway.wait("report", input="smoke", value=1)
    assert not late.live
    assert late.boot != gateway.all("beat")[-1].boot
    wait_until(lambda: not (board.folder / "alarms").exists(), what="the acknowledged alarm to leave the flash")
    assert len({(report.boot, report.seq) for report in gateway.all("report", input="smoke", value=1)}) == 1


def test_the_self_test_button_and_orders_are_answered(board: Board, gateway: Gateway):
    gateway.wait("beat")
    board.do("pin 9 0")
    gateway.wait("report", input="test", value=1)
    gateway.wait("report", input="test", value=0)
    gateway.say(node_wire.Order("order-0001", "identify"), qos=1)
    first = gateway.wait("beat", order="order-0001")
    gateway.say(node_wire.Order("order-0002", "restart"), qos=1)
    board.wait("# reset")
    wait_until(lambda: gateway.all("beat")[-1].boot != first.boot, what="the next boot")
