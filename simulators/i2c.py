"""An I2C bus on a UNIX socket, and `open_bus`, which gives the master `i2c_rdwr` and `close` as smbus2 has them.

    request   count u8, then for each message: address u16, flags u16 (1 = read), length u16, and a write's bytes
    reply     errno u8 (0: done), and the bytes of all reads, one after the other

An absent address is OSError(121) at the master, as on Linux. A stuck bus does not reply until it is healed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from simulators.faults import FaultBoard, StuckBus
from simulators.sockets import UnixServer

READ_FLAG = 0x0001
_MESSAGE = struct.Struct(">HHH")


class Chip(Protocol):
    """A device on the bus; time is the monotonic nanosecond of the transfer."""

    def write(self, data: bytes, now_ns: int) -> None:
        """Take a write transfer."""

    def read(self, length: int, now_ns: int) -> bytes:
        """Give `length` bytes to a read transfer."""


class Message(NamedTuple):
    """One message of a transaction: `data` of a write, `length` of a read."""

    address: int
    is_read: bool
    length: int
    data: bytes = b""


class I2cWorld:
    """The chips of one bus, with the faults of its places."""

    def __init__(self, chips: Mapping[int, Chip], faults: FaultBoard) -> None:
        self.chips = chips
        self.faults = faults

    def transact(self, messages: list[Message], now_ns: int) -> bytes:
        """Carry out a transaction and return the bytes read. Raises OSError(121) where nothing acknowledges."""
        read = b""
        for message in messages:
            chip = self.chips.get(message.address)
            fault = self.faults.at(f"i2c/0x{message.address:02x}", "i2c")
            if chip is None or (fault is not None and fault.kind == "nack"):
                raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
            if message.is_read:
                data = chip.read(message.length, now_ns)
                read += data if fault is None else fault.frame(data)
            else:
                chip.write(message.data, now_ns)
        return read


class I2cFace:
    """Serves a bus on a UNIX socket. Transactions follow one another, as on one pair of wires."""

    def __init__(self, world: I2cWorld) -> None:
        self.world = world
        self._server = UnixServer(self._serve)
        self._bus = asyncio.Lock()
        self._changed = asyncio.Event()
        world.faults.watch(lambda place, fault: self._changed.set())

    async def start(self, path: Path) -> None:
        """Listen on `path`."""
        await self._server.start(path)

    async def stop(self) -> None:
        """Stop listening and close what is open, also a client that waits for a stuck bus."""
        await self._server.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while messages := await _read_request(reader):
            async with self._bus:
                await self._wait_for_lines(messages)
                reply = self._reply(messages)
            writer.write(reply)
            await writer.drain()

    async def _wait_for_lines(self, messages: list[Message]) -> None:
        """Wait while any slave holds the bus, and for those that are slow."""
        while any(isinstance(self.world.faults.at(place), StuckBus) for place in self._places()):
            self._changed.clear()
            await self._changed.wait()
        fault = self.world.faults.at(f"i2c/0x{messages[0].address:02x}", "i2c")
        if fault is not None and fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)

    def _places(self) -> list[str]:
        return ["i2c", *(f"i2c/0x{address:02x}" for address in self.world.chips)]

    def _reply(self, messages: list[Message]) -> bytes:
        try:
            return b"\0" + self.world.transact(messages, time.monotonic_ns())
        except OSError as error:
            return bytes((error.errno or errno.EIO,))


async def _read_request(reader: asyncio.StreamReader) -> list[Message]:
    """The next transaction; empty at the end of the stream."""
    head = await reader.read(1)
    messages = []
    for _ in range(head[0] if head else 0):
        address, flags, length = _MESSAGE.unpack(await reader.readexactly(_MESSAGE.size))
        is_read = bool(flags & READ_FLAG)
        messages.append(Message(address, is_read, length, b"" if is_read else await reader.readexactly(length)))
    return messages


class SimulatedI2cBus:
    """The master's end: what `smbus2.SMBus` offers for whole transactions, over a simulator's socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lock = threading.Lock()
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    def i2c_rdwr(self, *i2c_msgs: Any) -> None:
        """Carry out the messages as one transaction and fill the reads' buffers; blocks as long as the bus does.

        Raises OSError: 121 where nothing acknowledges, another number where the simulator is gone.
        """
        request = bytearray((len(i2c_msgs),))
        for message in i2c_msgs:
            request += _MESSAGE.pack(message.addr, message.flags, message.len)
            request += b"" if message.flags & READ_FLAG else bytes(message)
        reads = [message for message in i2c_msgs if message.flags & READ_FLAG]
        with self._lock:
            self._socket.sendall(request)
            if status := self._receive(1)[0]:
                raise OSError(status, os.strerror(status))
            for message in reads:
                for at, byte in enumerate(self._receive(message.len)):
                    message.buf[at] = byte

    def close(self) -> None:
        """Close the bus; a transfer that blocks in another thread ends with OSError."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self._socket.recv(length - len(data))
            if not more:
                raise OSError(errno.ENODEV, "the simulated I2C bus is gone")
            data += more
        return data


def open_bus(address: str) -> SimulatedI2cBus:
    """The simulated bus behind the socket at `address`. Raises OSError where no simulator listens."""
    return SimulatedI2cBus(address)
