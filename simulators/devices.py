"""The Modbus devices of the building, each from its data sheet: registers and coils derived from the world.

A device knows no framing: it is asked for registers or bits by function code and address, and refuses with the
exception code that the real one would send. Addresses are the wire's, counted from zero.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, Protocol

from simulators.contacts import Sense

ILLEGAL_FUNCTION = 0x01
ILLEGAL_ADDRESS = 0x02
ILLEGAL_VALUE = 0x03

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16

# What a transmitter of this class reports for an open or missing sensor.
BROKEN_SENSOR = 0x7FFF


class ModbusException(Exception):
    """The device refuses a request with this exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Write(NamedTuple):
    """One write that reached a device. `monotonic_ns` is the system-wide monotonic clock."""

    monotonic_ns: int
    unit: int
    function: int
    address: int
    values: tuple[int, ...]


class Device(Protocol):
    """What a bus asks of a unit: 16-bit words for functions 3 and 4, bits for 1 and 2, writes for 5, 6, 15 and 16."""

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        """`count` words or bits from `address`; raises ModbusException."""

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        """Write words or bits from `address`; raises ModbusException."""


def u16(value: float) -> int:
    """Round and clip to an unsigned word, as at the end of an instrument's range; a broken lead measures nothing."""
    if math.isnan(value):
        return 0
    return min(max(round(value), 0), 0xFFFF)


def i16(value: float) -> int:
    """Round and clip to a signed word; 0x7FFF is the broken sensor's alone."""
    if math.isnan(value):
        return BROKEN_SENSOR
    return min(max(round(value), -0x8000), 0x7FFE) & 0xFFFF


def temperature_word(temp_mc: float) -> int:
    """m°C as a signed word of 0.1 °C."""
    return i16(temp_mc / 100)


class RegisterTable:
    """A unit that answers one read function over one block of registers, and takes no writes.

    `cells` maps addresses to functions of nothing; the gaps of the block read as zero, as reserved registers do.
    """

    def __init__(self, function: int, cells: dict[int, Callable[[], int]], length: int) -> None:
        self.function = function
        self.cells = cells
        self.length = length

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        if function != self.function:
            raise ModbusException(ILLEGAL_FUNCTION)
        if address + count > self.length:
            raise ModbusException(ILLEGAL_ADDRESS)
        return [self.cells[at]() if at in self.cells else 0 for at in range(address, address + count)]

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        raise ModbusException(ILLEGAL_FUNCTION)


class AcrelAsj(RegisterTable):
    """Acrel ASJ residual-current relay: FC03, 1 mA a bit, status bits warning, alarm, broken line (manual p. 15).

    `residual` names the circuit's residual current in mA; its sensor with an open lead is the broken line.
    """

    # Register: value from the factory, lowest, highest.
    SETTINGS: ClassVar = {0x0008: (300, 10, 30_000), 0x0009: (200, 10, 30_000), 0x0010: (100, 0, 10_000)}

    def __init__(self, sense: Sense, residual: str, address: int) -> None:
        self._sense = sense
        self._residual = residual
        self._settings = {at: default for at, (default, _, _) in self.SETTINGS.items()}
        cells = {0x0000: self.residual_ma, 0x0018: lambda: address, 0x0019: lambda: 2, 0x001A: lambda: 1}
        cells |= {0x001B: self.status, 0x001D: lambda: 1}
        cells |= {at: lambda at=at: self._settings[at] for at in self._settings}  # type: ignore[misc]
        super().__init__(READ_HOLDING, cells, length=0x2A)

    def residual_ma(self) -> int:
        """The measured residual current; a transformer with a broken lead measures nothing."""
        return min(u16(self._sense(self._residual)), 30_000)

    def status(self) -> int:
        """Status word: 0 normal, 1 warning, 2 alarm, 4 broken line."""
        if math.isnan(self._sense(self._residual)):
            return 0b100
        current_ma = self.residual_ma()
        if current_ma >= self._settings[0x0008]:
            return 0b010
        return 0b001 if current_ma >= self._settings[0x0009] else 0b000

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        if function not in (WRITE_REGISTER, WRITE_REGISTERS):
            raise ModbusException(ILLEGAL_FUNCTION)
        if any(at not in self.SETTINGS for at in range(address, address + len(values))):
            raise ModbusException(ILLEGAL_ADDRESS)
        for at, value in enumerate(values, address):
            _, lowest, highest = self.SETTINGS[at]
            if not lowest <= value <= highest:
                raise ModbusException(ILLEGAL_VALUE)
            self._settings[at] = value


class VigirexRhu(RegisterTable):
    """Schneider Vigirex RHU residual-current relay: FC03, status words each behind a validity word, then measurements.

    The user guide's channel summary: 0x00C8/C9 alarm, CA/CB pre-alarm, CC/CD alarm memorised, CE/CF toroid connected;
    0x0190 residual current in mA, 0x01A4 its maximum, 0x01B8 percent of the threshold 0x01F4 (30 to 30000 mA). Until
    the relay has measured once (`is_valid` False) no bit is valid. An open lead is a toroid that is not connected.
    """

    ALARM_MA, PRE_ALARM_SHARE = 300, 0.5

    def __init__(self, sense: Sense, residual: str) -> None:
        self.is_valid = True
        self.is_memorised = False
        self._sense, self._residual = sense, residual
        self._highest_ma = 0
        cells: dict[int, Callable[[], int]] = {at: lambda: int(self.is_valid) for at in (0xC8, 0xCA, 0xCC, 0xCE)}
        cells |= {0x00C9: self.alarm, 0x00CB: self.pre_alarm, 0x00CD: lambda: int(self.is_memorised)}
        cells |= {0x00CF: self.toroid, 0x0190: self.residual_ma, 0x01A4: lambda: self._highest_ma}
        cells |= {0x01B8: lambda: min(self.residual_ma() * 100 // self.ALARM_MA, 200), 0x01F4: lambda: self.ALARM_MA}
        super().__init__(READ_HOLDING, cells, length=0x0200)

    def toroid(self) -> int:
        """1 while the toroid is connected."""
        return int(not math.isnan(self._sense(self._residual)))

    def residual_ma(self) -> int:
        """The measured residual current; without a toroid nothing is measured."""
        current_ma = min(u16(self._sense(self._residual)), 60_000)
        self._highest_ma = max(self._highest_ma, current_ma)
        return current_ma

    def alarm(self) -> int:
        """1 at or above the threshold, which is also memorised."""
        is_alarm = self.residual_ma() >= self.ALARM_MA
        self.is_memorised |= is_alarm
        return int(is_alarm)

    def pre_alarm(self) -> int:
        """1 at or above half the threshold."""
        return int(self.residual_ma() >= self.ALARM_MA * self.PRE_ALARM_SHARE)


class TemperatureTransmitter(RegisterTable):
    """Generic temperature transmitter: FC04, a signed word of 0.1 °C a channel from 0x0000; 0x7FFF: broken sensor.

    Each of `channels` gives m°C, NaN where the sensor is broken.
    """

    def __init__(self, channels: Sequence[Callable[[], float]]) -> None:
        cells = {at: _temperature_cell(channel) for at, channel in enumerate(channels)}
        super().__init__(READ_INPUT, cells, length=len(cells))


class LeakageTemperatureMonitor(RegisterTable):
    """Generic electrical-fire monitor: FC03, residual currents of 1 mA from 0x0000, then temperatures of 0.1 °C."""

    def __init__(self, sense: Sense, residual: Sequence[str], temperature: Sequence[str]) -> None:
        cells: dict[int, Callable[[], int]] = {
            at: lambda name=name: u16(sense(name))  # type: ignore[misc]
            for at, name in enumerate(residual)
        }
        for at, name in enumerate(temperature, len(cells)):
            cells[at] = _temperature_cell(lambda name=name: sense(name))  # type: ignore[misc]
        super().__init__(READ_HOLDING, cells, length=len(cells))


def _temperature_cell(channel: Callable[[], float]) -> Callable[[], int]:
    return lambda: temperature_word(channel())


class Lx47le(RegisterTable):
    """LX47LE-125 smart breaker: FC04 measurements from 0x0000; FC06 on 0x000D opens or closes it.

    The public descriptions do not give the values of 0x000D; this one takes the status byte's own codes, 0x0F open and
    0xF0 closed. A monitor that writes there has cut off somebody's supply, so every write is kept by the bus.
    """

    CLOSED, OPEN = 0xF0, 0x0F
    REMOTE_SWITCH = 0x000D
    MAINS_FREQUENCY_CHZ = 5000
    POWER_FACTOR_PCT = 98

    def __init__(self, sense: Sense, leakage: str, temperature: str, voltage: str, load: str) -> None:
        self.is_closed = True
        self._sense, self._load, self._voltage = sense, load, voltage
        cells: dict[int, Callable[[], int]] = {
            0x0000: lambda: self.CLOSED if self.is_closed else self.OPEN,
            0x0004: lambda: self.MAINS_FREQUENCY_CHZ if self._volts() else 0,
            0x0005: lambda: u16(sense(leakage)) if self.is_closed else 0,
            0x0006: lambda: i16(sense(temperature) / 1000),
            # The phase terminal carries the breaker's bimetal and runs a little warmer than the neutral.
            0x0007: lambda: i16(sense(temperature) / 1000 + 2),
            0x0008: lambda: u16(self._volts()),
            0x0009: lambda: u16(self._load_ma() / 10),
            0x000A: lambda: self.POWER_FACTOR_PCT,
            0x000B: lambda: u16(self._volts() * self._load_ma() * self.POWER_FACTOR_PCT / 100_000),
            0x0017: lambda: 0,
        }
        super().__init__(READ_INPUT, cells, length=0x18)

    def _volts(self) -> float:
        return self._sense(self._voltage)

    def _load_ma(self) -> float:
        return self._sense(self._load) if self.is_closed and self._volts() else 0.0

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        if function not in (WRITE_REGISTER, WRITE_REGISTERS):
            raise ModbusException(ILLEGAL_FUNCTION)
        if address != self.REMOTE_SWITCH or len(values) != 1:
            raise ModbusException(ILLEGAL_ADDRESS)
        if values[0] & 0xFF not in (self.CLOSED, self.OPEN):
            raise ModbusException(ILLEGAL_VALUE)
        self.is_closed = values[0] & 0xFF == self.CLOSED


class RelayBoard:
    """A relay board: coils by FC01, 05 and 0F, their contacts fed back as discrete inputs by FC02.

    `changed_ns` holds the monotonic nanosecond of each coil's last change (0: never).
    """

    def __init__(self, coils: int = 8) -> None:
        self.coils = [0] * coils
        self.changed_ns = [0] * coils

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        if function not in (READ_COILS, READ_DISCRETE):
            raise ModbusException(ILLEGAL_FUNCTION)
        if address + count > len(self.coils):
            raise ModbusException(ILLEGAL_ADDRESS)
        return self.coils[address : address + count]

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        if function not in (WRITE_COIL, WRITE_COILS):
            raise ModbusException(ILLEGAL_FUNCTION)
        if address + len(values) > len(self.coils):
            raise ModbusException(ILLEGAL_ADDRESS)
        for at, value in enumerate(values, address):
            if self.coils[at] != value:
                self.coils[at] = value
                self.changed_ns[at] = time.monotonic_ns()
