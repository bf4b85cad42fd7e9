"""Each shipped meter's profile against its simulator, which comes from the manual too and shares no code with it."""

import asyncio
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge import config
from edge.core.values import Class, Unknown
from simulators.devices import (
    AcrelAsj,
    LeakageTemperatureMonitor,
    Lx47le,
    TemperatureTransmitter,
    VigirexRhu,
)
from tests.sources.field import bus_of, open_source, running, tcp, until
from tests.support import ROOT

FIRST = {"leak": 320.0, "temp": 41_000.0, "volts": 231.0, "load": 12_340.0}
PROFILES = {
    1: "acrel-asj",
    2: "schneider-rhu",
    3: "lx47le-125",
    4: "monitor-4i4t",
    5: "temperature-1ch",
    6: "temperature-4ch",
}
# Unit, quantity: the value, and what becomes of it once every sensor's lead is broken. None: not told apart.
QUANTITIES: dict[tuple[int, str], tuple[int, Unknown | None]] = {
    (1, "residual_current"): (320, Unknown.SENSOR_BROKEN),
    (1, "device_warning"): (0, None),
    (1, "device_alarm"): (1, None),
    (2, "residual_current"): (320, Unknown.SENSOR_BROKEN),
    (2, "percent_of_threshold"): (106, Unknown.SENSOR_BROKEN),
    (2, "device_alarm"): (1, None),
    (2, "device_warning"): (1, None),
    (2, "device_alarm_memorised"): (1, None),
    (3, "switched_off"): (0, None),
    (3, "residual_current"): (320, None),
    (3, "neutral_temperature"): (41_000, Unknown.OUT_OF_RANGE),
    (3, "phase_temperature"): (43_000, Unknown.OUT_OF_RANGE),
    (3, "voltage"): (231, None),
    (3, "current"): (1234, None),
    (4, "residual_current_1"): (320, None),
    (4, "residual_current_4"): (320, None),
    (4, "temperature_1"): (41_000, Unknown.SENSOR_BROKEN),
    (4, "temperature_4"): (41_000, Unknown.SENSOR_BROKEN),
    (5, "temperature"): (41_000, Unknown.SENSOR_BROKEN),
    (6, "temperature_1"): (41_000, Unknown.SENSOR_BROKEN),
    (6, "temperature_4"): (41_000, Unknown.SENSOR_BROKEN),
}


def code(place: tuple[int, str]) -> str:
    return f"{place[0]}-{place[1]}"


@pytest.fixture
def world() -> dict[str, float]:
    return dict(FIRST)


def units(world: dict[str, float]) -> dict[int, Any]:
    sense = world.__getitem__
    return {
        1: AcrelAsj(sense, "leak", 1),
        2: VigirexRhu(sense, "leak"),
        3: Lx47le(sense, "leak", "temp", "volts", "load"),
        4: LeakageTemperatureMonitor(sense, ["leak"] * 4, ["temp"] * 4),
        5: TemperatureTransmitter([lambda: sense("temp")]),
        6: TemperatureTransmitter([lambda: sense("temp")] * 4),
    }


def test_what_the_meters_show_is_what_there_is_and_a_broken_lead_is_no_value(
    world: dict[str, float], tmp_path: Path
) -> None:
    async def scenario() -> None:
        devices = units(world)
        bus = bus_of("meters", devices)
        async with tcp(bus) as face:
            tables = [{"address": unit, "profile": name, "period": "100ms"} for unit, name in PROFILES.items()]
            stanza = {"name": "meters", "kind": "modbus", "host": "127.0.0.1", "port": face.port, "unit": tables}
            points = {code(place): {"unit": place[0], "quantity": place[1]} for place in QUANTITIES}
            async with running(open_source(stanza, points, tmp_path)) as heard:
                for place, (value, _) in QUANTITIES.items():
                    await heard.until(code(place), value)
                world["leak"] = world["temp"] = math.nan
                for place, (_, broken) in QUANTITIES.items():
                    if broken is not None:
                        await heard.until(code(place), broken)
                world.update(FIRST)
                for place, (value, _) in QUANTITIES.items():
                    await heard.until(code(place), value)
                devices[2].is_valid = False
                for quantity in ("residual_current", "percent_of_threshold", "device_alarm", "device_warning"):
                    await heard.until(f"2-{quantity}", Unknown.REFUSED)
                devices[3].is_closed = False
                await until(lambda: heard.last("3-switched_off") == 1, "the open breaker")
        assert not bus.writes

    asyncio.run(scenario())


HOME = """
[[source]]
name = "cellar"
kind = "modbus"
device = "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"
unit = [{ address = 3, profile = "schneider-rhu" }]
[[source]]
name = "sensors"
kind = "i2c"
bus = 3
chip = [{ address = 0x44, driver = "sht3x" }]
[[point]]
code = "leak-c"
kind = "leakage"
zone = "f1"
place = "地下室总线路"
source = "cellar"
at = { unit = 3, quantity = "residual_current" }
[[point]]
code = "relay-c"
kind = "leakage_relay"
zone = "f1"
place = "地下室漏电继电器"
source = "cellar"
at = { unit = 3, quantity = "device_alarm" }
[[point]]
code = "air-c"
kind = "room_temperature"
zone = "f1"
place = "地下室"
source = "sensors"
at = { chip = 0x44, quantity = "temperature", period = "10s" }
[[point]]
code = "damp-c"
kind = "room_humidity"
zone = "f1"
place = "地下室湿度"
source = "sensors"
at = { chip = 0x44, quantity = "humidity", period = "60s" }
"""


def test_a_home_names_a_relays_own_decision_and_a_rooms_air() -> None:
    example = (ROOT / "deploy" / "example" / "gateway.toml").read_text("utf-8")
    setup = config.parse(tomllib.loads(example + HOME), "gateway.toml")
    plans = {plan.code: (plan.condition, plan.unit) for plan in setup.plan.points if plan.code.endswith("-c")}
    assert plans == {
        "leak-c": (Class.ELECTRICAL, "cellar/3"),
        "relay-c": (Class.ELECTRICAL, "cellar/3"),
        "air-c": (Class.FAULT, "sensors/0x44"),
        "damp-c": (Class.FAULT, "sensors/0x44"),
    }
    described = {point.code: (point.unit, point.scale, point.profile) for point in setup.points}
    assert described["damp-c"] == ("%", -1, "sht3x") and described["relay-c"] == ("", 0, "schneider-rhu")
