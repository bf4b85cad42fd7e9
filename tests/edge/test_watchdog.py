"""The watchdog over a real datagram socket: fed while the loop turns and outputs are driven, and by nothing else."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge import agent as agent_module
from edge.agent import Agent
from edge.core.values import Act, Operation
from edge.watchdog import FEED, READY, STOPPING, Watchdog
from tests.edge.home import small_home

BEAT_S = 0.02


class Manager:
    """What listens at NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self.heard: list[bytes] = []

    def take(self) -> list[bytes]:
        """What has come since it was asked last."""
        came = []
        while True:
            try:
                came.append(self._socket.recv(100))
            except BlockingIOError:
                self.heard += came
                return came

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    address = str(tmp_path / "notify")
    listening = Manager(address)
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setattr(agent_module, "BEAT_S", BEAT_S)
    yield listening
    listening.close()


async def fed(manager: Manager, times: int = 3) -> None:
    """Wait until it is fed so often from now on."""
    manager.take()
    count = 0
    async with asyncio.timeout(20):
        while count < times:
            count += manager.take().count(FEED)
            await asyncio.sleep(BEAT_S)


def with_agent(folder: Path, test: Any) -> None:
    """Run a test beside a real agent, whose chip and buses are not there."""

    async def run() -> None:
        locks = str(folder / "locks")
        setup = small_home(folder, **{'rules = "cn-2026"': f'rules = "cn-2026"\nlocks = "{locks}"'})
        agent = Agent(setup)
        running = asyncio.create_task(agent.run())
        try:
            await test(agent)
        finally:
            agent.stop()
            await running

    asyncio.run(run())


def test_it_says_ready_feeds_and_says_stopping(manager: Manager, tmp_path: Path) -> None:
    async def test(agent: Agent) -> None:
        await fed(manager)

    with_agent(tmp_path, test)
    manager.take()
    assert manager.heard.count(READY) == manager.heard.count(STOPPING) == 1
    assert set(manager.heard) == {READY, FEED, STOPPING}
    assert manager.heard[-1] == STOPPING


def test_a_loop_that_is_blocked_is_not_fed(manager: Manager, tmp_path: Path) -> None:
    async def test(agent: Agent) -> None:
        await fed(manager)
        manager.take()
        time.sleep(25 * BEAT_S)  # the loop's own thread: what a hung call on it does
        assert FEED not in manager.take()
        await fed(manager)

    with_agent(tmp_path, test)


def test_an_engine_that_cannot_decide_is_not_fed(manager: Manager, tmp_path: Path) -> None:
    def fails() -> None:
        raise RuntimeError("a bug")

    async def test(agent: Agent) -> None:
        await fed(manager)
        engine = agent._gateway.engine
        engine.tick = fails  # type: ignore[method-assign]
        await asyncio.sleep(2 * BEAT_S)
        manager.take()
        await asyncio.sleep(25 * BEAT_S)
        assert FEED not in manager.take()
        del engine.tick
        await fed(manager)

    with_agent(tmp_path, test)


def test_dead_sources_a_dead_disk_and_a_failing_look_at_itself_stop_no_feeding(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise OSError("gone")

    async def test(agent: Agent) -> None:
        await fed(manager)
        points = agent._gateway.engine.panel.points.values()
        assert all(point.unknown is not None for point in points if point.plan.zone), "every source is dead"
        monkeypatch.setattr(agent._gateway.journal, "record", fails)
        monkeypatch.setattr(agent._gateway.journal, "observe", fails)
        monkeypatch.setattr(agent._gateway, "beat", fails)
        agent._gateway.act(Act(Operation.SILENCE, "李护士"))
        await fed(manager)
        monkeypatch.undo()

    with_agent(tmp_path, test)


@pytest.mark.parametrize("name", ["", "relative", "/no/such/socket", "@shouwang-no-such-name"])
def test_without_a_manager_nothing_happens(name: str) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": name} if name else {})
    watchdog.ready()
    watchdog.feed()
    watchdog.close()
    watchdog.feed()


def test_an_abstract_name_is_understood() -> None:
    manager = Manager("\0shouwang-test-of-the-watchdog")
    watchdog = Watchdog({"NOTIFY_SOCKET": "@shouwang-test-of-the-watchdog"})
    watchdog.feed()
    assert manager.take() == [FEED]
    watchdog.close()
    manager.close()
