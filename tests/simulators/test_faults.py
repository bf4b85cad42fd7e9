from __future__ import annotations

import math

import pytest

from simulators.building import Building
from simulators.faults import KINDS, MENU, Fault, FaultBoard, FaultError


@pytest.fixture
def board() -> FaultBoard:
    return Building.load("home").faults


def test_every_kind_is_on_the_menu_of_some_place() -> None:
    assert {kind for kinds in MENU.values() for kind in kinds} == set(KINDS)


@pytest.mark.parametrize(
    ("where", "place", "kind"),
    [
        ("modbus/2", "meters/2", "silent"),
        ("meters/2", "meters/2", "dropped_link"),
        ("modbus/11", "breakers/11", "bad_crc"),
        ("breakers", "breakers", "dropped_link"),
        ("meters", "meters", "late"),
        ("i2c/72", "i2c/0x48", "nack"),
        ("i2c", "i2c", "stuck_bus"),
        ("gpio/4", "gpio/4", "chatter"),
        ("kitchen.leakage_ma", "kitchen.leakage_ma", "drift"),
    ],
)
def test_a_place_has_its_spellings(board: FaultBoard, where: str, place: str, kind: str) -> None:
    board.inject(where, kind, 0)
    assert board.active() == {place: kind}
    assert isinstance(board.at(place), KINDS[kind])
    board.heal(where)
    assert board.active() == {}
    board.heal(where)


@pytest.mark.parametrize(
    ("where", "kind", "parameters", "complaint"),
    [
        ("modbus/99", "silent", {}, "no place 'modbus/99'; places are breakers, breakers/11"),
        ("gpio/18", "stuck", {}, "no place 'gpio/18'"),
        ("modbus/2", "bad_crc", {}, "fault at modbus/2: expected one of silent, late"),
        ("modbus/11", "dropped_link", {}, "fault at modbus/11: expected one of"),
        ("gpio/4", "nack", {}, "expected one of chatter, stuck"),
        ("modbus/2", "late", {"seconds": 3}, "fault late: no parameter 'seconds'; it takes delay_ms"),
        ("modbus/2", "late", {"delay_ms": "3"}, "fault late: delay_ms: expected a number, got '3'"),
        ("modbus/2", "late", {"delay_ms": True}, "expected a number"),
        ("kitchen.leakage_ma", "stuck", {"_held": 3}, "no parameter '_held'"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused(
    board: FaultBoard, where: str, kind: str, parameters: dict[str, float], complaint: str
) -> None:
    with pytest.raises(FaultError) as error:
        board.inject(where, kind, 0, **parameters)
    assert complaint in str(error.value)
    assert board.active() == {}


def test_a_unit_s_own_fault_goes_before_that_of_its_bus(board: FaultBoard) -> None:
    board.inject("meters", "silent", 0)
    board.inject("meters/2", "busy", 0)
    kinds = [fault.kind for unit in (1, 2) if (fault := board.at(f"meters/{unit}", "meters"))]
    assert kinds == ["silent", "busy"]


def test_watchers_hear_of_injections_and_healings(board: FaultBoard) -> None:
    heard: list[tuple[str, str | None]] = []
    board.watch(lambda place, fault: heard.append((place, None if fault is None else fault.kind)))
    board.inject("modbus/2", "late", 0, delay_ms=10)
    board.inject("gpio/4", "stuck", 0)
    board.heal("gpio/6")
    board.heal_all()
    assert heard == [("meters/2", "late"), ("gpio/4", "stuck"), ("meters/2", None), ("gpio/4", None)]


@pytest.mark.parametrize(
    ("pdu", "short"),
    [
        ("03 04 0001 0002", "03 02 0001"),
        ("03 02 0001", "03 00"),
        ("01 02 FF 01", "01 01 FF"),
        ("83 02", "83"),
        ("06 0001 0002", "06 0001 00"),
    ],
)
def test_a_short_reply_is_short_by_one_item(pdu: str, short: str) -> None:
    assert KINDS["short_reply"]().pdu(bytes.fromhex(pdu)) == bytes.fromhex(short)


def test_what_each_kind_leaves_alone() -> None:
    """A fault spoils one thing: the rest of the hooks hand on what they got."""
    spoilt: dict[str, set[str]] = {}
    for name, kind in KINDS.items():
        fault: Fault = kind()
        hooks = {
            "pdu": fault.pdu(b"\x03\x02\x00\x01") != b"\x03\x02\x00\x01",
            "unit": fault.unit(5) != 5,
            "frame": fault.frame(b"\x01\x02\x03\x04") != b"\x01\x02\x03\x04",
            "measured": fault.measured(4.0, 60_000) != 4.0,
            "delay": fault.delay_ms > 0,
            "link": fault.hangs_up,
        }
        spoilt[name] = {hook for hook, is_spoilt in hooks.items() if is_spoilt}
    assert spoilt == {
        "silent": {"frame"},
        "late": {"delay"},
        "busy": {"pdu"},
        "exception": {"pdu"},
        "bad_crc": {"frame"},
        "half_frame": {"frame"},
        "foreign_unit": {"unit"},
        "dropped_link": {"link"},
        "short_reply": {"pdu"},
        "garbage": {"frame"},
        # These are read by their face: the bus that blocks, the address that is deaf, the contact that will not rest.
        "nack": set(),
        "stuck_bus": set(),
        "chatter": set(),
        "stuck": set(),
        "duplicate": set(),
        "reordered": set(),
        "replayed": set(),
        "wrong_id": set(),
        "low_battery": set(),
        "drift": {"measured"},
        "open": {"measured"},
        # And these by the modem.
        "no_sim": set(),
        "sim_pin": set(),
        "no_signal": set(),
        "echo": set(),
        "bare_prompt": set(),
        "chatty": set(),
        "cms_error": set(),
        "lost_report": set(),
    }


def test_sensor_faults() -> None:
    drift, stuck, lead = KINDS["drift"](), KINDS["stuck"](), KINDS["open"]()
    assert [drift.measured(10.0, at_ms) for at_ms in (0, 30_000, 120_000)] == [10.0, 10.5, 12.0]
    assert [stuck.measured(value, 0) for value in (7.0, 8.0, 9.0)] == [7.0, 7.0, 7.0]
    assert math.isnan(lead.measured(1.0, 0))


def test_garbage_is_the_same_garbage_each_time() -> None:
    one, other = KINDS["garbage"](), KINDS["garbage"]()
    assert [one.frame(b"12345") for _ in range(3)] == [other.frame(b"12345") for _ in range(3)]
