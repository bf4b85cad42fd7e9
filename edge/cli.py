"""`shouwang-edge`: run a home's gateway, check its configuration, ask it and operate it.

Exit status: 0 well; 1 something runs that should not, or the other way round; 2 wrong arguments or configuration.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge import config, locks, operating, release, station
from edge.console import command as console_command
from edge.enrol import add_enrol
from edge.field import commission, records, simulate
from edge.journal import JournalError
from edge.nodes import command as nodes_command
from edge.own_points import is_reserved
from edge.probe.command import add_probe
from edge.rule_text import rule_text
from edge.schema import ConfigError
from edge.sms import command as sms_command
from edge.sources.backends import NotAllowed
from edge.uplink.enrolment import BundleError

DEFAULT_CONFIG = Path("/etc/shouwang/gateway.toml")
WELL, FAILED, WRONG = 0, 1, 2

_CONSOLE = "Serve the home's own page from a process of its own, or pair the tablets that may show it."
_PIN = "Ask for a new PIN, or read it from standard input, and print the hash to write into a [[person]]."


def main(argv: Sequence[str] | None = None) -> int:
    """The command's entry point."""
    options = _parser().parse_args(argv)
    try:
        return int(options.do(options))
    except ConfigError as error:
        for line in error.lines:
            print(line, file=sys.stderr)
        print(f"{_count(error.lines, 'mistake')}; nothing was started", file=sys.stderr)
        return WRONG
    except BundleError as error:
        print(f"shouwang-edge: {error}; nothing was changed", file=sys.stderr)
        return WRONG
    except (station.StationError, locks.InUse, NotAllowed, JournalError) as error:
        print(f"shouwang-edge: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        return FAILED
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        print(f"shouwang-edge: {about}{error.strerror or error}", file=sys.stderr)
        return WRONG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shouwang-edge", description="The gateway of one home: decides alarms on the spot, and is operated here."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "run", "watch over the home until told to stop", _run)
    run.add_argument("--log", default="info", choices=["debug", "info", "warning", "error"], help="how much to log")
    _command(commands, "release", "let the fault relay drop after a gateway that died", release.run)
    _command(commands, "check", "say everything that is wrong with the configuration, and start nothing", _check)
    status = _command(commands, "status", "what the running gateway sees and what stands", _status)
    status.add_argument("--json", action="store_true", help="the whole answer as one JSON object")
    add_enrol(commands)
    operating.add_commands(lambda name, text: _command(commands, name, text, _operate))
    add_probe(commands, DEFAULT_CONFIG)
    sms = commands.add_parser("sms", help=sms_command.TEXT, description=sms_command.TEXT.capitalize() + ".")
    sms_command.add_options(lambda of, name, text: _command(of, name, text, _sms), sms)
    console = commands.add_parser("console", help="serve the home's own page", description=_CONSOLE)
    console_command.add_options(console)
    console.set_defaults(do=_console)
    pin = commands.add_parser("pin", help="print the hash of a PIN for a [[person]]", description=_PIN)
    pin.set_defaults(do=console_command.print_pin)
    records.add(commands, _command)
    simulate.add(commands, _command)
    commission.add(commands, _command)
    nodes_command.add_commands(commands, _command)
    return parser


def _command(commands: Any, name: str, text: str, do: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help=f"gateway.toml (default: {DEFAULT_CONFIG})"
    )
    parser.set_defaults(do=do)
    return parser


def _run(options: argparse.Namespace) -> int:
    setup = config.load(options.config)
    logging.basicConfig(
        level=options.log.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    from edge.agent import Agent  # only here: the other commands answer in a blink without it

    asyncio.run(Agent(setup, config_file=options.config).run())
    return WELL


def _console(options: argparse.Namespace) -> int:
    if options.do_console is not console_command.serve:
        return console_command.run(options)
    arguments = ["--config", str(options.config), "--log", options.log]
    arguments += ["--port", str(options.port)] if options.port is not None else []
    # Begun anew: on a Raspberry Pi what the other commands have loaded is 10 MiB that the console would keep for years.
    os.execv(sys.executable, [sys.executable, "-m", "edge.console", *arguments])


def _check(options: argparse.Namespace) -> int:
    setup = config.load(options.config)
    unsupervised = [point.code for point in setup.points if not point.supervised]
    print(f"{options.config}: well")
    print(f"  home {setup.home.code} {setup.home.name}, gateway {setup.gateway.code}, rules {setup.gateway.rules}")
    wired = [point for point in setup.points if not is_reserved(point.code)]
    counts = (_count(wired, "point"), _count(setup.zones, "zone"), _count(setup.outputs, "output"))
    print("  {} in {}, {}".format(*counts))
    print(f"  sources: {', '.join(f'{item.config.name} ({item.kind})' for item in setup.sources)}")
    for item in setup.loosened:
        print(f"  loosened: {item.point} {item.text}")
    if unsupervised:
        print(f"  unsupervised, a broken wire is not seen: {', '.join(unsupervised)}")
    if setup.gateway.simulated:
        print("  SIMULATED: no hardware is used")
    return WELL


def _count(items: Sequence[Any], name: str) -> str:
    return f"{len(items)} {name}{'' if len(items) == 1 else 's'}"


def _folder(options: argparse.Namespace) -> Path:
    return Path(config.load(options.config).gateway.data)


def _operate(options: argparse.Namespace) -> int:
    return operating.operate(_folder(options), options)


def _sms(options: argparse.Namespace) -> int:
    return sms_command.send_test(_folder(options), options.to)


def _status(options: argparse.Namespace) -> int:
    status = station.ask(_folder(options), {"do": "status"})
    if options.json:
        print(json.dumps(status, ensure_ascii=False))
        return WELL
    for line in _status_lines(status):
        print(line)
    return WELL


def _status_lines(status: dict[str, Any]) -> list[str]:
    simulated = "  SIMULATED" if status["simulated"] else ""
    lines = [f"{status['home']}/{status['gateway']}{simulated}"]
    places = {point["code"]: f"{point['place']} ({point['code']})" for point in status["points"]}
    for item in status["active"]:
        where = places.get(item["point"], item["point"])
        marks = [f"no. {item['order']}"] if item["order"] else []
        marks += [item["word"]] if item.get("word") else []
        marks += [mark for mark in ("confirmed", "acknowledged", "silenced") if item.get(mark)]
        lines.append(f"  {item['class'].upper():14} {where}  {', '.join(marks)}".rstrip())
    if not status["active"]:
        lines.append("  nothing stands")
    lines += operating.service_lines(status, places)
    lines += sms_command.status_lines(status)
    for point in status["points"]:
        lines.append(_point_line(point))
        lines += [f"{'':18}{more}" for more in [rule_text(point)] if more]
    return lines


def _point_line(point: dict[str, Any]) -> str:
    seen = "never heard" if point["age_ms"] is None else f"{point['age_ms'] / 1000:.1f} s ago"
    return f"  {point['code']:16} {point['level']:8} {_shown(point):20} {seen:14} {point['place']}"


def _shown(point: dict[str, Any]) -> str:
    if point["unknown"]:
        return f"unknown: {point['unknown']}"
    digits = max(0, -point["scale"])
    return f"{point['value'] * 10.0 ** point['scale']:.{digits}f} {point['unit']}".rstrip()
