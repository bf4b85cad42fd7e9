"""Updates: one node at a time, never during a fire, none after one that failed; signed, and rolled back when mute."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device import node_wire
from edge.nodes import broker as nodes_broker
from edge.nodes import release
from edge.nodes.release import Release
from edge.sources.node.updates import PATIENCE_MS, Updates
from simulators.node import HARDWARE
from tests.micropython.board import KEY, flash, running_board
from tests.sources.field import running, until
from tests.sources.nodes import node_broker, on_a_loop, open_nodes
from tests.support import Mosquitto

KEYS = {"n1": bytes(32), "n2": bytes(range(32)), "n3": KEY}
FILES = {"__init__.py": b"", "main.py": b"x = 1\n" * 500}
NEW = release.release_of(FILES)


def beat(version: str = "old", number: int = 1, faults: tuple[str, ...] = ()) -> node_wire.Beat:
    return node_wire.Beat(
        "boot-0001", 0, 1, 1000, 20_000, version, number, "power", HARDWARE, None, None, None, 0, 0, 0, 9, "",
        faults, (),
    )  # fmt: skip


def said(state: str, number: int = 2, file: str = "", offset: int = 0, why: str = "") -> node_wire.Progress:
    return node_wire.Progress(number, state, file, offset, why)


@pytest.fixture
def updates() -> Updates:
    return Updates(NEW, KEYS)


def test_a_node_gets_what_it_asks_for_and_is_done_when_it_has_proved_it(updates: Updates):
    assert updates.beat("n1", beat(), 0, False) == []
    updates.ask(["n1"])
    (offer,) = updates.beat("n1", beat(), 0, False)
    assert isinstance(offer, node_wire.Update)
    assert offer.release == 2
    assert node_wire.is_signed(KEYS["n1"], "n1", offer)
    assert not node_wire.is_signed(KEYS["n1"], "n2", offer)
    (piece,) = updates.progress("n1", said("fetching", 2, "main.py", 1024), 0, False)
    assert isinstance(piece, node_wire.Chunk)
    assert (piece.file, piece.offset) == ("main.py", 1024)
    assert updates.progress("n1", said("fetching", 2, "board.py"), 0, False) == []
    assert updates.progress("n1", said("fetching", 7, "main.py"), 0, False) == []
    updates.progress("n1", said("staged"), 0, False)
    assert updates.beat("n1", beat(NEW.version, 2, ("on-trial",)), 0, False) == []
    assert not updates.is_idle
    updates.beat("n1", beat(NEW.version, 2), 0, False)
    assert updates.is_idle
    assert updates.states["n1"] == f"up to date: {NEW.version}"


def test_one_at_a_time(updates: Updates):
    updates.ask(["n1", "n2"])
    assert updates.beat("n2", beat(), 0, False), "whoever beats first has its turn"
    assert updates.beat("n1", beat(), 0, False) == []
    updates.progress("n2", said("confirmed"), 0, False)
    assert updates.beat("n1", beat(), 0, False)


def test_never_during_a_fire(updates: Updates):
    updates.ask(["n1"])
    assert updates.beat("n1", beat(), 0, True) == []
    updates.beat("n1", beat(), 0, False)
    assert updates.progress("n1", said("fetching", 2, "main.py"), 0, True) == []
    assert updates.progress("n1", said("fetching", 2, "main.py"), 5_000, False)


@pytest.mark.parametrize("state", ["refused", "rolled_back"])
def test_what_failed_on_one_node_is_not_tried_on_the_next_and_never_as_the_same_number(updates: Updates, state: str):
    updates.ask(["n1", "n2"])
    updates.beat("n1", beat(), 0, False)
    updates.progress("n1", said(state, why="it was not acknowledged in time"), 0, False)
    assert "it was not acknowledged in time" in updates.states["n1"]
    assert updates.states["n2"] == "not begun, because n1 failed"
    assert updates.failed == {"n1"}
    assert updates.is_idle
    again = Updates(NEW, KEYS)
    again.recall(updates.offered())
    again.ask(["n1"])
    (offer,) = again.beat("n1", beat(), 0, False)
    assert isinstance(offer, node_wire.Update)
    assert offer.release == 3


def test_a_node_that_falls_silent_ends_the_round(updates: Updates):
    updates.ask(["n1", "n2"])
    updates.beat("n1", beat(), 0, False)
    assert updates.beat("n2", beat(), PATIENCE_MS + 1, False) == []
    assert updates.states["n1"] == "failed: said nothing for too long"
    assert updates.is_idle


def test_a_node_without_a_key_is_not_updated(updates: Updates):
    updates.ask(["n9"])
    assert updates.states["n9"] == "failed: it has no key here"
    assert updates.is_idle


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with node_broker(tmp_path) as broker:
        yield broker


@on_a_loop
async def test_firmware_that_does_not_start_is_rolled_back_and_says_so(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A real board is given a release whose main.py fails: after three starts it runs the old one again."""
    carried = release.carried()
    broken = {**carried.files, "main.py": b"raise ValueError('a release that never was tried')\n"}
    monkeypatch.setattr("edge.sources.node.source.carried", lambda: release.release_of(broken))
    (tmp_path / "nodes" / "n1").mkdir()
    (tmp_path / "nodes" / "n1" / "key").write_text(KEY.hex())
    (tmp_path / "nodes" / "n1" / "key").chmod(0o600)
    nodes_broker.set_user(tmp_path / "nodes", "n1", "geheim")
    broker.stop()
    broker.start()
    folder = flash(tmp_path / "flash", GATEWAY_PORT=broker.port, NODE="n1", PASSWORD="geheim")
    source: Any = open_nodes(broker.port, tmp_path)

    def is_said(words: str) -> bool:
        return bool(source.nodes()[0]["update"].startswith(words))

    with running_board(folder) as board:
        async with running(source) as heard:
            await heard.until("smoke-1", 0)
            source.update(["n1"])
            await until(lambda: is_said("staged"), "the release to be there", 60)
            await until(lambda: is_said("failed: rolled back release 1"), f"the way back; {board.lines[-3:]}", 60)
            await heard.until("gw-node-n1", 1)
            assert next(item.why for item in reversed(heard.readings) if item.value == 1) == "update_failed"
            assert (folder / "refused").read_text() == "1"
            assert isinstance(carried, Release)
