"""What a gateway says it has lost for good: the `why` of its `gap` events, written for people and read here.

    lane=event journal=3f2a... from=41 to=49 cause=damage
    lane=reading journal=3f2a... from=12 cause=damage         nobody knows how many there were
    lane=event journal=* from=1 cause=damage                  of every journal that it had before

Only what names a journal and a number moves anything; the rest is for people.
"""

from typing import NamedTuple

from device import wire

EVERY = "*"


class Loss(NamedTuple):
    """Numbers `first` to `last` of a lane. `last` is None where it is not known; `journal` may be EVERY."""

    journal: str
    lane: str
    first: int
    last: int | None


def loss_in(why: str) -> Loss | None:
    """The loss that the words name, if they do."""
    said = dict(word.split("=", 1) for word in why.split(" ") if "=" in word)
    first, last = _number(said.get("from")), _number(said.get("to"))
    if said.get("lane") not in (wire.EVENT, wire.READING) or first is None or not said.get("journal"):
        return None
    if "to" in said and (last is None or last < first):
        return None
    return Loss(said["journal"], said["lane"], first, last)


def _number(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 15):
        return None
    number = int(text)
    return number if number >= 1 else None
