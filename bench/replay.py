"""How much memory and time does `simulate-config` take of a week's journal?

    python bench/replay.py [--readings 2000000] [--json]

Writes a journal of so many readings (a home of the example, each point moving by more than its deadband), and replays
it with the command as an installer types it, in a process of its own. Its floor: the same rows read and decoded only.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench._report import report
from bench._soak_home import write_home
from device import wire
from edge import config
from edge.core.values import Kind, Reading, Transition
from edge.journal import Journal
from edge.journal.reading import reading

STEP_MS = 1_000
USUAL = {"": 0, "mA": 90, "°C": 21_000, "MPa": 1_200, "V": 1_700}
"""What a point reads by its unit; it moves by two deadbands around that."""


class SteppedClock:
    """A clock that stands until it is stepped."""

    boot = "replayed"

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def mono_ms(self) -> int:
        return self.now_ms

    def wall_ms(self) -> int:
        return 1_760_000_000_000 + self.now_ms

    def clock_ok(self) -> bool:
        return True


def fill(home: Path, count: int) -> int:
    """Write so many readings, as a gateway does; how many there are."""
    setup, clock = config.load(home), SteppedClock()
    journal = Journal(Path(setup.gateway.data), clock, setup.journal, setup.deadbands)
    journal.start()
    moving = [point for point in setup.points if point.unit]
    journal.record([Transition(Kind.START, clock.now_ms)])
    written = turn = 0
    while written < count:
        clock.now_ms += STEP_MS
        turn += 1
        readings = [
            Reading(point.code, USUAL.get(point.unit, 0) + turn % 2 * 2 * (setup.deadbands.get(point.code, 1) + 1))
            for point in moving
        ]
        journal.observe(readings, clock.now_ms)
        written += len(readings)
        if turn % 100 == 0:  # let the writer keep up: nothing may be lost for want of room
            journal.save_state(b"{}")
            while journal._intake.ledger.has_unwritten() or journal._intake.has_calls():
                time.sleep(0.001)
    journal.close(60_000)
    return written


def floor_s(data: Path) -> float:
    """Seconds to read and decode every reading, and nothing else."""
    began_s = time.monotonic()
    with reading(data) as db:
        for number, *_ in db.volumes():
            for _, payload in db.pages("reading", number):
                wire.decode(wire.READING, payload)
    return time.monotonic() - began_s


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=2_000_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shouwang-") as name:
        folder = Path(name)
        home = write_home(folder, {})
        home.write_text(home.read_text("utf-8").replace("simulated = true\n", ""), "utf-8")
        fill(home, options.readings)
        read_s = floor_s(folder / "data")
        script = "import sys; from edge.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", script, "simulate-config", "--config", str(home), "--days", "3000", "--json"]
        began_s = time.monotonic()
        ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
        took_s = time.monotonic() - began_s
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    answer = json.loads(ran.stdout.splitlines()[-1])
    figures = {
        "readings": answer["readings"],
        "rings": sum(row["would"] for row in answer["rings"]),
        "took_s": took_s,
        "readings_per_s": answer["readings"] / took_s,
        "peak_mib": peak / 2**20,
        "reading_alone_s": read_s,
    }
    report("replay", figures, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
