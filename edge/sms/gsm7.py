"""The GSM 7-bit default alphabet and its extension (3GPP TS 23.038, 6.2.1): what replies from phones are written in."""

ESCAPE = 0x1B
ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""By septet; 0x1B is the escape to the extension."""
EXTENSION = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip


def septets(packed: bytes, count: int, skip_bits: int = 0) -> list[int]:
    """`count` septets out of packed octets, the first of them behind `skip_bits`; fewer where the octets end."""
    bits = int.from_bytes(packed, "little") >> skip_bits
    available = max(0, 8 * len(packed) - skip_bits) // 7
    return [bits >> 7 * at & 0x7F for at in range(min(count, available))]


def decode(items: list[int]) -> str:
    """The text of septets. An extension that the table does not have is shown as the character of the main table, as
    the specification wants; an escape at the end says nothing."""
    text = []
    is_escaped = False
    for item in items:
        if is_escaped:
            text.append(EXTENSION.get(item, ALPHABET[item] if item != ESCAPE else " "))
            is_escaped = False
        elif item == ESCAPE:
            is_escaped = True
        else:
            text.append(ALPHABET[item])
    return "".join(text)
