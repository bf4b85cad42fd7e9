"""The home that the benches of the agent watch: N registers over ten units in another process, and some contacts.

The registers are half residual currents and half temperatures. They move as real ones do: a digit of noise each
second, and about once a minute a step that is worth keeping.
"""

import asyncio
import random
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from bench._children import END, heard
from bench._pins import BACKEND
from simulators.devices import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, READ_HOLDING, ModbusException, i16
from simulators.faults import FaultBoard
from simulators.modbus import Bus, TcpFace

UNITS = range(1, 11)
HOME, GATEWAY = "h01", "g1"
SMOKE_PINS = (4, 17, 27, 22, 10, 9, 11, 5)
BUZZER_PIN, FIRE_LAMP_PIN, FAULT_LAMP_PIN = 18, 23, 24

STEP_CHANCE = 1 / 60
CURRENT_STEP_MA, TEMPERATURE_STEP = 6, 15
"""Steps beyond the default deadbands: 3 mA of leakage, 0.7 °C of a cable."""

# --- the configuration ------------------------------------------------------------------------------------------------


def configuration(folder: Path, points: int, modbus_port: int, broker_port: int, rule: str = "{}") -> Path:
    """Write the home's gateway.toml into `folder`. `rule` is the smoke detectors' own."""
    profile = folder / "bench-meter.toml"
    profile.write_text(_profile(points // len(UNITS)), "utf-8")
    parts = [_HEAD.format(home=HOME, gateway=GATEWAY, data=folder / "data", port=broker_port, backend=BACKEND)]
    parts.append(f'[[source]]\nname = "meters"\nkind = "modbus"\nhost = "127.0.0.1"\nport = {modbus_port}\n')
    parts += [f'[[source.unit]]\naddress = {unit}\nprofile = "{profile}"\n' for unit in UNITS]
    parts += [_smoke(pin, rule) for pin in SMOKE_PINS]
    parts += [_meter_point(unit, at) for unit in UNITS for at in range(points // len(UNITS))]
    path = folder / "gateway.toml"
    path.write_text("\n".join(parts), "utf-8")
    return path


_HEAD = """\
[home]
code = "{home}"
name = "和平里养老院"

[gateway]
code = "{gateway}"
data = "{data}"
rules = "cn-2026"
simulated = true

[uplink]
host = "127.0.0.1"
port = {port}

[[zone]]
code = "f1"
name = "一楼"

[[source]]
name = "gpio"
kind = "gpio"
backend = "{backend}"
address = "in this process"

[[output]]
name = "buzzer"
role = "buzzer"
source = "gpio"
at = {{ pin = 18 }}

[[output]]
name = "lamp-fire"
role = "lamp_fire"
source = "gpio"
at = {{ pin = 23 }}

[[output]]
name = "lamp-fault"
role = "lamp_fault"
source = "gpio"
at = {{ pin = 24 }}
"""


def _profile(registers: int) -> str:
    parts = ['title = "Meter of the bench"\nsource = "own: one block of holding registers"\nkind = "modbus"\n']
    for at in range(registers):
        signed = 'type = "i16"\nunit = "°C"\nmultiply = 100\nscale = -3\n' if _is_temperature(at) else 'unit = "mA"\n'
        parts.append(f"[quantity.q{at}]\nfunction = {READ_HOLDING}\naddress = {at}\n{signed}")
    return "\n".join(parts)


def _smoke(pin: int, rule: str) -> str:
    return (
        f'[[point]]\ncode = "smoke-{pin}"\nkind = "smoke"\nzone = "f1"\nplace = "一楼10{pin}室"\nsource = "gpio"\n'
        f"at = {{ pin = {pin} }}\nrule = {rule}\n"
    )


def _meter_point(unit: int, at: int) -> str:
    kind = ("heat" if at % 4 == 1 else "cable_temperature") if _is_temperature(at) else "leakage"
    return (
        f'[[point]]\ncode = "m-{unit}-{at}"\nkind = "{kind}"\nzone = "f1"\nplace = "{unit}号箱第{at}路"\n'
        f'source = "meters"\nat = {{ unit = {unit}, quantity = "q{at}" }}\n'
    )


def _is_temperature(at: int) -> bool:
    return at % 2 == 1


# --- the units --------------------------------------------------------------------------------------------------------


class Meter:
    """One unit: `registers` holding registers whose values `move`."""

    def __init__(self, registers: int, generator: random.Random) -> None:
        self._random = generator
        self._bases = [
            generator.randint(200, 300) if _is_temperature(at) else generator.randint(30, 120)
            for at in range(registers)
        ]
        self._middles = tuple(self._bases)
        self.words: list[int] = []
        self.reads = 0
        self.move()

    def move(self) -> None:
        """A second passes."""
        for at, base in enumerate(self._bases):
            if self._random.random() < STEP_CHANCE:
                step = TEMPERATURE_STEP if _is_temperature(at) else CURRENT_STEP_MA
                self._bases[at] = base - step if base > self._middles[at] else base + step
        self.words = [i16(base + self._random.choice((-1, 0, 0, 1))) for base in self._bases]

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        if function != READ_HOLDING:
            raise ModbusException(ILLEGAL_FUNCTION)
        if address + count > len(self.words):
            raise ModbusException(ILLEGAL_ADDRESS)
        self.reads += 1
        return self.words[address : address + count]

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        raise ModbusException(ILLEGAL_FUNCTION)


def serve_meters(pipe: Connection, points: int, seed: int) -> None:
    """A child's work (`bench._children`): sends the port, and answers "reads" with the requests served so far."""
    asyncio.run(_serve_meters(pipe, points, seed))


async def _serve_meters(pipe: Connection, points: int, seed: int) -> None:
    generator = random.Random(seed)
    meters = {unit: Meter(points // len(UNITS), generator) for unit in UNITS}
    face = TcpFace(Bus("bench", meters, FaultBoard({}, {})))
    await face.start()
    pipe.send(face.port)
    loop = asyncio.get_running_loop()
    said: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(pipe.fileno(), lambda: said.put_nowait(heard(pipe)))
    while True:
        try:
            async with asyncio.timeout(1.0):
                word = await said.get()
        except TimeoutError:
            for meter in meters.values():
                meter.move()
            continue
        if word == END:
            break
        pipe.send(sum(meter.reads for meter in meters.values()))
    loop.remove_reader(pipe.fileno())
    await face.stop()
