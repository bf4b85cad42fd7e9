"""A handful of rounds of the torture with a fixed seed: kill, cut, damage, and nothing is lost. The bench does more."""

import json
import subprocess
import sys

from tests.support import ROOT, need

ROUNDS, SEED = 5, 4
TIMEOUT_S = 110


def test_nothing_is_lost_doubled_or_out_of_order():
    need("mosquitto", "a real MQTT broker between gateway and collector")
    command = [sys.executable, "-m", "bench.torture", "--rounds", str(ROUNDS), "--seed", str(SEED), "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(ran.stdout.splitlines()[-1])
    assert figures["rounds"] == ROUNDS
    assert figures["sent"] > 5 * ROUNDS, "contacts changed all the time"
    assert sum(row["times"] for row in figures["faults"]) >= ROUNDS
    assert (figures["lost"], figures["doubled"], figures["out_of_order"]) == (0, 0, 0)
    assert figures["chain_ok"] is True
