"""Telling people, as processes: smoke in a simulated building, the agent as it runs in a home, a modem on a pty."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from smspdudecoder.easy import read_outgoing_sms

from edge import cli, station
from tests.edge.test_agent import LATE_S, Agent, agent, example_of
from tests.simulators.running import RunningHome
from tests.support import wait_until

WANG, LI = "+8613800000001", "+8613800000002"
SMOKE, NO_SMOKE = 8.0, 0.1


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHome]:
    home = RunningHome(tmp_path_factory.mktemp("b"))
    yield home
    home.stop()


@pytest.fixture(autouse=True)
def calm(building: RunningHome) -> Iterator[None]:
    """Each test begins with clean air and a modem that is well."""
    yield
    building.do(set={"203.smoke_pct_m": NO_SMOKE})
    building.do(heal="all")


class Phones:
    """What the phones have got since this began."""

    def __init__(self, building: RunningHome) -> None:
        self._building = building
        self._before = len(building.do(get="sms")["sms"])

    def got(self) -> list[tuple[str, str]]:
        """(Number, text), as an independent decoder reads it."""
        parts = self._building.do(get="sms")["sms"][self._before :]
        return [(item["recipient"], item["content"]) for item in (read_outgoing_sms(part["pdu"]) for part in parts)]

    def numbers(self, begin: str = "【模拟火警】") -> list[str]:
        return [number for number, text in self.got() if text.startswith(begin)]


def config_of(building: RunningHome, data: Path) -> str:
    """The example, whose second contact is told after four seconds."""
    text = example_of(building, data)
    assert 'after = "2min"' in text
    return text.replace('after = "2min"', 'after = "4s"')


def status(running: Agent) -> dict[str, Any]:
    return station.ask(running.data, {"do": "status"})


def fire(running: Agent) -> dict[str, Any] | None:
    return next((item for item in status(running)["active"] if item["class"] == "fire"), None)


def is_ready(running: Agent) -> bool:
    return running.answers() and status(running)["sms"]["signal"] == 23


def test_smoke_reaches_a_phone_a_reply_acknowledges_and_what_a_test_sends_is_real(
    building: RunningHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phones = Phones(building)
    with agent(tmp_path / "a", config_of(building, tmp_path / "a" / "data")) as running:
        wait_until(lambda: is_ready(running), timeout_s=LATE_S, what="the agent and its modem")
        assert cli.main(["sms", "test", "--to", "王院长", "--config", str(running.config)]) == 0
        assert "delivered to the phone" in capsys.readouterr().out
        assert phones.numbers("【测试】和平里养老院") == [WANG]
        assert cli.main(["sms", "test", "--to", "张三", "--config", str(running.config)]) == 1
        assert "contacts: 王院长, 李护士长, 赵主任" in capsys.readouterr().err

        building.do(set={"203.smoke_pct_m": SMOKE})
        wait_until(phones.numbers, timeout_s=LATE_S, what="the first message")
        number, text = phones.got()[1]
        assert number == WANG
        assert "203" in text
        assert len(text) <= 70
        standing = fire(running)
        assert standing is not None
        assert not standing["acknowledged"]
        building.do(sms={"from": WANG, "text": f"{text[-6:-2]} 收到"})
        wait_until(lambda: (fire(running) or {}).get("acknowledged"), timeout_s=LATE_S, what="the acknowledgement")
        assert status(running)["sound"] == "fire", "a reply never silences"
        assert cli.main(["status", "--config", str(running.config)]) == 0
        assert "fire f2: 王院长; answered" in capsys.readouterr().out
        assert "13800000001" not in running.log + json.dumps(status(running))
    assert phones.numbers() == [WANG], "nobody else was told"


def test_a_home_whose_disk_takes_nothing_tells_people_all_the_same(building: RunningHome, tmp_path: Path) -> None:
    """PANEL.md, "Staying alive": what happens goes to SMS from memory."""
    phones = Phones(building)
    (tmp_path / "in-the-way").write_text("no folder")
    with agent(tmp_path / "a", config_of(building, tmp_path / "in-the-way" / "data")) as running:
        wait_until(lambda: "watching" in running.log, timeout_s=LATE_S, what="the agent to watch")
        building.do(set={"203.smoke_pct_m": SMOKE})
        wait_until(phones.numbers, timeout_s=LATE_S, what="the first message")
        wait_until(lambda: len(phones.numbers()) > 1, timeout_s=LATE_S, what="the next contact")
        assert phones.numbers()[:2] == [WANG, LI]


def test_kill_9_in_the_middle_of_the_ladder_tells_nobody_twice_and_goes_on(
    building: RunningHome, tmp_path: Path
) -> None:
    phones = Phones(building)
    text = config_of(building, tmp_path / "a" / "data")
    with agent(tmp_path / "a", text) as running:
        wait_until(lambda: is_ready(running), timeout_s=LATE_S, what="the agent and its modem")
        building.do(set={"203.smoke_pct_m": SMOKE})
        # Saved: what the network has accepted is on disk before anything else is done.
        wait_until(
            lambda: any(item["class"] == "fire" and item["told"] for item in status(running)["sms"]["incidents"])
            and status(running)["sms"]["waiting"] == 0
            and phones.numbers(),
            timeout_s=LATE_S,
            what="the first message to be accepted",
        )
        running.process.kill()
        running.process.wait()
    with agent(tmp_path / "a", text) as running:
        wait_until(lambda: LI in phones.numbers(), timeout_s=LATE_S, what="the next contact")
        assert phones.numbers() == [WANG, LI], "nobody twice"


def test_an_unplugged_modem_is_one_fault_on_the_panel_and_the_fire_is_told_when_it_is_back(
    building: RunningHome, tmp_path: Path
) -> None:
    phones = Phones(building)
    with agent(tmp_path / "a", config_of(building, tmp_path / "a" / "data")) as running:
        wait_until(lambda: is_ready(running), timeout_s=LATE_S, what="the agent and its modem")
        building.do(fault={"where": "modem", "kind": "dropped_link"})
        building.do(set={"203.smoke_pct_m": SMOKE})
        wait_until(lambda: "gw-sms" in _faults(running), timeout_s=LATE_S + 10, what="the fault")
        assert [code for code in _faults(running) if code.startswith("gw-s")] == ["gw-sms"]
        building.do(heal="modem")
        wait_until(lambda: WANG in phones.numbers(), timeout_s=LATE_S, what="the message")
        wait_until(lambda: "gw-sms" not in _faults(running), timeout_s=LATE_S, what="the fault's end")


def _faults(running: Agent) -> list[str]:
    return [item["point"] for item in status(running)["active"] if item["class"] == "fault"]
