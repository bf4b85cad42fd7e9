"""Enrolling a node: its credentials, its board.py, and what an installer types to flash it.

A node's board.py is the template of `device/` with the values of its first part put in; the second part, what hangs on
which pin, is checked by the installer against the wiring.
"""

import ast
import json
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from edge.nodes import broker
from edge.nodes.folder import (
    BOARD,
    KEY,
    KIND,
    PRIVATE,
    READABLE,
    RELEASE,
    Folder,
    make_folder,
    new_key,
    new_password,
    write_private,
)
from edge.nodes.release import carried

TEMPLATE = resources.files("device") / "board.py"
SLEEP_MOST_MS = 43_200_000
"""So that one lost word is not yet the day of silence that is a fault."""


class EnrolmentError(Exception):
    """A node that cannot be added or removed; the text says why."""


class Wifi(NamedTuple):
    """What a node needs to find the gateway. `certificate`: PEM text of the broker's authority, "" without TLS."""

    name: str
    password: str
    host: str
    port: int
    certificate: str = ""


def add(folder: Folder, node: str, kind: str, wifi: Wifi, sleep_ms: int) -> Path:
    """Write all that a node is flashed with, and make it a user of the broker. The node's own folder.

    Raises EnrolmentError, WireError for a code that is none, OSError.
    """
    own = folder.of(node)
    if (own / KEY).exists():
        raise EnrolmentError(f"{node} is enrolled in {own}: remove it first, and flash it with what is written then")
    if not (folder.path / broker.RIGHTS).exists():
        raise EnrolmentError(f"{folder.path} has no broker yet: shouwang-edge node broker")
    password, key, release = new_password(), new_key(), carried()
    values: dict[str, str | int] = {
        "NODE": node,
        "WIFI_NAME": wifi.name,
        "WIFI_PASSWORD": wifi.password,
        "GATEWAY_HOST": wifi.host,
        "GATEWAY_PORT": wifi.port,
        "GATEWAY_CERTIFICATE": wifi.certificate,
        "PASSWORD": password,
        "UPDATE_KEY": key,
        "SLEEP_MS": sleep_ms,
    }
    make_folder(folder.path)
    make_folder(own)
    write_private(own / BOARD, board(TEMPLATE.read_text("utf-8"), values), PRIVATE)
    write_private(own / RELEASE, f"1 {release.version}", PRIVATE)
    write_private(own / KIND, kind + "\n", READABLE)
    broker.set_user(folder.path, node, password)
    write_private(own / KEY, key + "\n", READABLE)  # last: now it is enrolled
    return own


def remove(folder: Folder, node: str) -> None:
    """Take a node's credentials and key away. Raises EnrolmentError where it is not enrolled."""
    own = folder.of(node)
    if not own.is_dir():
        raise EnrolmentError(f"{node} is not enrolled in {folder.path}: {', '.join(folder.nodes()) or 'nobody is'}")
    broker.set_user(folder.path, node, None)
    shutil.rmtree(own)


def board(template: str, values: Mapping[str, str | int]) -> str:
    """The template with these values in the place of its own. Raises EnrolmentError where it has no such name."""
    lines = template.splitlines()
    places = {
        item.targets[0].id: item
        for item in ast.parse(template).body
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name)
    }
    for name in values:
        if name not in places:
            raise EnrolmentError(f"the firmware's board.py has no {name}: is it of this version?")
    for name, value in sorted(values.items(), key=lambda each: -places[each[0]].lineno):
        first, last = places[name].lineno - 1, places[name].end_lineno
        lines[first:last] = [f"{name} = {_literal(value)}"]
    return "\n".join(lines) + "\n"


def _literal(value: str | int) -> str:
    return json.dumps(value, ensure_ascii=False)


def flashing(own: Path) -> list[str]:
    """The commands that flash a board on USB that runs MicroPython, in the order in which they are typed."""
    files = " ".join(carried().files)
    return [
        f"cd {resources.files('device')}",
        "mpremote mkdir :a",
        "mpremote mkdir :a/device",
        f"mpremote cp {files} :a/device/",
        f"mpremote cp {own / RELEASE} :a/release",
        f"mpremote cp {own / BOARD} :board.py",
        "mpremote cp start.py :main.py",
        "mpremote reset",
    ]


def stanza(node: str, kind: str) -> str:
    """What goes into gateway.toml for it, beside the points on its inputs."""
    asleep = f'kind = "{kind}"\n' if kind != "mains" else ""
    return f'[[source.node]]\ncode = "{node}"\n{asleep}hardware = ""                     # the id that it shows\n'
