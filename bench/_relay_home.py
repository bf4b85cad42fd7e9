"""The home of the relay benches: ten meters and a relay board on one Modbus TCP port, in a process of their own.

Each meter has nine residual currents and an alarm bit of its own, which the gateway takes as a call point, because that
is confirmed at once. The board's coil 0 is the siren. The child stamps when it answered with the bit, and when the coil
was written.
"""

import asyncio
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench import _pins
from bench._children import END, ask, heard
from edge import station
from edge.agent import Agent
from edge.config import load
from simulators.devices import READ_HOLDING, RelayBoard, Write
from simulators.faults import FaultBoard
from simulators.modbus import Bus, TcpFace

UNITS = range(1, 11)
BOARD = 20
CURRENTS = 9
ALARM_BIT_AT = CURRENTS
SLOW_MS = 250
DEADLINE_S = 30.0

# --- the configuration ------------------------------------------------------------------------------------------------

HEAD = """\
[home]
code = "h01"
name = "和平里养老院"

[gateway]
code = "g1"
data = "{data}"
rules = "cn-2026"
simulated = true

[uplink]
enabled = false

[[zone]]
code = "f1"
name = "一楼"

[[source]]
name = "gpio"
kind = "gpio"
backend = "{backend}"
address = "{data}"

[[output]]
name = "buzzer"
role = "buzzer"
source = "gpio"
at = {{ pin = 18 }}

[[output]]
name = "siren"
role = "siren"
source = "meters"
at = {{ unit = 20, coil = 0 }}

[[source]]
name = "meters"
kind = "modbus"
host = "127.0.0.1"
port = {port}

[[source.unit]]
address = 20
profile = "relay-8"
outputs = true
"""


def configuration(folder: Path, port: int) -> Path:
    """Write the home's gateway.toml into `folder`."""
    profile = folder / "bench-meter.toml"
    profile.write_text(_profile(), "utf-8")
    parts = [HEAD.format(data=folder / "data", backend=_pins.BACKEND, port=port)]
    parts += [f'[[source.unit]]\naddress = {unit}\nprofile = "{profile}"\n' for unit in UNITS]
    parts += [_point(unit, f"q{at}", "leakage", "{}") for unit in UNITS for at in range(CURRENTS)]
    at_once = '{ contact = { on = "0ms", off = "0ms" } }'
    parts += [_point(unit, "alarm", "call_point", at_once) for unit in UNITS]
    path = folder / "gateway.toml"
    path.write_text("\n".join(parts), "utf-8")
    return path


def _profile() -> str:
    parts = ['title = "Meter of the bench"\nsource = "own: one block of holding registers"\nkind = "modbus"\n']
    parts += [f'[quantity.q{at}]\nfunction = 3\naddress = {at}\nunit = "mA"\n' for at in range(CURRENTS)]
    parts.append(f'[quantity.alarm]\nfunction = 3\naddress = {ALARM_BIT_AT}\nunit = ""\nmask = 1\n')
    return "\n".join(parts)


def _point(unit: int, quantity: str, kind: str, rule: str) -> str:
    return (
        f'[[point]]\ncode = "{quantity}-{unit}"\nkind = "{kind}"\nzone = "f1"\nplace = "{unit}号箱{quantity}"\n'
        f'source = "meters"\nat = {{ unit = {unit}, quantity = "{quantity}" }}\nrule = {rule}\n'
    )


# --- the units, in their own process ----------------------------------------------------------------------------------


class Meter:
    """One unit: stamps when it was asked, and when it first answered with its alarm bit."""

    def __init__(self) -> None:
        self.words = [100] * CURRENTS + [0]
        self.asked_ns: list[int] = []
        self.told_ns = 0

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        now_ns = time.monotonic_ns()
        self.asked_ns.append(now_ns)
        if self.words[ALARM_BIT_AT] and not self.told_ns:
            self.told_ns = now_ns
        return self.words[address : address + count]

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        raise AssertionError("a meter was written")


class Units:
    """What the bench may ask of the child: `serve` answers each of its words by the method of that name."""

    def __init__(self) -> None:
        self.meters = {unit: Meter() for unit in UNITS}
        places = {f"bench/{unit}": "tcp" for unit in UNITS}
        self.bus = Bus("bench", {**self.meters, BOARD: RelayBoard()}, FaultBoard(places, {}))
        self.bus.written = self._written
        self.on_ns = self.off_ns = self.set_ns = 0

    def _written(self, write: Write) -> None:
        if write.address == 0 and write.values[0]:
            self.on_ns = self.on_ns or write.monotonic_ns
        elif write.address == 0:
            self.off_ns = write.monotonic_ns

    def set(self, unit: str) -> int:
        """The unit's alarm bit, from now on."""
        meter = self.meters[int(unit)]
        self.on_ns = self.off_ns = meter.told_ns = 0
        meter.words[ALARM_BIT_AT] = 1
        self.set_ns = time.monotonic_ns()
        return self.set_ns

    def clear(self, unit: str) -> None:
        """No alarm any more."""
        self.meters[int(unit)].words[ALARM_BIT_AT] = 0

    def stamps(self, unit: str) -> tuple[int, int, int, int]:
        """When the bit was set, told, and the coil on and off; 0 for not yet."""
        return self.set_ns, self.meters[int(unit)].told_ns, self.on_ns, self.off_ns

    def asked(self) -> dict[int, list[int]]:
        """When each unit was asked since this was last asked, in ns."""
        asked = {unit: meter.asked_ns[:] for unit, meter in self.meters.items()}
        for meter in self.meters.values():
            meter.asked_ns.clear()
        return asked

    def silence(self, unit: str) -> None:
        """A unit dies."""
        self.bus.faults.inject(f"bench/{unit}", "silent", 0)

    def slow(self) -> None:
        """Every unit takes a quarter of a second to answer: 2.5 s of work for a period of 1 s."""
        for unit in UNITS:
            self.bus.faults.inject(f"bench/{unit}", "late", 0, delay_ms=SLOW_MS)

    def heal(self) -> None:
        """All is well again."""
        self.bus.faults.heal_all()


def serve(pipe: Connection) -> None:
    """A child's work: sends the port, then answers words with what `Units` has by that name."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    units = Units()
    face = TcpFace(units.bus)
    await face.start()
    pipe.send(face.port)
    over = asyncio.Event()

    def answer() -> None:
        word = heard(pipe)
        if word == END:
            over.set()
            return
        name, *arguments = word.split()
        pipe.send(getattr(units, name)(*arguments))

    loop = asyncio.get_running_loop()
    loop.add_reader(pipe.fileno(), answer)
    await over.wait()
    loop.remove_reader(pipe.fileno())
    await face.stop()


# --- the agent, and what a bench does to its home ---------------------------------------------------------------------


class Home:
    """The units' pipe and the agent's station, as a bench's thread uses them."""

    def __init__(self, units: Connection, data: Path) -> None:
        self.units = units
        self._data = data

    def status(self) -> dict[str, Any]:
        """What the agent says about itself."""
        return station.ask(self._data, {"do": "status"})

    def alarm(self, unit: int) -> tuple[float, float]:
        """Raise and reset an alarm: ms from the bit to the relay, and from the reply with the bit to the relay."""
        ask(self.units, f"set {unit}")
        self.wait(lambda: ask(self.units, f"stamps {unit}")[2])
        set_ns, told_ns, on_ns, _ = ask(self.units, f"stamps {unit}")
        ask(self.units, f"clear {unit}")
        self.wait(lambda: self._is_reset(unit))
        return (on_ns - set_ns) / 1e6, (on_ns - told_ns) / 1e6

    def _is_reset(self, unit: int) -> bool:
        station.ask(self._data, {"do": "reset"})
        time.sleep(0.05)
        # The fault of a unit that is dead on purpose stands all the while; only alarms have to go.
        alarms = [item for item in self.status()["active"] if item["class"] != "fault"]
        return bool(ask(self.units, f"stamps {unit}")[3]) and not alarms

    def wait(self, condition: Callable[[], Any]) -> None:
        """Wait for a condition. TimeoutError after DEADLINE_S."""
        until_s = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > until_s:
                raise TimeoutError(f"waited {DEADLINE_S:g} s in vain")
            time.sleep(0.01)

    def wait_until_heard(self) -> None:
        """Until the agent answers and every meter has been read."""

        def is_heard() -> bool:
            with contextlib.suppress(station.StationError):
                points = self.status()["points"]
                return all(point["value"] is not None for point in points if not point["code"].startswith("gw-"))
            return False

        self.wait(is_heard)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for the home, with the back-end of its pins installed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        _pins.install_pins(Path(name))
        sys.path.insert(0, name)
        try:
            yield Path(name)
        finally:
            sys.path.remove(name)


def run(units: Connection, work: Callable[[Home], Any]) -> Any:
    """`work(home)` in a thread beside the agent on this one; what it gives."""
    with folder() as place:
        agent = Agent(load(configuration(place, ask(units))))
        home = Home(units, place / "data")
        result: list[Any] = []
        failure: list[Exception] = []

        def people(loop: asyncio.AbstractEventLoop) -> None:
            try:
                home.wait_until_heard()
                result.append(work(home))
            except Exception as error:
                failure.append(error)
            loop.call_soon_threadsafe(agent.stop)

        async def watch() -> None:
            thread = threading.Thread(target=people, args=(asyncio.get_running_loop(),), daemon=True)
            thread.start()
            await agent.run()
            thread.join()

        asyncio.run(watch())
        if failure:
            raise failure[0]
        return result[0]


__all__ = ["READ_HOLDING", "UNITS", "Home", "run", "serve"]
