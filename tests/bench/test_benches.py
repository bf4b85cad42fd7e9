"""Each bench runs with tiny counts, exits well and says what it says it says. Never a time: the machine may be busy."""

import json
import subprocess
import sys
import tempfile
from typing import Any

from bench._disk import can_hold_syncs
from tests.support import ROOT, lack, need

TIMEOUT_S = 90


def bench(name: str, *options: str) -> dict[str, Any]:
    """The JSON object on a bench's last line."""
    command = [sys.executable, f"bench/{name}.py", "--json", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout.splitlines()[-1])
    assert figures["bench"] == name
    assert "cores" in figures["machine"]
    return dict(figures)


def may_be_real_time() -> bool:
    """Whether a process of ours may choose the real-time scheduler."""
    script = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=TIMEOUT_S).returncode == 0


def check_gpio_buzzer(method: str) -> None:
    figures = bench("gpio_buzzer", "--trials", "6", "--debounce-ms", "20", "--stall", method)
    assert (figures["trials"], figures["debounce_ms"]) == (6, 20)
    assert -1 <= figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert figures["bare_loop_ms"].keys() == {"p50", "p99", "max"}
    polls = figures["polls"]
    assert polls["points"] == 500
    # The simulator was asked after the agent, which goes on asking until it ends.
    assert 10 <= polls["requests"] <= polls["served"]
    assert figures["disk"]["method"] == method
    assert figures["is_real_time"] is may_be_real_time(), "the agent runs before other processes where it may"
    assert figures["broker"]["port_closed"] >= 1
    assert figures["broker"]["connected"] is False
    assert figures["broker"]["heard_ms"] is None


def test_gpio_buzzer_while_syncs_hang():
    if not can_hold_syncs():
        lack("this kernel or processor cannot hand a process's syncs to another one")
    check_gpio_buzzer("fsync")


def test_gpio_buzzer_while_the_journal_is_locked():
    check_gpio_buzzer("lock")


def test_agent():
    need("mosquitto", "the uplink's share of what the agent takes")
    figures = bench("agent", "--points", "100", "--seconds", "2", "--warm-up", "0")
    ours, floor = figures["processes"]
    assert (ours["who"], floor["who"]) == ("shouwang", "bare pymodbus")
    for row in (ours, floor):
        assert row["points"] == 100
        assert row["cores"] >= 0
        assert row["rss_mib"] >= row["pss_mib"] > 1
        assert row["mb_per_day"] >= 0
    assert ours["requests_per_s"] > 0
    assert isinstance(ours["messages"], dict)


def test_agent_says_what_it_lacks():
    """Nothing is measured, and nothing is left behind, where the folder cannot hold a journal."""
    need("mosquitto", "the uplink's share of what the agent takes")
    with tempfile.NamedTemporaryFile() as file:
        command = [sys.executable, "bench/agent.py", "--folder", file.name]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert file.name in ran.stderr


def test_node_firmware():
    need("node", "running device/ in real MicroPython")
    need("mosquitto", "a real MQTT broker")
    figures = bench("node_firmware", "--publishes", "40", "--cycles", "200")
    assert (figures["publishes"], figures["arrived"], figures["doubled"]) == (40, 40, 0)
    assert 0 < figures["heap_first_bytes"] <= figures["heap_most_bytes"] < figures["heap_budget_bytes"]


def test_node():
    need("mosquitto", "the nodes' broker")
    need("node", "a node's firmware in real MicroPython")
    figures = bench("node", "--trials", "2")
    assert (figures["trials"], figures["debounce_ms"]) == (2, 20)
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert figures["reports"] >= 4
    assert figures["broker_alone_ms"].keys() == {"p50", "p99"}
