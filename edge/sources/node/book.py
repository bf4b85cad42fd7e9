"""Which reports of a node have been counted: each once, however often and in whichever order it comes.

A report is (boot, seq). For each boot there is the number up to which all has been counted or is lost, and what has
been counted beyond it. A `Book` is a value that is changed in place by its one owner; `saved` is what outlives it.
"""

from collections.abc import Mapping
from typing import Any

MOST_BOOTS = 16
"""A node keeps 24 alarms of earlier boots at most, and those are seldom of as many boots."""
MOST_AHEAD = 256
"""A node's ring has 64; one that counts wildly is followed, not hoarded."""


class _Boot:
    __slots__ = ("ahead", "done")

    def __init__(self, done: int, ahead: set[int]) -> None:
        self.done = done
        self.ahead = ahead
        self.absorb()

    def absorb(self) -> None:
        while self.done + 1 in self.ahead:
            self.done += 1
            self.ahead.discard(self.done)


class Book:
    """The counted reports of one node, its present boot, and the boots that are over."""

    def __init__(self, saved: Mapping[str, Any] | None = None) -> None:
        self._boots: dict[str, _Boot] = {}
        self._ended: list[str] = []
        self.boot = ""
        if saved is not None:
            self._restore(saved)

    def _restore(self, saved: Mapping[str, Any]) -> None:
        try:
            boots = {str(boot): _Boot(int(done), set(map(int, ahead))) for boot, done, ahead in saved["boots"]}
            boot, ended = str(saved["boot"]), [str(boot) for boot in saved["ended"]]
        except (KeyError, TypeError, ValueError):
            return  # nobody knows what was counted: an alarm is told twice rather than never
        self._boots, self.boot, self._ended = boots, boot, ended

    def saved(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "boot": self.boot,
            "ended": list(self._ended),
            "boots": [[boot, each.done, sorted(each.ahead)] for boot, each in self._boots.items()],
        }

    def begin(self, boot: str) -> None:
        """The node speaks in this boot now; the one before is over."""
        if boot == self.boot:
            return
        if self.boot:
            self._ended = [*self._ended, self.boot][-MOST_BOOTS:]
        self.boot = boot

    def has_ended(self, boot: str) -> bool:
        """Whether a beat of this boot is one from the past."""
        return boot in self._ended

    def pass_lost(self, boot: str, held: int) -> int:
        """The node has nothing below `held` any more: how many of those were never counted. A boot that nobody knew
        begins there."""
        known = self._boots.get(boot)
        if known is None:
            self._keep(boot, _Boot(max(0, held - 1), set()))
            return 0
        lost = max(0, held - 1 - known.done) - sum(1 for seq in known.ahead if seq < held)
        known.done = max(known.done, held - 1)
        known.ahead = {seq for seq in known.ahead if seq > known.done}
        known.absorb()
        return lost

    def take(self, boot: str, seq: int) -> bool:
        """Count a report; whether it had not been counted before."""
        known = self._boots.get(boot)
        if known is None:
            known = self._keep(boot, _Boot(max(0, seq - 1), set()))
        if seq <= known.done or seq in known.ahead:
            return False
        known.ahead.add(seq)
        known.absorb()
        if len(known.ahead) > MOST_AHEAD:
            known.done = min(known.ahead) - 1
            known.absorb()
        return True

    def done(self, boot: str) -> int:
        """The number up to which every report of a boot has been counted or is lost."""
        known = self._boots.get(boot)
        return 0 if known is None else known.done

    def _keep(self, boot: str, made: _Boot) -> _Boot:
        self._boots[boot] = made
        while len(self._boots) > MOST_BOOTS:
            # The oldest that is not the present one; a replay of it would be told again, with its age.
            del self._boots[next(each for each in self._boots if each not in (boot, self.boot))]
        return made
