"""The agent as a process: what it holds nobody else gets, how it ends, and that no dead disk keeps it from alarming."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo import example
from edge import station
from edge.station import SOCKET_NAME, StationError
from tests.edge.home import HOME
from tests.simulators.running import RunningHome
from tests.support import ROOT, end, wait_until

COMMAND = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())"]
BUZZER, FAULT_RELAY, LAMP_SUPPLY, LAMP_FIRE, LAMP_FAULT = 18, 20, 7, 23, 24
LATE_S = 30.0


class Agent:
    """`shouwang-edge run`, as a process."""

    def __init__(self, folder: Path, text: str, data: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.config = folder / "gateway.toml"
        self.config.write_text(text, "utf-8")
        self.data = data
        with (folder / "log").open("wb") as log:
            command = [*COMMAND, "run", "--config", str(self.config)]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return (self.config.parent / "log").read_text("utf-8")

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return bool(station.ask(self.data, {"do": "status"}))
        except StationError:
            return False


@contextmanager
def agent(folder: Path, text: str, data: Path | None = None) -> Iterator[Agent]:
    """An agent that is gone at the end of the block."""
    running = Agent(folder, text, data or folder / "data")
    try:
        yield running
    finally:
        end(running.process)


def example_of(building: RunningHome, data: Path) -> str:
    """The example on a simulated building, with the locks where all agents of this module have them."""
    text = example.edit(example.EXAMPLE.read_text("utf-8"), str(data), 9, building.ready)
    return text.replace(f'locks = "{data}"', f'locks = "{locks_of(building)}"')


def locks_of(building: RunningHome) -> Path:
    """What stands for the machine's own folder of locks."""
    return building.folder / "locks"


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHome]:
    home = RunningHome(tmp_path_factory.mktemp("b"))
    yield home
    home.stop()


@pytest.fixture(scope="module")
def first(building: RunningHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """The agent that was there first, and has everything."""
    folder = tmp_path_factory.mktemp("first")
    with agent(folder, example_of(building, folder / "data")) as running:
        wait_until(running.answers, timeout_s=LATE_S, what="the agent to answer")
        yield running


def refused(folder: Path, text: str) -> str:
    """What an agent says that is refused; it ends with 1 by itself."""
    with agent(folder, text) as second:
        wait_until(lambda: second.process.poll() is not None, timeout_s=LATE_S, what="the second agent to give up")
        assert second.process.returncode == 1, second.log
        return second.log


def other_home(building: RunningHome, folder: Path, source: str = "", chip: str = "/run/no-such-gpio.sock") -> str:
    """A home of its own on a GPIO chip that is nobody's, and one more source."""
    text = HOME.read_text("utf-8").split('\n[[source]]\nname = "meters"')[0]
    text = text.replace("/var/lib/shouwang", str(folder / "data"))
    text = text.replace('rules = "cn-2026"', f'rules = "demo"\nsimulated = true\nlocks = "{locks_of(building)}"')
    return text.replace('kind = "gpio"', f'kind = "gpio"\nbackend = "shouwang-sim"\naddress = "{chip}"') + source


def test_a_second_agent_on_the_same_data_folder_is_refused(first: Agent, building: RunningHome, tmp_path: Path) -> None:
    said = refused(tmp_path, example_of(building, first.data))
    assert said == f"shouwang-edge: the data folder {first.data} is in use by process {first.process.pid}\n"
    assert first.answers(), "whose socket the second did not take away"


def test_a_second_agent_on_the_same_gpio_chip_is_refused(first: Agent, building: RunningHome, tmp_path: Path) -> None:
    said = refused(tmp_path, other_home(building, tmp_path, chip=building.ready["gpio"]))
    assert said == f"shouwang-edge: {building.ready['gpio']} is in use by process {first.process.pid}\n"


def test_a_second_agent_on_the_same_serial_port_by_another_name_is_refused(
    first: Agent, building: RunningHome, tmp_path: Path
) -> None:
    device = os.path.realpath(building.ready["breakers"]["path"])
    assert device != building.ready["breakers"]["path"], "the first has it by the name of a link"
    said = refused(tmp_path, other_home(building, tmp_path, _bus(f'device = "{device}"')))
    assert said == f"shouwang-edge: {device} is in use by process {first.process.pid}\n"


def test_a_second_agent_on_the_same_network_port_is_refused(
    first: Agent, building: RunningHome, tmp_path: Path
) -> None:
    port = building.ready["meters"]["port"]
    said = refused(tmp_path, other_home(building, tmp_path, _bus(f'host = "127.0.0.1"\nport = {port}')))
    assert said == f"shouwang-edge: 127.0.0.1:{port} is in use by process {first.process.pid}\n"


def test_a_second_agent_on_the_same_i2c_bus_is_refused(first: Agent, building: RunningHome, tmp_path: Path) -> None:
    source = f"""
[[source]]
name = "i2c"
kind = "i2c"
backend = "shouwang-sim"
address = "{building.ready["i2c"]}"

[[source.chip]]
address = 0x48
driver = "ads1115"
"""
    said = refused(tmp_path, other_home(building, tmp_path, source))
    assert said == f"shouwang-edge: {building.ready['i2c']} is in use by process {first.process.pid}\n"


def _bus(where: str) -> str:
    unit = '[[source.unit]]\naddress = 1\nprofile = "acrel-asj"\n'
    return f'\n[[source]]\nname = "bus"\nkind = "modbus"\n{where}\n\n{unit}'


def test_an_agent_with_things_of_its_own_runs_beside_the_first(
    first: Agent, building: RunningHome, tmp_path: Path
) -> None:
    """Its chip is not there: that is a fault in time, and no end."""
    with agent(tmp_path, other_home(building, tmp_path)) as second:
        wait_until(second.answers, timeout_s=LATE_S, what="the second agent to answer")
        points = {point["code"]: point for point in station.ask(second.data, {"do": "status"})["points"]}
        assert points["smoke-203"]["value"] is None
        assert first.answers()


def test_a_normal_supply_lights_its_lamp_and_the_fault_relay_holds(first: Agent, building: RunningHome) -> None:
    def levels() -> tuple[int, int, int]:
        return _level(building, LAMP_SUPPLY), _level(building, FAULT_RELAY), _level(building, BUZZER)

    wait_until(lambda: levels() == (1, 1, 0), timeout_s=LATE_S, what="supply lamp on, fault relay held, buzzer still")


def test_an_order_to_end_lets_the_fault_relay_drop_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    building = RunningHome(tmp_path / "b")
    try:
        with agent(tmp_path / "a", example_of(building, tmp_path / "a" / "data")) as running:
            wait_until(running.answers, timeout_s=LATE_S, what="the agent to answer")
            wait_until(lambda: _level(building, FAULT_RELAY), what="the fault relay")
            assert end(running.process) == 0, running.log
            assert "Traceback" not in running.log, running.log
        levels = {pin: each["level"] for pin, each in building.do(get="outputs")["pins"].items()}
        assert levels[FAULT_RELAY] == 0, "normally energised: a gateway that is gone shows as a fault"
        assert not any(levels.values())
        assert not (running.data / SOCKET_NAME).exists()
    finally:
        building.stop()


def test_a_home_whose_disk_takes_nothing_still_hears_fire(tmp_path: Path) -> None:
    """PANEL.md, "Staying alive": a dead disk is a fault, never a reboot."""
    (tmp_path / "in-the-way").write_text("no folder")
    (tmp_path / "b").mkdir()
    building = RunningHome(tmp_path / "b")
    try:
        with agent(tmp_path / "a", example_of(building, tmp_path / "in-the-way" / "data")) as running:
            wait_until(lambda: _level(building, LAMP_FAULT), timeout_s=LATE_S, what="the disk's fault to be shown")
            since_ns = time.monotonic_ns()
            building.do(set={"203.smoke_pct_m": 8.0})
            wait_until(lambda: _level(building, LAMP_FIRE), timeout_s=LATE_S, what="the fire to be shown")
            log = building.do(get="log", since_ns=since_ns)["log"]
            assert any(entry.get("pin") == BUZZER and entry.get("level") == 1 for entry in log), "and heard"
            assert running.process.poll() is None, running.log
            assert "cannot be written" in running.log
            assert "nobody can operate this gateway by command" in running.log
            running.process.kill()
    finally:
        building.stop()


def _level(building: RunningHome, pin: int) -> int:
    return int(building.do(get="outputs")["pins"][pin]["level"])
