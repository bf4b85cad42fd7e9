"""The SHT3x, a temperature and humidity sensor, read in single shots without clock stretching.

Sensirion SHT3x-DIS data sheet, version 5. A command is two bytes; 0x2400 is one measurement of high repeatability
(table 9), which takes 15 ms at most (table 4). Clock stretching would let the sensor hold the bus meanwhile, which the
Pi's controller does not bear; so the bus is left alone, and a sensor that is not ready does not acknowledge. The answer
is temperature u16, CRC, humidity u16, CRC, most significant byte first.
"""

import errno
import time
from collections.abc import Callable

from smbus2 import i2c_msg

from edge.sources.i2c_bus import BadAnswer, I2cBus

ADDRESSES = (0x44, 0x45)
MEASURE = (0x24, 0x00)
READ_STATUS = (0xF3, 0x2D)
"""Changes nothing in the sensor."""
_MEASURING_S = 0.0155
_READY_TRIES = 3
_NO_ACKNOWLEDGE = (errno.EREMOTEIO, errno.ENXIO)


def crc8(data: bytes) -> int:
    """The sensor's checksum: polynomial 0x31, start 0xFF (section 4.12; 0xBEEF gives 0x92)."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def words_of(answer: bytes) -> tuple[int, ...]:
    """The words of an answer, each followed by its checksum. BadAnswer where one does not hold."""
    words = [answer[at : at + 3] for at in range(0, len(answer), 3)]
    for word in words:
        if len(word) != 3 or crc8(word[:2]) != word[2]:
            raise BadAnswer(f"checksum of {word[:2].hex()} is {word[2:].hex() or 'missing'}, not {crc8(word[:2]):02x}")
    return tuple(word[0] << 8 | word[1] for word in words)


def measure(bus: I2cBus, address: int, sleep: Callable[[float], None] = time.sleep) -> tuple[int, ...]:
    """One measurement: the words of temperature and humidity.

    Blocks for about 16 ms. Raises OSError from the bus, BadAnswer where a checksum does not hold.
    """
    bus.i2c_rdwr(i2c_msg.write(address, MEASURE))
    for tries_left in reversed(range(_READY_TRIES)):
        sleep(_MEASURING_S)
        answer = i2c_msg.read(address, 6)
        try:
            bus.i2c_rdwr(answer)
        except OSError as error:
            if error.errno not in _NO_ACKNOWLEDGE or not tries_left:
                raise
        else:
            break
    return words_of(bytes(answer))
