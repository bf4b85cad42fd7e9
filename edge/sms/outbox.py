"""The messages of the ladder, from the decision to send them to the report that the phone has them. Pure.

waiting ──▶ sending ──▶ accepted by the network ──▶ delivered to the phone
   ▲          │ refused, or (a fire) in doubt: again after a pause that grows
   └──────────┘ refused for good, over, or too old: dropped, and on record
"""

from collections.abc import Mapping
from typing import Any

from edge.core.values import PRIORITY, Class, Kind
from edge.sms.incident import Message, Note, Out, Purpose, dump, load_message
from edge.sms.plan import LadderPlan

RETRY_MS = (5_000, 10_000, 20_000, 40_000, 60_000)
TRIES_MAX = 10
"""A fire is tried for as long as its messages are valid, unless it is the number that is refused."""
FAILING_FROM = 2
"""Tries without success after which the next contacts are told."""
DAY_MS = 86_400_000
KEPT_MAX = 500
"""Accepted messages that are remembered for their reports."""
About = tuple[Class | None, str, str]
"""Class, zone and subject of an incident."""


class Outbox:
    """`out` is where notes for the record go."""

    def __init__(self, plan: LadderPlan, out: list[Out]) -> None:
        self._plan = plan
        self._out = out
        self.messages: list[Message] = []
        self.bad_numbers: dict[str, str] = {}
        """Contacts that no message reaches, and why."""
        self._number = 0
        self._day_ms: int | None = None
        self._used: dict[str, int] = {}

    def add(
        self, code: str, name: str, purpose: Purpose, text: str, now_ms: int, about: About = (None, "", "")
    ) -> Message:
        """One more message, due at once."""
        self._number += 1
        message = Message(self._number, code, name, *about, purpose, text, now_ms, now_ms)
        self.messages.append(message)
        return message

    def left(self, condition: Class, now_ms: int) -> int:
        """How many messages of a class may still be sent today, this one counted; below 0 it has been said already."""
        if self._day_ms is None or now_ms - self._day_ms >= DAY_MS:
            self._day_ms, self._used = now_ms, {}
        used = self._used.get(condition, 0)
        self._used[condition] = used + 1
        return self._plan.daily_cap - used

    def next(self, now_ms: int) -> Message | None:
        """What to send now: the worst first, and to each contact in the order it was said."""
        blocked: set[tuple[str, str]] = set()
        ready = []
        for item in self.messages:
            key = (item.contact, item.code)
            if item.is_accepted or key in blocked:
                continue
            blocked.add(key)
            if not item.is_sending and item.due_ms <= now_ms:
                ready.append(item)
        return min(ready, key=_rank, default=None)

    def has_urgent(self, now_ms: int) -> bool:
        """Whether a fire's first message waits to be sent now."""
        item = self.next(now_ms)
        return item is not None and _rank(item)[0] == 0

    def due_times(self) -> list[int]:
        """When the messages that wait are due."""
        return [item.due_ms for item in self._waiting()]

    def find(self, number: int) -> Message | None:
        """A message by its number, while it is remembered."""
        return next((item for item in self.messages if item.number == number), None)

    # --- what becomes of them

    def begin(self, message: Message) -> None:
        """The message is handed to the modem. To be saved before that is done."""
        message.is_sending = True

    def put_back(self, message: Message) -> None:
        """It was not handed over after all: the modem is not able to, which is no fault of the message."""
        message.is_sending = False

    def part_accepted(self, message: Message, reference: int) -> None:
        """The network has accepted one more part, under a reference."""
        message.parts += 1
        message.waiting.append(reference)

    def accepted(self, message: Message) -> None:
        """The network has accepted all parts. That is not yet delivered."""
        message.is_sending, message.is_accepted = False, True
        if self.bad_numbers.get(message.contact, "").startswith("refused"):
            del self.bad_numbers[message.contact]
        doubt = ", one part in doubt" if message.doubts else ""
        self._record(message, Kind.SMS_ACCEPTED, f"{_name(message)}{doubt}")
        self._look_whether_delivered(message)

    def refused(self, message: Message, why: str, is_number: bool, now_ms: int) -> bool:
        """The network refused it; `is_number`: because of whom it goes to. Whether the contact cannot be reached."""
        self._put_off(message, now_ms)
        if is_number:
            self.bad_numbers[message.contact] = f"refused: {why}"
        if message.tries == 1:
            self._record(message, Kind.SMS_FAILED, f"{_name(message)}: {why}")
        is_endless = message.condition is Class.FIRE and not is_number
        if message.tries >= TRIES_MAX and not is_endless:
            self._drop([message], "given up")
        return is_number or message.tries >= FAILING_FROM

    def doubtful(self, message: Message, now_ms: int) -> None:
        """Handed over, and nobody knows whether it went out: a fire is sent again, anything else is taken as sent."""
        if message.condition is Class.FIRE:
            self._put_off(message, now_ms)
            self._record(message, Kind.SMS_FAILED, f"{_name(message)}: no answer; sent again")
        else:
            message.parts += 1
            message.doubts += 1
            self.accepted(message)

    def recover(self, now_ms: int) -> None:
        """Whoever was sending is gone: what was being sent is in doubt, and not waited for."""
        for message in [item for item in self.messages if item.is_sending]:
            self.doubtful(message, now_ms)
            message.due_ms = now_ms

    def reported(self, reference: int, recipient: str, is_delivered: bool, why: str) -> Message | None:
        """A report on a part; the message that it belongs to, if there is one."""
        contact = self._plan.of_number(recipient)
        name = None if contact is None else contact.name
        found = [item for item in self.messages if item.contact == name and reference in item.waiting]
        if not found:
            return None
        message = found[-1]  # references come round again after 255 messages
        message.waiting.remove(reference)
        if is_delivered:
            message.delivered += 1
            self.bad_numbers.pop(message.contact, None)
            self._look_whether_delivered(message)
        else:
            self.bad_numbers[message.contact] = f"undelivered: {why}"
            self._record(message, Kind.SMS_FAILED, f"{_name(message)}: accepted, not delivered: {why}")
        return message

    def drop(self, code: str, why: str) -> None:
        """What waits of an incident is not sent any more."""
        self._drop([item for item in self._waiting() if item.code == code], why)

    def forget(self, now_ms: int) -> None:
        """Let go what nothing is expected of any more."""
        self._drop([item for item in self._waiting() if now_ms - item.made_ms > DAY_MS], "too old")
        kept = [item for item in self.messages if item.is_accepted and self._is_awaited(item, now_ms)][-KEPT_MAX:]
        if len(kept) < sum(item.is_accepted for item in self.messages):
            numbers = {item.number for item in kept}
            self.messages = [item for item in self.messages if not item.is_accepted or item.number in numbers]

    # --- across a restart

    def save(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        messages = [dump(item) for item in self.messages]
        counted = {"number": self._number, "day_ms": self._day_ms, "used": self._used}
        return {**counted, "bad_numbers": self.bad_numbers, "messages": messages}

    def restore(self, saved: Mapping[str, Any], shift_ms: int, now_ms: int) -> None:
        """Go on with what was saved, its times moved. What was being sent is in doubt. Raises as `Ladder.restore`."""
        messages = [load_message(table, shift_ms) for table in saved["messages"]]
        number, used, bad = int(saved["number"]), dict(saved["used"]), dict(saved["bad_numbers"])
        day_ms = None if saved["day_ms"] is None else int(saved["day_ms"]) + shift_ms
        self.messages = [item for item in messages if self._plan.contact(item.contact) is not None]
        self._number, self._used, self._day_ms = number, used, day_ms
        self.bad_numbers = {name: why for name, why in bad.items() if self._plan.contact(name) is not None}
        self.recover(now_ms)

    # --- small things

    def _put_off(self, message: Message, now_ms: int) -> None:
        message.is_sending = False
        message.tries += 1
        message.due_ms = now_ms + RETRY_MS[min(message.tries, len(RETRY_MS)) - 1]

    def _look_whether_delivered(self, message: Message) -> None:
        if message.is_accepted and message.parts == message.delivered:
            self._record(message, Kind.SMS_DELIVERED, _name(message))

    def _is_awaited(self, message: Message, now_ms: int) -> bool:
        return bool(message.waiting) and now_ms - message.made_ms <= DAY_MS

    def _drop(self, messages: list[Message], why: str) -> None:
        for message in messages:
            self._record(message, Kind.SMS_FAILED, f"{_name(message)}: not sent: {why}")
            self.messages.remove(message)

    def _waiting(self) -> list[Message]:
        return [item for item in self.messages if not item.is_accepted and not item.is_sending]

    def _record(self, message: Message, kind: Kind, why: str) -> None:
        self._out.append(Note(kind, message.contact, why, message.condition, message.zone, message.subject))


def _name(message: Message) -> str:
    return f"{message.purpose} {message.code}".strip()


def _rank(message: Message) -> tuple[int, int]:
    if message.condition is None:
        return len(PRIORITY) + 2, message.number
    if message.condition is Class.FIRE and message.purpose in (Purpose.FIRST, Purpose.AGAIN):
        return 0, message.number
    return 1 + PRIORITY.index(message.condition), message.number
