"""What mosquitto has to be told: TLS, the certificate's name as the user, and who may say what.

The access list follows the table of CONTRACT.md. `%u` is the name in a gateway's certificate, `{home}/{gateway}`; a
pattern with `+` in place of the home would let a gateway speak for another home.
"""

from pathlib import Path

from collector.identity.authority import CA_CERTIFICATE, COLLECTOR, CRL, Authority, Issued, replace, write_secret
from device import wire

CONFIGURATION, ACCESS, CERTIFICATE, KEY = "mosquitto.conf", "acl", "broker.pem", "broker.key"

_CONFIGURATION = """\
# Written by shouwang-collector. Beside it lie the certificates, the list of those revoked, and the access list.
listener {port}{bind}
cafile {folder}/{ca}
certfile {folder}/{certificate}
keyfile {folder}/{key}
# Read again at SIGHUP. A gateway that is revoked while connected is let go at its next connection: restart to be sure.
crlfile {folder}/{crl}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/{access}
persistence false
# The default of 1,000 drops silently beyond that. Nothing rests on it: gateways keep what is not acknowledged.
max_queued_messages 100000
max_inflight_messages 100
message_size_limit 65536
set_tcp_nodelay true
"""


def access_list() -> str:
    """The access list of mosquitto."""
    lines = ["# Each gateway, under its own name only."]
    lines += [f"pattern write {wire.ROOT}/%u/{channel}" for channel in wire.UP]
    lines += [f"pattern read {wire.ROOT}/%u/{channel}" for channel in wire.DOWN]
    lines += ["", "# The collector hears all and answers all.", f"user {COLLECTOR}"]
    lines += [f"topic read {wire.ROOT}/+/+/{channel}" for channel in wire.UP]
    lines += [f"topic write {wire.ROOT}/+/+/{channel}" for channel in wire.DOWN]
    return "\n".join(lines) + "\n"


def write_broker(authority: Authority, issued: Issued, folder: Path, port: int, bind: str = "") -> None:
    """All files of the broker, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CA_CERTIFICATE).write_bytes(authority.certificate)
    (folder / CERTIFICATE).write_bytes(issued.certificate)
    write_secret(folder / KEY, issued.key)
    (folder / ACCESS).write_text(access_list(), encoding="utf-8")
    (folder / ACCESS).chmod(0o600)  # mosquitto warns about one that others may read
    publish_crl(authority, folder)
    (folder / CONFIGURATION).write_text(
        _CONFIGURATION.format(
            port=port,
            bind=f" {bind}" if bind else "",
            folder=folder.resolve(),
            ca=CA_CERTIFICATE,
            certificate=CERTIFICATE,
            key=KEY,
            crl=CRL,
            access=ACCESS,
        ),
        encoding="utf-8",
    )


def publish_crl(authority: Authority, folder: Path) -> None:
    """Give the broker the list of what is revoked."""
    replace(folder / CRL, (authority.folder / CRL).read_bytes())
