"""A person at a terminal: lines out, and lines in that nobody has to wait for."""

import os
import select
import sys
import time
from typing import TextIO


class Gone(Exception):
    """Nobody is at the other end any more."""


class Terminal:
    """One line at a time. Reads the descriptor itself, so that a line typed early is not lost between two questions."""

    def __init__(self, source: int | None = None, out: TextIO | None = None) -> None:
        self._source = sys.stdin.fileno() if source is None else source
        self._out = out or sys.stdout
        self._buffer = b""

    def say(self, text: str, end: str = "\n") -> None:
        """Print at once."""
        self._out.write(text + end)
        self._out.flush()

    def ask(self, prompt: str) -> str:
        """What is typed after the prompt, without the spaces around it. Gone where nobody is there."""
        self.say(prompt, end="")
        while True:
            line = self.within(3600.0)
            if line is not None:
                return line

    def within(self, wait_s: float) -> str | None:
        """A line that is typed within that time; None where none is. Gone at the end of the input."""
        until_s = time.monotonic() + wait_s
        while b"\n" not in self._buffer:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([self._source], [], [], left_s)[0]:
                return None
            found = os.read(self._source, 4096)
            if not found:
                raise Gone
            self._buffer += found
        line, _, self._buffer = self._buffer.partition(b"\n")
        return "".join(filter(str.isprintable, line.decode("utf-8", "replace"))).strip()
