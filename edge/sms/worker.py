"""The thread that tells people: it moves the ladder on, and sends what that says through the modem.

Before a message is handed to the modem that is saved, so that after a power cut nothing is sent twice that need not be;
a fire in doubt is sent again. While the modem is in trouble nothing is given up: messages wait, the ladder climbs, and
the modem is tried again after a pause that grows.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Thread
from typing import NamedTuple

from edge.clock import Clock
from edge.core.values import Kind, Transition
from edge.sms.config import SmsConfig, masked
from edge.sms.inbox import Inbox
from edge.sms.incident import Acknowledge, Message, Note, Purpose, Ring
from edge.sms.ladder import Ladder
from edge.sms.line import Stopped
from edge.sms.modem import Doubtful, Health, Modem, Outcome, Refused, Sent, Trouble
from edge.sms.pdu import Bad, Deliver, Submit, decode, encode
from edge.sms.shared import Shared
from edge.sms.store import Store

log = logging.getLogger("shouwang.sms")

LOOK_MS = 20_000
"""How often the modem is looked at: a card that is pulled is a fault well within 100 s."""
RETRY_MS = (1_000, 2_000, 5_000, 10_000, 20_000)
"""How soon a modem in trouble is tried again."""
CHECK_MS = 86_400_000
"""How often what was found is put on record: signal, network, card."""
TURN_MS = 5_000
"""The longest sleep, so that a thread that hangs is told from one that has nothing to do."""
NUMBER_REFUSALS = frozenset({1, 21, 27, 28, 30})
"""+CMS ERROR of TS 24.011, E.2, that are about whom the message goes to: unassigned, rejected, out of service,
unidentified and unknown subscriber."""
WHY_MAX = 300


class Hands(NamedTuple):
    """What the worker asks of the agent, on its own thread: to give the ladder what the last agent left, which may take
    a moment; to keep events; to carry out an acknowledgement. The latter two must not wait."""

    restore: Callable[[], None]
    record: Callable[[Sequence[Transition]], None]
    acknowledge: Callable[[Acknowledge], None]


class Worker:
    """One thread with a modem and a ladder of its own. One that hangs is abandoned, and another takes over."""

    def __init__(
        self, config: SmsConfig, ladder: Ladder, inbox: Inbox, store: Store, clock: Clock, shared: Shared, hands: Hands
    ) -> None:
        self._ladder, self._inbox, self._store = ladder, inbox, store
        self._clock, self._shared, self._hands = clock, shared, hands
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._is_stopping = False
        self.is_abandoned = False
        self._modem = Modem(config, lambda: self._is_stopping or self.is_abandoned)
        self._look_ms = 0
        self._troubles = 0
        self._checked_ms: int | None = None
        self._is_greeted = self._is_fresh = False
        self._rings: deque[Ring] = deque()
        self._tests: dict[int, int] = {}
        self.turned_ms = clock.mono_ms()
        self.thread = Thread(target=self._run, name="sms", daemon=True)

    # --- for other threads

    def wake(self) -> None:
        """Have the worker look. Never waits."""
        try:
            os.write(self._wake_write, b"\0")
        except OSError:  # it has been woken often enough, or is gone
            return

    def stop(self, within_s: float) -> None:
        """Have the thread end; one that hangs in the modem is left to itself."""
        self._is_stopping = True
        self.wake()
        if self.thread.is_alive():
            self.thread.join(within_s)

    # --- the thread

    def _run(self) -> None:
        try:
            self._hands.restore()
            while not (self._is_stopping or self.is_abandoned):
                self.turned_ms = self._clock.mono_ms()
                try:
                    self._turn()
                except Stopped:
                    break
                except Exception:
                    # Whatever it was, the next turn begins with what is known; a mistake here must not end the ladder.
                    log.exception("telling people failed and is tried again")
                    self._modem.close()
                    self._ladder.outbox.recover(self._clock.mono_ms())
                    time.sleep(1.0)
        finally:
            self._modem.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _turn(self) -> None:
        self._take_news()
        self._look_after_modem()
        self._take_incoming()
        self._settle()
        message = self._ladder.outbox.next(self._clock.mono_ms()) if self._may_send() else None
        if message is not None:
            self._send(message)
        elif self._rings and self._modem.health.trouble is None:
            self._ring(self._rings.popleft())
        else:
            self._sleep()

    def _take_news(self) -> None:
        """What the engine handed over, and what time has brought."""
        now_ms = self._clock.mono_ms()
        news = self._inbox.take()
        if news:
            self._ladder.take(news, now_ms)
        self._ladder.tick(now_ms, self._shared.time_of_day())
        while self._shared.asked_tests:
            ticket, name = self._shared.asked_tests.popleft()
            number = self._ladder.test(name, self._shared.time_of_day(), now_ms)
            if number is not None:
                self._tests[number] = ticket
        if news:
            self._save()

    def _sleep(self) -> None:
        """Until something comes, or is due."""
        now_ms = self._clock.mono_ms()
        # What is due already waits for the modem.
        times = [self._look_ms, now_ms + TURN_MS]
        due_ms = self._ladder.wake_at(now_ms)
        if due_ms is not None and due_ms > now_ms:
            times.append(due_ms)
        self._modem.listen(max(0, min(times) - now_ms) / 1000, self._wake_read)
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            return

    def _settle(self) -> None:
        """Put on record, and do, what the ladder came to."""
        out = self._ladder.take_out()
        if not out:
            return
        self._save()
        notes = [item for item in out if isinstance(item, Note)]
        self._record(notes)
        self._note_tests(notes)
        for item in out:
            if isinstance(item, Ring):
                self._rings.append(item)
            elif isinstance(item, Acknowledge):
                self._hands.acknowledge(item)
        self._shared.publish(self._ladder, self._modem.health, self._clock.mono_ms())

    def _record(self, notes: Sequence[Note]) -> None:
        now_ms = self._clock.mono_ms()
        made = [
            Transition(item.kind, now_ms, item.condition, item.zone, item.subject, who=item.who, why=item.why[:WHY_MAX])
            for item in notes
        ]
        if made:
            self._hands.record(made)

    def _save(self) -> None:
        if not self.is_abandoned:
            self._store.save({"stamp": self._shared.stamp(), **self._ladder.save(self._clock.mono_ms())})

    # --- the modem

    def _may_send(self) -> bool:
        """Whether to try. A modem that says it has no network is tried all the same for a fire: it may be wrong."""
        trouble = self._modem.health.trouble
        is_urgent = self._ladder.outbox.has_urgent(self._clock.mono_ms())
        return self._is_greeted and (trouble is None or (trouble is Trouble.NO_SIGNAL and is_urgent and self._is_fresh))

    def _look_after_modem(self) -> None:
        now_ms = self._clock.mono_ms()
        self._is_fresh = False
        if now_ms < self._look_ms:
            return
        health = self._modem.make_ready()
        self._is_fresh = True
        self._found(health)
        if not self._is_greeted and health.trouble in (None, Trouble.NO_SIGNAL):
            self._is_greeted = True
            self._hear(self._modem.read(is_all=True))

    def _found(self, health: Health) -> None:
        """Note how the modem is, and when to look again."""
        now_ms = self._clock.mono_ms()
        if health.trouble is None:
            self._troubles = 0
            self._look_ms = now_ms + LOOK_MS
        else:
            self._is_greeted = self._is_greeted and health.trouble is Trouble.NO_SIGNAL
            self._look_ms = now_ms + RETRY_MS[min(self._troubles, len(RETRY_MS) - 1)]
            self._troubles += 1
        self._shared.found(health, self._modem.reason)
        self._shared.publish(self._ladder, health, now_ms)
        if self._checked_ms is None or now_ms - self._checked_ms >= CHECK_MS:
            self._checked_ms = now_ms
            self._record([Note(Kind.SMS_CHECK, "", _described(health))])

    def _trouble(self, trouble: Trouble) -> None:
        """It came in the middle of something."""
        self._modem.health = Health(trouble)
        self._found(self._modem.health)

    def _take_incoming(self) -> None:
        if self._modem.health.trouble is Trouble.UNPLUGGED and self._look_ms > self._clock.mono_ms() + LOOK_MS // 2:
            self._trouble(Trouble.UNPLUGGED)  # found while listening: not to be looked for in 20 s only
        if self._modem.has_news():
            self._hear(self._modem.read())

    def _hear(self, pdus: Sequence[str]) -> None:
        for pdu in pdus:
            came, now_ms = decode(pdu), self._clock.mono_ms()
            if isinstance(came, Bad):
                log.warning("a message that cannot be read came in: %s", came.reason)
            elif isinstance(came, Deliver):
                log.info("a message came in from %s", masked(came.sender))
                self._ladder.replied(came.sender, came.text, now_ms)
            elif came.is_delivered or came.is_failed:
                why = f"status {came.status:#04x}"
                self._ladder.reported(came.reference, came.recipient, came.is_delivered, why, now_ms)
        if pdus:
            self._settle()

    # --- sending

    def _send(self, message: Message) -> None:
        outbox, now_ms = self._ladder.outbox, self._clock.mono_ms()
        contact = self._ladder.contact(message.contact)
        parts = encode(contact.number if contact else "", message.text, message.number & 0xFF)
        if isinstance(parts, Bad):
            self._ladder.refused(message, parts.reason, True, now_ms)
            return
        outbox.begin(message)
        self._save()
        for part in parts[message.parts :]:
            if not self._send_part(message, part):
                return
        outbox.accepted(message)
        self._shared.is_refusing = False
        self._settle()

    def _send_part(self, message: Message, part: Submit) -> bool:
        """Whether it went out, and the next one may follow."""
        outcome = self._modem.send(part)
        self.turned_ms = self._clock.mono_ms()
        if isinstance(outcome, Sent):
            self._ladder.outbox.part_accepted(message, outcome.reference)
            self._save()
            self._take_incoming()
            self._take_news()
            if not self._has_to_give_way(message):
                return True
            self._ladder.outbox.put_back(message)
        else:
            self._not_sent(message, outcome)
        self._settle()
        return False

    def _not_sent(self, message: Message, outcome: Outcome) -> None:
        now_ms = self._clock.mono_ms()
        if isinstance(outcome, Refused) and self._modem.health.trouble is None:
            is_number = outcome.code in NUMBER_REFUSALS
            self._shared.is_refusing = self._shared.is_refusing or not is_number
            log.warning("a message to %s was refused: %s", message.contact, outcome.said)
            self._ladder.refused(message, outcome.said, is_number, now_ms)
        elif isinstance(outcome, Doubtful):
            self._ladder.outbox.doubtful(message, now_ms)
            self._look_ms = now_ms
        else:
            self._ladder.outbox.put_back(message)
            if isinstance(outcome, Trouble):
                self._trouble(outcome)

    def _has_to_give_way(self, message: Message) -> bool:
        """A fire's first message does not wait for the other parts of a long one."""
        is_first = message.purpose in (Purpose.FIRST, Purpose.AGAIN)
        return not is_first and self._ladder.outbox.has_urgent(self._clock.mono_ms())

    def _ring(self, ring: Ring) -> None:
        contact = self._ladder.contact(ring.contact)
        if contact is None or not self._ladder.is_open(ring.code):
            return
        ended = self._modem.call(contact.number, lambda: not self._inbox.has_fire)
        self._record([Note(Kind.CALL, contact.name, ended)])

    # --- tests of the installer's

    def _note_tests(self, notes: Sequence[Note]) -> None:
        for number, ticket in list(self._tests.items()):
            message = self._ladder.outbox.find(number)
            said = [item.kind for item in notes if item.why.startswith(Purpose.TEST)]
            if said:
                self._shared.note_test(ticket, said[-1].removeprefix("sms_"))
            if message is None:
                del self._tests[number]


def _described(health: Health) -> str:
    signal = "unknown" if health.signal is None else f"{health.signal}/31"
    network = "registered" if health.is_registered else "not registered"
    return f"{health.trouble or 'ok'}: signal {signal}, {network}"
