"""shouwang-sim: serve a simulated home, replay a recording of a real fire, let a storm of alarms loose."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from simulators import plan, replay, scenario
from simulators.building import Building, WorldError
from simulators.control import Control
from simulators.home import HomeError, HomeSimulator
from simulators.modbus import TcpFace
from simulators.modbus_rtu import RtuFace

_HOME = """\
Serves one simulated building over real bytes until it is interrupted. In DIR it makes
  rtu            link to a pty that speaks Modbus RTU (9600 8N1)
  gpio.sock      GPIO lines (gpiozero pin factory "shouwang-sim")
  i2c.sock       I2C bus (entry point "shouwang.i2c")
  control.sock   JSON lines that move the world, for example
                   {"set": {"203.smoke_pct_m": 8.0}}
                   {"ramp": {"kitchen.leakage_ma": {"to": 350, "over_s": 20}}}
                   {"press": 19, "ms": 300}      {"key": 11}
                   {"fault": {"where": "modbus/2", "kind": "silent"}}      {"heal": "modbus/2"}
                   {"get": "outputs"}   values, contacts, faults, scenario, log
                   {"play": "district"}
  ready.json     written last: the Modbus TCP port and all paths
"""
_HOME_END = """\
Try it:  shouwang-sim home --dir /tmp/home1 &
         echo '{"set": {"203.smoke_pct_m": 8.0}}' | socat - UNIX-CONNECT:/tmp/home1/control.sock
"""
_REPLAY = """\
Serves a recording (CSV with the columns t_s,temp_a,temp_b,temp_c,temp_d; seconds and °C) as a four-channel Modbus
temperature transmitter: FC04, registers 0 to 3, signed, 0.1 °C. After its end the last sample stays.
"""
_STORM = """\
Plays a scenario on a home that `shouwang-sim home` serves: by default every detector, call point, meter and loop in
alarm at once, then faults on every bus, then all well again. Prints each step and returns when it is over.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `shouwang-sim`; the exit status is 2 for what the user has to put right."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (plan.PlanError, replay.RecordingError, scenario.ScenarioError, HomeError, WorldError, OSError) as error:
        print(f"shouwang-sim: {error}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang-sim", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    home = _command(commands, "home", "serve a simulated building over real bytes", _HOME, _HOME_END)
    home.add_argument("--dir", type=Path, required=True, metavar="DIR", help="folder for the sockets; made if missing")
    home.add_argument("--building", default="home", metavar="FILE", help="a building's TOML file, or: home (default)")
    home.add_argument("--modbus-port", type=_port, default=0, metavar="N", help="Modbus TCP port; 0 takes a free one")
    home.add_argument("--seed", type=int, metavar="N", help="another noise than the building's own")
    home.add_argument("--play", metavar="SCENARIO", help="play this scenario at once: a TOML file, or district, storm")
    home.set_defaults(run=_run_home)

    again = _command(commands, "replay", "serve a recorded fire as a temperature transmitter", _REPLAY, "")
    again.add_argument("file", type=Path, metavar="FILE.csv", help="the recording")
    again.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="play X times as fast (default 1)")
    again.add_argument("--port", type=_port, default=0, metavar="N", help="Modbus TCP port; 0 takes a free one")
    again.add_argument("--unit", type=_unit, default=1, metavar="N", help="unit id, 1 to 247 (default 1)")
    again.add_argument("--pty", action="store_true", help="serve Modbus RTU on a pty (9600 8N1) instead of TCP")
    again.add_argument("--exit-at-end", action="store_true", help="stop after the last sample")
    again.set_defaults(run=_run_replay)

    storm = _command(commands, "storm", "let everything go wrong at once in a running home", _STORM, "")
    storm.add_argument("--dir", type=Path, required=True, metavar="DIR", help="the folder of the running home")
    storm.add_argument("--scenario", default="storm", metavar="NAME", help="another scenario: a TOML file, or district")
    storm.set_defaults(run=_run_storm)
    return parser


def _command(commands: Any, name: str, summary: str, description: str, epilog: str) -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog, formatter_class=shape
    )
    return parser


def _port(word: str) -> int:
    return _between(word, 0, 65535)


def _unit(word: str) -> int:
    return _between(word, 1, 247)


def _between(word: str, lowest: int, highest: int) -> int:
    if not word.isdecimal() or not lowest <= int(word) <= highest:
        raise argparse.ArgumentTypeError(f"expected a number from {lowest} to {highest}, got {word!r}")
    return int(word)


def _speed(word: str) -> float:
    try:
        speed = float(word)
    except ValueError:
        speed = math.nan
    if not math.isfinite(speed) or speed <= 0:
        raise argparse.ArgumentTypeError(f"expected a factor above 0, got {word!r}")
    return speed


def _run_home(options: argparse.Namespace) -> int:
    building = Building.load(options.building, options.seed)
    if options.play is not None:
        scenario.load(options.play)
    return _until_stopped(_serve_home(HomeSimulator(building, options.dir, options.modbus_port), options.play))


async def _serve_home(home: HomeSimulator, play: str | None) -> None:
    try:
        ready = await home.start()
        print(f"SIMULATED: {json.dumps(ready, ensure_ascii=False)}", flush=True)
        if play is not None:
            home.controller.handle({"play": play})
        await asyncio.Event().wait()
    finally:
        await home.stop()


def _run_replay(options: argparse.Namespace) -> int:
    recording = replay.load(options.file)
    if options.speed != 1:
        # A rate-of-rise rule sees the fire grow that much faster, so its verdict says nothing about the real one.
        warning = f"at speed {options.speed:g} every rate of rise is scaled by as much"
        print(f"shouwang-sim: warning: {warning}", file=sys.stderr)
    again = replay.Replay(recording, options.speed, options.unit)
    face = RtuFace(again.bus) if options.pty else TcpFace(again.bus)
    return _until_stopped(replay.serve(again, face, options.port, options.exit_at_end))


def _until_stopped(work: Coroutine[Any, Any, None]) -> int:
    """Run `work` to its end, or to the first SIGINT or SIGTERM, which is a clean end too."""

    async def supervise() -> None:
        task = asyncio.create_task(work)
        for stop in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(stop, task.cancel)
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    asyncio.run(supervise())
    return 0


def _run_storm(options: argparse.Namespace) -> int:
    end_s = time.monotonic() + scenario.load(options.scenario).end_ms / 1000 + 10
    with Control(options.dir / "control.sock") as control:
        since_ns = time.monotonic_ns()
        name = Path(options.scenario)
        control.do(play=str(name.absolute()) if name.suffix == ".toml" else options.scenario)
        while time.monotonic() < end_s:
            for entry in control.do(get="log", since_ns=since_ns)["log"]:
                since_ns = max(since_ns, entry["monotonic_ns"])
                if entry["kind"] == "step":
                    print(f"SIMULATED: {entry['at_ms'] / 1000:6.1f} s  {entry['zh']}  {entry['en']}", flush=True)
                elif entry["kind"] == "error":
                    raise WorldError(entry["text"])
                elif entry["kind"] == "stopped":
                    raise WorldError("somebody else stopped the scenario, or began another")
                elif entry["kind"] == "end":
                    return 0
            time.sleep(0.5)
    raise WorldError("the scenario did not come to its end")
