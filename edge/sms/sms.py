"""The gateway's side of telling people: takes transitions without waiting, says how it is, and keeps a worker alive."""

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.clock import Clock
from edge.config import Setup
from edge.core.values import Act, Operation, Reading, Transition, Unknown
from edge.sms.catalogue import words
from edge.sms.config import ContactTable, SmsConfig, Telling
from edge.sms.inbox import Inbox
from edge.sms.incident import Acknowledge
from edge.sms.ladder import Ladder
from edge.sms.modem import Trouble
from edge.sms.own import CARD_POINT, FULL_POINT, MODEM_POINT, REFUSED_POINT, SIGNAL_POINT, contact_points
from edge.sms.plan import Contact, LadderPlan
from edge.sms.shared import Shared
from edge.sms.store import Store
from edge.sms.texts import Texts
from edge.sms.worker import Hands, Worker

log = logging.getLogger("shouwang.sms")

HUNG_MS = 150_000
"""A turn takes no longer, a message without an answer and a call included: then the thread hangs in the kernel."""
ABANDONED_MAX = 4
FULL_FOR_MS = 60_000
CLOSE_WITHIN_S = 3.0
CODES = range(2100, 10_000)
"""Four digits: no room, no time of day and no year looks like it in a reply."""
_CARD = frozenset({Trouble.NO_SIM, Trouble.PIN_WANTED, Trouble.SIM_FAILED})
_MODEM = frozenset({Trouble.UNPLUGGED, Trouble.HUNG})


class Sms:
    """One per home with `[sms]`. All methods belong to the loop's thread, and only `close` waits.

    `record` keeps events, `act` carries out an act; both are called on the loop.
    """

    def __init__(
        self,
        config: SmsConfig,
        plan: LadderPlan,
        texts: Texts,
        folder: Path,
        clock: Clock,
        record: Callable[[Sequence[Transition]], Any],
        act: Callable[[Act], Any],
    ) -> None:
        self._config, self._plan, self._texts, self._clock = config, plan, texts, clock
        self._record, self._act = record, act
        self._inbox = Inbox()
        self._store = Store(folder)
        self._shared = Shared(clock)
        self._tickets = itertools.count(1)
        self._abandoned = 0
        self._lost_seen = 0
        self._full_until_ms: int | None = None
        self._worker: Worker | None = None

    def start(self) -> None:
        """Go on where the last agent stopped. Does not wait for what that was."""
        self._loop = asyncio.get_running_loop()
        self._worker = self._started()

    @property
    def names(self) -> list[str]:
        """Of all contacts."""
        return [item.name for item in self._plan.contacts]

    def close(self) -> None:
        """End the thread; what is not sent yet is saved."""
        if self._worker is not None:
            self._worker.stop(CLOSE_WITHIN_S)
        self._store.close()

    def _started(self) -> Worker:
        ladder = Ladder(self._plan, self._texts, lambda: str(secrets.choice(CODES)))
        hands = Hands(lambda: self._restore(ladder), self._on_loop(self._record), self._on_loop(self._acknowledged))
        worker = Worker(self._config, ladder, self._inbox, self._store, self._clock, self._shared, hands)
        worker.thread.start()
        return worker

    def _restore(self, ladder: Ladder) -> None:
        """On the worker's thread: a disk may take its time."""
        self._store.start()
        saved = self._store.latest
        if saved is None:
            return
        try:
            ladder.restore(saved, self._clock.mono_ms(), self._shared.off_ms(saved))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._store.give_up(f"{type(error).__name__}: {error}")

    def _on_loop(self, do: Callable[[Any], None]) -> Callable[[Any], None]:
        def later(what: Any) -> None:
            try:
                self._loop.call_soon_threadsafe(do, what)
            except RuntimeError:  # the loop is gone: the agent ends
                return

        return later

    def _acknowledged(self, answer: Acknowledge) -> None:
        for subject in answer.subjects:
            self._act(Act(Operation.ACKNOWLEDGE, answer.who, answer.why, subject))

    # --- for the engine

    def take(self, transitions: Sequence[Transition]) -> None:
        """What has changed, straight from memory: no disk stands between. Never waits."""
        if self._inbox.put(transitions, self._shared.time_of_day()) and self._worker is not None:
            self._worker.wake()

    def readings(self) -> list[Reading]:
        """How modem, card, network and contacts are, as points of the gateway; called once a second."""
        now_ms = self._clock.mono_ms()
        is_hung = self._is_hung(now_ms)
        if self._inbox.lost > self._lost_seen:
            self._lost_seen, self._full_until_ms = self._inbox.lost, now_ms + FULL_FOR_MS
        is_full = self._full_until_ms is not None and now_ms < self._full_until_ms
        bad = self._shared.bad_numbers
        return [
            *self._modem_readings(is_hung),
            Reading(REFUSED_POINT, int(self._shared.is_refusing)),
            Reading(FULL_POINT, int(is_full)),
            *(Reading(code, int(name in bad)) for code, name in contact_points(self._plan.contacts)),
        ]

    @property
    def is_disk_faulty(self) -> bool:
        """Whether the ladder's memory cannot be kept: the same disk as the journal's, and the same fault."""
        return self._store.is_faulty

    def _modem_readings(self, is_hung: bool) -> list[Reading]:
        health = self._shared.health
        if health is None and not is_hung:
            points = (MODEM_POINT, CARD_POINT, SIGNAL_POINT)
            return [Reading(point, None, Unknown.NOT_POLLED) for point in points]
        trouble = Trouble.HUNG if is_hung or health is None else health.trouble
        card = Reading(CARD_POINT, int(trouble in _CARD))
        signal = Reading(SIGNAL_POINT, int(trouble is Trouble.NO_SIGNAL))
        # One fault for one cause: of what lies behind a dead modem, nobody knows.
        if trouble in _MODEM:
            card = Reading(CARD_POINT, None, Unknown.NO_LINK)
        if trouble in _MODEM | _CARD:
            signal = Reading(SIGNAL_POINT, None, Unknown.NO_LINK)
        return [Reading(MODEM_POINT, int(trouble in _MODEM)), card, signal]

    def _is_hung(self, now_ms: int) -> bool:
        """Whether the thread hangs where no deadline reaches; then another takes over."""
        worker = self._worker
        if worker is None or (worker.thread.is_alive() and now_ms - worker.turned_ms <= HUNG_MS):
            return False
        if self._abandoned < ABANDONED_MAX:
            log.error("the thread that tells people hangs; another takes over")
            self._abandoned += 1
            worker.is_abandoned = True
            self._worker = self._started()
        return True

    # --- for people at the gateway

    def send_test(self, name: str) -> int | None:
        """Send a test message to a contact: a ticket to look for in `status`, None where nobody is called so."""
        if self._plan.contact(name) is None or self._worker is None:
            return None
        ticket = next(self._tickets)
        self._shared.note_test(ticket, "waiting")
        self._shared.asked_tests.append((ticket, name))
        self._worker.wake()
        return ticket

    def status(self) -> Mapping[str, Any]:
        """How it is, for the status command. No number is shown."""
        health = self._shared.health
        return {
            "trouble": None if health is None else health.trouble,
            "reason": self._shared.reason,
            "is_looked_at": health is not None,
            "registered": health is not None and health.is_registered,
            "signal": None if health is None else health.signal,
            "refused": self._shared.is_refusing,
            "waiting": self._shared.waiting,
            "lost": self._inbox.lost,
            "contacts": self.names,
            "unreachable": dict(self._shared.bad_numbers),
            "incidents": list(self._shared.incidents),
            "tests": {str(ticket): state for ticket, state in self._shared.tests.items()},
        }


def ladder_plan(
    config: SmsConfig, contacts: Sequence[ContactTable], places: Mapping[str, str], zones: Mapping[str, str]
) -> LadderPlan:
    """What the ladder goes by, out of the configuration."""
    people = tuple(
        Contact(item.name.strip(), item.number, item.conditions, item.order, item.after) for item in contacts
    )
    return LadderPlan(
        people, places, zones, config.daily_cap, int(config.reply_within), int(config.aggregate), config.voice
    )


def from_setup(
    setup: Setup,
    telling: Telling,
    clock: Clock,
    record: Callable[[Sequence[Transition]], Any],
    act: Callable[[Act], Any],
) -> Sms:
    """What a home's configuration asks for."""
    places = {plan.code: plan.place for plan in setup.plan.points if plan.place != plan.code}
    for plan in setup.plan.points:
        # A unit or a bus that died is told by the first thing that hangs on it.
        places.setdefault(plan.unit, plan.place)
        places.setdefault(plan.bus, plan.place)
    zones = {zone.code: zone.name for zone in setup.zones}
    texts = Texts(words(), setup.home.name, setup.gateway.simulated)
    ladder = ladder_plan(telling.sms, telling.contacts, places, zones)
    return Sms(telling.sms, ladder, texts, Path(setup.gateway.data), clock, record, act)
