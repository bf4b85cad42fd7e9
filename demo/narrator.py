"""What the demonstration says on the terminal: Chinese first, English second on the line, both from the catalogues."""

import os
import sys
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, TextIO

from demo.outcome import Delay, Outcome

LANGUAGES = ("zh", "en")
_INDENT = " " * 10


class Narrator:
    """Writes to `out`; a reader that has gone away (a closed pipe, a closed terminal) is no reason to end."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._catalogues = [_catalogue(language) for language in LANGUAGES]

    def say(self, key: str, **values: object) -> None:
        """A sentence in both languages, one under the other where they are long."""
        texts = self._both(key, **values)
        self._print("  ".join(texts) if sum(map(len, texts)) < 100 else "\n".join(texts))

    def word(self, key: str) -> tuple[str, str]:
        """A single entry in both languages."""
        chinese, english = (str(catalogue[key]) for catalogue in self._catalogues)
        return chinese, english

    def step(self, at_ms: int, chinese: str, english: str) -> None:
        """Something happens in the play."""
        self._print(f"{clock(at_ms)}  {chinese}  {english}")

    def outcome(self, at_ms: int, outcome: Outcome) -> None:
        """Something was seen, or was not."""
        if outcome.is_missed:
            texts = self._both("missed", seconds=outcome.within_s, words=" · ".join(self._words(outcome)))
            self._print(f"{clock(at_ms)}  !!! {'  '.join(texts)}")
            return
        self._print(f"{clock(at_ms)}  {_INDENT[:2]}{self.line(outcome)}")

    def sms(self, at_ms: int, part: Mapping[str, Any]) -> None:
        """A message that would have reached a phone, had the modem not been simulated."""
        number = f" ({part['part']}/{part['parts']})" if part["parts"] > 1 else ""
        words = f"SIMULATED {self._label('sms')} → {part['to']}{number}: {part['text']}"
        self._print(f"{clock(at_ms)}  {_INDENT[:2]}{words}")

    def line(self, outcome: Outcome) -> str:
        """What was seen and how long it took."""
        parts = [" ".join(self._words(outcome))]
        if outcome.buzzer_ms is not None:
            parts.append(self._figure("buzzer", outcome.buzzer_ms))
        if outcome.was_sounding:
            parts.append(f"{self._label('buzzer')} {self._label('already')}")
        if outcome.quiet_ms is not None:
            parts.append(self._figure("buzzer_off", outcome.quiet_ms))
        if outcome.board_ms is not None:
            parts.append(self._figure("board", outcome.board_ms))
        note = f"  ({self._delay(outcome.delay)})" if outcome.delay is not None else ""
        return " → ".join(parts) + note

    def table(self, outcomes: Sequence[Outcome]) -> None:
        """All outcomes of a play, one a line, the figures in columns."""
        rows = [("", self._label("buzzer"), self._label("board"), "")]
        rows += [self._row(outcome) for outcome in outcomes]
        widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            words, buzzer, board, _ = (_space(text, width) for text, width in zip(row, widths, strict=True))
            self._print(f"  {row[0]}{words}  {buzzer}{row[1]}  {board}{row[2]}  {row[3]}".rstrip())

    def _row(self, outcome: Outcome) -> tuple[str, str, str, str]:
        already = self._label("already")
        buzzer_ms = outcome.buzzer_ms if outcome.quiet_ms is None else outcome.quiet_ms
        buzzer = already if outcome.was_sounding else _figure(buzzer_ms)
        board = already if outcome.board_ms is not None and outcome.board_ms < 0 else _figure(outcome.board_ms)
        note = self._delay(outcome.delay) if outcome.delay is not None else ""
        mark = "!!! " if outcome.is_missed else ""
        return mark + " ".join(self._words(outcome)), buzzer, board, note

    def blank(self) -> None:
        """An empty line."""
        self._print("")

    def plain(self, text: str) -> None:
        """A text that has no language, such as a log's lines."""
        self._print(text)

    def _both(self, key: str, **values: object) -> list[str]:
        return [str(catalogue[key]).format(**values) for catalogue in self._catalogues]

    def _words(self, outcome: Outcome) -> list[str]:
        texts = [str(catalogue["words"][outcome.words]).format(count=outcome.count) for catalogue in self._catalogues]
        return [f"{outcome.place} {texts[0]}".strip(), texts[1]]

    def _label(self, key: str) -> str:
        return " ".join(str(catalogue["label"][key]) for catalogue in self._catalogues)

    def _figure(self, key: str, value_ms: int) -> str:
        if value_ms < 0:  # before its cause
            return f"{self._label(key)} {self._label('already')}"
        return f"{self._label(key)} {_figure(value_ms)}"

    def _delay(self, delay: Delay) -> str:
        figure = f"{delay.ms} ms" if delay.ms < 1000 else f"{delay.ms / 1000:g} s"
        return f"{self._label(delay.kind)} {figure}"

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except OSError:
            # The reader or the terminal has gone away. What is still in the buffer goes nowhere from now on.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)


def _figure(value_ms: int | None) -> str:
    if value_ms is None:
        return ""
    return f"{value_ms} ms" if value_ms < 10_000 else f"{value_ms / 1000:.1f} s"


def _width(text: str) -> int:
    """Columns on a terminal, where a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _space(text: str, width: int) -> str:
    """What a text lacks to be `width` columns wide."""
    return " " * (width - _width(text))


def clock(at_ms: int) -> str:
    """Minutes, seconds and tenths of the play."""
    return f"{at_ms // 60_000}:{at_ms % 60_000 / 1000:04.1f}"


def _catalogue(language: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("demo") / "locale" / f"{language}.toml").read_text("utf-8"))
