"""Messages as bytes: the standards' vectors, an independent decoder as the judge, and whatever may come in."""

from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspdudecoder.codecs import GSM
from smspdudecoder.easy import read_incoming_sms, read_outgoing_sms
from smspdudecoder.fields import SMSSubmit

from edge.sms import gsm7
from edge.sms.pdu import Bad, Deliver, Part, Report, Submit, decode, encode, split

NUMBER = "+8613800138000"
TIME = "62114291000023"
"""2026-11-24 19:00:00, +08:00."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400)


def made(text: str, **more: Any) -> list[Submit]:
    parts = encode(NUMBER, text, **more)
    assert not isinstance(parts, Bad), parts
    return parts


def submitted(part: Submit) -> Any:
    return SMSSubmit.decode(StringIO(part.pdu))


def test_35_characters_are_the_vector_of_the_standards():
    (part,) = made("火警" * 17 + "火", validity_min=None, wants_report=False, reference=1)
    assert part.length == 84
    assert part.pdu.startswith("0001010D91683108108300F0000846706B8B66")


def test_109_characters_are_the_vector_of_the_standards():
    parts = made("警" * 109, concatenation=0x2A, validity_min=None, wants_report=False, reference=1)
    assert [part.length for part in parts] == [154, 104]
    assert [part.pdu[2:4] for part in parts] == ["41", "41"]
    head = "00" + "41" + "01" + "0D91683108108300F0" + "0008"
    assert parts[0].pdu.startswith(head + "8C" + "0500032A0201")
    assert parts[1].pdu.startswith(head + "5A" + "0500032A0202")


def test_what_is_sent_asks_for_a_report_and_is_valid_for_a_day():
    (part,) = made("火警")
    seen = submitted(part)
    assert seen["header"]["srr"]
    assert seen["header"]["vpf"] == 2, "relative"
    assert part.pdu[28:30] == "A7", "TS 23.040: 167 is 24 hours"


@pytest.mark.parametrize(
    ("minutes", "octet"), [(5, "00"), (60, "0B"), (720, "8F"), (750, "90"), (1440, "A7"), (2880, "A8"), (70_000, "C7")]
)
def test_the_validity_is_coded_as_the_specification_has_it(minutes: int, octet: str):
    assert made("x", validity_min=minutes)[0].pdu[28:30] == octet


@given(text=TEXTS, concatenation=st.integers(0, 255))
def test_an_independent_decoder_reads_what_was_written(text: str, concatenation: int):
    parts = made(text, concatenation=concatenation)
    seen = [read_outgoing_sms(part.pdu) for part in parts]
    assert {item["recipient"] for item in seen} == {NUMBER}
    assert "".join(item["content"] for item in seen) == text
    for part in parts:
        assert part.length == len(part.pdu) // 2 - 1
        assert submitted(part)["user_data"]["header"] is None if len(parts) == 1 else True


@given(text=TEXTS)
def test_no_part_is_too_long_or_begins_with_half_a_character(text: str):
    parts = split(text)
    assert not isinstance(parts, Bad)
    most = 70 if len(parts) == 1 else 67
    assert all(len(part.encode("utf-16-be")) // 2 <= most for part in parts)
    assert "".join(parts) == text


def test_a_surrogate_pair_at_the_cut_goes_whole_into_the_next_part():
    text = "火" * 66 + "😀" + "警" * 10
    assert split(text) == ["火" * 66, "😀" + "警" * 10]


def test_the_parts_of_a_message_are_told_apart_and_belong_together():
    parts = made("火" * 150, concatenation=7)
    headers = [submitted(part)["user_data"]["header"]["elements"][0]["data"] for part in parts]
    assert [(head["reference"], head["parts_count"], head["part_number"]) for head in headers] == [
        (7, 3, 1), (7, 3, 2), (7, 3, 3),
    ]  # fmt: skip


@given(number=st.text(max_size=30), text=st.text(max_size=300), concatenation=st.integers(0, 255))
def test_any_number_and_any_text_are_parts_or_an_error(number: str, text: str, concatenation: int):
    answer = encode(number, text, concatenation)
    assert isinstance(answer, Bad) or all(isinstance(part, Submit) for part in answer)


@pytest.mark.parametrize("number", ["", "+", "+86 138", "١٢٣", "1" * 21, "+861380013800a"])
def test_what_is_no_number_is_refused(number: str):
    assert isinstance(encode(number, "x"), Bad)


@pytest.mark.parametrize("text", ["", "\ud800", "火" * 67 * 256])
def test_what_cannot_be_sent_is_refused(text: str):
    assert isinstance(encode(NUMBER, text), Bad)


# --- what comes in


def delivered(text: str, scheme: int = 8, header: bytes = b"", sender: str = "0D91683108108300F0") -> str:
    data = header + text.encode("utf-16-be")
    first = "44" if header else "04"
    return f"00{first}{sender}00{scheme:02X}{TIME}{len(data):02X}{data.hex()}"


def packed(text: str, header: bytes = b"") -> tuple[int, bytes]:
    """Septets and octets of a GSM-7 text behind a header, packed here by another road than the decoder's."""
    codes: list[int] = []
    extension = {char: code for code, char in gsm7.EXTENSION.items()}
    for char in text:
        codes += [gsm7.ESCAPE, extension[char]] if char in extension else [gsm7.ALPHABET.index(char)]
    skipped = -(-8 * len(header) // 7)
    bits = "".join(format(code, "07b")[::-1] for code in [0] * skipped + codes)
    bits += "0" * (-len(bits) % 8)
    octets = bytearray(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
    octets[: len(header)] = header
    return skipped + len(codes), bytes(octets)


GSM_TEXT = st.text(st.sampled_from(gsm7.ALPHABET.replace("\x1b", "") + "".join(gsm7.EXTENSION.values())), max_size=60)


@given(text=GSM_TEXT, header=st.sampled_from([b"", bytes((5, 0, 3, 9, 2, 1)), bytes((6, 8, 4, 0, 9, 2, 1))]))
def test_a_reply_in_the_phone_alphabet_is_read_behind_any_header(text: str, header: bytes):
    count, octets = packed(text, header)
    first = "44" if header else "04"
    got = decode(f"00{first}0D91683108108300F00000{TIME}{count:02X}{octets.hex()}")
    assert isinstance(got, Deliver), got
    assert got.text == text
    assert got.sender == NUMBER
    assert got.part == (Part(9, 2, 1) if header else None)


@given(octets=st.binary(min_size=7, max_size=70).map(lambda raw: raw[: len(raw) // 7 * 7]))
def test_the_alphabet_agrees_with_the_independent_decoder(octets: bytes):
    """Whole groups of seven octets, so that neither takes fill bits for a character; escapes are compared apart."""
    count = len(octets) * 8 // 7
    items = gsm7.septets(octets, count)
    if gsm7.ESCAPE in items or not items[-1]:
        return
    assert gsm7.decode(items) == GSM.decode(octets.hex())


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_reply_in_ucs_2_is_read_as_the_independent_decoder_reads_it(text: str):
    pdu = delivered(text)
    got, other = decode(pdu), read_incoming_sms(pdu)
    assert isinstance(got, Deliver)
    assert (got.sender, got.text) == (other["sender"], other["content"]) == (NUMBER, text)


def test_a_sender_with_a_name_is_no_number():
    got = decode("000414D0C4F23C7D760390EF76190000" + TIME + "00")
    assert got == Deliver("Design@Home", "", None)


def test_a_national_number_has_no_plus():
    got = decode(delivered("1234", sender="0B813108108300F0"))
    assert isinstance(got, Deliver)
    assert got.sender == "13800138000"


@pytest.mark.parametrize(("status", "words"), [(0x00, "done"), (0x02, "done"), (0x20, "trying"), (0x46, "failed")])
def test_a_report_says_what_became_of_the_message(status: int, words: str):
    got = decode(f"0006A50D91683108108300F0{TIME}{TIME}{status:02X}")
    assert isinstance(got, Report)
    assert (got.reference, got.recipient) == (0xA5, NUMBER)
    assert {"done": got.is_delivered, "failed": got.is_failed}.get(words, not (got.is_delivered or got.is_failed))


def test_compressed_text_and_foreign_kinds_are_refused_with_the_reason():
    assert decode(delivered("x", scheme=0x20)) == Bad("compressed text")
    assert isinstance(decode("0001000B813108108300F0"), Bad)


@given(pdu=st.one_of(st.text(max_size=80), st.binary(max_size=200).map(bytes.hex)))
def test_anything_that_comes_in_is_a_value_or_an_error(pdu: str):
    assert isinstance(decode(pdu), Deliver | Report | Bad)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60), cut=st.integers(0, 200),
    at=st.integers(0, 200), flip=st.integers(1, 255),
)  # fmt: skip
def test_a_damaged_message_is_a_value_or_an_error(text: str, cut: int, at: int, flip: int):
    octets = bytearray(bytes.fromhex(delivered(text)))
    octets[at % len(octets)] ^= flip
    assert isinstance(decode(octets[: max(1, len(octets) - cut)].hex()), Deliver | Report | Bad)
