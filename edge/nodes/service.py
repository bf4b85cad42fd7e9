"""What a person may ask of the nodes through the agent's station; each goes on record with the person's name."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from device import node_wire
from edge.core.values import Kind, Transition
from edge.sources import Source
from edge.sources.node.source import NodeSource

Record = Callable[[list[Transition]], None]
Service = Callable[[str, str], str]
"""Does it for the subject, in somebody's name; what is wrong, or "" where nothing is."""

UPDATE = "node_update"
ORDERS = {f"node_{order}": order for order in node_wire.ORDERS}


def nodes_of(sources: Iterable[Source]) -> list[dict[str, Any]]:
    """All nodes as they were heard last."""
    return [node for source in sources if isinstance(source, NodeSource) for node in source.nodes()]


def services(sources: Mapping[str, Source], record: Record, now_ms: Callable[[], int]) -> Mapping[str, Service]:
    """By the word that asks for it. `sources` may be filled later."""

    def behind(node: str) -> NodeSource | None:
        known = [source for source in sources.values() if isinstance(source, NodeSource)]
        return next((source for source in known if node in [each["code"] for each in source.nodes()]), None)

    def note(node: str, who: str, why: str) -> None:
        record([Transition(Kind.SERVICE, now_ms(), subject=node, who=who, why=why)])

    def update(subject: str, who: str) -> str:
        for source in [source for source in sources.values() if isinstance(source, NodeSource)]:
            nodes = [node["code"] for node in source.nodes() if subject in ("", node["code"])]
            for node in nodes:
                note(node, who, f"update to {source.version}")
            source.update(nodes)
        is_known = not subject or behind(subject) is not None
        return "" if is_known else _unknown(subject, sources.values())

    def order(word: str) -> Service:
        def send(subject: str, who: str) -> str:
            source = behind(subject)
            if source is None:
                return _unknown(subject, sources.values())
            note(subject, who, word)
            return "" if source.order(subject, word) else "the nodes cannot be reached yet"

        return send

    return {UPDATE: update, **{name: order(word) for name, word in ORDERS.items()}}


def _unknown(node: str, sources: Iterable[Source]) -> str:
    known = ", ".join(each["code"] for each in nodes_of(sources)) or "none"
    return f'expected one of {known}, got "{node}"'
