"""The ADS1115, a four-channel 16-bit analogue-to-digital converter, read in single shots.

Texas Instruments SBAS444: register 0 holds the conversion, register 1 the configuration: OS 15 | MUX 14:12 | PGA 11:9
| MODE 8 | DR 7:5 | COMP_MODE 4 | COMP_POL 3 | COMP_LAT 2 | COMP_QUE 1:0 After a supply drop the configuration is
0x8583, whose MUX measures AIN0 against AIN1 and which a single-ended conversion never writes. So the configuration is
read once more after the conversion: a reset in between is an error and no value.
"""

import time
from collections.abc import Callable

from smbus2 import i2c_msg

from edge.sources.i2c_bus import BadAnswer, I2cBus

ADDRESSES = (0x48, 0x49, 0x4A, 0x4B)
CONVERSION, CONFIG = 0, 1
FULL_SCALE_CODES = {6144: 0, 4096: 1, 2048: 2, 1024: 3}
"""PGA codes by full scale in mV."""
CHANNELS = 4
# 128 conversions a second average over most of a mains period; 8 ms a channel.
_RATE_CODE, _RATE_HZ = 0b100, 128
_START, _SINGLE_SHOT, _COMPARATOR_OFF = 0x8000, 0x0100, 0x0003
_SINGLE_ENDED = 0b100
# The data sheet allows the oscillator 10 %.
_CONVERSION_S = 1.1 / _RATE_HZ
_READY_TRIES = 5


def read_counts(
    bus: I2cBus, address: int, channel: int, full_scale_mv: int, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Convert one channel against ground and give the signed counts; 32768 counts are `full_scale_mv`.

    Blocks for about 9 ms. Raises OSError from the bus, BadAnswer from a chip that was reset or never gets ready.
    """
    wanted = _config_word(channel, full_scale_mv)
    bus.i2c_rdwr(i2c_msg.write(address, [CONFIG, wanted >> 8, wanted & 0xFF]))
    sleep(_CONVERSION_S)
    for _ in range(_READY_TRIES):
        if _read(bus, address, CONFIG) == wanted:
            break
        sleep(_CONVERSION_S / 4)
    counts = _read(bus, address, CONVERSION)
    if (config := _read(bus, address, CONFIG)) != wanted:
        raise BadAnswer(f"configuration {config:#06x}, expected {wanted:#06x}")
    return counts - 0x10000 if counts & 0x8000 else counts


def _config_word(channel: int, full_scale_mv: int) -> int:
    mux = (_SINGLE_ENDED | channel) << 12
    gain = FULL_SCALE_CODES[full_scale_mv] << 9
    return _START | mux | gain | _SINGLE_SHOT | _RATE_CODE << 5 | _COMPARATOR_OFF


def _read(bus: I2cBus, address: int, register: int) -> int:
    answer = i2c_msg.read(address, 2)
    bus.i2c_rdwr(i2c_msg.write(address, [register]), answer)
    return int.from_bytes(bytes(answer), "big")
