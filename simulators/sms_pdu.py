"""Short messages as the network's side has them (3GPP TS 23.040): reads what a phone submits, writes what it gets."""

from __future__ import annotations

import time
from typing import NamedTuple

SERVICE_CENTRE = "+8613800100500"
_ALPHABET_ASCII = set("@ !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\n\r")


class SmsError(ValueError):
    """No SUBMIT; the text says what is wrong with it."""


class Submitted(NamedTuple):
    """A part that a phone has submitted. `part` and `parts` are 1 where it stands alone."""

    to: str
    text: str
    wants_report: bool
    reference: int
    part: int
    parts: int


def read_submit(pdu: bytes) -> Submitted:
    """A SUBMIT with its service centre's address before it. Raises SmsError."""
    try:
        return _read(pdu[1 + pdu[0] :])
    except (IndexError, ValueError) as error:
        raise SmsError(f"no SUBMIT: {error}") from error


def _read(tpdu: bytes) -> Submitted:
    first, digits = tpdu[0], tpdu[2]
    if first & 3 != 1:
        raise SmsError(f"type {first & 3}, expected 1")
    address_end = 4 + (digits + 1) // 2
    to = "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in tpdu[4:address_end])[:digits]
    scheme = tpdu[address_end + 1]
    # Relative validity has one octet, the other two kinds seven.
    validity = {0: 0, 0x10: 1}.get(first & 0x18, 7)
    data_at = address_end + 2 + validity + 1
    length, data = tpdu[data_at - 1], tpdu[data_at:]
    if scheme != 8:
        raise SmsError(f"data coding scheme {scheme}, expected 8")
    if length != len(data):
        raise SmsError(f"{len(data)} octets of user data, expected {length}")
    reference, parts, part = 0, 1, 1
    if first & 0x40:
        if data[:3] != b"\x05\x00\x03":
            raise SmsError("a user data header that is none of a concatenated message")
        reference, parts, part = data[3], data[4], data[5]
        data = data[6:]
    number = f"+{to}" if tpdu[3] & 0x70 == 0x10 else to
    return Submitted(number, data.decode("utf-16-be"), bool(first & 0x20), reference, part, parts)


def deliver(sender: str, text: str) -> bytes:
    """A DELIVER: in GSM-7 where its plain characters are enough, as phones do it, else in UCS-2."""
    is_plain = bool(text) and set(text) <= _ALPHABET_ASCII
    data = _packed(text) if is_plain else text.encode("utf-16-be")
    length = len(text) if is_plain else len(data)
    body = b"\x04" + _address(sender) + bytes((0, 0 if is_plain else 8)) + _stamp() + bytes((length,)) + data
    return _centre() + body


def report(reference: int, recipient: str, status: int) -> bytes:
    """A STATUS-REPORT on the message that was sent under `reference`."""
    return _centre() + bytes((6, reference)) + _address(recipient) + _stamp() + _stamp() + bytes((status,))


def tpdu_length(pdu: bytes) -> int:
    """What +CMGR, +CMGL and +CDS give as the length: without the service centre's address."""
    return len(pdu) - 1 - pdu[0]


def _centre() -> bytes:
    address = _address(SERVICE_CENTRE)[1:]
    return bytes((len(address),)) + address


def _address(number: str) -> bytes:
    digits = number.removeprefix("+")
    return bytes((len(digits), 0x91 if number.startswith("+") else 0x81)) + _swapped(digits)


def _swapped(digits: str) -> bytes:
    padded = digits + "F" * (len(digits) % 2)
    return bytes(int(padded[at + 1] + padded[at], 16) for at in range(0, len(padded), 2))


def _stamp() -> bytes:
    return _swapped(time.strftime("%y%m%d%H%M%S", time.gmtime(time.time() + 8 * 3600)) + "32")


def _packed(text: str) -> bytes:
    """Septets into octets. `@` is 0 in that alphabet; all others used here have their ASCII codes."""
    codes = (0 if char == "@" else ord(char) for char in text)
    bits = sum(code << 7 * at for at, code in enumerate(codes))
    return bits.to_bytes(-(-7 * len(text) // 8), "little")
