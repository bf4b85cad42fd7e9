"""The points of the modem and of the contacts: what can go wrong with telling people. One fault for one cause."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from edge.core.plan import PointPlan
from edge.core.rules.contact import ContactRule
from edge.core.values import Class
from edge.sms.catalogue import words

MODEM_POINT = "gw-sms"
"""The modem is unplugged or does not answer."""
CARD_POINT = "gw-sim"
"""The card is missing, broken or wants its PIN."""
SIGNAL_POINT = "gw-signal"
"""No network has the modem."""
REFUSED_POINT = "gw-sms-send"
"""The network refuses messages."""
FULL_POINT = "gw-sms-full"
"""More happened than could be told; fires excepted, which are always told."""
CONTACT_PREFIX = "gw-contact-"
"""Before a contact's place in the file: no message reaches that number."""

FAULT_AFTER_MS = 10_000
"""A modem that restarts by itself, or a network that changes its cell, is no fault for ten seconds."""


class Named(Protocol):
    """A contact."""

    @property
    def name(self) -> str: ...


def contact_points(contacts: Iterable[Named]) -> list[tuple[str, str]]:
    """(Code, name) of each contact's point."""
    return [(f"{CONTACT_PREFIX}{number}", contact.name.strip()) for number, contact in enumerate(contacts, 1)]


def sms_points(contacts: Sequence[Named | None]) -> list[PointPlan]:
    """What a home with a modem watches of it; none without contacts. Fed by the agent, so not supervised as a sensor
    is."""
    if not contacts:
        return []
    patient, at_once = ContactRule(on_ms=FAULT_AFTER_MS, off_ms=0), ContactRule(on_ms=0, off_ms=0)
    plans = [(MODEM_POINT, patient), (CARD_POINT, patient), (SIGNAL_POINT, patient)]
    plans += [(REFUSED_POINT, at_once), (FULL_POINT, at_once)]
    named = [(code, code, rule) for code, rule in plans]
    number_of = words()["own"]["gw-contact"]
    known = contact_points(item for item in contacts if item is not None)
    named += [(code, number_of.format(name=name), at_once) for code, name in known]
    return [PointPlan(code, "", place, rule, Class.FAULT, fault_after_ms=None) for code, place, rule in named]
