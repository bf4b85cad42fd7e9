"""The thread that tells people, with a modem on a pty: messages, replies, every trouble, and what must not stop it."""

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from smspdudecoder.easy import read_outgoing_sms

from edge.clock import SystemClock
from edge.core.values import Act, Class, Kind, Operation, Reading, Transition, Unknown
from edge.sms import inbox as inboxes
from edge.sms import modem as modems
from edge.sms import outbox
from edge.sms import sms as facade
from edge.sms import store as stores
from edge.sms import worker as workers
from edge.sms.catalogue import words
from edge.sms.config import SmsConfig
from edge.sms.plan import Contact, LadderPlan
from edge.sms.sms import Sms
from edge.sms.texts import Texts
from tests.edge.sms.phone import Phone
from tests.simulators.running import LoopThread
from tests.support import wait_until

ALL = frozenset({Class.FIRE, Class.ELECTRICAL, Class.FAULT})
WANG, LI = Contact("王院长", "+8613800000001", ALL, 1), Contact("李护士长", "+8613800000002", ALL, 2)
PLAN = LadderPlan((WANG, LI), {"smoke-203": "二楼203房"}, {"f2": "二楼"}, aggregate_ms=1_000)
LATE_S = 20.0


class Gateway:
    """What the agent does with `Sms`, and what it is told."""

    def __init__(self, folder: Path, phone: Phone, plan: LadderPlan = PLAN) -> None:
        self.events: list[Transition] = []
        self.acts: list[Act] = []
        self.clock = SystemClock()
        texts = Texts(words(), "和平里养老院", is_simulated=True)
        config = SmsConfig(str(phone.device))
        self.sms = Sms(config, plan, texts, folder, self.clock, self.events.extend, self.acts.append)
        self._loop = LoopThread()
        self._loop.call(self.sms.start)

    def take(self, *items: Transition) -> None:
        self._loop.call(self.sms.take, items)

    def fire(self, subject: str = "smoke-203", zone: str = "f2") -> None:
        self.take(Transition(Kind.RAISE, self.clock.mono_ms(), Class.FIRE, zone, subject, order=1))

    def reading(self, point: str) -> int | Unknown | None:
        readings: Sequence[Reading] = self._loop.call(self.sms.readings)
        found = next(item for item in readings if item.point == point)
        return found.unknown if found.value is None else found.value

    def status(self) -> dict:
        return dict(self._loop.call(self.sms.status))

    def test(self, name: str) -> int | None:
        return self._loop.call(self.sms.send_test, name)

    def kinds(self) -> list[Kind]:
        return [item.kind for item in self.events]

    def close(self) -> None:
        self._loop.call(self.sms.close)
        self._loop.run(asyncio.sleep(0))
        self._loop.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at every 20 s in a home is looked at here as soon as it is changed."""
    monkeypatch.setattr(workers, "LOOK_MS", 300)
    monkeypatch.setattr(workers, "RETRY_MS", (100,))
    monkeypatch.setattr(workers, "TURN_MS", 200)
    monkeypatch.setattr(outbox, "RETRY_MS", (200,))


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    with Phone(tmp_path) as phone:
        yield phone


@pytest.fixture
def gateway(tmp_path: Path, phone: Phone) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path, phone)
    yield gateway
    gateway.close()


def sent(phone: Phone) -> list[tuple[str, str]]:
    """What went out, as an independent decoder reads it."""
    return [(item["recipient"], item["content"]) for item in (read_outgoing_sms(part.pdu) for part in phone.sent)]


def test_a_fire_is_told_accepted_delivered_and_answered(gateway: Gateway, phone: Phone):
    gateway.fire()
    wait_until(lambda: Kind.SMS_DELIVERED in gateway.kinds(), timeout_s=LATE_S, what="the report")
    ((to, text),) = sent(phone)
    code = text[-6:-2]
    assert to == WANG.number
    assert text.startswith("【模拟火警】和平里养老院二楼203房 ")
    told = [item for item in gateway.events if item.kind is not Kind.SMS_CHECK]
    about = [(item.kind, item.who, item.zone, item.subject) for item in told]
    assert about == [(kind, "王院长", "f2", "smoke-203") for kind in (Kind.SMS_ACCEPTED, Kind.SMS_DELIVERED)]
    phone.reply(WANG.number, f"{code} OK")
    wait_until(lambda: gateway.acts, timeout_s=LATE_S, what="the acknowledgement")
    assert gateway.acts == [Act(Operation.ACKNOWLEDGE, "王院长", f"SMS {code} OK", "smoke-203")]
    assert Kind.SMS_REPLY in gateway.kinds()
    assert not any(number in str(gateway.events) + str(gateway.status()) for number in (WANG.number[3:], LI.number[3:]))


def test_the_check_is_on_record(gateway: Gateway):
    wait_until(lambda: gateway.events, timeout_s=LATE_S, what="the first check")
    assert [(item.kind, item.why) for item in gateway.events] == [(Kind.SMS_CHECK, "ok: signal 23/31, registered")]
    assert gateway.status()["signal"] == 23


@pytest.mark.parametrize(
    ("where", "kind", "more", "point", "unknown"),
    [
        ("modem", "dropped_link", {}, "gw-sms", ["gw-sim", "gw-signal"]),
        ("modem", "silent", {}, "gw-sms", ["gw-sim", "gw-signal"]),
        ("modem", "garbage", {}, "gw-sms", ["gw-sim", "gw-signal"]),
        ("modem/sim", "no_sim", {}, "gw-sim", ["gw-signal"]),
        ("modem/sim", "sim_pin", {}, "gw-sim", ["gw-signal"]),
        ("modem/network", "no_signal", {}, "gw-signal", []),
        ("modem/network", "cms_error", {"code": 38}, "gw-sms-send", []),
        ("modem/network", "cms_error", {"code": 28, "only": 1}, "gw-contact-1", []),
        ("modem/network", "lost_report", {"status": 0x46, "only": 1}, "gw-contact-1", []),
    ],
)
def test_each_trouble_is_one_fault_that_ends_with_its_cause_and_nothing_is_lost(
    gateway: Gateway, phone: Phone, monkeypatch: pytest.MonkeyPatch,
    where: str, kind: str, more: dict, point: str, unknown: list[str],
):  # fmt: skip
    points = ["gw-sms", "gw-sim", "gw-signal", "gw-sms-send", "gw-sms-full", "gw-contact-1", "gw-contact-2"]
    wait_until(lambda: gateway.reading("gw-sms") == 0, timeout_s=LATE_S, what="the first look")
    monkeypatch.setattr(modems, "ANSWER_S", 0.5)
    phone.fault(where, kind, **more)
    gateway.fire()
    wait_until(lambda: gateway.reading(point) == 1, timeout_s=LATE_S, what=f"{point} to be at fault")
    shown = {code: gateway.reading(code) for code in points if code != point}
    assert shown == {code: Unknown.NO_LINK if code in unknown else 0 for code in shown}
    phone.heal()
    monkeypatch.setattr(modems, "ANSWER_S", 2.0)
    if point == "gw-contact-1":
        # The next one has been told by then; and whoever could not be reached proves it with the next message.
        wait_until(lambda: LI.number in dict(sent(phone)), timeout_s=LATE_S, what="the next contact")
        assert gateway.test("王院长") is not None
    wait_until(lambda: WANG.number in dict(sent(phone)), timeout_s=LATE_S, what="the message")
    wait_until(lambda: gateway.reading(point) == 0, timeout_s=LATE_S, what="the fault's end")


@pytest.mark.parametrize("kind", ["bare_prompt", "echo", "chatty"])
def test_odd_manners_are_no_fault(gateway: Gateway, phone: Phone, kind: str):
    phone.fault("modem", kind)
    gateway.fire()
    wait_until(lambda: Kind.SMS_DELIVERED in gateway.kinds(), timeout_s=LATE_S, what="the report")
    assert gateway.reading("gw-sms") == 0


def test_a_modem_that_takes_a_message_and_falls_silent_is_given_it_again_for_a_fire(
    gateway: Gateway, phone: Phone, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(modems, "SEND_S", 0.5)
    wait_until(lambda: gateway.reading("gw-sms") == 0, timeout_s=LATE_S, what="the first look")
    phone.swallow_answer()
    gateway.fire()
    wait_until(lambda: Kind.SMS_ACCEPTED in gateway.kinds(), timeout_s=LATE_S, what="the second try")
    assert [text for _, text in sent(phone)] == [sent(phone)[0][1]] * 2


def test_a_disk_that_hangs_holds_no_message_back(tmp_path: Path, phone: Phone, monkeypatch: pytest.MonkeyPatch):
    works = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda descriptor: works.wait())
    monkeypatch.setattr(stores, "WITHIN_S", 0.3)
    gateway = Gateway(tmp_path, phone)
    gateway.fire()
    wait_until(lambda: sent(phone), timeout_s=LATE_S, what="the message")
    assert gateway.sms.is_disk_faulty
    works.set()
    gateway.close()


def test_a_flood_is_a_fault_and_loses_no_fire(gateway: Gateway, phone: Phone, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inboxes, "MAX_WAITING", 10)
    now_ms = gateway.clock.mono_ms()
    flood = [Transition(Kind.CLEAR, now_ms, Class.FAULT, "", f"meters/{number}") for number in range(200)]
    gateway.take(*flood, Transition(Kind.RAISE, now_ms, Class.FIRE, "f2", "smoke-203", order=1), *flood)
    assert gateway.reading("gw-sms-full") == 1
    wait_until(lambda: sent(phone), timeout_s=LATE_S, what="the fire")
    assert gateway.status()["lost"] > 0


def test_a_thread_that_hangs_is_a_fault_and_another_takes_over(
    gateway: Gateway, phone: Phone, monkeypatch: pytest.MonkeyPatch
):
    wait_until(lambda: gateway.reading("gw-sms") == 0, timeout_s=LATE_S, what="the first look")
    works, hung = threading.Event(), threading.Event()
    send = modems.Modem.send

    def stuck(modem: modems.Modem, part: object) -> object:
        if not hung.is_set():
            hung.set()
            works.wait()  # as in the kernel: no deadline reaches it
        return send(modem, part)  # type: ignore[arg-type]

    monkeypatch.setattr(modems.Modem, "send", stuck)
    monkeypatch.setattr(modems, "open_port", modems.open_port)
    monkeypatch.setattr(facade, "HUNG_MS", 1_500)
    gateway.fire()
    wait_until(hung.is_set, timeout_s=LATE_S, what="the thread to hang")
    wait_until(lambda: gateway.reading("gw-sms") == 1, timeout_s=LATE_S, what="the fault")
    monkeypatch.setattr(facade, "HUNG_MS", 60_000)
    works.set()
    wait_until(lambda: sent(phone), timeout_s=LATE_S, what="the message of the one that took over")
    wait_until(lambda: gateway.reading("gw-sms") == 0, timeout_s=LATE_S, what="the fault's end")


def test_a_test_message_says_what_became_of_it_and_nobody_is_called_nobody(gateway: Gateway, phone: Phone):
    assert gateway.test("张三") is None
    ticket = gateway.test("李护士长")
    wait_until(lambda: gateway.status()["tests"][str(ticket)] == "delivered", timeout_s=LATE_S, what="its report")
    ((to, text),) = sent(phone)
    assert to == LI.number
    assert text.startswith("【测试】和平里养老院")


def test_a_restart_goes_on_and_tells_nobody_twice(tmp_path: Path, phone: Phone):
    plan = LadderPlan((WANG, LI), {}, {}, reply_within_ms=1_000)
    first = Gateway(tmp_path, phone, plan)
    first.fire()
    wait_until(lambda: len(sent(phone)) == 1, timeout_s=LATE_S, what="the first message")
    first.close()
    second = Gateway(tmp_path, phone, plan)
    now_ms = second.clock.mono_ms()
    second.take(
        Transition(Kind.START, now_ms),
        Transition(Kind.RESTORE, now_ms, Class.FIRE, "f2", "smoke-203", order=1),
    )
    wait_until(lambda: len(sent(phone)) == 2, timeout_s=LATE_S, what="the next contact")
    second.close()
    assert [to for to, _ in sent(phone)][:2] == [WANG.number, LI.number]


def test_the_phone_of_the_next_contact_rings_where_that_is_wanted(
    tmp_path: Path, phone: Phone, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(modems, "RING_S", 0.5)
    gateway = Gateway(tmp_path, phone, LadderPlan((WANG, LI), {}, {}, reply_within_ms=1_000, voice=True))
    gateway.fire()
    wait_until(lambda: Kind.CALL in gateway.kinds(), timeout_s=LATE_S, what="the call")
    assert phone.calls[0] == LI.number
    called = next(item for item in gateway.events if item.kind is Kind.CALL)
    assert (called.who, called.why) == ("李护士长", "rang")
    gateway.close()
