"""What a page may have the agent do, as the station's protocol has it, and how often."""

from collections.abc import Callable, Mapping
from typing import Any

OPERATIONS = frozenset(
    {
        *("acknowledge", "silence", "reset", "disable", "enable"),
        *("walk_test", "end_walk_test", "self_test", "answer"),
    }
)
TEXT_MAX = 300
LONGEST_MS = 366 * 86_400_000


def question(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The question to put to the agent, but for `who`; None where it is none. Unknown keys are left out."""
    do, subject, why = asked.get("do"), asked.get("subject", ""), asked.get("why", "")
    for_ms, confirmed = asked.get("for_ms", 0), asked.get("confirmed", False)
    if do not in OPERATIONS or not _is_line(subject) or not _is_line(why):
        return None
    if type(for_ms) is not int or not 0 <= for_ms <= LONGEST_MS or type(confirmed) is not bool:
        return None
    return {"do": do, "subject": subject, "why": why, "for_ms": for_ms, "confirmed": confirmed}


def _is_line(text: object) -> bool:
    return isinstance(text, str) and len(text) <= TEXT_MAX and (text.isprintable() or not text)


class Bucket:
    """How often one station may have something done: a handful at once, then two a second."""

    SIZE = 8
    REFILL_MS = 500

    def __init__(self, mono_ms: Callable[[], int]) -> None:
        self._mono_ms = mono_ms
        self._left = self.SIZE
        self._filled_ms = mono_ms()

    def take(self) -> bool:
        """Whether there was one left."""
        gained = (self._mono_ms() - self._filled_ms) // self.REFILL_MS
        self._left = min(self.SIZE, self._left + gained)
        self._filled_ms += gained * self.REFILL_MS
        if self._left == 0:
            return False
        self._left -= 1
        return True
