"""How soon the collector shows and acknowledges what homes send, how much it takes, and what it costs to stand by.

A real mosquitto, the real collector as its own process, and one client that speaks for all gateways.

- paced: one event every 50 ms, each of another home. Milliseconds from publishing it to its acknowledgement, which
  comes after the commit, and to its alarm on the stream that the board page reads; beside them the floor, which is the
  same broker's own round trip for the same bytes, publish to subscriber.
- burst: all gateways send their backlog at once, after the state that has counted it, as after an outage of the
  network; events a second until the last is acknowledged.
- standing by: a state from every home each 20 s and one board open; cores and memory.

    python -m bench.ingest [--gateways 22] [--paced 200] [--burst 20000] [--idle-s 20] [--json]
"""

import argparse
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from bench._broker import NoBroker, mosquitto
from bench._report import report
from bench._usage import taken, usage
from bench.outage import collector
from device import wire

PACE_S = 0.05
STATE_EVERY_S = 20.0
WITHIN_S = 120.0
GATEWAY, JOURNAL, BOOT = "g1", "bench-journal", "bench-boot"
FLOOR = "shouwang-bench/floor"


class Homes:
    """Every home's gateway, on one line. `acked_s` has when an event's acknowledgement came, by home and number."""

    def __init__(self, port: int, count: int) -> None:
        self.codes = [f"h{number:03}" for number in range(count)]
        self.seqs = dict.fromkeys(self.codes, 0)
        self.heads = dict.fromkeys(self.codes, wire.GENESIS)
        self.acked = dict.fromkeys(self.codes, 0)
        self.acked_s: dict[tuple[str, int], float] = {}
        self.floor_s: list[float] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(100)
        self._client.on_message = self._take
        self._client.on_socket_open = _send_at_once
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(f"{wire.ROOT}/+/{GATEWAY}/{wire.ACK}", 1), (FLOOR, 1)])
        self._client.loop_start()

    def close(self) -> None:
        """Hang up."""
        self._client.disconnect()
        self._client.loop_stop()

    def event(self, code: str, point: str) -> bytes:
        """The home's next event: a fire at `point`."""
        self.seqs[code] += 1
        payload, self.heads[code] = wire.seal_event(
            {
                "journal": JOURNAL, "seq": self.seqs[code], "boot": BOOT, "mono_ms": _now_ms(), "wall_ms": 0,
                "clock_ok": False, "kind": "raise", "condition": "fire", "zone": "f1", "point": point, "value": 1,
                "unit": "", "unknown": None, "order": 1, "who": "", "why": "", "sounded_ms": None, "durable": True,
            },
            self.heads[code],
        )  # fmt: skip
        return payload

    def send(self, code: str, channel: str, payload: bytes) -> None:
        """Publish without waiting."""
        self._client.publish(wire.topic(code, GATEWAY, channel), payload, 1, channel in wire.RETAINED)

    def send_state(self, code: str) -> None:
        """Nothing active, everything acknowledged."""
        seq = self.seqs[code]
        self.send(code, wire.STATE, wire.encode(wire.State(
            JOURNAL, BOOT, _now_ms(), 0, False, "bench", "bench", True, False, (), (), (), (), seq, 1, 0, 0, 1, 0, "ok",
        )))  # fmt: skip

    def round_trip_s(self, payload: bytes) -> float:
        """The same bytes to the broker and back."""
        began_s, count = time.perf_counter(), len(self.floor_s)
        self._client.publish(FLOOR, payload, 1)
        _wait(lambda: len(self.floor_s) > count, "the broker's own round trip")
        return self.floor_s[-1] - began_s

    def _take(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        now_s = time.perf_counter()
        if message.topic == FLOOR:
            self.floor_s.append(now_s)
            return
        ack, code = wire.decode(wire.ACK, bytes(message.payload)), wire.parse_topic(message.topic).home
        if isinstance(ack, wire.Ack) and ack.event > self.acked.get(code, 0):
            self.acked[code] = ack.event
            self.acked_s[code, ack.event] = now_s


class Board(threading.Thread):
    """One open board: when each alarm came over the stream, by its point."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.alarms_s: dict[str, float] = {}
        self.is_open = threading.Event()
        self._stream = urllib.request.urlopen(f"{address}/api/v1/stream", timeout=60)

    def run(self) -> None:
        """Read until the server ends."""
        event = ""
        for line in self._stream:
            if line.startswith(b"event: "):
                event = line[7:].strip().decode()
                self.is_open.set()
            elif event == "alarm" and line.startswith(b"data: "):
                point = line.partition(b'"point":"')[2].partition(b'"')[0].decode()
                self.alarms_s.setdefault(point, time.perf_counter())


def paced(homes: Homes, board: Board, count: int) -> list[dict[str, Any]]:
    """One event at a time."""
    acked_ms, shown_ms, floor_ms = [], [], []
    for number in range(count):
        code, point = homes.codes[number % len(homes.codes)], f"paced-{number}"
        payload = homes.event(code, point)
        floor_ms.append(homes.round_trip_s(payload) * 1000)
        began_s = time.perf_counter()
        homes.send(code, wire.EVENT, payload)
        key = code, homes.seqs[code]
        _wait(lambda key=key, point=point: key in homes.acked_s and point in board.alarms_s, f"event {number}")  # type: ignore[misc]
        acked_ms.append((homes.acked_s[key] - began_s) * 1000)
        shown_ms.append((board.alarms_s[point] - began_s) * 1000)
        time.sleep(max(0.0, PACE_S - (time.perf_counter() - began_s)))
    return [_row("acknowledged", acked_ms), _row("on the board's stream", shown_ms), _row("broker alone", floor_ms)]


def burst(homes: Homes, count: int) -> dict[str, Any]:
    """Everybody's backlog at once."""
    waiting = [(code, homes.event(code, "burst")) for _ in range(count // len(homes.codes)) for code in homes.codes]
    for code in homes.codes:
        homes.send_state(code)
    began_s = time.perf_counter()
    for code, payload in waiting:
        homes.send(code, wire.EVENT, payload)
    _wait(lambda: homes.acked == homes.seqs, "the last acknowledgement")
    took_s = time.perf_counter() - began_s
    return {"burst_events": len(waiting), "burst_s": round(took_s, 2), "events_per_s": round(len(waiting) / took_s)}


def standing_by(homes: Homes, pid: int, seconds: float) -> dict[str, float]:
    """A quiet night."""
    for code in homes.codes:
        homes.send_state(code)
    time.sleep(1.0)
    before = usage(pid, time.monotonic())
    until_s = time.monotonic() + seconds
    number = 0
    while time.monotonic() < until_s:
        homes.send_state(homes.codes[number % len(homes.codes)])
        number += 1
        time.sleep(min(STATE_EVERY_S / len(homes.codes), max(0.0, until_s - time.monotonic())))
    return taken(before, usage(pid, time.monotonic()))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All three."""
    with mosquitto(folder) as port, collector(folder / "collector", port) as address:
        pid = _pid_of(folder / "collector")
        homes, board = Homes(port, options.gateways), Board(address)
        board.start()
        try:
            if not board.is_open.wait(WITHIN_S):
                raise TimeoutError("the board's stream did not open")
            for code in homes.codes:
                homes.send_state(code)
            rows = paced(homes, board, options.paced)
            flood = burst(homes, options.burst)
            idle = standing_by(homes, pid, options.idle_s)
        finally:
            homes.close()
    return {"gateways": options.gateways, "paced_events": options.paced, "paced": rows, **flood, "standing_by": [idle]}


def _send_at_once(_client: Client, _data: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _pid_of(folder: Path) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in words:
            return int(path.parent.name)
    raise TimeoutError("the collector is not running")


def _row(what: str, values_ms: list[float]) -> dict[str, Any]:
    p99 = quantiles(values_ms, n=100)[98] if len(values_ms) > 1 else values_ms[0]
    return {"ms": what, "median": round(median(values_ms), 2), "p99": round(p99, 2), "max": round(max(values_ms), 2)}


def _wait(condition: Callable[[], object], what: str) -> None:
    until_s = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > until_s:
            raise TimeoutError(f"waited {WITHIN_S:g} s in vain for {what}")
        time.sleep(0.0005)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def main() -> int:
    """Measure and report. Exit status 1 where something did not arrive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateways", type=int, default=22)
    parser.add_argument("--paced", type=int, default=200, help="events sent one by one")
    parser.add_argument("--burst", type=int, default=20_000, help="events sent at once")
    parser.add_argument("--idle-s", type=float, default=20.0, help="how long to watch it stand by")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shouwang-") as folder:
        try:
            report("ingest", measure(Path(folder), options), options.json)
        except (TimeoutError, NoBroker) as error:
            print(f"ingest: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
