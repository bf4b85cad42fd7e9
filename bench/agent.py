"""What the agent takes of its machine while it watches: processor, memory, disk, messages.

    python bench/agent.py [--points 100] [--points 500] [--seconds 60] [--json]

`shouwang-edge run` is a process of its own, with rules, journal and uplink. It polls its points each second in ten
requests over Modbus TCP from simulated units whose values move as real ones do; a mosquitto takes what it says, and a
stand-in for the collector acknowledges it. Beside it, over the same registers and in the same seconds, runs the
floor: a bare pymodbus loop.

Bytes written are those that the kernel sends to the disk for the process (/proc/PID/io), so the folder must lie on one:
--folder names another than the system's temporary one. The span begins so that the journal's first care for its file, a
minute after the start, falls into it: later there is one in ten minutes only.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench._broker import NoBroker, collect, mosquitto
from bench._children import ask, child
from bench._home import GATEWAY, HOME, configuration, serve_meters
from bench._pins import install_pins
from bench._report import report
from bench._usage import taken, usage
from edge import station

CORES = {100: 0.01, 500: 0.03}
RESIDENT_MIB = 48
MB_PER_DAY = 200
"""The targets; what is written is promised for 100 points."""
WARM_UP_S = 15.0
STARTS_WITHIN_S = 20.0
ROOT = Path(__file__).resolve().parent.parent


class NotWatching(Exception):
    """The agent does not do what is to be measured; the text says what it does."""


def measure(points: int, seconds: float, warm_up_s: float, parent: str | None) -> list[dict[str, Any]]:
    """A row of figures for the agent, and one for the floor."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        install_pins(folder)
        meters = stack.enter_context(child(serve_meters, points, 1))
        port = ask(meters)
        broker_port = stack.enter_context(mosquitto(folder))
        collector = stack.enter_context(child(collect, broker_port, HOME, GATEWAY))
        config = configuration(folder, points, port, broker_port)
        agent = stack.enter_context(_agent(folder, config))
        floor = stack.enter_context(_floor(port, points))
        pids = {"shouwang": agent.pid, "bare pymodbus": floor.pid}
        _wait_until_all_is_heard(folder / "data", agent)
        time.sleep(warm_up_s)
        asked, counts = _requests(folder / "data"), ask(collector, "counts")
        before = {who: usage(pid, time.monotonic()) for who, pid in pids.items()}
        time.sleep(seconds)
        after = {who: usage(pid, time.monotonic()) for who, pid in pids.items()}
        requests = _requests(folder / "data") - asked
        rows = [{"points": points, "who": who, **taken(before[who], after[who])} for who in pids]
        sent = {channel: count - counts.get(channel, 0) for channel, count in ask(collector, "counts").items()}
        rows[0] |= {"requests_per_s": round(requests / seconds, 2), "messages": {k: v for k, v in sent.items() if v}}
        return rows


@contextlib.contextmanager
def _agent(folder: Path, config: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """The gateway as its service would start it."""
    program = Path(sys.executable).with_name("shouwang-edge")
    known = os.pathsep.join(filter(None, (str(folder), str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [str(program), "run", "--config", str(config), "--log", "warning"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": known}) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def _floor(port: int, points: int) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "bench._bare_pymodbus", str(port), str(points)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wait_until_all_is_heard(data: Path, agent: "subprocess.Popen[bytes]") -> None:
    """Until every point has a value and the collector has been heard. Raises NotWatching."""
    until_s = time.monotonic() + STARTS_WITHIN_S
    why = "it did not answer"
    while time.monotonic() < until_s and agent.poll() is None:
        time.sleep(0.2)
        with contextlib.suppress(station.StationError):
            why = _lack(station.ask(data, {"do": "status"}))
            if not why:
                return
    raise NotWatching(f"the agent is not watching: {why}")


def _lack(status: Mapping[str, Any]) -> str:
    unheard = [point["code"] for point in status["points"] if point["age_ms"] is None]
    unheard = [code for code in unheard if not code.startswith("gw-")]
    if unheard:
        return f"not heard: {', '.join(unheard[:5])}"
    return "" if status["uplink"]["heard_ms"] is not None else "no word from the collector"


def _requests(data: Path) -> int:
    return int(station.ask(data, {"do": "status"})["sources"]["meters"]["requests"])


def main() -> int:
    """Measure and report. Exit status 1 where there was nothing to be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, action="append", choices=sorted(CORES), help="default: both")
    parser.add_argument("--seconds", type=float, default=60.0, help="the span that is measured")
    parser.add_argument("--warm-up", type=float, default=WARM_UP_S, metavar="SECONDS")
    parser.add_argument("--folder", help="where to put the journal; must lie on a disk")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    try:
        runs = [measure(each, options.seconds, options.warm_up, options.folder) for each in options.points or CORES]
    except (NoBroker, NotWatching, station.StationError, OSError) as error:
        print(f"agent: {error}", file=sys.stderr)
        return 1
    report("agent", _figures(runs, options.seconds), options.json)
    return 0


def _figures(runs: list[list[dict[str, Any]]], seconds: float) -> dict[str, Any]:
    rows = [row for run in runs for row in run]
    ours = [run[0] for run in runs]
    return {
        "seconds": seconds,
        "target_cores": {str(points): cores for points, cores in CORES.items()},
        "target_rss_mib": RESIDENT_MIB,
        "target_mb_per_day": MB_PER_DAY,
        "is_reached": all(_is_reached(row) for row in ours),
        "load": round(os.getloadavg()[0], 2),
        "processes": rows,
    }


def _is_reached(row: Mapping[str, Any]) -> bool:
    is_small: bool = row["cores"] <= CORES[row["points"]] and row["rss_mib"] <= RESIDENT_MIB
    is_promised = row["points"] == min(CORES)
    return is_small and not (is_promised and row["mb_per_day"] > MB_PER_DAY)


if __name__ == "__main__":
    sys.exit(main())
