"""What a message says, out of the catalogue's words. Pure: the same facts give the same text.

The first message of an alarm fits into one part of 70 UTF-16 units, whatever the names are: the home's name is cut
before the place is, because the place is what somebody has to run to.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from edge.core.values import Class
from edge.sms.pdu import UNITS_ALONE, UNITS_PER_PART

PLACES_MAX = 12
MORE_MAX = 3 * UNITS_PER_PART
"""A message of details has three parts at most: networks drop longer ones."""
_CUT = "…"
_HOME_LEAST = 4


class Spot(NamedTuple):
    """One place of an incident: `order` of the spread (0 where it means nothing), and when it was raised, in words."""

    place: str
    order: int
    clock: str


class Texts:
    """`words` is the catalogue; `home` the home's name; `is_simulated` puts that word on every alarm."""

    def __init__(self, words: Mapping[str, Any], home: str, is_simulated: bool = False) -> None:
        self._words = words
        self._home = home
        self._mark = str(words["simulated"]) if is_simulated else ""

    def first(self, condition: Class, spot: Spot, code: str, is_again: bool = False) -> str:
        """The first message of an incident, or the reminder that nobody has answered it."""
        return self._fitted("again" if is_again else "first", condition, spot.place, clock=spot.clock, code=code)

    def more(self, condition: Class, spots: Sequence[Spot], is_confirmed: bool, code: str) -> str:
        """All places in the order of the spread, as far as three parts hold them; the latest are always there."""
        for shown in range(min(len(spots), PLACES_MAX), 0, -1):
            text = self._more(condition, [*spots[:1], *spots[len(spots) - shown + 1 :]], len(spots), is_confirmed, code)
            if units(text) <= MORE_MAX:
                return text
        return _cut(text, MORE_MAX)

    def over(self, condition: Class, place: str, who: str, clock: str) -> str:
        """The all-clear; `who` has reset it, "" where it went by itself."""
        by = self._message("by", who=who) if who else ""
        return self._fitted("over" if who else "over_gone", condition, place, clock=clock, who=by)

    def test(self, clock: str) -> str:
        """A test message, which is no alarm."""
        text = self._message("test", home=self._home, clock=clock)
        return text if units(text) <= UNITS_ALONE else self._message("test", home="", clock=clock)

    def capped(self, text: str, is_short: bool) -> str:
        """The last message of its class for today says so, where that fits; `is_short`: into one part."""
        longer = text + str(self._words["message"]["capped"])
        return longer if units(longer) <= (UNITS_ALONE if is_short else MORE_MAX) else text

    def own(self, code: str) -> str:
        """What one of the gateway's own points is called; "" where it has no name here."""
        if code.startswith("gw-node-"):
            return _filled(self._words["own"]["gw-node"], name=code.removeprefix("gw-node-"))
        return str(self._words["own"].get(code, ""))

    def ago(self, age_ms: int) -> str:
        """How long ago, where the clock cannot be trusted with a time of day."""
        minutes = age_ms // 60_000
        clock = self._words["clock"]
        if minutes < 1:
            return str(clock["now"])
        if minutes < 120:
            return _filled(clock["minutes"], count=minutes)
        return _filled(clock["hours"], count=minutes // 60)

    # --- making

    def _message(self, name: str, **facts: object) -> str:
        return _filled(self._words["message"][name], **facts)

    def _class(self, condition: Class) -> str:
        return self._mark + str(self._words["class"][condition])

    def _fitted(self, name: str, condition: Class, place: str, **facts: object) -> str:
        """With home and place cut so that all fits into one part."""
        facts["class"] = self._class(condition)
        room = UNITS_ALONE - units(self._message(name, home="", place="", **facts))
        home = _cut(self._home, max(_HOME_LEAST, room - units(place)))
        return self._message(name, home=home, place=_cut(place, max(0, room - units(home))), **facts)

    def _more(self, condition: Class, spots: Sequence[Spot], count: int, is_confirmed: bool, code: str) -> str:
        words = self._words["message"]
        listed = words["between"].join(self._spot(spot) for spot in spots)
        if len(spots) < count:
            listed += _filled(words["left_out"], count=count)
        confirmed = words["confirmed"] if is_confirmed else ""
        facts = {"class": self._class(condition), "home": self._home, "spots": listed}
        return self._message("more", confirmed=confirmed, code=code, **facts)

    def _spot(self, spot: Spot) -> str:
        words = self._words["message"]
        order = _filled(words["spread"], order=spot.order) if spot.order > 1 else words["first_up"] * (spot.order == 1)
        return self._message("spot", order=order, place=spot.place, clock=spot.clock)


def units(text: str) -> int:
    """How many UTF-16 units a text takes of a message."""
    return len(text.encode("utf-16-be", "replace")) // 2


def _filled(template: str, **facts: object) -> str:
    return template.format_map({name: "" if value is None else value for name, value in facts.items()})


def _cut(text: str, most: int) -> str:
    """The text within so many units, with a sign where something is missing."""
    if units(text) <= most:
        return text
    while text and units(text) > most - 1:
        text = text[:-1]
    return text + _CUT if most > 0 else ""
