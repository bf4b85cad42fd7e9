"""Trying one point with the person who stands in front of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.field.commissioning import Item, Outcome, Result
from edge.field.sheet import shown
from edge.field.terminal import Terminal
from edge.field.words import Words

POLL_S = 0.25
REMIND_S = 20.0
REST_WITHIN_S = 50.0
"""A tested point that is active for a minute is taken as real (PANEL.md, "Operating"): before that, it is looked at."""
NOTE_MAX = 200

Status = dict[str, Any]


class Stopped(Exception):
    """The person wants to go on another time."""


@dataclass(frozen=True)
class Trial:
    """One point. `status` asks the gateway and waits for it where it is away; `rest` has a latched alarm reset."""

    item: Item
    who: str
    terminal: Terminal
    words: Words
    status: Callable[[], Status]
    rest: Callable[[], None]
    timeout_s: float

    def run(self) -> Result:
        """What came of it. Raises Stopped."""
        before = {point["code"]: point for point in self.status()["points"]}
        self._show(before[self.item.code])
        while True:
            self._say("trigger")
            word, point, after_ms = self._wait(before)
            if point is not None:
                return self._seen(before[self.item.code], point, after_ms)
            if word is None:
                word = self.terminal.ask(self.words("talk.timeout", seconds=int(self.timeout_s)))
            result = self._told(word, before[self.item.code])
            if result is not None:
                return result

    def _told(self, word: str, rest: Status) -> Result | None:
        """What a command asks for; None where the point is to be tried again."""
        word = word.lower()
        if word == "q":
            raise Stopped
        if word == "m":
            now = self._point()
            note = self.terminal.ask(self.words("talk.measured"))[:NOTE_MAX]
            if now["unknown"] is not None:
                self._say("lost", reason=now["unknown"])
                return None
            return self._result(Outcome.MEASURED, rest, value=now["value"], level=now["level"], note=note)
        if word in ("s", "f"):
            outcome = Outcome.SKIPPED if word == "s" else Outcome.FAILED
            return self._result(outcome, rest, note=self.reason())
        if word not in ("", "r"):
            self._say("unknown_command", word=word)
        return None

    def reason(self) -> str:
        """Why; asked until there is one."""
        while not (reason := self.terminal.ask(self.words("talk.reason"))[:NOTE_MAX]):
            self._say("reason_needed")
        return reason

    def _wait(self, before: dict[str, Status]) -> tuple[str | None, Status | None, int]:
        """A command, or the point as it answered and after how long; neither where the time is up."""
        began_s = time.monotonic()
        reminded_s = began_s
        others: set[str] = set()
        was_active = before[self.item.code]["level"] == "alarm"
        while (passed_s := time.monotonic() - began_s) < self.timeout_s:
            word = self.terminal.within(POLL_S)
            if word:
                return word, None, 0
            points = {point["code"]: point for point in self.status()["points"]}
            own = points[self.item.code]
            is_active = own["level"] == "alarm"
            if is_active and not was_active:
                return None, own, int(passed_s * 1000)
            was_active = is_active
            self._say_others(before, points, others)
            if time.monotonic() - reminded_s >= REMIND_S:
                reminded_s = time.monotonic()
                self._say("waiting", seconds=int(passed_s))
        return None, None, 0

    def _say_others(self, before: dict[str, Status], points: dict[str, Status], said: set[str]) -> None:
        """Another point that answers instead is wired or named wrongly: say which."""
        for code, point in points.items():
            was = before[code]["level"]
            if code != self.item.code and code not in said and point["level"] == "alarm" != was:
                said.add(code)
                self._say("instead", place=point["place"], code=code)

    def _seen(self, rest: Status, point: Status, after_ms: int) -> Result:
        seconds = f"{after_ms / 1000:.1f}"
        self._say("seen", level=self.words.level(point["level"]), value=self._value(point), seconds=seconds)
        answer = self.terminal.ask(self.words("talk.right_place", place=self.item.place)).lower()
        note = ""
        if answer.startswith("n"):
            result = self._result(Outcome.FAILED, rest, point["value"], point["level"], after_ms, self.reason())
            self._come_to_rest()
            return result
        if not self._come_to_rest():
            self._say("still")
            note = self.words("talk.still").strip()
        return self._result(Outcome.SEEN, rest, point["value"], point["level"], after_ms, note)

    def _come_to_rest(self) -> bool:
        """Wait until the point is normal again; a detector that latches itself is reset where no test does it."""
        self._say("release")
        until_s, is_reset = time.monotonic() + min(REST_WITHIN_S, self.timeout_s), False
        while time.monotonic() < until_s:
            if self._point()["level"] == "normal":
                return True
            if not is_reset and time.monotonic() > until_s - REST_WITHIN_S / 2:
                is_reset = True
                self.rest()
            time.sleep(POLL_S)
        return False

    # --- what is shown

    def _show(self, point: Status) -> None:
        heard = self.words("talk.never_heard")
        if point["age_ms"] is not None:
            heard = self.words("talk.heard_ago", seconds=f"{point['age_ms'] / 1000:.1f}")
        level = self.words.level(point["level"])
        self._say("wired", wiring=self.item.wiring, value=self._value(point), level=level, heard=heard)
        if not self.item.supervised:
            self._say("unsupervised")

    def _value(self, point: Status) -> str:
        if point["unknown"] is not None:
            return self.words("talk.unknown", reason=point["unknown"])
        return shown(point["value"], self.item)

    def _point(self) -> Status:
        return next(point for point in self.status()["points"] if point["code"] == self.item.code)

    def _say(self, name: str, /, **fields: Any) -> None:
        self.terminal.say(self.words(f"talk.{name}", **fields))

    def _result(
        self, outcome: Outcome, rest: Status, value: int | None = None, level: str = "", after_ms: int | None = None,
        note: str = "",
    ) -> Result:  # fmt: skip
        now_ms = time.time_ns() // 1_000_000
        return Result(outcome, self.who, now_ms, self.item.mark, rest["value"], value, level, after_ms, note)
