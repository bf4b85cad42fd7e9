"""RTU's silence: at least 3.5 characters between the end of one frame and the start of the next, and little more.

Strict slaves drop a frame that comes earlier; each millisecond more costs 4 % of a 9600 baud bus. The event loop's
timers are rounded up to whole milliseconds, so the wait is a sleep in a thread.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from edge.sources.modbus.config import ModbusConfig
from edge.sources.worker import Worker

SILENCE_CHARS = 3.5
# Above 19200 baud the standard fixes the silence (Modbus over serial line 1.02, 2.5.1.1).
SILENCE_MIN_S = 0.00175
# Handing the thread's wake-up to the loop takes about this long; sleeping so much less lands on the mark.
_HAND_OVER_S = 0.0001


def silence_s(config: ModbusConfig) -> float:
    """Seconds of silence between frames on this port; none over TCP."""
    if config.device is None:
        return 0.0
    return max(SILENCE_CHARS * config.character_s, SILENCE_MIN_S)


class Pace:
    """Waits until the line has been silent for long enough."""

    def __init__(self, silent_s: float) -> None:
        self.silent_s = silent_s
        self._worker = Worker("modbus-pace")

    async def wait(self, last_byte_s: Callable[[], float]) -> None:
        """Return no earlier than the silence after the last byte (the loop's clock; it may still come), and hardly
        later.
        """
        loop = asyncio.get_running_loop()
        while (left_s := last_byte_s() + self.silent_s - loop.time()) > 0:
            if left_s > 2 * _HAND_OVER_S:
                await self._worker.call(partial(time.sleep, left_s - _HAND_OVER_S), 1.0 + left_s)
            else:
                time.sleep(left_s)

    def close(self) -> None:
        """End the thread."""
        self._worker.close()
