"""A wireless sensor node: what the contract between node and gateway says of one, over a real broker.

It holds its reports until the gateway acknowledges them, says them again, beats, and keeps its alarms over a power cut.
`faults` at "node" spoil what it says:
    silent      says nothing, and stays connected          late        each report `delay_ms` after it happened
    duplicate   each report twice                           reordered   two reports change places
    replayed    the first report is said again, for ever    wrong_id    another board under the same name
    low_battery its battery is nearly empty
Topics: shouwang/1/node/{code}/{report,beat,will} up, {ack,clock,order} down; JSON with "v":1.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from simulators.faults import FaultBoard, Late

PLACE = "node"
FULL_MV, LOW_MV = 3500, 2600
TURN_S = 0.02
AGAIN_S = 10.0
HARDWARE = "7cdfa1000301"
OTHER_HARDWARE = "7cdfa1ffffff"


class SimulatedNode:
    """One node. `inputs` maps names to kinds (contact, voltage, temperature). For any thread; it speaks from its own.

    `every_s` is the time between two beats, `again_s` that after which an unanswered report is said again.
    """

    def __init__(
        self,
        code: str,
        password: str,
        port: int,
        inputs: Mapping[str, str],
        host: str = "127.0.0.1",
        hardware: str = HARDWARE,
        every_s: float = 20.0,
        again_s: float = AGAIN_S,
    ) -> None:
        self.code = code
        self.faults = FaultBoard({PLACE: PLACE}, {})
        self.levels: dict[str, int] = dict.fromkeys([*inputs, "tamper", "test"], 0)
        self.kept: list[dict[str, Any]] = []
        """Reports that the gateway has not acknowledged, those of earlier boots included."""
        self.acks: list[tuple[str, int]] = []
        self.orders: list[dict[str, Any]] = []
        self.wall_ms: int | None = None
        self.beats = 0
        self._kinds = {**dict.fromkeys(("tamper", "test"), "contact"), **inputs}
        self._password, self._where, self._hardware = password, (host, port), hardware
        self._every_s, self._again_s = every_s, again_s
        self._lock = threading.RLock()
        self._said: list[dict[str, Any]] = []
        self._withheld: list[dict[str, Any]] = []
        self._power()

    def _power(self) -> None:
        self.boot = secrets.token_hex(8)
        self.seq = 0
        self._started_s = time.monotonic()
        self._beat_s = 0.0
        self._is_up = False
        self._ending = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=self.code, clean_session=False)
        self._client.username_pw_set(self.code, self._password)
        self._client.will_set(self._topic("will"), json.dumps({"v": 1, "boot": self.boot}), qos=1)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._lost
        self._client.on_message = self._take
        self._thread = threading.Thread(target=self._run, name=f"node {self.code}", daemon=True)

    # --- the hand that moves it

    def start(self) -> SimulatedNode:
        """Power on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Power off, without a good-bye."""
        self._ending.set()
        self._thread.join()
        self._drop()

    def power_cut(self) -> None:
        """Off and on again: another boot, in which only the alarms of the ones before are left."""
        self.stop()
        with self._lock:
            self.kept = [report | {"age_ok": False} for report in self.kept if report["value"] == 1]
            self._power()
        self.start()

    def set(self, name: str, value: int) -> int:
        """Change an input; the number of the report that says so."""
        with self._lock:
            self.levels[name] = value
            self.seq += 1
            self.kept.append(
                {
                    "boot": self.boot, "seq": self.seq, "age_ok": True, "live": self._is_up, "input": name,
                    "value": value, "unknown": None, "at_s": time.monotonic(), "due_s": self._due_s(),
                }
            )  # fmt: skip
            return self.seq

    def beat(self) -> None:
        """Beat at the next turn."""
        self._beat_s = 0.0

    # --- the node

    def _due_s(self) -> float:
        fault = self.faults.at(PLACE)
        return time.monotonic() + (fault.delay_ms / 1000 if isinstance(fault, Late) else 0.0)

    def _topic(self, channel: str) -> str:
        return f"shouwang/1/node/{self.code}/{channel}"

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._client.connect(*self._where, keepalive=10)
            except OSError:
                self._ending.wait(0.1)
                continue
            while self._client.loop(TURN_S) == 0 and not self._ending.is_set():
                self._turn()
            self._is_up = False

    def _drop(self) -> None:
        line = self._client.socket()
        if line is not None:
            line.close()

    def _connected(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            return
        client.subscribe([(self._topic(channel), 1) for channel in ("ack", "clock", "order")])
        with self._lock:
            self._is_up, self._beat_s = True, 0.0
            for report in self.kept:
                report["due_s"] = 0.0

    def _lost(self, _client: Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        with self._lock:
            self._is_up = False
            for report in self.kept:
                report["live"] = False

    def _turn(self) -> None:
        fault = self.faults.at(PLACE)
        kind = "" if fault is None else fault.kind
        if not self._is_up or kind == "silent":
            return
        with self._lock:
            now_s = time.monotonic()
            if now_s >= self._beat_s:
                self._beat_s = now_s + self._every_s
                self._publish("beat", self._beat(kind))
            for report in [report for report in self.kept if now_s >= report["due_s"]]:
                report["due_s"] = now_s + self._again_s
                self._say(report, kind)

    def _say(self, report: dict[str, Any], kind: str) -> None:
        if kind == "reordered" and not self._withheld:
            self._withheld.append(report)
            return
        said = [report, *self._withheld]
        self._withheld.clear()
        if kind == "replayed" and self._said:
            said.append(self._said[0])
        for each in [*said, *(said if kind == "duplicate" else ())]:
            self._said.append(each)
            self._publish("report", self._report(each))

    def _report(self, report: dict[str, Any]) -> dict[str, Any]:
        held = min([each["seq"] for each in self.kept if each["boot"] == report["boot"]], default=report["seq"])
        age_ms = int((time.monotonic() - report["at_s"]) * 1000)
        told = ("boot", "seq", "age_ok", "live", "input", "value", "unknown")
        return {**{key: report[key] for key in told}, "held": min(held, report["seq"]), "age_ms": age_ms}

    def _beat(self, kind: str) -> dict[str, Any]:
        self.beats += 1
        mine = [report["seq"] for report in self.kept if report["boot"] == self.boot]
        return {
            "boot": self.boot, "seq": self.seq, "held": min(mine, default=self.seq + 1),
            "uptime_ms": int((time.monotonic() - self._started_s) * 1000), "every_ms": int(self._every_s * 1000),
            "version": "simulated", "release": 0, "cause": "power",
            "hardware": OTHER_HARDWARE if kind == "wrong_id" else self._hardware,
            "supply_mv": None, "battery_mv": LOW_MV if kind == "low_battery" else FULL_MV, "rssi_dbm": -60,
            "queued": len(self.kept), "dropped_alarms": 0, "dropped_reports": 0, "free_bytes": 100_000,
            "order": self.orders[-1]["id"] if self.orders else "", "faults": [],
            "levels": [[name, self._kinds[name], value, None] for name, value in self.levels.items()],
        }  # fmt: skip

    def _publish(self, channel: str, message: dict[str, Any]) -> None:
        self._client.publish(self._topic(channel), json.dumps({"v": 1, **message}), qos=1)

    def _take(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        said = json.loads(message.payload)
        with self._lock:
            if message.topic.endswith("/ack"):
                self.acks.append((said["boot"], said["seq"]))
                self.kept = [each for each in self.kept if each["boot"] != said["boot"] or each["seq"] > said["seq"]]
            elif message.topic.endswith("/clock"):
                self.wall_ms = said["wall_ms"]
            elif said["id"] not in [order["id"] for order in self.orders]:
                self.orders.append(said)
                self._beat_s = 0.0
