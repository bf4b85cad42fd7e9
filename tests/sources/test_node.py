"""Nodes over a real broker with the rights that ours gets: each report counted once, whatever the line does to it."""

import asyncio
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge.core.values import Reading, Unknown
from simulators.node import OTHER_HARDWARE
from tests.sources.field import Heard, config_of, mistakes_in, running, until
from tests.sources.nodes import node, node_broker, on_a_loop, open_nodes, password_of, stanza
from tests.support import LOOPBACK, Mosquitto, need

OWN = "gw-node-n1"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with node_broker(tmp_path) as broker:
        yield broker


def raised(heard: Heard, point: str) -> int:
    """How often a point was said to be active after it had not been."""
    values = [0, *(value for value in heard.of(point) if value in (0, 1))]
    return sum(1 for before, now in pairwise(values) if (before, now) == (0, 1))


@on_a_loop
async def test_a_contact_is_a_reading_and_then_acknowledged(broker: Mosquitto, tmp_path: Path):
    source = open_nodes(broker.port, tmp_path)
    async with running(source) as heard:
        with node("n1", broker.port) as n1:
            await heard.until("smoke-1", 0)
            n1.set("smoke", 1)
            await heard.until("smoke-1", 1)
            await until(lambda: not n1.kept, "the acknowledgement")
            assert heard.last("lid-1") == 0
            assert heard.last("cell-1") == 3500
            assert heard.last(OWN) == 0
            assert n1.wall_ms is not None
            assert heard.of("smoke-2") == []
            assert source.nodes()[0]["hardware"] == "7cdfa1000301"


@on_a_loop
async def test_a_bottle_is_read_through_its_transducers_profile(broker: Mosquitto, tmp_path: Path):
    async with running(open_nodes(broker.port, tmp_path)) as heard:
        with node("n1", broker.port) as n1:
            await heard.until("ext-1", Unknown.SENSOR_BROKEN)  # 0 V is a broken wire
            n1.set("bottle", 2420)
            await heard.until("ext-1", 1200)


@on_a_loop
async def test_nothing_is_acknowledged_before_its_event_is_kept(broker: Mosquitto, tmp_path: Path):
    waiting: list[int | None] = [0]
    source = open_nodes(broker.port, tmp_path, waiting_since_ms=lambda: waiting[0])
    async with running(source) as heard:
        with node("n1", broker.port) as n1:
            await heard.until("smoke-1", 0)
            n1.set("smoke", 1)
            await heard.until("smoke-1", 1)
            await until(lambda: source.counters().get("duplicates", 0) >= 2, "the report to be said again")
            n1.beat()
            await heard.more("lid-1", 1)
            assert n1.kept, "acknowledged before it was kept"
            waiting[0] = None
            await until(lambda: not n1.kept, "the acknowledgement")
            assert raised(heard, "smoke-1") == 1


@on_a_loop
async def test_a_report_that_was_not_kept_is_taken_again_after_a_restart_and_one_that_was_is_not(
    broker: Mosquitto, tmp_path: Path
):
    with node("n1", broker.port) as n1:
        async with running(open_nodes(broker.port, tmp_path, waiting_since_ms=lambda: 0)) as heard:
            await heard.until("smoke-1", 0)
            n1.set("smoke", 1)
            await heard.until("smoke-1", 1)
        source = open_nodes(broker.port, tmp_path)
        async with running(source) as heard:
            await until(lambda: not n1.kept, "the acknowledgement")
            assert source.counters()["reports"] == 1
        n1.faults.inject("node", "replayed", 0)
        again = open_nodes(broker.port, tmp_path)
        async with running(again) as heard:
            n1.set("smoke", 0)
            await until(lambda: again.counters().get("duplicates", 0) >= 1 and not n1.kept, "the replay and the news")
            assert again.counters()["reports"] == 1
            assert again.counters().get("lost", 0) == 0


@pytest.mark.parametrize("fault", ["duplicate", "reordered", "replayed", "late"])
@on_a_loop
async def test_each_report_counts_once_whatever_happens_on_the_way(broker: Mosquitto, tmp_path: Path, fault: str):
    source = open_nodes(broker.port, tmp_path)
    async with running(source) as heard:
        with node("n1", broker.port) as n1:
            await heard.until("smoke-1", 0)
            parameters = {"delay_ms": 100} if fault == "late" else {}
            n1.faults.inject("node", fault, 0, **parameters)
            for value in (1, 0, 1, 0):
                n1.set("smoke", value)
            await until(lambda: source.counters().get("reports") == 4, f"four reports, got {source.counters()}")
            n1.faults.heal_all()
            await until(lambda: not n1.kept, "all to be acknowledged")
            n1.beat()
            await heard.more("lid-1", 1)
            assert source.counters()["reports"] == 4
            assert heard.last("smoke-1") == 0
            assert heard.of("smoke-1").count(1) >= 2, "an alarm that came and went is told"


@on_a_loop
async def test_an_alarm_out_of_the_flash_raises_with_its_age_and_sets_no_level(broker: Mosquitto, tmp_path: Path):
    source = open_nodes(broker.port, tmp_path)
    async with running(source) as heard:
        with node("n1", broker.port) as n1:
            await heard.until("smoke-1", 0)
            broker.stop()
            await heard.until("smoke-1", Unknown.NO_LINK)
            n1.set("smoke", 1)
            n1.levels["smoke"] = 0
            n1.power_cut()
            heard.forget()
            broker.start()
            await until(lambda: not n1.kept, "the acknowledgement")
            told = [item for item in heard.readings if item.point == "smoke-1" and item.value == 1]
            assert len(told) == 1 and told[0].why.startswith("age_ms>=")
            n1.beat()
            await heard.more("lid-1", 1)
            assert heard.last("smoke-1") == 0


@on_a_loop
async def test_what_waited_for_the_line_says_how_long(broker: Mosquitto, tmp_path: Path):
    async with running(open_nodes(broker.port, tmp_path)) as heard:
        with node("n1", broker.port) as n1:
            await heard.until("smoke-1", 0)
            broker.stop()
            await heard.until("smoke-1", Unknown.NO_LINK)
            n1.set("smoke", 1)
            broker.start()
            await heard.until("smoke-1", 1)
            first = next(item for item in heard.readings if item == Reading("smoke-1", 1, None, item.why))
            assert first.why.startswith("age_ms="), "the beat's level came before the report that dates it"


@on_a_loop
async def test_a_replaced_board_is_a_fault_and_never_normal_and_its_alarm_is_heard(broker: Mosquitto, tmp_path: Path):
    source = open_nodes(broker.port, tmp_path)
    async with running(source) as heard:
        with node("n1", broker.port) as n1:
            n1.faults.inject("node", "wrong_id", 0)
            n1.beat()
            await heard.until(OWN, 1)
            assert heard.readings[-1].why == f"replaced by={OTHER_HARDWARE}"
            await heard.until("smoke-1", Unknown.REFUSED)
            heard.forget()
            n1.set("smoke", 1)
            await until(lambda: 1 in heard.of("smoke-1"), "the alarm of a stranger")
            assert n1.kept, "a stranger was told that all is well"
            n1.faults.heal_all()
            n1.beat()
            await heard.until(OWN, 0)
            await heard.until("smoke-1", 1)


@on_a_loop
async def test_a_battery_that_runs_low_is_read(broker: Mosquitto, tmp_path: Path):
    async with running(open_nodes(broker.port, tmp_path)) as heard:
        with node("n1", broker.port) as n1:
            n1.faults.inject("node", "low_battery", 0)
            n1.beat()
            await heard.until("cell-1", 2600)


@on_a_loop
async def test_a_node_that_says_nothing_gives_no_reading(broker: Mosquitto, tmp_path: Path):
    async with running(open_nodes(broker.port, tmp_path)) as heard:
        with node("n1", broker.port, every_s=0.1) as n1:
            await heard.more("smoke-1", 2)
            n1.faults.inject("node", "silent", 0)
            n1.set("smoke", 1)
            with node("n2", broker.port, every_s=0.1):
                await heard.more("smoke-2", 3)
                count = len(heard.of("smoke-1"))
                await heard.more("smoke-2", 5)
                assert len(heard.of("smoke-1")) == count
            n1.faults.heal_all()
            await heard.until("smoke-1", 1)


@on_a_loop
async def test_a_stranger_and_garbage_are_counted_and_change_nothing(broker: Mosquitto, tmp_path: Path):
    source = open_nodes(broker.port, tmp_path)
    async with running(source) as heard, asyncio.timeout(15):
        with node("n1", broker.port), node("n2", broker.port):
            await heard.until("smoke-1", 0)
            await heard.until("smoke-2", 0)
            stranger = Client(CallbackAPIVersion.VERSION2, client_id="n2")
            stranger.username_pw_set("n2", password_of("n2"))
            stranger.connect(LOOPBACK, broker.port)
            stranger.publish("shouwang/1/node/n1/report", b"{}", qos=1)  # the broker takes it and lets nobody have it
            stranger.publish("shouwang/1/node/n2/report", b"{}", qos=1)
            while not source.counters().get("garbage"):
                stranger.loop(0.05)
                await asyncio.sleep(0)
            stranger.disconnect()
            assert source.counters()["garbage"] == 1


@on_a_loop
async def test_a_wrong_password_is_not_let_in(broker: Mosquitto, tmp_path: Path):
    refused = []
    client = Client(CallbackAPIVersion.VERSION2, client_id="n1")
    client.on_connect = lambda *arguments: refused.append(arguments[3].is_failure)
    client.username_pw_set("n1", "not it")
    client.connect(LOOPBACK, broker.port)
    while not refused:
        client.loop(0.05)
    assert refused == [True]


@on_a_loop
async def test_a_broker_that_dies_and_comes_back(broker: Mosquitto, tmp_path: Path):
    source = open_nodes(broker.port, tmp_path)
    async with running(source) as heard:
        with node("n1", broker.port) as n1, node("n2", broker.port):
            await heard.until("smoke-1", 0)
            broker.kill()
            await heard.until("smoke-1", Unknown.NO_LINK)
            await heard.until("smoke-2", Unknown.NO_LINK)
            broker.start()
            await heard.until("smoke-1", 0)
            await heard.until("smoke-2", 0)
            n1.set("smoke", 1)
            await heard.until("smoke-1", 1)
            assert source.counters()["losses"] >= 1


@on_a_loop
async def test_a_password_that_others_may_read_is_refused(broker: Mosquitto, tmp_path: Path, caplog):
    (tmp_path / "nodes" / "gateway.password").chmod(0o644)
    async with running(open_nodes(broker.port, tmp_path)) as heard:
        await heard.until("smoke-1", Unknown.NO_LINK)
    assert "must not be readable by others" in caplog.text


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for loopback that is its own authority, and its key."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [need("openssl", "certificates"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", f"/CN={LOOPBACK}", "-addext", f"subjectAltName=IP:{LOOPBACK}"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True, timeout=60)
    return pem, key


# paho leaves the socket of a failed handshake to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@on_a_loop
async def test_a_broker_with_tls_is_believed_by_its_authority_and_by_no_other(tmp_path: Path, caplog):
    (ours, key), (other, _) = certificate(tmp_path, "ours"), certificate(tmp_path, "other")
    with node_broker(tmp_path, str(ours), str(key)) as broker:
        source = open_nodes(broker.port, tmp_path, str(ours))
        async with running(source):
            await until(lambda: source.counters().get("connections"), "the broker to let us in")
        doubting = open_nodes(broker.port, tmp_path, str(other))
        async with running(doubting) as heard:
            await heard.until("smoke-1", Unknown.NO_LINK)
            assert not doubting.counters().get("connections")
    assert "certificate verify failed" in caplog.text


def test_the_broker_is_its_lock(tmp_path: Path):
    with node_broker(tmp_path) as broker:
        source = open_nodes(broker.port, tmp_path)
        try:
            assert config_of(stanza(broker.port, tmp_path)).where == f"nodes at 127.0.0.1:{broker.port}"
        finally:
            source.close()


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"node": []}, "source[0].node: expected at least one [[source.node]]"),
        ({"node": [{"code": "n1"}, {"code": "n1"}]}, "nodes with different codes"),
        ({"node": [{"code": "gateway"}]}, "a code other than the gateway's own user name"),
        ({"node": [{"code": "n/1"}]}, "source[0].node[0].code"),
        ({"node": [{"code": "n1", "kind": "solar"}]}, "source[0].node[0].kind"),
        ({"node": [{"code": "n1", "hardware": "Pico"}]}, "source[0].node[0].hardware"),
        ({"port": 0}, "source[0].port: expected 1 to 65535"),
    ],
)
def test_mistakes_are_named(change: dict, wrong: str, tmp_path: Path):
    assert any(wrong in line for line in mistakes_in({**stanza(1884, tmp_path), **change}))
