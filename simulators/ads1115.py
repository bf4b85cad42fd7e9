"""The ADS1115, a four-input 16-bit converter, from its data sheet (TI SBAS444).

Registers, each a big-endian word behind a pointer byte: 0 conversion, 1 configuration, 2 and 3 comparator thresholds.
Configuration word:
    15 OS    write 1: start a single conversion; read 0: converting, 1: idle
    14-12 MUX   000 0-1, 001 0-3, 010 1-3, 011 2-3, 100..111 one input to ground
    11-9 PGA    000 6.144 V, 001 4.096, 010 2.048, 011 1.024, 100 0.512, 101..111 0.256
    8 MODE   1 single-shot, 0 continuous
    7-5 DR   8, 16, 32, 64, 128, 250, 475, 860 conversions a second
    4-0      comparator, kept but without effect: its pin is not wired
"""

from __future__ import annotations

from collections.abc import Callable

CONVERSION, CONFIG, LOW_THRESHOLD, HIGH_THRESHOLD = 0, 1, 2, 3
POWER_UP = {CONVERSION: 0x0000, CONFIG: 0x8583, LOW_THRESHOLD: 0x8000, HIGH_THRESHOLD: 0x7FFF}
FULL_SCALE_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
RATES_HZ = (8, 16, 32, 64, 128, 250, 475, 860)
_PAIRS = ((0, 1), (0, 3), (1, 3), (2, 3))
# An input's protection diodes hold it near the supply, whatever hangs on it.
SUPPLY_V = 5.0


class Ads1115:
    """One converter. `volts(ain)` gives the voltage at an input; every call carries the time in nanoseconds. `changes`
    counts the writes that changed a register.
    """

    def __init__(self, volts: Callable[[int], float]) -> None:
        self._volts = volts
        self._registers = dict(POWER_UP)
        self._pointer = CONVERSION
        self.changes = 0
        self._done_ns: int | None = None

    def write(self, data: bytes, now_ns: int) -> None:
        """A write transfer: the pointer, and a word if three bytes came."""
        self._settle(now_ns)
        if not data:
            return
        self._pointer = data[0] & 0x03
        if len(data) >= 3 and self._pointer != CONVERSION:
            self._store(self._pointer, data[1] << 8 | data[2], now_ns)

    def read(self, length: int, now_ns: int) -> bytes:
        """A read transfer of `length` bytes from the register that the pointer names, its word repeated."""
        self._settle(now_ns)
        word = self._registers[self._pointer]
        if self._pointer == CONFIG:
            is_converting = self._done_ns is not None
            word = word & 0x7FFF if is_converting else word | 0x8000
        return (word.to_bytes(2, "big") * (length // 2 + 1))[:length]

    def _store(self, register: int, word: int, now_ns: int) -> None:
        self._registers[register] = word
        self.changes += 1
        if register != CONFIG:
            return
        starts = not word & 0x0100 or word & 0x8000
        if starts:
            self._done_ns = now_ns + self._conversion_ns()

    def _settle(self, now_ns: int) -> None:
        """Finish the conversions that time has finished; in continuous mode the next one is under way at once."""
        if self._done_ns is None or now_ns < self._done_ns:
            return
        self._registers[CONVERSION] = self._convert() & 0xFFFF
        if self._registers[CONFIG] & 0x0100:
            self._done_ns = None
            return
        period_ns = self._conversion_ns()
        self._done_ns += ((now_ns - self._done_ns) // period_ns + 1) * period_ns

    def _conversion_ns(self) -> int:
        return 1_000_000_000 // RATES_HZ[self._registers[CONFIG] >> 5 & 7]

    def _convert(self) -> int:
        config = self._registers[CONFIG]
        counts = round(self._input_v(config >> 12 & 7) / FULL_SCALE_V[config >> 9 & 7] * 32768)
        return min(max(counts, -32768), 32767)

    def _input_v(self, mux: int) -> float:
        if mux >= 4:
            return self._pin_v(mux - 4)
        positive, negative = _PAIRS[mux]
        return self._pin_v(positive) - self._pin_v(negative)

    def _pin_v(self, ain: int) -> float:
        return min(max(self._volts(ain), 0.0), SUPPLY_V)
