"""Any bytes on a line: a value that a valid frame of the asked unit holds, or a reason; never an exception, never a
value of another unit, function or length."""

import asyncio
import struct
from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.values import Unknown
from edge.profiles import MeterProfile, load
from edge.sources.modbus.config import UnitConfig
from edge.sources.modbus.link import Link, NoReply
from edge.sources.modbus.unit import Unit
from simulators.modbus_rtu import seal

ASKED = 7
REASONS = frozenset({Unknown.TIMEOUT, Unknown.BAD_REPLY, Unknown.REFUSED})
POINTS = (("leak", "residual_current"), ("broken", "device_alarm"))


class Wire:
    """Takes what is written."""

    def write(self, data: bytes, /) -> None: ...
    def abort(self) -> None: ...


def rtu(unit: int, pdu: bytes) -> bytes:
    return seal(bytes((unit,)) + pdu)


def tcp(unit: int, pdu: bytes, number: int = 1) -> bytes:
    return struct.pack(">HHHB", number, 0, len(pdu) + 1, unit) + pdu


units = st.sampled_from([ASKED, ASKED + 1, 0, 247])
words = st.lists(st.integers(0, 0xFFFF), min_size=0, max_size=3)
registers = st.builds(
    lambda function, size, values: struct.pack(f">BB{len(values)}H", function, size or 2 * len(values), *values),
    st.sampled_from([4, 4, 4, 3, 1]),
    st.just(0) | st.integers(0, 255),
    words,
)
refusals = st.builds(bytes, st.sampled_from([(0x83, 6), (0x84, 11), (0x84, 2)]))
# What was asked for, from whoever it comes.
rights = st.builds(lambda word: struct.pack(">BBH", 4, 2, word), st.integers(0, 0xFFFF))
pdus = rights | registers | refusals | st.binary(min_size=1, max_size=9)
noise = st.binary(max_size=12)
rtu_pieces = st.lists(st.builds(rtu, units, pdus) | noise, min_size=1, max_size=4)
tcp_pieces = st.lists(st.builds(tcp, units, pdus, st.sampled_from([1, 1, 2, 0])) | noise, min_size=1, max_size=4)


def answer_of(is_rtu: bool, pieces: Sequence[bytes]) -> list[dict[str, int | Unknown]]:
    """What the unit's first block becomes when these pieces come: the readings that are complete with it."""

    async def scenario() -> list[dict[str, int | Unknown]]:
        link = Link(is_rtu, Counter(), lambda: None)
        link.connection_made(Wire())
        unit = Unit(UnitConfig(ASKED, "temperature-1ch"), load("temperature-1ch", MeterProfile), [("t", "temperature")])
        ((block, request),) = unit.requests()
        link.send(request, 60.0)
        for piece in pieces:
            link.data_received(piece)
        link._expire()
        try:
            readings = unit.take(0, block, await link.reply())
        except NoReply as failure:
            assert failure.reason in REASONS
            readings = unit.fail(0, failure.reason)
        # Bytes that nobody waits for any more are thrown away.
        link.data_received(b"".join(pieces))
        found = readings if readings is not None else unit.fail(0, Unknown.BAD_REPLY)
        return [{each.point: each.value if each.unknown is None else each.unknown for each in found}]  # type: ignore[misc]

    return asyncio.run(scenario())


def values_within(data: bytes, head: bytes) -> set[int]:
    """Every word behind an intact head of the right answer."""
    found = set()
    at = data.find(head)
    while at >= 0:
        found.add(int.from_bytes(data[at + len(head) : at + len(head) + 2], "big", signed=True))
        at = data.find(head, at + 1)
    return found


@settings(max_examples=150, deadline=None)
@given(rtu_pieces)
def test_any_bytes_of_a_serial_line_are_the_asked_units_value_or_a_reason(pieces: list[bytes]) -> None:
    (reading,) = answer_of(True, pieces)
    if not isinstance(reading["t"], Unknown):
        data = b"".join(pieces)
        words = values_within(data, bytes((ASKED, 4, 2)))
        assert reading["t"] in {raw * 100 for raw in words if rtu(ASKED, struct.pack(">BBh", 4, 2, raw)) in data}


@settings(max_examples=150, deadline=None)
@given(tcp_pieces)
def test_any_bytes_of_a_connection_are_the_asked_units_value_or_a_reason(pieces: list[bytes]) -> None:
    (reading,) = answer_of(False, pieces)
    if not isinstance(reading["t"], Unknown):
        data = b"".join(pieces)
        assert reading["t"] in {raw * 100 for raw in values_within(data, tcp(ASKED, b"\4\2\0\0")[:9])}


def test_the_right_answer_among_others_is_taken() -> None:
    """The property above is not kept by refusing everything."""
    right = struct.pack(">BBh", 4, 2, 215)
    assert answer_of(True, [rtu(ASKED, right)]) == [{"t": 21_500}]
    assert answer_of(True, [rtu(ASKED + 1, right), rtu(ASKED, right)]) == [{"t": 21_500}]
    assert answer_of(False, [tcp(ASKED, right, 2), tcp(ASKED + 1, right), tcp(ASKED, right)]) == [{"t": 21_500}]
