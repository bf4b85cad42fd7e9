"""What one dead unit costs the others, and what a bus does that has more work than its period, in the real agent.

    python bench/isolation.py [--seconds 30] [--trials 20] [--json]

Ten units are polled each second over TCP. Three times over: all well; unit 7 silent; every unit taking 250 ms to
answer, which is 2.5 s of work for a period of 1 s. Each time the others' intervals are taken where they are asked, and
alarms are raised at random moments: the time from the value in the unit to the relay.
"""

import argparse
import os
import random
import statistics
import sys
import time
from itertools import pairwise
from typing import Any

from bench._children import ask, child
from bench._relay_home import UNITS, Home, run, serve
from bench._report import report

PERIOD_MS = 1000.0
SILENT = 7
SLOW_CYCLE_MS = 2500.0
SETTLE_S = 5.0
# An alarm waits for its unit's next poll and for the answer to the poll that is under way.
ALARM_SLACK_MS = 50.0


def phase(home: Home, name: str, words: list[str], seconds: float, trials: int) -> dict[str, Any]:
    """Break what `words` say, let it settle, then measure intervals and alarms."""
    for word in words:
        ask(home.units, word)
    time.sleep(SETTLE_S)
    ask(home.units, "asked")
    time.sleep(seconds)
    asked = ask(home.units, "asked")
    healthy = [unit for unit in UNITS if not (unit == SILENT and "silence 7" in words)]
    intervals_ms = [(b - a) / 1e6 for unit in healthy for a, b in pairwise(asked[unit])]
    counts = [len(asked[unit]) for unit in healthy]
    chance = random.Random()
    alarms_ms = []
    for _ in range(trials):
        time.sleep(chance.uniform(0, 1))
        alarms_ms.append(home.alarm(chance.choice(healthy))[0])
    ask(home.units, "heal")
    return {
        "phase": name,
        "period_mean_ms": round(statistics.fmean(intervals_ms), 1),
        "period_max_ms": round(max(intervals_ms), 1),
        "period_min_ms": round(min(intervals_ms), 1),
        "polls_min": min(counts),
        "polls_max": max(counts),
        "alarm_median_ms": round(statistics.median(alarms_ms), 1),
        "alarm_max_ms": round(max(alarms_ms), 1),
    }


def measure(seconds: float, trials: int) -> dict[str, Any]:
    """All phases in one run of the agent."""

    def work(home: Home) -> dict[str, Any]:
        phases = [
            phase(home, "all well", [], seconds, trials),
            phase(home, "one of ten silent", [f"silence {SILENT}"], seconds, trials),
            phase(home, "2.5 s of work a second", ["slow"], seconds, trials),
        ]
        return figures(phases, home.status()["sources"]["meters"])

    with child(serve) as units:
        result: dict[str, Any] = run(units, work)
        return result


def figures(phases: list[dict[str, Any]], counters: dict[str, int]) -> dict[str, Any]:
    """What the bench reports."""
    _, silent, slow = phases
    keeps_period = all(abs(silent[key] / PERIOD_MS - 1) <= 0.05 for key in ("period_max_ms", "period_min_ms"))
    is_in_time = silent["alarm_max_ms"] <= PERIOD_MS + ALARM_SLACK_MS
    is_even = slow["polls_max"] - slow["polls_min"] <= 1
    return {
        "others_keep_period_within_5_pct": keeps_period,
        "alarm_within_one_period": is_in_time,
        "slow_bus_degrades_evenly": is_even,
        "is_reached": keeps_period and is_in_time and is_even,
        "late_polls": counters["late_polls"],
        "timeouts": counters.get("timeouts", 0),
        "load": round(os.getloadavg()[0], 2),
        "phases": phases,
    }


def main() -> int:
    """Measure and report. Exit status 1 where an alarm was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each phase's intervals")
    parser.add_argument("--trials", type=int, default=20, help="alarms in each phase")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    try:
        report("isolation", measure(options.seconds, options.trials), options.json)
    except (TimeoutError, EOFError, OSError) as error:
        print(f"isolation: {str(error) or 'the units died'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
