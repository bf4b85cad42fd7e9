"""What time it is, and whether that may be believed.

Decisions use `mono_ms`, which counts from the boot named by `boot` and never steps. `wall_ms` is Unix time for people;
a Raspberry Pi has no clock that runs without power, so it is worth something only where `clock_ok()`.
"""

import ctypes
import time
import uuid
from pathlib import Path
from typing import Protocol

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
STA_UNSYNC = 0x0040
"""adjtimex(2): no time service disciplines the clock."""
_TRUST_MS = 1_000


class Clock(Protocol):
    """The clock of the machine, or of a test that steps it."""

    @property
    def boot(self) -> str:
        """Names the boot that `mono_ms` counts from."""

    def mono_ms(self) -> int:
        """Milliseconds since the boot; never steps."""

    def wall_ms(self) -> int:
        """Unix time in milliseconds, right or wrong."""

    def clock_ok(self) -> bool:
        """Whether a time service vouches for `wall_ms`."""


class SystemClock:
    """The clock of this machine."""

    def __init__(self, boot_id: Path = BOOT_ID) -> None:
        self.boot = _boot(boot_id)
        self._asked_ms: int | None = None
        self._ok = False

    def mono_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def clock_ok(self) -> bool:
        """Asks the kernel at most once a second: events come in bursts, and trust does not."""
        now_ms = self.mono_ms()
        if self._asked_ms is None or now_ms - self._asked_ms >= _TRUST_MS:
            self._asked_ms = now_ms
            self._ok = is_synchronized()
        return self._ok


def is_synchronized() -> bool:
    """Whether the kernel's clock is disciplined. Where it cannot be asked, timesyncd's mark decides, else no."""
    status = _kernel_status()
    return SYNCHRONIZED.exists() if status is None else not status & STA_UNSYNC


class _Timex(ctypes.Structure):
    # Only the head of struct timex is read; the tail leaves room for the rest, which the kernel fills in.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def _kernel_status() -> int | None:
    try:
        timex = _Timex()  # modes 0: reads, changes nothing
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else int(timex.status)


def _boot(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())  # each start counts as a boot: no time is carried over that might be wrong
