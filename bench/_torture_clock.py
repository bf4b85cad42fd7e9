"""The gateway as `shouwang-edge run` starts it, but for its clock, whose wall time a file steps.

The agent takes its clock as an argument; nothing else of it is touched.
"""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from edge import config
from edge.agent import Agent
from edge.clock import SystemClock


class SteppedClock(SystemClock):
    """Monotonic time as the machine has it; wall time and trust as the file `skew` says: milliseconds, and 0 or 1."""

    def __init__(self, skew: Path) -> None:
        super().__init__()
        self._skew = skew

    def wall_ms(self) -> int:
        return max(0, super().wall_ms() + self._read()[0])

    def clock_ok(self) -> bool:
        return bool(self._read()[1])

    def _read(self) -> tuple[int, int]:
        skew_ms, is_trusted = self._skew.read_text("ascii").split()
        return int(skew_ms), int(is_trusted)


def main() -> int:
    """Run the agent until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--skew", type=Path, required=True)
    options = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    asyncio.run(Agent(config.load(options.config), SteppedClock(options.skew)).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
