"""The console's commands: `shouwang-edge console`, with `pair`, `tablets` and `revoke`, and `shouwang-edge pin`."""

import argparse
import asyncio
import getpass
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge.clock import SystemClock
from edge.console import certificate, pins
from edge.console import site as sites
from edge.console.tables import words
from edge.console.tablets import CODE_MS, CODE_TRIES, Tablets, TabletsError
from edge.schema import ConfigError

DEFAULT_CONFIG = Path("/etc/shouwang/gateway.toml")
WELL, FAILED, WRONG = 0, 1, 2
MISSING = 'the console\'s libraries are not installed; install them with: pip install "shouwang[console]"'


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point of `python -m edge.console`."""
    parser = argparse.ArgumentParser(prog="shouwang-edge console")
    add_options(parser)
    return run(parser.parse_args(argv))


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `shouwang-edge console` takes."""
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help=f"gateway.toml (default: {DEFAULT_CONFIG})"
    )
    parser.add_argument(
        "--port", type=_port, metavar="P", help="port of the home's own screen (default: as configured, else 8480)"
    )
    parser.add_argument("--log", default="info", choices=["debug", "info", "warning", "error"], help="how much to log")
    parser.set_defaults(do_console=serve)
    commands = parser.add_subparsers(metavar="COMMAND", help="without one the console is served")
    for name, text, do in (
        ("pair", "invite a tablet: print a one-time code, the address and the certificate's fingerprint", _pair),
        ("revoke", "forget a tablet: it is out within a second", _revoke),
        ("tablets", "list the paired tablets", _list),
    ):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="gateway.toml")
        command.set_defaults(do_console=do)
        if name != "tablets":
            command.add_argument("name", metavar="NAME", help="what the tablet is called, for the record")


def run(options: argparse.Namespace) -> int:
    """Carry out what was asked; the exit status."""
    try:
        do: Callable[[argparse.Namespace], int] = options.do_console
        return do(options)
    except ConfigError as error:
        for line in error.lines:
            print(line, file=sys.stderr)
        print("nothing was started", file=sys.stderr)
        return WRONG
    except TabletsError as error:
        print(f"shouwang-edge: {error}", file=sys.stderr)
        return FAILED
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        print(f"shouwang-edge: {about}{error.strerror or error}", file=sys.stderr)
        return WRONG


def print_pin(options: Any) -> int:
    """`shouwang-edge pin`: ask for a new PIN twice, or read one line, and print the hash for `[[person]]`."""
    if sys.stdin.isatty():
        pin = getpass.getpass("new PIN: ")
        if getpass.getpass("again: ") != pin:
            print("shouwang-edge: the two are not the same", file=sys.stderr)
            return FAILED
    else:
        pin = sys.stdin.readline().rstrip("\r\n")
    try:
        print(pins.hash_pin(pin))
    except pins.PinError as error:
        print(f"shouwang-edge: {error}", file=sys.stderr)
        return FAILED
    return WELL


def serve(options: argparse.Namespace) -> int:
    """Serve the console until told to stop."""
    site = sites.load(options.config)
    if options.port is not None:
        site = replace(site, console=replace(site.console, port=options.port))
    logging.basicConfig(
        level=options.log.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    if find_spec("h11") is None:
        print(f"shouwang-edge: {MISSING}", file=sys.stderr)
        return FAILED
    from edge.console.serve import Console  # only here: the other commands do without

    asyncio.run(Console(site).run())
    return WELL


def _pair(options: argparse.Namespace) -> int:
    site, name = sites.load(options.config), options.name.strip()
    for _, expected, got in words("NAME", name):
        print(f"shouwang-edge: NAME: expected {expected}, got {got!r}", file=sys.stderr)
        return WRONG
    if not site.data.is_dir():
        print(f"shouwang-edge: {site.data}: no such folder; start the agent first: shouwang-edge run", file=sys.stderr)
        return FAILED
    try:
        path = certificate.ensure(site.folder, site.home.code)
    except ImportError:
        print(f"shouwang-edge: {MISSING}", file=sys.stderr)
        return FAILED
    code = Tablets(site.folder, SystemClock()).invite(name)
    port = site.console.tablet_port
    print(f"On the tablet {name} open, while the console runs:")
    for address in certificate.addresses():
        print(f"  https://{f'[{address}]' if ':' in address else address}:{port}/pair")
    print("The browser warns once. Go on only if its certificate has this SHA-256 fingerprint:")
    print(f"  {certificate.fingerprint(path)}")
    print(f"One-time code: {code[:4]} {code[4:]}   ({CODE_MS // 60_000} minutes, {CODE_TRIES} tries)")
    return WELL


def _revoke(options: argparse.Namespace) -> int:
    site = sites.load(options.config)
    if not Tablets(site.folder, SystemClock()).revoke(options.name):
        print(f"shouwang-edge: no tablet {options.name} is paired", file=sys.stderr)
        return FAILED
    print(f"{options.name}: revoked")
    return WELL


def _list(options: argparse.Namespace) -> int:
    site = sites.load(options.config)
    tablets = Tablets(site.folder, SystemClock()).all()
    for tablet in tablets:
        print(f"{tablet.name}  paired {time.strftime('%Y-%m-%d %H:%M', time.localtime(tablet.paired_ms / 1000))}")
    if not tablets:
        print("no tablet is paired")
    return WELL


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)
