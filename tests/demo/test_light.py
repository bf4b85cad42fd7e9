"""A light home decides like a full one, on what it asks of the building."""

import asyncio
import contextlib
import tomllib
from pathlib import Path
from typing import Any

from demo import example
from demo.cable import Cable
from demo.light import LightHome, light_table
from edge import config
from edge.clock import SystemClock
from edge.core.values import Class, Unknown
from edge.own_points import DISK_POINT
from simulators.building import Building
from tests.demo.test_example import READY, SHIPPED


class Clock(SystemClock):
    """A clock that the test turns."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 1_000_000

    def mono_ms(self) -> int:
        return self.now_ms


def light_home(folder: Path, clock: Clock) -> LightHome:
    table = tomllib.loads(example.edit(SHIPPED, "/nowhere", 1, READY))
    own: dict[str, Any] = light_table(table, "h02", "望海楼养老院", str(folder), 1)
    own["uplink"]["enabled"] = False
    return LightHome(config.parse(own, "h02.toml"), Building.load("home"), clock)


def live(home: LightHome, clock: Clock, seconds: int) -> None:
    for _ in range(seconds):
        clock.now_ms += 1000
        home.step()


def standing(home: LightHome) -> set[tuple[Class, str]]:
    # The disk cannot keep up with a clock that runs a second in no time, and that is all that it says.
    return {key for key in home.gateway.engine.panel.conditions if key[1] != DISK_POINT}


async def evening(folder: Path) -> None:
    clock = Clock()
    home = light_home(folder, clock)
    home.start()
    live(home, clock, 3)
    assert standing(home) == set()
    wired = [point for point in home.gateway.engine.panel.points.values() if point.plan.bus]
    assert [point.plan.code for point in wired if point.unknown is not None] == [], "every point has a value"
    assert len(wired) > 30
    home.building.set("203.smoke_pct_m", 8.0)
    home.building.set("kitchen.leakage_ma", 400)
    home.building.faults.inject("modbus/2", "silent", home.building.now_ms)
    live(home, clock, 8)
    assert {(Class.FIRE, "smoke-203"), (Class.ELECTRICAL, "leak-k")} <= standing(home)
    assert home.gateway.engine.panel.points["leak-2"].unknown is Unknown.TIMEOUT
    home.building.set("203.smoke_pct_m", 0.1)
    home.building.set("kitchen.leakage_ma", 96)
    home.building.faults.heal_all()
    live(home, clock, 10)
    assert (Class.FIRE, "smoke-203") in standing(home), "it latches"
    home.act("reset", "周护士")
    live(home, clock, 10)
    assert standing(home) == set(), "the supply was cut, and the detector has let go"
    home.stop()
    home.close()


def test_a_light_home_lives_through_an_evening(tmp_path: Path) -> None:
    asyncio.run(evening(tmp_path))


async def talk_over_a_cable() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    cable = Cable(server.sockets[0].getsockname()[1])
    await cable.mend()
    port = cable.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"
    cable.cut()
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    try:
        await asyncio.open_connection("127.0.0.1", port)
        raise AssertionError("a cut cable took a connection")
    except ConnectionRefusedError:
        await cable.mend()
    assert cable.port == port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"again\n")
    assert await reader.readline() == b"again\n"
    writer.close()
    cable.cut()
    server.close()


def test_a_cable_can_be_cut_and_mended() -> None:
    asyncio.run(asyncio.wait_for(talk_over_a_cable(), 10))
