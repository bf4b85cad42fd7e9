"""How long a battery lasts in a pressure node that sleeps: a table out of data-sheet figures, not a measurement.

    python bench/node_battery.py [--json]

One waking joins the Wi-Fi, measures, reports, hears the acknowledgement and sleeps: device/sleeper.py ends it 0.5 s
after the answer. The figures below are the usual ones of data sheets; a board with a power lamp or a thirsty regulator
halves the result, so weigh a node with a meter before twenty are hung up.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._report import report

AWAKE_S = 4.0
"""2 to 3 s for Wi-Fi and an address, the rest for MQTT and the answer."""
AWAKE_MA = 100.0
"""An ESP32-C3 receives at 87 mA and sends at 335 mA in bursts; the transducer takes 5 mA, twice that at the battery."""
ASLEEP_UA = 25.0
"""5 uA for the chip's deep sleep with its timer, 20 uA for a frugal regulator and the divider on the battery."""
USABLE = 0.8
"""What is left of the printed capacity after cold, age and the regulator's drop-out."""
SHELF_YEARS = 10.0
"""Beyond what the makers of lithium cells promise there is nothing to compute."""
BATTERIES = (("2 x AA lithium, 3,000 mAh", 3000.0), ("ER26500 and a capacitor, 8,500 mAh", 8500.0))
EVERY = (("24 h", 1.0), ("6 h", 4.0), ("1 h", 24.0), ("10 min", 144.0))


def life_years(capacity_mah: float, wakings_per_day: float) -> float:
    """Years until the usable charge is gone, at most what the cells' makers promise."""
    awake_mah = wakings_per_day * AWAKE_S * AWAKE_MA / 3600
    asleep_mah = 24 * ASLEEP_UA / 1000
    return min(SHELF_YEARS, capacity_mah * USABLE / (awake_mah + asleep_mah) / 365)


def table() -> list[dict[str, str]]:
    """A row for each interval."""
    rows = []
    for name, wakings in EVERY:
        row = {"a beat every": name}
        for battery, capacity in BATTERIES:
            row[battery] = f"{life_years(capacity, wakings):.1f} years"
        rows.append(row)
    return rows


def main() -> int:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    figures = {"awake_s": AWAKE_S, "awake_ma": AWAKE_MA, "asleep_ua": ASLEEP_UA, "usable": USABLE, "life": table()}
    report("node_battery", figures, parser.parse_args().json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
