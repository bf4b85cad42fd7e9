"""What the console needs of `gateway.toml`: its own tables, and where the agent's socket is.

Read apart from the agent's configuration and without its sources: a mistake in a meter's stanza keeps the agent from
starting, and then the console has to be there to say so.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.console.tables import ConsoleTable, PersonTable, RoomTable, StaffTable, check_names
from edge.schema import ConfigError, Mistakes, Words, read_table
from edge.tables import GatewayTable, HomeTable, ZoneTable


@dataclass(frozen=True, slots=True)
class Site:
    """A home as its console knows it."""

    home: HomeTable
    data: Path
    is_simulated: bool
    zones: Mapping[str, ZoneTable]
    rooms: tuple[RoomTable, ...]
    people: Mapping[str, PersonTable]
    staff: StaffTable | None
    console: ConsoleTable = field(default_factory=ConsoleTable)

    @property
    def folder(self) -> Path:
        """Where the console keeps certificate and tablets."""
        return self.data / "console"


def load(path: Path) -> Site:
    """The site in a file. Raises ConfigError with all that is wrong with the console's part; OSError."""
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError([f"{path.name}: expected text in UTF-8"]) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path.name}: {error}"]) from None
    return parse(table, path.name)


def parse(table: Mapping[str, Any], file: str) -> Site:
    """The site in a table that has been read from `file`. Raises ConfigError."""
    mistakes = Mistakes(file)
    home = _one(HomeTable, table, "home", mistakes)
    gateway = _one(GatewayTable, table, "gateway", mistakes)
    zones = _each(ZoneTable, table, "zone", mistakes)
    rooms = _each(RoomTable, table, "room", mistakes)
    people = _each(PersonTable, table, "person", mistakes)
    staff = _one(StaffTable, table, "staff", mistakes) if "staff" in table else None
    console = _one(ConsoleTable, table, "console", mistakes) if "console" in table else ConsoleTable()
    check_names(rooms, people, [zone.code for zone in zones if zone is not None], mistakes)
    if mistakes.lines or home is None or gateway is None or console is None:
        raise ConfigError(mistakes.lines)
    return Site(
        home=home,
        data=Path(gateway.data),
        is_simulated=gateway.simulated,
        zones={zone.code: zone for zone in zones if zone is not None},
        rooms=tuple(room for room in rooms if room is not None),
        people={person.name: person for person in people if person is not None},
        staff=staff,
        console=console,
    )


def _one(kind: type[Any], table: Mapping[str, Any], name: str, mistakes: Mistakes) -> Any:
    if name not in table:
        mistakes.add(name, f"[{name}]", Words("none"))
        return None
    return read_table(kind, table[name], name, mistakes)


def _each(kind: type[Any], table: Mapping[str, Any], name: str, mistakes: Mistakes) -> list[Any]:
    found = table.get(name, [])
    if not isinstance(found, list):
        mistakes.add(name, "a list of tables", found)
        return []
    return [read_table(kind, item, f"{name}[{i}]", mistakes) for i, item in enumerate(found)]
