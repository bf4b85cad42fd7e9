"""The contract under CPython: the vectors, round trips of every message, and nothing but WireError for the rest."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import node_wire, wire
from tests.contract.check_vectors import check

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.json"))
CONTRACTS = {"wire": wire, "node_wire": node_wire}
"""The module whose vectors a file holds, by the file's name."""
CHANNELS = st.sampled_from(wire.UP + wire.DOWN)

codes = st.text("abcXYZ019-_.", min_size=1, max_size=40)
ids = st.text("0123456789abcdef", min_size=8, max_size=36)
counts = st.integers(0, wire.MAX_INT)
ints = st.integers(-wire.MAX_INT, wire.MAX_INT)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
samples = st.builds(wire.Sample, codes, ints, ints, st.none()) | st.builds(wire.Sample, codes, ints, st.none(), codes)
readings = st.builds(
    wire.Readings, ids, counts, ids, counts, counts, st.booleans(), st.booleans(),
    st.lists(samples, max_size=9).map(tuple),
)
points = st.builds(
    wire.Point, codes, codes, texts, codes, texts, st.integers(-9, 9), texts, st.booleans(), st.none() | ints,
    st.none() | ints,
)  # fmt: skip
descriptions = st.builds(
    wire.Points,
    texts,
    texts,
    st.booleans(),
    st.lists(st.builds(wire.Zone, codes, texts), max_size=4).map(tuple),
    st.lists(points, max_size=4).map(tuple),
)
others = st.one_of(
    st.builds(wire.Ack, ids, counts, counts),
    st.builds(wire.Ask, ids, texts, counts),
    st.builds(wire.Config, codes, counts, counts, texts, texts),
    st.builds(wire.Link, ids, st.sampled_from(["up", "down"])),
)
CHANNEL_OF = {
    "Readings": wire.READING,
    "Points": wire.POINTS,
    "Ack": wire.ACK,
    "Ask": wire.ASK,
    "Config": wire.CONFIG,
    "Link": wire.LINK,
}
event_fields = st.fixed_dictionaries(
    {
        "journal": ids, "seq": counts, "boot": ids, "mono_ms": counts, "wall_ms": counts, "clock_ok": st.booleans(),
        "kind": codes, "condition": st.none() | codes, "zone": texts, "point": texts, "value": st.none() | ints,
        "unit": texts, "unknown": st.none() | codes, "order": counts, "who": texts, "why": texts,
        "sounded_ms": st.none() | counts, "durable": st.booleans(),
    }
)  # fmt: skip


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_every_vector_holds(path: Path):
    wrong, count = check(CONTRACTS[path.stem], json.loads(path.read_text("utf-8")))
    assert wrong == []
    assert count > 0


@given(st.one_of(readings, descriptions, others))
def test_what_is_encoded_decodes_to_itself(message):
    assert wire.decode(CHANNEL_OF[type(message).__name__], wire.encode(message)) == message


@given(event_fields, st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_sealed_event_decodes_to_itself_and_any_other_byte_is_refused(fields, prev):
    payload, digest = wire.seal_event(fields, prev)
    event = wire.decode_event(payload)
    assert {name: getattr(event, name) for name in fields} == fields
    assert (event.prev, event.hash) == (prev, digest)
    assert json.loads(payload)["hash"] == digest


@given(event_fields, st.data())
def test_a_changed_byte_is_never_the_same_event(fields, data):
    payload, _ = wire.seal_event(fields, wire.GENESIS)
    at = data.draw(st.integers(0, len(payload) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != payload[at]))
    with pytest.raises(wire.WireError):
        wire.decode_event(payload[:at] + bytes([other]) + payload[at + 1 :])


@given(CHANNELS, st.binary(max_size=300))
def test_garbage_is_a_wire_error_and_nothing_else(channel, payload):
    with pytest.raises(wire.WireError):
        wire.decode(channel, payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.one_of(readings, descriptions, others), st.data())
def test_a_message_with_another_value_in_it_is_a_value_or_a_wire_error(message, data):
    members = json.loads(wire.encode(message))
    members[data.draw(st.sampled_from(sorted(members)))] = data.draw(json_values)
    try:
        wire.decode(CHANNEL_OF[type(message).__name__], json.dumps(members).encode())
    except wire.WireError as error:
        assert ": expected " in str(error)


@pytest.mark.parametrize("depth", [10, 1_000, 30_000])
def test_deep_nesting_is_a_wire_error(depth: int):
    with pytest.raises(wire.WireError):
        wire.decode(wire.ACK, b"[" * depth + b"]" * depth)


def test_sizes_are_bounded_both_ways():
    big = wire.Config("g1", 1, 1, "x" * 60_000, "y" * 400)
    assert wire.decode(wire.CONFIG, wire.encode(big)) == big
    with pytest.raises(wire.WireError, match="at most 65536 bytes, got 65537"):
        wire.decode(wire.CONFIG, b" " * (wire.MAX_BYTES + 1))
    with pytest.raises(wire.WireError, match="at most 60000 characters"):
        wire.encode(big._replace(body="x" * 60_001))


def test_half_of_a_surrogate_pair_is_refused_before_it_is_encoded():
    with pytest.raises(wire.WireError, match="surrogate"):
        wire.encode(wire.Ask("ask-00000001", "\ud800", 1))


@pytest.mark.parametrize("home", ["", "a/b", "a+b", "#", "a" * 41, "中"])
def test_a_code_cannot_break_out_of_its_topic_level(home: str):
    with pytest.raises(wire.WireError):
        wire.topic(home, "g1", wire.EVENT)
