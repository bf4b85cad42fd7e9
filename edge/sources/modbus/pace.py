"""RTU's silence: at least 3.5 characters between the end of one frame and the start of the next, and little more.

Strict slaves drop a frame that comes earlier; each millisecond more costs 4 % of a 9600 baud bus. The event loop's
timers are rounded up to whole milliseconds and a sleeping thread costs two hand-overs, so the kernel's own timer is
used: a descriptor that the loop reads as it reads the serial port.
"""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

from edge.sources.modbus.config import ModbusConfig

SILENCE_CHARS = 3.5
# Above 19200 baud the standard fixes the silence (Modbus over serial line 1.02, 2.5.1.1).
SILENCE_MIN_S = 0.00175
# From the timer's end to the waiter's next line pass about 0.1 ms; what is left of an early wake-up is spun away.
WAKE_S = 0.0001


def silence_s(config: ModbusConfig) -> float:
    """Seconds of silence between frames on this port; none over TCP."""
    if config.device is None:
        return 0.0
    return max(SILENCE_CHARS * config.character_s, SILENCE_MIN_S)


class Pace:
    """Waits until the line has been silent for long enough."""

    def __init__(self, silent_s: float) -> None:
        self.silent_s = silent_s
        self._alarm: _KernelTimer | None = None

    async def wait(self, last_byte_s: Callable[[], float]) -> None:
        """Return no earlier than the silence after the last byte, which may still come, and hardly later."""
        while (until_s := last_byte_s() + self.silent_s) > (now_s := time.monotonic()):
            if until_s - now_s <= WAKE_S:
                continue
            if self._alarm is None:
                self._alarm = _KernelTimer()
            await self._alarm.until(until_s - WAKE_S)

    def close(self) -> None:
        """Give the timer back."""
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None


class _Timespec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("at_s", ctypes.c_long),
        ("at_ns", ctypes.c_long),
    )


class _KernelTimer:
    """A Linux timerfd on the event loop (timerfd_create(2)); Python has it in `os` from 3.13 on only."""

    _ABSOLUTE = 1

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._loop.add_reader(self._descriptor, self._expired)

    async def until(self, at_s: float) -> None:
        """Return at `at_s` of the monotonic clock; for one waiter."""
        self._waiting = self._loop.create_future()
        at_ns = int(at_s * 1e9) + 1
        setting = _Timespec(0, 0, at_ns // 1_000_000_000, at_ns % 1_000_000_000)
        if self._libc.timerfd_settime(self._descriptor, self._ABSOLUTE, ctypes.byref(setting), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        await self._waiting

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _expired(self) -> None:
        os.read(self._descriptor, 8)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
