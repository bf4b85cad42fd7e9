"""What a received message changes in the store: one transaction's work, and the records the board folds after it.

A message is known by (home, gateway, journal, lane, number). The same again changes nothing; the same number with other
content goes into quarantine and is said in the collector's own log, because two gateways then use one identity or a
gateway was set back. Everything here runs in the writer's thread, between its BEGIN and its COMMIT.
"""

import hashlib
import json
import secrets
from collections import Counter

from sqlite_utils import Database

from collector import ownlog
from collector.clock import Clock
from collector.ownlog import OwnEvent, OwnKind
from collector.records import (
    AckDue,
    Delivery,
    EventSeen,
    Heard,
    LinkSeen,
    OwnSeen,
    PointsSeen,
    ReadingsSeen,
    Record,
    StateSeen,
)
from collector.store.lanes import Journal, Lanes
from collector.store.losses import EVERY, Loss, loss_in
from device import wire

DUPLICATE_AGAIN_MS = 24 * 3_600_000
QUARANTINE_ROWS = 1_000  # per gateway: a confused one must not fill the disk


class Intake:
    """`out` collects the records, `counts` what happened since the start, by name."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self.clock = clock
        self.boot = secrets.token_hex(8)
        self.counts: Counter[str] = Counter()
        self.out: list[Record] = []
        self._lanes = Lanes(db.conn)
        self._due: dict[tuple[str, str, str], Journal] = {}
        self._own: OwnEvent | None = None
        self._version = 0
        self._duplicate_ms: dict[tuple[str, str, str], int] = {}
        self._latest: dict[wire.Address, wire.State | wire.Points] = {}

    # --- the frame of a transaction ---

    def finish(self) -> tuple[list[Record], list[AckDue]]:
        """Before COMMIT: write what moved; give the records, and the acknowledgements to send once it is committed."""
        self._lanes.save()
        acks = [AckDue(journal.home, journal.gateway, journal.ack) for journal in self._due.values()]
        out, self.out = self.out, []
        self._due = {}
        return out, acks

    def forget(self) -> None:
        """After ROLLBACK: nothing of this transaction has happened."""
        self.out, self._due, self._own = [], {}, None
        self._duplicate_ms.clear()
        self._latest.clear()
        self._lanes.forget()

    # --- what may be done in one ---

    def take(self, delivery: Delivery) -> None:
        """Store one message."""
        message = delivery.message
        self.counts[f"received_{delivery.address.channel}"] += 1
        if isinstance(message, wire.Event):
            self._take_event(delivery, message)
        elif isinstance(message, wire.Readings):
            self._take_readings(delivery, message)
        elif isinstance(message, wire.State):
            self._take_state(delivery, message)
        elif isinstance(message, wire.Points):
            self._take_points(delivery, message)
        elif isinstance(message, wire.Link):
            home, gateway, _ = delivery.address
            self.out.append(LinkSeen(home, gateway, delivery.receipt.no, message.link))

    def ask_acks(self) -> None:
        """Have every gateway told how far it is committed, whether or not it sent anything."""
        for journal in self._lanes.all_current():
            self._owe(journal)

    def note(self, kind: OwnKind, home: str = "", gateway: str = "", who: str = "", **detail: str | int) -> OwnEvent:
        """Add an entry to the collector's own log."""
        journal, seq, prev = self._own_head()
        entry = OwnEvent(
            journal, seq + 1, self.boot, self.clock.wall_ms(), self.clock.mono_ms(),
            kind, home, gateway, who, detail, prev,
        )  # fmt: skip
        payload, entry = ownlog.seal(entry)
        self.db.conn.execute(
            "INSERT INTO event (home, gateway, journal, seq, kind, condition, hash, prev, received_ms, payload)"
            " VALUES (?, '', ?, ?, ?, NULL, ?, ?, ?, ?)",
            (home, entry.journal, entry.seq, kind, entry.hash, entry.prev, entry.at_ms, payload),
        )
        self._own = entry
        self.out.append(OwnSeen(entry))
        self.counts[f"noted_{kind}"] += 1
        return entry

    def recount(self) -> int:
        """Count the positions of all journals anew from what is stored; gives how many were wrong."""
        gaps: dict[tuple[str, str, str], dict[int, int]] = {}
        rows = self.db.conn.execute("SELECT payload FROM event WHERE gateway = '' AND kind = ?", (OwnKind.GAP,))
        for own in (ownlog.decode(row[0]) for row in rows):
            if own.detail["lane"] == wire.EVENT:
                of_journal = gaps.setdefault((own.home, own.gateway, str(own.detail["journal"])), {})
                of_journal[int(own.detail["first"])] = int(own.detail["last"])
        return self._lanes.recount(gaps)

    # --- by channel ---

    def _take_event(self, delivery: Delivery, event: wire.Event) -> None:
        journal = self._journal(delivery, event.journal)
        known = self._known("hash", "event", journal, event.seq, journal.event.top)
        if known == event.hash:
            self.counts["duplicates"] += 1
        elif known is not None:
            self._quarantine(delivery, journal, wire.EVENT, event.seq, event.hash)
        else:
            self._store_event(delivery, journal, event)
        self._owe(journal)
        self._heard(delivery, event.boot, event.mono_ms)

    def _store_event(self, delivery: Delivery, journal: Journal, event: wire.Event) -> None:
        home, gateway, _ = delivery.address
        received_ms = delivery.receipt.wall_ms
        self.db.conn.execute(
            "INSERT INTO event (home, gateway, journal, seq, kind, condition, hash, prev, received_ms, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (home, gateway, event.journal, event.seq, event.kind, event.condition, event.hash, event.prev,
             received_ms, delivery.payload),
        )  # fmt: skip
        self.out.append(EventSeen(home, gateway, journal.rank, event, received_ms))
        self.counts["stored_event"] += 1
        self._say_breaks(journal, self._lanes.advance_event(journal, event.seq))
        loss = loss_in(event.why) if event.kind == "gap" else None
        if loss is not None:
            self._take_loss(journal, loss)

    def _take_readings(self, delivery: Delivery, readings: wire.Readings) -> None:
        journal = self._journal(delivery, readings.journal)
        digest = _digest(readings)
        known = self._known("digest", "reading", journal, readings.seq, journal.reading.top)
        if known == digest:
            self.counts["duplicates"] += 1
        elif known is not None:
            self._quarantine(delivery, journal, wire.READING, readings.seq, digest)
        else:
            self._store_readings(delivery, journal, readings, digest)
        self._owe(journal)
        self._heard(delivery, readings.boot, readings.mono_ms)

    def _store_readings(self, delivery: Delivery, journal: Journal, readings: wire.Readings, digest: str) -> None:
        home, gateway, _ = delivery.address
        received_ms = delivery.receipt.wall_ms
        self.db.conn.execute(
            "INSERT INTO reading (home, gateway, journal, seq, digest, received_ms, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (home, gateway, readings.journal, readings.seq, digest, received_ms, delivery.payload),
        )
        self._lanes.advance_reading(journal, readings.seq)
        self.out.append(ReadingsSeen(home, gateway, journal.rank, readings, received_ms))
        self.counts["stored_reading"] += 1

    def _take_state(self, delivery: Delivery, state: wire.State) -> None:
        home, gateway, _ = delivery.address
        current = self._lanes.current(home, gateway)
        if delivery.retained and current is not None and current.code != state.journal:
            return  # the broker kept it of a journal that is over, or of one whose live state comes next
        journal = self._journal(delivery, state.journal)
        self._owe(journal)
        self._heard(delivery, state.boot, state.mono_ms)
        if current is not None and current.rank > journal.rank:
            # The board follows whoever spoke last, because it may be the only one that is there.
            self._lanes.make_current(journal)
            if current.is_stated:
                # It had begun another journal: two gateways use one identity, or an old one was put back. Else only
                # its events came later: after a restore of ours it sends what it holds of older journals again.
                self._say_duplicate(journal, "journal", state.event_seq)
        journal.is_stated = journal.is_stated or not delivery.retained
        self._check_held(journal, wire.EVENT, state.event_held)
        self._check_held(journal, wire.READING, state.reading_held)
        if not delivery.retained:
            self._check_rewound(journal, state)
        self._keep_latest(delivery, state._replace(mono_ms=0, wall_ms=0))
        received_ms, is_live = delivery.receipt.wall_ms, not delivery.retained
        self.out.append(StateSeen(home, gateway, journal.rank, delivery.receipt.no, state, received_ms, is_live))

    def _take_points(self, delivery: Delivery, points: wire.Points) -> None:
        home, gateway, _ = delivery.address
        self._keep_latest(delivery, points)
        self._heard(delivery)
        self.out.append(PointsSeen(home, gateway, delivery.receipt.no, points))

    # --- identity, gaps, chain ---

    def _journal(self, delivery: Delivery, code: str) -> Journal:
        home, gateway, _ = delivery.address
        journal = self._lanes.find(home, gateway, code)
        if journal is None:
            before = self._lanes.current(home, gateway)
            journal = self._lanes.add(home, gateway, code, delivery.receipt.wall_ms)
            if before is not None:
                self.note(OwnKind.NEW_JOURNAL, home, gateway, journal=code, before=before.code)
        return journal

    def _known(self, column: str, table: str, journal: Journal, seq: int, top: int) -> str | None:
        if seq > top:  # the usual case: nothing of the kind is stored yet
            return None
        row = self.db.conn.execute(
            f"SELECT {column} FROM {table} WHERE home = ? AND gateway = ? AND journal = ? AND seq = ?",
            (journal.home, journal.gateway, journal.code, seq),
        ).fetchone()
        return None if row is None else str(row[0])

    def _quarantine(self, delivery: Delivery, journal: Journal, lane: str, seq: int, digest: str) -> None:
        self.counts["quarantined"] += 1
        held = self.db.conn.execute(
            "SELECT COUNT(*) FROM quarantine WHERE home = ? AND gateway = ?", (journal.home, journal.gateway)
        ).fetchone()
        if held[0] < QUARANTINE_ROWS:
            self.db.conn.execute(
                "INSERT INTO quarantine (home, gateway, journal, lane, seq, hash, received_ms, payload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (journal.home, journal.gateway, journal.code, lane, seq, digest,
                 delivery.receipt.wall_ms, delivery.payload),
            )  # fmt: skip
        self._say_duplicate(journal, lane, seq)

    def _say_duplicate(self, journal: Journal, lane: str, seq: int) -> None:
        key, now_ms = (journal.home, journal.gateway, journal.code), self.clock.mono_ms()
        said_ms = self._duplicate_ms.get(key)
        if said_ms is None or now_ms - said_ms >= DUPLICATE_AGAIN_MS:
            self._duplicate_ms[key] = now_ms
            self.note(OwnKind.DUPLICATE, journal.home, journal.gateway, journal=journal.code, lane=lane, seq=seq)

    def _check_held(self, journal: Journal, lane: str, held: int) -> None:
        missing, breaks = self._lanes.skip(journal, lane, held)
        self._say_gaps(journal.home, journal.gateway, journal.code, lane, missing)
        self._say_breaks(journal, breaks)

    def _take_loss(self, journal: Journal, loss: Loss) -> None:
        """What a gateway says it has lost is not waited for, and is a gap as far as it never came."""
        home, gateway = journal.home, journal.gateway
        meant = self._lanes.find(home, gateway, loss.journal)
        if meant is None and loss.journal != EVERY and loss.last is not None:
            # A restored collector has not met that journal yet; the own log will have it then.
            self._say_gaps(home, gateway, loss.journal, loss.lane, [(loss.first, loss.last)])
        for other in self._lanes.before(journal) if loss.journal == EVERY else filter(None, [meant]):
            missing, breaks = self._lanes.lose(other, loss.lane, loss.first, loss.last)
            self._say_gaps(home, gateway, other.code, loss.lane, missing)
            self._say_breaks(other, breaks)

    def _say_gaps(self, home: str, gateway: str, code: str, lane: str, gaps: list[tuple[int, int]]) -> None:
        for first, last in gaps:
            self.note(OwnKind.GAP, home, gateway, journal=code, lane=lane, first=first, last=last)

    def _say_breaks(self, journal: Journal, breaks: list[int]) -> None:
        for seq in breaks:
            self.note(OwnKind.CHAIN_BREAK, journal.home, journal.gateway, journal=journal.code, seq=seq)

    def _check_rewound(self, journal: Journal, state: wire.State) -> None:
        """A gateway that counts fewer events than it has sent was set back to an older copy of its disk."""
        if state.event_seq >= journal.event.contiguous:
            return
        row = self.db.conn.execute(
            "SELECT payload FROM event WHERE home = ? AND gateway = ? AND journal = ? AND seq = ?",
            (journal.home, journal.gateway, journal.code, state.event_seq + 1),
        ).fetchone()
        event = None if row is None else wire.decode_event(row[0])
        if event is not None and event.boot == state.boot and event.mono_ms >= state.mono_ms:
            return  # the state was made before that event and overtaken by it
        key = (journal.home, journal.gateway, journal.code)
        if key not in self._duplicate_ms:
            self._duplicate_ms[key] = self.clock.mono_ms()
            stored = journal.event.contiguous
            self.note(
                OwnKind.REWOUND, journal.home, journal.gateway, journal=journal.code, seq=state.event_seq, stored=stored
            )

    # --- small parts ---

    def _owe(self, journal: Journal) -> None:
        self._due[(journal.home, journal.gateway, journal.code)] = journal

    def _heard(self, delivery: Delivery, boot: str = "", sent_mono_ms: int = 0) -> None:
        if not delivery.retained:
            home, gateway, _ = delivery.address
            self.out.append(Heard(home, gateway, delivery.receipt.mono_ms, boot, sent_mono_ms))

    def _keep_latest(self, delivery: Delivery, content: wire.State | wire.Points) -> None:
        """Keep what a gateway says of itself. In a quiet night it says the same every 20 s: that is written once."""
        if self._latest.get(delivery.address) == content:
            return
        self._latest[delivery.address] = content
        home, gateway, channel = delivery.address
        self.db.conn.execute(
            "INSERT INTO latest (home, gateway, channel, received_ms, payload) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (home, gateway, channel)"
            " DO UPDATE SET received_ms = excluded.received_ms, payload = excluded.payload",
            (home, gateway, channel, delivery.receipt.wall_ms, delivery.payload),
        )

    def _own_head(self) -> tuple[str, int, str]:
        """The end of our own log, read anew when another process has written to the store: a command may have added to
        it, and the log is one chain."""
        (version,) = self.db.conn.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version, self._own = version, None
        if self._own is not None:
            return self._own.journal, self._own.seq, self._own.hash
        row = self.db.conn.execute(
            "SELECT journal, seq, hash FROM event WHERE gateway = '' ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return (secrets.token_hex(8), 0, ownlog.GENESIS) if row is None else (row[0], row[1], row[2])


def _digest(readings: wire.Readings) -> str:
    """What makes two batches the same. `live` says how a batch travelled, and may differ when it comes again."""
    same = json.dumps([readings.boot, readings.mono_ms, readings.readings], separators=(",", ":"))
    return hashlib.sha256(same.encode()).hexdigest()
