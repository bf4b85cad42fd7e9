"""PINs: what is refused as one, and that only the right one fits its hash."""

import pytest

from edge.console import pins


@pytest.mark.parametrize(
    "pin", ["", "12345", "1234567890123", "48291a", "４８２９１５", "000000", "123456", "987654", "789012"]
)
def test_what_could_be_guessed_at_once_is_no_pin(pin: str) -> None:
    with pytest.raises(pins.PinError):
        pins.hash_pin(pin)


def test_only_the_right_pin_fits_its_hash() -> None:
    hashed = pins.hash_pin("482915")
    assert pins.is_hash(hashed)
    assert "482915" not in hashed
    assert pins.is_right("482915", hashed)
    assert not pins.is_right("482916", hashed)
    assert not pins.is_right("", hashed)
    assert not pins.is_right("482915", pins.NOBODY)
    assert pins.is_hash(pins.NOBODY)


@pytest.mark.parametrize(
    "text",
    [
        *("", "482915", "scrypt$16384$8$5$AAAA", "scrypt$16383$8$5$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "="),
        "scrypt$999999$8$5$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "=",  # a gigabyte for each try
        "scrypt$16384$8$99$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "=",
        "scrypt$16384$8$5$AAAAAAAAAAAAAAAAAAAAAA=$" + "A" * 43 + "=",
    ],
)
def test_what_is_no_hash_fits_no_pin(text: str) -> None:
    assert not pins.is_hash(text)
    assert not pins.is_right("482915", text)
