"""The SHT3x, a temperature and humidity sensor, from its data sheet (Sensirion SHT3x-DIS, version 5).

A command is two bytes, big-endian; an answer is words, each followed by a CRC-8 (polynomial 0x31, start 0xFF).
    2400 240B 2416   one measurement, high, medium, low repeatability, without clock stretching (table 9)
    2C06 2C0D 2C10   the same with clock stretching
    F32D             read the status register;  3041 clears it (4.11)
    30A2             soft reset;  306D 3066 heater on, off
A read is not acknowledged while nothing is there to be read: before a measurement has ended, and after it was fetched.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

MEASUREMENT_MS = {0x2400: 15.0, 0x240B: 6.0, 0x2416: 4.0, 0x2C06: 15.0, 0x2C0D: 6.0, 0x2C10: 4.0}
"""The longest that each takes (table 4)."""
READ_STATUS, CLEAR_STATUS, SOFT_RESET, HEATER_ON, HEATER_OFF = 0xF32D, 0x3041, 0x30A2, 0x306D, 0x3066
ALERT_PENDING, HEATER, RESET_DETECTED, COMMAND_FAILED = 0x8000, 0x2000, 0x0010, 0x0002
LOWEST_C, SPAN_C = -45.0, 175.0


def crc8(data: bytes) -> int:
    """CRC-8 of the data sheet's section 4.12."""
    crc = 0xFF
    for byte in data:
        crc = _TABLE[crc ^ byte]
    return crc


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte << 1) ^ (0x131 if byte & 0x80 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]


def sealed(word: int) -> bytes:
    """A word as it is sent: most significant byte first, then its checksum."""
    data = word.to_bytes(2, "big")
    return data + bytes((crc8(data),))


class Sht3x:
    """One sensor. `temp_mc` gives the air's temperature in m°C and `humidity_pct` its relative humidity in %.

    `changes` counts the commands that changed something: a measurement, a reset, the heater, the status.
    """

    def __init__(self, temp_mc: Callable[[], float], humidity_pct: Callable[[], float]) -> None:
        self._temp_mc, self._humidity_pct = temp_mc, humidity_pct
        self.changes = 0
        self._status = ALERT_PENDING | RESET_DETECTED
        self._answer = b""
        self._ready_ns = 0

    def write(self, data: bytes, now_ns: int) -> None:
        """A write transfer: a command."""
        if len(data) < 2:
            return
        command = int.from_bytes(data[:2], "big")
        self._answer = b""
        self._status &= ~COMMAND_FAILED
        if command == READ_STATUS:
            self._answer, self._ready_ns = sealed(self._status), now_ns
            return
        self.changes += 1
        if command in MEASUREMENT_MS:
            self._answer = sealed(self._temperature_word()) + sealed(self._humidity_word())
            self._ready_ns = now_ns + round(MEASUREMENT_MS[command] * 1e6)
        elif command == CLEAR_STATUS:
            self._status &= HEATER
        elif command == SOFT_RESET:
            self._status = ALERT_PENDING | RESET_DETECTED
        elif command in (HEATER_ON, HEATER_OFF):
            self._status = self._status & ~HEATER | (HEATER if command == HEATER_ON else 0)
        else:
            self._status |= COMMAND_FAILED

    def read(self, length: int, now_ns: int) -> bytes:
        """A read transfer. Raises OSError(121) while there is nothing to be read."""
        if not self._answer or now_ns < self._ready_ns:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        answer, self._answer = self._answer, b""
        # A master that clocks on reads the released line.
        return (answer + b"\xff" * length)[:length]

    def _temperature_word(self) -> int:
        return _word((self._temp_mc() / 1000 - LOWEST_C) / SPAN_C)

    def _humidity_word(self) -> int:
        return _word(self._humidity_pct() / 100)


def _word(share: float) -> int:
    return min(max(round(share * 0xFFFF), 0), 0xFFFF)
