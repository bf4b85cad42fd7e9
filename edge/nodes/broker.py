"""The gateway's own broker, where nodes and agent meet: mosquitto with a configuration, users and rights of ours.

Each node is a user under its own code, who may write what goes up and read what goes down under that code and nothing
else; the client id is forced to be the user name, so that no node takes another's session. Nothing is retained.
Sessions outlive a restart, so that an order waits for a sleeping node.

    passwd      `user:$7$iterations$salt$hash`, PBKDF2 with SHA-512, as mosquitto_passwd writes it
    acl         the rights
"""

import hashlib
import secrets
from base64 import b64decode, b64encode
from hmac import compare_digest
from pathlib import Path
from typing import NamedTuple

from device import node_wire, wire
from edge.nodes.folder import GATEWAY_PASSWORD, READABLE, Folder, make_folder, new_password, write_private

CONFIGURATION, USERS, RIGHTS = "mosquitto.conf", "passwd", "acl"
ITERATIONS = 20_000
"""Passwords here are 128 random bits, so this protects nothing more; it is what a node's connect may cost (15 ms)."""
SALT_BYTES = 12
MOST_QUEUED = 1_000
MOST_BYTES = 70_000
"""One message of the contract, its topic included."""


class Listener(NamedTuple):
    """Where nodes knock. With `certificate` and `key` (PEM files) the line is TLS; without, the Wi-Fi is theirs alone.
    `store` is the folder in which sessions outlive a restart ("": they do not)."""

    port: int = 1884
    address: str = "0.0.0.0"
    certificate: str = ""
    key: str = ""
    store: str = "/var/lib/shouwang-nodes"


def configuration(folder: Path, listener: Listener) -> str:
    """The text of mosquitto.conf."""
    lines = [
        "# Written by `shouwang-edge node broker`: the broker of this gateway's sensor nodes.",
        f"listener {listener.port} {listener.address}",
        "allow_anonymous false",
        f"password_file {folder / USERS}",
        f"acl_file {folder / RIGHTS}",
        "use_username_as_clientid true",
        "retain_available false",
        f"max_queued_messages {MOST_QUEUED}",
        f"max_packet_size {MOST_BYTES}",
        "max_inflight_messages 20",
        "set_tcp_nodelay true",
        "persistent_client_expiration 14d",
        "connection_messages true",
        "log_type error",
        "log_type warning",
        "log_type notice",
    ]
    if listener.certificate:
        lines += [f"certfile {listener.certificate}", f"keyfile {listener.key}", "tls_version tlsv1.2"]
    lines.append(f"persistence {str(bool(listener.store)).lower()}")
    if listener.store:
        lines.append(f"persistence_location {listener.store}/")
    return "\n".join(lines) + "\n"


def rights(gateway: str) -> str:
    """The text of the rights: the gateway's, and the pattern that holds for each node. Users come before patterns."""
    root = f"{wire.ROOT}/{node_wire.NODE}"
    lines = ["# Written by `shouwang-edge node`.", f"user {gateway}"]
    lines += [f"topic read {root}/+/{channel}" for channel in node_wire.UP]
    lines += [f"topic write {root}/+/{channel}" for channel in node_wire.DOWN]
    lines += [f"pattern write {root}/%u/{channel}" for channel in node_wire.UP]
    lines += [f"pattern read {root}/%u/{channel}" for channel in node_wire.DOWN]
    return "\n".join(lines) + "\n"


def user_line(user: str, password: str, salt: bytes | None = None) -> str:
    """A user as mosquitto 2 reads it."""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"{user}:$7${ITERATIONS}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def is_password(line: str, password: str) -> bool:
    """Whether a line of ours is of this password."""
    _, _, form = line.partition(":")
    _, _, iterations, salt, digest = form.split("$")
    wanted = hashlib.pbkdf2_hmac("sha512", password.encode(), b64decode(salt), int(iterations))
    return compare_digest(wanted, b64decode(digest))


def write(folder: Path, gateway: str, listener: Listener) -> None:
    """Write all that the broker needs, and the gateway's password where there is none. OSError."""
    make_folder(folder)
    own = folder / GATEWAY_PASSWORD
    if not own.exists():
        write_private(own, new_password() + "\n", READABLE)
    set_user(folder, gateway, Folder(folder).password())
    write_private(folder / RIGHTS, rights(gateway), READABLE)
    write_private(folder / CONFIGURATION, configuration(folder, listener), READABLE)


def set_user(folder: Path, user: str, password: str | None) -> None:
    """Give a user this password, or take the user away (None). mosquitto sees it when it reloads (SIGHUP)."""
    path = folder / USERS
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    same = [line for line in lines if line.startswith(f"{user}:")]
    if password is not None and same and is_password(same[0], password):
        return
    lines = [line for line in lines if not line.startswith(f"{user}:")]
    lines += [user_line(user, password)] if password is not None else []
    write_private(path, "\n".join(sorted(lines)) + "\n", READABLE)
