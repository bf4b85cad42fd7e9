"""The district's own certificate authority: it names gateways, the broker and the collector, and takes names back.

    ca.pem        what everybody trusts
    ca.key        the authority's key, encrypted with a passphrase
    crl.pem       what is revoked; the broker reads it
    issued.jsonl  one line for each certificate and each revocation, only ever added to

A gateway's certificate bears the name `{home}/{gateway}`, which the broker takes as its user name (CONTRACT.md,
"Broker"). Keys are P-256; a client's certificate cannot serve, and the broker's cannot be a client.
"""

import ipaddress
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_CERTIFICATE, CA_KEY, CRL, ISSUED = "ca.pem", "ca.key", "crl.pem", "issued.jsonl"
COLLECTOR = "collector"
AUTHORITY_YEARS = 20
CERTIFICATE_DAYS = 825
RENEW_DAYS = 60
"""A certificate that ends sooner is listed as due; the gateway itself says so at its home 30 days before."""
CRL_DAYS = AUTHORITY_YEARS * 366
"""A list that has ended refuses everybody, fires included, so it does not end before the authority. It is made anew
with each revocation, and works from the moment the broker reads it."""
BACKDATED = timedelta(days=1)
"""A gateway whose clock is a little behind must not take its new certificate for one from the future."""
PASSPHRASE_MIN = 12


class AuthorityError(Exception):
    """What is asked of the authority cannot be done, in a sentence."""


class Issued(NamedTuple):
    """A certificate with its key, as PEM. `ends` is when it stops being valid."""

    name: str
    certificate: bytes
    key: bytes
    ends: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the record. `act` is "issued" or "revoked"; `serial` in hexadecimal, `ends` in ISO 8601."""

    act: str
    name: str
    serial: str
    at: str
    ends: str = ""


class Authority:
    """An opened authority. Made by `create` or `open`."""

    def __init__(self, folder: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.folder = folder
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, folder: Path, name: str, passphrase: str, now: datetime | None = None) -> "Authority":
        """Make an authority in a folder. Raises AuthorityError where there is one, or the passphrase is short."""
        if (folder / CA_KEY).exists():
            raise AuthorityError(f"{folder}: there is an authority already")
        if len(passphrase) < PASSPHRASE_MIN:
            raise AuthorityError(f"expected a passphrase of at least {PASSPHRASE_MIN} characters")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        now = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key, now, now + timedelta(days=AUTHORITY_YEARS * 365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(is_authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        protection = serialization.BestAvailableEncryption(passphrase.encode())
        write_secret(folder / CA_KEY, _key_pem(key, protection))
        (folder / CA_CERTIFICATE).write_bytes(_pem(certificate))
        made = cls(folder, key, certificate)
        made._write_crl(now)
        return made

    @classmethod
    def open(cls, folder: Path, passphrase: str) -> "Authority":
        """Open the authority in a folder. Raises AuthorityError."""
        try:
            certificate = x509.load_pem_x509_certificate((folder / CA_CERTIFICATE).read_bytes())
            pem = (folder / CA_KEY).read_bytes()
        except (OSError, ValueError) as error:
            raise AuthorityError(f"there is no authority in {folder}: {error}") from None
        try:
            key = serialization.load_pem_private_key(pem, passphrase.encode())
        except (ValueError, TypeError):
            raise AuthorityError("that is not the authority's passphrase") from None
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(folder, key, certificate)

    @property
    def certificate(self) -> bytes:
        """What everybody trusts, as PEM."""
        return _pem(self._certificate)

    def issue_client(self, name: str, days: int = CERTIFICATE_DAYS, now: datetime | None = None) -> Issued:
        """A certificate for a gateway (`{home}/{gateway}`) or the collector. Older ones of the name stay valid."""
        return self._issue(name, [], ExtendedKeyUsageOID.CLIENT_AUTH, days, now)

    def issue_server(self, hosts: Sequence[str], days: int = CERTIFICATE_DAYS, now: datetime | None = None) -> Issued:
        """A certificate for the broker under all its names and addresses."""
        if not hosts:
            raise AuthorityError("expected at least one name or address of the broker")
        return self._issue(hosts[0], hosts, ExtendedKeyUsageOID.SERVER_AUTH, days, now)

    def revoke(self, name: str, now: datetime | None = None) -> int:
        """Take all certificates of a name back; how many. Raises AuthorityError where it has none."""
        now = now or datetime.now(UTC)
        lines = [line for line in standing(self.folder) if line.name == name]
        if not lines:
            raise AuthorityError(f"no certificate of {name} stands")
        for line in lines:
            self._note(Line("revoked", name, line.serial, now.isoformat()))
        self._write_crl(now)
        return len(lines)

    def _issue(
        self, name: str, hosts: Sequence[str], purpose: x509.ObjectIdentifier, days: int, now: datetime | None
    ) -> Issued:
        now = now or datetime.now(UTC)
        ends = now + timedelta(days=days)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            _builder(subject, self._certificate.subject, key, now, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            names = [_host(host) for host in hosts]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        # On record before it is handed out: what is not on record could never be revoked.
        self._note(Line("issued", name, f"{certificate.serial_number:x}", now.isoformat(), ends.isoformat()))
        return Issued(name, _pem(certificate), _key_pem(key, serialization.NoEncryption()), ends)

    def _note(self, line: Line) -> None:
        with (self.folder / ISSUED).open("a", encoding="utf-8") as record:
            record.write(json.dumps(asdict(line)) + "\n")
            record.flush()
            os.fsync(record.fileno())

    def _write_crl(self, now: datetime) -> None:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - BACKDATED)
            .next_update(now + timedelta(days=CRL_DAYS))
        )
        for line in read_record(self.folder):
            if line.act == "revoked":
                entry = x509.RevokedCertificateBuilder().serial_number(int(line.serial, 16))
                builder = builder.add_revoked_certificate(
                    entry.revocation_date(datetime.fromisoformat(line.at)).build()
                )
        crl = builder.sign(self._key, hashes.SHA256())
        replace(self.folder / CRL, crl.public_bytes(serialization.Encoding.PEM))


def read_record(folder: Path) -> Iterator[Line]:
    """Every line of the record, oldest first. Raises AuthorityError where one cannot be read."""
    path = folder / ISSUED
    if not path.exists():
        return
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            yield Line(**json.loads(text))
        except (ValueError, TypeError):
            raise AuthorityError(f"{path}: line {number} is damaged") from None


def standing(folder: Path) -> list[Line]:
    """The certificates that were issued and not revoked, oldest first; some may have ended."""
    issued: dict[str, Line] = {}
    for line in read_record(folder):
        if line.act == "issued":
            issued[line.serial] = line
        else:
            issued.pop(line.serial, None)
    return list(issued.values())


def write_secret(path: Path, content: bytes) -> None:
    """A new file that nobody but its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def replace(path: Path, content: bytes) -> None:
    """Change a file at once: a reader sees the old one or the new one, never a half."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(content)
    beside.replace(path)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends) - BACKDATED)
        .not_valid_after(ends)
    )


def _key_usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey, protection: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
