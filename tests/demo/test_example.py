"""The shipped example is what the demonstration runs, but for addresses, folder, rules and back-ends."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from demo import example
from demo.light import light_table
from edge import config
from edge.sms.own import sms_points

READY = {
    "gpio": "/x/gpio.sock",
    "i2c": "/x/i2c.sock",
    "meters": {"port": 1502},
    "breakers": {"path": "/x/rtu"},
}
SHIPPED = example.EXAMPLE.read_text("utf-8")


def edited() -> dict[str, Any]:
    return tomllib.loads(example.edit(SHIPPED, "/x/gateway", 1884, READY))


def leaves(table: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(table, dict):
        for key, value in table.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(table, list):
        for index, value in enumerate(table):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, table


def test_only_what_has_to_differ_differs() -> None:
    before, after = dict(leaves(tomllib.loads(SHIPPED))), dict(leaves(edited()))
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    allowed = {"gateway.data", "gateway.locks", "gateway.rules", "gateway.simulated", "uplink.port", "uplink.host"}
    assert {path for path in changed if not path.startswith("source[")} <= allowed
    of_sources = {path.partition(".")[2] for path in changed if path.startswith("source[")}
    assert of_sources <= {"backend", "address", "host", "port", "device"}


def test_the_edited_example_has_no_mistake() -> None:
    setup = config.parse(edited(), "gateway.toml")
    assert setup.gateway.simulated
    assert setup.gateway.rules == "demo"
    assert setup.home.code == "h01"


def test_a_light_home_is_the_same_home_elsewhere() -> None:
    full = config.parse(edited(), "gateway.toml")
    light = config.parse(light_table(edited(), "h02", "望海楼养老院", "/x/h02", 1885), "h02.toml")
    assert full.telling is not None
    modem = {point.code for point in sms_points(full.telling.contacts)}
    assert light.plan.points == tuple(point for point in full.plan.points if point.code not in modem)
    assert light.plan.zones == full.plan.zones
    assert light.telling is None
    assert (light.home.code, light.gateway.data, light.uplink.port) == ("h02", "/x/h02", 1885)


def test_an_example_without_a_source_is_refused() -> None:
    without = SHIPPED.replace('kind = "i2c"', 'kind = "gpio"')
    with pytest.raises(example.ExampleError, match="one source of each kind"):
        example.edit(without, "/x", 1, READY)
    with pytest.raises(example.ExampleError, match="no bus 'breakers'"):
        example.edit(SHIPPED, "/x", 1, {key: value for key, value in READY.items() if key != "breakers"})
