"""Short messages as the air interface has them (3GPP TS 23.040), in the hexadecimal that a modem in PDU mode speaks.

    SUBMIT         SMSC length 00 | first octet | reference | address | PID 00 | DCS 08 | validity | UDL | user data
    DELIVER        SMSC | first octet | address | PID | DCS | time stamp (7) | UDL | user data
    STATUS-REPORT  SMSC | first octet | reference | address | time stamp (7) | discharge time (7) | status | ...
    user data      UCS-2; where a message has several parts, each begins with 05 00 03 reference parts part

What goes out is UCS-2, which carries Chinese; what comes in may be anything. Nothing here raises: what cannot be
encoded or understood is a `Bad` with the reason.
"""

from typing import NamedTuple

from edge.sms import gsm7

UNITS_ALONE = 70
"""UTF-16 units in a message of one part: 140 octets."""
UNITS_PER_PART = 67
"""In a part of several: six octets are the header's (Quectel EC25 manual; STANDARDS.md, section 8)."""
PARTS_MAX = 255
DIGITS_MAX = 20

_SUBMIT, _RELATIVE_VALIDITY, _WANTS_REPORT, _HAS_HEADER = 0x01, 0x10, 0x20, 0x40
_DELIVER, _STATUS_REPORT, _TYPE = 0x00, 0x02, 0x03
_INTERNATIONAL, _NATIONAL, _ALPHANUMERIC = 0x91, 0x81, 0x50
_UCS2, _EIGHT_BIT, _GSM7, _COMPRESSED = 0x08, 0x04, 0x00, 0x20
_TIME_OCTETS = 7
_HALF_OCTETS = "0123456789*#abc"

_MINUTES_5, _MINUTES_30, _DAY_MIN, _WEEK_MIN = 5, 30, 1440, 10080


class Bad(NamedTuple):
    """What could not be encoded or understood, and why."""

    reason: str


class Submit(NamedTuple):
    """One part to be sent: `length` is what `AT+CMGS=` wants, the octets without the service centre's."""

    pdu: str
    length: int


class Part(NamedTuple):
    """Which part of a message this is; `number` counts from 1."""

    reference: int
    parts: int
    number: int


class Deliver(NamedTuple):
    """A message that came in. `sender` is a number, with "+" where it is international, or a name."""

    sender: str
    text: str
    part: Part | None


class Report(NamedTuple):
    """What became of a message that was sent under `reference`. `status`: TP-Status (TS 23.040, 9.2.3.15)."""

    reference: int
    recipient: str
    status: int

    @property
    def is_delivered(self) -> bool:
        """The phone has it."""
        return self.status < 0x20

    @property
    def is_failed(self) -> bool:
        """The service centre has given it up; otherwise it is still trying."""
        return self.status >= 0x40


# --- going out


def split(text: str) -> list[str] | Bad:
    """The text in parts that fit, never between the halves of a surrogate pair."""
    if not text:
        return Bad("no text")
    try:
        units = text.encode("utf-16-be")
    except UnicodeEncodeError:
        return Bad("half of a surrogate pair in the text")
    if len(units) <= 2 * UNITS_ALONE:
        return [text]
    parts = []
    while units:
        cut = min(len(units), 2 * UNITS_PER_PART)
        if cut < len(units) and units[cut - 2] & 0xFC == 0xD8:  # a pair would be cut: its first half goes with it
            cut -= 2
        parts.append(units[:cut].decode("utf-16-be"))
        units = units[cut:]
    return parts if len(parts) <= PARTS_MAX else Bad(f"{len(parts)} parts, more than {PARTS_MAX}")


def encode(
    number: str,
    text: str,
    concatenation: int = 0,
    validity_min: int | None = _DAY_MIN,
    wants_report: bool = True,
    reference: int = 0,
) -> list[Submit] | Bad:
    """The parts of a message. `concatenation` (0 to 255) ties them together, so a repeated part needs the same one.

    `validity_min`: how long the service centre tries, None for its own habit. `reference` is a wish; most modems give
    numbers of their own.
    """
    address = _address(number)
    parts = split(text)
    if isinstance(address, Bad):
        return address
    if isinstance(parts, Bad):
        return parts
    first = _SUBMIT | (_WANTS_REPORT if wants_report else 0) | (0 if validity_min is None else _RELATIVE_VALIDITY)
    validity = b"" if validity_min is None else bytes((_relative(validity_min),))
    made = []
    for at, part in enumerate(parts, 1):
        header = b"" if len(parts) == 1 else bytes((5, 0, 3, concatenation & 0xFF, len(parts), at))
        data = header + part.encode("utf-16-be")
        kind = first | (_HAS_HEADER if header else 0)
        tpdu = bytes((kind, reference & 0xFF)) + address + bytes((0, _UCS2)) + validity + bytes((len(data),)) + data
        made.append(Submit("00" + tpdu.hex().upper(), len(tpdu)))
    return made


def _relative(minutes: int) -> int:
    """TP-Validity-Period in its relative format (TS 23.040, 9.2.3.12.1), rounded up."""
    if minutes <= 720:
        return max(0, -(-minutes // _MINUTES_5) - 1)
    if minutes <= _DAY_MIN:
        return 143 + -(-(minutes - 720) // _MINUTES_30)
    if minutes <= 30 * _DAY_MIN:
        return 166 + -(-minutes // _DAY_MIN)
    return min(255, 192 + -(-minutes // _WEEK_MIN))


def _address(number: str) -> bytes | Bad:
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_MAX):
        return Bad(f"no phone number: expected up to {DIGITS_MAX} digits, with or without a + before them")
    padded = digits + "F" * (len(digits) % 2)
    swapped = "".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2))
    kind = _INTERNATIONAL if number.startswith("+") else _NATIONAL
    return bytes((len(digits), kind)) + bytes.fromhex(swapped)


# --- coming in


class _Short(Exception):
    """The PDU ends before it should. Stays in this file."""


class _Reader:
    """Octets, taken from the front."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def take(self, count: int) -> bytes:
        if len(self._octets) < count:
            raise _Short
        taken, self._octets = self._octets[:count], self._octets[count:]
        return taken

    def one(self) -> int:
        return self.take(1)[0]


def decode(pdu: str) -> Deliver | Report | Bad:
    """What a modem read out or announced, in hexadecimal with the service centre's address before it."""
    try:
        octets = bytes.fromhex(pdu) if pdu.isascii() else b""
    except ValueError:
        return Bad("not hexadecimal")
    reader = _Reader(octets)
    try:
        reader.take(reader.one())
        first = reader.one()
        if first & _TYPE == _DELIVER:
            return _deliver(reader, bool(first & _HAS_HEADER))
        if first & _TYPE == _STATUS_REPORT:
            return _report(reader)
    except _Short:
        return Bad("it ends too early")
    return Bad(f"neither a message nor a report: first octet {first:#04x}")


def _report(reader: _Reader) -> Report:
    reference = reader.one()
    recipient = _read_address(reader)
    reader.take(2 * _TIME_OCTETS)
    return Report(reference, recipient, reader.one())


def _deliver(reader: _Reader, has_header: bool) -> Deliver | Bad:
    sender = _read_address(reader)
    reader.one()
    alphabet = _alphabet(reader.one())
    reader.take(_TIME_OCTETS)
    length = reader.one()
    if alphabet is None:
        return Bad("compressed text")
    data = reader.take(-(-7 * length // 8) if alphabet == _GSM7 else length)
    head = data[0] + 1 if has_header and data else 0
    if head > len(data):
        return Bad("a header longer than the message")
    part = _part(data[1:head])
    if alphabet == _GSM7:
        # The text begins on the next septet behind the header.
        skipped = -(-8 * head // 7)
        return Deliver(sender, gsm7.decode(gsm7.septets(data, length, 0)[skipped:]), part)
    text = data[head:]
    return Deliver(sender, text.decode("utf-16-be" if alphabet == _UCS2 else "latin-1", "replace"), part)


def _read_address(reader: _Reader) -> str:
    digits, kind = reader.one(), reader.one()
    octets = reader.take(-(-digits // 2))
    if kind & 0x70 == _ALPHANUMERIC:
        return gsm7.decode(gsm7.septets(octets, 4 * digits // 7))
    halves = [half for octet in octets for half in (octet & 0x0F, octet >> 4)][:digits]
    number = "".join(_HALF_OCTETS[half] for half in halves if half < len(_HALF_OCTETS))
    return f"+{number}" if kind & 0x70 == _INTERNATIONAL & 0x70 else number


def _alphabet(scheme: int) -> int | None:
    """Of a data coding scheme (TS 23.038, 4); None where the text is compressed."""
    group = scheme >> 4
    if group < 0x8:  # general, and marked for automatic deletion
        return None if scheme & _COMPRESSED else {1: _EIGHT_BIT, 2: _UCS2}.get(scheme >> 2 & 3, _GSM7)
    if group == 0xE:
        return _UCS2
    return _EIGHT_BIT if group == 0xF and scheme & _EIGHT_BIT else _GSM7


def _part(header: bytes) -> Part | None:
    """Which part it is, out of a user data header; None where that does not say."""
    while len(header) >= 2:
        kind, length = header[0], header[1]
        body, header = header[2 : 2 + length], header[2 + length :]
        if (kind, len(body)) == (0x00, 3):
            return Part(body[0], body[1], body[2])
        if (kind, len(body)) == (0x08, 4):
            return Part(int.from_bytes(body[:2], "big"), body[2], body[3])
    return None
