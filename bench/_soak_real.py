"""The soak on real bytes: `shouwang-sim home` and `shouwang-edge run`, each a process, in real time."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench._soak_home import write_home
from bench._soak_script import Command, Cycle, cycles
from edge import station
from simulators.control import Control

START_S = 60.0
SETTLE_S = 30.0
SAMPLE_S = 2.0
PAGE = os.sysconf("SC_PAGE_SIZE")


def live_real(
    folder: Path, seed: int, for_ms: int, cycle_ms: int, told: Callable[..., None]
) -> tuple[Sequence[int], Sequence[int]]:
    """As `live_simulated`; resident bytes are the gateway's alone."""
    with contextlib.ExitStack() as stack:
        building = folder / "b"
        stack.enter_context(_process(folder / "sim.log", "simulators.cli", "home", "--dir", str(building)))
        _await((building / "ready.json").exists, "the simulated building")
        ready = json.loads((building / "ready.json").read_text("utf-8"))
        control = stack.enter_context(Control(ready["control"]))
        sources: dict[str, dict[str, str | int]] = {
            name: {"backend": "shouwang-sim", "address": ready[name]} for name in ("gpio", "i2c")
        }
        sources |= {"meters": {"host": "127.0.0.1", "port": ready["meters"]["port"]}}
        sources |= {"breakers": {"device": ready["breakers"]["path"]}}
        home = write_home(folder, sources)
        agent = stack.enter_context(_process(folder / "agent.log", "edge.cli", "run", "--config", str(home)))
        _await(lambda: _answers(folder / "data"), "the gateway")
        time.sleep(SETTLE_S)
        player = _Player(agent.pid, control, folder / "data")
        for cycle in cycles(seed, for_ms, cycle_ms, is_rtu=True):
            told(f"{len(player.begun):4}  {cycle.name}", flush=True)
            player.play(cycle)
            if agent.poll() is not None:
                break
    return player.begun, player.sizes


class _Player:
    def __init__(self, pid: int, control: Control, data: Path) -> None:
        self.begun: list[int] = []
        self.sizes: list[int] = []
        self._statm = Path(f"/proc/{pid}/statm")
        self._control = control
        self._data = data

    def play(self, cycle: Cycle) -> None:
        began_s = time.monotonic()
        self.begun.append(int(began_s * 1000))
        for at_ms, command in cycle.steps:
            self._pass(began_s + at_ms / 1000)
            self._do(command)
        self._pass(began_s + cycle.lasts_ms / 1000)

    def _pass(self, until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0:
            with contextlib.suppress(OSError):
                self.sizes.append(int(self._statm.read_text("ascii").split()[1]) * PAGE)
            time.sleep(min(left_s, SAMPLE_S))

    def _do(self, command: Command) -> None:
        if "act" in command:
            station.ask(self._data, {"do": command["act"], "who": "soak"})
        else:
            self._control.do(**command)


@contextlib.contextmanager
def _process(log: Path, module: str, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-c", f"import sys; from {module} import main; sys.exit(main())", *arguments]
    root = str(Path(__file__).parents[1])
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "PYTHONPATH": root})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(condition: Callable[[], object], what: str) -> None:
    until_s = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > until_s:
            raise TimeoutError(f"waited {START_S:.0f} s in vain for {what}")
        time.sleep(0.05)


def _answers(data: Path) -> bool:
    try:
        return bool(station.ask(data, {"do": "status"}))
    except station.StationError:
        return False
