"""Paired tablets: a person at the gateway invites one with a one-time code, and it keeps a token that can be revoked.

The file is shared between the serving console and the commands `pair`, `tablets` and `revoke`; each change is made
under a lock and put in place whole. Codes and tokens are kept as digests only.
"""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge.clock import Clock

FILE = "tablets.json"
CODE_MS = 600_000
CODE_TRIES = 5
CODE_DIGITS = 8
TABLETS_MAX = 16


class TabletsError(Exception):
    """Tablets cannot be paired or known; the text says why."""


@dataclass(frozen=True, slots=True)
class Tablet:
    """A paired tablet. `paired_ms` is Unix time, as the machine had it."""

    name: str
    token: str
    paired_ms: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code that is waiting for its tablet. It ends with the boot in which it was made, or at `until_ms` of it."""

    name: str
    code: str
    boot: str
    until_ms: int
    tries: int


@dataclass(frozen=True, slots=True)
class _Kept:
    tablets: tuple[Tablet, ...] = ()
    invitation: Invitation | None = None


class Tablets:
    """The file in `folder`. Reading it again costs a `stat` where nothing has changed."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._kept = _Kept()

    def all(self) -> tuple[Tablet, ...]:
        """The paired tablets. Raises TabletsError where the file cannot be read."""
        return self._read().tablets

    def invitation(self) -> Invitation | None:
        """The invitation that still holds."""
        found = self._read().invitation
        holds = found is not None and found.boot == self._clock.boot and self._clock.mono_ms() < found.until_ms
        return found if holds and found is not None and found.tries < CODE_TRIES else None

    def known(self, token: str) -> Tablet | None:
        """Whose token it is."""
        digest = _digest(token)
        return next((tablet for tablet in self.all() if hmac.compare_digest(tablet.token, digest)), None)

    def invite(self, name: str) -> str:
        """Make a one-time code for a tablet of this name; an older code holds no more. Raises TabletsError."""
        code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))
        with self._changing() as kept:
            if len([tablet for tablet in kept.tablets if tablet.name != name]) >= TABLETS_MAX:
                raise TabletsError(f"{TABLETS_MAX} tablets are paired already; revoke one first")
            until_ms = self._clock.mono_ms() + CODE_MS
            made = Invitation(name, _digest(code), self._clock.boot, until_ms, tries=0)
            self._write(replace(kept, invitation=made))
        return code

    def pair(self, code: str) -> tuple[str, str] | None:
        """Name and token of the tablet that has shown the code; None where it is wrong or none holds.

        A tablet of the same name is no longer known.
        """
        with self._changing() as kept:
            invitation = self.invitation()
            if invitation is None:
                return None
            if not hmac.compare_digest(invitation.code, _digest(code)):
                self._write(replace(kept, invitation=replace(invitation, tries=invitation.tries + 1)))
                return None
            token = secrets.token_urlsafe(32)
            others = tuple(tablet for tablet in kept.tablets if tablet.name != invitation.name)
            made = Tablet(invitation.name, _digest(token), self._clock.wall_ms())
            self._write(_Kept((*others, made)))
        return invitation.name, token

    def revoke(self, name: str) -> bool:
        """Forget a tablet; whether there was one."""
        with self._changing() as kept:
            left = tuple(tablet for tablet in kept.tablets if tablet.name != name)
            if len(left) == len(kept.tablets):
                return False
            self._write(replace(kept, tablets=left))
        return True

    def _read(self) -> _Kept:
        path = self._folder / FILE
        try:
            found = path.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen != self._seen:
                self._kept, self._seen = _parsed(path.read_bytes()), seen
        except FileNotFoundError:
            self._kept, self._seen = _Kept(), None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise TabletsError(f"{path}: cannot be read: {error}; remove it and pair the tablets again") from None
        return self._kept

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_Kept]:
        try:
            make_folder(self._folder)
            with (self._folder / "lock").open("a") as lock:
                own(self._folder / "lock")
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield self._read()
        except OSError as error:
            raise TabletsError(f"{error.filename or self._folder}: {error.strerror}") from None

    def _write(self, kept: _Kept) -> None:
        put(self._folder / FILE, json.dumps(asdict(kept), ensure_ascii=False).encode())
        self._seen = None


def make_folder(folder: Path) -> None:
    """The console's folder, for its user only."""
    folder.mkdir(mode=0o700, exist_ok=True)
    own(folder)


def put(path: Path, content: bytes) -> None:
    """A file whole or not at all, readable by its user only."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        own(Path(name))
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def own(path: Path) -> None:
    """Give what root made, by a command under sudo, to whom the data folder belongs: the console has to read it."""
    if os.geteuid() == 0:
        folder = path.parent if path.parent.name != "console" else path.parent.parent
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _parsed(raw: bytes) -> _Kept:
    table = json.loads(raw)
    invitation = table["invitation"]
    return _Kept(
        tuple(Tablet(**tablet) for tablet in table["tablets"]),
        Invitation(**invitation) if invitation is not None else None,
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
