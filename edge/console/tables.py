"""The tables of `gateway.toml` that only the console reads: who lives where, who is there to help, who may operate."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge.console.pins import is_hash
from edge.schema import Mistakes

Mistake = tuple[str, str, object]

NAME_MAX = 30
"""Characters of a person's, a room's or a station's name: it stands in the record, and on a button."""
INSTRUCTION_MAX = 60
INSTRUCTIONS_MAX = 8
"""Lines that can be read at a glance from three metres; more belong into the drill."""
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class Right(StrEnum):
    """What a person may do with a PIN."""

    OPERATE = "operate"
    CONFIGURE = "configure"


@dataclass(frozen=True, slots=True)
class PersonTable:
    """`[[person]]`: `pin` is the hash that `shouwang-edge pin` prints."""

    name: str
    pin: str
    may: tuple[Right, ...] = (Right.OPERATE,)

    def mistakes(self) -> Iterable[Mistake]:
        yield from words("name", self.name)
        if not is_hash(self.pin):
            # What stands there may be a PIN in clear, which nobody wants on a terminal.
            yield "pin", "the hash that `shouwang-edge pin` prints", "something else"


@dataclass(frozen=True, slots=True)
class RoomTable:
    """`[[room]]`: how many people sleep there, and how many of them cannot leave their bed. Counts, never names."""

    zone: str
    name: str
    residents: int
    bed_bound: int = 0

    def mistakes(self) -> Iterable[Mistake]:
        yield from words("name", self.name)
        if not 0 <= self.residents <= 200:
            yield "residents", "a number from 0 to 200", self.residents
        elif not 0 <= self.bed_bound <= self.residents:
            yield "bed_bound", f"a number from 0 to the room's {self.residents} residents", self.bed_bound


@dataclass(frozen=True, slots=True)
class StaffTable:
    """`[staff]`: how many people are on duty by day and by night, and when the night begins and ends (local time).

    While the clock is not trusted it is night: counting on fewer people errs to the safe side.
    """

    night: int
    day: int
    night_from: str = "20:00"
    night_until: str = "07:00"

    def mistakes(self) -> Iterable[Mistake]:
        for key, count in (("night", self.night), ("day", self.day)):
            if not 0 <= count <= 500:
                yield key, "a number from 0 to 500", count
        for key, time in (("night_from", self.night_from), ("night_until", self.night_until)):
            if not _TIME.fullmatch(time):
                yield key, 'a time of day like "20:00"', time


@dataclass(frozen=True, slots=True)
class ConsoleTable:
    """`[console]`: `place` signs what is done here without a PIN; `port` is the home's own screen's, on this machine
    only; `tablet_host` and `tablet_port` are open, over TLS, as long as a tablet is paired or being paired."""

    place: str = ""
    port: int = 8480
    tablet_host: str = "0.0.0.0"
    tablet_port: int = 8443

    def mistakes(self) -> Iterable[Mistake]:
        if self.place:
            yield from words("place", self.place)
        for key, port in (("port", self.port), ("tablet_port", self.tablet_port)):
            if not 1 <= port <= 65_535:
                yield key, "a port from 1 to 65535", port
        if self.port == self.tablet_port:
            yield "tablet_port", "a port other than `port`", self.tablet_port


def words(key: str, text: str) -> Iterable[Mistake]:
    """What is wrong with a name."""
    if not 1 <= len(text.strip()) <= NAME_MAX or not text.isprintable():
        yield key, f"words, 1 to {NAME_MAX} characters on one line", text


def instruction_mistakes(instructions: Sequence[str | None]) -> Iterable[Mistake]:
    """What is wrong with a zone's instructions."""
    if len(instructions) > INSTRUCTIONS_MAX:
        yield "instructions", f"at most {INSTRUCTIONS_MAX} lines", len(instructions)
    for i, line in enumerate(instructions):
        if line is not None and (not 1 <= len(line.strip()) <= INSTRUCTION_MAX or not line.isprintable()):
            found = (
                f"{len(line)} characters" if line.isprintable() else "a line break or something else that is no text"
            )
            yield f"instructions[{i}]", f"words, 1 to {INSTRUCTION_MAX} characters on one line", found


def check_names(
    rooms: Sequence[RoomTable | None],
    people: Sequence[PersonTable | None],
    zones: Sequence[str] | None,
    mistakes: Mistakes,
) -> None:
    """What is wrong between the tables; what is wrong in one of them has been said already."""
    for i, room in enumerate(rooms):
        if room is not None and zones is not None and room.zone not in zones:
            mistakes.add(f"room[{i}].zone", "the code of a [[zone]]", room.zone)
    _check_unique("room", [room.name for room in rooms if room is not None], mistakes)
    _check_unique("person", [person.name for person in people if person is not None], mistakes)


def _check_unique(table: str, names: list[str], mistakes: Mistakes) -> None:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            mistakes.note(table, f'name "{name}" is given {names.count(name)} times')
