"""The part of `machine` that the firmware uses, over the world of board.mjs."""

import time

import _world

PWRON_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4
_CAUSES = {"power": PWRON_RESET, "watchdog": WDT_RESET, "sleep": DEEPSLEEP_RESET, "reset": SOFT_RESET}


def reset_cause():
    return _CAUSES[_world.cause]


def unique_id():
    return b"\x7c\xdf\xa1\x00\x03\x01"


def reset():
    _world.reset()


def deepsleep(time_ms):
    _world.deepsleep(time_ms)


class Pin:
    IN, OUT, PULL_UP, PULL_DOWN = 0, 1, 1, 2

    def __init__(self, number, mode=-1, pull=-1):
        self.number = number

    def value(self, level=None):
        if level is None:
            return _world.pin(self.number)
        _world.lamp(level)


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin, atten=0):
        self._number = pin.number

    def read_uv(self):
        millivolts = _world.adc(self._number)
        if millivolts < 0:
            raise OSError(5)
        return millivolts * 1000


class WDT:
    """Bites at the next feeding: nothing can interrupt a script that hangs here, which a test would see by itself."""

    def __init__(self, timeout):
        self._timeout = timeout
        self._fed = time.ticks_ms()

    def feed(self):
        now = time.ticks_ms()
        if time.ticks_diff(now, self._fed) > self._timeout:
            _world.reset()
        self._fed = now
