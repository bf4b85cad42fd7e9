"""A day in a home, faults and hazards all the time: does the agent stay small, miss nothing and cry no wolf?

    python bench/soak.py [--hours 24] [--real-minutes 30] [--seed N] [--json]

First the whole agent (core, engine, journal on the real disk, sources, outputs) for hours of simulated time in this
process, on fake buses (bench/_soak_time.py says how time passes). Then the gateway as an installer starts it, for real
minutes, on real bytes: Modbus TCP, RTU on a pty, I2C registers and bouncing GPIO edges from `shouwang-sim`.

In both, cycles of one hazard and one fault of the simulators' menu overlap (bench/_soak_script.py), with the acts of
people between them. At the end the journal's chain is verified, and what it holds is judged: every hazard in its time,
nothing else raised, nothing left standing. Resident memory counts as flat where the last quarter of the time is within
2 % of the second.
"""

import argparse
import contextlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from bench._report import report
from bench._soak_judge import Verdict, judge
from bench._soak_real import live_real
from bench._soak_script import Cycle, cycles
from bench._soak_simulated import live_simulated
from device import wire
from edge import journal
from edge.journal.reading import reading

FLAT = 0.02
CYCLE_MS = 10 * 60_000
REAL_CYCLE_MS = 4 * 60_000


def figures_of(data: Path, played: Sequence[tuple[int, Cycle]], sizes: Sequence[int]) -> tuple[dict[str, Any], Verdict]:
    """What came of one part: `sizes` are resident bytes, sampled evenly."""
    verdict = judge(_events(data), played)
    chains = journal.verify(data)
    quarter = len(sizes) // 4
    second, last = (fmean(part) if part else 0.0 for part in (sizes[quarter : 2 * quarter], sizes[3 * quarter :]))
    growth = last / second - 1 if second else 0.0
    return {
        "cycles": len(played),
        "expected": verdict.expected,
        "missed": verdict.missed,
        "raised": verdict.raises,
        "false": verdict.false,
        "left_standing": verdict.standing,
        "fire_latest_s": verdict.latest_ms.get("fire", 0) / 1000,
        "electrical_latest_s": verdict.latest_ms.get("electrical", 0) / 1000,
        "fault_latest_s": verdict.latest_ms.get("fault", 0) / 1000,
        "events": sum(chain.last_seq for chain in chains),
        "chain_ok": all(chain.broken_seq is None for chain in chains) and len(chains) == 1,
        "rss_mib_second_quarter": second / 2**20,
        "rss_mib_last_quarter": last / 2**20,
        "rss_growth": growth,
        "is_flat": growth <= FLAT,
    }, verdict


def _events(data: Path) -> Iterator[wire.Event]:
    with reading(data) as db:
        for number, *_ in db.volumes():
            for _, payload in db.all_events(number):
                yield wire.decode_event(payload)


def is_well(part: dict[str, Any], sampled: int) -> bool:
    """Whether a part kept all promises; of memory, only where it was watched for long enough to say anything."""
    bad = ("missed", "false", "left_standing")
    return not any(part[name] for name in bad) and part["chain_ok"] and (part["is_flat"] or sampled < 40)


def main() -> int:
    """Live and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0, help="hours of simulated time")
    parser.add_argument("--real-minutes", type=float, default=30.0, help="minutes of real time on real bytes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a new folder for data and logs, kept afterwards")
    parser.add_argument("--verbose", action="store_true", help="say each cycle as it begins")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    told = print if options.verbose else _silent
    figures: dict[str, Any] = {"seed": options.seed}
    wrong: list[str] = []
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shouwang-soak-")))
        folder.mkdir(exist_ok=True)
        for name, live, minutes in (
            ("simulated", live_simulated, options.hours * 60),
            ("real", live_real, options.real_minutes),
        ):
            if minutes <= 0:
                continue
            (folder / name).mkdir()
            began_s = time.monotonic()
            for_ms, cycle_ms = int(minutes * 60_000), _cycle_ms(name)
            begun, sizes = live(folder / name, options.seed, for_ms, cycle_ms, told)
            played = list(zip(begun, cycles(options.seed, for_ms, cycle_ms, is_rtu=name == "real"), strict=False))
            part, verdict = figures_of(folder / name / "data", played, sizes)
            took_s = time.monotonic() - began_s
            part |= {"minutes": minutes, "took_s": round(took_s, 1), "times_real": round(minutes * 60 / took_s, 1)}
            part["is_well"] = is_well(part, len(sizes)) and bool(played)
            figures |= {f"{name}_{key}": value for key, value in part.items()}
            wrong += [f"{name}: {text}" for text in verdict.examples]
    report("soak", figures, options.json)
    for text in wrong:
        print(f"soak: {text}", file=sys.stderr)
    return 0 if all(value for key, value in figures.items() if key.endswith("is_well")) else 1


def _cycle_ms(name: str) -> int:
    return CYCLE_MS if name == "simulated" else REAL_CYCLE_MS


def _silent(*_: Any, **__: Any) -> None:
    return None


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # a thread that hung in a stuck bus is a daemon, and must not keep the bench from ending
