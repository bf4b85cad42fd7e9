"""The firmware that this gateway carries, as a node is flashed with it and as it is updated to it."""

import hashlib
from base64 import b64encode
from importlib import resources
from typing import NamedTuple

from device import node_wire
from edge import __version__

OWN = ("board.py",)
"""Of device/, what is a node's own or a template for it."""


class Release(NamedTuple):
    """Files by name, and what the whole is called: the version, and a hash that two different ones never share."""

    version: str
    files: dict[str, bytes]

    def manifest(self, node: str, release: int, key: bytes) -> node_wire.Update:
        """The signed offer of it to a node, as number `release`."""
        files = tuple(
            node_wire.File(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in self.files.items()
        )
        signature = node_wire.sign(key, node_wire.signed_bytes(node, release, self.version, files))
        return node_wire.Update(release, self.version, files, signature)

    def piece(self, release: int, name: str, offset: int) -> node_wire.Chunk | None:
        """The piece that a node asked for; None where there is none."""
        data = self.files.get(name, b"")[offset : offset + node_wire.CHUNK_BYTES]
        return node_wire.Chunk(release, name, offset, b64encode(data).decode()) if data else None


def carried() -> Release:
    """What this gateway was installed with."""
    folder = resources.files("device")
    names = sorted(each.name for each in folder.iterdir() if each.name.endswith(".py") and each.name not in OWN)
    return release_of({name: (folder / name).read_bytes() for name in names})


def release_of(files: dict[str, bytes]) -> Release:
    """A release of these files."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name} {hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return Release(f"{__version__}-{digest.hexdigest()[:8]}", files)
