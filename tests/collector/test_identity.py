"""The authority, its record and its commands, each certificate as an independent reader (openssl) sees it."""

import json
import stat
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.cli import main
from collector.identity.authority import CRL, ISSUED, Authority, AuthorityError, read_record, standing
from tests.support import need

PASSPHRASE = "correct horse battery"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "authority"


@pytest.fixture
def authority(folder: Path) -> Authority:
    return Authority.create(folder, "District of the test", PASSPHRASE)


@pytest.fixture
def secret(tmp_path: Path) -> list[str]:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    path.chmod(0o600)
    return ["--passphrase-file", str(path)]


def openssl(*arguments: object, status: int = 0) -> str:
    tool = need("openssl", "an independent reader of certificates")
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, timeout=30)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def judged(folder: Path, tmp_path: Path, certificate: bytes, purpose: str, status: int = 0) -> str:
    """What openssl says of a certificate, with the list of those revoked."""
    path = tmp_path / "judged.pem"
    path.write_bytes(certificate)
    trust = ("-CAfile", folder / "ca.pem", "-CRLfile", folder / CRL, "-crl_check")
    return openssl("verify", *trust, "-purpose", purpose, path, status=status)


def test_a_gateways_certificate_is_a_clients_and_bears_its_name(folder: Path, authority: Authority, tmp_path: Path):
    issued = authority.issue_client("h01/g1")
    assert "OK" in judged(folder, tmp_path, issued.certificate, "sslclient")
    judged(folder, tmp_path, issued.certificate, "sslserver", status=2)
    assert "CN = h01/g1" in openssl("x509", "-in", tmp_path / "judged.pem", "-noout", "-subject")


def test_the_brokers_certificate_is_a_servers_under_each_of_its_names(
    folder: Path, authority: Authority, tmp_path: Path
):
    issued = authority.issue_server(["broker.example", "10.0.0.5"])
    assert "OK" in judged(folder, tmp_path, issued.certificate, "sslserver")
    judged(folder, tmp_path, issued.certificate, "sslclient", status=2)
    text = openssl("x509", "-in", tmp_path / "judged.pem", "-noout", "-ext", "subjectAltName")
    assert "DNS:broker.example" in text and "IP Address:10.0.0.5" in text


def test_revoking_takes_back_all_certificates_of_a_name_and_no_other(
    folder: Path, authority: Authority, tmp_path: Path
):
    first, second, other = (authority.issue_client(name) for name in ("h01/g1", "h01/g1", "h02/g1"))
    assert authority.revoke("h01/g1") == 2
    for issued in (first, second):
        assert "certificate revoked" in judged(folder, tmp_path, issued.certificate, "sslclient", status=2)
    assert "OK" in judged(folder, tmp_path, other.certificate, "sslclient")
    assert [line.name for line in standing(folder)] == ["h02/g1"]
    with pytest.raises(AuthorityError, match="no certificate of h01/g1 stands"):
        authority.revoke("h01/g1")


def test_after_a_revocation_the_name_can_be_given_again(folder: Path, authority: Authority, tmp_path: Path):
    authority.issue_client("h01/g1")
    authority.revoke("h01/g1")
    again = authority.issue_client("h01/g1")
    assert "OK" in judged(folder, tmp_path, again.certificate, "sslclient")


def test_the_list_of_those_revoked_does_not_end_before_the_authority(folder: Path, authority: Authority):
    ends = openssl("crl", "-in", folder / CRL, "-noout", "-nextupdate").split("=")[1].strip()
    dies = openssl("x509", "-in", folder / "ca.pem", "-noout", "-enddate").split("=")[1].strip()
    form = "%b %d %H:%M:%S %Y GMT"
    assert datetime.strptime(ends, form) > datetime.strptime(dies, form)


def test_keys_are_their_owners_alone_and_the_authoritys_is_encrypted(folder: Path, authority: Authority):
    assert stat.S_IMODE((folder / "ca.key").stat().st_mode) == 0o600
    assert b"ENCRYPTED" in (folder / "ca.key").read_bytes()
    with pytest.raises(AuthorityError, match="not the authority's passphrase"):
        Authority.open(folder, "another passphrase")
    assert Authority.open(folder, PASSPHRASE).certificate == authority.certificate


@pytest.mark.parametrize("passphrase", ["", "short", "x" * 11])
def test_a_short_passphrase_makes_no_authority(folder: Path, passphrase: str):
    with pytest.raises(AuthorityError, match="at least 12 characters"):
        Authority.create(folder, "x", passphrase)
    assert not folder.exists()


def test_what_stands_is_never_made_twice_or_written_over(folder: Path, authority: Authority):
    with pytest.raises(AuthorityError, match="there is an authority already"):
        Authority.create(folder, "another", PASSPHRASE)


def test_a_certificate_is_on_record_before_it_is_handed_out(
    folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("collector.identity.authority.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        authority.issue_client("h01/g1")


def test_a_damaged_record_is_said_and_not_skipped(folder: Path, authority: Authority):
    authority.issue_client("h01/g1")
    with (folder / ISSUED).open("a") as record:
        record.write("{half\n")
    with pytest.raises(AuthorityError, match="line 2 is damaged"):
        list(read_record(folder))
    with pytest.raises(AuthorityError, match="line 2 is damaged"):
        authority.revoke("h01/g1")


# --- the commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def district(tmp_path: Path, secret: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """`--data` of a district with an authority."""
    made = ["authority", "init", "--authority", str(tmp_path / "data" / "authority"), "--host", "127.0.0.1", *secret]
    assert main(made) == 0
    assert "mosquitto -c" in capsys.readouterr().out
    return ["--data", str(tmp_path / "data")]


def test_adding_a_home_makes_its_bundle(tmp_path: Path, district: list[str], secret: list[str]):
    assert main(["home", "add", "h01", "和平里养老院", *district, *secret]) == 0
    bundle = tmp_path / "data" / "authority" / "bundles" / "h01-g1.tar"
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    with tarfile.open(bundle) as archive:
        assert archive.getnames() == ["ca.pem", "cert.pem", "key.pem", "uplink.json"]
        about = json.load(archive.extractfile("uplink.json"))  # type: ignore[arg-type]
    assert (about["home"], about["gateway"], about["host"], about["port"]) == ("h01", "g1", "127.0.0.1", 8883)


def test_without_an_authority_a_home_is_added_and_the_way_to_one_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["home", "add", "h01", "和平里养老院", "--data", str(tmp_path / "data")]) == 0
    assert "shouwang-collector authority init" in capsys.readouterr().err


def test_the_next_to_end_is_listed_first_and_marked(
    tmp_path: Path, district: list[str], secret: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main(["home", "add", "h01", "甲", *district, *secret, "--days", "20"]) == 0
    capsys.readouterr()
    folder = str(tmp_path / "data" / "authority")
    assert main(["authority", "list", "--authority", folder]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("h01/g1\t") and lines[0].endswith("renew now")
    assert main(["home", "enrol", "h01", *district, *secret]) == 0
    capsys.readouterr()
    assert main(["authority", "list", "--authority", folder]) == 0
    assert "renew now" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["home", "revoke", "h01"], "no certificate of h01/g1 stands"),
        (["home", "enrol", "h/1"], "expected a code of letters"),
        (["home", "enrol", "h01", "--gateway", "g+"], "expected a code of letters"),
    ],
)
def test_what_cannot_be_done_is_said(
    district: list[str], secret: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
):
    assert main([*arguments, *district, *secret]) == 2
    assert said in capsys.readouterr().err


def test_a_passphrase_that_others_may_read_is_refused(
    tmp_path: Path, district: list[str], secret: list[str], capsys: pytest.CaptureFixture[str]
):
    Path(secret[1]).chmod(0o644)
    assert main(["home", "enrol", "h01", *district, *secret]) == 2
    said = capsys.readouterr().err
    assert "readable by its owner only" in said
    assert PASSPHRASE not in said


def test_an_ended_certificate_says_so(folder: Path, authority: Authority, tmp_path: Path):
    issued = authority.issue_client("h01/g1", days=1, now=datetime.now(UTC) - timedelta(days=3))
    assert "certificate has expired" in judged(folder, tmp_path, issued.certificate, "sslclient", status=2)
