"""`[sms]` and `[[contact]]`: the modem, and the people who are told."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from edge.core.values import Class
from edge.schema import Mistakes, Ms, Words

Mistake = tuple[str, str, object]
"""Key, what was expected, what was found."""

Told = Literal["fire", "electrical", "early_warning", "supervisory", "fault"]
BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
NAME_MAX = 20
AGGREGATE_MAX_MS = 300_000
REPLY_MAX_MS = 3_600_000
CONTACTS_MAX = 50
ORDER_MAX = 20
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_MOBILE = re.compile(r"1[3-9]\d{9}")
"""A Chinese mobile number as people write it, without the country's 86."""
_SPACING = re.compile(r"[ \-()]")


def normalised(number: str) -> str | None:
    """A phone number in E.164 ("+8613800138000"), as it is compared and dialled; None where it is none.

    Spaces, hyphens and brackets are dropped, 0086 and 86 before a mobile number become +86.
    """
    plain = _SPACING.sub("", number)
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    elif plain.startswith("86") and _MOBILE.fullmatch(plain[2:]):
        plain = "+" + plain
    elif _MOBILE.fullmatch(plain):
        plain = "+86" + plain
    return plain if plain.isascii() and _E164.fullmatch(plain) else None


def masked(number: str) -> str:
    """A number for logs and records: who has it knows it, who has not learns nothing."""
    return f"{number[:6]}****{number[-4:]}" if len(number) > 10 else "****"


@dataclass(frozen=True, slots=True)
class SmsConfig:
    """`[sms]`: `device` is the modem's port, best by its name under /dev/serial/by-id.

    `reply_within`: without a reply for so long the next contacts are told. `aggregate`: what follows in a zone is told
    at most so often. `daily_cap`: messages in 24 hours, for each class but fire. `smsc`: the service centre, where the
    card does not know it. `voice`: ring the next contacts too.
    """

    device: str
    baud: int = 115200
    smsc: str | None = None
    voice: bool = False
    daily_cap: int = 20
    reply_within: Ms = Ms(180_000)
    aggregate: Ms = Ms(30_000)

    def mistakes(self) -> Iterable[Mistake]:
        if not self.device.startswith("/") or "\0" in self.device:
            yield "device", 'a port, best as "/dev/serial/by-id/..."', self.device
        if self.baud not in BAUDS:
            yield "baud", "one of " + ", ".join(str(baud) for baud in BAUDS), self.baud
        if self.smsc is not None and (normalised(self.smsc) != self.smsc):
            yield "smsc", 'a number like "+8613800100500"', self.smsc
        if not 1 <= self.daily_cap <= 1000:
            yield "daily_cap", "1 to 1000", self.daily_cap
        if not 10_000 <= self.reply_within <= REPLY_MAX_MS:
            yield "reply_within", '"10s" to "1h"', f"{self.reply_within}ms"
        if not 1_000 <= self.aggregate <= AGGREGATE_MAX_MS:
            yield "aggregate", '"1s" to "5min"', f"{self.aggregate}ms"


@dataclass(frozen=True, slots=True)
class ContactTable:
    """`[[contact]]`: `order` 1 is told first, equal orders together; `after` is how long those before have had by then
    (left out: `sms.reply_within`). `classes`: what this person is told of."""

    name: str
    phone: str
    order: int = 1
    classes: tuple[Told, ...] = field(default=("fire", "electrical"))
    after: Ms | None = None

    def mistakes(self) -> Iterable[Mistake]:
        if not 1 <= len(self.name.strip()) <= NAME_MAX or not self.name.isprintable():
            yield "name", f"words, 1 to {NAME_MAX} characters on one line", self.name
        if normalised(self.phone) is None:
            yield "phone", 'a mobile number, or one like "+8613800138000"', self.phone
        if not 1 <= self.order <= ORDER_MAX:
            yield "order", f"1 to {ORDER_MAX}", self.order
        if not self.classes:
            yield "classes", "at least one class", "[]"
        if self.after is not None and not 1_000 <= self.after <= REPLY_MAX_MS:
            yield "after", '"1s" to "1h"', f"{self.after}ms"

    @property
    def number(self) -> str:
        """The phone in E.164."""
        return normalised(self.phone) or ""

    @property
    def conditions(self) -> frozenset[Class]:
        """The classes, as the core has them."""
        return frozenset(Class(name) for name in self.classes)


class Telling(NamedTuple):
    """The modem and the people, where a home has both."""

    sms: SmsConfig
    contacts: tuple[ContactTable, ...]


def telling(sms: SmsConfig | None, contacts: Sequence[ContactTable | None]) -> Telling | None:
    """Modem and contacts of a configuration without a mistake."""
    return None if sms is None else Telling(sms, tuple(item for item in contacts if item is not None))


def check_contacts(has_sms: bool, contacts: Sequence[ContactTable | None], mistakes: Mistakes) -> None:
    """Note what is wrong with modem and contacts as a whole."""
    known = [item for item in contacts if item is not None]
    if contacts and not has_sms:
        mistakes.note("sms", "contacts need a modem: expected [sms], got none")
    if has_sms and not contacts:
        mistakes.add("contact", "at least one [[contact]] for [sms]", Words("none"))
    if len(contacts) > CONTACTS_MAX:
        mistakes.add("contact", f"at most {CONTACTS_MAX} contacts", len(contacts))
    for what, values in (("name", [item.name for item in known]), ("phone", [item.number for item in known])):
        for value, count in Counter(value for value in values if value).items():
            if count > 1:
                shown = masked(value) if what == "phone" else f'"{value}"'
                mistakes.note("contact", f"{what} {shown} is given {count} times")
    if known and len(known) == len(contacts) and not any(Class.FIRE in item.conditions for item in known):
        mistakes.add("contact", 'one at least with "fire" among its classes', Words("none"))


def check_port(sms: SmsConfig | None, taken: Iterable[str], mistakes: Mistakes) -> None:
    """Note where the modem's port is that of a bus."""
    if sms is not None and sms.device in taken:
        mistakes.note("sms.device", f"{sms.device} is the port of a [[source]]")
