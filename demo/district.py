"""The light homes in one process: `python -m demo.district FILE --homes DIR --broker PORT --cable HOME`.

FILE is the full home's configuration; the others differ in code, name and broker. Each steps once a second, all evenly
spread over it. Orders come as one JSON object a line on the standard input, each answered on the standard output:

    {"home": "h07", "set": {"101.smoke_pct_m": 8.0}}
    {"home": "h07", "operation": "silence", "who": "..."}
    {"home": "h19", "cable": "cut" | "mend"}       answers {"journal": ..., "event_seq": n}
    {"home": "*", "all": "well"}                   every quantity as the building's plan has it, in every home

The end of the input is the end of the process.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from demo.cable import Cable
from demo.homes import EVERY, Home, light_homes
from demo.light import LightHome, light_table
from edge import config
from edge.clock import SystemClock
from simulators import plan as plans
from simulators.building import Building

STEP_S = 1.0

log = logging.getLogger("demo.district")


class District:
    """All light homes. `cables` are the lines that can be cut, by home."""

    def __init__(self, homes: dict[str, LightHome], cables: dict[str, Cable]) -> None:
        self.homes = homes
        self.cables = cables

    async def start(self) -> None:
        """Have every home begin; between two, the loop may turn."""
        for home in self.homes.values():
            home.start()
            await asyncio.sleep(0)

    async def live(self) -> None:
        """Step every home once a second, until cancelled."""
        count = len(self.homes)
        await asyncio.gather(*(_live(home, index / count * STEP_S) for index, home in enumerate(self.homes.values())))

    async def carry_out(self, order: dict[str, Any]) -> dict[str, Any]:
        """One order; the last home's journal answers. ValueError or KeyError says what is wrong with it."""
        codes = list(self.homes) if order["home"] == EVERY else [order["home"]]
        for code in codes:
            await self._carry_out(code, order)
        volume = self.homes[codes[-1]].gateway.journal.volume()
        return {"journal": volume.journal, "event_seq": volume.event_seq}

    async def _carry_out(self, code: str, order: dict[str, Any]) -> None:
        home = self.homes[code]
        if "set" in order:
            for name, value in order["set"].items():
                home.building.set(name, value)
        if "operation" in order:
            home.act(order["operation"], order.get("who", ""))
        if "all" in order:
            home.building.faults.heal_all()
            for name, value in home.building.plan.quantities.items():
                home.building.set(name, value)
        if "cable" in order:
            await self._cable(code, order["cable"])

    async def _cable(self, code: str, what: str) -> None:
        if what == "cut":
            self.cables[code].cut()
        else:
            await self.cables[code].mend()

    async def close(self) -> None:
        """Close all homes side by side: each waits for its own disk and its own farewell."""
        for home in self.homes.values():
            home.stop()
        with ThreadPoolExecutor(len(self.homes)) as pool:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, home.close) for home in self.homes.values()))
        for cable in self.cables.values():
            cable.cut()


async def _live(home: LightHome, offset_s: float) -> None:
    loop = asyncio.get_running_loop()
    due_s = loop.time() + offset_s
    while True:
        await asyncio.sleep(due_s - loop.time())
        home.step()
        # A step that came late makes up for nothing: the building lives by the clock, not by the count.
        due_s = max(due_s + STEP_S, loop.time())


async def build(options: argparse.Namespace) -> District:
    """The homes as the configuration has them. Raises ConfigError, OSError."""
    table = tomllib.loads(options.file.read_text("utf-8"))
    plan = plans.load("home")
    clock = SystemClock()
    cables: dict[str, Cable] = {}
    homes: dict[str, LightHome] = {}
    for home in light_homes():
        port = options.broker
        if home.code == options.cable:
            cables[home.code] = Cable(options.broker)
            await cables[home.code].mend()
            port = cables[home.code].port
        homes[home.code] = _light_home(home, table, port, plan, options.homes, clock)
    return District(homes, cables)


def _light_home(
    home: Home, table: dict[str, Any], port: int, plan: plans.Plan, folder: Path, clock: SystemClock
) -> LightHome:
    own = light_table(table, home.code, home.name, str(folder / home.code), port)
    setup = config.parse(own, f"{home.code}.toml", f"light-{home.code}")
    return LightHome(setup, Building(plan, seed=plan.head.seed + int(home.code[1:])), clock)


async def serve(district: District) -> None:
    """Live and answer orders until the input ends or a signal comes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = [asyncio.create_task(district.live()), asyncio.create_task(_answer(reader, district))]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tasks[1].cancel)
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await district.close()
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _answer(reader: asyncio.StreamReader, district: District) -> None:
    while line := await reader.readline():
        try:
            answer = await district.carry_out(json.loads(line))
        except (ValueError, KeyError, OSError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer), flush=True)


async def _run(options: argparse.Namespace) -> None:
    district = await build(options)
    await district.start()
    print(json.dumps({"homes": list(district.homes)}), flush=True)
    await serve(district)


def main() -> int:
    """The process's entry point."""
    parser = argparse.ArgumentParser(prog="python -m demo.district", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="the full home's gateway.toml")
    parser.add_argument("--homes", type=Path, required=True, metavar="DIR", help="folder of their journals")
    parser.add_argument("--broker", type=int, required=True, metavar="PORT", help="MQTT port on loopback")
    parser.add_argument("--cable", default="", metavar="HOME", help="the home whose line can be cut")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
