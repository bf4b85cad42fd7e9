"""What is done to gateway, broker and collector, and how each is made good again.

A fault begins, lasts for a random moment among others, and ends. None waits for what it broke: `District.heal` does.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench._torture_bureau import Broker, Collector
from bench._torture_hand import Hand, Witness
from bench._torture_home import Agent, Disk
from bench._torture_judge import gaps_of, is_said
from bench._torture_line import Line
from bench._torture_processes import until

YEAR_MS = 365 * 86_400_000
DRAIN_S = 150.0
"""Longer than the longest pause of an uplink (30 s) and of a re-send (75 s) together."""
ASK_EVERY_S = 0.2
"""All that has arrived is read each time."""
PAGE_BYTES = 1024
LOG_FRAME_BYTES = 24 + PAGE_BYTES


@dataclass(slots=True)
class District:
    """One home, its line, a broker, a collector and its line."""

    agent: Agent
    broker: Broker
    collector: Collector
    home_line: Line
    bureau_line: Line
    disk: Disk
    witness: Witness
    chance: random.Random
    hand: Hand

    def heal(self) -> None:
        """Have everything run and answer."""
        for line in (self.home_line, self.bureau_line):
            line.mend()
        self.disk.free()
        self.home_line.target = self.collector.embedded_port if self.collector.embeds else self.broker.port
        self.broker.start()
        self.collector.start()
        self.agent.start()
        self.broker.wait()
        self.collector.wait()
        self.agent.wait()

    def missing(self) -> int:
        """Numbers that the journal has shown, that the collector does not have, and that nobody says are missing."""
        events = self.witness.events.keys() - self.collector.numbers("event")
        batches = self.witness.readings - self.collector.numbers("reading")
        if events or batches:
            gaps = gaps_of(self.collector.events())
            events = {key for key in events if not is_said(key, [gap for gap in gaps if gap.lane == "event"])}
            batches = {key for key in batches if not is_said(key, [gap for gap in gaps if gap.lane == "reading"])}
        return len(events) + len(batches)

    def is_empty_handed(self) -> bool:
        """Wait until the collector has all, then kill the gateway. Whether it had nothing more to say."""
        until(lambda: not self.hand.pending and not self.missing(), "the collector to have all", DRAIN_S, ASK_EVERY_S)
        self.agent.process.kill()
        return not self.missing()


class Fault(NamedTuple):
    """`begin` and `end` are given the district. `needs` says whether it can be done here; `is_alone`, whether it heals
    all before it begins. Of weight 0, it comes only where it is asked for."""

    name: str
    begin: Callable[[District], None]
    end: Callable[[District], None]
    weight: int = 1
    needs: Callable[[District], bool] = lambda district: True
    is_alone: bool = False


def _nothing(district: District) -> None:
    """`heal` makes it good."""


def _start_agent(district: District) -> None:
    district.agent.start()


def _start_collector(district: District) -> None:
    district.collector.start()


def _kill_collector(district: District) -> None:
    """Now and then whoever keeps the machine makes a copy of the store while it is down."""
    district.collector.process.kill()
    if district.chance.random() < 0.3:
        district.collector.back_up()


def _restore(district: District) -> None:
    district.collector.process.kill()
    district.collector.restore()


def _corrupt(district: District) -> None:
    """A page of the database becomes noise, or one byte of it another, while the gateway is off.

    Ended in order, because after a kill the log would write most pages anew and nothing would be tried.
    """
    district.agent.process.end()
    _damage(district, district.agent.database, PAGE_BYTES)


def _corrupt_log(district: District) -> None:
    """A frame of the write-ahead log is damaged: SQLite takes all after it for never written, as after a power cut on a
    card that lied about its syncs. The journal goes back in time, to before what the collector has."""
    _empty_hands(district)
    _damage(district, district.agent.log, LOG_FRAME_BYTES)


def _damage(district: District, path: Path, unit: int) -> None:
    chance = district.chance
    units = path.stat().st_size // unit if path.exists() else 0
    if not units:
        return
    start = chance.randrange(units) * unit
    content = chance.randbytes(unit) if chance.random() < 0.6 else chance.randbytes(1)
    with path.open("r+b") as file:
        file.seek(start + chance.randrange(unit - len(content) + 1))
        file.write(content)
    district.hand.note_amnesia()


def _empty_hands(district: District) -> None:
    """Kill the gateway when the collector has all that it ever committed."""
    district.hand.hold()
    district.heal()
    while not district.is_empty_handed():
        district.heal()
    district.hand.go_on()


def _swap(district: District) -> None:
    """The box is replaced when the collector has all of it; a copy of the store follows, as after any such work."""
    _empty_hands(district)
    district.agent.replace()
    district.hand.note_amnesia()
    district.collector.process.kill()
    district.collector.back_up()


def _lie(district: District) -> None:
    """The power comes back and the clock is years off, as on a board whose clock needs power."""
    district.agent.process.kill()
    district.agent.step_clock(district.chance.choice((-50, -20, -1, 1, 12)) * YEAR_MS, is_trusted=False)
    district.agent.start(is_skewed=True)


def _tell_time(district: District) -> None:
    """The network brings the right time to the running gateway."""
    district.agent.step_clock(0, is_trusted=True)


def _has_mosquitto(district: District) -> bool:
    return not district.collector.embeds


FAULTS = (
    Fault("kill gateway", lambda it: it.agent.process.kill(), _start_agent, 4),
    Fault("kill broker", lambda it: it.broker.process.kill(), lambda it: it.broker.start(), 2, _has_mosquitto),
    Fault("kill collector", _kill_collector, _start_collector, 4),
    Fault("cut home", lambda it: it.home_line.cut(), lambda it: it.home_line.mend(), 2),
    Fault("silence home", lambda it: it.home_line.silence(), lambda it: it.home_line.mend()),
    Fault("cut bureau", lambda it: it.bureau_line.cut(), lambda it: it.bureau_line.mend(), 2, _has_mosquitto),
    Fault("silence bureau", lambda it: it.bureau_line.silence(), lambda it: it.bureau_line.mend(), 1, _has_mosquitto),
    Fault("fill disk", lambda it: it.disk.fill(), lambda it: it.disk.free(), 2, lambda it: it.disk.is_own),
    Fault("corrupt page", _corrupt, _start_agent, 2),
    Fault("corrupt log", _corrupt_log, _start_agent, 0, is_alone=True),
    Fault("step clock", _lie, _tell_time, 2),
    Fault("restore backup", _restore, _start_collector, 2, lambda it: it.collector.has_backup),
    Fault("swap gateway", _swap, _nothing, 2, is_alone=True),
)


def pick(district: District, only: frozenset[str]) -> list[Fault]:
    """One to three faults that can be done now, each once."""
    able = [fault for fault in FAULTS if fault.needs(district) and (fault.name in only if only else fault.weight)]
    count = district.chance.choice((1, 1, 2, 2, 3))
    picked: dict[str, Fault] = {}
    for fault in district.chance.choices(able, [max(1, fault.weight) for fault in able], k=count):
        picked[fault.name] = fault
    alone = [fault for fault in picked.values() if fault.is_alone]
    return alone[:1] or list(picked.values())
