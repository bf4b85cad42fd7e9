"""The contract in real MicroPython: every vector, and random messages whose bytes and refusals must be CPython's."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from device import wire
from tests.contract.check_vectors import plain
from tests.contract.test_wire import CHANNEL_OF, descriptions, event_fields, others, readings
from tests.support import ROOT, MicroPython

FOLDER = ROOT / "tests" / "contract"
CHECK = {"check_vectors.py": str(FOLDER / "check_vectors.py")}
VECTORS = sorted((FOLDER / "vectors").glob("*.json"))

CHECK_SCRIPT = """
import json
from check_vectors import check
from device import {contract} as wire
with open("vectors.json") as file:
    wrong, count = check(wire, json.load(file))
print("\\n".join(wrong + [str(count) + " checked"]))
raise SystemExit(1 if wrong else 0)
"""

# What a board makes of each payload, a JSON line each: the value or the text of its refusal. All else ends the script.
DECODE_SCRIPT = """
import json
from binascii import unhexlify
from check_vectors import plain
from device import wire
with open("cases.json") as file:
    for channel, payload in json.load(file):
        try:
            print(json.dumps(["value", plain(wire.decode(channel, unhexlify(payload)))]))
        except wire.WireError as error:
            print(json.dumps(["refused", str(error)]))
"""


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_every_vector_holds_in_micropython(micropython: MicroPython, path: Path):
    printed = micropython.run(CHECK_SCRIPT.format(contract=path.stem), {**CHECK, "vectors.json": str(path)})
    vectors = json.loads(path.read_text("utf-8"))
    assert printed == f"{sum(map(len, vectors.values()))} checked\n"


def _draw(strategy: st.SearchStrategy, count: int) -> list:
    """Examples without a test around them, so that one start of MicroPython can judge them all."""
    drawn: list = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: object) -> None:
        drawn.append(value)

    draw()
    return drawn


def test_random_events_are_sealed_to_the_same_bytes(micropython: MicroPython, tmp_path: Path):
    sealed = []
    prev = wire.GENESIS
    for fields in _draw(event_fields, 150):
        payload, digest = wire.seal_event(fields, prev)
        sealed.append({"fields": fields, "prev": prev, "payload": payload.decode(), "hash": digest})
        prev = digest
    path = tmp_path / "events.json"
    # Unescaped: MicroPython's reader does not join an escaped surrogate pair, and a seal is never escaped.
    vectors = {"messages": [], "events": sealed, "refused": [], "topics": []}
    path.write_text(json.dumps(vectors, ensure_ascii=False), encoding="utf-8")
    micropython.run(CHECK_SCRIPT.format(contract="wire"), {**CHECK, "vectors.json": str(path)})


def _damaged(payload: bytes, dice: random.Random) -> bytes:
    """The payload with one thing wrong that happens on the way: a byte, a piece lost, a piece twice."""
    at, end = sorted(dice.randrange(len(payload) + 1) for _ in range(2))
    return dice.choice(
        [
            payload[:at] + bytes([dice.randrange(256)]) + payload[at + 1 :],
            payload[:at] + payload[end:],
            payload[:end] + payload[at:],
            payload[:at],
        ]
    )


def _here(channel: str, payload: bytes) -> list:
    try:
        return ["value", plain(wire.decode(channel, payload))]
    except wire.WireError as error:
        return ["refused", str(error)]


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload.decode("utf-8"))
    except ValueError:
        return False
    return True


def test_a_board_judges_damaged_messages_as_cpython_does(micropython: MicroPython, tmp_path: Path):
    dice = random.Random(26875)
    messages = _draw(st.one_of(readings, descriptions, others), 60)
    sound = [(CHANNEL_OF[type(message).__name__], wire.encode(message)) for message in messages]
    sound += [(wire.EVENT, wire.seal_event(fields, wire.GENESIS)[0]) for fields in _draw(event_fields, 20)]
    cases = sound + [(channel, _damaged(payload, dice)) for channel, payload in sound for _ in range(20)]
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([(channel, payload.hex()) for channel, payload in cases]))
    printed = micropython.run(DECODE_SCRIPT, {**CHECK, "cases.json": str(path)})
    boards = [json.loads(line) for line in printed.split("\n")[:-1]]
    assert len(boards) == len(cases), "anything but a value or a WireError ends the script"
    differ = []
    for (channel, payload), board in zip(cases, boards, strict=True):
        here = _here(channel, payload)
        # MicroPython reads past a missing comma or brace, so a board may take what is no JSON; never as a sealed event.
        agrees = board == here if _is_json(payload) else channel != wire.EVENT or board[0] == "refused"
        if not agrees:
            differ.append(f"{channel} {payload!r}\n    here {here}\n    board {board}")
    assert not differ, "\n".join([f"{len(differ)} of {len(cases)}", *differ[:20]])
