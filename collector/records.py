"""The values that cross the collector's borders: what was received, and what is folded into the board.

`no` is the receipt number: it only ever rises in a process, also where the wall clock is set back, and it orders what
one gateway said twice. `rank` orders the journals of one gateway: the one that it spoke of last has the highest.
"""

from typing import NamedTuple

from collector.ownlog import OwnEvent
from device import wire

Message = wire.Event | wire.Readings | wire.State | wire.Points | wire.Link | wire.Ack | wire.Ask | wire.Config


class Receipt(NamedTuple):
    """When a message came in: a rising number, Unix time and the monotonic clock of this process."""

    no: int
    wall_ms: int
    mono_ms: int


class Delivery(NamedTuple):
    """One message as it came, decoded. `retained`: the broker kept it, and it says nothing about now."""

    address: wire.Address
    message: Message
    payload: bytes
    receipt: Receipt
    retained: bool = False


class Heard(NamedTuple):
    """A gateway spoke. `boot` and `sent_mono_ms` are the gateway's own clock, where the message carries one."""

    home: str
    gateway: str
    mono_ms: int
    boot: str = ""
    sent_mono_ms: int = 0


class EventSeen(NamedTuple):
    home: str
    gateway: str
    rank: int
    event: wire.Event
    received_ms: int


class StateSeen(NamedTuple):
    """`is_live`: received by this process and not kept by the broker."""

    home: str
    gateway: str
    rank: int
    no: int
    state: wire.State
    received_ms: int
    is_live: bool


class PointsSeen(NamedTuple):
    home: str
    gateway: str
    no: int
    points: wire.Points


class LinkSeen(NamedTuple):
    home: str
    gateway: str
    no: int
    link: str


class ReadingsSeen(NamedTuple):
    home: str
    gateway: str
    rank: int
    readings: wire.Readings
    received_ms: int


class OwnSeen(NamedTuple):
    own: OwnEvent


class HomeNamed(NamedTuple):
    """A home in the collector's register."""

    home: str
    name: str


Record = Heard | EventSeen | StateSeen | PointsSeen | LinkSeen | ReadingsSeen | OwnSeen | HomeNamed


class AckDue(NamedTuple):
    """What a gateway is to be told: the highest contiguous numbers committed for one of its journals."""

    home: str
    gateway: str
    ack: wire.Ack
