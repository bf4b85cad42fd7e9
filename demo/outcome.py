"""What came of an expectation."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Delay(NamedTuple):
    """The time that is neither the gateway's nor the board's: of the rules before a cause becomes an alarm, or of a
    command until it returns."""

    kind: Literal["debounce", "delay", "lost", "command"]
    ms: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """`words` is the catalogue's key, `place` where it is. Times count from the cause; None where nothing was to be
    measured, and `board_ms` is negative where the board showed it before that. `quiet_ms`: until the sound ended."""

    words: str
    place: str
    within_s: int
    is_missed: bool = False
    buzzer_ms: int | None = None
    was_sounding: bool = False
    quiet_ms: int | None = None
    board_ms: int | None = None
    delay: Delay | None = None
    count: int = 0
