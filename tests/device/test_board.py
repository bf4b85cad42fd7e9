"""The firmware as it is flashed: start.py and main.py in real MicroPython, over a real socket, to a real broker."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from device import node_wire
from tests.micropython.board import FIRMWARE, KEY, Board, flash, program, running_board
from tests.support import LOOPBACK, Mosquitto, wait_until

NODE = "node-example"
INPUTS = (
    {"name": "smoke", "kind": "contact", "pin": 4, "active": "low", "on_ms": 300, "off_ms": 1000},
    {"name": "bottle", "kind": "voltage", "pin": 0, "step": 50},
)


class Gateway:
    """The least that is at the other end: it keeps what comes, and answers as node_wire.py says, if it is to."""

    def __init__(self, port: int) -> None:
        self.taken: list[tuple[str, Any]] = []
        self.answers = True
        self.firmware: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.reconnect_delay_set(1, 1)
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
        if isinstance(said, node_wire.Progress) and said.state == "fetching":
            piece = self.firmware[said.file][said.offset : said.offset + node_wire.CHUNK_BYTES]
            self.say(node_wire.Chunk(said.release, said.file, said.offset, base64.b64encode(piece).decode()))

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


@contextmanager
def counting(port: int) -> Iterator[list[int]]:
    """The numbers that arrive on the topic `count`."""
    heard: list[int] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: heard.append(int(message.payload))
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect(LOOPBACK, port)
    client.subscribe("count", 1)
    client.loop_start()
    try:
        assert subscribed.wait(10)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


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


def test_a_broker_that_restarts_hears_the_alarm_that_it_missed(board: Board, gateway: Gateway, mosquitto: Mosquitto):
    gateway.wait("report", input="smoke", value=0)
    mosquitto.kill()
    board.do("pin 4 0")
    wait_until(lambda: (board.folder / "alarms").exists(), what="the alarm on the flash")
    mosquitto.start()
    report = gateway.wait("report", input="smoke", value=1)
    assert (report.boot, report.live) == (gateway.all("beat")[0].boot, False)


def test_the_self_test_button_and_an_order_to_restart(board: Board, gateway: Gateway):
    first = gateway.wait("beat")
    board.do("pin 9 0")
    gateway.wait("report", input="test", value=1)
    gateway.say(node_wire.Order("order-0002", "restart"), qos=1)
    assert gateway.wait("beat", order="order-0002").boot == first.boot
    board.wait("# reset")
    wait_until(lambda: gateway.all("beat")[-1].boot != first.boot, what="the next boot")


def manifest(release: int, files: dict[str, bytes]) -> node_wire.Update:
    """The signed manifest of a firmware."""
    listed = [node_wire.File(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()]
    signature = node_wire.sign(KEY, node_wire.signed_bytes(NODE, release, f"0.{release}", listed))
    return node_wire.Update(release, f"0.{release}", listed, signature)


def test_a_broken_release_is_rolled_back_and_a_good_one_confirmed(board: Board, gateway: Gateway):
    firmware = {path.name: path.read_bytes() for path in FIRMWARE.glob("*.py")}
    broken = {**firmware, "main.py": b"raise ValueError('a release that does not start')\n"}
    gateway.wait("beat", release=0)
    gateway.firmware = broken
    gateway.say(manifest(2, broken), qos=1)
    gateway.wait("progress", state="staged", release=2)
    assert gateway.wait("progress", state="rolled_back").release == 2
    assert "a release that does not start" in (board.folder / "error").read_text()
    gateway.firmware = {**firmware, "sleeper.py": firmware["sleeper.py"] + b"# changed\n"}
    gateway.say(manifest(3, gateway.firmware), qos=1)
    gateway.wait("progress", state="confirmed", release=3)
    assert gateway.wait("beat", release=3).version == "0.3"
    assert {said.file for said in gateway.all("progress", release=3, state="fetching")} == {"sleeper.py"}
    assert (board.folder / "slot").read_text() == "b"


def test_publishes_cross_the_end_of_the_packet_ids(tmp_path: Path, mosquitto: Mosquitto):
    """Stock umqtt hangs for ever after 65,535; all 70,000 in one run are bench/node_firmware.py's."""
    values = {"GATEWAY_PORT": mosquitto.port, "COUNT": 1500, "FIRST_PID": 64_800, "WINDOW": 32}
    with counting(mosquitto.port) as heard, running_board(program(tmp_path / "f", "publish.py", **values)) as board:
        board.wait("# end 0", timeout_s=100)
        wait_until(lambda: len(heard) >= 1500, what="the last message")
    assert board.printed()[0].startswith("acknowledged 1500 in_flight 0")
    assert heard == list(range(1500))


def test_the_loop_lives_in_128_kib_and_does_not_grow(tmp_path: Path, mosquitto: Mosquitto):
    """Heap in use after a collection: code, tables, buffers, ring. The garbage of the moment comes on top."""
    values = {"GATEWAY_PORT": mosquitto.port, "CYCLES": 10_000, "INPUTS": INPUTS}
    with listening(mosquitto.port) as gateway, running_board(program(tmp_path / "f", "loop.py", **values)) as board:
        board.wait("# end 0", timeout_s=100)
        gateway.wait("report", input="bottle")
    words = next(line for line in board.printed() if line.startswith("first ")).split()
    weight = {name: int(value) for name, value in zip(words[::2], words[1::2], strict=True)}
    assert weight["most"] < 128 * 1024 - 16 * 1024, "16 KiB have to be left for a TLS record and an update"
    assert weight["last"] <= weight["first"] + 512, "a report or two more that wait are no growth"
