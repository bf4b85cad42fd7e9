"""The fault menu, each kind at each sort of place, against real sources and a whole engine over real bytes.

Whatever breaks: no false alarm, no alarm of a healthy neighbour hidden, no loop that stands still, one fault for what
died, and an end of it when it is healed. All cases live at once on one loop, each in a home of its own, so that the
whole menu costs little more than its slowest entry; what happened to each is then judged one by one.
"""

import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge import config
from edge.clock import SystemClock
from edge.core.values import Class, Kind, Reading
from edge.engine import Engine
from edge.sources import SOURCES, Site, i2c
from edge.sources.modbus import port, timetable
from simulators.ads1115 import Ads1115
from simulators.building import LOOP_STATES, LOOP_SUPPLY_V, Building
from simulators.chip import GpioChip
from simulators.devices import AcrelAsj
from simulators.faults import MENU, FaultBoard
from simulators.gpio import GpioFace
from simulators.i2c import I2cFace, I2cWorld
from simulators.modbus import Bus, TcpFace
from simulators.modbus_rtu import RtuFace, link
from simulators.sht3x import Sht3x
from tests.edge.home import Diary
from tests.sources.field import until

METER = Path(__file__).parents[1] / "sources" / "meter.toml"
ALARMS = frozenset({Class.FIRE, Class.ELECTRICAL, Class.EARLY_WARNING, Class.SUPERVISORY})
# Longer than a busy machine lets a loop wait, or the healthy ones would be at fault as well.
FAULT_AFTER = "3s"
# The tighter figures of the points: an alarm with its first reading, a fault soon.
QUICK = {
    "leakage": f'{{ fault_after = "{FAULT_AFTER}", threshold = {{ early_after = "0ms", alarm_after = "0ms" }} }}',
    "loop": f'{{ fault_after = "{FAULT_AFTER}", loop = {{ after = "0ms" }} }}',
    "room_temperature": f'{{ fault_after = "{FAULT_AFTER}" }}',
    "smoke": f'{{ fault_after = "{FAULT_AFTER}" }}',
}
HEAD = """
home = { code = "h01", name = "home" }
gateway = { code = "g1", data = "/nowhere", rules = "cn-2026", simulated = true }
uplink = { enabled = false }
zone = [{ code = "f1", name = "1" }]
output = [{ name = "buzzer", role = "buzzer", source = "panel", at = { pin = 18 } }]
source = [{ name = "panel", kind = "gpio" }]
"""


@dataclass(frozen=True)
class Case:
    """A fault at a place: `died` is the subject of the one fault that it makes ("" for none), `raises` the one alarm
    that it may make itself, `far` whether the neighbour has to hang on another source."""

    sort: str
    where: str
    kind: str
    died: str
    far: bool = False
    raises: str = ""
    parameters: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.sort} {self.where} {self.kind}"


def _unit_cases(sort: str, kinds: tuple[str, ...]) -> Iterator[Case]:
    for kind in kinds:
        yield Case(sort, "meters/1", kind, "meters/1", parameters=(("delay_ms", 300),) if kind == "late" else ())


def _cases() -> Iterator[Case]:
    yield from _unit_cases("tcp", MENU["tcp"])
    yield from _unit_cases("rtu", MENU["rtu unit"])
    for sort in ("tcp", "rtu"):
        for kind in ("silent", "dropped_link"):
            yield Case(sort, "meters", kind, "meters", far=True)
    for chip in ("i2c/0x48", "i2c/0x44"):
        for kind in ("nack", "garbage", "late"):
            yield Case("i2c", chip, kind, chip, parameters=(("delay_ms", 450),) if kind == "late" else ())
    for kind in ("stuck_bus", "nack"):
        yield Case("i2c", "i2c", kind, "i2c", far=True)
    yield Case("gpio", "gpio/4", "chatter", "", raises="victim")
    yield Case("gpio", "gpio/4", "stuck", "")
    yield Case("quantity", "kitchen.leakage_ma", "open", "meters/1")
    yield Case("quantity", "kitchen.leakage_ma", "stuck", "")
    yield Case("quantity", "kitchen.leakage_ma", "drift", "", parameters=(("per_min", 20.0),))


CASES = {case.name: case for case in _cases()}


class Asked:
    """A meter of the tests, which writes down whose turn it was."""

    def __init__(self, unit: int, turns: list[int]) -> None:
        self.words = [100, 215, 0, 230]
        self._unit = unit
        self._turns = turns

    def read(self, function: int, address: int, count: int) -> list[int]:
        self._turns.append(self._unit)
        return self.words[address : address + count]

    def write(self, function: int, address: int, values: Any) -> None:
        raise AssertionError("a meter was written")


@dataclass
class Home:
    """A home under one case: what is wired, what may be done to it, and what its engine did."""

    case: Case
    folder: Path
    tables: list[str] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    inject: Callable[[], object] = lambda: None
    heal: Callable[[], object] = lambda: None
    alarm: Callable[[], object] = lambda: None
    diary: Diary = field(default_factory=Diary)
    readings: list[Reading] = field(default_factory=list)
    engine: Engine = None  # type: ignore[assignment]

    def point(self, code: str, kind: str, source: str, at: str) -> None:
        """Wire a point."""
        head = f'[[point]]\ncode = "{code}"\nkind = "{kind}"\nzone = "f1"\nplace = "{code}"\n'
        self.tables.append(f'{head}source = "{source}"\nat = {at}\nrule = {QUICK[kind]}\n')

    def use(self, faults: FaultBoard) -> None:
        """Have the case's fault happen on this board."""
        self.inject = lambda: faults.inject(self.case.where, self.case.kind, 0, **dict(self.case.parameters))
        self.heal = lambda: faults.heal(self.case.where)

    def values(self, code: str) -> list[int]:
        """The values of a point, in order."""
        return [each.value for each in self.readings if each.point == code and each.value is not None]

    def raised(self, kind: Kind) -> list[tuple[Class | None, str]]:
        """Class and subject of every transition of a kind."""
        return [(item.condition, item.subject) for item in self.diary.transitions if item.kind is kind]

    def stands(self, condition: Class, subject: str) -> bool:
        """Whether it does on the panel."""
        return (condition, subject) in self.engine.panel.conditions


# --- the homes


async def _modbus(home: Home, stack: AsyncExitStack, name: str, units: int) -> list[Asked]:
    """A Modbus bus of that many meters; the case's sort says over what."""
    turns = home.turns if name == "meters" else []
    meters = [Asked(unit, turns) for unit in range(1, units + 1)]
    is_tcp = home.case.sort != "rtu" or name != "meters"
    sorts = ("tcp", "tcp") if is_tcp else ("rtu bus", "rtu unit")
    places = {name: sorts[0], **{f"{name}/{unit}": sorts[1] for unit in range(1, units + 1)}}
    bus = Bus(name, dict(enumerate(meters, 1)), FaultBoard(places, {}))
    if is_tcp:
        face = TcpFace(bus)
        await face.start()
        stack.push_async_callback(face.stop)
        line = f'host = "127.0.0.1"\nport = {face.port}'
    else:
        device = home.folder / "ttyUSB0"
        serial = RtuFace(bus, baud=115_200)
        serial.moved = link(device)
        serial.start()
        stack.push_async_callback(asyncio.to_thread, serial.stop)
        line = f'device = "{device}"\nbaud = 115200'
    home.tables.append(f'[[source]]\nname = "{name}"\nkind = "modbus"\n{line}\n')
    home.tables += [
        f'[[source.unit]]\naddress = {unit}\nprofile = "{METER}"\nperiod = "200ms"\ntimeout = "180ms"\n'
        for unit in range(1, units + 1)
    ]
    if name == "meters":
        home.use(bus.faults)
    return meters


async def _far_neighbour(home: Home, stack: AsyncExitStack) -> None:
    (meter,) = await _modbus(home, stack, "others", 1)
    home.point("neighbour", "leakage", "others", '{ unit = 1, quantity = "residual_current" }')
    home.alarm = lambda: meter.words.__setitem__(0, 400)


async def _meters(home: Home, stack: AsyncExitStack) -> None:
    meters = await _modbus(home, stack, "meters", 2)
    home.point("victim", "leakage", "meters", '{ unit = 1, quantity = "residual_current" }')
    home.point("victim-2", "room_temperature", "meters", '{ unit = 1, quantity = "temperature" }')
    near = "neighbour" if not home.case.far else "victim-3"
    home.point(near, "leakage", "meters", '{ unit = 2, quantity = "residual_current" }')
    home.alarm = lambda: meters[1].words.__setitem__(0, 400)


async def _chips(home: Home, stack: AsyncExitStack) -> None:
    ohm = dict.fromkeys((0x48, 0x49), LOOP_STATES["normal"])

    def volts(address: int) -> float:
        return LOOP_SUPPLY_V * ohm[address] / (ohm[address] + 10_000)

    chips = {at: Ads1115(lambda ain, at=at: volts(at)) for at in ohm}  # type: ignore[misc]
    sensor = Sht3x(lambda: 22_000.0, lambda: 45.0)
    faults = FaultBoard(dict.fromkeys(("i2c", "i2c/0x44", "i2c/0x48", "i2c/0x49"), "i2c"), {})
    face = I2cFace(I2cWorld({**chips, 0x44: sensor}, faults))
    await face.start(home.folder / "i2c.sock")
    stack.push_async_callback(face.stop)
    where = home.folder / "i2c.sock"
    home.tables.append(f'[[source]]\nname = "i2c"\nkind = "i2c"\nbackend = "shouwang-sim"\naddress = "{where}"\n')
    for at, driver in ((0x44, "sht3x"), (0x48, "ads1115"), (0x49, "ads1115")):
        home.tables.append(f'[[source.chip]]\naddress = {at}\ndriver = "{driver}"\n')
    home.point("victim", "loop", "i2c", '{ chip = 0x48, channel = 0, period = "200ms" }')
    home.point("victim-2", "room_temperature", "i2c", '{ chip = 0x44, quantity = "temperature", period = "200ms" }')
    near = "neighbour" if not home.case.far else "victim-3"
    home.point(near, "loop", "i2c", '{ chip = 0x49, channel = 0, period = "200ms" }')
    home.use(faults)
    home.alarm = lambda: ohm.__setitem__(0x49, LOOP_STATES["alarm"])


async def _contacts(home: Home, stack: AsyncExitStack) -> None:
    building = Building.load("home")
    face = GpioFace(building, GpioChip())
    await face.start(home.folder / "gpio.sock")
    stack.push_async_callback(face.stop)
    where = home.folder / "gpio.sock"
    home.tables.append(f'[[source]]\nname = "pins"\nkind = "gpio"\nbackend = "shouwang-sim"\naddress = "{where}"\n')
    home.tables.append('sweep = "200ms"\n')
    home.point("victim", "smoke", "pins", "{ pin = 4 }")
    home.point("neighbour", "smoke", "pins", "{ pin = 17 }")
    home.use(building.faults)

    def smoke() -> None:
        building.set("204.smoke_pct_m", 8.0)
        for _ in range(600):  # the detector's own delay
            building.advance(100)

    home.alarm = smoke


async def _quantities(home: Home, stack: AsyncExitStack) -> None:
    """A meter whose sensor breaks, out of a whole building; its neighbour is another meter of the building."""
    building = Building.load("home")
    names = {1: "kitchen.leakage_ma", 2: "floor2.leakage_ma"}
    units = {unit: AcrelAsj(building.sense, name, unit) for unit, name in names.items()}
    face = TcpFace(Bus("meters", units, FaultBoard({"meters": "tcp"}, {})))
    await face.start()
    stack.push_async_callback(face.stop)
    home.tables.append(f'[[source]]\nname = "meters"\nkind = "modbus"\nhost = "127.0.0.1"\nport = {face.port}\n')
    home.tables += [f'[[source.unit]]\naddress = {at}\nprofile = "acrel-asj"\nperiod = "200ms"\n' for at in (1, 2)]
    home.point("victim", "leakage", "meters", '{ unit = 1, quantity = "residual_current" }')
    home.point("neighbour", "leakage", "meters", '{ unit = 2, quantity = "residual_current" }')
    home.use(building.faults)
    break_it = home.inject

    def some_minutes_ago() -> None:
        break_it()
        building.advance(180_000)

    home.inject = some_minutes_ago
    home.alarm = lambda: building.set("floor2.leakage_ma", 400.0)


WIRE = {"tcp": _meters, "rtu": _meters, "i2c": _chips, "gpio": _contacts, "quantity": _quantities}


@asynccontextmanager
async def _running(home: Home) -> AsyncIterator[None]:
    """The case's home with its sources at work and its engine deciding."""
    async with AsyncExitStack() as stack:
        await WIRE[home.case.sort](home, stack)
        if home.case.far:
            await _far_neighbour(home, stack)
        table = tomllib.loads("\n".join(home.tables))
        head = tomllib.loads(HEAD)
        setup = config.parse({**head, **table, "source": [*head["source"], *table["source"]]}, "gateway.toml")
        home.engine = Engine(setup.plan, SystemClock(), home.diary, home.diary)
        tasks = []
        for item in setup.sources:
            if item.config.name != "panel":
                source = SOURCES[item.kind].open(item.config, item.wired, Site(home.folder / "locks", simulated=True))
                stack.callback(source.close)
                tasks.append(asyncio.create_task(source.run(lambda readings: _take(home, readings))))
        try:
            yield
            assert not any(task.done() for task in tasks), "a source never ends by itself"
        finally:
            home.engine.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _take(home: Home, readings: Any) -> None:
    home.readings += readings
    home.engine.take(readings)


# --- the story of every case


async def _live(home: Home) -> None:
    case = home.case
    alarm = (Class.FIRE if case.sort in ("i2c", "gpio") and not case.far else Class.ELECTRICAL, "neighbour")
    async with _running(home):
        codes = [code for code in home.engine.panel.points if not code.startswith(("gw-", "out-"))]
        await until(lambda: all(home.values(code) for code in codes), f"{case.name}: a value of every point")
        asked_before = len(home.turns)
        home.inject()
        if case.died:
            await until(lambda: home.stands(Class.FAULT, case.died), f"{case.name}: the fault")
        elif case.raises:
            await until(lambda: home.stands(Class.FIRE, case.raises), f"{case.name}: the chattering contact's alarm")
        asked, heard = home.turns[asked_before:], len(home.values("neighbour"))
        await until(lambda: len(home.values("neighbour")) >= heard + 3, f"{case.name}: the neighbour")
        heard = len(home.values("neighbour"))
        home.alarm()
        await until(lambda: home.stands(*alarm), f"{case.name}: the neighbour's alarm")
        carried = [each for each in home.values("neighbour")[heard:] if each == home.values("neighbour")[-1]]
        home.heal()
        if case.died:
            await until(lambda: not home.stands(Class.FAULT, case.died), f"{case.name}: the end of the fault")
        victims = [code for code in codes if code != "neighbour"]
        await until(lambda: all(home.engine.panel.points[code].unknown is None for code in victims), "values again")
    _judge(home, alarm, asked, carried)


def _judge(home: Home, alarm: tuple[Class, str], asked: list[int], carried: list[int]) -> None:
    """One fault for what died, its end, the neighbour's alarm with the first reading that had it, and nothing else."""
    case = home.case
    fault = [(Class.FAULT, case.died)] if case.died else []
    own = [(Class.FIRE, case.raises)] if case.raises else []
    assert sorted(home.raised(Kind.RAISE)) == sorted([*fault, *own, alarm])
    assert home.raised(Kind.CLEAR) == fault
    if case.sort != "gpio":
        assert len(carried) == 1, "raised by the first reading that carried it"
    if not case.far and case.sort in ("tcp", "rtu") and case.kind not in ("busy", "exception"):
        assert asked.count(1) <= asked.count(2), "the dead are asked no oftener than the living"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseException | None]:
    """Every case lived through, with what was wrong in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timetable, "PROBE_FIRST_S", 0.1)
        patch.setattr(timetable, "PROBE_CAP_S", 0.4)
        patch.setattr(port, "LATE_S", 0.2)
        patch.setattr(port, "SILENT_LINE_S", 1.5)
        patch.setattr(i2c, "CHANNEL_DEADLINE_S", 0.4)
        patch.setattr(i2c, "REOPEN_FIRST_S", 0.1)
        patch.setattr(i2c, "REOPEN_CAP_S", 0.4)
        return asyncio.run(_all(tmp_path_factory.mktemp("menu")))


async def _all(folder: Path) -> dict[str, BaseException | None]:
    homes = []
    for number, case in enumerate(CASES.values()):
        place = folder / str(number)
        place.mkdir()
        homes.append(Home(case, place))
    ended = await asyncio.gather(*(_live(home) for home in homes), return_exceptions=True)
    return dict(zip(CASES, ended, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_whatever_breaks_is_one_fault_and_hides_nothing(name: str, outcomes: dict[str, BaseException | None]) -> None:
    failure = outcomes[name]
    if failure is not None:
        raise failure


def test_the_whole_menu_is_here() -> None:
    sorts = {"tcp": "tcp", "rtu": "rtu unit", "i2c": "i2c", "gpio": "gpio", "quantity": "quantity"}
    for sort, menu in sorts.items():
        assert set(MENU[menu]) <= {case.kind for case in CASES.values() if case.sort == sort}
    assert "dropped_link" in {case.kind for case in CASES.values() if case.sort == "rtu" and case.far}
