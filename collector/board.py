"""The board: a pure fold over what was received and what the collector noted itself.

`fold(board, record)` gives the next board and reads no clock. The order in which one gateway's records arrive does not
matter, nor does a record that comes twice, so the board can be rebuilt from the store at any time.

What is active, and why events and states cannot contradict each other: a `state` says what was active when the gateway
had counted `event_seq` events. The board takes that list, and applies to it, in the order of their numbers, the events
with a higher number. An event up to `event_seq` changes nothing any more; it only tells more about a condition that the
state lists (its value and time). So the board is right before a backlog has drained, and what was raised and cleared
again while the line was down never becomes active here, and never sounds. When a gateway begins another journal, what
its last state listed stays until a state of the new journal says otherwise.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from collector.ownlog import OwnEvent, OwnKind
from collector.records import (
    EventSeen,
    Heard,
    HomeNamed,
    LinkSeen,
    OwnSeen,
    PointsSeen,
    ReadingsSeen,
    Record,
    StateSeen,
)
from device import wire

MAX_EVENTS = 2_000
"""Events beyond the last state that are kept of one gateway; a state comes every 20 s."""
MAX_VALUES = 2_000

GatewayKey = tuple[str, str]
SeenKey = tuple[str, int, str, str]
"""Journal, number, class, point. Not the number alone: it is 0 where the condition is older than the journal."""


class Received(NamedTuple):
    """An event and when the collector took it (Unix time)."""

    event: wire.Event
    received_ms: int


class StateHeard(NamedTuple):
    """A state; of two the one with the higher (rank, no) holds."""

    rank: int
    no: int
    state: wire.State
    received_ms: int
    is_live: bool


class Value(NamedTuple):
    """A point's last reading. `mono_ms` counts in the gateway's boot `boot`."""

    seq: int
    value: int | None
    unknown: str | None
    boot: str
    mono_ms: int
    wall_ms: int
    clock_ok: bool


class Anchor(NamedTuple):
    """A gateway's monotonic clock beside the collector's: `lag_ms` is the least (received - sent) in a boot."""

    mono_ms: int
    boot: str
    lag_ms: int


class Gateway(NamedTuple):
    """What the board knows of one gateway. `heard_ms` is monotonic, None while this process has not heard it.

    `rank` is that of the current journal, and `events` are of that one.
    """

    home: str
    code: str
    rank: int = 0
    state: StateHeard | None = None
    events: Mapping[int, Received] = {}
    values: Mapping[str, Value] = {}
    points: tuple[int, wire.Points] | None = None
    link: tuple[int, str] | None = None
    heard_ms: int | None = None
    anchor: Anchor | None = None
    silent: tuple[int, bool] = (0, False)
    seen: Mapping[SeenKey, OwnEvent] = {}
    notices: Mapping[str, OwnEvent] = {}


class Condition(NamedTuple):
    """Something that is so at a home. `raised` is None while its event has not arrived."""

    journal: str
    condition: str
    zone: str
    point: str
    seq: int
    order: int
    acknowledged: bool
    confirmed: bool
    raised: Received | None
    seen: OwnEvent | None


class Board(NamedTuple):
    """`names` is the register of homes; `line` the last entry about the collector's own line to the broker."""

    gateways: Mapping[GatewayKey, Gateway] = {}
    names: Mapping[str, str] = {}
    line: OwnEvent | None = None


def fold(board: Board, record: Record) -> Board:
    """The board after one more record."""
    if isinstance(record, HomeNamed):
        return board._replace(names={**board.names, record.home: record.name})
    if isinstance(record, OwnSeen):
        return _fold_own(board, record.own)
    key = (record.home, record.gateway)
    before = board.gateways.get(key) or Gateway(*key)
    after = _fold_gateway(before, record)
    return board if after is before else board._replace(gateways={**board.gateways, key: after})


def fold_all(board: Board, records: Iterable[Record]) -> Board:
    """The board after all of them."""
    for record in records:
        board = fold(board, record)
    return board


def conditions(gateway: Gateway) -> tuple[Condition, ...]:
    """What is active at a gateway, in the order in which it was raised. The rule is in the module's docstring."""
    active: dict[tuple[str, str], Condition] = {}
    state = gateway.state.state if gateway.state else None
    for item in state.active if state else ():
        journal = state.journal if state else ""
        seen = gateway.seen.get((journal, item.seq, item.condition, item.point))
        active[item.condition, item.point] = Condition(journal, *item, raised=_raised(gateway, item), seen=seen)
    for received in _beyond_state(gateway):
        _apply(active, gateway, received)
    return tuple(sorted(active.values(), key=lambda condition: condition.seq))


def is_silenced(gateway: Gateway) -> bool:
    """Whether the home's sounders are silenced."""
    silenced = gateway.state is not None and gateway.state.state.silenced
    for received in _beyond_state(gateway):
        kind = received.event.kind
        silenced = kind == "silence" or (silenced and kind not in ("raise", "resound", "reset"))
    return silenced


def _beyond_state(gateway: Gateway) -> list[Received]:
    """The events that the state has not counted, in the order of their numbers."""
    counted = _counted(gateway.state, gateway.rank)
    return [gateway.events[seq] for seq in sorted(gateway.events) if seq > counted]


def _counted(heard: StateHeard | None, rank: int) -> int:
    """How many events of the journal of that rank a state has counted; none of another journal."""
    return heard.state.event_seq if heard is not None and heard.rank == rank else 0


# --- what an event does ---------------------------------------------------------------------------------------------


def _apply(active: dict[tuple[str, str], Condition], gateway: Gateway, received: Received) -> None:
    """`restore`, `reset`, `silence`, `start` and the rest change no condition: what they end comes as a `clear`."""
    event = received.event
    if event.kind == "raise" and event.condition is not None:
        seen = gateway.seen.get((event.journal, event.seq, event.condition, event.point))
        active[event.condition, event.point] = Condition(
            event.journal, event.condition, event.zone, event.point, event.seq, event.order, False,
            _zone_confirmed(active, event), received, seen,
        )  # fmt: skip
    elif event.kind == "clear" and event.condition is not None:
        active.pop((event.condition, event.point), None)
    elif event.kind in ("confirm", "acknowledge", "resound"):
        for key, condition in active.items():
            if _is_meant(condition, event):
                active[key] = _changed(condition, event.kind)


def _changed(condition: Condition, kind: str) -> Condition:
    if kind == "confirm":
        return condition._replace(confirmed=True)
    return condition._replace(acknowledged=kind == "acknowledge")


def _is_meant(condition: Condition, event: wire.Event) -> bool:
    """What an event leaves open it says of all."""
    return (
        event.condition in (None, condition.condition)
        and event.zone in ("", condition.zone)
        and event.point in ("", condition.point)
    )


def _zone_confirmed(active: Mapping[tuple[str, str], Condition], event: wire.Event) -> bool:
    """Confirmation is the zone's, so a point that joins a confirmed fire is confirmed."""
    return any(
        other.confirmed and other.condition == event.condition and other.zone == event.zone for other in active.values()
    )


def _raised(gateway: Gateway, item: wire.Active) -> Received | None:
    """The event that raised it; not one of another journal that happens to have its number."""
    of_journal = gateway.state is not None and gateway.state.rank == gateway.rank
    found = gateway.events.get(item.seq) if of_journal else None
    if found is None or (found.event.condition, found.event.point) != (item.condition, item.point):
        return None
    return found


# --- folding one gateway --------------------------------------------------------------------------------------------


def _fold_gateway(
    gateway: Gateway, record: Heard | EventSeen | StateSeen | PointsSeen | LinkSeen | ReadingsSeen
) -> Gateway:
    if isinstance(record, Heard):
        return _fold_heard(gateway, record)
    if isinstance(record, PointsSeen):
        newer = gateway.points is None or record.no >= gateway.points[0]
        return gateway._replace(points=(record.no, record.points)) if newer else gateway
    if isinstance(record, LinkSeen):
        newer = gateway.link is None or record.no >= gateway.link[0]
        return gateway._replace(link=(record.no, record.link)) if newer else gateway
    if record.rank > gateway.rank:
        gateway = gateway._replace(rank=record.rank, events={}, values={})
    if isinstance(record, StateSeen):
        return _fold_state(gateway, record)
    if record.rank < gateway.rank:
        return gateway  # an older journal: stored, but its story is over
    if isinstance(record, EventSeen):
        events = {**gateway.events, record.event.seq: Received(record.event, record.received_ms)}
        return gateway._replace(events=_needed(events, gateway.state, gateway.rank))
    return _fold_readings(gateway, record)


def _fold_heard(gateway: Gateway, record: Heard) -> Gateway:
    heard_ms = max(record.mono_ms, gateway.heard_ms if gateway.heard_ms is not None else record.mono_ms)
    anchor = gateway.anchor
    if record.boot:
        anchor = _nearer(anchor, Anchor(record.mono_ms, record.boot, record.mono_ms - record.sent_mono_ms))
    return gateway._replace(heard_ms=heard_ms, anchor=anchor)


def _nearer(known: Anchor | None, new: Anchor) -> Anchor:
    if known is None:
        return new
    if known.boot != new.boot:
        return max(known, new)
    return Anchor(max(known.mono_ms, new.mono_ms), new.boot, min(known.lag_ms, new.lag_ms))


def _fold_state(gateway: Gateway, record: StateSeen) -> Gateway:
    heard = StateHeard(record.rank, record.no, record.state, record.received_ms, record.is_live)
    if gateway.state is not None and gateway.state[:2] > heard[:2]:
        return gateway
    return gateway._replace(state=heard, events=_needed(gateway.events, heard, gateway.rank))


def _needed(events: Mapping[int, Received], heard: StateHeard | None, rank: int) -> Mapping[int, Received]:
    """The events that can still say something: those beyond the state, and those its conditions were raised by."""
    if counted := _counted(heard, rank):
        raised = {item.seq for item in heard.state.active} if heard else set()
        events = {seq: event for seq, event in events.items() if seq > counted or seq in raised}
    if len(events) > MAX_EVENTS:
        events = {seq: events[seq] for seq in sorted(events)[-MAX_EVENTS:]}
    return events


def _fold_readings(gateway: Gateway, record: ReadingsSeen) -> Gateway:
    batch = record.readings
    values = dict(gateway.values)
    for sample in batch.readings:
        known = values.get(sample.point)
        value = Value(
            batch.seq, sample.value, sample.unknown, batch.boot, batch.mono_ms + sample.offset_ms,
            batch.wall_ms + sample.offset_ms, batch.clock_ok,
        )  # fmt: skip
        if known is None or (value.seq, value.mono_ms) >= (known.seq, known.mono_ms):
            values[sample.point] = value  # a backlog comes after what is live, and has the lower numbers
    if len(values) > MAX_VALUES:
        return gateway  # more points than a gateway can have: a confused one must not fill the memory
    return gateway._replace(values=values)


# --- the collector's own log ----------------------------------------------------------------------------------------

_NOTICES = (OwnKind.GAP, OwnKind.DUPLICATE, OwnKind.NEW_JOURNAL, OwnKind.REWOUND, OwnKind.CHAIN_BREAK)


def _fold_own(board: Board, own: OwnEvent) -> Board:
    if own.kind in (OwnKind.LINE_DOWN, OwnKind.LINE_UP):
        newer = board.line is None or own.seq >= board.line.seq
        return board._replace(line=own) if newer else board
    if not own.gateway:
        return board
    key = (own.home, own.gateway)
    gateway = board.gateways.get(key) or Gateway(*key)
    return board._replace(gateways={**board.gateways, key: _fold_notice(gateway, own)})


def _fold_notice(gateway: Gateway, own: OwnEvent) -> Gateway:
    if own.kind in (OwnKind.SILENT, OwnKind.BACK):
        return gateway._replace(silent=max(gateway.silent, (own.seq, own.kind == OwnKind.SILENT)))
    if own.kind == OwnKind.SEEN:
        detail = own.detail
        key = (str(detail["journal"]), int(detail["seq"]), str(detail["class"]), str(detail["point"]))
        first = min(own, gateway.seen.get(key, own), key=lambda entry: entry.seq)
        return gateway._replace(seen=_newest_seen({**gateway.seen, key: first}))
    if own.kind in _NOTICES:
        latest = max(own, gateway.notices.get(own.kind, own), key=lambda entry: entry.seq)
        return gateway._replace(notices={**gateway.notices, own.kind: latest})
    return gateway


def _newest_seen(seen: Mapping[SeenKey, OwnEvent]) -> Mapping[SeenKey, OwnEvent]:
    if len(seen) <= MAX_EVENTS:
        return seen
    kept = sorted(seen, key=lambda key: seen[key].seq)[-MAX_EVENTS:]
    return {key: seen[key] for key in kept}
