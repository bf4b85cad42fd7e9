"""The serial face of a Modbus bus: RTU frames over a pseudo-terminal, paced as the wire would.

    frame   unit u8 | PDU | CRC u16, low byte first; a silence of 3.5 characters ends it

A pty hands over bytes at once, so time is added here: a request that was written at t is complete on the wire after its
own characters, the slave notices its end 3.5 characters later, and its reply is handed over whole when its last
character would have arrived. A thread of its own keeps this to a tenth of a millisecond, which an event loop's timers
do not.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import select
import termios
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

from simulators.faults import Fault
from simulators.modbus import Bus

# Above 19200 baud the specification fixes the silence at 1.75 ms (Modbus over serial line V1.02, 2.5.1.1).
FIXED_SILENCE_ABOVE_BAUD, FIXED_SILENCE_S = 19200, 0.00175
SILENCE_CHARS = 3.5
# Requests whose length follows from their function code alone: unit, function, two words, CRC.
_FIXED_REQUESTS = range(1, 7)
_READ_BYTES = 4096
# A sleep ends about this much late; the rest is spun away, because a UART is never late.
_OVERSLEEP_S = 0.0002
# A frame that breaks off is given up after this: more than a writer is held up in the middle of one, less than a
# master waits for its answer.
_TORN_FRAME_S = 0.02


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS (polynomial 0xA001 reflected, start 0xFFFF)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def _crc_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC_TABLE = [_crc_entry(byte) for byte in range(256)]


def seal(body: bytes) -> bytes:
    """A frame: the body and its CRC, low byte first."""
    return body + crc16(body).to_bytes(2, "little")


def request_length(head: bytes) -> int | None:
    """Length of the request that begins with `head`; None while unknown, or for ever for a function not known here."""
    if len(head) < 2:
        return None
    if head[1] in _FIXED_REQUESTS:
        return 8
    if head[1] in (15, 16) and len(head) >= 7:
        return 9 + head[6]
    return None


class RtuFace:
    """Serves a bus on a pty; `path` is the terminal that a master opens, at `baud` and 8N1.

    `bits_per_char` sets the pace alone (11 for 8N2 and 8E1; a pty itself refuses parity). A `strict` slave drops a
    frame that comes earlier than 3.5 characters after the last byte of its own reply, and counts it in `dropped_early`.
    `moved` is called with the path at each start and with None when the terminal vanishes.
    """

    def __init__(self, bus: Bus, baud: int = 9600, bits_per_char: int = 10, strict: bool = False) -> None:
        self.bus = bus
        self.path = ""
        self.dropped_early = 0
        self.strict = strict
        self.moved: Callable[[str | None], None] | None = None
        self._baud = baud
        self._speed = getattr(termios, f"B{baud}")
        self.char_s = bits_per_char / baud
        self.silence_s = FIXED_SILENCE_S if baud > FIXED_SILENCE_ABOVE_BAUD else SILENCE_CHARS * self.char_s
        self._wake_read, self._wake_write = -1, -1
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Open the pty and serve it from a thread."""
        self._wake_read, self._wake_write = os.pipe()
        master, slave = self._open()
        self.bus.faults.watch(self._fault_changed)
        name = f"rtu {self.bus.name}"
        self._thread = threading.Thread(target=self._run, args=(master, slave), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the pty and end the thread."""
        if self._thread is None:
            return
        self._is_stopping = True
        os.write(self._wake_write, b"x")
        self._thread.join()
        self._thread = None
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _open(self) -> tuple[int, int]:
        # The slave end stays open here, so that the master end outlives a client that closes.
        master, slave = os.openpty()
        os.set_blocking(master, False)
        tty.setraw(slave)
        attributes = termios.tcgetattr(slave)
        attributes[4] = attributes[5] = self._speed
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.path = os.ttyname(slave)
        if self.moved is not None:
            self.moved(self.path)
        return master, slave

    def _close(self, master: int, slave: int) -> None:
        if self.moved is not None:
            self.moved(None)
        os.close(master)
        os.close(slave)

    def _run(self, master: int, slave: int) -> None:
        is_open = True
        while not self._is_stopping:
            is_unplugged = self._is_unplugged()
            if is_open and is_unplugged:
                self._close(master, slave)
                is_open = False
            elif not is_open and not is_unplugged:
                master, slave = self._open()
                is_open = True
            if is_open:
                _Line(self, master, slave, self._wake_read).serve()
            else:
                self._wait_for_wake()
        if is_open:
            self._close(master, slave)

    def _is_unplugged(self) -> bool:
        fault = self.bus.faults.at(self.bus.name)
        return fault is not None and fault.hangs_up

    def _wait_for_wake(self) -> None:
        select.select([self._wake_read], [], [])
        os.read(self._wake_read, _READ_BYTES)

    def _fault_changed(self, place: str, fault: Fault | None) -> None:
        if place == self.bus.name and self._thread is not None:
            os.write(self._wake_write, b"x")

    def is_heard(self, slave: int) -> bool:
        """Whether the master's terminal runs at this bus's speed; at another the slaves hear noise."""
        return bool(termios.tcgetattr(slave)[5] == self._speed)


class _Line:
    """One open pty: collects bytes into requests and writes the replies in time."""

    def __init__(self, face: RtuFace, master: int, slave: int, wake: int) -> None:
        self._face = face
        self._master = master
        self._slave = slave
        self._wake = wake
        self._received = b""
        self._began_s = 0.0
        self._own_last_byte_s = 0.0
        self._late: list[tuple[float, bytes]] = []

    def serve(self) -> None:
        """Serve until woken."""
        while True:
            ready, _, _ = select.select([self._master, self._wake], [], [], self._timeout_s())
            if self._wake in ready:
                os.read(self._wake, _READ_BYTES)
                return
            if ready:
                self._collect()
            elif self._received:
                self._end_of_frame()
            while self._late and self._late[0][0] <= time.monotonic():
                self._write(heapq.heappop(self._late)[1])

    def _timeout_s(self) -> float | None:
        if self._received:
            return _TORN_FRAME_S
        return max(0.0, self._late[0][0] - time.monotonic()) if self._late else None

    def _collect(self) -> None:
        now_s = time.monotonic()
        if not self._received:
            self._began_s = now_s
        self._received += os.read(self._master, _READ_BYTES)
        length = request_length(self._received)
        if length is not None and len(self._received) >= length:
            self._end_of_frame()

    def _end_of_frame(self) -> None:
        """What was collected is a frame if its CRC holds; anything else was noise, and no slave answers noise."""
        frame, self._received = self._received, b""
        if len(frame) < 4 or seal(frame[:-2]) != frame or not self._face.is_heard(self._slave):
            return
        if self._face.strict and self._began_s < self._own_last_byte_s + self._face.silence_s:
            self._face.dropped_early += 1
            return
        self._serve(frame[0], frame[1:-2], self._began_s + len(frame) * self._face.char_s + self._face.silence_s)

    def _serve(self, unit: int, pdu: bytes, heard_s: float) -> None:
        if unit == 0:
            self._face.bus.broadcast(pdu)
            return
        answer = self._face.bus.answer(unit, pdu)
        if answer is None:
            return
        frame = seal(bytes((answer.unit,)) + answer.pdu)
        if answer.fault is not None:
            frame = answer.fault.frame(frame)
        due_s = heard_s + len(frame) * self._face.char_s
        if answer.fault is not None and answer.fault.delay_ms:
            # The others go on answering while this one is late.
            heapq.heappush(self._late, (due_s + answer.fault.delay_ms / 1000, frame))
            return
        while (wait_s := due_s - time.monotonic()) > 0:
            if wait_s > _OVERSLEEP_S:
                time.sleep(wait_s - _OVERSLEEP_S)
        self._write(frame)

    def _write(self, frame: bytes) -> None:
        self._own_last_byte_s = time.monotonic()
        # Nobody reads: on a wire the bytes would be lost as well.
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, frame)


def link(path: Path) -> Callable[[str | None], None]:
    """A `moved` callback that keeps a symbolic link at `path` to the terminal, and removes it when that vanishes."""

    def moved(terminal: str | None) -> None:
        path.unlink(missing_ok=True)
        if terminal is not None:
            path.symlink_to(terminal)

    return moved
