"""The two clocks of this machine, as one value that a test can replace."""

import time
from collections.abc import Callable
from typing import NamedTuple


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Clock(NamedTuple):
    """`wall_ms` is Unix time and only ever shown; whatever is decided counts `mono_ms`."""

    wall_ms: Callable[[], int] = _wall_ms
    mono_ms: Callable[[], int] = _mono_ms


SYSTEM = Clock()
