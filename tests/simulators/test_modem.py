"""The simulated modem by itself and in its home: what the manuals say it answers, and what goes out over the air."""

import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators import sms_pdu
from simulators.faults import FaultBoard
from simulators.modem import Modem
from simulators.sms_pdu import SmsError
from tests.simulators.running import RunningHome
from tests.support import wait_until

# 【火警】203 to +8613800000001, asking for a report, valid for a day.
PDU = "0031000D91683108000000F10008A70E3010706B8B663011003200300033"


def said(modem: Modem, line: str) -> str:
    """What comes back at once for a line typed."""
    modem.receive(line.encode())
    return b"".join(modem.due(time.monotonic() + 1)).decode()


@pytest.fixture
def modem() -> Modem:
    places = {"modem": "modem", "modem/sim": "modem sim", "modem/network": "modem network"}
    return Modem(FaultBoard(places, {}))


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("AT\r", "AT\r\r\nOK\r\n"),
        ("ATE0\r", "ATE0\r\r\nOK\r\n"),
        ("AT+CPIN?\r", "AT+CPIN?\r\r\n+CPIN: READY\r\n\r\nOK\r\n"),
        ("AT+CSQ\r", "AT+CSQ\r\r\n+CSQ: 23,99\r\n\r\nOK\r\n"),
        ("AT+CEREG?\r", "AT+CEREG?\r\r\n+CEREG: 0,1\r\n\r\nOK\r\n"),
        ("AT+NOSUCH\r", "AT+NOSUCH\r\r\nERROR\r\n"),
        ("AT+CMGR=7\r", "AT+CMGR=7\r\r\n+CMS ERROR: 321\r\n"),
        ("AT+CMGS=5\rzz\x1a", "AT+CMGS=5\r\r\n> \r\n+CMS ERROR: 304\r\n"),
        ("AT+CMGS=5\rzz\x1b", "AT+CMGS=5\r\r\n> \r\nOK\r\n"),
        ("hello\r", "hello\r"),
    ],
)
def test_it_answers_as_the_manuals_have_it(modem: Modem, line: str, answer: str) -> None:
    assert said(modem, line) == answer


def test_a_message_goes_out_under_a_reference_and_its_report_follows(modem: Modem) -> None:
    said(modem, "ATE0\rAT+CNMI=2,1,0,1,0\r")
    answer = said(modem, f"AT+CMGS={len(PDU) // 2 - 1}\r{PDU}\x1a")
    (sent,) = modem.sent
    assert (sent.to, sent.text) == ("+8613800000001", "【火警】203")
    assert f"\r\n+CMGS: {sent.reference}\r\n\r\nOK\r\n" in answer
    assert f"\r\n+CDS: 26\r\n0891683108100005F006{sent.reference:02X}0D91683108000000F1" in answer


def test_a_wrong_length_is_refused(modem: Modem) -> None:
    assert "+CMS ERROR: 304" in said(modem, f"AT+CMGS=99\r{PDU}\x1a")
    assert modem.sent == []


def test_a_card_holds_so_many_messages_and_no_more(modem: Modem) -> None:
    for number in range(60):
        modem.take_reply("+8613800000001", str(number))
    assert said(modem, "AT+CMGL=4\r").count("+CMGL:") == 50


@pytest.mark.parametrize("pdu", ["", "00", "0004", PDU[:-2], PDU + "00", PDU.replace("0008A7", "0000A7")])
def test_what_is_no_message_is_refused(pdu: str) -> None:
    with pytest.raises(SmsError):
        sms_pdu.read_submit(bytes.fromhex(pdu))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHome]:
    home = RunningHome(tmp_path_factory.mktemp("h"))
    yield home
    home.stop()


def test_the_home_s_modem_is_moved_by_the_control_socket(home: RunningHome) -> None:
    port = os.open(home.ready["modem"], os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(port, b"ATE0\rAT+CNMI=2,1,0,1,0\r" + f"AT+CMGS={len(PDU) // 2 - 1}\r{PDU}\x1a".encode())
        wait_until(lambda: home.do(get="sms")["sms"], what="the message")
        (note,) = [entry for entry in home.do(get="log", since_ns=0)["log"] if entry["kind"] == "sms"]
        assert (note["to"], note["text"]) == ("+8613800000001", "【火警】203")
        home.do(sms={"from": "+8613800000001", "text": "4711"})
        received = b""
        while b"+CMTI" not in received:
            assert select.select([port], [], [], 10)[0], "the announcement"
            received += os.read(port, 4096)
    finally:
        os.close(port)


def test_unplugged_its_port_is_gone_and_comes_back(home: RunningHome) -> None:
    port = Path(home.ready["modem"])
    home.do(fault={"where": "modem", "kind": "dropped_link"})
    wait_until(lambda: not port.is_symlink(), what="the port to vanish")
    home.do(heal="modem")
    wait_until(port.is_symlink, what="the port to come back")


@pytest.mark.parametrize("command", [{"sms": {"from": 1}}, {"sms": 1}, {"modem": "explode"}])
def test_a_malformed_command_is_refused(home: RunningHome, command: dict[str, object]) -> None:
    reply = home._thread.call(home.simulator.controller.handle, command)
    assert "error" in reply
