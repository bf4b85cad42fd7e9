"""What the board says of its own supply: the under-voltage flag of a Raspberry Pi.

The firmware watches the 5 V rail, and the kernel's driver `raspberrypi-hwmon` asks it every two seconds and keeps the
answer in a file, so reading it waits for nothing. It is 1 where the voltage was too low at any time since the driver
asked before. A board without that driver says nothing: a home that asks for the watch has a fault there, not peace.
"""

from pathlib import Path

from edge.core.values import Reading, Unknown
from edge.own_points import VOLTAGE_POINT

HWMON = Path("/sys/class/hwmon")
NAME = "rpi_volt"
FLAG = "in0_lcrit_alarm"


class Voltage:
    """The flag of this board. It is looked for once: drivers do not come and go."""

    def __init__(self, folder: Path = HWMON) -> None:
        self._flag = _find(folder)

    def reading(self) -> Reading:
        """1 where the voltage is too low, 0 where it is not; unknown where the board does not say."""
        if self._flag is None:
            return Reading(VOLTAGE_POINT, None, Unknown.NOT_POLLED)
        try:
            return Reading(VOLTAGE_POINT, int(self._flag.read_text("ascii")))
        except (OSError, ValueError):
            return Reading(VOLTAGE_POINT, None, Unknown.BAD_REPLY)


def _find(folder: Path) -> Path | None:
    try:
        for device in sorted(folder.iterdir()):
            if (device / "name").read_text("ascii").strip() == NAME and (device / FLAG).is_file():
                return device / FLAG
    except OSError:
        pass
    return None
