"""The collector's own log: what it observed itself and what people did at the bureau, as a chain of sealed events.

An entry is one JSON object with sorted keys. Its last member is `"~hash"`, the SHA-256 of the object without that
member; `prev` is the hash of the entry before. The collector is its only author, so the bytes stand for themselves and
no other program has to produce the same ones.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

GENESIS = "0" * 64
ALG = "sha256"


class OwnKind(StrEnum):
    """What an entry says."""

    START = "start"
    STOP = "stop"
    SILENT = "silent"
    BACK = "back"
    GAP = "gap"
    DUPLICATE = "duplicate_gateway"
    NEW_JOURNAL = "new_journal"
    REWOUND = "rewound"
    CHAIN_BREAK = "chain_break"
    LINE_DOWN = "line_down"
    LINE_UP = "line_up"
    SEEN = "seen"
    STORE_REPLACED = "store_replaced"
    USER = "user"
    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOCKED_OUT = "locked_out"
    LOGOUT = "logout"
    VIEWED = "viewed"


ACCOUNT_KINDS = (
    OwnKind.USER, OwnKind.LOGIN, OwnKind.LOGIN_FAILED, OwnKind.LOCKED_OUT, OwnKind.LOGOUT, OwnKind.VIEWED,
)  # fmt: skip
"""What concerns accounts and the views of personal data: for the auditor, and nothing of the board's."""


class OwnEvent(NamedTuple):
    """One entry. `home` and `gateway` are "" where it concerns none; `who` is "" where no person acted.

    `detail` holds short strings and integers only. `at_ms` is Unix time; `mono_ms` counts in the process `boot`.
    """

    journal: str
    seq: int
    boot: str
    at_ms: int
    mono_ms: int
    kind: str
    home: str = ""
    gateway: str = ""
    who: str = ""
    detail: Mapping[str, str | int] = {}
    prev: str = GENESIS
    hash: str = ""


class OwnLogError(ValueError):
    """Bytes that are no entry, or an entry whose hash is not that of its bytes."""


def seal(entry: OwnEvent) -> tuple[bytes, OwnEvent]:
    """`(payload, entry)` with the hash filled in."""
    digest = _digest(_members(entry))
    return _dump({**_members(entry), "~hash": digest}), entry._replace(hash=digest)


def decode(payload: bytes) -> OwnEvent:
    """The entry in `payload`, or OwnLogError."""
    try:
        members = json.loads(payload)
        digest = members.pop("~hash")
        alg = members.pop("alg")
        entry = OwnEvent(**members, hash=digest)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OwnLogError(f"own log: expected an entry, got {type(error).__name__}") from error
    if alg != ALG or _digest({**members, "alg": alg}) != digest:
        raise OwnLogError(f"own log: entry {entry.seq}: the hash is not that of its bytes")
    return entry


def _members(entry: OwnEvent) -> dict[str, object]:
    members: dict[str, object] = entry._asdict()
    del members["hash"]
    return {**members, "detail": dict(entry.detail), "alg": ALG}


def _digest(members: Mapping[str, object]) -> str:
    return hashlib.sha256(_dump(members)).hexdigest()


def _dump(members: Mapping[str, object]) -> bytes:
    return json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
