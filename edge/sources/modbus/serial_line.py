"""A serial port on the event loop, for Modbus RTU: pyserial sets it up, the loop reads and writes its descriptor.

Frames are at most 256 bytes and the kernel's buffer holds 4096, so a write that does not fit means an adapter that has
stopped working, and the line is lost.
"""

import asyncio
import contextlib
import os
import select
import termios

import serial

from edge.sources.modbus.config import ModbusConfig
from edge.sources.modbus.link import Link

_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


def open_port(config: ModbusConfig) -> serial.Serial:
    """The port opened for this process alone. Raises OSError (pyserial's SerialException is one)."""
    return serial.Serial(
        config.device,
        baudrate=config.baud,
        bytesize=serial.EIGHTBITS,
        parity=_PARITY[config.parity],
        stopbits=config.stop_bits,
        timeout=0,
        exclusive=True,
    )


class SerialLine:
    """The wire under a link; tells it of bytes and of loss."""

    def __init__(self, port: serial.Serial, link: Link) -> None:
        self._port = port
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(port.fileno(), self._read)
        link.connection_made(self)

    def write(self, data: bytes, /) -> None:
        """Send a frame, or lose the line."""
        try:
            is_sent = os.write(self._port.fileno(), data) == len(data)
        except OSError:
            is_sent = False
        if not is_sent:
            self._loop.call_soon(self._lose)

    def abort(self) -> None:
        """Close at once; closing a tty with unsent bytes would block for seconds."""
        if self._port.is_open:
            self._loop.remove_reader(self._port.fileno())
            with contextlib.suppress(OSError, termios.error):
                self._port.reset_output_buffer()
            with contextlib.suppress(OSError, termios.error):
                self._port.close()

    def _read(self) -> None:
        try:
            data = os.read(self._port.fileno(), 4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._lose()
            return
        if data:
            self._link.data_received(data)
        elif self._is_hung_up():
            self._lose()

    def _is_hung_up(self) -> bool:
        """A tty without bytes reads as empty; so does one that is gone."""
        poll = select.poll()
        poll.register(self._port.fileno(), 0)
        return bool(poll.poll(0))

    def _lose(self) -> None:
        if self._port.is_open:
            self.abort()
            self._link.connection_lost(None)
