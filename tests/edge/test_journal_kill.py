"""kill -9 at any moment: what was allowed to leave is there afterwards, and the chain holds."""

import random
import subprocess
import sys
import time
from pathlib import Path

from device import wire
from edge.journal import verify
from tests.edge.parts import events_of, journal_in
from tests.support import ROOT

ROUNDS = 4


def killed(folder: Path, after_s: float) -> list[tuple[str, int, str]]:
    """What a process said may leave, before it was killed so long after its first word."""
    command = [sys.executable, "-m", "tests.edge.remembering", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        end = time.monotonic() + after_s
        while time.monotonic() < end:
            lines.append(process.stdout.readline())
        process.kill()
        lines += process.stdout.readlines()
    said = [line.split() for line in lines if line.endswith("\n")]
    return [(journal, int(seq), digest) for journal, seq, digest in said]


def test_what_was_offered_survives_being_killed(tmp_path: Path):
    chance = random.Random(20_261_123)
    offered: dict[tuple[str, int], str] = {}
    for _ in range(ROUNDS):
        offered |= {(journal, seq): digest for journal, seq, digest in killed(tmp_path, chance.uniform(0, 0.15))}
        (chain,) = verify(tmp_path)
        assert chain.broken_seq is None, chain.problem
        with journal_in(tmp_path) as journal:
            kept = [wire.decode_event(payload) for payload in events_of(journal)]
            assert [event.why for event in kept] == [f"no. {number}" for number in range(1, len(kept) + 1)]
            held = {(event.journal, event.seq): event.hash for event in kept}
            assert offered.items() <= held.items()
            assert journal.snapshot is not None
            assert journal.snapshot.body == str(len(kept)).encode()  # the panel and its events, together or not at all
    assert len(offered) > 10 * ROUNDS
