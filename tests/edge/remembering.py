"""A process that remembers as fast as it can, until it is killed: `remembering.py FOLDER`.

Prints each event that may leave as `journal seq hash`, one a line.
"""

import sys
from pathlib import Path

from edge.clock import SystemClock
from edge.core.values import Reading
from edge.journal import Journal
from tests.edge.parts import smoke


def main(folder: Path) -> None:
    clock = SystemClock()
    journal = Journal(folder, clock)
    journal.start()
    number = journal.volume().event_seq
    outbox = journal.outbox()
    told = number
    while True:
        for _ in range(3):
            number += 1
            journal.record([smoke(number, clock.mono_ms())], snapshot=str(number).encode())
        journal.observe([Reading(f"leak-{number % 50}", number)], clock.mono_ms())
        while told < number:
            for seq, payload in outbox.events(journal.volume().journal, told, 64):
                print(journal.volume().journal, seq, payload[-66:-2].decode(), flush=True)
                told = seq
            if number - told > 200:
                continue
            break


if __name__ == "__main__":
    main(Path(sys.argv[1]))
