"""`shouwang-collector`: serve the board, keep its accounts and homes, check and rebuild what is stored."""

import argparse
import json
import logging
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from collector import audit, view
from collector.board import Board, fold_all
from collector.clock import SYSTEM
from collector.identity.authority import AuthorityError
from collector.identity.commands import add_authority, add_bundle_options, add_enrolment, enrol_if_possible
from collector.offline import Refused, ensure_store, need_store, read, write
from collector.serve import CannotServe, locked, serve
from collector.settings import SILENT_AFTER_MAX_MS, Broker, Settings, address, duration_ms, is_loopback
from collector.store import StoreError, people
from collector.store.backup import back_up
from collector.store.schema import FILE
from collector.usercommands import add_user

EXIT_WRONG = 2
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 a check failed, 2 wrong use or cannot start."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (Refused, CannotServe, AuthorityError, people.Taken) as error:
        print(f"shouwang-collector: {error}", file=sys.stderr)
        return EXIT_WRONG
    except StoreError as error:
        print(f"shouwang-collector: the store in {options.data} cannot be used: {error}", file=sys.stderr)
        return EXIT_WRONG
    return status


# --- commands -------------------------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> int:
    if options.open_read and not is_loopback(options.host):
        raise Refused(f"--open-read shows the board without a login, on loopback only; got --host {options.host}")
    host, port = options.mqtt
    settings = Settings(
        data=options.data,
        host=options.host,
        port=options.port,
        broker=Broker(
            host,
            port,
            options.mqtt_user,
            options.mqtt_password_file,
            options.mqtt_ca,
            options.mqtt_cert,
            options.mqtt_key,
        ),
        embedded_broker=options.embedded_broker,
        open_read=options.open_read,
        tls=tuple(options.tls) if options.tls else None,
        silent_after_ms=options.silent_after,
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    serve(settings, lambda line: print(line, flush=True))
    return 0


def _home(options: argparse.Namespace) -> int:
    if options.act == "list":
        ensure_store(options.data)
        for code, name in read(options.data, lambda reader: reader.homes()):
            print(f"{code}\t{name}")
        return 0
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", options.code):
        raise Refused(f"expected a code of letters, digits, - _ . only, got {options.code!r}")
    if not options.name.strip():
        raise Refused("expected the home's name, got none")
    write(options.data, lambda intake: people.name_home(intake, options.code, options.name.strip(), options.street))
    return enrol_if_possible(options)


def _verify(options: argparse.Namespace) -> int:
    need_store(options.data)
    results = read(options.data, lambda reader: list(audit.audit_all(reader)))
    for result in results:
        where = f"{result.home}/{result.gateway}" if result.gateway else "the collector's own log"
        verdict = "ok" if not result.faults else f"{len(result.faults)} faults"
        print(f"{where} journal {result.journal}: {result.events} events, {result.gaps} in known gaps: {verdict}")
        for fault in result.faults:
            print(f"  {fault}")
    return 1 if any(result.faults for result in results) else 0


def _rebuild(options: argparse.Namespace) -> int:
    need_store(options.data)
    with locked(options.data):
        moved = write(options.data, lambda intake: intake.recount())
        board = read(options.data, lambda reader: fold_all(Board(), reader.records()))
    print(f"positions corrected: {moved}", file=sys.stderr)
    now = view.Moment(SYSTEM.wall_ms(), SYSTEM.mono_ms(), None, options.silent_after)
    print(json.dumps(view.board_view(board, now), ensure_ascii=False))
    return 0


def _backup(options: argparse.Namespace) -> int:
    need_store(options.data)
    try:
        size = back_up(options.data, options.to)
    except OSError as error:
        raise Refused(str(error)) from error
    print(f"{options.to}: {size} bytes; to restore, end the collector and put it in the place of {options.data / FILE}")
    return 0


# --- the command line -----------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang-collector", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="serve the board, the API and the acknowledgements"))
    add_user(commands.add_parser("user", help="personal accounts for the board"))
    _add_home(commands.add_parser("home", help="the register of homes, and their gateways' enrolment"))
    add_authority(commands.add_parser("authority", help="the district's certificate authority"))
    verify = commands.add_parser("verify", help="check every hash, chain and number in the store; 1 if any is wrong")
    rebuild = commands.add_parser("rebuild", help="count positions anew and print the board as folded from the store")
    _add_silent_after(rebuild)
    backup = commands.add_parser("backup", help="copy the store to a file, also while the collector runs")
    backup.add_argument("to", type=Path, metavar="FILE", help="a file that is not there yet")
    for command, run in ((verify, _verify), (rebuild, _rebuild), (backup, _backup)):
        _add_data(command)
        command.set_defaults(run=run)
    return parser


def _add_serve(command: argparse.ArgumentParser) -> None:
    _add_data(command)
    _add_silent_after(command)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument("--port", type=_port, default=8000, help="port; 0 takes a free one (default: %(default)s)")
    command.add_argument(
        "--tls", nargs=2, type=Path, metavar=("CERT", "KEY"), help="speak https, where no proxy stands before it"
    )
    command.add_argument(
        "--mqtt", type=_typed(address), default=("127.0.0.1", 1883), metavar="HOST:PORT",
        help="the broker (default: 127.0.0.1:1883)",
    )  # fmt: skip
    command.add_argument("--mqtt-user", default="", metavar="NAME", help="user name at the broker")
    command.add_argument("--mqtt-password-file", type=Path, metavar="FILE", help="the broker's password, first line")
    command.add_argument("--mqtt-ca", type=Path, metavar="FILE", help="speak TLS; trust this certificate authority")
    command.add_argument("--mqtt-cert", type=Path, metavar="FILE", help="the collector's own certificate")
    command.add_argument("--mqtt-key", type=Path, metavar="FILE", help="and its key, readable by its owner only")
    command.add_argument(
        "--embedded-broker", action="store_true", help="be the broker too, at --mqtt, where mosquitto is not installed"
    )
    command.add_argument(
        "--open-read", action="store_true", help="show the board without a login; for a demo, on loopback only"
    )
    command.set_defaults(run=_serve)


def _add_home(command: argparse.ArgumentParser) -> None:
    acts = command.add_subparsers(dest="act", required=True, metavar="ACT")
    add = acts.add_parser("add", help="register a home, or give it another name, and make its enrolment bundle")
    add.add_argument("code", metavar="CODE", help="as in its gateways' topics; never changes")
    add.add_argument("name", metavar="NAME", help="as people call it")
    add.add_argument("--street", metavar="NAME", help="the street office whose accounts see the home")
    add_bundle_options(add)
    for part in (add, acts.add_parser("list", help="print code and name of every registered home")):
        part.set_defaults(run=_home)
    for part in (*acts.choices.values(), *add_enrolment(acts)):
        _add_data(part)


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the store")


def _add_silent_after(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--silent-after", type=_typed(_silent_after), default=Settings(Path()).silent_after_ms, metavar="TIME",
        help='a home not heard for this long is shown as silent, at most "100s" (default: "65s")',
    )  # fmt: skip


def _silent_after(text: str) -> int:
    found_ms = duration_ms(text)
    if not 0 < found_ms <= SILENT_AFTER_MAX_MS:
        raise ValueError(f'expected at most "100s", got {text!r}')
    return found_ms


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)


def _typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed
