"""Nobody is let in: a real mosquitto with the files that the authority writes, real uplinks, a real collector.

The same broker is asked by those who may and by those who may not; whoever may not has to be shown to have got nowhere,
not only to have been told so.
"""

import getpass
import os
import shutil
import signal
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from collector.identity.authority import COLLECTOR, CRL, Authority
from collector.identity.broker import CONFIGURATION, publish_crl, write_broker
from collector.identity.bundle import write_bundle
from device import wire
from edge.uplink import UplinkConfig
from edge.uplink.enrolment import CA, PAIR, take_in
from tests.collector.running import Collector, collector
from tests.edge.district import GATEWAY, HOME, living
from tests.support import LOOPBACK, Mosquitto, need, wait_until

# Where a handshake fails, paho drops its socket and leaves the closing to Python.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

STRANGER_HOME = "h02"


class GuardedMosquitto(Mosquitto):
    """Started with the very configuration that the authority wrote, on the port that is free."""

    def __init__(self, binary: str, folder: Path) -> None:
        super().__init__(binary, folder)
        self.files = folder / "broker"

    def prepare(self, authority: Authority) -> None:
        write_broker(authority, authority.issue_server([LOOPBACK]), self.files, 0, LOOPBACK)
        written = (self.files / CONFIGURATION).read_text()
        # Started by root it would become another user, who may not read this folder.
        self.CONFIGURATION = written.replace("listener 0 ", "listener {port} ") + f"user {getpass.getuser()}\n"

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)


class District:
    """An authority, its broker, and the gateways' installed bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.create(folder / "authority", "District of the test", "correct horse battery")
        self.broker = GuardedMosquitto(need("mosquitto", "a real MQTT broker"), folder)
        self.broker.prepare(self.authority)

    def enrolled(self, name: str, days: int = 30, now: datetime | None = None, by: Authority | None = None) -> Path:
        """The folder of a gateway that has taken in a bundle of this name."""
        authority = by or self.authority
        made = write_bundle(authority, authority.issue_client(name, days, now), self.folder, LOOPBACK, 0)
        into = self.folder / f"gateway-{os.urandom(4).hex()}"
        take_in(made, into)
        return into

    def as_collector(self) -> Path:
        """A folder of the same shape with the collector's own certificate, which nobody carries in a bundle."""
        into = self.folder / f"collector-{os.urandom(4).hex()}"
        into.mkdir()
        issued = self.authority.issue_client(COLLECTOR)
        (into / PAIR).write_bytes(issued.key + issued.certificate)
        (into / CA).write_bytes(self.authority.certificate)
        return into

    def uplink(self, keys: Path) -> UplinkConfig:
        pair = str(keys / PAIR)
        return UplinkConfig(
            host=LOOPBACK, port=self.broker.port, ca=str(keys / CA), cert=pair, key=pair, client_id=os.urandom(6).hex()
        )

    def revoke(self, name: str) -> None:
        self.authority.revoke(name)
        publish_crl(self.authority, self.broker.files)

    def collector(self) -> list[str]:
        """The options of a collector that has its certificate."""
        keys = self.folder / "collector-keys"
        keys.mkdir()
        issued = self.authority.issue_client(COLLECTOR)
        (keys / "cert.pem").write_bytes(issued.certificate)
        (keys / "key.pem").write_bytes(issued.key)
        (keys / "key.pem").chmod(0o600)
        (keys / "ca.pem").write_bytes(self.authority.certificate)
        files = ["--mqtt-ca", keys / "ca.pem", "--mqtt-cert", keys / "cert.pem", "--mqtt-key", keys / "key.pem"]
        return ["--mqtt", f"{LOOPBACK}:{self.broker.port}", "--open-read", *map(str, files)]


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Iterator[District]:
    made = District(tmp_path_factory.mktemp("district"))
    made.broker.start()
    try:
        yield made
    finally:
        made.broker.stop()


@pytest.fixture(scope="module")
def bureau(district: District) -> Iterator[Collector]:
    with collector(district.folder / "collector", *district.collector()) as running:
        yield running


class Client:
    """A bare client with a gateway's certificate that says and asks what it likes."""

    def __init__(self, district: District, keys: Path) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.is_up = False
        self._done: set[int] = set()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, os.urandom(6).hex())
        context = ssl.create_default_context(cafile=keys / CA)
        context.load_cert_chain(keys / PAIR)
        self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_publish = lambda _c, _d, mid, *_: self._done.add(mid)
        self._client.on_subscribe = lambda _c, _d, mid, *_: self._done.add(mid)
        self._client.connect(LOOPBACK, district.broker.port)
        self._client.loop_start()
        wait_until(lambda: self.is_up, what="the broker to let it in")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, payload: bytes = b"x") -> None:
        """Returns when the broker has confirmed it; it confirms what it throws away, too."""
        told = self._client.publish(topic, payload, 1)
        wait_until(lambda: told.mid in self._done, what=f"{topic} to be confirmed")

    def ask(self, topic: str) -> None:
        mid = self._client.subscribe(topic, 1)[1]
        wait_until(lambda: mid in self._done, what=f"{topic} to be subscribed")

    def _on_message(self, _c: object, _d: object, message: paho.MQTTMessage) -> None:
        if not message.retain:  # else other tests' states and points would be heard, too
            self.heard.append((message.topic, bytes(message.payload)))

    def _on_connect(self, _c: object, _d: object, _f: object, reason: ReasonCode, _p: object) -> None:
        self.is_up = not reason.is_failure


def on_board(bureau: Collector, home: str) -> Callable[[], bool]:
    return lambda: any(found["code"] == home for found in bureau.board()["homes"])


def test_an_enrolled_gateway_is_heard_and_acknowledged(district: District, bureau: Collector, tmp_path: Path):
    keys = district.enrolled(f"{HOME}/{GATEWAY}")
    with living(tmp_path / "journal", district.uplink(keys)) as house:
        house.alarm(1)
        wait_until(lambda: house.journal.volume().event_acked == 1, timeout_s=20)
    wait_until(on_board(bureau, HOME))


def test_under_anothers_certificate_nothing_reaches_the_board(district: District, bureau: Collector, tmp_path: Path):
    """The gateway of another home speaks as this one: the broker confirms and throws away."""
    keys = district.enrolled(f"{STRANGER_HOME}/{GATEWAY}")
    known = bureau.home(HOME)
    with living(tmp_path / "journal", district.uplink(keys)) as house:
        house.alarm(2)
        wait_until(lambda: house.uplink.counters.events >= 1)
        with Client(district, keys) as stranger:  # behind what was thrown away, something that is heard
            stranger.say(wire.topic(STRANGER_HOME, GATEWAY, wire.LINK), wire.encode(wire.Link("boot-0001", "up")))
        wait_until(on_board(bureau, STRANGER_HOME))
        assert house.journal.volume().event_acked == 0
    assert bureau.home(HOME)["class"] == known["class"]


@pytest.mark.parametrize(
    "topic",
    [
        "shouwang/1/{home}/g2/event",
        "shouwang/1/h02/g1/event",
        "shouwang/1/{home}/g1/ack",
        "shouwang/1/{home}/g1/event/more",
        "shouwang/2/{home}/g1/event",
        "elsewhere",
    ],
)
def test_a_topic_outside_its_own_prefix_leads_nowhere(district: District, topic: str):
    with Client(district, district.as_collector()) as listening:
        listening.ask("#")
        listening.ask("shouwang/1/+/+/event")
        with Client(district, district.enrolled(f"{HOME}/{GATEWAY}")) as gateway:
            gateway.say(topic.format(home=HOME))
            gateway.say(wire.topic(HOME, GATEWAY, wire.EVENT), b"behind it")
        wait_until(lambda: listening.heard)
        assert [payload for _, payload in listening.heard] == [b"behind it"]


@pytest.mark.parametrize("channel", [*wire.UP, *wire.DOWN])
def test_a_gateway_reads_what_is_for_it_and_no_other(district: District, channel: str):
    mine, other = wire.topic(HOME, GATEWAY, channel), wire.topic(STRANGER_HOME, GATEWAY, channel)
    with Client(district, district.enrolled(f"{HOME}/{GATEWAY}")) as gateway:
        gateway.ask("#")
        gateway.ask("shouwang/1/+/+/" + channel)
        with Client(district, district.as_collector()) as bureau:
            for topic in (other, mine, wire.topic(HOME, GATEWAY, wire.ACK)):
                bureau.say(topic, topic.encode())
        wait_until(lambda: any(topic.endswith("/ack") for topic, _ in gateway.heard))
        assert {topic for topic, _ in gateway.heard} <= {mine, wire.topic(HOME, GATEWAY, wire.ACK)}
        assert (mine in {topic for topic, _ in gateway.heard}) == (channel in wire.DOWN)


def test_a_gateway_cannot_be_the_collector(district: District):
    with Client(district, district.enrolled(f"{STRANGER_HOME}/{GATEWAY}")) as gateway:
        gateway.ask(wire.topic(HOME, GATEWAY, wire.ACK))
        with Client(district, district.enrolled(f"{HOME}/{GATEWAY}")) as other:
            other.ask(wire.topic(HOME, GATEWAY, wire.ACK))
            gateway.say(wire.topic(HOME, GATEWAY, wire.ACK), b"let go of everything")
            with Client(district, district.as_collector()) as bureau:
                bureau.say(wire.topic(HOME, GATEWAY, wire.ACK), b"of the collector")
            wait_until(lambda: other.heard)
            assert [payload for _, payload in other.heard] == [b"of the collector"]
        assert gateway.heard == []


def refused(district: District, config: UplinkConfig, folder: Path) -> None:
    """Twice, to show that it goes on trying and goes on getting nowhere."""
    with living(folder, config) as house:
        wait_until(lambda: house.uplink.counters.failures >= 2, timeout_s=20)
        assert house.uplink.counters.connections == 0


def test_an_ended_certificate_gets_nowhere(district: District, tmp_path: Path):
    keys = district.enrolled(f"{HOME}/{GATEWAY}", days=1, now=datetime.now(UTC) - timedelta(days=3))
    refused(district, district.uplink(keys), tmp_path / "journal")


def test_a_certificate_of_another_authority_gets_nowhere(district: District, tmp_path: Path):
    other = Authority.create(tmp_path / "other", "District of the test", "correct horse battery")
    keys = district.enrolled(f"{HOME}/{GATEWAY}", by=other)
    shutil.copy(district.folder / "authority" / "ca.pem", keys / CA)
    refused(district, district.uplink(keys), tmp_path / "journal")


def test_without_a_certificate_or_without_tls_nobody_gets_anywhere(district: District, tmp_path: Path):
    keys = district.enrolled(f"{HOME}/{GATEWAY}")
    port = district.broker.port
    refused(district, UplinkConfig(host=LOOPBACK, port=port, ca=str(keys / CA)), tmp_path / "none")
    refused(district, UplinkConfig(host=LOOPBACK, port=port), tmp_path / "plain")


def test_the_brokers_certificate_makes_no_client(district: District, tmp_path: Path):
    keys = tmp_path / "keys"
    keys.mkdir()
    files = district.broker.files
    (keys / PAIR).write_bytes((files / "broker.key").read_bytes() + (files / "broker.pem").read_bytes())
    (keys / PAIR).chmod(0o600)
    shutil.copy(files / "ca.pem", keys / CA)
    refused(district, district.uplink(keys), tmp_path / "journal")


def test_a_revoked_gateway_gets_nowhere_once_the_broker_has_read_the_list(district: District, tmp_path: Path):
    keys = district.enrolled("h03/g1")
    others = district.enrolled(f"{HOME}/{GATEWAY}")
    with Client(district, keys):
        pass
    district.revoke("h03/g1")
    assert (district.broker.files / CRL).read_bytes() == (district.authority.folder / CRL).read_bytes()
    district.broker.stop()
    district.broker.start()
    refused(district, district.uplink(keys), tmp_path / "journal")
    with Client(district, others):
        pass  # and nobody else is locked out by the list


def test_a_gateway_takes_its_renewed_certificate_by_itself(
    district: District, bureau: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("edge.uplink.enrolment.Certificate.LOOK_EVERY_MS", 100)
    keys = district.enrolled(f"{HOME}/{GATEWAY}")
    with living(tmp_path / "journal", district.uplink(keys)) as house:
        wait_until(lambda: house.uplink.is_connected, timeout_s=20)
        ends_ms = house.uplink.certificate_ends_ms
        assert ends_ms is not None
        issued = district.authority.issue_client(f"{HOME}/{GATEWAY}", 400)
        take_in(write_bundle(district.authority, issued, district.folder, LOOPBACK, 0), keys)
        house.alarm(1)
        wait_until(lambda: (house.uplink.certificate_ends_ms or 0) > ends_ms, timeout_s=20)
        wait_until(lambda: house.uplink.counters.connections == 2, timeout_s=20)
        house.alarm(2)
        wait_until(lambda: house.journal.volume().event_acked == 2, timeout_s=20)


def test_a_key_that_others_may_read_is_refused_at_both_ends(district: District, tmp_path: Path):
    keys = district.enrolled(f"{HOME}/{GATEWAY}")
    (keys / PAIR).chmod(0o644)
    refused(district, district.uplink(keys), tmp_path / "journal")
    key = district.folder / "open.pem"
    key.write_bytes(district.authority.issue_client(COLLECTOR).key)
    key.chmod(0o644)
    made = Collector(tmp_path / "collector")
    done = made.run(
        "serve", "--mqtt", f"{LOOPBACK}:{district.broker.port}", "--mqtt-ca", str(keys / CA),
        "--mqtt-cert", str(keys / PAIR), "--mqtt-key", str(key), "--port", "0",
    )  # fmt: skip
    assert done.returncode == 2
    assert "must not be readable by others" in done.stderr
    assert "PRIVATE" not in done.stderr


def test_no_key_and_no_passphrase_is_in_any_log(district: District, bureau: Collector):
    said = district.broker.log + bureau.log
    assert "PRIVATE KEY" not in said and "correct horse" not in said


def test_the_board_speaks_https_by_itself_and_its_cookies_are_secure(district: District, tmp_path: Path):
    issued = district.authority.issue_server([LOOPBACK])
    certificate, key = tmp_path / "web.pem", tmp_path / "web.key"
    certificate.write_bytes(issued.certificate)
    key.write_bytes(issued.key)
    made = Collector(tmp_path / "collector", "--tls", str(certificate), str(key))
    key.chmod(0o644)
    refusal = made.run("serve", "--tls", str(certificate), str(key), "--port", "0")
    assert refusal.returncode == 2 and "must not be readable by others" in refusal.stderr
    key.chmod(0o600)
    made.start("https")
    try:
        trust = ssl.create_default_context(cafile=district.folder / "authority" / "ca.pem")
        with httpx.Client(base_url=made.url, verify=trust, timeout=10) as client:
            answer = client.get("/login")
            assert answer.status_code == 200
            assert "secure" in answer.headers["set-cookie"].lower()
    finally:
        made.end()
