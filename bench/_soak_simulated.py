"""The soak in simulated time: the whole agent, its home and its people on one loop."""

import asyncio
import os
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import _soak_world
from bench._soak_home import write_home
from bench._soak_script import Command, Cycle, cycles
from bench._soak_time import SimulatedClock, SimulatedEvent, SimulatedLoop, SimulatedTime, count_jobs
from edge import config
from edge.agent import Agent
from edge.config import Setup
from edge.core.values import Act, Operation
from simulators.control import apply

SETTLE_S = 120.0
"""From the start to the first cycle: every point has been heard, and what is made once is made."""
SAMPLE_S = 60.0
PAGE = os.sysconf("SC_PAGE_SIZE")


class SoakedAgent(Agent):
    """The agent as it is, but that its journal's thread waits in simulated time."""

    def __init__(self, setup: Setup, time: SimulatedTime) -> None:
        super().__init__(setup, SimulatedClock(time))
        self._time = time

    def _open(self) -> None:
        super()._open()
        writer = self._gateway.journal._writer
        writer._wake = SimulatedEvent(self._time, writer.thread)  # type: ignore[assignment]

    def operate(self, operation: str) -> None:
        """A person does something."""
        self._gateway.act(Act(Operation(operation), "soak"))


def live_simulated(
    folder: Path, seed: int, for_ms: int, cycle_ms: int, told: Callable[..., None]
) -> tuple[Sequence[int], Sequence[int]]:
    """When (monotonic ms) each of the script's cycles began, and resident bytes at even times. The data folder is
    `folder`/data.

    Numbers alone, in room made beforehand: what this process keeps would look like growth of the agent.
    """
    sys.path.insert(0, str(folder))
    time = SimulatedTime()
    count_jobs(time)
    world = _soak_world.World(time, seed)
    loop = SimulatedLoop(time)
    try:
        with _soak_world.back_ends(folder, world):
            sizes = array("q", bytes(8 * int(for_ms / 1000 / SAMPLE_S + 10)))
            begun = loop.run_until_complete(_live(folder, world, cycles(seed, for_ms, cycle_ms), sizes, told))
            return begun, [size for size in sizes if size]
    finally:
        loop.close()
        sys.path.remove(str(folder))


async def _live(
    folder: Path, world: _soak_world.World, script: Iterable[Cycle], sizes: "array[int]", told: Callable[..., None]
) -> "array[int]":
    await world.start()
    agent = SoakedAgent(config.load(_write_home(folder, world)), world.time)
    running = asyncio.create_task(agent.run())
    await asyncio.sleep(SETTLE_S)
    sampling = asyncio.create_task(_sample(sizes))
    begun = array("q")
    for cycle in script:
        began_s = world.time.now_s
        told(f"{began_s / 3600:7.2f} h  {cycle.name}", flush=True)
        begun.append(int(began_s * 1000))
        for at_ms, command in cycle.steps:
            await asyncio.sleep(began_s + at_ms / 1000 - world.time.now_s)
            _do(world, agent, command)
        await asyncio.sleep(began_s + cycle.lasts_ms / 1000 - world.time.now_s)
        if running.done():
            break
    sampling.cancel()
    agent.stop()
    await running
    await world.stop()
    return begun


def _do(world: _soak_world.World, agent: SoakedAgent, command: Command) -> None:
    if "act" in command:
        agent.operate(command["act"])
    else:
        world.catch_up()
        apply(world.building, command)


async def _sample(sizes: "array[int]") -> None:
    for at in range(len(sizes)):
        sizes[at] = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGE
        await asyncio.sleep(SAMPLE_S)


def _write_home(folder: Path, world: _soak_world.World) -> Path:
    simulated: dict[str, str | int] = {"backend": _soak_world.BACKEND, "address": "in this process"}
    buses: dict[str, dict[str, str | int]] = {
        name: {"host": "127.0.0.1", "port": port} for name, port in world.ports.items()
    }
    buses |= {"gpio": simulated, "i2c": {**simulated, "address": "also here"}}
    return write_home(folder, buses)
