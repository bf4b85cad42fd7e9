"""A modem on a serial port: made ready, looked after, sent through. Blocking, with a deadline on everything.

Whatever goes wrong is a `Trouble` with a name; nobody guesses a PIN, which would lock the card for good.
"""

import re
import select
import termios
import time
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import serial

from edge.sms.config import SmsConfig
from edge.sms.line import ESCAPE, PDU_TAIL, WRITE_WITHIN_S, Answer, Line, Serial, Stopped, Unplugged
from edge.sms.pdu import Submit

ANSWER_S = 2.0
"""Commands that the modem answers by itself take milliseconds."""
CARD_S = 5.0
"""Those that ask the card may take seconds (Quectel EC25 manual: +CPIN? 5 s)."""
PROMPT_S = 5.0
SEND_S = 60.0
"""The network's answer to a message; the manuals allow up to 120 s, and an alarm has other contacts."""
RING_S = 25.0
GREET_TRIES = 3
LISTED_MAX = 100
_CME_NO_SIM, _CME_SIM_FAILURES = 10, (13, 15)
_CMS_NO_SIM, _CMS_PIN, _CMS_SIM_FAILURES = (310,), (311, 312, 316, 317, 318), (313, 315)
_CMS_NO_SIGNAL = (331, 332)
_REGISTERED = {1, 5, 6, 7}
"""+CREG: home, roaming, and both for SMS only (TS 27.007, 10.1.20)."""


class Trouble(StrEnum):
    """Why nothing can be sent."""

    UNPLUGGED = "unplugged"
    HUNG = "hung"
    NO_SIM = "no_sim"
    PIN_WANTED = "pin_wanted"
    SIM_FAILED = "sim_failed"
    NO_SIGNAL = "no_signal"


_CARD_TROUBLES = (
    (_CMS_NO_SIM, Trouble.NO_SIM),
    (_CMS_PIN, Trouble.PIN_WANTED),
    (_CMS_SIM_FAILURES, Trouble.SIM_FAILED),
)


class Sent(NamedTuple):
    """The network has accepted a part, under this reference."""

    reference: int


class Refused(NamedTuple):
    """The network, or the modem, has refused a part: `code` of +CMS ERROR, None where it gave none."""

    code: int | None
    said: str


class Doubtful(NamedTuple):
    """The part was handed over and no answer came: nobody knows whether it went out."""


Outcome = Sent | Refused | Doubtful | Trouble


class Health(NamedTuple):
    """What a check found. `signal`: 0 to 31 of +CSQ, None where the modem cannot say."""

    trouble: Trouble | None
    is_registered: bool = False
    signal: int | None = None


def open_port(config: SmsConfig) -> Serial:
    """The port, for this process alone. Raises OSError."""
    return serial.Serial(config.device, config.baud, timeout=0, write_timeout=WRITE_WITHIN_S, exclusive=True)


class Modem:
    """One modem, for one thread. Nothing raises but `Stopped`, once `is_stopping` says so."""

    def __init__(
        self, config: SmsConfig, is_stopping: Callable[[], bool], open_: Callable[[SmsConfig], Serial] = open_port
    ) -> None:
        self._config = config
        self._is_stopping = is_stopping
        self._open = open_
        self._line: Line | None = None
        self._is_set_up = False
        self.health = Health(None)
        self.reason = ""
        """What the port or the modem said about the trouble, for the log."""

    def close(self) -> None:
        """Let the port go."""
        if self._line is not None:
            self._line.close()
            self._line = None
        self._is_set_up = False

    # --- making ready, and looking after it

    def make_ready(self) -> Health:
        """Open and set up what is not, and look how it is: card, network, signal."""
        try:
            line = self._opened()
            trouble = None if self._greet(line) else self._give_up(Trouble.HUNG, "no answer to AT")
            self.health = Health(trouble) if trouble else self._look(line)
        except Unplugged as error:
            self.health = Health(self._give_up(Trouble.UNPLUGGED, str(error)))
        return self.health

    def _opened(self) -> Line:
        if self._line is None:
            try:
                self._line = Line(self._open(self._config), self._is_stopping)
            except (OSError, ValueError, termios.error) as error:  # the last where it vanishes while it is opened
                raise Unplugged(str(error)) from None
        return self._line

    def _give_up(self, trouble: Trouble, reason: str) -> Trouble:
        self.close()
        self.reason = reason
        return trouble

    def _greet(self, line: Line) -> bool:
        """Whether it answers. One that waits for a PDU is let off first."""
        for _ in range(GREET_TRIES):
            if line.command("AT", ANSWER_S / 2).is_ok:
                return True
            line.send(ESCAPE)
        return False

    def _look(self, line: Line) -> Health:
        is_set_up = self._is_set_up and not line.has_restarted
        if not is_set_up and not self._settle(line):
            return Health(self._give_up(Trouble.HUNG, "no answer to its settings"))
        card = self._card(line)
        if card is not None:
            self._is_set_up = False
            return Health(card)
        if not is_set_up and not self._prepare(line):
            return Health(self._give_up(Trouble.HUNG, "it refuses PDU mode"))
        registered, signal = self._registered(line), self._signal(line)
        self._is_set_up = True
        if registered is None:
            return Health(self._give_up(Trouble.HUNG, "no answer about the network"))
        return Health(None if registered else Trouble.NO_SIGNAL, registered, signal)

    def _settle(self, line: Line) -> bool:
        """No echo, errors as numbers."""
        line.command("ATE0", ANSWER_S)
        is_well = line.command("AT+CMEE=1", ANSWER_S).is_ok
        line.has_restarted = False
        return is_well

    def _card(self, line: Line) -> Trouble | None:
        answer = line.command("AT+CPIN?", CARD_S, "+CPIN:")
        said = answer.lines[-1][6:].strip() if answer.lines else answer.final
        self.reason = said
        if said == "READY":
            return None
        if not answer.final:
            return self._give_up(Trouble.HUNG, "no answer about the card")
        if answer.lines:
            return Trouble.PIN_WANTED
        return Trouble.SIM_FAILED if _number(said) in _CME_SIM_FAILURES else Trouble.NO_SIM

    def _prepare(self, line: Line) -> bool:
        if self._config.smsc is not None:
            line.command(f'AT+CSCA="{self._config.smsc}",145', CARD_S)
        is_pdu_mode = line.command("AT+CMGF=0", ANSWER_S).is_ok
        if not line.command("AT+CNMI=2,1,0,1,0", ANSWER_S).is_ok:
            line.command("AT+CNMI=2,1", ANSWER_S)  # no reports, but replies
        return is_pdu_mode

    def _registered(self, line: Line) -> bool | None:
        """Whether a network has it, by LTE or by 2G; None where it does not answer."""
        is_answered = False
        for name in ("CEREG", "CREG"):
            answer = line.command(f"AT+{name}?", ANSWER_S, f"+{name}:")
            is_answered = is_answered or bool(answer.final)
            # "+CREG: 1" comes unasked; the answer has two numbers.
            found = [match for each in answer.lines if (match := re.match(r"\+C\w+: *\d+, *(\d+)", each))]
            if found and int(found[-1][1]) in _REGISTERED:
                return True
        return False if is_answered else None

    def _signal(self, line: Line) -> int | None:
        answer = line.command("AT+CSQ", ANSWER_S, "+CSQ:")
        match = re.match(r"\+CSQ: *(\d+)", answer.lines[-1]) if answer.lines else None
        return int(match[1]) if match and int(match[1]) <= 31 else None

    # --- sending

    def send(self, part: Submit) -> Outcome:
        """Hand over one part and wait for the network's answer."""
        line = self._line
        if line is None:
            return Trouble.UNPLUGGED
        try:
            return self._send(line, part)
        except Unplugged as error:
            return self._give_up(Trouble.UNPLUGGED, str(error))

    def _send(self, line: Line, part: Submit) -> Outcome:
        # A modem that has restarted by itself is in text mode and would send the hexadecimal as a text.
        if not line.command("AT+CMGF=0", ANSWER_S).is_ok and not self._greet(line):
            return self._give_up(Trouble.HUNG, "no answer before a message")
        answer = line.ask_prompt(f"AT+CMGS={part.length}", PROMPT_S)
        if answer.final != ">":
            return self._refused(answer) if answer.final else self._recovered(line, Refused(None, "no prompt"))
        try:
            line.send(part.pdu + PDU_TAIL)
            answer = line.finish(SEND_S, "+CMGS:")
        except Unplugged as error:
            self._give_up(Trouble.UNPLUGGED, str(error))
            return Doubtful()
        match = re.match(r"\+CMGS: *(\d+)", answer.lines[-1]) if answer.lines else None
        if match:
            return Sent(int(match[1]) & 0xFF)
        return self._refused(answer) if answer.final else self._recovered(line, Doubtful())

    def _refused(self, answer: Answer) -> Outcome:
        code = _number(answer.final) if answer.final.startswith("+CMS") else None
        for codes, trouble in _CARD_TROUBLES:
            if code in codes:
                self._is_set_up = False
                return trouble
        if code in _CMS_NO_SIGNAL:
            return Trouble.NO_SIGNAL
        return Doubtful() if answer.is_ok else Refused(code, answer.final)

    def _recovered(self, line: Line, outcome: Refused | Doubtful) -> Outcome:
        """After no answer: let it off, and see whether it answers at all."""
        line.send(ESCAPE)
        if not self._greet(line):
            trouble = self._give_up(Trouble.HUNG, "no answer to a message")
            return outcome if isinstance(outcome, Doubtful) else trouble
        return outcome

    # --- what comes in

    def listen(self, within_s: float, *wake: int) -> None:
        """Wait for the modem to say something, for `wake` to be readable, or for the time to be over."""
        if self._line is None:
            select.select(wake, [], [], within_s)
            return
        try:
            self._line.listen(within_s, *wake)
        except Unplugged as error:
            self.health = Health(self._give_up(Trouble.UNPLUGGED, str(error)))

    def has_news(self) -> bool:
        """Whether something came in that `read` would give, or the modem has restarted by itself."""
        return self._line is not None and (bool(self._line.unasked) or self._line.has_restarted)

    def read(self, is_all: bool = False) -> list[str]:
        """PDUs that came in: reports, and messages, which are taken off the card. `is_all`: those too that came while
        nobody listened."""
        line = self._line
        if line is None:
            return []
        came, line.unasked = line.unasked, []
        pdus = [item.pdu for item in came if item.pdu]
        try:
            if is_all or any(item.head == "+CMTI:" for item in came):
                pdus += self._take_stored(line)
        except Unplugged as error:
            self.health = Health(self._give_up(Trouble.UNPLUGGED, str(error)))
        return pdus

    def _take_stored(self, line: Line) -> list[str]:
        # All of them: a card with no room takes no reply, and one look finds what an announcement missed.
        answer = line.command("AT+CMGL=4", CARD_S, "+CMGL:")
        found = []
        for item in answer.lines[:LISTED_MAX]:
            head, _, pdu = item.partition("\n")
            match = re.match(r"\+CMGL: *(\d+)", head)
            if match and pdu:
                found.append(pdu)
                line.command(f"AT+CMGD={match[1]}", CARD_S)
        return found

    # --- calling

    def call(self, number: str, is_wanted: Callable[[], bool]) -> str:
        """Let the phone of `number` ring, and hang up: how it ended, in a word. Breaks off when no longer wanted."""
        line = self._line
        if line is None:
            return Trouble.UNPLUGGED
        try:
            line.unasked = [item for item in line.unasked if item.pdu or item.head.startswith("+")]
            answer = line.command(f"ATD{number};", CARD_S)
            ended = self._ring(line, is_wanted) if answer.is_ok else (answer.final or "no answer").lower()
            if not line.command("ATH", CARD_S).is_ok:
                line.command("AT+CHUP", CARD_S)
            return ended
        except Unplugged as error:
            return self._give_up(Trouble.UNPLUGGED, str(error))

    def _ring(self, line: Line, is_wanted: Callable[[], bool]) -> str:
        until_s = time.monotonic() + RING_S
        while time.monotonic() < until_s and is_wanted():
            if self._is_stopping():
                raise Stopped
            line.listen(0.25)
            ends = [item for item in line.unasked if not item.pdu and not item.head.startswith("+")]
            if ends:
                line.unasked = [item for item in line.unasked if item not in ends]
                return ends[0].head.lower()
        return "rang"


def _number(text: str) -> int | None:
    match = re.search(r"(\d+)\s*$", text)
    return int(match[1]) if match else None
