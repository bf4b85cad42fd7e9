"""From the Modbus reply that carries an alarm to the relay that sounds, in the real agent.

    python bench/modbus_relay.py [--trials 150] [--json]

Ten units with a hundred points are polled each second over TCP from another process, which also has a relay board on
the same port. At a random moment a unit's alarm bit is set; the units' process stamps its reply with the bit and the
write of the siren's coil. The rule of the bit has no delay, so what lies between is the gateway: decode, decide, write.
"""

import argparse
import os
import random
import sys
import time
from typing import Any

from bench._children import child
from bench._relay_home import UNITS, Home, run, serve
from bench._report import report

P99_MS = 5.0


def measure(trials: int) -> dict[str, Any]:
    """All trials in one run of the agent."""

    def work(home: Home) -> dict[str, Any]:
        chance = random.Random()
        late_ms = []
        for _ in range(trials):
            time.sleep(chance.uniform(0, 0.2))
            late_ms.append(home.alarm(chance.choice(UNITS))[1])
        return figures(late_ms, home.status()["sources"]["meters"])

    with child(serve) as units:
        result: dict[str, Any] = run(units, work)
        return result


def figures(late_ms: list[float], counters: dict[str, int]) -> dict[str, Any]:
    """What the bench reports."""
    late_ms = sorted(late_ms)
    p99_ms = late_ms[min(len(late_ms) - 1, int(0.99 * len(late_ms)))]
    return {
        "trials": len(late_ms),
        "reply_to_relay_p50_ms": round(late_ms[len(late_ms) // 2], 3),
        "reply_to_relay_p99_ms": round(p99_ms, 3),
        "reply_to_relay_max_ms": round(late_ms[-1], 3),
        "target_p99_ms": P99_MS,
        "is_reached": p99_ms <= P99_MS,
        "timeouts": counters.get("timeouts", 0),
        "load": round(os.getloadavg()[0], 2),
    }


def main() -> int:
    """Measure and report. Exit status 1 where an alarm was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    try:
        report("modbus_relay", measure(options.trials), options.json)
    except (TimeoutError, EOFError, OSError) as error:
        print(f"modbus_relay: {str(error) or 'the units died'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
