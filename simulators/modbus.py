"""Modbus slaves, byte by byte: the application layer of the Modbus specification V1.1b3, and its TCP face.

    TCP frame   transaction u16 | protocol u16 = 0 | length u16 | unit u8 | PDU
    RTU frame   unit u8 | PDU | CRC u16, low byte first        (simulators/modbus_rtu.py)
    PDU         function u8 | data;  a refusal is function | 0x80, exception code

Own bytes instead of a library's server, because an absent unit has to be silent and a fault has to reach every byte.
"""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from simulators.devices import (
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    READ_COILS,
    READ_DISCRETE,
    READ_HOLDING,
    READ_INPUT,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_REGISTER,
    WRITE_REGISTERS,
    Device,
    ModbusException,
    Write,
)
from simulators.faults import Fault, FaultBoard

# Limits of the specification: what fits into 253 bytes of PDU.
MAX_READ_WORDS, MAX_READ_BITS, MAX_WRITE_WORDS, MAX_WRITE_BITS = 125, 2000, 123, 1968
MAX_PDU = 253
KEPT_WRITES = 1000
_MBAP = struct.Struct(">HHHB")


class Answer(NamedTuple):
    """What a unit sends back: its id and PDU, and the fault (if any) that the framing still has to apply."""

    unit: int
    pdu: bytes
    fault: Fault | None


class Bus:
    """The units of one Modbus source, with the faults of its places.

    `answer` may be called from several threads. `writes` keeps the last writes that reached a unit; `written` is called
    with each of them.
    """

    def __init__(self, name: str, units: Mapping[int, Device], faults: FaultBoard) -> None:
        self.name = name
        self.units = units
        self.faults = faults
        self.writes: deque[Write] = deque(maxlen=KEPT_WRITES)
        self.written: Callable[[Write], None] | None = None
        self._lock = threading.Lock()

    def fault(self, unit: int) -> Fault | None:
        """The fault at a unit, else that of the whole bus."""
        return self.faults.at(f"{self.name}/{unit}", self.name)

    def answer(self, unit: int, pdu: bytes) -> Answer | None:
        """The answer to a request; None from an absent unit, which is silent."""
        device = self.units.get(unit)
        if device is None or not pdu:
            return None
        fault = self.fault(unit)
        with self._lock:
            reply = self._execute(device, unit, pdu)
        if fault is None:
            return Answer(unit, reply, None)
        return Answer(fault.unit(unit), fault.pdu(reply), fault)

    def broadcast(self, pdu: bytes) -> None:
        """A request to unit 0: every unit carries out a write, and nobody answers."""
        if pdu and pdu[0] in (WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS):
            with self._lock:
                for unit, device in self.units.items():
                    self._execute(device, unit, pdu)

    def _execute(self, device: Device, unit: int, pdu: bytes) -> bytes:
        try:
            return self._served(device, unit, pdu)
        except ModbusException as refusal:
            return bytes((pdu[0] | 0x80, refusal.code))
        except (struct.error, IndexError):
            return bytes((pdu[0] | 0x80, ILLEGAL_VALUE))

    def _served(self, device: Device, unit: int, pdu: bytes) -> bytes:
        function = pdu[0]
        if function in (READ_HOLDING, READ_INPUT):
            address, count = _span(pdu, MAX_READ_WORDS)
            words = device.read(function, address, count)
            return struct.pack(f">BB{count}H", function, 2 * count, *words)
        if function in (READ_COILS, READ_DISCRETE):
            address, count = _span(pdu, MAX_READ_BITS)
            bits = pack_bits(device.read(function, address, count))
            return bytes((function, len(bits))) + bits
        address, values = _written(pdu)
        device.write(function, address, values)
        self._keep(Write(time.monotonic_ns(), unit, function, address, tuple(values)))
        return pdu[:5]

    def _keep(self, write: Write) -> None:
        self.writes.append(write)
        if self.written is not None:
            self.written(write)


def _span(pdu: bytes, limit: int) -> tuple[int, int]:
    """Address and count of a read; a count outside 1..limit is an illegal value."""
    address, count = struct.unpack(">HH", pdu[1:])
    if not 1 <= count <= limit:
        raise ModbusException(ILLEGAL_VALUE)
    return address, count


def _written(pdu: bytes) -> tuple[int, Sequence[int]]:
    """Address and values of a write request, its inner lengths checked against each other."""
    function = pdu[0]
    if function == WRITE_COIL:
        address, word = struct.unpack(">HH", pdu[1:])
        if word not in (0x0000, 0xFF00):
            raise ModbusException(ILLEGAL_VALUE)
        return address, [word >> 8 & 1]
    if function == WRITE_REGISTER:
        address, word = struct.unpack(">HH", pdu[1:])
        return address, [word]
    if function not in (WRITE_COILS, WRITE_REGISTERS):
        raise ModbusException(ILLEGAL_FUNCTION)
    address, count, size = struct.unpack(">HHB", pdu[1:6])
    is_words = function == WRITE_REGISTERS
    expected = 2 * count if is_words else (count + 7) // 8
    is_in_range = 1 <= count <= (MAX_WRITE_WORDS if is_words else MAX_WRITE_BITS)
    if not is_in_range or not size == expected == len(pdu) - 6:
        raise ModbusException(ILLEGAL_VALUE)
    return address, struct.unpack(f">{count}H", pdu[6:]) if is_words else unpack_bits(pdu[6:], count)


def pack_bits(bits: Sequence[int]) -> bytes:
    """Bits as Modbus packs them: the first in the lowest bit of the first byte."""
    packed = bytearray((len(bits) + 7) // 8)
    for at, bit in enumerate(bits):
        packed[at >> 3] |= (bit & 1) << (at & 7)
    return bytes(packed)


def unpack_bits(packed: bytes, count: int) -> list[int]:
    """The first `count` bits of `packed`."""
    return [packed[at >> 3] >> (at & 7) & 1 for at in range(count)]


class TcpFace:
    """Serves a bus over Modbus TCP, as an RS485-to-Ethernet gateway does: several connections, requests in any split.

    Open it with `start`, which sets `port`.
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.port = 0
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        bus.faults.watch(self._fault_changed)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self.bus, self._connections), host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and close what is open."""
        if self._server is not None:
            self._server.close()
        self._hang_up()
        if self._server is not None:
            await self._server.wait_closed()


    def _fault_changed(self, place: str, fault: Fault | None) -> None:
        if place == self.bus.name and fault is not None and fault.hangs_up:
            self._hang_up()

    def _hang_up(self) -> None:
        for connection in list(self._connections):
            connection.hang_up()


class _Connection(asyncio.Protocol):
    """One client: cuts the stream into frames and answers each, without waiting for an answer that is late."""

    def __init__(self, bus: Bus, connections: set[_Connection]) -> None:
        self._bus = bus
        self._connections = connections
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        fault = self._bus.faults.at(self._bus.name)
        if fault is not None and fault.hangs_up:
            self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._transport = None

    def hang_up(self) -> None:
        """Close this connection without a further byte."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= _MBAP.size:
            transaction, protocol, length, unit = _MBAP.unpack_from(self._received)
            if protocol != 0 or not 2 <= length <= MAX_PDU + 1:
                # There is no way to find the next frame in a stream that has lost its framing.
                self.hang_up()
                return
            end = _MBAP.size - 1 + length
            if len(self._received) < end:
                return
            pdu = bytes(self._received[_MBAP.size : end])
            del self._received[:end]
            self._serve(transaction, unit, pdu)

    def _serve(self, transaction: int, unit: int, pdu: bytes) -> None:
        answer = self._bus.answer(unit, pdu)
        if answer is None:
            return
        frame = _MBAP.pack(transaction, 0, len(answer.pdu) + 1, answer.unit) + answer.pdu
        if answer.fault is None:
            self._send(frame)
            return
        if answer.fault.hangs_up:
            self.hang_up()
            return
        frame = answer.fault.frame(frame)
        asyncio.get_running_loop().call_later(answer.fault.delay_ms / 1000, self._send, frame)

    def _send(self, frame: bytes) -> None:
        if self._transport is not None and frame:
            self._transport.write(frame)
