"""The ladder: who is told what, when, until somebody answers. Pure; the shell sends, persists and records.

    raised ──▶ first group told ──reply_within──▶ next group … last group ──▶ once more from the first (alarms)
                     │ a reply with the code, or an acknowledgement on site: nobody else is told
                     │ no message of the group gets through: the next group at once
    more in the zone ──▶ details to those who know, once in `aggregate`; after an answer it climbs anew
    all of it cleared ──▶ all-clear to those who know (fire and electrical alarms only)

A fire's first message is never delayed and never capped. A reply counts only from a listed number and with the code of
something that stands; it acknowledges, and never silences. What is shown as disabled or tested is told to nobody.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge.core.values import LATCHING, Class, Kind, Transition
from edge.sms.inbox import News
from edge.sms.incident import Acknowledge, Incident, Message, Note, Out, Place, Purpose, Ring, dump, load_incident
from edge.sms.outbox import Outbox
from edge.sms.plan import Contact, LadderPlan
from edge.sms.texts import Spot, Texts

TOLD = frozenset({Class.FIRE, Class.ELECTRICAL, Class.EARLY_WARNING, Class.SUPERVISORY, Class.FAULT})
ROUNDS = {Class.FIRE: 3, Class.ELECTRICAL: 2}
"""How often the whole ladder is climbed while nobody answers; once for the other classes."""
BY_SMS = "SMS "
"""Begins the reason of an acknowledgement that came by SMS."""
WHY_MAX = 120


class Ladder:
    """All incidents and messages of a home. `new_code` gives a code of digits."""

    def __init__(self, plan: LadderPlan, texts: Texts, new_code: Callable[[], str]) -> None:
        self._plan = plan
        self._texts = texts
        self._new_code = new_code
        self.incidents: dict[tuple[Class, str], Incident] = {}
        self._out: list[Out] = []
        self.outbox = Outbox(plan, self._out)

    # --- what the panel says

    def take(self, news: Sequence[News], now_ms: int) -> None:
        """What has changed, in the order in which it happened."""
        for item, clock in news:
            self._take(item, clock, now_ms)
        if any(item.kind is Kind.START for item, _ in news):
            self._compare({item.subject for item, _ in news if item.kind in (Kind.RESTORE, Kind.RAISE)})

    def _take(self, item: Transition, clock: str, now_ms: int) -> None:
        if item.kind is Kind.ACKNOWLEDGE:
            self._acknowledged(item)
        elif item.kind is Kind.CONFIRM:
            self._confirmed(item)
        elif item.condition not in TOLD or item.condition is None:
            return
        elif item.kind in (Kind.RAISE, Kind.RESTORE) or (item.kind is Kind.RESOUND and item.condition in LATCHING):
            self._raised(item, item.condition, clock, now_ms)
        elif item.kind is Kind.CLEAR:
            self._cleared(item, item.condition, now_ms)

    def _raised(self, item: Transition, condition: Class, clock: str, now_ms: int) -> None:
        zone = item.zone if condition is Class.FIRE else ""
        incident = self.incidents.get((condition, zone))
        is_new = incident is None
        if incident is None:
            incident = self.incidents[condition, zone] = Incident(self._free_code(), condition, zone)
        known = incident.places.get(item.subject)
        if known is None or not known.is_standing:
            incident.places[item.subject] = Place(item.subject, item.order, clock, item.at_ms)
        elif item.kind is not Kind.RESOUND:
            return  # it stands already: a restart has brought it back
        incident.over_ms, incident.is_lost = None, False
        if is_new:
            self._climb(incident, now_ms)
        else:
            incident.has_news = True

    def _cleared(self, item: Transition, condition: Class, now_ms: int) -> None:
        incident = self.incidents.get((condition, item.zone if condition is Class.FIRE else ""))
        place = None if incident is None else incident.places.get(item.subject)
        if incident is None or place is None:
            return
        place.is_standing = False
        incident.ended_by = item.who
        if not incident.is_standing:
            # What a reset brings back within a moment has never been over.
            incident.over_ms = now_ms + self._plan.aggregate_ms

    def _confirmed(self, item: Transition) -> None:
        incident = self.incidents.get((Class.FIRE, item.zone))
        if incident is not None and not incident.is_confirmed:
            incident.is_confirmed = incident.has_news = True

    def _acknowledged(self, item: Transition) -> None:
        if item.why.startswith(BY_SMS):
            return  # a reply's own, which has been counted for its incident alone
        for incident in self.incidents.values():
            if not item.subject or item.subject in incident.places:
                incident.turn_ms = None

    def _compare(self, restored: set[str]) -> None:
        """After a restart: what the panel has not brought back is known here alone. Somebody is still to answer it."""
        for incident in self.incidents.values():
            for place in incident.places.values():
                place.is_standing = place.is_standing and place.subject in restored
            incident.is_lost = incident.over_ms is None and not incident.is_standing

    # --- what time brings

    def tick(self, now_ms: int, clock: str = "") -> None:
        """Let time pass: the next group, details, the all-clear, and what is no longer waited for."""
        for key, incident in list(self.incidents.items()):
            if incident.turn_ms is not None and incident.turn_ms <= now_ms and incident.over_ms is None:
                self._climb(incident, now_ms)
            if incident.has_news and incident.said_ms + self._plan.aggregate_ms <= now_ms:
                self._tell_more(incident, now_ms)
            is_over = incident.over_ms is not None and incident.over_ms <= now_ms
            if is_over or (incident.is_lost and incident.turn_ms is None):
                del self.incidents[key]
                self._end(incident, now_ms, clock)
        self.outbox.forget(now_ms)

    def wake_at(self, now_ms: int) -> int | None:
        """When time alone will change something, if ever. What is due already is not waited for."""
        times = [time for time in self.outbox.due_times() if time > now_ms]
        for incident in self.incidents.values():
            wanted = incident.turn_ms if incident.over_ms is None else incident.over_ms
            times += [] if wanted is None else [wanted]
            if incident.has_news:
                times.append(incident.said_ms + self._plan.aggregate_ms)
        return min(times, default=None)

    def _climb(self, incident: Incident, now_ms: int) -> None:
        """Tell the next group; behind the last one begin again, or leave it."""
        groups = self._plan.groups(incident.condition)
        at = next((at for at, group in enumerate(groups) if any(c.name not in incident.told for c in group)), None)
        if at is None and groups and incident.rounds + 1 < ROUNDS.get(incident.condition, 1):
            incident.rounds += 1
            incident.told.clear()
            at = 0
        if at is None:
            incident.turn_ms = None
            if groups:
                self._note(incident, Kind.SMS_FAILED, "", "nobody has answered")
            return
        group = [item for item in groups[at] if item.name not in incident.told]
        incident.group, incident.failing = [item.name for item in group], []
        purpose = Purpose.AGAIN if incident.rounds else Purpose.FIRST
        for contact in group:
            self._tell(incident, contact, purpose, now_ms)
            if self._plan.voice and incident.condition is Class.FIRE and (at or incident.rounds):
                self._out.append(Ring(contact.name, incident.code))
        incident.said_ms = now_ms
        incident.turn_ms = now_ms + self._plan.wait_ms(groups, at + 1)

    def _tell(self, incident: Incident, contact: Contact, purpose: Purpose, now_ms: int) -> None:
        incident.told.append(contact.name)
        if contact.name not in incident.reached:
            incident.reached.append(contact.name)
        spots = self._spots(incident, now_ms)
        shown = spots[0] if purpose is Purpose.FIRST else spots[-1]
        text = self._texts.first(incident.condition, shown, incident.code, purpose is Purpose.AGAIN)
        self._queue(incident, contact.name, purpose, text, now_ms)
        if len(spots) > 1 or incident.is_confirmed:  # whoever is told later is told all of it
            self._queue(incident, contact.name, Purpose.MORE, self._details(incident, spots), now_ms)

    def _tell_more(self, incident: Incident, now_ms: int) -> None:
        incident.has_news = False
        incident.said_ms = now_ms
        text = self._details(incident, self._spots(incident, now_ms))
        for name in incident.reached:
            self._queue(incident, name, Purpose.MORE, text, now_ms)
        if incident.turn_ms is None and incident.is_standing:  # what is new has not been answered
            incident.turn_ms = now_ms + self._plan.reply_within_ms

    def _end(self, incident: Incident, now_ms: int, clock: str) -> None:
        """It is over: those who know are told so, and what has become untrue is not sent any more."""
        if incident.condition is not Class.FIRE:
            self.outbox.drop(incident.code, "over before it was sent")
        if incident.condition not in LATCHING or incident.is_lost:
            return
        place = self._plan.zones.get(incident.zone, "") or self._words(incident.subject)
        said = clock or self._texts.ago(0)
        text = self._texts.over(incident.condition, place, incident.ended_by, said)
        for name in incident.reached:
            self._queue(incident, name, Purpose.OVER, text, now_ms)

    # --- messages

    def _queue(self, incident: Incident, name: str, purpose: Purpose, text: str, now_ms: int) -> None:
        if incident.condition is not Class.FIRE:
            left = self.outbox.left(incident.condition, now_ms)
            if left <= 0:
                if left == 0:
                    self._note(incident, Kind.SMS_FAILED, name, "daily cap reached")
                return
            text = self._texts.capped(text, purpose is not Purpose.MORE) if left == 1 else text
        about = (incident.condition, incident.zone, incident.subject)
        self.outbox.add(incident.code, name, purpose, text, now_ms, about)

    def contact(self, name: str) -> Contact | None:
        """The contact of a name, while there is one."""
        return self._plan.contact(name)

    def test(self, name: str, clock: str, now_ms: int) -> int | None:
        """A test message to a contact: its number, or None where nobody is called so."""
        if self._plan.contact(name) is None:
            return None
        return self.outbox.add("", name, Purpose.TEST, self._texts.test(clock or self._texts.ago(0)), now_ms).number

    def refused(self, message: Message, why: str, is_number: bool, now_ms: int) -> None:
        """The network refused it; `is_number`: because of whom it goes to."""
        if self.outbox.refused(message, why, is_number, now_ms):
            self._no_way_to(message, now_ms)

    def reported(self, reference: int, recipient: str, is_delivered: bool, why: str, now_ms: int) -> None:
        """A report: the phone has a part, or will never get it. One that belongs to nothing is passed over."""
        message = self.outbox.reported(reference, recipient, is_delivered, why)
        if message is not None and not is_delivered:
            self._no_way_to(message, now_ms)

    def _no_way_to(self, message: Message, now_ms: int) -> None:
        """A contact cannot be reached: where nobody of the group can, the next one is told at once."""
        incident = self._of_code(message.code)
        if incident is None or message.contact not in incident.group or incident.turn_ms is None:
            return
        if message.contact not in incident.failing:
            incident.failing.append(message.contact)
        if set(incident.group) <= set(incident.failing) and incident.over_ms is None:
            self._climb(incident, now_ms)

    # --- what people say

    def replied(self, sender: str, text: str, now_ms: int) -> None:
        """A message that came in. Only a listed number with the code of something that stands counts."""
        contact = self._plan.of_number(sender)
        if contact is None:
            return
        said = unicodedata.normalize("NFKC", text)
        numbers = set(re.findall(r"\d+", said))
        plain = "".join(char for char in said if char.isprintable())[:WHY_MAX]
        found = [item for item in self.incidents.values() if item.code in numbers]
        if not found:
            self._out.append(Note(Kind.SMS_REPLY, contact.name, f"no code of anything that stands: {plain}"))
        for incident in found:
            incident.turn_ms = None
            self._note(incident, Kind.SMS_REPLY, contact.name, plain)
            if incident.condition in LATCHING:
                # Acknowledging anything else would stop its sound, and a reply never silences.
                standing = tuple(place.subject for place in incident.places.values() if place.is_standing)
                self._out.append(Acknowledge(contact.name, BY_SMS + plain, standing))

    # --- for the shell

    def take_out(self) -> list[Out]:
        """What is to be recorded and done since the last time."""
        out = self._out[:]
        self._out.clear()
        return out

    def is_open(self, code: str) -> bool:
        """Whether the incident of a code stands and has not been answered."""
        incident = self._of_code(code)
        return incident is not None and incident.turn_ms is not None

    def save(self, now_ms: int) -> dict[str, Any]:
        """All of it, as JSON has it."""
        incidents = [dump(item) for item in self.incidents.values()]
        return {"now_ms": now_ms, "incidents": incidents, **self.outbox.save()}

    def restore(self, saved: Mapping[str, Any], now_ms: int, off_ms: int) -> None:
        """Go on with what was saved `off_ms` ago. Raises ValueError, TypeError, KeyError or AttributeError where that
        is nothing of ours; then nothing has been changed."""
        shift_ms = now_ms - off_ms - int(saved["now_ms"])
        incidents = [load_incident(table, shift_ms) for table in saved["incidents"]]
        self.outbox.restore(saved, shift_ms, now_ms)
        self.incidents = {(item.condition, item.zone): item for item in incidents}

    # --- small things

    def _of_code(self, code: str) -> Incident | None:
        return next((item for item in self.incidents.values() if code and item.code == code), None)

    def _free_code(self) -> str:
        taken = {item.code for item in self.incidents.values()}
        while (code := self._new_code()) in taken:
            continue
        return code

    def _details(self, incident: Incident, spots: Sequence[Spot]) -> str:
        return self._texts.more(incident.condition, spots, incident.is_confirmed, incident.code)

    def _spots(self, incident: Incident, now_ms: int) -> list[Spot]:
        """Its places in the order they came."""
        ranked = sorted(incident.places.values(), key=lambda place: (place.order, place.raised_ms))
        return [
            Spot(self._words(place.subject), place.order, place.clock or self._texts.ago(now_ms - place.raised_ms))
            for place in ranked
        ]

    def _words(self, subject: str) -> str:
        return self._plan.places.get(subject) or self._texts.own(subject) or subject

    def _note(self, incident: Incident, kind: Kind, who: str, why: str) -> None:
        self._out.append(Note(kind, who, why, incident.condition, incident.zone, incident.subject))
