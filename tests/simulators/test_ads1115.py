"""The converter against its data sheet's numbers."""

from __future__ import annotations

import pytest

from simulators.ads1115 import FULL_SCALE_V, RATES_HZ, Ads1115

INPUTS_V = {0: 1.0, 1: 2.5, 2: 0.2, 3: 4.9}
MS = 1_000_000


@pytest.fixture
def converter() -> Ads1115:
    return Ads1115(INPUTS_V.__getitem__)


def config(mux: int, pga: int, rate: int = 7, single: bool = True, start: bool = True) -> bytes:
    word = start << 15 | mux << 12 | pga << 9 | single << 8 | rate << 5 | 0b00011
    return bytes((1, word >> 8, word & 0xFF))


def register(converter: Ads1115, pointer: int, now_ns: int) -> int:
    converter.write(bytes((pointer,)), now_ns)
    return int.from_bytes(converter.read(2, now_ns), "big")


def signed(converter: Ads1115, now_ns: int) -> int:
    word = register(converter, 0, now_ns)
    return word - 0x10000 if word & 0x8000 else word


def test_registers_at_power_up(converter: Ads1115) -> None:
    assert [register(converter, at, 0) for at in range(4)] == [0x0000, 0x8583, 0x8000, 0x7FFF]


@pytest.mark.parametrize("pga", range(8))
@pytest.mark.parametrize("ain", range(4))
def test_a_single_conversion_of_each_input_in_each_range(converter: Ads1115, pga: int, ain: int) -> None:
    converter.write(config(4 + ain, pga), 0)
    expected = min(round(INPUTS_V[ain] / FULL_SCALE_V[pga] * 32768), 32767)
    assert signed(converter, 2 * MS) == expected


@pytest.mark.parametrize(
    ("mux", "volts"), [(0, 1.0 - 2.5), (1, 1.0 - 4.9), (2, 2.5 - 4.9), (3, 0.2 - 4.9)]
)
def test_differential_inputs_are_twos_complement(converter: Ads1115, mux: int, volts: float) -> None:
    converter.write(config(mux, 0), 0)
    assert signed(converter, 2 * MS) == round(volts / 6.144 * 32768)
    converter.write(config(mux, 5), 2 * MS)
    assert signed(converter, 4 * MS) == -32768, "below the range it stays at the end of it"


@pytest.mark.parametrize(("rate", "hertz"), list(enumerate(RATES_HZ)))
def test_the_busy_bit_lasts_for_one_conversion(converter: Ads1115, rate: int, hertz: int) -> None:
    converter.write(config(5, 0, rate), 0)
    done_ns = 1_000_000_000 // hertz
    assert not register(converter, 1, done_ns - 1) & 0x8000
    assert signed(converter, done_ns - 1) == 0, "an impatient master reads the last conversion's result"
    assert register(converter, 1, done_ns) & 0x8000
    assert signed(converter, done_ns) == round(2.5 / 6.144 * 32768)


def test_without_the_start_bit_nothing_is_converted(converter: Ads1115) -> None:
    converter.write(config(4, 0, start=False), 0)
    assert signed(converter, 1000 * MS) == 0


def test_a_conversion_samples_the_input_and_then_stands() -> None:
    inputs = {0: 1.0}
    converter = Ads1115(inputs.__getitem__)
    converter.write(config(4, 0), 0)
    first = signed(converter, 2 * MS)
    inputs[0] = 3.0
    assert signed(converter, 100 * MS) == first
    converter.write(config(4, 0), 100 * MS)
    assert signed(converter, 102 * MS) == round(3.0 / 6.144 * 32768)


def test_continuous_mode_follows_the_input() -> None:
    inputs = {0: 1.0}
    converter = Ads1115(inputs.__getitem__)
    converter.write(config(4, 0, rate=4, single=False), 0)
    assert signed(converter, 8 * MS) == round(1.0 / 6.144 * 32768)
    inputs[0] = 3.0
    assert signed(converter, 17 * MS) == round(3.0 / 6.144 * 32768)


def test_an_input_is_held_between_its_rails() -> None:
    converter = Ads1115({0: -2.0, 1: 12.0}.__getitem__)
    converter.write(config(4, 0), 0)
    assert signed(converter, 2 * MS) == 0
    converter.write(config(5, 0), 2 * MS)
    assert signed(converter, 4 * MS) == round(5.0 / 6.144 * 32768)


def test_the_conversion_register_cannot_be_written(converter: Ads1115) -> None:
    converter.write(b"\x00\x12\x34", 0)
    assert register(converter, 0, 0) == 0
    converter.write(b"\x02\x12\x34", 0)
    assert register(converter, 2, 0) == 0x1234


def test_odd_transfers_are_served(converter: Ads1115) -> None:
    converter.write(b"", 0)
    converter.write(b"\x03", 0)
    assert converter.read(3, 0) == b"\x7f\xff\x7f"
    assert converter.read(1, 0) == b"\x7f"
