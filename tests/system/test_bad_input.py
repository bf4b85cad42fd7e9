"""Whoever can publish to the broker sends rubbish: it is counted, it is never fatal, and it never means anything."""

import json
import re
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from device import wire
from tests.support import wait_until
from tests.system.running import BUZZER, LATE_S, NO_SMOKE, SMOKE, WholePath

JUNK = [
    b"",
    b"\0",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe\x80",
    b'{"v":1}',
    b'{"v":99,"journal":"00000000","event":1,"reading":1}',
    b'{"v":1,"journal":"00000000","event":-1,"reading":1e999}',
    b'{"v":1,"journal":5,"event":true,"reading":null}',
    b"[" * 60_000,
    b'{"a":' * 10_000,
    b'"' + b"x" * 70_000 + b'"',
    b"9" * 50_000,
    b"x" * 300_000,
]


@pytest.fixture
def stranger(path: WholePath) -> Iterator[mqtt.Client]:
    """A client that the broker lets in, and that is neither gateway nor collector."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "stranger")
    client.connect(path.broker.host, path.broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def publish(client: mqtt.Client, topic: str, payload: bytes, retain: bool = False) -> None:
    """Wait until the broker has it."""
    client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)


def uplink(path: WholePath) -> dict[str, Any]:
    """What the gateway has counted of its uplink."""
    counters: dict[str, Any] = path.gateway.status()["uplink"]
    return counters


def metric(path: WholePath, name: str) -> int:
    """A counter of the collector."""
    text = path.api.get(f"{path.collector.url}/metrics").text
    found = re.search(rf"^shouwang_{name} (\d+)$", text, re.MULTILINE)
    assert found, text
    return int(found[1])


def works(path: WholePath) -> None:
    """The home still alarms, and the board still shows it."""
    since_ns = path.building.set({"203.smoke_pct_m": SMOKE})
    wait_until(lambda: ("fire", "smoke-203") in path.standing(), timeout_s=LATE_S, what="the fire on the board")
    assert path.building.driven(BUZZER, 1, since_ns)
    path.building.set({"203.smoke_pct_m": NO_SMOKE})


def test_junk_to_the_gateway_is_counted_and_changes_nothing(path: WholePath, stranger: mqtt.Client) -> None:
    before, pid = uplink(path), path.gateway.status()["journal"]["id"]
    for channel in wire.DOWN:
        for junk in JUNK:
            publish(stranger, wire.topic("h01", "g1", channel), junk, retain=True)
        publish(stranger, wire.topic("h01", "g1", channel), b"")
    wanted = before["garbage"] + len(wire.DOWN) * (len(JUNK) + 1)
    wait_until(lambda: uplink(path)["garbage"] >= wanted, timeout_s=LATE_S, what="every piece of junk to be counted")
    after = uplink(path)
    assert after["connected"] and after["connections"] == before["connections"], "the line was never given up"
    assert path.gateway.status()["journal"]["id"] == pid
    assert path.gateway.active() == {}
    works(path)


def test_a_well_formed_acknowledgement_of_what_was_never_sent_lets_nothing_go(
    path: WholePath, stranger: mqtt.Client
) -> None:
    before, journal = uplink(path), path.gateway.status()["journal"]["id"]
    topic = wire.topic("h01", "g1", wire.ACK)
    publish(stranger, topic, wire.encode(wire.Ack(journal, 10**6, 10**6)))
    publish(stranger, topic, wire.encode(wire.Ack("another-journal", 1, 1)))
    publish(stranger, topic, wire.encode(wire.Ack(journal, 0, 0)))
    wait_until(
        lambda: uplink(path)["acks_beyond"] > before["acks_beyond"] and uplink(path)["acks_foreign"] > 0,
        what="both to be counted",
    )
    works(path)
    sequence = [event["seq"] for event in path.events(source="gateway")]
    assert sequence == list(range(1, len(sequence) + 1)), "what was sent again is not on record twice"


def test_a_configuration_from_afar_is_not_acted_on(path: WholePath, stranger: mqtt.Client) -> None:
    def config_of_the_board() -> str:
        gateways = path.api.get(f"{path.collector.url}/api/v1/homes/h01").json()["gateways"]
        return str(gateways[0]["config"])

    before, had = uplink(path)["config_messages"], config_of_the_board()
    points = [point["code"] for point in path.gateway.status()["points"]]
    text = path.gateway.config.read_text("utf-8")
    proposal = wire.Config("g1", 7, 4_102_444_800_000, '[home]\ncode = "h01"\n', "signed by nobody")
    publish(stranger, wire.topic("h01", "g1", wire.CONFIG), wire.encode(proposal))
    wait_until(lambda: uplink(path)["config_messages"] > before, what="the proposal to be counted")
    works(path)
    assert path.gateway.config.read_text("utf-8") == text
    assert config_of_the_board() == had
    assert [point["code"] for point in path.gateway.status()["points"]] == points


def test_a_question_from_afar_silences_and_resets_nothing(path: WholePath, stranger: mqtt.Client) -> None:
    path.building.set({"203.smoke_pct_m": SMOKE})
    wait_until(lambda: path.gateway.status()["sound"] == "fire", timeout_s=LATE_S, what="the fire to sound")
    before = uplink(path)["asks"]
    question = wire.Ask("question-1", "silence reset disable", 60)
    publish(stranger, wire.topic("h01", "g1", wire.ASK), wire.encode(question))
    for word in ("silence", "reset", "acknowledge", "disable"):
        publish(stranger, wire.topic("h01", "g1", wire.ACK), json.dumps({"v": 1, "do": word, "who": "x"}).encode())
    wait_until(lambda: uplink(path)["asks"] > before, what="the question to be counted")
    assert path.gateway.status()["sound"] == "fire"
    assert not any(item["acknowledged"] for item in path.gateway.active().values())


def test_junk_to_the_collector_is_counted_and_makes_no_home(path: WholePath, stranger: mqtt.Client) -> None:
    before = metric(path, "refused_total")
    homes = [home["code"] for home in path.api.get(f"{path.collector.url}/api/v1/board").json()["homes"]]
    topics = [wire.topic("h01", "g1", channel) for channel in wire.UP]
    topics += [wire.topic("nowhere", "g9", wire.EVENT)]
    topics += [f"{wire.ROOT}/h 01/g1/event", f"{wire.ROOT}/{'x' * 500}/g1/state"]
    for topic in topics:
        for junk in JUNK:
            publish(stranger, topic, junk)
    wanted = before + len(topics) * len(JUNK)
    wait_until(lambda: metric(path, "refused_total") >= wanted, timeout_s=LATE_S, what="every piece to be counted")
    assert path.api.get(f"{path.collector.url}/healthz").status_code == 200
    assert [home["code"] for home in path.api.get(f"{path.collector.url}/api/v1/board").json()["homes"]] == homes
    works(path)
