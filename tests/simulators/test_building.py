from __future__ import annotations

import math

import pytest

from simulators.building import Building, WorldError

SUPPLY_CUT, SMOKE_203, CALL_C2, GAS, MAINS, SILENCE = 16, 4, 11, 6, 13, 19


@pytest.fixture
def building() -> Building:
    return Building.load("home")


def live(building: Building, duration_ms: int, step_ms: int = 100) -> None:
    for _ in range(duration_ms // step_ms):
        building.advance(step_ms)


def test_an_ordinary_evening_has_every_contact_open(building: Building) -> None:
    live(building, 600_000, 1000)
    assert not any(building.contact(each.pin) for each in building.plan.inputs)


def test_smoke_latches_its_own_detector_alone(building: Building) -> None:
    building.set("203.smoke_pct_m", 8.0)
    assert [each.pin for each in building.plan.inputs if building.contact(each.pin)] == [SMOKE_203]
    building.set("203.smoke_pct_m", 0.1)
    live(building, 60_000)
    assert building.contact(SMOKE_203), "a smoke detector holds its alarm when the smoke has gone"


def pulse(building: Building, duration_ms: int) -> None:
    building.drive(SUPPLY_CUT, True)
    live(building, duration_ms)
    building.drive(SUPPLY_CUT, False)
    live(building, 500)


@pytest.mark.parametrize(
    ("pulse_ms", "has_smoke", "still_closed"),
    [(3000, False, False), (1000, False, False), (900, False, True), (3000, True, True)],
)
def test_a_smoke_detector_lets_go_only_without_supply_and_smoke(
    building: Building, pulse_ms: int, has_smoke: bool, still_closed: bool
) -> None:
    building.set("203.smoke_pct_m", 8.0)
    if not has_smoke:
        building.set("203.smoke_pct_m", 0.1)
    pulse(building, pulse_ms)
    assert building.contact(SMOKE_203) is still_closed


def test_short_cuts_do_not_add_up(building: Building) -> None:
    building.set("203.smoke_pct_m", 8.0)
    building.set("203.smoke_pct_m", 0.1)
    for _ in range(5):
        pulse(building, 500)
    assert building.contact(SMOKE_203)


def test_a_call_point_latches_until_the_key_is_turned(building: Building) -> None:
    building.press(CALL_C2)
    live(building, 60_000)
    assert building.contact(CALL_C2)
    building.turn_key(CALL_C2)
    assert not building.contact(CALL_C2)


def test_a_button_is_down_as_long_as_it_is_held(building: Building) -> None:
    building.press(SILENCE, hold_ms=300)
    live(building, 200)
    assert building.contact(SILENCE)
    live(building, 100)
    assert not building.contact(SILENCE)


def test_gas_follows_with_hysteresis_and_ignores_the_detector_supply(building: Building) -> None:
    building.set("kitchen.gas_pct_lel", 12)
    building.set("kitchen.gas_pct_lel", 9)
    pulse(building, 3000)
    assert building.contact(GAS)
    building.set("kitchen.gas_pct_lel", 7)
    assert not building.contact(GAS)


def test_the_mains_relay_closes_when_the_mains_is_lost(building: Building) -> None:
    building.set("main.mains_v", 0)
    assert building.contact(MAINS)
    building.set("main.mains_v", 223)
    assert not building.contact(MAINS)


def test_watchers_hear_of_each_change_once(building: Building) -> None:
    heard: list[tuple[int, bool]] = []
    building.watch(lambda pin, closed: heard.append((pin, closed)))
    building.press(SILENCE, hold_ms=300)
    live(building, 1000)
    building.set("203.smoke_pct_m", 8.0, over_ms=2000)
    live(building, 3000)
    assert heard == [(SILENCE, True), (SILENCE, False), (SMOKE_203, True)]


def test_leakage_creeps_along_its_ramp(building: Building) -> None:
    building.set("kitchen.leakage_ma", 350, over_ms=20_000)
    seen = []
    for _ in range(21):
        value = building.register("meters", 1, 0x0000)
        assert value is not None
        seen.append(value)
        building.advance(1000)
    assert seen[0] == pytest.approx(96, abs=6)
    assert seen[10] == pytest.approx(223, abs=6)
    assert seen[20] == pytest.approx(350, abs=6)


@pytest.mark.parametrize(
    ("unit", "address", "function", "scale", "quantity"),
    [
        (1, 0, 3, 1, "kitchen.leakage_ma"),
        (2, 0, 3, 1, "floor2.leakage_ma"),
        (3, 0, 4, 100, "kitchen.temp_mc"),
        (3, 3, 4, 100, "main.cable_mc"),
        (4, 3, 3, 1, "p4.leakage_ma"),
        (4, 4, 3, 100, "p1.cable_mc"),
    ],
)
def test_a_register_shows_the_quantity_that_is_wired_to_it(
    building: Building, unit: int, address: int, function: int, scale: int, quantity: str
) -> None:
    value = building.register("meters", unit, address, function)
    assert value is not None
    assert value * scale == pytest.approx(building.true(quantity), rel=0.1)


def test_no_register_of_a_sick_or_absent_unit_is_a_number(building: Building) -> None:
    assert building.register("meters", 99, 0) is None
    assert building.register("meters", 1, 500) is None
    building.faults.inject("modbus/1", "silent", building.now_ms)
    assert building.register("meters", 1, 0) is None
    building.faults.heal("modbus/1")
    assert building.register("meters", 1, 0) is not None


def test_pressure_follows_the_gas_law(building: Building) -> None:
    """1.2 MPa at 20 °C reads 1.11 MPa at 0 °C and 1.36 MPa at 55 °C."""
    building.set("ext-k.charge_kpa", 1200)
    for temp_mc, gauge_mpa in ((20_000, 1.20), (0, 1.11), (55_000, 1.36)):
        building.set("kitchen.temp_mc", temp_mc)
        volts = building.volts(0)
        assert volts is not None
        assert (volts - 0.5) / 4.0 * 2.5 == pytest.approx(gauge_mpa, abs=0.01)


@pytest.mark.parametrize(
    ("state", "lowest_v", "highest_v"),
    [("short", 0.0, 0.30), ("alarm", 0.30, 1.35), ("normal", 1.35, 2.20), ("open", 2.20, 3.31)],
)
def test_a_loop_stands_in_its_band(building: Building, state: str, lowest_v: float, highest_v: float) -> None:
    building.set("stairs-1.loop_ohm", state)
    volts = building.volts(2)
    assert volts is not None
    assert lowest_v <= volts < highest_v


def test_the_same_seed_is_the_same_evening_in_any_steps() -> None:
    coarse, fine, other = Building.load(seed=5), Building.load(seed=5), Building.load(seed=6)
    live(coarse, 60_000, 1000)
    live(fine, 60_000, 50)
    live(other, 60_000, 1000)
    names = list(coarse.plan.quantities)
    assert [coarse.sense(name) for name in names] == [fine.sense(name) for name in names]
    assert [coarse.sense(name) for name in names] != [other.sense(name) for name in names]


def test_an_open_lead_is_what_each_instrument_makes_of_it(building: Building) -> None:
    for quantity in ("kitchen.leakage_ma", "kitchen.temp_mc", "b1.cable_mc", "stairs-1.loop_ohm"):
        building.faults.inject(quantity, "open", building.now_ms)
    assert building.register("meters", 1, 0x0000) == 0
    assert building.register("meters", 1, 0x001B) == 0b100
    assert building.register("meters", 3, 0, 4) == 0x7FFF
    assert building.register("breakers", 11, 6, 4) == 0x7FFF
    assert building.volts(0) == 0.0
    assert building.volts(2) == pytest.approx(3.3)


def test_stuck_and_drift_spoil_the_sensor_and_not_the_world(building: Building) -> None:
    building.faults.inject("p1.leakage_ma", "stuck", building.now_ms)
    building.faults.inject("p2.leakage_ma", "drift", building.now_ms, per_min=60)
    held = building.register("meters", 4, 0)
    building.set("p1.leakage_ma", 500)
    building.advance(60_000)
    assert building.register("meters", 4, 0) == held
    assert building.register("meters", 4, 1) == pytest.approx(35 + 60, abs=6)
    assert building.true("p1.leakage_ma") == 500
    assert building.true("p2.leakage_ma") == 35


def test_a_stuck_contact_stays_as_it_was(building: Building) -> None:
    building.set("203.smoke_pct_m", 8.0)
    building.faults.inject(f"gpio/{SMOKE_203}", "stuck", building.now_ms)
    building.contact(SMOKE_203)
    building.set("203.smoke_pct_m", 0.1)
    pulse(building, 3000)
    assert building.contact(SMOKE_203)
    building.faults.heal(f"gpio/{SMOKE_203}")
    assert not building.contact(SMOKE_203)


@pytest.mark.parametrize("value", ["open", True, None, math.nan, math.inf])
def test_a_quantity_takes_numbers_only(building: Building, value: object) -> None:
    with pytest.raises(WorldError, match="expected a number"):
        building.set("kitchen.leakage_ma", value)  # type: ignore[arg-type]


def test_what_does_not_exist_is_refused_by_name(building: Building) -> None:
    with pytest.raises(WorldError, match=r"no quantity 'attic\.smoke_pct_m'"):
        building.set("attic.smoke_pct_m", 1)
    with pytest.raises(WorldError, match="nothing to press on pin 4"):
        building.press(SMOKE_203)
    with pytest.raises(WorldError, match="no call point on pin 19"):
        building.turn_key(SILENCE)
