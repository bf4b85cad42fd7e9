"""The dialogue with a modem on a real pty, under every fault of the menu."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.sms import modem as modems
from edge.sms.config import SmsConfig
from edge.sms.line import Stopped
from edge.sms.modem import Doubtful, Modem, Refused, Sent, Trouble
from edge.sms.pdu import Deliver, Report, Submit, decode, encode
from simulators.faults import MENU
from tests.edge.sms.phone import Phone

NUMBER = "+8613800138000"


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    with Phone(tmp_path) as phone:
        yield phone


@pytest.fixture
def modem(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Modem]:
    # What a test waits for in vain is waited for shortly; a busy machine has time enough in the others.
    monkeypatch.setattr(modems, "SEND_S", 2.0)
    made = Modem(SmsConfig(str(phone.device)), lambda: False)
    yield made
    made.close()


@contextmanager
def hurried() -> Iterator[None]:
    """Where the modem says nothing anyway, no answer is waited for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modems, "ANSWER_S", 0.3)
        yield


def part(text: str = "火警") -> Submit:
    parts = encode(NUMBER, text)
    assert isinstance(parts, list)
    return parts[0]


def incoming(modem: Modem, count: int = 1, within_s: float = 10.0) -> list:
    """What comes in, decoded."""
    until_s = time.monotonic() + within_s
    found: list = []
    while len(found) < count and time.monotonic() < until_s:
        modem.listen(0.1)
        found += [decode(pdu) for pdu in modem.read()]
    return found


def test_a_modem_that_is_well_is_made_ready_and_says_how_it_hears(modem: Modem):
    health = modem.make_ready()
    assert (health.trouble, health.is_registered, health.signal) == (None, True, 23)


def test_a_message_is_accepted_and_its_report_comes_under_the_same_reference(modem: Modem, phone: Phone):
    modem.make_ready()
    outcome = modem.send(part("【火警】203房"))
    assert isinstance(outcome, Sent)
    (sent,) = phone.sent
    assert (sent.to, sent.text, sent.reference) == (NUMBER, "【火警】203房", outcome.reference)
    (report,) = incoming(modem)
    assert report == Report(outcome.reference, NUMBER, 0)


def test_replies_are_read_and_taken_off_the_card(modem: Modem, phone: Phone):
    modem.make_ready()
    phone.reply(NUMBER, "4711 @OK")
    phone.reply("+8613900139000", "收到 4711")
    assert incoming(modem, 2) == [Deliver(NUMBER, "4711 @OK", None), Deliver("+8613900139000", "收到 4711", None)]
    assert modem.read(is_all=True) == []


def test_what_came_while_nobody_listened_is_read_at_the_start(modem: Modem, phone: Phone):
    phone.reply(NUMBER, "4711")
    modem.make_ready()
    assert [decode(pdu) for pdu in modem.read(is_all=True)] == [Deliver(NUMBER, "4711", None)]


@pytest.mark.parametrize("kind", ["bare_prompt", "echo", "chatty"])
def test_odd_manners_change_nothing(modem: Modem, phone: Phone, kind: str):
    phone.fault("modem", kind)
    assert modem.make_ready().trouble is None
    outcomes = [modem.send(part(text)) for text in ("一", "二")]
    assert [type(outcome) for outcome in outcomes] == [Sent, Sent]
    assert [sent.text for sent in phone.sent] == ["一", "二"]
    assert [item.reference for item in incoming(modem, 2)] == [item.reference for item in phone.sent]


def test_a_slow_modem_is_waited_for(modem: Modem, phone: Phone):
    phone.fault("modem", "late", delay_ms=60)
    assert modem.make_ready().trouble is None
    assert isinstance(modem.send(part()), Sent)


@pytest.mark.parametrize(
    ("where", "kind", "trouble"),
    [
        ("modem", "silent", Trouble.HUNG),
        ("modem", "garbage", Trouble.HUNG),
        ("modem", "dropped_link", Trouble.UNPLUGGED),
        ("modem/sim", "no_sim", Trouble.NO_SIM),
        ("modem/sim", "sim_pin", Trouble.PIN_WANTED),
        ("modem/network", "no_signal", Trouble.NO_SIGNAL),
    ],
)
def test_each_trouble_has_its_name_and_goes_with_its_cause(
    modem: Modem, phone: Phone, where: str, kind: str, trouble: Trouble
):
    phone.fault(where, kind)
    with hurried():
        assert modem.make_ready().trouble is trouble
    phone.heal()
    assert modem.make_ready().trouble is None
    assert isinstance(modem.send(part()), Sent)
    assert phone.pins_tried == [], "a PIN is never guessed"


@pytest.mark.parametrize(
    ("where", "kind", "trouble"),
    [
        ("modem", "silent", Trouble.HUNG),
        ("modem", "dropped_link", Trouble.UNPLUGGED),
        ("modem/sim", "no_sim", Trouble.NO_SIM),
        ("modem/sim", "sim_pin", Trouble.PIN_WANTED),
        ("modem/network", "no_signal", Trouble.NO_SIGNAL),
    ],
)
def test_a_trouble_that_begins_later_is_found_by_the_next_message_and_by_the_next_look(
    modem: Modem, phone: Phone, where: str, kind: str, trouble: Trouble
):
    assert modem.make_ready().trouble is None
    phone.fault(where, kind)
    with hurried():
        assert modem.send(part()) is trouble
        assert modem.make_ready().trouble is trouble
    assert phone.sent == []


@pytest.mark.parametrize("code", [1, 38, 500])
def test_a_refusal_keeps_its_exact_number(modem: Modem, phone: Phone, code: int):
    modem.make_ready()
    phone.fault("modem/network", "cms_error", code=code)
    assert modem.send(part()) == Refused(code, f"+CMS ERROR: {code}")
    phone.heal()
    assert isinstance(modem.send(part()), Sent)


def test_a_lost_report_is_only_missing(modem: Modem, phone: Phone):
    phone.fault("modem/network", "lost_report")
    modem.make_ready()
    assert isinstance(modem.send(part()), Sent)
    assert incoming(modem, within_s=0.5) == []


def test_a_report_of_failure_says_so(modem: Modem, phone: Phone):
    phone.fault("modem/network", "lost_report", status=0x46)
    modem.make_ready()
    modem.send(part())
    (report,) = incoming(modem)
    assert isinstance(report, Report)
    assert report.is_failed


def test_a_modem_that_falls_silent_behind_the_prompt_leaves_a_doubt(modem: Modem, phone: Phone):
    modem.make_ready()
    phone.swallow_answer()
    assert modem.send(part()) == Doubtful()
    assert len(phone.sent) == 1, "which had gone out in truth"
    assert modem.make_ready().trouble is None


def test_a_modem_that_restarts_by_itself_is_set_up_again(modem: Modem, phone: Phone):
    modem.make_ready()
    phone.restart()
    assert isinstance(modem.send(part("一")), Sent)
    assert modem.make_ready().trouble is None
    assert isinstance(modem.send(part("二")), Sent)
    assert [item.reference for item in incoming(modem)][-1:] == [phone.sent[-1].reference], "reports are on again"


def test_a_modem_left_waiting_for_a_text_is_let_off(modem: Modem, phone: Phone):
    modem.make_ready()
    modem.close()
    phone.say(b"AT+CMGS=20\r")
    assert modem.make_ready().trouble is None
    assert isinstance(modem.send(part()), Sent)


def test_a_call_rings_until_it_is_taken_no_longer_or_no_longer_wanted(modem: Modem, phone: Phone):
    modem.make_ready()
    asked: list[bool] = []

    def wanted() -> bool:
        asked.append(True)
        if len(asked) == 1:
            phone.hang_up()
        return True

    assert modem.call(NUMBER, wanted) == "no carrier"
    assert modem.call(NUMBER, lambda: False) == "rang"
    assert phone.calls == [NUMBER, NUMBER]
    assert isinstance(modem.send(part()), Sent)


def test_an_end_of_the_agent_is_waited_for_by_nobody(phone: Phone):
    phone.fault("modem", "silent")
    modem = Modem(SmsConfig(str(phone.device)), lambda: True)
    with pytest.raises(Stopped):
        modem.make_ready()
    modem.close()


def test_the_menu_has_no_fault_without_a_test():
    tested = {"silent", "late", "garbage", "dropped_link", "echo", "bare_prompt", "chatty"}
    assert set(MENU["modem"]) == tested
    assert set(MENU["modem sim"]) == {"no_sim", "sim_pin"}
    assert set(MENU["modem network"]) == {"no_signal", "cms_error", "lost_report"}
