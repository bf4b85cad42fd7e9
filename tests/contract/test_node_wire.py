"""The contract with sensor nodes under CPython; its vectors are run by test_wire.py and test_wire_micropython.py."""

import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import node_wire, wire
from tests.contract.test_wire import codes, counts, ids, ints, json_values, texts

hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.text("abcxyz_0", min_size=1, max_size=12).map("{}.py".format)
files = st.lists(st.builds(node_wire.File, names, st.integers(0, node_wire.MAX_FILE_BYTES), hashes), max_size=4)
either = st.tuples(ints, st.none()) | st.tuples(st.none(), codes)
levels = st.lists(st.builds(lambda a, b, c: node_wire.Level(a, b, *c), codes, codes, either), max_size=4).map(tuple)
reports = st.builds(
    lambda boot, seq, held, age, ok, live, name, what: node_wire.Report(boot, seq, held, age, ok, live, name, *what),
    ids, counts, counts, counts, st.booleans(), st.booleans(), codes, either,
)  # fmt: skip
beats = st.builds(
    node_wire.Beat, ids, counts, counts, counts, counts, texts, counts, codes, texts, st.none() | ints,
    st.none() | ints, st.none() | ints, counts, counts, counts, counts, texts,
    st.lists(codes, max_size=3).map(tuple), levels,
)  # fmt: skip
others = st.one_of(
    st.builds(node_wire.Will, ids),
    st.builds(node_wire.Progress, counts, st.sampled_from(node_wire.STATES), texts, counts, texts),
    st.builds(node_wire.Ack, ids, counts),
    st.builds(node_wire.Clock, counts, st.booleans()),
    st.builds(node_wire.Order, ids, st.sampled_from(node_wire.ORDERS)),
    st.builds(node_wire.Update, counts, texts, files.map(tuple), hashes),
    st.builds(node_wire.Chunk, counts, codes, counts, texts),
)
messages = st.one_of(reports, beats, others)


def channel_of(message: object) -> str:
    return type(message).__name__.lower()


@given(messages)
def test_what_is_encoded_decodes_to_itself(message):
    assert node_wire.decode(channel_of(message), node_wire.encode(message)) == message


@given(messages, st.data())
def test_a_message_with_another_value_in_it_is_a_value_or_a_wire_error(message, data):
    members = json.loads(node_wire.encode(message))
    members[data.draw(st.sampled_from(sorted(members)))] = data.draw(json_values)
    try:
        node_wire.decode(channel_of(message), json.dumps(members).encode())
    except wire.WireError as error:
        assert ": expected " in str(error)


@given(st.sampled_from(node_wire.UP + node_wire.DOWN), st.binary(max_size=300))
def test_garbage_is_a_wire_error_and_nothing_else(channel, payload):
    with pytest.raises(wire.WireError):
        node_wire.decode(channel, payload)


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_the_signature_is_hmac_sha256(key, data):
    assert node_wire.sign(key, data) == hmac.new(key, data, "sha256").hexdigest()


@given(st.binary(min_size=32, max_size=32), codes, counts, texts, files, st.data())
def test_only_the_signed_update_for_this_node_is_taken(key, node, release, version, listed, data):
    signature = node_wire.sign(key, node_wire.signed_bytes(node, release, version, listed))
    update = node_wire.Update(release, version, tuple(listed), signature)
    assert node_wire.is_signed(key, node, update)
    assert not node_wire.is_signed(key, node + "x", update)
    assert not node_wire.is_signed(key, node, update._replace(release=release + 1))
    assert not node_wire.is_signed(key, node, update._replace(signature=data.draw(hashes.filter(signature.__ne__))))


@pytest.mark.parametrize("node", ["", "a/b", "a+b", "#", "a" * 41])
def test_a_code_cannot_break_out_of_its_topic_level(node: str):
    with pytest.raises(wire.WireError):
        node_wire.topic(node, node_wire.REPORT)
