"""The command itself: its arguments, the lock, the progress, and what it prints."""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge import config, locks
from edge.probe import i2c, modbus, shown
from edge.schema import ConfigError, duration_ms
from edge.sources import backends
from edge.sources.i2c import I2cConfig, bus_maker
from edge.sources.modbus.config import UNIT_MAX, ModbusConfig

WELL, FAILED, STOPPED = 0, 1, 130
_SERIAL_OPTIONS = ("baud", "parity", "stop_bits")
_MODBUS_OPTIONS = (*_SERIAL_OPTIONS, "units", "timeout")


def add_probe(commands: Any, default_config: Path) -> None:
    """The command's arguments."""
    text = "say which units or chips answer on a bus, and which profile fits; writes nothing"
    command: argparse.ArgumentParser = commands.add_parser("probe", help=text, description=text.capitalize() + ".")
    command.add_argument(
        "target",
        metavar="TARGET",
        help="HOST[:PORT] for Modbus TCP, /dev/... for Modbus RTU, i2c-N for an I2C bus",
    )
    command.add_argument("--baud", type=int, metavar="N", help="speed of a serial line (default: 9600)")
    command.add_argument("--parity", choices=["none", "even", "odd"], help="of a serial line (default: none)")
    command.add_argument("--stop-bits", type=int, choices=[1, 2], help="of a serial line (default: 1)")
    command.add_argument("--units", type=_units, metavar="A-B", help=f"addresses to ask (default: 1-{UNIT_MAX})")
    command.add_argument("--timeout", type=_timeout, metavar="TIME", help='how long to wait for a unit, like "300ms"')
    command.add_argument("--backend", default=backends.HARDWARE, help="a simulated I2C bus; TARGET is its address")
    command.add_argument("--json", action="store_true", help="what was found as one JSON object")
    command.add_argument(
        "--config", type=Path, default=default_config, metavar="FILE", help="where locks lie (default: %(default)s)"
    )
    command.set_defaults(do=lambda options: _probe(command, options))


def _units(text: str) -> range:
    match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", text, re.ASCII)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= UNIT_MAX:
        raise argparse.ArgumentTypeError(f'expected addresses like "1-32", 1 to {UNIT_MAX}, got "{text}"')
    return range(first, last + 1)


def _timeout(text: str) -> int:
    ms = duration_ms(text)
    if ms is None or not 10 <= ms <= 10_000:
        raise argparse.ArgumentTypeError(f'expected a duration like "300ms", "10ms" to "10s", got "{text}"')
    return ms


def _probe(command: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    target = _target(command, options)
    with _Held(options.config, target.where):
        try:
            if isinstance(target, I2cConfig):
                return asyncio.run(_chips(target, options))
            return asyncio.run(_meters(target, options))
        except (modbus.NoLine, i2c.NoBus) as error:
            _Progress.end()
            print(f"shouwang-edge: {error}", file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            _Progress.end()
            print("shouwang-edge: stopped; nothing was written", file=sys.stderr)
            return STOPPED


def _target(command: argparse.ArgumentParser, options: argparse.Namespace) -> ModbusConfig | I2cConfig:
    """What is to be probed; ends the process with a usage error where the arguments do not fit together."""
    text = options.target
    is_simulated = options.backend != backends.HARDWARE
    bus = re.fullmatch(r"(?:/dev/)?i2c-(\d{1,3})", text, re.ASCII)
    if bus or is_simulated:
        _refuse(command, options, _MODBUS_OPTIONS, "Modbus")
        simulated = I2cConfig("i2c", "i2c", options.backend, text)
        return simulated if is_simulated else I2cConfig("i2c", "i2c", bus=int(bus[1]) if bus else 1)
    if "/" in text:
        line = ModbusConfig("probe", "modbus", device=text)
        given = {name: value for name in _SERIAL_OPTIONS if (value := getattr(options, name)) is not None}
        return _checked(command, replace(line, **given))
    _refuse(command, options, _SERIAL_OPTIONS, "a serial line")
    match = re.fullmatch(r"([\w.-]+|\[[\da-fA-F:.]+\])(?::(\d{1,5}))?", text)
    if match is None:
        command.error(f'expected HOST[:PORT], /dev/... or i2c-N, got "{text}"')
    host = match[1].strip("[]")
    return _checked(command, ModbusConfig("probe", "modbus", host=host, port=int(match[2] or 502)))


def _refuse(command: argparse.ArgumentParser, options: argparse.Namespace, names: tuple[str, ...], of: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            command.error(f"--{name.replace('_', '-')} is for {of}, and {options.target} is not")


def _checked(command: argparse.ArgumentParser, line: ModbusConfig) -> ModbusConfig:
    for key, expected, got in line.mistakes():
        if key != "unit":
            command.error(f"{key}: expected {expected}, got {got}")
    return line


class _Held:
    """The port for this process alone, under the locks of the agent that might have it. Raises `locks.InUse`."""

    def __init__(self, file: Path, where: str) -> None:
        self._where = where
        self._folder = locks.machine_folder()
        try:
            given = config.load(file).gateway.locks
        except (ConfigError, OSError):  # no agent runs with it; the machine's own folder is where locks lie
            given = None
        if given:
            self._folder = Path(given)

    def __enter__(self) -> None:
        try:
            self._lock = locks.hold(self._folder, self._where)
        except locks.InUse as error:
            raise locks.InUse(f"{error}; stop the gateway for as long as you probe") from None

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class _Progress:
    """One line on the terminal that is written over; nothing where there is no terminal."""

    @staticmethod
    def tell(what: str) -> Callable[[int, int, int], None]:
        """A function to be told of each step."""

        def told(at: int, last: int, found: int) -> None:
            if sys.stderr.isatty():
                print(f"\r\x1b[Kasking {what} {at} of {last}, {found} found", end="", file=sys.stderr, flush=True)

        return told

    @staticmethod
    def end() -> None:
        """Make room for what was found."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


async def _meters(line: ModbusConfig, options: argparse.Namespace) -> int:
    units = options.units or range(1, UNIT_MAX + 1)
    asking = modbus.Line(line, options.timeout)
    try:
        found = await modbus.scan(asking, units, shown.meters(), _Progress.tell("unit"))
    finally:
        asking.close()
    _Progress.end()
    stanza = shown.modbus_stanza(line, found) if found else ""
    if options.json:
        table = {"target": line.where, "kind": "modbus", "units": shown.unit_table(found)}
        _print_json({**table, "asked": [units[0], units[-1]], "stanza": stanza})
        return WELL
    _print(line.where, f"{len(found)} of {len(units)} units answer", shown.unit_lines(found), stanza)
    return WELL


async def _chips(bus: I2cConfig, options: argparse.Namespace) -> int:
    open_bus = bus_maker(bus, is_simulated=bus.backend != backends.HARDWARE)
    found = await i2c.scan(open_bus, bus.where, _Progress.tell("address"))
    _Progress.end()
    stanza = shown.i2c_stanza(bus, found) if found else ""
    if options.json:
        _print_json({"target": bus.where, "kind": "i2c", "chips": shown.chip_table(found), "stanza": stanza})
        return WELL
    summary = "1 chip answers" if len(found) == 1 else f"{len(found)} chips answer"
    _print(bus.where, summary, shown.chip_lines(found), stanza)
    return WELL


def _print(where: str, summary: str, lines: Any, stanza: str) -> None:
    print(f"{where}: {summary}; {shown.NOTHING_WRITTEN}")
    for line in lines:
        print(line)
    if stanza:
        print(f"\n# for gateway.toml; compare each profile with the device's manual\n{stanza}")


def _print_json(table: dict[str, Any]) -> None:
    print(json.dumps(table, ensure_ascii=False))
