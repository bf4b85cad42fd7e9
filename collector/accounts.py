"""Who may look and act: personal accounts, sessions, and a brake on guessing.

Passwords are hashed with Argon2id, off the event loop and one at a time, so that a crowd at the door costs neither the
board's time nor the memory. A session's token exists only in its cookie; the store keeps a digest.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from collector.access import Visitor, homes_of
from collector.clock import Clock
from collector.store import people
from collector.store.reader import Reader, Session
from collector.store.writer import Writer

MIN_PASSWORD = 10
MAX_PASSWORD = 200
IDLE_END_MS = 30 * 60_000
"""A session that nobody uses ends after this. A board left open goes on watching, and acts no more without a login: one
that went dark in the night would hide the next alarm."""
LATEST_END_MS = 7 * 86_400_000
CHECK_AGAIN_MS = 3_000  # a removed account is out within this
SAY_USED_MS = 60_000
FREE_FAILURES = 5
FIRST_WAIT_MS = 30_000
LONGEST_WAIT_MS = 900_000
REMEMBERED = 2_000

# OWASP's smaller setting for Argon2id (19 MiB, 2 passes): the library's default of 64 MiB is half of what we may use.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Checked where there is no such account, so that the answer takes as long as for one that exists.
_NOBODY = _HASHER.hash(secrets.token_urlsafe(32))


class WrongPassword(Exception):
    """The name or the password is wrong."""


class TooManyFailures(Exception):
    """Guessing is slowed down; `wait_s` says for how long."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many failures, wait {wait_s} s")
        self.wait_s = wait_s


class Login(NamedTuple):
    """A session just begun: the cookie's token."""

    name: str
    token: str


def hash_password(password: str) -> str:
    """The hash to keep of a new password. ValueError says what is wrong with it."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ValueError(f"expected a password of {MIN_PASSWORD} to {MAX_PASSWORD} characters, got {len(password)}")
    return _HASHER.hash(password)


class Brake:
    """Counts failures per name and per address, and says how long to wait (all monotonic milliseconds)."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def wait_ms(self, keys: list[str], now_ms: int) -> int:
        """How long these still have to wait."""
        return max((self._until(key) - now_ms for key in keys), default=0)

    def fail(self, keys: list[str], now_ms: int) -> None:
        """One more failure; the wait doubles with each beyond the free ones."""
        for key in keys:
            count = self._failures.pop(key, (0, 0))[0] + 1
            beyond = count - FREE_FAILURES
            wait_ms = 0 if beyond < 0 else min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(beyond, 10))
            self._failures[key] = (count, now_ms + wait_ms)
            if len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def succeed(self, keys: list[str]) -> None:
        """Forget the failures."""
        for key in keys:
            self._failures.pop(key, None)

    def _until(self, key: str) -> int:
        return self._failures.get(key, (0, 0))[1]


@dataclass(slots=True)
class _Known:
    """A session as last read. What was used since is kept here too, so that a dead disk logs nobody out."""

    checked_ms: int
    session: Session | None
    used_ms: int = 0
    watched_ms: int = 0
    said_ms: int = 0


class Accounts:
    """Logs people in and out and knows them again. Lives on the event loop."""

    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._brake = Brake()
        self._one_at_a_time = asyncio.Semaphore(1)
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def log_in(self, name: str, password: str, address: str) -> Login:
        """Begin a session. Raises WrongPassword, TooManyFailures, StoreError."""
        keys = [f"name {name}", f"address {address}"]
        wait_ms = self._brake.wait_ms(keys, self._clock.mono_ms())
        if wait_ms > 0:
            raise TooManyFailures(-(-wait_ms // 1000))
        async with self._one_at_a_time:
            good = await asyncio.to_thread(self._is_right, name, password[:MAX_PASSWORD])
        if not good:
            self._brake.fail(keys, self._clock.mono_ms())
            raise WrongPassword
        self._brake.succeed(keys)
        token = secrets.token_urlsafe(32)
        digest, csrf = _digest(token), secrets.token_urlsafe(24)
        ended_ms = self._clock.wall_ms() - IDLE_END_MS
        begin = self._writer.run(lambda intake: people.begin_session(intake, digest, name, csrf, address, ended_ms))
        await asyncio.wrap_future(begin)
        return Login(name, token)

    async def log_out(self, token: str) -> None:
        """End a session."""
        digest = _digest(token)
        self._known.pop(digest, None)
        await asyncio.wrap_future(self._writer.run(lambda intake: people.end_session(intake, digest)))

    async def visitor(self, token: str | None, *, uses: bool = False, watches: bool = False) -> Visitor | None:
        """Whose token that is; None for nobody's, or one that has ended. `uses`: a person asks for something;
        `watches`: an open board asks by itself."""
        if not token or len(token) > 100:
            return None
        digest, now_ms = _digest(token), self._clock.wall_ms()
        known = await self._look_up(digest)
        session = known.session
        if session is None or self._has_ended(known, session):
            self._known.pop(digest, None)
            return None
        is_idle = now_ms - known.used_ms > IDLE_END_MS
        if uses and not is_idle:
            known.used_ms = now_ms
        if watches:
            known.watched_ms = now_ms
        if (uses or watches) and abs(now_ms - known.said_ms) > SAY_USED_MS:
            known.said_ms = now_ms
            used_ms, watched_ms = known.used_ms, known.watched_ms
            self._writer.run(lambda intake: people.use_session(intake, digest, used_ms, watched_ms))
        return self._visitor(digest, session, is_idle)

    async def _look_up(self, digest: str) -> _Known:
        now_ms = self._clock.mono_ms()
        known = self._known.get(digest)
        if known is None or now_ms - known.checked_ms > CHECK_AGAIN_MS:
            session = await asyncio.to_thread(self._reader.session, digest)
            known = self._known.setdefault(digest, _Known(now_ms, session))
            known.checked_ms, known.session = now_ms, session
            if session is not None:
                known.used_ms = max(known.used_ms, session.used_ms)
                known.watched_ms = max(known.watched_ms, session.watched_ms)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _visitor(self, digest: str, session: Session, is_idle: bool) -> Visitor:
        standing = session.standing
        today = datetime.fromtimestamp(self._clock.wall_ms() / 1000).date().isoformat()
        homes = homes_of(standing, session.in_street, session.given, today)
        return Visitor(
            session.account, standing.role, homes, standing.rights, standing.organisation, session.csrf, digest, is_idle
        )

    def _has_ended(self, known: _Known, session: Session) -> bool:
        now_ms = self._clock.wall_ms()
        unused_ms = now_ms - max(known.used_ms, known.watched_ms)
        return unused_ms > IDLE_END_MS or now_ms - session.started_ms > LATEST_END_MS

    def _is_right(self, name: str, password: str) -> bool:
        account = self._reader.account(name)
        try:
            _HASHER.verify(account.password if account else _NOBODY, password)
        except (VerificationError, InvalidHashError):
            return False
        return account is not None


def same(first: str, second: str) -> bool:
    """Whether two secrets are the same, in a time that tells nothing."""
    return hmac.compare_digest(first.encode(), second.encode())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
