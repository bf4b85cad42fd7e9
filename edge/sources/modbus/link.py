"""One request at a time over a TCP connection or a serial line: frames, who answered, and when the line was last heard.

Framing, checksums and messages are pymodbus's. The transaction is our own, because a monitoring master has to know
things that the library's client hides: why there was no reply (silence, garbage, a foreign unit, a late answer), and
the instant of the last byte, from which RTU's 3.5 characters of silence count. The library's client also closes the
line after some time-outs although other units answer on it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU

from edge.core.values import Unknown

# The longest Modbus TCP frame has 260 bytes, the longest RTU frame 256; more without a frame in it is garbage.
FRAME_MAX = 260
_MBAP_LENGTH = 6
# A serial line that is turned around gives a stray byte or two, and some adapters hear their own request of 8.
STRAY_MAX = 8

# The library logs each bad frame; they are counted here and said once per change by the port.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class NoReply(Exception):
    """Why a request brought no usable reply. `code` is the device's exception code where it refused, else 0."""

    def __init__(self, reason: Unknown, code: int = 0) -> None:
        super().__init__(f"exception {code}" if code else str(reason))
        self.reason = reason
        self.code = code


class Wire(Protocol):
    """What a link writes to: an asyncio transport or a serial line."""

    def write(self, data: bytes, /) -> None:
        """Send bytes; never blocks."""

    def abort(self) -> None:
        """Close at once, dropping what was not sent."""


class Link(asyncio.Protocol):
    """A line to one port, from connecting to losing it.

    `heard_s` is when the last byte came, `answered_s` when the last usable reply did, on the loop's clock. A torn
    link's bytes cannot be trusted any more: drop it.
    """

    def __init__(self, is_rtu: bool, counters: Counter[str], on_lost: Callable[[], None]) -> None:
        self.heard_s = 0.0
        self.answered_s = 0.0
        self.is_torn = False
        self.is_lost = False
        self._on_lost = on_lost
        self._is_rtu = is_rtu
        self._framer: FramerBase = (FramerRTU if is_rtu else FramerSocket)(DecodePDU(False))
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._buffer = bytearray()
        self._number = 0
        self._is_garbled = False
        self._asked: ModbusPDU | None = None
        self._reply: asyncio.Future[ModbusPDU] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, request: ModbusPDU, timeout_s: float) -> ModbusPDU:
        """The reply to `request`, or NoReply. A reply that the device refused is NoReply(REFUSED, its code)."""
        self.send(request, timeout_s)
        return await self.reply()

    @property
    def is_free(self) -> bool:
        """Whether a request may be sent."""
        return self._wire is not None and self._reply is None

    def send(self, request: ModbusPDU, timeout_s: float) -> None:
        """Send a request at once; `reply` has to follow. NoReply where there is no line."""
        if self._wire is None:
            raise NoReply(Unknown.NO_LINK)
        self._number = self._number % 0xFFFF + 1
        request.transaction_id = self._number
        self._buffer.clear()
        self._is_garbled = False
        self._asked = request
        self._reply = self._loop.create_future()
        self._timer = self._loop.call_later(timeout_s, self._expire)
        self._wire.write(self._framer.buildFrame(request))

    async def reply(self) -> ModbusPDU:
        """The reply to the request that was sent; see `ask`."""
        assert self._asked is not None and self._reply is not None and self._timer is not None
        request = self._asked
        try:
            answer = await self._reply
        finally:
            self._timer.cancel()
            self._asked = self._reply = None
        self.answered_s = self._loop.time()
        if answer.isError():
            raise self._refusal(answer.exception_code)
        if answer.function_code != request.function_code:
            self._counters["bad_replies"] += 1
            raise NoReply(Unknown.BAD_REPLY)
        return answer

    def drop(self) -> None:
        """Close the line."""
        if self._wire is not None:
            self._wire.abort()
            self.connection_lost(None)
        if self._reply is not None and self._reply.done():
            # Nobody may be waiting for the reply to what was sent ahead; asyncio would complain about its loss.
            self._reply.exception()

    def connection_made(self, transport: Wire) -> None:  # type: ignore[override]
        """The line stands."""
        self._wire = transport
        self.answered_s = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """The line is gone; whoever waits is told."""
        self._wire = None
        self.is_lost = True
        self._fail(Unknown.NO_LINK)
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        """Bytes came. What nobody waits for is thrown away: it is the rest of an answer that came too late."""
        self.heard_s = self._loop.time()
        if self._reply is None or self._reply.done():
            self._counters["late_replies"] += 1
            return
        self._buffer += data
        while self._buffer and self._take():
            pass
        if len(self._buffer) > FRAME_MAX:
            self._tear()

    def _take(self) -> bool:
        """Take one frame off the buffer; False when the rest is not yet a frame."""
        data = bytes(self._buffer)
        if not self._is_rtu and len(data) >= _MBAP_LENGTH and self._is_no_header(data):
            self._tear()
            return False
        used, unit, number, body = self._framer.decode(data)
        if self._is_rtu and not (body and self._is_asked(unit)):
            behind = self._behind_strays(data)
            if behind:
                used, unit, body = len(data), behind[0], behind[1:]
            elif used and not body:
                # Perhaps only the beginning was noise: what follows may still make a frame of it.
                self._garbled("bad_frames")
                return False
        del self._buffer[:used]
        if used:
            self._judge(unit, number, body)
        return used > 0

    def _is_asked(self, unit: int) -> bool:
        return self._asked is not None and unit == self._asked.dev_id

    def _behind_strays(self, data: bytes) -> bytes:
        """Unit and message of the asked unit's frame behind some stray bytes, or nothing; its checksum proves it."""
        assert self._asked is not None
        head = self._asked.function_code
        for at in range(1, min(STRAY_MAX, len(data) - 2) + 1):
            if self._is_asked(data[at]) and data[at + 1] & 0x7F == head:
                _, unit, _, body = self._framer.decode(data[at:])
                if body and self._is_asked(unit):
                    self._counters["stray_bytes"] += 1
                    return bytes((unit,)) + body
        return b""

    @staticmethod
    def _is_no_header(data: bytes) -> bool:
        """Whether a TCP frame's protocol id or length is impossible, so that no later byte can be trusted either."""
        return data[2:4] != b"\0\0" or not 2 < int.from_bytes(data[4:6], "big") <= FRAME_MAX - _MBAP_LENGTH

    def _judge(self, unit: int, number: int, body: bytes) -> None:
        """Give the frame to who waits for it, or count why not."""
        assert self._asked is not None and self._reply is not None
        if not body:
            self._garbled("bad_frames")
        elif unit != self._asked.dev_id:
            self._garbled("foreign_units")
        elif not self._is_rtu and number != self._number:
            self._counters["late_replies"] += 1
        elif (answer := self._framer.decoder.decode(body)) is None:
            self._garbled("bad_frames")
        elif not self._reply.done():
            self._reply.set_result(answer)

    def _garbled(self, counter: str) -> None:
        """Count what came instead of the reply; bytes of a serial line once for each request, however they come."""
        if not (self._is_rtu and self._is_garbled and counter == "bad_frames"):
            self._counters[counter] += 1
        self._is_garbled = True

    def _tear(self) -> None:
        """The bytes make no sense: the request has failed, and over TCP so has the connection."""
        self._garbled("bad_frames")
        self._buffer.clear()
        self.is_torn = not self._is_rtu
        self._fail(Unknown.BAD_REPLY)

    def _expire(self) -> None:
        if self._buffer and not (self._is_rtu and self._is_garbled):
            # Half a frame. Its other half would be taken for the head of the next answer.
            self._tear()
        elif self._is_garbled:
            self._fail(Unknown.BAD_REPLY)
        else:
            self._counters["timeouts"] += 1
            self._fail(Unknown.TIMEOUT)

    def _fail(self, reason: Unknown) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(NoReply(reason))

    def _refusal(self, code: int) -> NoReply:
        self._counters["refusals"] += 1
        # 0x0B: a gateway says that the unit behind it did not answer.
        return NoReply(Unknown.TIMEOUT if code == 0x0B else Unknown.REFUSED, code)
