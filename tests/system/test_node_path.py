"""Real MicroPython → a real broker with our rights → the real agent → the buzzer's pin, and everything that breaks."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import station
from edge.nodes.release import carried
from tests.micropython.board import SMOKE_PIN
from tests.system.node_home import OLD, WIFI, NodeHome, node_command, node_home
from tests.system.running import BUZZER


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeHome]:
    with node_home(tmp_path_factory.mktemp("n")) as home:
        yield home


def test_a_contact_on_a_node_sounds_the_gateways_buzzer_and_is_on_record_once(home: NodeHome):
    since_ns = time.monotonic_ns()
    home.board.do(f"pin {SMOKE_PIN} 0")
    home.wait(lambda: home.building.driven(BUZZER, 1, since_ns), "the buzzer")
    home.wait(lambda: home.gateway.status()["sources"]["nodes"].get("reports", 0) >= 2, "the report")
    home.broker.kill()
    home.wait(lambda: home.point()["unknown"] == "no_link", "the broker to be missed")
    home.gateway.kill()
    home.broker.start()
    home.gateway.start()
    home.wait(lambda: home.point()["unknown"] is None, "the node to be heard again")
    home.board.do("cut")
    home.board.do("power")
    boot_lines = len(home.board.lines)
    home.wait(lambda: home.node()["heard_ago_ms"] < 5_000 and home.point()["value"] == 1, f"a new boot {boot_lines}")
    assert len(home.raises()) == 1
    assert home.raises()[0].why == ""
    home.board.do(f"pin {SMOKE_PIN} 1")
    home.wait(home.is_well, "the smoke to go")
    home.reset()


def test_an_alarm_while_all_is_dead_raises_once_and_with_its_age(home: NodeHome):
    before = len(home.raises())
    home.wait(lambda: not home.kept_alarms(), "the node to be told that the alarm before is kept")
    home.board.do("wifi down")
    home.board.do(f"pin {SMOKE_PIN} 0")
    home.wait(home.kept_alarms, "the alarm on the node's flash")
    home.board.do("cut")
    home.board.do(f"pin {SMOKE_PIN} 1")
    home.gateway.kill()
    home.board.do("wifi up")
    home.board.do("power")
    home.gateway.start()
    home.wait(lambda: ("fire", "smoke-1") in home.gateway.active(), "the alarm of before")
    home.wait(lambda: not home.kept_alarms(), "the node to hear that it is kept")
    home.gateway.kill()
    home.gateway.start()
    home.wait(home.is_well, "the detector at rest")
    told = home.raises()[before:]
    assert len(told) == 1
    assert told[0].why.startswith("age_ms")
    home.reset()


def test_an_update_is_signed_fetched_proved_and_on_record(home: NodeHome):
    assert home.node()["version"] == OLD
    with pytest.raises(station.StationError, match="needs the name of a person"):
        station.ask(home.gateway.data, {"do": "node_update", "subject": "n1"})
    with pytest.raises(station.StationError, match="expected one of n1"):
        station.ask(home.gateway.data, {"do": "node_update", "subject": "n7", "who": "安装工小王"})
    station.ask(home.gateway.data, {"do": "node_update", "subject": "n1", "who": "安装工小王"})
    wanted = carried().version
    home.wait(lambda: home.node()["version"] == wanted, f"the new firmware; {home.node()}, {home.board.lines[-5:]}")
    home.wait(lambda: home.node()["update"] == f"up to date: {wanted}", "the node to have proved it")
    home.wait((home.board.folder / "slot").exists, "the new folder to be the good one")
    listed = node_command("list", "--config", str(home.gateway.config), "--folder", str(home.folder / "nodes"))
    assert wanted in listed and "board 7cdfa1000301" in listed


def test_an_order_reaches_the_node(home: NodeHome):
    station.ask(home.gateway.data, {"do": "node_self_test", "subject": "n1", "who": "安装工小王"})
    home.board.wait("# lamp 1")


def test_no_secret_is_in_a_log(home: NodeHome):
    folder: Path = home.folder / "nodes"
    board = (folder / "n1" / "board.py").read_text()
    assert WIFI in board
    secrets = [WIFI, (folder / "n1" / "key").read_text().strip(), (folder / "gateway.password").read_text().strip()]
    said = home.gateway.log + home.broker.log + "\n".join(home.board.lines)
    assert not any(secret in said for secret in secrets)
