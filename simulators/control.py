"""The control socket: the hand that moves the simulated world. JSON lines on a UNIX socket, one reply to each request.

    {"set": {"203.smoke_pct_m": 8.0, "stairs-1.loop_ohm": "open"}}
    {"ramp": {"kitchen.leakage_ma": {"to": 350, "over_s": 20}}}
    {"press": 19, "ms": 300}                     a button, or a call point (which latches)
    {"key": 11}                                  reset a call point
    {"sms": {"from": "+8613800000001", "text": "4711"}}        a phone sends a message to the gateway's modem
    {"modem": "restart" | "hang_up"}
    {"fault": {"where": "modbus/2", "kind": "silent"}}         parameters of the kind beside it, e.g. "delay_ms": 900
    {"heal": "modbus/2"}, {"heal": "all"}
    {"get": "outputs" | "values" | "contacts" | "faults" | "scenario" | "sms"}
    {"get": "log", "since_ns": 0}                edges, outputs, writes and steps with time.monotonic_ns()
    {"play": "district"}, {"stop": "play"}
Replies: {"ok": true, ...} or {"error": "what was expected and what came"}.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from simulators import scenario as scenarios
from simulators.building import Building, WorldError
from simulators.chip import GpioChip
from simulators.devices import RelayBoard, Write
from simulators.faults import FaultError
from simulators.modem_pty import ModemFace
from simulators.scenario import Command, Step
from simulators.sockets import UnixServer

KEPT_NOTES = 5000
_TIMEOUT_S = 10.0


def apply(building: Building, command: Command) -> None:
    """Carry out one command that moves the world. Raises WorldError, FaultError."""
    verbs = [verb for verb in _VERBS if verb in command]
    if len(verbs) != 1:
        raise WorldError(f"expected one of {', '.join(_VERBS)}, got {json.dumps(command, ensure_ascii=False)}")
    try:
        _VERBS[verbs[0]](building, command[verbs[0]], command)
    except (TypeError, AttributeError, KeyError) as error:
        raise WorldError(f"{verbs[0]}: malformed: {json.dumps(command, ensure_ascii=False)}") from error


def _set(building: Building, values: Mapping[str, float | str], command: Command) -> None:
    for name, value in values.items():
        building.set(name, value)


def _ramp(building: Building, ramps: Mapping[str, Mapping[str, Any]], command: Command) -> None:
    for name, ramp in ramps.items():
        building.set(name, ramp["to"], round(ramp["over_s"] * 1000))


def _press(building: Building, pin: int, command: Command) -> None:
    building.press(pin, command.get("ms", 300))


def _key(building: Building, pin: int, command: Command) -> None:
    building.turn_key(pin)


def _fault(building: Building, fault: Mapping[str, Any], command: Command) -> None:
    parameters = {name: value for name, value in fault.items() if name not in ("where", "kind")}
    building.faults.inject(fault["where"], fault["kind"], building.now_ms, **parameters)


def _heal(building: Building, where: str, command: Command) -> None:
    if where == "all":
        building.faults.heal_all()
    else:
        building.faults.heal(where)


_VERBS: Mapping[str, Callable[[Building, Any, Command], None]] = {
    "set": _set,
    "ramp": _ramp,
    "press": _press,
    "key": _key,
    "fault": _fault,
    "heal": _heal,
}


class Controller:
    """Carries out commands on a home with faces, and remembers what happened when.

    `catch_up` brings the world's time to now, so that what a command starts, starts now.
    """

    def __init__(self, building: Building, chip: GpioChip, catch_up: Callable[[], None]) -> None:
        self._building = building
        self._chip = chip
        self._catch_up = catch_up
        self._notes: deque[dict[str, Any]] = deque(maxlen=KEPT_NOTES)
        self._playing: asyncio.Task[None] | None = None
        self.modem: ModemFace | None = None
        self._played = ""
        building.watch(self._contact_changed)

    def handle(self, command: Command) -> dict[str, Any]:
        """Carry out one command; the reply as it goes over the wire."""
        self._catch_up()
        try:
            if "get" in command:
                return {"ok": True, **self._get(command)}
            if "play" in command:
                self._play(command["play"])
            elif "stop" in command:
                self.stop()
            elif "sms" in command or "modem" in command:
                self._modem(command)
            else:
                apply(self._building, command)
        except (WorldError, FaultError, scenarios.ScenarioError, OSError) as error:
            return {"error": str(error)}
        return {"ok": True}

    def stop(self) -> None:
        """Stop the scenario that plays, where it is."""
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None

    def wrote(self, source: str, write: Write) -> None:
        """A Modbus unit was written to."""
        facts = {key: value for key, value in write._asdict().items() if key != "monotonic_ns"}
        self._note("write", write.monotonic_ns, source=source, **facts)

    def told(self, kind: str, facts: Mapping[str, Any]) -> None:
        """The modem has sent a message, or calls somebody."""
        self._note(kind, time.monotonic_ns(), **facts)

    def _modem(self, command: Command) -> None:
        if self.modem is None:
            raise WorldError("this building has no modem")
        with self.modem.held() as modem:
            if "sms" in command:
                try:
                    modem.take_reply(str(command["sms"]["from"]), str(command["sms"]["text"]))
                except (TypeError, KeyError, ValueError) as error:
                    raise WorldError(f"sms: malformed: {json.dumps(command, ensure_ascii=False)}") from error
            elif command["modem"] == "restart":
                modem.restart()
            elif command["modem"] == "hang_up":
                modem.hang_up()
            else:
                raise WorldError(f"modem: expected restart or hang_up, got {command['modem']!r}")

    # --- scenarios ---

    def _play(self, name: str) -> None:
        scenario = scenarios.load(str(name))
        self.stop()
        self._played = scenario.name
        self._playing = asyncio.get_running_loop().create_task(scenarios.play(scenario, self._do, self._began))
        self._playing.add_done_callback(partial(self._ended, scenario.name))

    def _do(self, command: Command) -> None:
        reply = self.handle(command)
        if "error" in reply:
            self._note("error", time.monotonic_ns(), text=reply["error"])

    def _began(self, step: Step) -> None:
        self._note("step", time.monotonic_ns(), at_ms=step.at_ms, zh=step.zh, en=step.en, demo=step.demo)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        kind = "stopped" if task.cancelled() else "end"
        self._note(kind, time.monotonic_ns(), scenario=name)

    # --- what can be asked ---

    def _get(self, command: Command) -> dict[str, Any]:
        what = command["get"]
        if what == "outputs":
            return {"pins": self._pins(), "coils": self._coils()}
        if what == "values":
            return {"values": {name: self._building.true(name) for name in self._building.plan.quantities}}
        if what == "contacts":
            return {"contacts": {each.pin: self._building.contact(each.pin) for each in self._building.plan.inputs}}
        if what == "faults":
            return {"faults": self._building.faults.active()}
        if what == "scenario":
            is_playing = self._playing is not None and not self._playing.done()
            return {"scenario": self._played, "is_playing": is_playing}
        if what == "sms" and self.modem is not None:
            with self.modem.held() as modem:
                return {"sms": [item._asdict() for item in modem.sent], "calls": list(modem.calls)}
        if what == "log":
            return {"log": list(self._log(int(command.get("since_ns", 0))))}
        raise WorldError(f"get: expected outputs, values, contacts, faults, scenario or log, got {what!r}")

    def _pins(self) -> dict[int, dict[str, Any]]:
        return {
            output.pin: {
                "name": output.name,
                "level": int(self._chip.read(output.pin)),
                "changed_ns": self._chip.changed_ns(output.pin),
            }
            for output in self._building.plan.outputs
        }

    def _coils(self) -> dict[str, dict[str, Any]]:
        return {
            f"{source}/{unit}/{at}": {"level": level, "changed_ns": device.changed_ns[at]}
            for (source, unit), device in self._building.devices.items()
            if isinstance(device, RelayBoard)
            for at, level in enumerate(device.coils)
        }

    def _log(self, since_ns: int) -> Iterable[dict[str, Any]]:
        changes = [
            {"kind": change.kind, "monotonic_ns": change.monotonic_ns, "pin": change.pin, "level": int(change.level)}
            for change in self._chip.changes_since(since_ns)
        ]
        notes = [note for note in self._notes if note["monotonic_ns"] > since_ns]
        return sorted([*changes, *notes], key=lambda entry: int(entry["monotonic_ns"]))

    def _contact_changed(self, pin: int, is_closed: bool) -> None:
        self._note("contact", time.monotonic_ns(), pin=pin, closed=is_closed)

    def _note(self, kind: str, monotonic_ns: int, **facts: Any) -> None:
        self._notes.append({"kind": kind, **facts, "monotonic_ns": monotonic_ns})


class ControlFace:
    """Serves a controller on a UNIX socket."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._server = UnixServer(self._serve)

    async def start(self, path: Path) -> None:
        """Listen on `path`."""
        await self._server.start(path)

    async def stop(self) -> None:
        """Stop the scenario, stop listening and close what is open."""
        self._controller.stop()
        await self._server.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(self._answer(line), ensure_ascii=False).encode() + b"\n")
            await writer.drain()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            command = json.loads(line)
        except ValueError:
            command = None
        if not isinstance(command, dict):
            return {"error": f"expected a JSON object on one line, got {line[:80]!r}"}
        return self._controller.handle(command)


class Control:
    """A client of the control socket, for a demo, a bench or a test in another process or thread.

    `do` returns the reply, and raises WorldError for {"error": ...} and OSError where the simulator is gone.
    """

    def __init__(self, path: str | Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_TIMEOUT_S)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    def do(self, **command: Any) -> dict[str, Any]:
        """Send one command, e.g. `do(set={"203.smoke_pct_m": 8.0})`."""
        self._socket.sendall(json.dumps(command).encode() + b"\n")
        line = self._lines.readline()
        if not line:
            raise ConnectionResetError("the simulator closed its control socket")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorldError(reply["error"])
        return reply

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
