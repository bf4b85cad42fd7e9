"""The serial line to a modem: commands with a deadline, and what it says unasked in between.

    -> AT+CREG? CR      <- CR LF +CREG: 0,1 CR LF   CR LF OK CR LF
A command is over with OK, ERROR, +CME ERROR: n or +CMS ERROR: n. Anything else is the answer, an echo of the command,
or was not asked for: a message that came (+CMTI), a report (+CDS, with its PDU on the next line), noise.
"""

import os
import re
import select
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

PDU_TAIL = "\x1a"
ESCAPE = "\x1b"
WRITE_WITHIN_S = 2.0
_LOOK_S = 0.25
"""How often a wait looks whether it is still wanted."""
_READ_BYTES = 4096
_LINE_MAX = 4096
"""A line longer than any PDU is garbage at a wrong speed."""
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{10,}")
_FINAL = re.compile(r"OK|ERROR|\+CM[ES] ERROR:.*")
_CALL_ENDS = ("NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE")
_WITH_PDU = ("+CDS:", "+CMT:")
_UNASKED = ("+CMTI:", "+CDSI:", *_CALL_ENDS)
_RESTARTED = ("RDY", "START", "*ATREADY", "SMS DONE", "PB DONE", "SMS READY")


class Unplugged(Exception):
    """The port is gone, or refuses."""


class Stopped(Exception):
    """Nobody wants the answer any more: the agent ends."""


class Answer(NamedTuple):
    """What a command came to. `final` is "" where its time was over; `lines` are those that answer it."""

    final: str
    lines: list[str]

    @property
    def is_ok(self) -> bool:
        """Whether it was done."""
        return self.final == "OK"


class Unasked(NamedTuple):
    """What the modem said by itself: `head` as "+CDS:", the rest of the line, and the PDU that followed."""

    head: str
    rest: str
    pdu: str = ""


class Serial(Protocol):
    """What is needed of pyserial's port."""

    def fileno(self) -> int: ...
    def write(self, data: bytes, /) -> int | None: ...
    def close(self) -> None: ...


class Line:
    """One open port, for one thread. `is_stopping` ends a wait with `Stopped`. Methods raise `Unplugged`."""

    def __init__(self, port: Serial, is_stopping: Callable[[], bool]) -> None:
        self._port = port
        self._is_stopping = is_stopping
        self._received = b""
        self._command = ""
        self._pdu_of: Unasked | None = None
        self.unasked: list[Unasked] = []
        self.has_restarted = False

    def close(self) -> None:
        """Let the port go."""
        self._port.close()

    def send(self, text: str) -> None:
        """Write; a port that takes nothing for two seconds is as good as gone."""
        try:
            self._port.write(text.encode("ascii"))
        except OSError as error:  # pyserial's own errors are OSErrors too
            raise Unplugged(str(error)) from None

    def command(self, text: str, within_s: float, prefix: str = "") -> Answer:
        """Give a command and collect the lines that begin with `prefix`, each with the PDU that follows it."""
        self._begin(text)
        return self.finish(within_s, prefix)

    def ask_prompt(self, text: str, within_s: float) -> Answer:
        """Give a command that is answered with ">": `final` is then ">"."""
        self._begin(text)
        until_s = time.monotonic() + within_s
        while True:
            line = self._next_line(until_s, is_prompt_wanted=True)
            if line is None and self._is_prompted():
                self._received = self._received.lstrip(b"\r\n >")
                return Answer(">", [])
            if line is None or _FINAL.fullmatch(line):
                return Answer(line or "", [])

    def finish(self, within_s: float, prefix: str = "") -> Answer:
        """Wait for the end of what has been begun."""
        until_s = time.monotonic() + within_s
        lines: list[str] = []
        is_behind = False
        while (line := self._next_line(until_s)) is not None:
            if _FINAL.fullmatch(line):
                return Answer(line, lines)
            if is_behind and _HEXADECIMAL.fullmatch(line):
                lines[-1] += "\n" + line
                is_behind = False
            elif prefix and line.startswith(prefix):
                lines.append(line)
                is_behind = True
        return Answer("", lines)

    def listen(self, within_s: float, *wake: int) -> None:
        """Take what the modem says unasked until something was said, `wake` can be read or the time is over."""
        self._read(within_s, *wake)
        while (line := self._cut()) is not None:
            self._sort_out(line)

    # --- lines

    def _begin(self, text: str) -> None:
        while (line := self._cut()) is not None:  # what was said before belongs to nobody
            self._sort_out(line)
        self._command = text
        self.send(text + "\r")

    def _next_line(self, until_s: float, is_prompt_wanted: bool = False) -> str | None:
        """The next line that may answer; None when the time is over, or a prompt may have come."""
        while True:
            while (line := self._cut()) is not None:
                if not self._sort_out(line):
                    return line
            if is_prompt_wanted and self._is_prompted():
                return None
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return None
            if self._is_stopping():
                raise Stopped
            self._read(min(left_s, _LOOK_S))

    def _is_prompted(self) -> bool:
        return self._received.lstrip(b"\r\n ").startswith(b">")

    def _sort_out(self, line: str) -> bool:
        """Take an echo, or what was not asked for; whether it was one."""
        if self._pdu_of is not None and _HEXADECIMAL.fullmatch(line):
            self.unasked.append(self._pdu_of._replace(pdu=line))
            self._pdu_of = None
            return True
        if self._command and line == self._command:
            # ATE0 has been given long ago, unless this is its own echo: the modem has lost its settings.
            self.has_restarted = self.has_restarted or not line.startswith("ATE")
            return True
        if line.startswith(_WITH_PDU):
            self._pdu_of = Unasked(line[:5], line[5:].strip())
            return True
        if line.upper() in _RESTARTED:
            self.has_restarted = True
            return True
        head = next((head for head in _UNASKED if line.startswith(head)), None)
        if head is not None:
            self.unasked.append(Unasked(head, line[len(head) :].strip()))
        return head is not None

    def _cut(self) -> str | None:
        """The next line that is not empty, out of what has been received."""
        while True:
            at = min((at for at in (self._received.find(b"\r"), self._received.find(b"\n")) if at >= 0), default=-1)
            if at < 0:
                if len(self._received) > _LINE_MAX:
                    self._received = b""
                return None
            line, self._received = self._received[:at].strip(), self._received[at + 1 :]
            if line:
                return line.decode("ascii", "replace")

    def _read(self, within_s: float, *wake: int) -> None:
        try:
            descriptor = self._port.fileno()
            ready, _, _ = select.select([descriptor, *wake], [], [], within_s)
            if descriptor in ready:
                data = os.read(descriptor, _READ_BYTES)
                if not data:
                    raise Unplugged("the port has been hung up")
                self._received += data
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            raise Unplugged(str(error)) from None
