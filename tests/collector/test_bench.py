"""bench/ingest.py runs and says what it says it says. Never a time: the machine may be busy."""

import json
import subprocess
import sys

from tests.support import ROOT, need


def test_ingest() -> None:
    need("mosquitto", "a real broker to ingest from")
    command = [sys.executable, "-m", "bench.ingest", "--json", "--gateways", "3", "--paced", "4", "--burst", "30"]
    ran = subprocess.run([*command, "--idle-s", "1"], cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout.splitlines()[-1])
    assert (figures["bench"], figures["gateways"], figures["burst_events"]) == ("ingest", 3, 30)
    assert [row["ms"] for row in figures["paced"]] == ["acknowledged", "on the board's stream", "broker alone"]
    assert all(0 < row["median"] <= row["max"] for row in figures["paced"])
    assert figures["standing_by"][0]["rss_mib"] > 1
