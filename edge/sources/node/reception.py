"""What a node's messages mean: readings, and what the node has to be told. Pure; time is an argument.

A report of the node's present boot is a reading. One that comes behind its successors, or out of a boot that is over,
tells of the past: where it tells of something, it is given as a reading and at once taken back to what is so now, so
that an alarm in it is raised, with its age, and sets no level. Nothing is counted twice.

The levels of a beat keep the points fresh. A beat that names reports which have not come yet waits for them a little,
because they say how old the news is.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from device import node_wire
from edge.core.values import Reading, Unknown
from edge.profiles import TransducerProfile, load
from edge.sources.node.book import MOST_BOOTS, Book
from edge.sources.node.config import BATTERY, SUPPLY, NodeAt, NodeEntry
from edge.sources.seam import Wired
from edge.sources.transducer import value_at

HOLD_MS = 500
"""How long a beat waits for the reports that it names; they are on the same line, behind it."""
LATE_MS = 1_000
"""Older news is told with its age."""
_REASONS = {item.value: item for item in Unknown}


class Taken(NamedTuple):
    """What came of a message. `counted`: the boot whose report has been counted, to be acknowledged once that is kept;
    `known`: one to be acknowledged as far as it is kept already; `is_beat`: the node wants to know the time."""

    readings: tuple[Reading, ...] = ()
    counted: str = ""
    known: str = ""
    is_beat: bool = False


class Input(NamedTuple):
    """A point on an input, and the transducer behind it."""

    point: str
    at: NodeAt
    profile: TransducerProfile | None

    def reading(self, value: int | None, unknown: str | None, why: str = "") -> Reading:
        """What a value of the wire is at the point."""
        if value is None:
            return Reading(self.point, None, _REASONS.get(unknown or "", Unknown.BAD_REPLY), why)
        meant = value if self.profile is None else value_at(self.profile, value)
        if isinstance(meant, Unknown):
            return Reading(self.point, None, meant, why)
        return Reading(self.point, meant, None, why)


class Latest(NamedTuple):
    """What an input is now, as of number `seq`."""

    seq: int
    value: int | None
    unknown: str | None


NEVER = Latest(0, None, Unknown.NOT_POLLED)


class Reception:
    """One node. `own_point` is the code of the point that says what is wrong with it as a whole."""

    def __init__(self, entry: NodeEntry, wired: Sequence[Wired], own_point: str, saved: dict[str, Any] | None) -> None:
        self.entry = entry
        self.book = Book(saved)
        self.beat: node_wire.Beat | None = None
        self.heard_ms: int | None = None
        self.is_replaced = False
        self._note = ""
        self.counters: Counter[str] = Counter()
        self.unkept = 0  # counted reports of which nobody knows yet that they are kept
        self._kept: dict[str, int] = {}
        self._inputs = [Input(each.point, each.at, _profile(each.at)) for each in wired]
        self._own_point = own_point
        self._latest: dict[str, Latest] = {}
        self._lost = 0
        self._held: tuple[node_wire.Beat, int] | None = None

    # --- messages

    def report(self, report: node_wire.Report, now_ms: int) -> Taken:
        """An input has changed, now or a while ago."""
        self._note_lost(report.boot, report.held)
        if not self.book.take(report.boot, report.seq):
            self.counters["duplicates"] += 1
            return Taken(known=report.boot)
        self.counters["reports"] += 1
        readings = self._readings_of(report)
        if self.is_replaced:  # nobody confirms anything to a stranger, and its alarm is heard all the same
            return Taken(tuple(readings))
        return Taken((*readings, *self.due(now_ms)), counted=report.boot)

    def take_beat(self, beat: node_wire.Beat, now_ms: int) -> Taken:
        """The node says how things stand."""
        if self._is_from_the_past(beat):
            self.counters["replays"] += 1
            return Taken()
        self.beat, self.heard_ms = beat, now_ms
        self.is_replaced = bool(self.entry.hardware) and beat.hardware != self.entry.hardware
        if self.is_replaced:
            self.counters["replaced"] += 1
            return Taken((*self._alarms_of(beat), *self._all_refused(), self._own(beat)))
        if beat.boot != self.book.boot:
            self.book.begin(beat.boot)
            self._latest.clear()
        self._note_lost(beat.boot, beat.held)
        readings = [*self._measured(beat), self._own(beat)]
        if self.book.done(beat.boot) < beat.seq:
            self._held = (beat, now_ms + HOLD_MS)
        else:
            self._held = None
            readings += self._levels(beat)
        return Taken(tuple(readings), known=beat.boot, is_beat=True)

    def due(self, now_ms: int) -> Sequence[Reading]:
        """The levels of a beat that has waited long enough, or no longer needs to."""
        if self._held is None:
            return ()
        beat, until_ms = self._held
        if now_ms < until_ms and self.book.done(beat.boot) < beat.seq:
            return ()
        self._held = None
        return self._levels(beat)

    @property
    def due_ms(self) -> int | None:
        """When to ask again."""
        return None if self._held is None else self._held[1]

    def noted(self, note: str) -> Sequence[Reading]:
        """What somebody else finds wrong with the node, "" for nothing: an update that failed."""
        if note == self._note or self.beat is None:
            return ()
        self._note = note
        return [self._own(self.beat)]

    def unreachable(self) -> Sequence[Reading]:
        """The broker is gone: nothing is known of any input."""
        self._held = None
        return [Reading(each.point, None, Unknown.NO_LINK) for each in self._inputs]

    # --- acknowledging

    def kept(self, boot: str, seq: int) -> None:
        """What has been counted of a boot up to `seq` is kept."""
        self.unkept -= 1
        self._kept[boot] = seq
        while len(self._kept) > MOST_BOOTS:
            del self._kept[next(iter(self._kept))]

    def acknowledged(self, boot: str) -> int:
        """Up to where a boot may be acknowledged: all that is counted, unless some of it still waits to be kept."""
        return self.book.done(boot) if self.unkept <= 0 else self._kept.get(boot, 0)

    # --- reports

    def _readings_of(self, report: node_wire.Report) -> list[Reading]:
        name, now = report.input, Latest(report.seq, report.value, report.unknown)
        latest = self._latest.get(name, NEVER)
        why = _age(report)
        wired = [each for each in self._inputs if each.at.input == name]
        if not wired:
            self.counters["unwired"] += 1
        if report.boot == self.book.boot and report.seq > latest.seq and not self.is_replaced:
            self._latest[name] = now
            return [each.reading(now.value, now.unknown, why) for each in wired]
        self.counters["of_the_past"] += 1
        if not report.value:  # at rest, or unknown, a while ago: that says nothing
            return []
        return [reading for each in wired for reading in self._pulse(each, report.value, latest, why)]

    def _pulse(self, each: Input, value: int, latest: Latest, why: str) -> list[Reading]:
        now = Latest(0, None, Unknown.REFUSED) if self.is_replaced else latest
        return [each.reading(value, None, why), each.reading(now.value, now.unknown)]

    def _note_lost(self, boot: str, held: int) -> None:
        lost = self.book.pass_lost(boot, held)
        self._lost += lost
        self.counters["lost"] += lost

    # --- beats

    def _is_from_the_past(self, beat: node_wire.Beat) -> bool:
        if self.book.has_ended(beat.boot):
            return True
        return self.beat is not None and beat.boot == self.beat.boot and beat.uptime_ms < self.beat.uptime_ms

    def _levels(self, beat: node_wire.Beat) -> list[Reading]:
        said = {level.input: level for level in beat.levels}
        readings = []
        for each in self._inputs:
            name = each.at.input
            if name in (BATTERY, SUPPLY):
                continue
            level = said.get(name)
            if level is None:  # its board.py has no such input
                readings.append(Reading(each.point, None, Unknown.REFUSED))
            elif level.kind != each.at.quantity:
                readings.append(Reading(each.point, None, Unknown.BAD_REPLY))
            else:
                if self._latest.get(name, NEVER).seq <= beat.seq:
                    self._latest[name] = Latest(beat.seq, level.value, level.unknown)
                _, value, unknown = self._latest[name]
                readings.append(each.reading(value, unknown))
        return readings

    def _measured(self, beat: node_wire.Beat) -> list[Reading]:
        measured = {BATTERY: beat.battery_mv, SUPPLY: beat.supply_mv}
        found = [(each, measured[each.at.input]) for each in self._inputs if each.at.input in measured]
        return [each.reading(value, Unknown.REFUSED) for each, value in found]

    def _alarms_of(self, beat: node_wire.Beat) -> list[Reading]:
        active = [level.input for level in beat.levels if level.kind == node_wire.CONTACT and level.value]
        return [each.reading(1, None) for each in self._inputs if each.at.input in active]

    def _all_refused(self) -> list[Reading]:
        return [Reading(each.point, None, Unknown.REFUSED) for each in self._inputs]

    def _own(self, beat: node_wire.Beat) -> Reading:
        troubles = [fault for fault in beat.faults if fault != "on-trial"]
        if self.is_replaced:
            troubles.insert(0, f"replaced by={beat.hardware}")
        elif not self.entry.hardware:
            troubles.insert(0, f"not_pinned hardware={beat.hardware}")
        if self._lost:
            troubles.append(f"lost_reports={self._lost}")
            self._lost = 0
        if beat.dropped_alarms:
            troubles.append(f"dropped_alarms={beat.dropped_alarms}")
        if self._note:
            troubles.append(self._note)
        return Reading(self._own_point, int(bool(troubles)), None, " ".join(troubles))


def _profile(at: NodeAt) -> TransducerProfile | None:
    return None if at.profile is None else load(at.profile, TransducerProfile)


def _age(report: node_wire.Report) -> str:
    """Nothing for what is news; `>=` where a power cut of unknown length lies between."""
    if report.live and report.age_ok and report.age_ms < LATE_MS:
        return ""
    return f"age_ms={report.age_ms}" if report.age_ok else f"age_ms>={report.age_ms}"
