"""The line to the agent: whatever it says or does not say, the console goes on, and takes no answer for another."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.console import agent_line
from edge.console.agent_line import AgentLine, Silent
from tests.console.running import FakeAgent


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    with tempfile.TemporaryDirectory() as folder:
        made = FakeAgent(Path(folder) / "gw")
        made.path = Path(folder) / "gw" / "agent.sock"  # type: ignore[attr-defined]
        yield made
        made.close()


def with_line(agent: FakeAgent, do: Callable[[AgentLine], Awaitable[Any]], told: Any = lambda _: None) -> Any:
    async def run() -> Any:
        line = AgentLine(agent.path, told, period_s=0.01)  # type: ignore[attr-defined]
        try:
            return await do(line)
        finally:
            line.close()

    return asyncio.run(run())


@pytest.mark.parametrize("mood", ["babble", "lie"])
def test_an_answer_that_is_none_is_silence(agent: FakeAgent, mood: str) -> None:
    async def ask(line: AgentLine) -> dict[str, Any]:
        agent.mood = mood
        with pytest.raises(Silent):
            await line.ask({"do": "status"})
        agent.mood = "answer"
        return await line.ask({"do": "status"})  # over a new connection

    assert with_line(agent, ask)["ok"] is True
    assert agent.connections == 2


def test_a_late_answer_is_not_taken_for_the_next(agent: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_line, "PATIENCE_S", 0.2)

    async def ask(line: AgentLine) -> dict[str, Any]:
        agent.mood = "hang"
        with pytest.raises(Silent):
            await line.ask({"do": "status"})
        agent.mood = "refuse"
        return await line.ask({"do": "reset"})

    assert with_line(agent, ask)["reason"] == "unknown_point"
    assert agent.connections == 2


def test_nobody_waits_longer_than_two_answers_however_many_ask(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_line, "PATIENCE_S", 0.2)
    agent.mood = "hang"

    async def crowd(line: AgentLine) -> list[Any]:
        asked = [line.ask({"do": "silence"}) for _ in range(50)]
        return list(await asyncio.gather(*asked, return_exceptions=True))

    assert {type(answer) for answer in with_line(agent, crowd)} == {Silent}
    assert len(agent.asked) <= 3


def test_a_status_that_cannot_be_shown_counts_as_silence_and_ends_nothing(agent: FakeAgent) -> None:
    shown: list[Any] = []

    def told(status: dict[str, Any]) -> None:
        shown.append(status["points"][0])

    async def watch(line: AgentLine) -> None:
        agent.mood = "strange"
        task = asyncio.create_task(line.run())
        while len(agent.asked) < 3:
            await asyncio.sleep(0.01)
        assert not line.was_heard
        agent.mood = "answer"
        while not shown:
            await asyncio.sleep(0.01)
        assert line.was_heard and line.quiet_ms < 2_000
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with_line(agent, watch, told)


def test_an_agent_that_was_not_there_is_found_when_it_comes(tmp_path: Path) -> None:
    async def watch() -> None:
        shown: list[Any] = []
        line = AgentLine(tmp_path / "gw" / "agent.sock", shown.append, period_s=0.01)
        task = asyncio.create_task(line.run())
        await asyncio.sleep(0.1)
        assert not line.was_heard
        agent = await asyncio.to_thread(FakeAgent, tmp_path / "gw")
        while not shown:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        line.close()
        await asyncio.to_thread(agent.close)

    asyncio.run(watch())
