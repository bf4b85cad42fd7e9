"""`shouwang-edge node`: enrol, list, order, update and remove the home's wireless nodes, and set up their broker."""

import argparse
import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device import node_wire, wire
from edge import config, station
from edge.nodes import broker, enrolment
from edge.nodes.enrolment import EnrolmentError, Wifi
from edge.nodes.folder import Folder
from edge.nodes.service import UPDATE
from edge.schema import ConfigError, duration_ms
from edge.uplink.config import read_secret

FOLDER = Path("/etc/shouwang/nodes")
WELL, FAILED, WRONG = 0, 1, 2
SLEEP = "6h"

AddCommand = Callable[[Any, str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def add_commands(commands: Any, add: AddCommand) -> None:
    """Add `node` with its own commands; `add` makes one that has --config."""
    node = commands.add_parser("node", help="the home's wireless nodes", description=__doc__)
    parts = node.add_subparsers(required=True, metavar="COMMAND")
    _add_broker(parts)
    _add_add(parts)
    remove = _folder(_plain(parts, "remove", "take a node's credentials and key away", _safely(_remove)))
    remove.add_argument("node", metavar="CODE")
    _folder(add(parts, "list", "the nodes that are enrolled, and how the running gateway hears them", _safely(_list)))
    text = "bring nodes to the firmware that this gateway carries, one at a time"
    update = add(parts, "update", text, _safely(_update))
    who = update.add_mutually_exclusive_group(required=True)
    who.add_argument("node", metavar="CODE", nargs="?", default="", help="the node")
    who.add_argument("--all", action="store_true", help="all nodes; none after one that fails")
    _who(update)
    order = add(parts, "order", "have a node show itself, test itself, or start again", _safely(_order))
    order.add_argument("node", metavar="CODE")
    order.add_argument("order", metavar="ORDER", choices=node_wire.ORDERS, help=", ".join(node_wire.ORDERS))
    _who(order)


def _plain(parts: Any, name: str, text: str, do: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parts.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.set_defaults(do=do)
    return parser


def _folder(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "--folder", type=_absolute, default=FOLDER, metavar="DIR", help=f"the nodes' secrets ({FOLDER})"
    )
    return parser


def _absolute(path: str) -> Path:
    return Path(path).absolute()  # it goes into commands and files that are read elsewhere


def _who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--who", required=True, metavar="NAME", help="the person, kept beside the user's name")


def _add_broker(parts: Any) -> None:
    text = "write configuration, users and rights of the nodes' own broker; passwords that are there stay"
    parser = _folder(_plain(parts, "broker", text, _safely(_broker)))
    default = broker.Listener()
    parser.add_argument("--port", type=int, default=default.port, metavar="N", help=f"({default.port})")
    parser.add_argument("--address", default=default.address, metavar="IP", help=f"({default.address}: all)")
    parser.add_argument("--certificate", default="", metavar="PEM", help="the broker's, for TLS; with --key")
    parser.add_argument("--key", default="", metavar="PEM", help="of the certificate")
    parser.add_argument("--store", default=default.store, metavar="DIR", help=f"sessions ({default.store})")
    parser.add_argument("--user", default="gateway", metavar="NAME", help="the gateway's own name there (gateway)")


def _add_add(parts: Any) -> None:
    text = "make a node's credentials, write what it is flashed with, and say how"
    parser = _folder(_plain(parts, "add", text, _safely(_add)))
    parser.add_argument("node", metavar="CODE", help="short, never changes; also its user name at the broker")
    parser.add_argument("--kind", choices=["mains", "sleeping"], default="mains", help="what it lives on (mains)")
    parser.add_argument("--sleep", default=SLEEP, metavar="TIME", help=f"of a sleeping node, at most 12h ({SLEEP})")
    parser.add_argument("--wifi", required=True, metavar="NAME", help="the home's Wi-Fi")
    wifi = "a file with its password, which others may not read; without it, it is asked for"
    parser.add_argument("--wifi-password-file", metavar="FILE", help=wifi)
    parser.add_argument("--gateway", required=True, metavar="HOST", help="this gateway's address in that Wi-Fi")
    parser.add_argument("--port", type=int, default=broker.Listener().port, metavar="N", help="of the nodes' broker")
    parser.add_argument("--authority", type=Path, metavar="PEM", help="who signed the broker's certificate, for TLS")


def _safely(do: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """What a person has to put right is said in a line."""

    def run(options: argparse.Namespace) -> int:
        try:
            return do(options)
        except (EnrolmentError, wire.WireError) as error:
            print(f"shouwang-edge: {error}", file=sys.stderr)
            return WRONG

    return run


def _broker(options: argparse.Namespace) -> int:
    if bool(options.certificate) != bool(options.key):
        raise EnrolmentError("expected --certificate and --key together, got one of them")
    if not 1 <= options.port <= 65_535:
        raise EnrolmentError(f"--port: expected 1 to 65535, got {options.port}")
    node_wire.topic(options.user, node_wire.BEAT)
    listener = broker.Listener(options.port, options.address, options.certificate, options.key, options.store)
    broker.write(options.folder, options.user, listener)
    print(f"written to {options.folder}: {broker.CONFIGURATION}, {broker.USERS}, {broker.RIGHTS}")
    if not options.certificate:
        print("without TLS: passwords and reports can be read by whoever is in that Wi-Fi; give it to nodes alone")
    print("start it as deploy/systemd/mosquitto-nodes.conf says")
    return WELL


def _add(options: argparse.Namespace) -> int:
    sleep_ms = 0
    if options.kind == "sleeping":
        sleep_ms = duration_ms(options.sleep) or 0
        if not 60_000 <= sleep_ms <= enrolment.SLEEP_MOST_MS:
            raise EnrolmentError(f'--sleep: expected "1min" to "12h", got "{options.sleep}"')
    authority = options.authority.read_text("ascii") if options.authority is not None else ""
    wifi = Wifi(options.wifi, _wifi_password(options), options.gateway, options.port, authority)
    own = enrolment.add(Folder(options.folder), options.node, options.kind, wifi, sleep_ms)
    print(f"{options.node} is enrolled; {own / 'board.py'} holds its secrets: it goes to the board and nowhere else\n")
    print("1. Check pins and inputs in the second part of that file against the wiring.")
    print("2. With MicroPython on the board and the board on USB:\n")
    for line in enrolment.flashing(own):
        print(f"   {line}")
    print("\n3. Have the broker take it in: systemctl reload mosquitto")
    print('4. Into gateway.toml, behind its [[source]] of kind "node":\n')
    for line in enrolment.stanza(options.node, options.kind).splitlines():
        print(f"   {line}")
    print(
        "\n5. Start the agent again. `shouwang-edge node list` shows the board's id: write it into hardware, and again."
    )
    return WELL


def _wifi_password(options: argparse.Namespace) -> str:
    if options.wifi_password_file is not None:
        return read_secret(options.wifi_password_file)
    if sys.stdin.isatty():
        return getpass.getpass(f"password of the Wi-Fi {options.wifi}: ")
    return sys.stdin.readline().rstrip("\n")


def _remove(options: argparse.Namespace) -> int:
    enrolment.remove(Folder(options.folder), options.node)
    print(f"{options.node} is removed; take it out of gateway.toml too, and: systemctl reload mosquitto")
    return WELL


def _list(options: argparse.Namespace) -> int:
    enrolled = Folder(options.folder).nodes()
    heard = _heard(options)
    if not enrolled and not heard:
        print(f"no node is enrolled in {options.folder}, and the gateway is configured for none")
    for code in sorted({*enrolled, *heard}):
        print(line_of(code, code in enrolled, heard.get(code)))
    return WELL


def _heard(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    try:
        status = station.ask(_data(options), {"do": "status"})
    except (station.StationError, OSError, ConfigError) as error:
        print(f"the running gateway cannot be asked: {str(error).splitlines()[0]}", file=sys.stderr)
        return {}
    return {node["code"]: node for node in status["nodes"]}


def line_of(code: str, is_enrolled: bool, node: dict[str, Any] | None) -> str:
    """One node on one line."""
    if node is None:
        return f"  {code:12} enrolled, not in gateway.toml"
    parts = [f"{node['kind']:8}", _heard_ago(node["heard_ago_ms"])]
    if node["hardware"] is not None:
        pinned = "REPLACED, pinned " + node["pinned"] if node["replaced"] else "" if node["pinned"] else "NOT PINNED"
        parts += [f"board {node['hardware']} {pinned}".strip(), f"firmware {node['version']} ({node['release']})"]
        parts += [f"{name} {node[key]} mV" for name, key in (("battery", "battery_mv"), ("supply", "supply_mv"))
                  if node[key] is not None]  # fmt: skip
        parts += [f"{node['rssi_dbm']} dBm"] if node["rssi_dbm"] is not None else []
        parts += node["faults"]
    parts += ["" if is_enrolled else "no key here", node["update"]]
    return f"  {code:12} " + ", ".join(part for part in parts if part)


def _heard_ago(ms: int | None) -> str:
    return "never heard" if ms is None else f"heard {ms / 1000:.0f} s ago"


def _update(options: argparse.Namespace) -> int:
    station.ask(_data(options), {"do": UPDATE, "subject": options.node, "who": options.who})
    print("asked for; `shouwang-edge node list` shows how it goes. No node is updated while a fire stands.")
    return WELL


def _order(options: argparse.Namespace) -> int:
    station.ask(_data(options), {"do": f"node_{options.order}", "subject": options.node, "who": options.who})
    print(f"{options.node}: {options.order} is on its way")
    return WELL


def _data(options: argparse.Namespace) -> Path:
    return Path(config.load(options.config).gateway.data)
