"""A gateway as the collector hears it: seals real events, counts its journal, and hears its acknowledgements.

It keeps nothing and decides nothing; a test says what it sends.
"""

import threading
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from device import wire

WALL_MS = 1_760_000_000_000

POINTS = (
    wire.Point("smoke-203", "f2", "二楼203室", "smoke", "", 0, "contact", False, None, None),
    wire.Point("smoke-204", "f2", "二楼204室", "smoke", "", 0, "contact", False, None, None),
    wire.Point("leak-k", "kitchen", "厨房回路", "leakage", "mA", 0, "asj", True, 200, 300),
    wire.Point("ext-2", "f2", "二楼走廊灭火器", "pressure", "MPa", -3, "ext", True, None, 1000),
)
ZONES = (wire.Zone("f1", "一楼"), wire.Zone("f2", "二楼"), wire.Zone("kitchen", "厨房"))


class Script:
    """Makes the messages of one gateway in order, without a line."""

    def __init__(self, home: str = "h01", gateway: str = "g1", journal: str = "journal-a", name: str = "和平里养老院"):
        self.home = home
        self.gateway = gateway
        self.journal = journal
        self.name = name
        self.boot = "boot-0001"
        self.mono_ms = 1_000
        self.seq = 0
        self.reading_seq = 0
        self.head = wire.GENESIS
        self.held = 1
        self.reading_held = 1
        self.active: dict[tuple[str, str], wire.Active] = {}
        self.payloads: dict[int, bytes] = {}

    def event(self, kind: str, condition: str | None = None, point: str = "", **more: Any) -> bytes:
        """The next event of the chain, sealed; `active` follows it as a gateway's state would."""
        self.seq += 1
        self.mono_ms += 100
        zone = more.pop("zone", next((row.zone for row in POINTS if row.code == point), ""))
        fields = {
            "journal": self.journal, "seq": self.seq, "boot": self.boot, "mono_ms": self.mono_ms,
            "wall_ms": WALL_MS + self.mono_ms, "clock_ok": True, "kind": kind, "condition": condition, "zone": zone,
            "point": point, "value": None, "unit": "", "unknown": None, "order": 0, "who": "", "why": "",
            "sounded_ms": None, "durable": True, **more,
        }  # fmt: skip
        payload, self.head = wire.seal_event(fields, self.head)
        self.payloads[self.seq] = payload
        self._follow(kind, condition, zone, point, fields["order"])
        return payload

    def _follow(self, kind: str, condition: str | None, zone: str, point: str, order: int) -> None:
        if kind == "raise" and condition is not None:
            self.active[condition, point] = wire.Active(condition, zone, point, self.seq, order, False, False)
        elif kind == "clear" and condition is not None:
            self.active.pop((condition, point), None)
        elif kind in ("confirm", "acknowledge"):
            name = "confirmed" if kind == "confirm" else "acknowledged"
            for key, item in self.active.items():
                if condition in (None, item.condition) and zone in ("", item.zone) and point in ("", item.point):
                    self.active[key] = wire.Active(**{**item._asdict(), name: True})

    def state(self, **more: Any) -> wire.State:
        """What the gateway would say of itself now."""
        self.mono_ms += 1
        values = {
            "journal": self.journal, "boot": self.boot, "mono_ms": self.mono_ms, "wall_ms": WALL_MS + self.mono_ms,
            "clock_ok": True, "version": "0.1.0", "config": "c0ffee", "simulated": False, "silenced": False,
            "active": tuple(self.active.values()), "counts": (), "disabled": (), "unproven": (),
            "event_seq": self.seq, "event_held": self.held, "event_backlog": 0,
            "reading_seq": self.reading_seq, "reading_held": self.reading_held, "reading_backlog": 0, "disk": "ok",
        }  # fmt: skip
        return wire.State(**{**values, **more})

    def readings(self, *samples: tuple[str, int | None, str | None], live: bool = True) -> wire.Readings:
        """The next batch: (point, value, unknown)."""
        self.reading_seq += 1
        self.mono_ms += 100
        rows = tuple(wire.Sample(point, 0, value, unknown) for point, value, unknown in samples)
        wall_ms = WALL_MS + self.mono_ms
        return wire.Readings(self.journal, self.reading_seq, self.boot, self.mono_ms, wall_ms, True, live, rows)

    def points(self, **more: Any) -> wire.Points:
        """Its configuration's points."""
        return wire.Points("c0ffee", self.name, False, ZONES, POINTS)._replace(**more)


class LineGateway(Script):
    """A Script with a line to a broker."""

    def __init__(self, host: str, port: int, **more: Any) -> None:
        super().__init__(**more)
        self.acks: list[wire.Ack] = []
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(self.topic(wire.ACK), 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._ack
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(host, port)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def topic(self, channel: str) -> str:
        return wire.topic(self.home, self.gateway, channel)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, payload: bytes, channel: str = wire.EVENT) -> None:
        """Publish bytes, whatever they are, and wait until the broker has them."""
        self._client.publish(self.topic(channel), payload, 1, channel in wire.RETAINED).wait_for_publish(10)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish on any topic."""
        self._client.publish(topic, payload, 1).wait_for_publish(10)

    def send_event(self, kind: str, condition: str | None = None, point: str = "", **more: Any) -> int:
        self.send(self.event(kind, condition, point, **more))
        return self.seq

    def send_state(self, **more: Any) -> None:
        self.send(wire.encode(self.state(**more)), wire.STATE)

    def send_points(self, **more: Any) -> None:
        self.send(wire.encode(self.points(**more)), wire.POINTS)

    def send_readings(self, *samples: tuple[str, int | None, str | None], live: bool = True) -> None:
        self.send(wire.encode(self.readings(*samples, live=live)), wire.READING)

    def acked(self) -> tuple[int, int]:
        """What the collector said last, per lane, of this journal."""
        last = next((ack for ack in reversed(self.acks) if ack.journal == self.journal), wire.Ack("", 0, 0))
        return last.event, last.reading

    def _ack(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        ack = wire.decode(wire.ACK, bytes(message.payload))
        assert isinstance(ack, wire.Ack)
        self.acks.append(ack)
