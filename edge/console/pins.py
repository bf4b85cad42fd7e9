"""PINs: what may be one, and the hash that stands in gateway.toml. Hashed and checked outside the agent's process.

    scrypt$16384$8$5$<salt>$<hash>        salt and hash in base64

The cost is OWASP's setting of scrypt for 16 MiB. A PIN has a million values, so whoever has the file finds it; the cost
only makes that a matter of days. What keeps guessers at the page out is the lock after five wrong ones.
"""

import base64
import hashlib
import hmac
import re
import secrets
from itertools import pairwise
from typing import NamedTuple

MIN_DIGITS = 6
MAX_DIGITS = 12
_COST, _BLOCK, _PARALLEL = 16_384, 8, 5
_COST_MAX = 1 << 17
_MEMORY = 256 << 20
_SALT_BYTES, _HASH_BYTES = 16, 32
_HASH = re.compile(r"scrypt\$(\d{1,6})\$(\d{1,2})\$(\d{1,2})\$([\w+/]{20,90}={0,2})\$([\w+/]{20,90}={0,2})", re.ASCII)


class PinError(ValueError):
    """Not to be taken as a PIN; the text says why."""


class _Hashed(NamedTuple):
    cost: int
    block: int
    parallel: int
    salt: bytes
    hash: bytes


def refuse_weak(pin: str) -> None:
    """Raises PinError for what is no PIN, or could be guessed at once."""
    if not (pin.isascii() and pin.isdecimal() and MIN_DIGITS <= len(pin) <= MAX_DIGITS):
        raise PinError(f"expected {MIN_DIGITS} to {MAX_DIGITS} digits")
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise PinError("expected digits that are not all the same, nor in a row")


def hash_pin(pin: str) -> str:
    """The hash to keep of a new PIN. Raises PinError, as `refuse_weak` does."""
    refuse_weak(pin)
    salt = secrets.token_bytes(_SALT_BYTES)
    made = _scrypt(pin, _Hashed(_COST, _BLOCK, _PARALLEL, salt, bytes(_HASH_BYTES)))
    return "$".join(("scrypt", str(_COST), str(_BLOCK), str(_PARALLEL), _text(salt), _text(made)))


def is_hash(text: str) -> bool:
    """Whether a text is a hash that `is_right` can check."""
    return _parsed(text) is not None


def is_right(pin: str, hashed: str) -> bool:
    """Whether `pin` is the one that was hashed; takes as long for a wrong one. Blocks for some tenths of a second."""
    parsed = _parsed(hashed)
    return parsed is not None and hmac.compare_digest(_scrypt(pin, parsed), parsed.hash)


NOBODY = f"scrypt${_COST}${_BLOCK}${_PARALLEL}${'A' * 22}==${'A' * 43}="
"""Checked where there is no such person, so that the answer takes as long as for one that exists."""


def _parsed(text: str) -> _Hashed | None:
    match = _HASH.fullmatch(text)
    if match is None:
        return None
    cost, block, parallel = (int(match[i]) for i in (1, 2, 3))
    # A power of two, as scrypt needs, and no more work than the gateway can give.
    if not 2 <= cost <= _COST_MAX or cost & (cost - 1) or not 1 <= block <= 8 or not 1 <= parallel <= 16:
        return None
    try:
        return _Hashed(cost, block, parallel, base64.b64decode(match[4]), base64.b64decode(match[5]))
    except ValueError:
        return None


def _scrypt(pin: str, how: _Hashed) -> bytes:
    return hashlib.scrypt(
        pin.encode(), salt=how.salt, n=how.cost, r=how.block, p=how.parallel, maxmem=_MEMORY, dklen=len(how.hash)
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
