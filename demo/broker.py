"""The demonstration's own broker: mosquitto as a private child, or the collector's embedded one without it."""

import os
import pwd
import shutil
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
_CONFIGURATION = """\
listener {port} {host}
allow_anonymous true
persistence false
# Started by root it would change its user, and with that lose what ends it should the demonstration be killed.
user {user}
log_dest stderr
# The default of 1,000 drops silently beyond that.
max_queued_messages 100000
max_inflight_messages 100
set_tcp_nodelay true
"""
# Debian keeps daemons off a user's PATH.
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"


def mosquitto() -> str | None:
    """The program's path, where it is installed."""
    return shutil.which("mosquitto", path=_PATH)


def command(program: str, folder: Path, port: int) -> list[str]:
    """How to start it on `port`; writes its configuration into `folder`."""
    path = folder / "mosquitto.conf"
    path.write_text(_CONFIGURATION.format(port=port, host=LOOPBACK, user=_user()), encoding="utf-8")
    return [program, "-c", str(path)]


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # mosquitto asks for it of root only, who has a name
        return "root"


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        port: int = sock.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on a port of loopback."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
    except OSError:
        return False


def is_free(port: int) -> bool:
    """Whether we could listen on a port of loopback."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
