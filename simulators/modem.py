"""A GSM/LTE modem with a SIM, as its serial port shows it: AT commands of 3GPP TS 27.005 and 27.007 in PDU mode.

Written from the manuals of SIMCom's SIM7600 and Quectel's EC25. It sends nothing anywhere: what would go out over the
air is kept in `sent`, and what a phone would answer is put in with `take_reply`. The face on a pty is `modem_pty`.

    <- AT+CMGS=42 CR        -> CR LF > SPACE        <- the PDU in hexadecimal, Ctrl-Z (or ESC to give up)
    -> CR LF +CMGS: 7 CR LF CR LF OK CR LF          or CR LF +CMS ERROR: 38 CR LF
Unasked: +CMTI: "SM",1 (a message came), +CDS: 25 CR LF PDU (a report), RDY (it has started), RING and others.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

from simulators import sms_pdu
from simulators.faults import Fault, FaultBoard
from simulators.modem_faults import BarePrompt, Chatty, CmsError, Echo, LostReport, NoSignal, NoSim, SimPin

PLACE, SIM, NETWORK = "modem", "modem/sim", "modem/network"
SEND_S = 0.05
"""From the end of the PDU to the network's answer; seconds in the field."""
REPORT_S = 0.15
RING_S = 30.0
"""A call that nobody takes ends after it."""
SLOTS = 50
_CTRL_Z, _ESCAPE, _CR = 0x1A, 0x1B, 0x0D
_NOISE = (b"+CREG: 1", b"RING", b'+QIND: "csq",23,99', b'^HCSQ:"LTE",43,44,91,18', b"+CGEV: ME DETACH", b"*PSUTTZ: 26")
_GREETING = (b"RDY", b"+CPIN: READY", b"SMS DONE")


class Sent(NamedTuple):
    """A part that went out, under the modem's `reference`."""

    to: str
    text: str
    part: int
    parts: int
    reference: int
    pdu: str
    monotonic_ns: int


class Modem:
    """`receive` takes bytes and `due` gives those that are to go out; both, and all else, under the face's lock."""

    def __init__(self, faults: FaultBoard, told: Callable[[str, dict[str, Any]], None] | None = None) -> None:
        self.sent: list[Sent] = []
        self.calls: list[str] = []
        self.pins_tried: list[str] = []
        self._faults = faults
        self._told = told or (lambda kind, facts: None)
        self._queue: list[tuple[float, int, bytes]] = []
        self._number = count()
        self._references = count(random.Random(1).randrange(256))
        self._slots: dict[int, bytes] = {}
        self._centre = sms_pdu.SERVICE_CENTRE
        self._busy_until_s = 0.0
        self._power_on()

    def _power_on(self) -> None:
        self._line = b""
        self._wanted: int | None = None
        self._is_echoing, self._errors, self._is_text, self._announces, self._reports = True, 0, False, False, False
        self._is_calling = False
        self._is_swallowing = False

    # --- the world's side

    def restart(self, is_greeting: bool = True) -> None:
        """Lose power for a moment: settings are forgotten, messages on the SIM are not."""
        self._queue.clear()
        self._power_on()
        for words in _GREETING if is_greeting else ():
            self._say(words)

    def take_reply(self, sender: str, text: str) -> None:
        """A phone sends a message to this SIM."""
        slot = next((slot for slot in range(1, SLOTS + 1) if slot not in self._slots), None)
        if slot is None:
            return  # the SIM is full: the network keeps it
        self._slots[slot] = sms_pdu.deliver(sender, text)
        if self._announces:
            self._say(b'+CMTI: "SM",%d' % slot)

    def swallow_next(self) -> None:
        """Take the next message, and never say what became of it."""
        self._is_swallowing = True

    def hang_up(self) -> None:
        """The other end of a call hangs up, or takes it not."""
        if self._is_calling:
            self._is_calling = False
            self._say(b"NO CARRIER")

    # --- the port's side

    def receive(self, data: bytes) -> None:
        """Bytes from the computer."""
        for octet in data:
            if self._wanted is not None:
                self._take_pdu(octet)
            elif octet == _CR:
                line, self._line = self._line, b""
                self._command(line.strip())
            elif octet not in (_ESCAPE, _CTRL_Z, 0x0A):
                self._line += bytes((octet,))

    def due(self, now_s: float) -> list[bytes]:
        """What is to go out by now."""
        out = []
        while self._queue and self._queue[0][0] <= now_s:
            out.append(heapq.heappop(self._queue)[2])
        return out

    @property
    def next_s(self) -> float | None:
        """When more is to go out (monotonic), if anything."""
        return self._queue[0][0] if self._queue else None

    # --- words

    def _say(self, words: bytes, after_s: float = 0.0) -> None:
        self._put(b"\r\n" + words + b"\r\n", after_s)

    def _put(self, octets: bytes, after_s: float = 0.0) -> None:
        # In the order they were said: a late answer keeps all behind it waiting.
        self._busy_until_s = max(self._busy_until_s, time.monotonic() + after_s + self._delay_s())
        heapq.heappush(self._queue, (self._busy_until_s, next(self._number), octets))

    def _delay_s(self) -> float:
        fault = self._faults.at(PLACE)
        return fault.delay_ms / 1000 if fault is not None else 0.0

    def _fault(self, place: str, kind: type[Fault]) -> Any:
        fault = self._faults.at(place)
        return fault if isinstance(fault, kind) else None

    def _fail(self, code: int, family: str = "CME") -> None:
        self._say(b"ERROR" if family == "CME" and not self._errors else f"+{family} ERROR: {code}".encode())

    # --- commands

    def _command(self, line: bytes) -> None:
        if not line:
            return
        if self._is_echoing or self._fault(PLACE, Echo):
            self._put(line + b"\r")
        text = line.decode("ascii", "replace").upper()
        if self._fault(PLACE, Chatty):
            for words in _NOISE:
                self._say(words)
        if not text.startswith("AT"):
            return
        for head, do in _COMMANDS:
            if text.startswith(head):
                do(self, text[len(head) :])
                return
        self._say(b"OK" if text == "AT" else b"ERROR")

    def _ok(self, _: str) -> None:
        self._say(b"OK")

    def _answer(self, words: str) -> None:
        self._say(words.encode())
        self._say(b"OK")

    def _echo(self, value: str) -> None:
        self._is_echoing = value != "0"
        self._say(b"OK")

    def _set_errors(self, value: str) -> None:
        self._errors = int(value or 0)
        self._say(b"OK")

    def _pin(self, value: str) -> None:
        if value.startswith("="):
            self.pins_tried.append(value[1:])
            self._fail(16)
        elif self._fault(SIM, NoSim):
            self._fail(10)
        else:
            self._answer("+CPIN: SIM PIN" if self._fault(SIM, SimPin) else "+CPIN: READY")

    def _registered(self, value: str) -> None:
        """+CREG? and +CEREG?: the head has been cut off behind "AT+C"."""
        name = "C" + value.partition("?")[0]
        if not value.endswith("?"):
            self._say(b"OK")
        elif name not in ("CREG", "CEREG", "CGREG"):
            self._say(b"ERROR")
        else:
            self._answer(f"+{name}: 0,{1 if self._is_registered() else 2}")

    def _is_registered(self) -> bool:
        return not (self._fault(NETWORK, NoSignal) or self._faults.at(SIM))

    def _signal(self, _: str) -> None:
        self._answer("+CSQ: 99,99" if self._fault(NETWORK, NoSignal) else "+CSQ: 23,99")

    def _centre_of(self, value: str) -> None:
        if value.startswith("="):
            self._centre = value[1:].split(",")[0].strip('"')
            self._say(b"OK")
        else:
            self._answer(f'+CSCA: "{self._centre}",145')

    def _mode(self, value: str) -> None:
        self._is_text = value == "1"
        self._say(b"OK")

    def _announce(self, value: str) -> None:
        numbers = [*value.split(","), "0", "0", "0", "0"]
        self._announces, self._reports = numbers[1] in ("1", "3"), numbers[3] == "1"
        self._say(b"OK")

    def _list(self, _: str) -> None:
        for slot, pdu in sorted(self._slots.items()):
            self._say(f"+CMGL: {slot},0,,{sms_pdu.tpdu_length(pdu)}\r\n{pdu.hex().upper()}".encode())
        self._say(b"OK")

    def _read(self, value: str) -> None:
        pdu = self._slots.get(int(value)) if value.isdigit() else None
        if pdu is None:
            self._fail(321, "CMS")
        else:
            self._answer(f"+CMGR: 0,,{sms_pdu.tpdu_length(pdu)}\r\n{pdu.hex().upper()}")

    def _delete(self, value: str) -> None:
        slot = value.split(",")[0]
        if slot.isdigit():
            self._slots.pop(int(slot), None)
        self._say(b"OK")

    def _restart(self, _: str) -> None:
        self._say(b"OK")
        self._power_on()
        for words in _GREETING:
            self._say(words, 0.2)

    # --- sending

    def _send(self, value: str) -> None:
        if self._faults.at(SIM) is not None:
            self._fail(310 if self._fault(SIM, NoSim) else 311, "CMS")
        elif self._is_text or not value.isdigit():
            self._fail(304, "CMS")
        else:
            self._wanted = int(value)
            self._put(b">" if self._fault(PLACE, BarePrompt) else b"\r\n> ")

    def _take_pdu(self, octet: int) -> None:
        if octet == _CTRL_Z:
            wanted, line = self._wanted or 0, self._line
            self._wanted, self._line = None, b""
            if self._fault(PLACE, Echo):
                self._put(line + b"\r")
            self._submit(wanted, line)
        elif octet == _ESCAPE:
            self._wanted, self._line = None, b""
            self._say(b"OK")
        else:
            self._line += bytes((octet,))

    def _submit(self, wanted: int, line: bytes) -> None:
        try:
            pdu = bytes.fromhex(line.decode("ascii"))
            part = sms_pdu.read_submit(pdu)
        except ValueError:
            return self._fail(304, "CMS")
        fault = self._fault(NETWORK, CmsError)
        if sms_pdu.tpdu_length(pdu) != wanted:
            self._fail(304, "CMS")
        elif self._fault(NETWORK, NoSignal):
            self._fail(331, "CMS")
        elif fault is not None and fault.hits(part.to):
            self._fail(fault.code, "CMS")
        else:
            self._accept(part, pdu)

    def _accept(self, part: sms_pdu.Submitted, pdu: bytes) -> None:
        reference = next(self._references) % 256
        stamp_ns = time.monotonic_ns()
        made = Sent(part.to, part.text, part.part, part.parts, reference, pdu.hex().upper(), stamp_ns)
        self.sent.append(made)
        self._told("sms", {"to": part.to, "text": part.text, "part": part.part, "parts": part.parts})
        if self._is_swallowing:
            self._is_swallowing = False
            return
        self._say(b"+CMGS: %d" % reference, SEND_S)
        self._say(b"OK")
        lost = self._fault(NETWORK, LostReport)
        if part.wants_report and self._reports and not (lost and lost.is_lost(part.to)):
            report = sms_pdu.report(reference, part.to, lost.status if lost and lost.hits(part.to) else 0)
            self._say(f"+CDS: {sms_pdu.tpdu_length(report)}\r\n{report.hex().upper()}".encode(), REPORT_S)

    # --- calling

    def _dial(self, value: str) -> None:
        if not value.endswith(";") or self._faults.at(SIM) is not None or self._fault(NETWORK, NoSignal):
            self._say(b"NO CARRIER")
            return
        self._is_calling = True
        self.calls.append(value.rstrip(";"))
        self._told("call", {"to": value.rstrip(";")})
        self._say(b"OK")

    def _hang_up(self, _: str) -> None:
        self._is_calling = False
        self._say(b"OK")


_COMMANDS: tuple[tuple[str, Callable[[Modem, str], None]], ...] = (
    ("ATE", Modem._echo),
    ("ATD", Modem._dial),
    ("ATH", Modem._hang_up),
    ("AT+CHUP", Modem._hang_up),
    ("AT+CMEE=", Modem._set_errors),
    ("AT+CPIN", Modem._pin),
    ("AT+CSQ", Modem._signal),
    ("AT+CSCA", Modem._centre_of),
    ("AT+CSCS", Modem._ok),
    ("AT+CMGF=", Modem._mode),
    ("AT+CNMI=", Modem._announce),
    ("AT+CMGS=", Modem._send),
    ("AT+CMGL=", Modem._list),
    ("AT+CMGR=", Modem._read),
    ("AT+CMGD=", Modem._delete),
    ("AT+CFUN=1,1", Modem._restart),
    ("AT+C", Modem._registered),
)
"""By the head of the line; the longest first where two begin alike."""
