"""What the gateway has not acknowledged yet: a ring of reports in memory, and of its alarms a copy on the flash.

A report leaves the ring when the gateway has it, not when the broker has. When the ring is full an alarm never makes
way for what is none, and every loss is counted.
"""

from device import node_wire

RING = 64
WINDOW = 4
"""Publishes that the broker has not taken yet. What it has taken and the gateway has not does not hold up the next."""
STORE_AFTER_MS = 1_000
"""An alarm that the gateway takes within a second is never written to the flash; without a link each one is."""
AGAIN_AFTER_MS = 2_000
"""The broker has it and the gateway does not answer: say it again, and less often each time, up to a minute. Soon at
first, because a broker that has just started forgets what comes before the gateway has found it too."""
AGAIN_AT_MOST_MS = 60_000


class Entry:
    """One report that waits. `at_ms` is the uptime it happened at, None when that was before this start."""

    def __init__(self, boot, seq, change, at_ms, wall_ms, live):
        self.boot = boot
        self.seq = seq
        self.change = change
        self.at_ms = at_ms
        self.wall_ms = wall_ms
        self.live = live
        self.pid = None
        self.due_ms = 0
        self.tries = 0
        self.is_stored = at_ms is None

    def age(self, now_ms, wall_now_ms):
        """`(age_ms, age_ok)`; over a power cut only the gateway's clock can tell, else it is at least our uptime."""
        if self.at_ms is not None:
            return now_ms - self.at_ms, True
        if self.wall_ms is not None and wall_now_ms is not None and wall_now_ms >= self.wall_ms:
            return wall_now_ms - self.wall_ms, True
        return now_ms, False


class Reports:
    """The reports of this boot, and the alarms that earlier ones left on the flash."""

    def __init__(self, boot, log):
        self._boot = boot
        self._log = log
        self._ring = []
        self.seq = 0
        self.dropped_alarms = 0
        self.dropped_reports = 0
        self.past = [Entry(row[0], row[1], row[2], None, row[3], False) for row in log.load()]

    def add(self, change, now_ms, wall_ms, live):
        """A change has happened."""
        self.seq += 1
        if len(self._ring) >= RING:
            self._make_room()
        self._ring.append(Entry(self._boot, self.seq, change, now_ms, wall_ms, live))

    def _make_room(self):
        for i, entry in enumerate(self._ring):
            if not entry.change.is_alarm:
                self.dropped_reports += 1
                del self._ring[i]
                return
        self.dropped_alarms += 1
        del self._ring[0]

    def waiting(self):
        """How many the gateway does not have."""
        return len(self._ring) + len(self.past)

    def held(self, boot):
        """The lowest seq of a boot that is still here; the one after the last where none is."""
        for entry in self._ring if boot == self._boot else self.past:
            if entry.boot == boot:
                return entry.seq
        return self.seq + 1

    def due(self, now_ms, may_send_past, on_their_way):
        """What to send now, in order: this boot's first, an older one's when it may."""
        entries = self._ring + self.past if may_send_past else self._ring
        room = max(0, WINDOW - on_their_way)
        return [entry for entry in entries if now_ms >= entry.due_ms][:room]

    def sent(self, entry, pid, now_ms):
        """It is on its way; said again when nobody answers."""
        entry.pid = pid
        entry.due_ms = now_ms + min(AGAIN_AFTER_MS << min(entry.tries, 5), AGAIN_AT_MOST_MS)
        entry.tries += 1

    def line_broke(self):
        """All that waits is due as soon as there is a line again, and has waited for it."""
        self.again()
        for entry in self._ring:
            entry.live = False

    def again(self):
        """Say all that waits at once: a gateway that was away is there."""
        for entry in self._ring + self.past:
            entry.due_ms = 0
            entry.tries = 0

    def unsettled(self, pids):
        """Those whose packet ids were in flight when the line broke."""
        return [entry for entry in self._ring + self.past if entry.pid in pids]

    def acknowledged(self, boot, seq):
        """The gateway has all of a boot up to `seq`; whether that is one we know."""
        if boot == self._boot:
            if seq > self.seq:
                return False
            self._ring = [entry for entry in self._ring if entry.seq > seq]
        self.past = [entry for entry in self.past if entry.boot != boot or entry.seq > seq]
        self._log.forget(boot, seq)
        return True

    def store(self, now_ms, is_up):
        """Write alarms to the flash that would be lost by a power cut now; gives False when the flash refused."""
        for entry in self._ring:
            if entry.is_stored or not entry.change.is_alarm:
                continue
            if is_up and now_ms - entry.at_ms < STORE_AFTER_MS:
                continue
            entry.is_stored = True  # also when it fails: the flash is not asked again for the same
            if not self._log.append(entry.boot, entry.seq, entry.change, entry.wall_ms, now_ms):
                return False
        return True


def report(entry, held, now_ms, wall_now_ms):
    """The message of an entry, its age as of now."""
    age_ms, age_ok = entry.age(now_ms, wall_now_ms)
    change = entry.change
    return node_wire.Report(
        entry.boot, entry.seq, held, age_ms, age_ok, entry.live, change.input, change.value, change.unknown
    )
