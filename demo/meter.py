"""What the demonstration costs: processor time and memory of all its processes."""

import contextlib
import os
import resource
import time
from typing import NamedTuple

import psutil

CORE_BUDGET = 1.0
MEMORY_BUDGET_BYTES = 1 << 30
START_S = 30.0


class Cost(NamedTuple):
    """`cores`: processor seconds per second, over the `seconds` since this process began. `rss_bytes` is the peak of
    the sum over all processes; what they share is counted in each, so that it is never too little."""

    cores: float
    rss_bytes: int
    seconds: float

    @property
    def is_within(self) -> bool:
        """Whether it is within the budget: one core, 1 GiB. A start alone takes all the cores there are."""
        is_start = self.seconds < START_S
        return (is_start or self.cores < CORE_BUDGET) and self.rss_bytes < MEMORY_BUDGET_BYTES


class Meter:
    """Counts this process and its children, also those that have ended (and were waited for)."""

    def __init__(self) -> None:
        self._began_s = time.monotonic() - (time.time() - psutil.Process().create_time())
        self._peak_bytes = 0
        self._processes: dict[int, psutil.Process] = {}

    def sample(self, pids: list[int]) -> Cost:
        """Look at the running processes `pids` and at this one."""
        alive_s, rss_bytes = 0.0, 0
        for pid in (os.getpid(), *pids):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = self._processes.setdefault(pid, psutil.Process(pid))
                times = process.cpu_times()
                alive_s += times.user + times.system
                rss_bytes += process.memory_info().rss
        self._peak_bytes = max(self._peak_bytes, rss_bytes)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent_s = alive_s + ended.ru_utime + ended.ru_stime
        seconds = max(time.monotonic() - self._began_s, 0.001)
        return Cost(spent_s / seconds, self._peak_bytes, seconds)
