"""The tables of a source of kind "node", and what its readings mean."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from device import node_wire, wire
from edge.core.plan import PointPlan
from edge.core.rules.contact import ContactRule
from edge.core.values import Class
from edge.profiles import TransducerProfile, load
from edge.schema import ConfigError
from edge.sources.seam import Described

SLEEPER_QUIET_MS = 24 * 3_600_000
"""A sleeping node is at fault when it has said nothing for a day (DESIGN.md, promise 3)."""
FAULT_AFTER_MS = 60_000
"""Three beats of a node on the mains."""
SETTLE_MS = 25_000
"""Nodes beat every 20 s, each in its own time. So a dead broker, whose last word was that of the last node, is one
fault 85 s after the first node's last word and not a fault for each node."""
BATTERY, SUPPLY = "battery", "supply"
_HARDWARE = re.compile(r"[0-9a-f]{6,64}")
_CONTACTS = (node_wire.TAMPER, node_wire.TEST)

Mistake = tuple[str, str, object]
Quantity = Literal["contact", "voltage", "temperature"]


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node: its user name at the broker, what it lives on, and the id of the board that was commissioned ("": not
    yet, which is a fault until somebody has looked)."""

    code: str
    kind: Literal["mains", "sleeping"] = "mains"
    hardware: str = ""

    def mistakes(self) -> Iterable[Mistake]:
        """What the types cannot say."""
        try:
            node_wire.topic(self.code, node_wire.BEAT)
        except wire.WireError as error:
            yield "code", "a short code: letters, digits, - _ .", str(error).removeprefix("node: ")
        if self.hardware and not _HARDWARE.fullmatch(self.hardware):
            yield "hardware", "the board's id in small hex digits, as `shouwang-edge node list` shows it", self.hardware

    @property
    def is_sleeping(self) -> bool:
        """Whether it speaks only when it wakes."""
        return self.kind == "sleeping"


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """The nodes of a home behind the gateway's own broker. `folder` is what `shouwang-edge node` keeps: credentials and
    keys; `ca` is the authority of the broker's certificate, where the line has TLS."""

    name: str
    kind: Literal["node"]
    host: str = "127.0.0.1"
    port: int = 1884
    username: str = "gateway"
    folder: str = "/etc/shouwang/nodes"
    ca: str | None = None
    node: tuple[NodeEntry, ...] = ()

    def mistakes(self) -> Iterable[Mistake]:
        """What the types cannot say."""
        if not 1 <= self.port <= 65_535:
            yield "port", "1 to 65535", self.port
        if not self.node:
            yield "node", "at least one [[source.node]]", "none"
        codes = [node.code for node in self.node]
        if len(set(codes)) != len(codes):
            yield "node", "nodes with different codes", "the same code twice"
        if self.username in codes:
            yield "node", f'a code other than the gateway\'s own user name "{self.username}"', self.username

    @property
    def where(self) -> str:
        """The broker as a person knows it; also what is locked."""
        return f"nodes at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NodeAt:
    """An input of a node, as its board.py names it; or "tamper", "test", "battery", "supply".

    `kind` is its kind in board.py. A voltage with a `profile` is that of a transducer or loop (edge/profiles).
    """

    node: str
    input: str
    kind: Quantity | None = None
    profile: str | None = None

    def mistakes(self) -> Iterable[Mistake]:
        """What the types cannot say."""
        if self.profile is not None:
            try:
                load(self.profile, TransducerProfile)
            except ConfigError as error:
                yield "profile", "a transducer's profile without mistakes", "; ".join(error.lines)
            if self.quantity != "voltage":
                yield "profile", "none where nothing is measured in volts", self.profile
        if self.kind is not None and self.input in (*_CONTACTS, BATTERY, SUPPLY) and self.kind != _own_kind(self.input):
            yield "kind", f'"{_own_kind(self.input)}", or nothing, for {self.input}', self.kind

    @property
    def quantity(self) -> Quantity:
        """The kind, or what it is where none is given."""
        return self.kind or _own_kind(self.input, "contact" if self.profile is None else "voltage")


def _own_kind(name: str, other: Quantity = "contact") -> Quantity:
    return "voltage" if name in (BATTERY, SUPPLY) else "contact" if name in _CONTACTS else other


def describe(config: NodeConfig, at: NodeAt) -> Described | str:
    """What readings of an input mean, or what is wrong with it."""
    node = next((node for node in config.node if node.code == at.node), None)
    if node is None:
        return f"{config.name} has no node {at.node}; configured: {', '.join(node.code for node in config.node)}"
    unit, quiet_ms = f"{config.name}/{node.code}", SLEEPER_QUIET_MS if node.is_sleeping else 0
    if at.quantity == "contact":
        return Described("", 0, "", False, unit, True, quiet_ms, SETTLE_MS)
    if at.profile is not None:
        profile = load(at.profile, TransducerProfile)
        return Described(profile.unit, profile.scale, at.profile, profile.supervised, unit, False, quiet_ms, SETTLE_MS)
    measured = "V" if at.quantity == "voltage" else "°C"
    return Described(measured, -3, "", at.quantity == "temperature", unit, False, quiet_ms, SETTLE_MS)


def own_point(node: str) -> str:
    """The code of the point that says what is wrong with a node as a whole; pages know it by how it begins."""
    return f"gw-node-{node}"


def own(config: NodeConfig) -> Sequence[PointPlan]:
    """One point for each node: replaced, not pinned, reports lost, what the node says of itself. It is silent with its
    node, and adds no second fault to that."""
    return [
        PointPlan(
            own_point(node.code),
            "",
            own_point(node.code),  # as all of the gateway's own: catalogues have words for it
            ContactRule(on_ms=0, off_ms=0),
            Class.FAULT,
            bus=config.name,
            unit=f"{config.name}/{node.code}",
            fault_after_ms=SLEEPER_QUIET_MS if node.is_sleeping else FAULT_AFTER_MS,
            settle_ms=SETTLE_MS,
            sleeps=node.is_sleeping,
        )
        for node in config.node
    ]
