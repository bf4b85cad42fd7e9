"""How well a device profile fits what a unit answered. Pure.

A profile fits when each of its registers was answered and each of its signs holds: registers that a manual gives a
value of their own, like the unit's address. A profile without signs can only be told to fit by its registers, which
other devices may have as well; so it ranks behind one that is known by its signs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from edge.core.values import Unknown
from edge.profiles import MeterProfile, Quantity, Sign, StatusBits
from edge.sources.modbus.plan import Block, decoder

Answer = Sequence[int] | Unknown
"""The words (or bits) of a block, or why there are none."""
Answered = Callable[[Block], Answer]


class Fit(NamedTuple):
    """A profile that fits a unit. `values` are scaled integers, or the reasons why there are none; a quantity is
    `plausible` when it is a value within its range, and `telling` when that is not 0, as an unused register is.
    """

    profile: str
    title: str
    signs: tuple[str, ...]
    values: Mapping[str, int | Unknown]
    coils: int = 0

    @property
    def plausible(self) -> int:
        """How many quantities are values within their range."""
        return sum(not isinstance(value, Unknown) for value in self.values.values())

    @property
    def telling(self) -> int:
        """How many of those are not 0."""
        return sum(not isinstance(value, Unknown) and value != 0 for value in self.values.values())

    @property
    def rank(self) -> tuple[Any, ...]:
        """Sorts the likeliest first: signs, then what the registers tell."""
        return -len(self.signs), -self.telling, -self.plausible, self.profile

    def why(self) -> str:
        """The evidence in words."""
        if self.coils:
            return f"{self.coils} coils answer; outputs = true only where they drive what this gateway sounds"
        said = [f"known by {', '.join(self.signs)}" if self.signs else "no signs to know it by, only its registers"]
        said.append(f"{self.plausible} of {len(self.values)} quantities plausible")
        if not self.telling:
            said.append("all read 0")
        return "; ".join(said)


def blocks_of(profile: MeterProfile) -> Iterable[Block]:
    """Every register that a profile says something about, each on its own."""
    if profile.coils:
        yield Block(1, 0, profile.coils)
    for sign in profile.sign:
        yield _block_of(sign)
    for quantity in profile.quantity.values():
        yield Block(quantity.function, quantity.address, quantity.width)
        for bits in (quantity.valid_when, quantity.broken_when):
            if bits is not None:
                yield _block_of(bits)


def fit(name: str, profile: MeterProfile, unit: int, answered: Answered) -> Fit | None:
    """How the profile fits what the unit answered; None where it does not."""
    for block in blocks_of(profile):
        if isinstance(answered(block), Unknown):
            return None
    if not all(_holds(sign, unit, answered) for sign in profile.sign):
        return None
    values = {key: _value(quantity, answered) for key, quantity in profile.quantity.items()}
    found = Fit(name, profile.title, tuple(sign.text for sign in profile.sign), values, profile.coils)
    return found if found.plausible or profile.coils or profile.sign else None


def _value(quantity: Quantity, answered: Answered) -> int | Unknown:
    for bits, is_if_set, reason in (
        (quantity.valid_when, False, Unknown.REFUSED),
        (quantity.broken_when, True, Unknown.SENSOR_BROKEN),
    ):
        if bits is not None and bool(_word(bits, answered) & bits.mask) is (is_if_set is not bits.clear):
            return reason
    words = answered(Block(quantity.function, quantity.address, quantity.width))
    assert not isinstance(words, Unknown)
    return decoder(quantity)(words)


def _holds(sign: Sign, unit: int, answered: Answered) -> bool:
    word = _word(sign, answered) & sign.mask
    if sign.unit_address:
        return word == unit
    return word in sign.one_of if sign.one_of else sign.low <= word <= sign.high


def _word(of: StatusBits | Sign, answered: Answered) -> int:
    words = answered(_block_of(of))
    assert not isinstance(words, Unknown)
    return words[0]


def _block_of(of: StatusBits | Sign) -> Block:
    return Block(of.function, of.address, 1)
