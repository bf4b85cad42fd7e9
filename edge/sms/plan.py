"""What the ladder goes by: whom to tell of what, in which order, and how things are called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.core.values import Class


@dataclass(frozen=True, slots=True)
class Contact:
    """A person: `order` 1 is told first. `after_ms`: how long those before have had by then, None for the plan's."""

    name: str
    number: str
    conditions: frozenset[Class]
    order: int = 1
    after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """`places` are words by a subject's code (a point, a unit, a bus), `zones` by a zone's; see `SmsConfig` for the
    rest."""

    contacts: tuple[Contact, ...]
    places: Mapping[str, str]
    zones: Mapping[str, str]
    daily_cap: int = 20
    reply_within_ms: int = 180_000
    aggregate_ms: int = 30_000
    voice: bool = False

    def groups(self, condition: Class) -> list[Sequence[Contact]]:
        """Those who are told of a class, group by group."""
        told = [item for item in self.contacts if condition in item.conditions]
        return [[item for item in told if item.order == order] for order in sorted({item.order for item in told})]

    def wait_ms(self, groups: Sequence[Sequence[Contact]], at: int) -> int:
        """How long those before have until group `at` is told; behind the last one, until it all begins again."""
        given = [item.after_ms for item in groups[at] if item.after_ms is not None] if at < len(groups) else []
        return min(given, default=self.reply_within_ms)

    def contact(self, name: str) -> Contact | None:
        """The contact of a name."""
        return next((item for item in self.contacts if item.name == name), None)

    def of_number(self, number: str) -> Contact | None:
        """The contact whose phone it is; networks show a number with or without the country's code."""
        return next((item for item in self.contacts if number and is_same(item.number, number)), None)


def is_same(listed: str, seen: str) -> bool:
    """Whether a number that the network shows is a listed one in E.164. A national one has to be complete: anything
    shorter could be anybody's."""
    if seen.startswith("+"):
        return listed == seen
    return seen.isdigit() and len(seen) >= 7 and listed in (f"+{seen}", f"+86{seen.removeprefix('0')}")
