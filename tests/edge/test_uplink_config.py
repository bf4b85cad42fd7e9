"""The `[uplink]` and `[journal]` tables, secrets, and TLS up to the broker's door."""

import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.journal import JournalConfig
from edge.schema import Mistakes, read_table
from edge.uplink import UplinkConfig
from edge.uplink.config import read_secret
from tests.edge.district import living
from tests.support import Mosquitto, accepts, need, wait_until


@pytest.mark.parametrize(
    ("kind", "table", "said"),
    [
        (UplinkConfig, {"host": "broker"}, []),
        (UplinkConfig, {"enabled": False}, []),
        (UplinkConfig, {}, ["t: host: expected"]),
        (UplinkConfig, {"host": "b", "port": 0}, ["t: port: expected"]),
        (UplinkConfig, {"host": "b", "keepalive": "2min"}, ["t: keepalive: expected"]),
        (UplinkConfig, {"host": "b", "cert": "c", "ca": "a"}, ["t: key: expected"]),
        (UplinkConfig, {"host": "b", "cert": "c", "key": "k"}, ["t: ca: expected"]),
        (UplinkConfig, {"host": "b", "password_file": "p"}, ["t: username: expected"]),
        (UplinkConfig, {"host": "b", "hots": "c"}, ["t: hots: unknown key"]),
        (JournalConfig, {}, []),
        (
            JournalConfig,
            {"keep_events": "1d", "keep_event_rows": 1, "budget_mb": 1, "readings_every": "1min", "heartbeat": "1s"},
            ["t: keep_events", "t: keep_event_rows", "t: budget_mb", "t: readings_every", "t: heartbeat"],
        ),
    ],
)
def test_mistakes(kind: type[Any], table: dict[str, object], said: list[str]):
    mistakes = Mistakes("t")
    read_table(kind, table, "", mistakes)
    assert len(mistakes.lines) == len(said)
    assert all(line.startswith(start) for line, start in zip(mistakes.lines, said, strict=True))


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path):
    path = tmp_path / "password"
    path.write_text("secret\n")
    path.chmod(0o600)
    assert read_secret(str(path)) == "secret"
    path.chmod(0o644)
    with pytest.raises(PermissionError, match="must not be readable by others"):
        read_secret(str(path))


class TlsMosquitto(Mosquitto):
    """Lets in only who shows a certificate of its authority."""

    def __init__(self, binary: str, folder: Path, keys: Path) -> None:
        super().__init__(binary, folder)
        self.CONFIGURATION = f"""\
user {getpass.getuser()}
listener {{port}} {{host}}
cafile {keys}/ca.pem
certfile {keys}/broker.pem
keyfile {keys}/broker.key
require_certificate true
use_identity_as_username true
persistence false
"""


def openssl(folder: Path, *arguments: str) -> None:
    tool = need("openssl", "making certificates")
    subprocess.run([tool, *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a broker and a gateway of its own, and a stranger signed by nobody."""
    folder = tmp_path_factory.mktemp("keys")
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    for name in ("ca", "stranger"):
        openssl(folder, *new, "-x509", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    for name in ("broker", "gateway"):
        openssl(folder, *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1")
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "extensions", "-out", f"{name}.pem",
        )  # fmt: skip
    for key in folder.glob("*.key"):
        key.chmod(0o600)
    return folder


@pytest.fixture
def tls_broker(tmp_path: Path, keys: Path) -> Iterator[TlsMosquitto]:
    folder = tmp_path / "tls"
    folder.mkdir()
    broker = TlsMosquitto(need("mosquitto", "a real MQTT broker"), folder, keys)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def tls(broker: Mosquitto, keys: Path, ca: str, name: str) -> UplinkConfig:
    return UplinkConfig(
        host=broker.host, port=broker.port, ca=str(keys / f"{ca}.pem"), cert=str(keys / f"{name}.pem"),
        key=str(keys / f"{name}.key"),
    )  # fmt: skip


def test_the_right_certificate_is_let_in(tmp_path: Path, tls_broker: TlsMosquitto, keys: Path):
    with living(tmp_path / "journal", tls(tls_broker, keys, "ca", "gateway")) as house:
        wait_until(lambda: house.uplink.is_connected)


# Where a handshake fails, paho drops its socket and leaves the closing to Python.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("ca", "name"),
    [
        ("ca", "stranger"),  # the broker does not know us
        ("stranger", "gateway"),  # we do not know the broker
        ("none", "gateway"),  # the file is not there
    ],
)
def test_a_wrong_certificate_gets_nowhere_and_is_tried_again(
    tmp_path: Path, tls_broker: TlsMosquitto, keys: Path, ca: str, name: str
):
    with living(tmp_path / "journal", tls(tls_broker, keys, ca, name)) as house:
        wait_until(lambda: house.uplink.counters.failures >= 2)
        assert house.uplink.counters.connections == 0
        assert accepts(tls_broker.port)


def test_without_tls_the_broker_says_nothing(tmp_path: Path, tls_broker: TlsMosquitto):
    with living(tmp_path / "journal", UplinkConfig(host=tls_broker.host, port=tls_broker.port)) as house:
        wait_until(lambda: house.uplink.counters.failures >= 1)
        assert not house.uplink.is_connected
        assert accepts(tls_broker.port)
