"""The whole path as processes: a simulated building, its gateway, a broker and a collector, as they run in a home."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from demo import example
from edge import station
from simulators.control import Control
from tests import support
from tests.collector.running import Collector, collector

EDGE = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())"]
SIM = [sys.executable, "-c", "import sys; from simulators.cli import main; sys.exit(main())"]
START_S = 30.0
LATE_S = 20.0
"""How long a test waits for what takes well under a second on an idle machine."""

BUZZER, LAMP_LINK, SUPPLY_CUT, FAULT_RELAY = 18, 12, 16, 20
BUTTON_SILENCE, BUTTON_RESET = 19, 21
SIREN_F2, FIRE_RELAY = 1, 2
"""Relays of the board that is unit 10 of the meters' bus."""
SMOKE, NO_SMOKE = 8.0, 0.1
"""Obscuration in % per metre that a smoke detector alarms at, and that of clean air."""


class Building:
    """`shouwang-sim home`, and the hand that moves its world."""

    def __init__(self, folder: Path) -> None:
        self._process = _start([*SIM, "home", "--dir", str(folder)], folder.with_suffix(".log"))
        support.wait_until((folder / "ready.json").exists, timeout_s=START_S, what="the simulated building")
        self.ready: dict[str, Any] = json.loads((folder / "ready.json").read_text())
        self.control = Control(self.ready["control"])

    def set(self, values: "dict[str, float]") -> int:
        """Give quantities of the building other values; when (monotonic ns) that was asked."""
        since_ns = time.monotonic_ns()
        self.control.do(set=values)
        return since_ns

    def fault(self, where: str, kind: str, **more: Any) -> None:
        """Begin a fault."""
        self.control.do(fault={"where": where, "kind": kind, **more})

    def heal(self, where: str = "all") -> None:
        """End a fault."""
        self.control.do(heal=where)

    def press(self, pin: int) -> None:
        """Somebody presses a button."""
        self.control.do(press=pin, ms=300)

    def pin(self, number: int) -> int:
        """The level that the gateway gives a pin."""
        return int(self.control.do(get="outputs")["pins"][str(number)]["level"])

    def coil(self, number: int) -> int:
        """A relay of the relay board."""
        return int(self.control.do(get="outputs")["coils"][f"meters/10/{number}"]["level"])

    def log(self, since_ns: int = 0) -> list[dict[str, Any]]:
        """What happened on the wires, each with its `monotonic_ns`."""
        found: list[dict[str, Any]] = self.control.do(get="log", since_ns=since_ns)["log"]
        return found

    def driven(self, pin: int, level: int, since_ns: int) -> int | None:
        """When (monotonic ns) the gateway drove a pin to `level` after `since_ns`, if it did."""
        taken = (entry for entry in self.log(since_ns) if entry.get("pin") == pin and entry.get("level") == level)
        return next((int(entry["monotonic_ns"]) for entry in taken), None)

    def close(self) -> None:
        """End it."""
        self.control.close()
        support.end(self._process)


class Gateway:
    """`shouwang-edge run`, operated by the other commands."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.data = config.parent / "gw"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self.process = _start([*EDGE, "run", "--config", str(self.config)], self.config.with_suffix(".log"))
        support.wait_until(self._answers, timeout_s=START_S, what="the gateway to answer")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the gateway ended:\n{self.log}"
        try:
            return bool(self.status())
        except station.StationError:
            return False

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return self.config.with_suffix(".log").read_text(errors="replace")

    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        return station.ask(self.data, {"do": "status"})

    def active(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The standing conditions by class and subject, as they stay over a restart: without ages and values."""
        lasting = ("class", "zone", "point", "order", "acknowledged", "confirmed")
        return {
            (item["class"], item["point"]): {name: item[name] for name in lasting} for item in self.status()["active"]
        }

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Another command of `shouwang-edge`."""
        command = [*EDGE, arguments[0], "--config", str(self.config), *arguments[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def operate(self, operation: str, who: str, why: str = "") -> None:
        """A person types `shouwang-edge ack`, `silence` or `reset`."""
        done = self.run(operation, "--who", who, "--why", why)
        assert done.returncode == 0, done.stderr

    def kill(self) -> None:
        """As a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(support.STOP_TIMEOUT_S)
        self.process = None

    def end(self) -> int:
        """Its exit status after SIGTERM."""
        assert self.process is not None
        process, self.process = self.process, None
        return support.end(process)


class WholePath:
    """All four, running. `gateway` and `collector` may be killed and started again by a test."""

    def __init__(self, building: Building, gateway: Gateway, collector: Collector, broker: support.Mosquitto) -> None:
        self.building = building
        self.gateway = gateway
        self.collector = collector
        self.broker = broker
        self.api = httpx.Client(timeout=10)

    def is_connected(self) -> bool:
        """Whether both ends have the broker."""
        is_well = self.api.get(f"{self.collector.url}/healthz").status_code == 200
        return is_well and bool(self.gateway.status()["uplink"]["connected"])

    def home(self) -> dict[str, Any]:
        """The home's tile on the board."""
        homes = self.api.get(f"{self.collector.url}/api/v1/board").json()["homes"]
        found: dict[str, Any] = next((home for home in homes if home["code"] == "h01"), {"class": None})
        return found

    def standing(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The conditions on the board by class and point."""
        return {(item["class"], item["point"]): item for item in self.home().get("conditions", [])}

    def events(self, **of: Any) -> list[dict[str, Any]]:
        """The collector's log of the gateway, oldest first; those whose fields are as given."""
        found: list[dict[str, Any]] = []
        before: int | None = None
        while True:
            page = self.api.get(f"{self.collector.url}/api/v1/events", params=_page(before)).json()
            found += page["events"]
            before = page["next"]
            if before is None:
                return [item for item in reversed(found) if all(item[key] == value for key, value in of.items())]

    def calm(self) -> None:
        """Make the world well and reset, until nothing stands on site or on the board."""
        self._revive()
        self.building.heal()
        self.building.set(_WELL)
        if any(condition in ("fire", "electrical") for condition, _ in self.gateway.active()):
            station.ask(self.gateway.data, {"do": "reset"})
        support.wait_until(
            lambda: not self.gateway.active() and not self.standing(), timeout_s=60, what="nothing to stand any more"
        )

    def _revive(self) -> None:
        """Start what a failed test has left dead, so that its failure stays its own."""
        if not support.accepts(self.broker.port):
            self.broker.start()
        if self.collector.process is None:
            self.collector.start()
        if self.gateway.process is None or self.gateway.process.poll() is not None:
            self.gateway.start()


_WELL = {
    "203.smoke_pct_m": 0.1,
    "204.smoke_pct_m": 0.1,
    "201.smoke_pct_m": 0.1,
    "101.smoke_pct_m": 0.1,
    "kitchen.leakage_ma": 96,
    "floor2.leakage_ma": 41,
}


def _page(before: int | None) -> dict[str, int]:
    return {"limit": 200} if before is None else {"limit": 200, "before": before}


def _start(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=_environment())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(support.ROOT)}


QUICK = {
    # A table has one `rule`, and this circuit's is of no matter to a test of minutes.
    "rule = { leakage = { is_loaded = true } }": "",
    'reset_pulse = "3s"': 'reset_pulse = "1200ms"',
    'kind = "smoke"': 'kind = "smoke"\nrule = { contact = { off = "500ms" } }',
    'kind = "leakage"': 'kind = "leakage"\nrule = { fault_after = "6s", '
    'threshold = { early_after = "1s", alarm_after = "2s", clear_after = "2s" } }',
    'kind = "cable_temperature"': 'kind = "cable_temperature"\nrule = { fault_after = "6s" }',
}
"""Figures that an installer may set, so that a test need not wait for the home's."""


@contextmanager
def whole_path(folder: Path) -> Iterator[WholePath]:
    """Everything started, the home known to the board; all is gone at the end of the block."""
    with ExitStack() as stack:
        (folder / "mqtt").mkdir()
        broker = stack.enter_context(support.running_mosquitto(folder / "mqtt"))
        arguments = ("--mqtt", f"{broker.host}:{broker.port}", "--open-read")
        board = stack.enter_context(collector(folder / "collector", *arguments))
        building = Building(folder / "b")
        stack.callback(building.close)
        gateway = Gateway(folder / "gateway.toml")
        gateway.config.write_text(_configuration(gateway.data, broker.port, building.ready), "utf-8")
        stack.callback(_end, gateway)
        gateway.start()
        path = WholePath(building, gateway, board, broker)
        stack.callback(path.api.close)
        support.wait_until(
            lambda: path.home().get("freshness") == "heard" and building.pin(LAMP_LINK) == 1,
            timeout_s=START_S,
            what="gateway and collector to hear each other",
        )
        yield path


def _configuration(data: Path, broker_port: int, ready: dict[str, Any]) -> str:
    text = example.edit(example.EXAMPLE.read_text("utf-8"), str(data), broker_port, ready)
    for old, new in QUICK.items():
        assert old in text, f"the example has no {old}"
        text = text.replace(old, new)
    return text


def _end(gateway: Gateway) -> None:
    if gateway.process is not None:
        gateway.end()
