"""How a collector is run. One frozen value, checked where the command line ends."""

import re
from dataclasses import dataclass
from pathlib import Path

_UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
SILENT_AFTER_MS = 65_000
SILENT_AFTER_MAX_MS = 100_000
"""A dead gateway shows on the board within 100 s; a state comes every 20 s."""


@dataclass(frozen=True, slots=True)
class Broker:
    """The MQTT broker to listen on. `ca` and a password file, or `cert` and `key`, are for one beyond this machine."""

    host: str = "127.0.0.1"
    port: int = 1883
    user: str = ""
    password_file: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """`data` is the folder of the store. `open_read`: the board needs no login, on loopback only. `tls` are certificate
    and key of the web server, where no proxy stands before it."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    broker: Broker = Broker()
    embedded_broker: bool = False
    open_read: bool = False
    tls: tuple[Path, Path] | None = None
    silent_after_ms: int = SILENT_AFTER_MS
    keep_readings_ms: int = 30 * 86_400_000


def duration_ms(text: str) -> int:
    """Integer milliseconds of a duration such as "65s"; ValueError says what was expected."""
    match = re.fullmatch(r"(\d+)(ms|s|min|h|d)", text)
    if match is None:
        raise ValueError(f'expected a duration like "65s", got {text!r}')
    return int(match[1]) * _UNITS_MS[match[2]]


def address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT; ValueError says what was expected."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"expected HOST:PORT, got {text!r}")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return host in ("localhost", "::1") or host.startswith("127.")


def check_secret(path: Path) -> None:
    """PermissionError where others may read the file; OSError where it is not there."""
    if path.stat().st_mode & 0o007:
        raise PermissionError(f"{path}: must not be readable by others (chmod o-rwx)")
