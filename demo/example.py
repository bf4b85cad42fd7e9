"""The shipped example configuration, edited as an installer would edit it: only what differs in the demonstration.

The edit is one of the text, key by key, so that everything else of the example is what runs, comments included.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[1] / "deploy" / "example" / "gateway.toml"
BACKEND = "shouwang-sim"
_HEADER = re.compile(r"\[\[?([A-Za-z0-9_.-]+)\]\]?\s*(#.*)?")
_KEY = re.compile(r"([A-Za-z0-9_-]+)\s*=")

Changes = Mapping[str, str | int | bool]


class ExampleError(Exception):
    """The example does not have what the demonstration has to change; the text says what."""


class Table:
    """One table of a TOML file as its lines; the first is its header, but for what stands before any."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines

    def value(self, key: str) -> Any:
        """The value of a key written on one line; None where it is not there."""
        index = self._find(key)
        return None if index is None else tomllib.loads(self.lines[index])[key]

    def change(self, changes: Changes) -> None:
        """Give keys other values, or add them behind the header."""
        for key, value in changes.items():
            line = f"{key} = {_written(value)}"
            index = self._find(key)
            if index is None:
                self.lines.insert(1, line)
            else:
                self.lines[index] = line

    def drop(self, *keys: str) -> None:
        """Take keys out, where they are."""
        for key in keys:
            index = self._find(key)
            if index is not None:
                del self.lines[index]

    def _find(self, key: str) -> int | None:
        for index, line in enumerate(self.lines):
            match = _KEY.match(line)
            if match is not None and match[1] == key:
                return index
        return None


def split(text: str) -> list[Table]:
    """The tables of a TOML file, in their order."""
    tables = [Table("", [])]
    for line in text.splitlines():
        header = _HEADER.fullmatch(line.strip())
        if header is not None:
            tables.append(Table(header[1], []))
        tables[-1].lines.append(line)
    return tables


def edit(text: str, data: str, broker_port: int, ready: Mapping[str, Any]) -> str:
    """The example with data folder, broker and simulated back-ends; `ready` is the simulator's ready.json.

    Raises ExampleError.
    """
    tables = split(text)
    _only(tables, "gateway").change({"data": data, "locks": data, "rules": "demo", "simulated": True})
    _only(tables, "uplink").change({"host": "127.0.0.1", "port": broker_port})
    if "modem" in ready:
        _only(tables, "sms").change({"device": str(ready["modem"]), "aggregate": "5s"})
    sources = [table for table in tables if table.name == "source"]
    for source in sources:
        _simulate(source, ready)
    if {source.value("kind") for source in sources} != {"gpio", "i2c", "modbus"}:
        raise ExampleError("the example has not one source of each kind: gpio, i2c, modbus")
    return "\n".join(line for table in tables for line in table.lines) + "\n"


def _only(tables: list[Table], name: str) -> Table:
    found = [table for table in tables if table.name == name]
    if len(found) != 1:
        raise ExampleError(f"expected one [{name}] in the example, got {len(found)}")
    return found[0]


def _simulate(source: Table, ready: Mapping[str, Any]) -> None:
    kind, name = source.value("kind"), str(source.value("name"))
    if kind in ("gpio", "i2c"):
        source.change({"backend": BACKEND, "address": str(ready[kind])})
    elif kind == "modbus":
        if name not in ready:
            raise ExampleError(f"the simulated building has no bus {name!r}")
        if "port" in ready[name]:
            source.change({"host": "127.0.0.1", "port": int(ready[name]["port"])})
        else:
            source.change({"device": str(ready[name]["path"])})


def _written(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    # JSON's escapes are TOML's.
    return json.dumps(value, ensure_ascii=False)
