"""An expectation while it is waited for: its cause, and when buzzer and board followed."""

import threading
from typing import Any

from demo.buzzer import Buzzer
from demo.homes import EVERY
from demo.outcome import Delay, Outcome
from demo.play import Expect, Home
from demo.watch import Watch


class Awaited:
    """`began_ns` is the step's time and, where the expectation names no other, the cause. `limit` is what a quantity
    has to cross: (level, whether it has to fall below). `is_typed`: a command is its cause, whose duration is to be
    set as `delay`."""

    def __init__(
        self,
        expect: Expect,
        place: str,
        began_ns: int,
        watch: Watch,
        delay: Delay | None,
        limit: tuple[int, bool] | None,
    ) -> None:
        self.expect = expect
        self.began_ns = began_ns
        self.count = 0
        self.is_typed = False
        self.delay = delay
        self._place = place
        self._limit = limit
        self._board_ns: int | None = None
        self._buzzer_ns: int | None = None
        self._quiet_ns: int | None = None
        self._was_sounding = False
        self._met: dict[str, bool] = {}
        self._lock = threading.Lock()
        has_own_cause = expect.pin is not None or expect.quantity
        self._cause_ns: int | None = None if has_own_cause else began_ns
        self._forget = watch.listen(self._take_home)

    @property
    def needs_values(self) -> bool:
        """Whether a quantity has yet to cross its limit."""
        return self._cause_ns is None and bool(self.expect.quantity)

    @property
    def is_done(self) -> bool:
        """Whether everything that was expected has been seen."""
        expect = self.expect
        has_sounded = not expect.sounds or self._buzzer_ns is not None or self._was_sounding
        is_quiet = not expect.quiet or self._quiet_ns is not None
        is_told = self._cause_ns is not None and self._board_ns is not None
        return is_told and has_sounded and is_quiet and (self.delay is not None or not self.is_typed)

    def is_late(self, now_ns: int) -> bool:
        """Whether the time for it is over."""
        return now_ns - self.began_ns > self.expect.within_s * 1_000_000_000

    def take_log(self, entries: list[dict[str, Any]], buzzer: Buzzer, now_ns: int) -> None:
        """More of the simulator's log, which `buzzer` has taken already."""
        if self._cause_ns is None and self.expect.pin is not None:
            edges = (entry for entry in entries if entry["kind"] == "edge" and entry["pin"] == self.expect.pin)
            closed = (int(entry["monotonic_ns"]) for entry in edges if not entry["level"])
            self._cause_ns = next((at_ns for at_ns in closed if at_ns >= self.began_ns), None)
        if self._cause_ns is None:
            return
        if self.expect.sounds and self._buzzer_ns is None:
            self._was_sounding = self._was_sounding or buzzer.was_sounding(self._cause_ns)
            self._buzzer_ns = None if self._was_sounding else buzzer.rise_after(self._cause_ns)
        # Not before the board shows it: only then has the act been carried out.
        if self.expect.quiet and self._board_ns is not None and self._quiet_ns is None:
            self._quiet_ns = buzzer.quiet_since(self._cause_ns, now_ns)

    def take_value(self, value: float, now_ns: int) -> None:
        """The quantity as it is now."""
        if self._limit is not None:
            level, is_below = self._limit
            if value <= level if is_below else value >= level:
                self._cause_ns = now_ns

    def take_backlog(self, now_ns: int, count: int) -> None:
        """All of a backlog has been found on record, each event once."""
        self._board_ns, self.count = now_ns, count

    def end(self, is_missed: bool) -> Outcome:
        """Wait no longer."""
        self._forget()
        return Outcome(
            self.expect.words,
            self._place,
            self.expect.within_s,
            is_missed,
            self._since(self._buzzer_ns),
            self._was_sounding,
            self._since(self._quiet_ns),
            self._since(self._board_ns),
            self.delay,
            self.count,
        )

    def _since(self, at_ns: int | None) -> int | None:
        if at_ns is None or self._cause_ns is None:
            return None
        return (at_ns - self._cause_ns) // 1_000_000

    def _take_home(self, arrived_ns: int, home: Home) -> None:
        """A tile as it is shown; called in the watch's thread."""
        expect = self.expect
        if expect.backlog or expect.home not in (EVERY, home["code"]):
            return
        with self._lock:
            has_changed = expect.is_met(home) is not self._met.get(home["code"], False)
            self._met[home["code"]] = expect.is_met(home)
            self._note_board(arrived_ns, has_changed)

    def _note_board(self, arrived_ns: int, has_changed: bool) -> None:
        """The first time for one home; for every home the time of the last one, until one falls back."""
        if not all(self._met.values()):
            self._board_ns = None if self.expect.home == EVERY else self._board_ns
        elif self._board_ns is None or (self.expect.home == EVERY and has_changed):
            self._board_ns = max(arrived_ns, self._board_ns or 0)
