"""Frames on a line: known vectors, any splitting, and bytes that nobody should believe."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from edge.core.values import Unknown
from edge.sources.modbus.link import Link, NoReply

REQUEST_300_MA = bytes.fromhex("01 03 00 00 00 01 84 0A")
REPLY_300_MA = bytes.fromhex("01 03 02 01 2C B8 09")
TCP_REPLY = bytes.fromhex("0001 0000 0005 01 03 02 012C")
TIMEOUT_S = 0.05


class Wire:
    """Takes what is written and answers with `pieces`."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.written = b""
        self.is_aborted = False
        self.link: Link | None = None

    def write(self, data: bytes, /) -> None:
        self.written += data
        for piece in self.pieces:
            assert self.link is not None
            asyncio.get_running_loop().call_soon(self.link.data_received, piece)

    def abort(self) -> None:
        self.is_aborted = True


def on_line(is_rtu: bool, *pieces: bytes) -> tuple[Link, Wire, Counter[str]]:
    counters: Counter[str] = Counter()
    link, wire = Link(is_rtu, counters, lambda: None), Wire(*pieces)
    wire.link = link
    link.connection_made(wire)
    return link, wire, counters


def ask(is_rtu: bool, *pieces: bytes) -> Any:
    """Registers of the answer or the reason why there is none, the link and its counters."""

    async def scenario() -> Any:
        link, wire, counters = on_line(is_rtu, *pieces)
        try:
            reply = await link.ask(ReadHoldingRegistersRequest(dev_id=1, address=0, count=1), TIMEOUT_S)
            return list(reply.registers), link, wire, counters
        except NoReply as failure:
            return failure.reason, link, wire, counters

    return asyncio.run(scenario())


def test_the_vector_of_the_manual_goes_out_and_comes_back() -> None:
    registers, _, wire, _ = ask(True, REPLY_300_MA)
    assert wire.written == REQUEST_300_MA
    assert registers == [300]


def test_the_breakers_vector_is_read() -> None:
    async def scenario() -> Any:
        link, wire, _ = on_line(True, bytes.fromhex("01 04 06 01 40 00 29 00 2B F1 5A"))
        reply = await link.ask(ReadInputRegistersRequest(dev_id=1, address=5, count=3), TIMEOUT_S)
        assert wire.written == bytes.fromhex("01 04 00 05 00 03 A0 0A")
        return list(reply.registers)

    assert asyncio.run(scenario()) == [320, 41, 43]


VECTORS = [
    (0x0190, "01 03 01 90 00 01 85 DB", "01 03 02 01 2C B8 09", 300),
    (0x001B, "01 03 00 1B 00 01 F4 0D", "01 03 02 00 02 39 85", 0b010),
    (0x001B, "01 03 00 1B 00 01 F4 0D", "01 03 02 00 04 B9 87", 0b100),
]


@pytest.mark.parametrize(("address", "request_", "reply", "word"), VECTORS)
def test_the_vectors_of_the_relays_are_asked_and_read(address: int, request_: str, reply: str, word: int) -> None:
    """STANDARDS.md section 4: the RHU's residual current, the ASJ's status in alarm and with a broken line."""

    async def scenario() -> Any:
        link, wire, _ = on_line(True, bytes.fromhex(reply))
        answer = await link.ask(ReadHoldingRegistersRequest(dev_id=1, address=address, count=1), TIMEOUT_S)
        assert wire.written == bytes.fromhex(request_)
        return list(answer.registers)

    assert asyncio.run(scenario()) == [word]


@pytest.mark.parametrize("reply", [REPLY_300_MA, TCP_REPLY])
@pytest.mark.parametrize("seed", range(5))
def test_a_reply_may_come_in_any_pieces(reply: bytes, seed: int) -> None:
    cuts = sorted(random.Random(seed).sample(range(1, len(reply)), seed))
    pieces = [reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    assert ask(reply is REPLY_300_MA, *pieces)[0] == [300]


ECHO = REQUEST_300_MA
STRAYS = [b"\x00", b"\xff", b"\x00\x00", b"\xfe\xff", b"\x01", b"\x01\x03", b"\x02\x03\x02", ECHO]


@pytest.mark.parametrize("stray", STRAYS, ids=bytes.hex)
def test_stray_bytes_before_a_reply_cost_no_reply(stray: bytes) -> None:
    """What an RS485 line gives when it is turned around, and an adapter that hears its own request."""
    line = stray + REPLY_300_MA
    for cut in range(len(line) + 1):
        registers, link, _, counters = ask(True, line[:cut], line[cut:])
        assert registers == [300], cut
        assert not link.is_torn and counters["timeouts"] == 0


def test_another_units_frame_behind_stray_bytes_is_no_reply() -> None:
    foreign = bytes.fromhex("02 03 02 01 2C FC 09")
    assert ask(True, foreign)[3]["foreign_units"] == 1, "the frame is whole"
    assert ask(True, b"\x00" + foreign)[0] is Unknown.BAD_REPLY


BAD = [
    (True, [], Unknown.TIMEOUT, {"timeouts": 1}),
    (False, [], Unknown.TIMEOUT, {"timeouts": 1}),
    (True, [REPLY_300_MA[:-1] + b"\x00"], Unknown.BAD_REPLY, {"bad_frames": 1}),
    (True, [REPLY_300_MA[:4]], Unknown.BAD_REPLY, {"bad_frames": 1}),
    (True, [bytes.fromhex("02 03 02 01 2C FD CD")], Unknown.BAD_REPLY, None),
    (False, [TCP_REPLY[:6] + b"\x02" + TCP_REPLY[7:]], Unknown.BAD_REPLY, {"foreign_units": 1}),
    (False, [b"\x00\x07" + TCP_REPLY[2:]], Unknown.TIMEOUT, {"late_replies": 1, "timeouts": 1}),
    (False, [TCP_REPLY[:2] + b"\x00\x09" + TCP_REPLY[4:]], Unknown.BAD_REPLY, {"bad_frames": 1}),
    (False, [TCP_REPLY[:4] + b"\xff\xff" + TCP_REPLY[6:]], Unknown.BAD_REPLY, {"bad_frames": 1}),
    (False, [TCP_REPLY[:9]], Unknown.BAD_REPLY, {"bad_frames": 1}),
    (False, [b"\x00" * 400], Unknown.BAD_REPLY, {"bad_frames": 1}),
    (True, [b"\xff" * 400], Unknown.BAD_REPLY, {"bad_frames": 1}),
    (False, [bytes.fromhex("0001 0000 0003 01 83 06")], Unknown.REFUSED, {"refusals": 1}),
    (False, [bytes.fromhex("0001 0000 0003 01 83 0B")], Unknown.TIMEOUT, {"refusals": 1}),
    (False, [bytes.fromhex("0001 0000 0005 01 04 02 012C")], Unknown.BAD_REPLY, {"bad_replies": 1}),
    (False, [bytes.fromhex("0001 0000 0005 01 63 02 012C")], Unknown.BAD_REPLY, {"bad_frames": 1}),
    (False, [bytes.fromhex("0001 0000 0005 01 03 09 012C")], Unknown.BAD_REPLY, {"bad_frames": 1}),
]


@pytest.mark.parametrize(("is_rtu", "pieces", "reason", "counted"), BAD)
def test_bytes_that_are_no_answer_are_a_reason_and_are_counted(
    is_rtu: bool, pieces: list[bytes], reason: Unknown, counted: dict[str, int] | None
) -> None:
    seen, _, _, counters = ask(is_rtu, *pieces)
    assert seen is reason
    assert counted is None or dict(counters) == counted


def test_the_answer_after_a_late_one_is_taken() -> None:
    late = b"\x00\x07" + TCP_REPLY[2:-1] + b"\x63"
    registers, _, _, counters = ask(False, late + TCP_REPLY)
    assert registers == [300]
    assert counters["late_replies"] == 1


def test_a_stream_out_of_step_is_torn_but_a_serial_line_only_needs_its_silence() -> None:
    assert ask(False, TCP_REPLY[:9])[1].is_torn
    assert not ask(True, REPLY_300_MA[:4])[1].is_torn


def test_a_line_that_is_lost_tells_who_waits_and_who_asks_later() -> None:
    async def scenario() -> None:
        link, wire, _ = on_line(False)
        request = ReadHoldingRegistersRequest(dev_id=1, address=0, count=1)
        asyncio.get_running_loop().call_soon(link.drop)
        await refused(lambda: link.ask(request, 10.0))
        assert wire.is_aborted and link.is_lost
        await refused(lambda: link.ask(request, 10.0))

    async def refused(asking: Callable[[], Awaitable[Any]]) -> None:
        with pytest.raises(NoReply) as failure:
            await asking()
        assert failure.value.reason is Unknown.NO_LINK

    asyncio.run(scenario())


@pytest.mark.parametrize("is_rtu", [True, False])
def test_no_bytes_whatever_end_the_link_or_become_a_value_of_another_length(is_rtu: bool) -> None:
    """A thousand replies of noise: each a reason or as many registers as a valid frame holds, never an exception."""
    noise = random.Random(3)

    async def scenario() -> None:
        for _ in range(1000):
            data = noise.randbytes(noise.randint(1, 40))
            link, _, _ = on_line(is_rtu, data)
            try:
                await link.ask(ReadHoldingRegistersRequest(dev_id=1, address=0, count=1), 0.0005)
            except NoReply as failure:
                assert failure.reason in (Unknown.TIMEOUT, Unknown.BAD_REPLY, Unknown.REFUSED)
            else:
                pytest.fail(f"noise was taken for an answer: {data.hex()}")

    asyncio.run(scenario())
