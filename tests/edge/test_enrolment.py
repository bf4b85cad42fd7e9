"""An enrolment bundle on the gateway's side: taken in whole or not at all, and its end known in time."""

import io
import json
import stat
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.identity.authority import Authority
from collector.identity.bundle import write_bundle
from edge.cli import main
from edge.uplink.enrolment import ABOUT, CA, PAIR, BundleError, Certificate, certificate_ends_ms, take_in

HOME_G1 = "h01/g1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("identity") / "a", "District of the test", "correct horse battery")


@pytest.fixture
def bundle(authority: Authority, tmp_path: Path) -> Path:
    return write_bundle(authority, authority.issue_client(HOME_G1), tmp_path, "broker.example", 8883)


def rewritten(bundle: Path, **members: bytes | None) -> Path:
    """The bundle with other members; None leaves one out."""
    with tarfile.open(bundle) as archive:
        found = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    found.update({name.replace("_", "."): content for name, content in members.items()})
    with tarfile.open(bundle, "w") as archive:
        for name, content in found.items():
            if content is not None:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return bundle


def test_it_is_installed_with_its_key_closed_to_others(bundle: Path, tmp_path: Path, capsys):
    folder = tmp_path / "uplink"
    assert main(["enrol", str(bundle), "--into", str(folder)]) == 0
    said = capsys.readouterr().out
    assert 'home.code = "h01"' in said and f'cert = "{folder / PAIR}"' in said
    assert sorted(path.name for path in folder.iterdir()) == sorted([CA, PAIR, ABOUT])
    assert stat.S_IMODE((folder / PAIR).stat().st_mode) & 0o007 == 0
    assert "PRIVATE KEY" not in said


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"key_pem": None}, "key.pem missing"),
        ({"uplink_json": b"{"}, "uplink.json"),
        ({"uplink_json": b'{"home": 1, "gateway": "g", "host": "h", "port": 1, "ends": ""}'}, "home: expected str"),
        ({"uplink_json": b'{"home": "h\\n", "gateway": "g", "host": "h", "port": 1, "ends": ""}'}, "home: expected"),
        ({"..evil": b"x"}, "does not belong"),
        ({"cert_pem": b"nonsense"}, "do not belong together"),
        ({"ca_pem": b"nonsense"}, "do not belong together"),
    ],
)
def test_what_is_wrong_with_a_bundle_is_said_and_the_old_one_stays(
    bundle: Path, tmp_path: Path, members: dict[str, bytes | None], said: str
):
    folder = tmp_path / "uplink"
    take_in(bundle, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(BundleError, match=said):
        take_in(rewritten(bundle, **members), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_key_of_another_certificate_is_found_out(authority: Authority, bundle: Path, tmp_path: Path):
    with pytest.raises(BundleError, match="do not belong together"):
        take_in(rewritten(bundle, key_pem=authority.issue_client(HOME_G1).key), tmp_path / "uplink")


def test_its_end_is_read_out_of_the_certificate(authority: Authority, tmp_path: Path):
    issued = authority.issue_client(HOME_G1, days=40_000)  # beyond 2049 the encoding is another
    near = authority.issue_client(HOME_G1, days=30)
    path = tmp_path / "cert.pem"
    for made in (issued, near):
        path.write_bytes(made.key + made.certificate)
        assert certificate_ends_ms(path) == int(made.ends.timestamp()) * 1000


@given(cut=st.integers(0, 400), noise=st.binary(max_size=40))
def test_noise_is_no_certificate_and_no_crash(cut: int, noise: bytes, tmp_path_factory: pytest.TempPathFactory):
    import base64

    der = bytes.fromhex("3082018a30820130a003020102") + noise + bytes(cut)
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    path = tmp_path_factory.getbasetemp() / "noise.pem"
    path.write_bytes(pem)
    with pytest.raises(ValueError):
        certificate_ends_ms(path)
    assert Certificate(str(path)).read(0) is None


def test_a_renewed_certificate_is_noticed(authority: Authority, bundle: Path, tmp_path: Path):
    folder = tmp_path / "uplink"
    take_in(bundle, folder)
    held = Certificate(str(folder / PAIR))
    assert held.read(0) is not None
    assert not held.has_changed(20_000)
    take_in(write_bundle(authority, authority.issue_client(HOME_G1), tmp_path, "broker.example", 8883), folder)
    assert not held.has_changed(25_000), "it is looked at every ten seconds"
    assert held.has_changed(30_000)


def test_a_file_that_has_gone_ends_no_connection(bundle: Path, tmp_path: Path):
    folder = tmp_path / "uplink"
    take_in(bundle, folder)
    held = Certificate(str(folder / PAIR))
    held.read(0)
    (folder / PAIR).unlink()
    assert not held.has_changed(20_000)
    assert held.read(30_000) is None


def test_the_bundle_says_when_it_ends(authority: Authority, bundle: Path, tmp_path: Path):
    about = take_in(bundle, tmp_path / "uplink")
    ends = datetime.fromisoformat(about["ends"])
    assert timedelta(days=800) < ends - datetime.now(UTC) < timedelta(days=830)
    assert json.loads((tmp_path / "uplink" / ABOUT).read_text())["host"] == "broker.example"
