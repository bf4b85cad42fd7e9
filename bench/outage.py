"""Three days without a network: 2 million readings wait, and a new alarm has to be on the board within two seconds.

The gateway's own journal and uplink, a real mosquitto, the real collector. The journal is filled first; then the broker
appears, and while the backlog drains an alarm is raised now and then. Measured: from the alarm to the board's answer
that shows it, how fast the backlog drains, and that every reading has arrived at the end.

    python -m bench.outage [--readings 2000000] [--json]
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench._broker import NoBroker, mosquitto
from bench._report import report
from device import wire
from edge.clock import SystemClock
from edge.core.values import Class, Kind, Reading, Transition
from edge.journal import Journal, JournalConfig
from edge.report import ActiveCondition, Identity, PanelReport, compose_state
from edge.uplink import Home, Uplink, UplinkConfig

HOME, GATEWAY = "h01", "g1"
LIMIT_S = 2.0
ALARM_EVERY_S = 2.0


class House:
    """A gateway's memory and uplink, without sensors."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.journal = Journal(folder, self.clock, JournalConfig())
        self.journal.start()
        self.report = PanelReport()

    def fill(self, readings: int) -> None:
        """Have that many readings wait, in full batches."""
        points = [f"point-{number}" for number in range(wire.MAX_BATCH)]
        for batch in range(readings // len(points)):
            self.journal.observe([Reading(point, batch) for point in points], self.clock.mono_ms())
            while self.journal.volume().reading_seq < batch:  # one ahead: sealing and writing overlap
                time.sleep(0.001)
        self.wait(lambda: self.journal.volume().reading_seq >= readings // len(points), 60)

    def connect(self, port: int) -> Uplink:
        """The network is back."""
        identity = Identity("bench", "bench", True)
        home = Home(
            HOME,
            GATEWAY,
            lambda: compose_state(self.report, identity, self.journal, self.clock),
            lambda: wire.Points("bench", "outage", True, (wire.Zone("f2", "二楼"),), ()),
            lambda _: None,
        )
        uplink = Uplink(UplinkConfig(host="127.0.0.1", port=port), home, self.journal, self.clock)
        uplink.start()
        return uplink

    def alarm(self, number: int) -> str:
        """Raise one; its name."""
        point = f"smoke-{number}"
        self.report = PanelReport((*self.report.active, ActiveCondition(Class.FIRE, "f2", point, number)))
        self.journal.record([Transition(Kind.RAISE, self.clock.mono_ms(), Class.FIRE, "f2", point, order=number)])
        return point

    def backlog(self) -> int:
        """Batches that the collector does not have."""
        volume = self.journal.volume()
        return volume.reading_seq - volume.reading_acked

    @staticmethod
    def wait(condition: Callable[[], object], within_s: float) -> None:
        """Until `condition` holds. TimeoutError."""
        until_s = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > until_s:
                raise TimeoutError(f"waited {within_s:g} s in vain")
            time.sleep(0.01)


@contextlib.contextmanager
def collector(folder: Path, port: int) -> Iterator[str]:
    """The address of a collector of our own."""
    command = [
        sys.executable, "-c", "import sys; from collector.cli import main; sys.exit(main())", "serve",
        "--data", str(folder), "--port", "0", "--mqtt", f"127.0.0.1:{port}", "--open-read",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "listening on " in line:
                    yield line.rpartition("listening on ")[2].strip()
                    break
            else:
                raise NoBroker("the collector did not start")
        finally:
            process.terminate()


def board(address: str) -> set[str]:
    """The points in alarm, as the board shows them."""
    with urllib.request.urlopen(f"{address}/api/v1/board", timeout=10) as answer:
        return {str(alarm["point"]) for alarm in json.load(answer)["alarms"]}


def drain(house: House, address: str) -> list[float]:
    """Raise an alarm every few seconds until nothing waits; seconds to the board of each."""
    took: list[float] = []
    while True:
        began_s = time.monotonic()
        point = house.alarm(len(took) + 1)
        while point not in board(address):
            if time.monotonic() - began_s > 60:
                raise TimeoutError(f"{point} is not on the board after 60 s")
            time.sleep(0.02)
        took.append(time.monotonic() - began_s)
        if not house.backlog():
            return took
        time.sleep(ALARM_EVERY_S)


def measure(folder: Path, readings: int) -> dict[str, Any]:
    """The whole outage."""
    house = House(folder / "journal")
    began_s = time.monotonic()
    house.fill(readings)
    filled_s = time.monotonic() - began_s
    waiting = house.backlog()
    with mosquitto(folder) as port, collector(folder / "collector", port) as address:
        uplink = house.connect(port)
        began_s = time.monotonic()
        try:
            took = drain(house, address)
            drained_s = time.monotonic() - began_s
        finally:
            house.journal.close()
            uplink.close()
    return {
        "readings": waiting * wire.MAX_BATCH,
        "is_reached": max(took) <= LIMIT_S,
        "limit_s": LIMIT_S,
        "alarm_to_board_median_s": round(statistics.median(took), 3),
        "alarm_to_board_max_s": round(max(took), 3),
        "alarms": len(took),
        "drained_s": round(drained_s, 1),
        "readings_per_s": round(waiting * wire.MAX_BATCH / drained_s),
        "filled_s": round(filled_s, 1),
        "gateway_peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "resent": uplink.counters.resent,
        "load": round(os.getloadavg()[0], 2),
    }


def main() -> int:
    """Measure and report. Exit status 1 where something did not arrive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=2_000_000, help="that wait when the network is back")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shouwang-") as folder:
        try:
            report("outage", measure(Path(folder), options.readings), options.json)
        except (TimeoutError, NoBroker) as error:
            print(f"outage: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
