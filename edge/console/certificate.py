"""The console's own certificate: self-signed, made once, known to people by its fingerprint.

It may be installed on a tablet, which then asks no more: hence a CA of its own that signs nothing else (path length 0).
"""

import datetime
import hashlib
import ipaddress
import socket
import ssl
from pathlib import Path

from edge.console.tablets import make_folder, put

CERTIFICATE, KEY = "certificate.pem", "key.pem"
_NOT_BEFORE = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
"""Long ago: a gateway without a clock may make it in what it takes for 1970, and a tablet knows better."""
_NOT_AFTER = datetime.datetime(2044, 1, 1, tzinfo=datetime.UTC)


def ensure(folder: Path, home: str) -> Path:
    """The certificate's path; it is made where there is none. Raises ImportError without the library."""
    path = folder / CERTIFICATE
    if not path.exists() or not (folder / KEY).exists():
        make_folder(folder)
        _make(folder, home)
    return path


def fingerprint(path: Path) -> str:
    """SHA-256 of the certificate as browsers show it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def context(folder: Path) -> ssl.SSLContext:
    """What the tablets' listener speaks. Raises OSError where certificate or key are not there or do not fit."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return made


def addresses() -> list[str]:
    """This machine's address as others on its network see it, the likeliest first. Nothing is sent."""
    found = []
    # Documentation addresses: the kernel only picks the route, and with it the address of ours.
    for family, remote in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((remote, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue
    return found or ["127.0.0.1"]


def _make(folder: Path, home: str) -> None:
    # Only here: a console that serves has no use for it, and on a Raspberry Pi it is 8 MiB.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"shouwang console {home}")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName(socket.gethostname())]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in dict.fromkeys([*addresses(), "127.0.0.1"])]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    put(
        folder / KEY,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    put(folder / CERTIFICATE, made.public_bytes(serialization.Encoding.PEM))
