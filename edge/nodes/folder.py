"""The folder of the nodes' secrets (`/etc/shouwang/nodes`): the gateway's password at its broker, and for each node a
folder with what is flashed on it and the key that its updates are signed with.

    gateway.password    the gateway's own at the broker
    passwd, acl, mosquitto.conf    the broker's (broker.py)
    n1/board.py         who the node is and what hangs on it; flashed
    n1/release          the name of the firmware that is flashed with it
    n1/key              64 hex digits
    n1/kind             mains or sleeping

Everything in it is readable by its owner and the group of the agent at most, what is flashed by its owner alone; a
secret that others may read is refused.
"""

import grp
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from device import node_wire
from edge.uplink.config import read_secret

GATEWAY_PASSWORD = "gateway.password"
BOARD, RELEASE, KEY, KIND = "board.py", "release", "key", "kind"
PRIVATE = 0o600
READABLE = 0o640
"""For what agent and broker read: as the group below, whose user they both are."""
GROUP = "shouwang"
_KEY = re.compile(r"[0-9a-f]{64}")


class Folder:
    """The folder, made by `node add`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def password(self) -> str:
        """The gateway's at the broker. OSError where there is none or others may read it."""
        return read_secret(str(self.path / GATEWAY_PASSWORD))

    def key(self, node: str) -> bytes:
        """What updates for a node are signed with. OSError as above; ValueError where it is no key."""
        text = read_secret(str(self.path / node / KEY))
        if not _KEY.fullmatch(text):
            raise ValueError(f"{self.path / node / KEY}: expected 64 hex digits, got something else")
        return bytes.fromhex(text)

    def nodes(self) -> list[str]:
        """The codes of the nodes that have been added."""
        if not self.path.is_dir():
            return []
        return sorted(each.name for each in self.path.iterdir() if (each / KEY).is_file())

    def kind(self, node: str) -> str:
        """What a node lives on."""
        return (self.path / node / KIND).read_text("ascii").strip()

    def of(self, node: str) -> Path:
        """A node's own folder. WireError where the code is none."""
        node_wire.topic(node, node_wire.BEAT)
        return self.path / node


def make_folder(path: Path) -> None:
    """A folder that only its owner and group enter; one that others may enter is closed to them."""
    path.mkdir(mode=0o750, parents=True, exist_ok=True)
    path.chmod(path.stat().st_mode & ~0o007)
    _share(path)


def write_private(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Put a file in place, whole, on the disk, and never for a moment readable by others."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if mode & 0o040:
        _share(draft)
    draft.replace(path)


def _share(path: Path) -> None:
    """Let the agent's user read it, where there is one and we may say so; else the administrator has to."""
    with suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)


def new_password() -> str:
    """128 bits, in what a broker and a board's flash both take."""
    return secrets.token_hex(16)


def new_key() -> str:
    """256 bits in hex."""
    return secrets.token_hex(32)
