"""`shouwang-edge probe` on simulated buses over real bytes: what it finds, what it says, and that it writes nothing."""

import asyncio
import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge import config, locks
from edge.cli import main
from edge.core.values import Unknown
from edge.probe import i2c, shown
from edge.probe.evidence import fit
from edge.probe.i2c import Chip, ReadingBus
from edge.profiles import MeterProfile, load
from edge.sources import sht3x
from edge.sources.modbus.plan import Block
from simulators.ads1115 import Ads1115
from simulators.devices import VigirexRhu
from simulators.modbus_rtu import RtuFace
from simulators.sht3x import Sht3x
from tests.edge.home import write_home
from tests.simulators.running import LoopThread, RunningHome
from tests.sources.field import Words, bus_of
from tests.support import ROOT, free_port


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RunningHome]:
    running = RunningHome(tmp_path / "h")
    yield running
    running.stop()


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What the command says in JSON."""
    assert main(["probe", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def likeliest(found: dict[str, Any]) -> dict[int, str | None]:
    """The first profile of each unit."""
    return {unit["unit"]: next((fit["profile"] for fit in unit["profiles"]), None) for unit in found["units"]}


def test_the_meters_of_a_home_are_known_and_none_is_written(
    home: RunningHome, capsys: pytest.CaptureFixture[str]
) -> None:
    port = home.ready["modbus_port"]
    found = asked(capsys, f"127.0.0.1:{port}", "--units", "1-12", "--timeout", "100ms")
    assert likeliest(found) == {
        1: "acrel-asj",
        2: "acrel-asj",
        3: "temperature-4ch",
        4: "monitor-4i4t",
        10: "relay-8",
    }
    asj, transmitter = found["units"][0]["profiles"], found["units"][2]["profiles"]
    assert [fit["profile"] for fit in asj] == ["acrel-asj", "monitor-4i4t"], "several may fit: ranked by evidence"
    assert asj[0]["signs"] and not asj[1]["signs"]
    assert [fit["profile"] for fit in transmitter] == ["temperature-4ch", "temperature-1ch"]
    assert 20 <= asj[0]["quantities"]["residual_current"]["value"] <= 200
    assert not home.simulator.modbus["meters"].bus.writes
    stanza = tomllib.loads(found["stanza"])["source"][0]
    assert (stanza["host"], stanza["port"], len(stanza["unit"])) == ("127.0.0.1", port, 5)


def test_the_breakers_on_a_serial_line_are_known(home: RunningHome, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(capsys, home.ready["rtu"], "--baud", "9600", "--units", "10-12", "--timeout", "300ms")
    assert likeliest(found) == {11: "lx47le-125", 12: "lx47le-125"}
    assert not home.simulator.modbus["breakers"].bus.writes
    assert tomllib.loads(found["stanza"])["source"][0]["device"] == home.ready["rtu"]


def test_a_line_at_another_speed_hears_nobody(home: RunningHome, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(capsys, home.ready["rtu"], "--baud", "19200", "--units", "11", "--timeout", "50ms")
    assert found["units"] == [] and found["stanza"] == ""


def test_the_chips_of_a_home_are_known_and_none_is_changed(
    home: RunningHome, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(home.folder / "i2c.sock")
    found = asked(capsys, where, "--backend", "shouwang-sim")
    assert {chip["address"]: chip["driver"] for chip in found["chips"]} == {0x44: "sht3x", 0x48: "ads1115"}
    chips: Any = home.simulator._sockets["i2c"].world.chips  # type: ignore[union-attr]
    assert {address: chip.changes for address, chip in chips.items()} == {0x44: 0, 0x48: 0}
    stanza = tomllib.loads(found["stanza"])["source"][0]
    assert stanza == {
        "name": "i2c",
        "kind": "i2c",
        "backend": "shouwang-sim",
        "address": where,
        "chip": [{"address": 0x44, "driver": "sht3x"}, {"address": 0x48, "driver": "ads1115"}],
    }


def test_what_people_read_and_paste(home: RunningHome, capsys: pytest.CaptureFixture[str]) -> None:
    port = home.ready["modbus_port"]
    assert main(["probe", f"127.0.0.1:{port}", "--units", "1-10", "--timeout", "100ms"]) == 0
    text = capsys.readouterr().out
    assert f"127.0.0.1:{port}: 5 of 10 units answer; nothing was written" in text
    assert "unit 1     acrel-asj        known by its own address in 0x0018, " in text
    assert "residual_current" in text and "8 coils answer" in text
    stanza = text[text.index("[[source]]") :].replace('name = "meters"', 'name = "probed"')
    example = (ROOT / "deploy" / "example" / "gateway.toml").read_text("utf-8")
    made = config.parse(tomllib.loads(f"{example}\n{stanza}"), "gateway.toml")
    probed = next(source.config for source in made.sources if source.config.name == "probed")
    assert [unit.profile for unit in probed.unit][:2] == ["acrel-asj", "acrel-asj"]


def test_devices_that_are_unknown_busy_or_two_at_once_are_listed_as_such(
    capsys: pytest.CaptureFixture[str],
) -> None:
    devices = {3: Words(*range(4)), 5: VigirexRhu(lambda name: 120.0, "leak"), 6: Words(7), 7: Words(7)}
    bus = bus_of("meters", devices, "rtu")
    bus.faults.inject("meters/6", "busy", 0)
    bus.faults.inject("meters/7", "garbage", 0)
    face = RtuFace(bus, baud=115_200)
    face.start()
    try:
        found = asked(capsys, face.path, "--baud", "115200", "--units", "3-8", "--timeout", "50ms")
    finally:
        face.stop()
    answers = {unit["unit"]: unit["answer"] for unit in found["units"]}
    assert likeliest(found) == {3: None, 5: "schneider-rhu", 6: None, 7: None}
    assert answers[3] == "function 03 answered" and answers[6] == "function 03 refused with exception 6"
    assert answers[7].startswith("garbled: ")
    assert "# unit 3 answers, and no shipped profile fits" in found["stanza"]
    assert not bus.writes


# --- refusals


def test_a_port_that_an_agent_has_is_refused(
    home: RunningHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"127.0.0.1:{home.ready['modbus_port']}"
    with_locks = write_home(tmp_path, **{'rules = "cn-2026"': f'rules = "cn-2026"\nlocks = "{tmp_path / "locks"}"'})
    for folder, options in ((locks.machine_folder(), []), (tmp_path / "locks", ["--config", str(with_locks)])):
        lock = locks.hold(folder, target)
        assert main(["probe", target, "--units", "1", *options]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == (
            f"shouwang-edge: {target} is in use by process {os.getpid()}; stop the gateway for as long as you probe\n"
        )
        lock.release()


WRONG = [
    (["meters!"], 'expected HOST[:PORT], /dev/... or i2c-N, got "meters!"'),
    (["10.0.0.9:70000"], "port: expected 1 to 65535, got 70000"),
    (["10.0.0.9", "--baud", "9600"], "--baud is for a serial line, and 10.0.0.9 is not"),
    (["i2c-1", "--units", "1-9"], "--units is for Modbus, and i2c-1 is not"),
    (["/dev/ttyUSB0", "--baud", "5"], "baud: expected 300 to 1000000, got 5"),
    (["10.0.0.9", "--units", "5-1"], 'argument --units: expected addresses like "1-32", 1 to 247, got "5-1"'),
    (["10.0.0.9", "--units", "1-300"], 'argument --units: expected addresses like "1-32", 1 to 247, got "1-300"'),
    (["10.0.0.9", "--timeout", "3"], 'argument --timeout: expected a duration like "300ms", "10ms" to "10s", got "3"'),
    ([], "the following arguments are required: TARGET"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_arguments_read_well(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["probe", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"shouwang-edge probe: error: {said}"


def test_a_port_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    for target, options, said in (
        (f"127.0.0.1:{port}", [], f"127.0.0.1:{port}: no connection: "),
        (str(tmp_path / "ttyUSB7"), [], "ttyUSB7: no connection: No such file or directory"),
        (str(tmp_path / "i2c.sock"), ["--backend", "shouwang-sim"], "i2c.sock: No such file or directory"),
        (str(tmp_path / "i2c.sock"), ["--backend", "nobody"], 'no back-end "nobody" is installed'),
    ):
        assert main(["probe", target, *options]) == 1
        said_there = capsys.readouterr().err
        assert said in said_there and said_there.count("\n") == 1, said_there


def test_a_bus_that_hangs_ends_the_probe(
    home: RunningHome, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(i2c, "DEADLINE_S", 0.1)
    home.do(fault={"where": "i2c", "kind": "stuck_bus"})
    assert main(["probe", str(home.folder / "i2c.sock"), "--backend", "shouwang-sim"]) == 1
    assert "the bus hangs; pull the chip that holds it" in capsys.readouterr().err
    home.do(heal="i2c")


# --- the evidence


def test_a_profile_fits_only_where_every_sign_holds() -> None:
    asj = load("acrel-asj", MeterProfile)
    words = {0x0000: 300, 0x001B: 0b010, 0x0018: 7, 0x0019: 2, 0x0008: 300}

    def answered(block: Block) -> list[int] | Unknown:
        return [words[block.address]] if block.address in words else Unknown.REFUSED

    found = fit("acrel-asj", asj, 7, answered)
    assert found is not None and found.values == {"residual_current": 300, "device_warning": 0, "device_alarm": 1}
    assert fit("acrel-asj", asj, 8, answered) is None, "another unit's address"
    words[0x0019] = 6
    assert fit("acrel-asj", asj, 7, answered) is None, "no baud code"
    del words[0x0019]
    assert fit("acrel-asj", asj, 7, answered) is None, "a register that it does not have"


def test_a_probe_cannot_change_a_chip() -> None:
    from smbus2 import i2c_msg

    class Chips:
        """Takes whatever is sent."""

        def i2c_rdwr(self, *messages: Any) -> None: ...
        def close(self) -> None: ...

    bus = ReadingBus(Chips())
    bus.i2c_rdwr(i2c_msg.write(0x48, [3]))
    bus.i2c_rdwr(i2c_msg.write(0x44, sht3x.READ_STATUS))
    for written in ([1, 0x85, 0x83], [0x24, 0x00], [0x30, 0xA2]):
        with pytest.raises(ValueError, match="a probe does not write"):
            bus.i2c_rdwr(i2c_msg.write(0x48, written))


class OneChip:
    """A bus with one simulated chip, whose measurement nobody fetched if it has one."""

    def __init__(self, at: int, chip: Any) -> None:
        self.at, self.chip = at, chip

    def i2c_rdwr(self, *messages: Any) -> None:
        for message in messages:
            if message.addr != self.at:
                raise OSError(121, "Remote I/O error")
            if message.flags & 1:
                for at, byte in enumerate(self.chip.read(message.len, 10**9)):
                    message.buf[at] = byte
            else:
                self.chip.write(bytes(message), 0)

    def close(self) -> None: ...


class Registers:
    """A chip with registers: any write of two bytes sets one."""

    def __init__(self) -> None:
        self.was_set = False

    def write(self, data: bytes, now_ns: int) -> None:
        self.was_set |= len(data) > 1

    def read(self, length: int, now_ns: int) -> bytes:
        return b"\x12" * length


def test_a_sensor_with_an_unfetched_measurement_is_known_all_the_same() -> None:
    sensor = Sht3x(lambda: 20_000.0, lambda: 50.0)
    sensor.write(bytes.fromhex("2400"), 0)
    assert [chip.driver for chip in i2c.look(OneChip(0x44, sensor), 0x44)] == ["sht3x"]


@pytest.mark.parametrize("address", [0x44, 0x48, 0x50])
def test_another_chip_at_a_known_address_is_unknown_and_gets_no_command(address: int) -> None:
    other = Registers()
    (chip,) = i2c.look(OneChip(address, other), address)
    assert chip.driver == "" and "answers" in chip.why
    assert not other.was_set
    assert f"# {address:#04x} answers, and there is no driver for it" in shown._chip_stanza(chip)


def test_a_converter_is_known_by_its_thresholds() -> None:
    chip = Ads1115(lambda ain: 1.0)
    assert i2c.look(OneChip(0x49, chip), 0x49) == [
        Chip(0x49, "ads1115", "its thresholds are 0x8000 and 0x7fff, as after power-up")
    ]
    assert chip.changes == 0


def test_a_serial_port_is_named_as_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "BY_ID", tmp_path / "by-id")
    (tmp_path / "by-id").mkdir()
    (tmp_path / "ttyUSB3").touch()
    (tmp_path / "by-id" / "usb-1a86_USB_Serial-if00-port0").symlink_to(tmp_path / "ttyUSB3")
    assert shown.stable_path(str(tmp_path / "ttyUSB3")).endswith("usb-1a86_USB_Serial-if00-port0")
    assert shown.stable_path(str(tmp_path / "ttyUSB4")) == str(tmp_path / "ttyUSB4")


def test_the_line_of_a_dead_gateway_is_made_anew() -> None:
    """Some gateways hang up when a unit is silent; the units behind it are found nevertheless."""
    from edge.probe import modbus
    from edge.sources.modbus.config import ModbusConfig
    from simulators.modbus import TcpFace

    thread = LoopThread()
    bus = bus_of("meters", {1: Words(1), 2: Words(1), 3: Words(1)})
    face = TcpFace(bus)
    thread.run(face.start())
    thread.call(bus.faults.inject, "meters/2", "dropped_link", 0)
    line = modbus.Line(ModbusConfig("m", "modbus", host="127.0.0.1", port=face.port), 100)

    async def scanned() -> list[int]:
        try:
            found = await modbus.scan(line, range(1, 4), shown.meters(), lambda at, last, count: None)
        finally:
            line.close()
        return [unit.unit for unit in found]

    try:
        assert asyncio.run(scanned()) == [1, 3]
    finally:
        thread.run(face.stop())
        thread.close()
