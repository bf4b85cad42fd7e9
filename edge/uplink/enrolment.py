"""Taking in an enrolment bundle, and knowing when a certificate ends.

The bundle is the collector's (`shouwang-collector home add`): a tar archive of `ca.pem`, `cert.pem`, `key.pem` and
`uplink.json`. Key and certificate become one file, replaced at once, so that a power cut leaves an old pair or a new
one. The uplink reads it at each connection, and makes a new connection where it has changed.
"""

import json
import os
import ssl
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CA, PAIR, ABOUT = "ca.pem", "gateway.pem", "uplink.json"
_MEMBERS = ("ca.pem", "cert.pem", "key.pem", "uplink.json")
_MEMBER_MAX = 65_536


class BundleError(Exception):
    """The file is no enrolment bundle; the text says what is wrong with it."""


def take_in(bundle: Path, folder: Path) -> dict[str, Any]:
    """Install a bundle's files in `folder` and return what it says about the gateway and the broker.

    Raises BundleError where it is none; OSError where a file cannot be read or written.
    """
    members = _unpacked(bundle)
    about = _about(members["uplink.json"])
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    # Certificate and key in one file: two files could be cut apart, and then neither would do.
    pair = _beside(folder / PAIR, members["key.pem"] + members["cert.pem"], 0o640)
    _check_pair(pair, members["ca.pem"])
    for name, content in ((CA, members["ca.pem"]), (ABOUT, members["uplink.json"])):
        _beside(folder / name, content, 0o644).replace(folder / name)
    pair.replace(folder / PAIR)
    return about


def stanza(about: Mapping[str, Any], folder: Path) -> str:
    """The `[uplink]` table that uses an installed bundle."""
    pair = folder / PAIR
    lines = [f'host = "{about["host"]}"', f"port = {about['port']}", f'ca = "{folder / CA}"']
    return "\n".join(["[uplink]", *lines, f'cert = "{pair}"', f'key = "{pair}"'])


class Certificate:
    """A gateway's certificate as a file that may be renewed under our feet. For the uplink's thread: reading a file may
    hang with its disk."""

    LOOK_EVERY_MS = 10_000

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._stamp: tuple[int, int] | None = None
        self._look_ms = 0

    def read(self, now_ms: int) -> int | None:
        """When it ends; None where it cannot be read, which the connection will complain about."""
        self._look_ms = now_ms + self.LOOK_EVERY_MS
        try:
            self._stamp = self._stamped()
            return certificate_ends_ms(self._path)
        except (OSError, ValueError):
            return None

    def has_changed(self, now_ms: int) -> bool:
        """Whether the file is another one than was read last; looked at now and then."""
        if now_ms < self._look_ms:
            return False
        self._look_ms = now_ms + self.LOOK_EVERY_MS
        with suppress(OSError):
            return self._stamped() != self._stamp
        return False

    def _stamped(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_ino, found.st_mtime_ns


def certificate_ends_ms(path: str | Path) -> int:
    """When the first certificate in a PEM file stops being valid, in Unix milliseconds. ValueError where there is none.

    Read out of its DER by hand (RFC 5280 4.1: the fifth element of the signed part, the fourth where there is no
    version): the standard library does not offer it, and a library for it would cost the gateway 10 MB of memory.
    """
    text = Path(path).read_text(encoding="ascii", errors="replace")
    begin, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    if begin < 0 or end < begin:
        raise ValueError("no certificate in it")
    der = ssl.PEM_cert_to_DER_cert(text[begin : end + len(ssl.PEM_FOOTER)])
    signed = _elements(_elements(der)[0][1])[0][1]
    elements = _elements(signed)
    validity = elements[4 if elements[0][0] == 0xA0 else 3][1]
    tag, raw = _elements(validity)[1]
    form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"
    return int(datetime.strptime(raw.decode("ascii"), form).replace(tzinfo=UTC).timestamp() * 1000)


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each element that follows another in `der`. ValueError where it is cut short."""
    out = []
    at = 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("a certificate that is cut short")
        tag, size = der[at], der[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(der[at : at + count], "big")
            at += count
        if at + size > len(der):
            raise ValueError("a certificate that is cut short")
        out.append((tag, der[at : at + size]))
        at += size
    if not out:
        raise ValueError("a certificate with nothing in it")
    return out


def _unpacked(bundle: Path) -> dict[str, bytes]:
    members = {}
    try:
        with tarfile.open(bundle, "r:") as archive:
            for entry in archive:
                file = archive.extractfile(entry) if entry.isreg() else None
                if file is None or entry.name not in _MEMBERS or entry.size > _MEMBER_MAX:
                    raise BundleError(f"{bundle}: {entry.name[:60]!r} does not belong into an enrolment bundle")
                members[entry.name] = file.read()
    except tarfile.TarError as error:
        raise BundleError(f"{bundle}: not an enrolment bundle: {error}") from None
    missing = [name for name in _MEMBERS if name not in members]
    if missing:
        raise BundleError(f"{bundle}: {', '.join(missing)} missing from the bundle")
    return members


def _about(raw: bytes) -> dict[str, Any]:
    wanted = {"home": str, "gateway": str, "host": str, "port": int, "ends": str}
    try:
        about = json.loads(raw)
        found = {name: about[name] for name in wanted}
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"uplink.json of the bundle: {error}") from None
    for name, kind in wanted.items():
        if type(found[name]) is not kind or not str(found[name]).isprintable() or '"' in str(found[name]):
            raise BundleError(f"uplink.json of the bundle: {name}: expected {kind.__name__}, got {found[name]!r}")
    return found


def _beside(path: Path, content: bytes, mode: int) -> Path:
    """The content on disk, under another name beside `path`."""
    beside = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        beside.unlink()
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return beside


def _check_pair(pair: Path, authority: bytes) -> None:
    try:
        context = ssl.create_default_context(cadata=authority.decode("ascii", "replace"))
        context.load_cert_chain(pair)
    except ssl.SSLError as error:
        pair.unlink()
        raise BundleError(f"the bundle's certificates and key do not belong together: {error.reason}") from None
