"""What goes up over one connection after another, and what the collector has of it."""

import logging
import random

from device import wire
from edge.journal import Journal, Volume
from edge.uplink.lanes import EventLane, Heard, ReadingLane, Timer
from edge.uplink.link import Link
from edge.uplink.shared import Counters

log = logging.getLogger(__name__)

RETRY_READ_MS = 2_000
"""When the disk gave nothing though there should be something."""


class Sender:
    """Keeps a pair of cursors for each volume of the journal. For one thread."""

    def __init__(self, journal: Journal, counters: Counters) -> None:
        self._journal = journal
        self._outbox = journal.outbox()
        self._counters = counters
        self._random = random.Random()
        self._lanes: dict[str, tuple[EventLane, ReadingLane]] = {}
        self._met = ""
        self._retry_ms: int | None = None

    def close(self) -> None:
        self._outbox.close()

    def due_ms(self) -> int | None:
        """When to offer again though nothing new has come."""
        timers = [lane.timer.due_ms for lanes in self._lanes.values() for lane in lanes]
        return min((item for item in (*timers, self._retry_ms) if item is not None), default=None)

    def is_all_sent(self) -> bool:
        """Whether every event has been given to the broker."""
        volume = self._journal.volume()
        return volume.journal in self._lanes and not self._lane(volume)[0].has_unsent(volume.event_seq)

    def rewind(self) -> None:
        """A new connection: begin with what is not acknowledged."""
        for volume in self._journal.pending():
            event, reading = self._lane(volume)
            event.rewind()
            reading.rewind(volume.reading_seq)

    def offer(self, link: Link, now_ms: int) -> None:
        """Events of every volume, then readings: those of a volume only when its events and the newest are out."""
        volumes = self._journal.pending()
        current = volumes[-1]
        self._retry_ms = None
        self._go_back(volumes, now_ms)
        for volume in volumes:
            self._send_events(link, volume, now_ms)
        for volume in reversed(volumes):
            if not any(self._lane(item)[0].has_unsent(item.event_seq) for item in (volume, current)):
                self._send_readings(link, volume, now_ms)

    def heard(self, ack: wire.Ack, now_ms: int) -> bool:
        """Take a word of the collector. False where it is about none of our volumes."""
        volume = self._journal.find(ack.journal)
        if volume is None:
            self._counters.acks_foreign += 1
            return False
        lanes = self._lane(volume)
        event, reading = ack.event, ack.reading
        if volume.journal != self._journal.volume().journal:
            # A closed volume never grows. Where the collector has more of it, ours came back from an older copy, and
            # all that we hold of it has arrived.
            event, reading = min(event, volume.event_seq), min(reading, volume.reading_seq)
        told = lanes[0].heard(event, now_ms), lanes[1].heard(reading, now_ms)
        self._counters.acks += 1
        self._counters.acks_beyond += Heard.BEYOND in told
        if Heard.BACK in told:
            self._counters.acks_back += 1
            log.warning("uplink: the collector has less than it had: event %d, reading %d", ack.event, ack.reading)
        self._journal.acknowledge(ack.journal, lanes[0].acked, lanes[1].acked)
        is_first_word = ack.journal != self._met and ack.journal == self._journal.volume().journal
        if is_first_word or Heard.BACK in told:
            self._doubt_others(ack.journal, now_ms)
        self._met = ack.journal if is_first_word else self._met
        return True

    def _doubt_others(self, journal: str, now_ms: int) -> None:
        """Send what was acknowledged of the closed volumes again, until the collector says how much of each it has.

        One that was set back to a time before a volume speaks of the current one alone, so that nobody else would ever
        find out. It costs a window of each volume: at the first word on the current one and whenever the collector has
        gone back.
        """
        for volume in self._journal.volumes()[:-1]:
            if volume.journal != journal:
                event, reading = self._lane(volume)
                event.heard(0, now_ms)
                reading.heard(0, now_ms)
                self._journal.acknowledge(volume.journal, 0, 0)

    def _lane(self, volume: Volume) -> tuple[EventLane, ReadingLane]:
        lanes = self._lanes.get(volume.journal)
        if lanes is None:
            lanes = (
                EventLane(volume.event_acked, volume.event_seq, Timer(self._jitter)),
                ReadingLane(volume.reading_acked, volume.reading_seq, Timer(self._jitter)),
            )
            self._lanes[volume.journal] = lanes
        return lanes

    def _jitter(self) -> float:
        return self._random.uniform(0.75, 1.25)

    def _go_back(self, volumes: list[Volume], now_ms: int) -> None:
        """To the first unacknowledged number, in every lane that has waited for its time."""
        for journal in self._lanes.keys() - {volume.journal for volume in volumes}:
            del self._lanes[journal]
        for volume in volumes:
            event, reading = self._lane(volume)
            event.again(volume.event_seq, now_ms, is_closed=volume is not volumes[-1])
            reading.again(now_ms)

    def _send_events(self, link: Link, volume: Volume, now_ms: int) -> None:
        lane, _ = self._lane(volume)
        after, count = lane.wanted(volume.event_seq, volume.event_held)
        found = self._outbox.events(volume.journal, after, count) if count else []
        if count and not found:
            self._retry_ms = now_ms + RETRY_READ_MS
        for seq, payload in found:
            if not link.publish(wire.EVENT, payload):
                break
            self._counters.resent += lane.sent(seq, now_ms)
            self._counters.events += 1

    def _send_readings(self, link: Link, volume: Volume, now_ms: int) -> None:
        _, lane = self._lane(volume)
        while link.has_room():
            after, count = lane.wanted(volume.reading_seq, volume.reading_held)
            found = self._outbox.readings(volume.journal, after, count) if count else []
            if count and not found:
                self._retry_ms = now_ms + RETRY_READ_MS
            if not found:
                return
            for seq, payload in found:
                if not link.publish(wire.READING, payload):
                    return
                self._counters.resent += lane.sent(seq, now_ms)
                self._counters.readings += 1
