"""The `[uplink]` table of the configuration."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge.schema import Ms


@dataclass(frozen=True, slots=True)
class UplinkConfig:
    """Where the broker is and how to be let in. `client_id` is `{home}-{gateway}` unless given; it never changes, so
    that a broker ends a half-open session when its gateway comes back.

    `password_file` holds the password alone; it and `key` must not be readable by others.
    """

    host: str = ""
    port: int = 1883
    enabled: bool = True
    client_id: str = ""
    keepalive: Ms = Ms(20_000)
    username: str | None = None
    password_file: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        if self.enabled and not self.host:
            yield "host", "the name or address of the broker", self.host
        if not 1 <= self.port <= 65_535:
            yield "port", "1 to 65535", self.port
        if not 5_000 <= self.keepalive <= 60_000:
            yield "keepalive", "5s to 60s", f"{self.keepalive} ms"
        if (self.cert is None) != (self.key is None):
            yield "key", "cert and key together", "one of them"
        if self.cert is not None and self.ca is None:
            yield "ca", "the authority that signed the broker's certificate, beside cert", ""
        if self.password_file is not None and self.username is None:
            yield "username", "a name beside password_file", ""


def read_secret(path: str) -> str:
    """The secret in a file. OSError where it is not there; PermissionError where others may read it."""
    check_secret(path)
    return Path(path).read_text(encoding="utf-8").strip()


def check_secret(path: str) -> None:
    """PermissionError where others may read the file."""
    if Path(path).stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise PermissionError(f"{path}: must not be readable by others (chmod o-rwx)")
