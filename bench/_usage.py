"""What a process has taken of its machine, as Linux counts it."""

import os
from dataclasses import dataclass
from pathlib import Path

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Usage:
    """At one moment: processor time of all threads since the start, memory now (`pss`: shared pages divided among those
    who share them), bytes that went to the disk since the start."""

    at_s: float
    cpu_s: float
    rss_mib: float
    pss_mib: float
    written: int


def usage(pid: int, at_s: float) -> Usage:
    """What process `pid` has taken. OSError where it is gone."""
    folder = Path("/proc", str(pid))
    # The second field is the program's name, which may hold anything.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    memory = _numbers(folder / "smaps_rollup")
    return Usage(
        at_s,
        (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        memory["Rss"] / 1024,
        memory["Pss"] / 1024,
        _numbers(folder / "io")["write_bytes"],
    )


def taken(before: Usage, after: Usage) -> dict[str, float]:
    """What a process took in between, in cores, MiB and MB a day."""
    span_s = after.at_s - before.at_s
    return {
        "cores": round((after.cpu_s - before.cpu_s) / span_s, 4),
        "rss_mib": round(after.rss_mib, 1),
        "pss_mib": round(after.pss_mib, 1),
        "mb_per_day": round((after.written - before.written) / span_s * DAY_S / 1e6, 1),
    }


def _numbers(path: Path) -> dict[str, int]:
    """The lines of the form `Name:   123 kB`."""
    rows = (line.split(":") for line in path.read_text().splitlines() if ":" in line)
    return {row[0]: int(row[1].split()[0]) for row in rows if row[1].split()[0].isdigit()}
