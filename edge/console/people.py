"""Who is signed in at which station, and the lock that keeps guessers out.

A station is the home's own screen or a paired tablet. Five wrong PINs at one lock *operate* there for a minute, also
for whoever is signed in; silencing needs no PIN and is never locked. All times are monotonic milliseconds. Sessions are
kept in memory only, so a restart ends them.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edge.console.pins import MAX_DIGITS, NOBODY, is_right
from edge.console.tables import PersonTable, Right

WRONG_PINS = 5
LOCK_MS = 60_000
IDLE_END_MS = 300_000
"""A carer who walks away from the screen is signed out after this; whoever operates is not."""
LATEST_END_MS = 12 * 3_600_000
SESSIONS_MAX = 32
WAITING_MAX = 4
"""Sign-ins that may wait for the one that is checked; beyond them a crowd is told to try again."""


class WrongPin(Exception):
    """The name or the PIN is wrong; `left` more may be tried before the lock."""

    def __init__(self, left: int) -> None:
        super().__init__(f"wrong PIN, {left} left")
        self.left = left


class Locked(Exception):
    """Too many wrong PINs at this station."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(f"locked for {wait_ms} ms")
        self.wait_ms = wait_ms


class Busy(Exception):
    """Too many sign in at the same time."""


class Session(NamedTuple):
    """A person who is signed in."""

    name: str
    rights: tuple[Right, ...]
    remaining_ms: int


@dataclass(slots=True)
class _Kept:
    name: str
    station: str
    began_ms: int
    used_ms: int


@dataclass(slots=True)
class _Tries:
    """The wrong PINs at one station, by the name that each was for."""

    wrong: list[str] = field(default_factory=list)
    locked_until_ms: int = 0


class People:
    """Signs people in and out. Belongs to the loop's thread; PINs are hashed in another, one at a time."""

    def __init__(
        self,
        people: Mapping[str, PersonTable],
        mono_ms: Callable[[], int],
        check: Callable[[str, str], bool] = is_right,
    ) -> None:
        self._people = people
        self._mono_ms = mono_ms
        self._check = check
        self._sessions: dict[str, _Kept] = {}
        self._tries: dict[str, _Tries] = {}
        self._one_at_a_time = asyncio.Semaphore(1)
        self._waiting = 0

    def names(self) -> list[str]:
        """Everybody who may operate, in the file's order."""
        return [person.name for person in self._people.values() if Right.OPERATE in person.may]

    async def sign_in(self, station: str, name: str, pin: str) -> str:
        """Begin a session; its token. Raises Locked, WrongPin, Busy."""
        if self._waiting >= WAITING_MAX:
            raise Busy
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                self.refuse_locked(station)  # in here, so that of twenty tries at once only five are checked
                person = self._people.get(name)
                hashed = person.pin if person is not None else NOBODY
                is_pin = await asyncio.to_thread(self._check, pin[: MAX_DIGITS + 1], hashed)
        finally:
            self._waiting -= 1
        if person is None or not is_pin:
            raise self._wrong(station, name)
        tries = self._tries.setdefault(station, _Tries())
        # Only one's own mistakes are forgiven: a person with a PIN is no help in finding another's.
        tries.wrong = [wrong for wrong in tries.wrong if wrong != name]
        return self._begin(station, name)

    def refuse_locked(self, station: str) -> None:
        """Raises Locked where the station is."""
        wait_ms = self.locked_ms(station)
        if wait_ms > 0:
            raise Locked(wait_ms)

    def locked_ms(self, station: str) -> int:
        """How long the station is still locked; 0 where it is not."""
        tries = self._tries.get(station)
        return max(0, tries.locked_until_ms - self._mono_ms()) if tries is not None else 0

    def session(self, station: str, token: str, is_use: bool = False) -> Session | None:
        """Who a token belongs to; `is_use` says that the person has done something."""
        key, now_ms = _digest(token), self._mono_ms()
        kept = self._sessions.get(key)
        if kept is None or kept.station != station:
            return None
        remaining_ms = min(kept.used_ms + IDLE_END_MS, kept.began_ms + LATEST_END_MS) - now_ms
        if remaining_ms <= 0:
            del self._sessions[key]
            return None
        if is_use:
            kept.used_ms = now_ms
            remaining_ms = min(IDLE_END_MS, kept.began_ms + LATEST_END_MS - now_ms)
        return Session(kept.name, self._people[kept.name].may, remaining_ms)

    def sign_out(self, token: str) -> None:
        """End a session."""
        self._sessions.pop(_digest(token), None)

    def end_station(self, station: str) -> None:
        """End all sessions of a station that is no more."""
        self._sessions = {key: kept for key, kept in self._sessions.items() if kept.station != station}

    def _begin(self, station: str, name: str) -> str:
        token, now_ms = secrets.token_urlsafe(32), self._mono_ms()
        if len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].used_ms)]
        self._sessions[_digest(token)] = _Kept(name, station, now_ms, now_ms)
        return token

    def _wrong(self, station: str, name: str) -> WrongPin:
        tries = self._tries.setdefault(station, _Tries())
        tries.wrong.append(name)
        left = WRONG_PINS - len(tries.wrong)
        if left <= 0:
            tries.wrong.clear()
            tries.locked_until_ms = self._mono_ms() + LOCK_MS
        return WrongPin(left)


def _digest(token: str) -> str:
    """Looking a digest up tells nothing about a token by the time it takes."""
    return hashlib.sha256(token.encode()).hexdigest()
