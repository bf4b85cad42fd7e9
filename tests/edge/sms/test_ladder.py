"""The ladder as tables that somebody who answers the phone could read, and properties over any course of events."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.values import Class, Kind, Transition
from edge.sms.catalogue import words
from edge.sms.inbox import News
from edge.sms.incident import Acknowledge, Message, Note, Purpose, Ring
from edge.sms.ladder import Ladder
from edge.sms.plan import Contact, LadderPlan
from edge.sms.texts import Spot, Texts, units

ALL = frozenset({Class.FIRE, Class.ELECTRICAL, Class.EARLY_WARNING, Class.SUPERVISORY, Class.FAULT})
WANG = Contact("王院长", "+8613800000001", ALL, 1)
LI = Contact("李护士长", "+8613800000002", ALL, 2)
ZHAO = Contact("赵主任", "+8613800000003", frozenset({Class.FIRE}), 3, after_ms=60_000)
PLAN = LadderPlan(
    (WANG, LI, ZHAO),
    {"smoke-203": "二楼203房", "smoke-204": "二楼204房", "leak-k": "厨房总路"},
    {"f2": "二楼", "f3": "三楼"},
    daily_cap=3,
)
REPLY_MS, AGGREGATE_MS = PLAN.reply_within_ms, PLAN.aggregate_ms


class Home:
    """A ladder, a clock, and a modem that accepts all that it is given unless it is told otherwise."""

    def __init__(self, plan: LadderPlan = PLAN) -> None:
        self.plan = plan
        self.now_ms = 1_000
        self.codes: Iterator[str] = iter(str(code) for code in range(4001, 9999))
        self.ladder = self.made()
        self.sent: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.out: list = []
        self.refusals: dict[str, bool] = {}
        self.reference = 0

    def made(self) -> Ladder:
        return Ladder(self.plan, Texts(words(), "和平里养老院"), lambda: next(self.codes))

    def say(self, kind: Kind, condition: Class | None = None, subject: str = "", zone: str = "f2", **more) -> None:
        item = Transition(kind, self.now_ms, condition, zone, subject, **more)
        self.ladder.take([News(item, "14:02")], self.now_ms)
        self.ladder.tick(self.now_ms, "14:02")

    def fire(self, subject: str = "smoke-203", zone: str = "f2", order: int = 1) -> None:
        self.say(Kind.RAISE, Class.FIRE, subject, zone, order=order)

    def send(self) -> None:
        """Send all that is due now."""
        outbox = self.ladder.outbox
        while (message := outbox.next(self.now_ms)) is not None:
            outbox.begin(message)
            if message.contact in self.refusals:
                is_number = self.refusals[message.contact]
                self.ladder.refused(message, f"+CMS ERROR: {1 if is_number else 38}", is_number, self.now_ms)
                continue
            self.reference += 1
            outbox.part_accepted(message, self.reference % 256)
            outbox.accepted(message)
            self.sent.append((message.contact, str(message.purpose), str(message.condition)))
            self.texts.append(message.text)
        self.out += self.ladder.take_out()

    def wait(self, for_ms: int) -> None:
        """Let time pass as the shell does: from one deadline to the next."""
        until_ms = self.now_ms + for_ms
        self.send()
        while (due_ms := self.ladder.wake_at(self.now_ms)) is not None and due_ms <= until_ms:
            assert due_ms > self.now_ms, "a deadline lies in the future"
            self.now_ms = due_ms
            self.ladder.tick(self.now_ms, "14:02")
            self.send()
        self.now_ms = until_ms
        self.ladder.tick(self.now_ms, "14:02")

    def restart(self, off_ms: int = 0) -> None:
        """kill -9 at this moment, and an agent that starts `off_ms` later."""
        saved = json.loads(json.dumps(self.ladder.save(self.now_ms)))
        self.ladder = self.made()
        self.now_ms += off_ms
        self.ladder.restore(saved, self.now_ms, off_ms)

    def who(self, purpose: str = "") -> list[str]:
        return [name for name, of, _ in self.sent if not purpose or of == purpose]

    def notes(self, kind: Kind) -> list[tuple[str, str]]:
        return [(item.who, item.why) for item in self.out if isinstance(item, Note) and item.kind is kind]


@pytest.fixture
def home() -> Home:
    return Home()


# --- who is told, and when


def test_the_first_message_goes_out_at_the_moment_of_the_fire_and_fits_into_one_part(home: Home):
    home.fire()
    home.send()
    assert home.sent == [("王院长", "first", "fire")]
    assert home.texts == ["【火警】和平里养老院二楼203房 14:02 回4001确认"]
    assert units(home.texts[0]) <= 70


def test_without_a_reply_the_next_ones_are_told_each_after_the_time_of_those_before(home: Home):
    home.fire()
    home.wait(REPLY_MS - 1)
    assert home.who() == ["王院长"]
    home.wait(1)
    assert home.who() == ["王院长", "李护士长"]
    home.wait(59_999)
    assert home.who() == ["王院长", "李护士长"]
    home.wait(1)
    assert home.who() == ["王院长", "李护士长", "赵主任"]


def test_contacts_of_one_order_are_told_together():
    home = Home(LadderPlan((WANG, Contact("夜班", "+8613800000009", ALL, 1), LI), {}, {}))
    home.fire()
    home.send()
    assert home.who() == ["王院长", "夜班"]


def test_a_fire_that_nobody_answers_is_told_three_times_over_and_that_is_on_record(home: Home):
    home.fire()
    home.wait(3_600_000)
    assert home.who() == ["王院长", "李护士长", "赵主任"] * 3
    assert home.who("again") == ["王院长", "李护士长", "赵主任"] * 2
    assert "无人确认" in home.texts[-1]
    assert ("", "nobody has answered") in home.notes(Kind.SMS_FAILED)


def test_a_reply_with_the_code_ends_the_ladder_and_acknowledges_in_the_name_of_who_sent_it(home: Home):
    home.fire()
    home.send()
    home.ladder.replied("13800000001", "收到４００１，马上到", home.now_ms)
    home.wait(3_600_000)
    assert home.who() == ["王院长"]
    acts = [item for item in home.out if isinstance(item, Acknowledge)]
    assert acts == [Acknowledge("王院长", "SMS 收到4001,马上到", ("smoke-203",))]
    assert home.notes(Kind.SMS_REPLY) == [("王院长", "收到4001,马上到")]


@pytest.mark.parametrize(
    ("sender", "text", "why"),
    [
        ("+8613900000009", "4001", "a number that is not listed"),
        ("00000001", "4001", "the end of a number"),
        ("+8613800000001", "收到", "no code"),
        ("+8613800000001", "4002", "the code of nothing that stands"),
        ("+8613800000001", "14001", "a longer number"),
        ("+8613800000001", "", "nothing"),
    ],
)
def test_no_other_message_counts(home: Home, sender: str, text: str, why: str):
    home.fire()
    home.send()
    home.ladder.replied(sender, text, home.now_ms)
    home.wait(REPLY_MS)
    assert home.who() == ["王院长", "李护士长"], why
    assert not any(isinstance(item, Acknowledge) for item in home.out)


def test_an_acknowledgement_on_site_ends_the_ladder_too(home: Home):
    home.fire()
    home.wait(1_000)
    home.say(Kind.ACKNOWLEDGE, who="值班室", zone="")
    home.wait(3_600_000)
    assert home.who() == ["王院长"]


def test_the_acknowledgement_of_a_reply_ends_no_other_ladder(home: Home):
    """It comes back as a transition of the panel, and was about one zone."""
    home.fire()
    home.fire("smoke-301", "f3", 2)
    home.send()
    home.ladder.replied(WANG.number, "4001", home.now_ms)
    home.say(Kind.ACKNOWLEDGE, who="王院长", why="SMS 4001", zone="")
    home.wait(REPLY_MS)
    assert [(name, zone) for name, of, zone in home.sent if name == "李护士长"] == [("李护士长", "fire")]


def test_silence_and_reset_alone_tell_nobody_and_end_nothing(home: Home):
    home.fire()
    home.send()
    home.say(Kind.SILENCE, who="值班室", zone="")
    home.say(Kind.RESET, who="值班室", zone="")
    home.wait(REPLY_MS)
    assert home.who() == ["王院长", "李护士长"]


# --- zones, spread, details


def test_every_zone_has_a_first_message_of_its_own_at_once(home: Home):
    home.fire("smoke-203", "f2", 1)
    home.fire("smoke-301", "f3", 2)
    home.send()
    assert home.sent == [("王院长", "first", "fire")] * 2


def test_what_follows_in_the_zone_is_told_once_in_thirty_seconds_in_the_order_of_the_spread(home: Home):
    home.fire()
    home.wait(1_000)
    home.fire("smoke-204", order=2)
    home.say(Kind.CONFIRM, Class.FIRE)
    home.wait(AGGREGATE_MS - 1_001)
    assert len(home.sent) == 1
    home.wait(1)
    assert home.sent[1:] == [("王院长", "more", "fire")]
    assert home.texts[-1] == (
        "【火警】和平里养老院：首警二楼203房 14:02；蔓延2 二楼204房 14:02；火警已确认。回4001确认"
    )
    home.fire("smoke-205", order=3)
    home.wait(AGGREGATE_MS - 1)
    assert len(home.sent) == 2
    home.wait(1)
    assert len(home.sent) == 3


def test_whoever_is_told_later_is_told_all_of_it(home: Home):
    home.fire()
    home.wait(1_000)
    home.fire("smoke-204", order=2)
    home.wait(REPLY_MS)
    assert [of for name, of, _ in home.sent if name == "李护士长"] == ["first", "more"]


def test_what_is_new_after_an_answer_climbs_anew(home: Home):
    home.fire()
    home.send()
    home.ladder.replied(WANG.number, "4001", home.now_ms)
    home.wait(600_000)
    home.fire("smoke-204", order=2)
    home.wait(REPLY_MS)
    assert home.sent[1:] == [("王院长", "more", "fire"), *[("李护士长", of, "fire") for of in ("first", "more")]]


# --- the end


def test_the_all_clear_goes_to_those_who_know_when_a_reset_has_held(home: Home):
    home.fire()
    home.send()
    home.say(Kind.CLEAR, Class.FIRE, "smoke-203", who="值班室")
    home.wait(AGGREGATE_MS - 1)
    assert len(home.sent) == 1
    home.wait(1)
    assert home.sent[1:] == [("王院长", "over", "fire")]
    assert home.texts[-1] == "【解除】和平里养老院二楼火警已复位（值班室） 14:02"
    home.wait(3_600_000)
    assert len(home.sent) == 2


def test_what_a_reset_brings_back_was_never_over(home: Home):
    home.fire()
    home.send()
    home.say(Kind.CLEAR, Class.FIRE, "smoke-203", who="值班室")
    home.wait(15_000)
    home.fire()
    home.wait(60_000)
    assert [of for _, of, _ in home.sent] == ["first", "more"]


def test_a_fault_that_ends_before_it_could_be_told_is_not_told_and_has_no_all_clear(home: Home):
    home.refusals = {"王院长": False, "李护士长": False}
    home.say(Kind.RAISE, Class.FAULT, "meters/2", "")
    home.send()
    home.say(Kind.CLEAR, Class.FAULT, "meters/2", "")
    home.wait(AGGREGATE_MS)
    home.refusals = {}
    home.wait(3_600_000)
    assert home.sent == []
    assert any("not sent: over before it was sent" in why for _, why in home.notes(Kind.SMS_FAILED))


# --- other classes


@pytest.mark.parametrize("condition", [Class.DISABLED, Class.TEST])
def test_what_is_disabled_or_tested_is_told_to_nobody(home: Home, condition: Class):
    home.say(Kind.RAISE, condition, "smoke-203")
    home.wait(3_600_000)
    assert home.sent == []


def test_only_those_are_told_who_want_the_class(home: Home):
    home.say(Kind.RAISE, Class.SUPERVISORY, "ext-2")
    home.wait(3_600_000)
    assert set(home.who()) == {"王院长", "李护士长"}


def test_a_day_has_so_many_messages_of_a_class_and_the_last_says_so(home: Home):
    for number in range(20):
        home.say(Kind.RAISE, Class.FAULT, f"meters/{number}", "")
        home.wait(AGGREGATE_MS)
    assert len(home.sent) == 3
    assert "今日此类短信已满" in home.texts[-1]
    assert [why for _, why in home.notes(Kind.SMS_FAILED)].count("daily cap reached") == 1
    home.say(Kind.RAISE, Class.ELECTRICAL, "leak-k")
    home.send()
    assert len(home.sent) == 4, "each class has a cap of its own"
    home.wait(86_400_000)
    home.say(Kind.RAISE, Class.FAULT, "meters/99", "")
    home.wait(AGGREGATE_MS)
    assert home.sent[-1][2] == "fault"


def test_no_cap_holds_back_a_fire(home: Home):
    for number in range(20):
        home.fire(f"smoke-{number}", f"z{number}", number + 1)
    home.send()
    assert home.who("first") == ["王院长"] * 20


def test_a_reply_to_a_warning_is_on_record_and_stops_no_sound(home: Home):
    home.say(Kind.RAISE, Class.EARLY_WARNING, "leak-k")
    home.send()
    home.ladder.replied(WANG.number, "4001", home.now_ms)
    home.wait(3_600_000)
    assert home.who() == ["王院长"]
    assert home.notes(Kind.SMS_REPLY)
    assert not any(isinstance(item, Acknowledge) for item in home.out)


# --- trouble


def test_a_number_that_is_refused_hands_over_to_the_next_at_once_and_is_a_fault(home: Home):
    home.refusals = {"王院长": True}
    home.fire()
    home.wait(0)
    home.wait(1)
    assert home.who() == ["李护士长"]
    assert list(home.ladder.outbox.bad_numbers) == ["王院长"]
    home.refusals = {}
    home.wait(60_000)
    assert home.ladder.outbox.bad_numbers == {}, "one that goes through ends it"


def test_a_network_that_refuses_twice_hands_over_to_the_next_and_goes_on_trying(home: Home):
    home.refusals = {"王院长": False}
    home.fire()
    home.wait(5_001)
    assert home.who() == ["李护士长"]
    home.refusals = {}
    home.wait(59_000)
    assert home.who() == ["李护士长", "王院长"], "and nobody is told twice for it"


def test_a_group_is_waited_for_while_one_of_it_can_be_reached():
    home = Home(LadderPlan((WANG, Contact("夜班", "+8613800000009", ALL, 1), LI), {}, {}))
    home.refusals = {"夜班": True}
    home.fire()
    home.wait(REPLY_MS - 1)
    assert home.who() == ["王院长"]


def test_a_report_of_failure_hands_over_and_one_of_success_is_on_record_apart_from_the_acceptance(home: Home):
    home.fire()
    home.send()
    assert home.notes(Kind.SMS_ACCEPTED) == [("王院长", "first 4001")]
    assert home.notes(Kind.SMS_DELIVERED) == []
    home.ladder.reported(1, WANG.number, False, "status 0x46", home.now_ms)
    home.wait(1)
    assert home.who() == ["王院长", "李护士长"]
    home.ladder.reported(2, LI.number, True, "", home.now_ms)
    home.send()
    assert home.notes(Kind.SMS_DELIVERED) == [("李护士长", "first 4001")]


def test_a_report_for_another_number_or_reference_belongs_to_nothing(home: Home):
    home.fire()
    home.send()
    home.ladder.reported(1, LI.number, True, "", home.now_ms)
    home.ladder.reported(2, WANG.number, True, "", home.now_ms)
    home.send()
    assert home.notes(Kind.SMS_DELIVERED) == []


def test_a_phone_rings_only_where_that_is_wanted_and_for_the_next_contact():
    home = Home(LadderPlan((WANG, LI), {}, {}, voice=True))
    home.fire()
    home.wait(REPLY_MS)
    assert [item for item in home.out if isinstance(item, Ring)] == [Ring("李护士长", "4001")]


# --- across a restart


def test_a_restart_sends_nothing_twice_and_goes_on_where_it_was(home: Home):
    home.fire()
    home.wait(60_000)
    home.restart(off_ms=10_000)
    home.ladder.take(
        [
            News(Transition(Kind.START, home.now_ms), ""),
            News(Transition(Kind.RESTORE, home.now_ms, Class.FIRE, "f2", "smoke-203", order=1), ""),
        ],
        home.now_ms,
    )
    home.wait(REPLY_MS - 70_001)
    assert home.who() == ["王院长"]
    home.wait(1)
    assert home.who() == ["王院长", "李护士长"]


@pytest.mark.parametrize(("condition", "times"), [(Class.FIRE, 2), (Class.ELECTRICAL, 1)])
def test_what_was_being_sent_when_the_power_went_is_sent_again_for_a_fire_only(condition: Class, times: int):
    home = Home()
    home.say(Kind.RAISE, condition, "smoke-203")
    message = home.ladder.outbox.next(home.now_ms)
    assert message is not None
    home.ladder.outbox.begin(message)
    home.restart()
    home.send()
    assert 1 + len(home.sent) == times


def test_a_fire_that_the_panel_has_forgotten_is_told_until_somebody_answers_and_has_no_all_clear(home: Home):
    home.fire()
    home.send()
    home.restart()
    home.say(Kind.START, zone="")
    home.wait(REPLY_MS)
    assert home.who() == ["王院长", "李护士长"]
    home.ladder.replied(LI.number, "4001", home.now_ms)
    home.wait(3_600_000)
    assert home.who() == ["王院长", "李护士长"]
    assert home.ladder.incidents == {}


def test_a_fire_that_the_ladder_has_forgotten_is_told(home: Home):
    home.say(Kind.START, zone="")
    home.say(Kind.RESTORE, Class.FIRE, "smoke-203", order=1)
    home.send()
    assert home.who() == ["王院长"]


# --- anything may happen

STEPS = st.one_of(
    st.tuples(
        st.just("say"),
        st.sampled_from([Kind.RAISE, Kind.CLEAR, Kind.RESTORE, Kind.RESOUND, Kind.CONFIRM, Kind.ACKNOWLEDGE]),
        st.sampled_from(sorted(ALL)),
        st.sampled_from(["smoke-203", "smoke-204", "leak-k", "meters/2"]),
        st.sampled_from(["f2", "f3", ""]),
    ),
    st.tuples(st.just("wait"), st.integers(0, 400_000)),
    st.tuples(st.just("refuse"), st.sampled_from(["王院长", "李护士长", "赵主任"]), st.booleans()),
    st.tuples(st.just("heal")),
    st.tuples(st.just("reply"), st.sampled_from([WANG.number, LI.number, "+8613912345678"]), st.text(max_size=10)),
    st.tuples(st.just("answer")),
    st.tuples(st.just("report"), st.integers(0, 255), st.booleans()),
    st.tuples(st.just("restart"), st.integers(0, 100_000)),
)


def step(home: Home, what: tuple) -> None:
    verb, *rest = what
    if verb == "say":
        kind, condition, subject, zone = rest
        home.say(kind, Class(condition), subject, zone)
    elif verb == "wait":
        home.wait(rest[0])
    elif verb == "refuse":
        home.refusals[rest[0]] = rest[1]
    elif verb == "heal":
        home.refusals = {}
    elif verb == "reply":
        home.ladder.replied(rest[0], rest[1], home.now_ms)
    elif verb == "answer":
        for item in list(home.ladder.incidents.values()):
            home.ladder.replied(WANG.number, item.code, home.now_ms)
    elif verb == "report":
        home.ladder.reported(rest[0], WANG.number, rest[1], "", home.now_ms)
    else:
        home.restart(rest[0])


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_whatever_happens_every_fire_is_told_first_of_all_and_the_ladder_comes_to_rest(steps: list[tuple]):
    home = Home()
    for what in steps:
        standing = set(home.ladder.incidents)
        step(home, what)
        new = [key for key in home.ladder.incidents if key not in standing and key[0] is Class.FIRE]
        if what[0] == "say" and new:
            urgent = home.ladder.outbox.next(home.now_ms)
            assert urgent is not None
            assert urgent.condition is Class.FIRE, "at once, before all else"
    home.refusals = {}
    home.wait(7 * 86_400_000)
    assert not home.ladder.outbox.due_times(), "nothing waits for ever"
    assert all(item.turn_ms is None for item in home.ladder.incidents.values())
    for _, text in zip(home.sent, home.texts, strict=True):
        assert units(text) <= 201
    firsts = [text for (_, of, _), text in zip(home.sent, home.texts, strict=True) if of in ("first", "again", "over")]
    assert all(units(text) <= 70 for text in firsts)


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(STEPS.filter(lambda what: what[0] != "restart"), max_size=15), at=st.integers(0, 14))
def test_a_restart_without_a_moment_between_changes_nothing(steps: list[tuple], at: int):
    plain, broken = Home(), Home()
    for number, what in enumerate(steps):
        step(plain, what)
        if number == at:
            broken.restart()
        step(broken, what)
    plain.wait(3_600_000)
    broken.wait(3_600_000)
    assert broken.sent == plain.sent
    assert broken.texts == plain.texts


def test_messages_that_are_remembered_for_their_reports_are_bounded(home: Home):
    for number in range(400):
        home.fire(f"smoke-{number}", f"z{number}", number)
        home.wait(1_000)
    home.wait(3_600_000)
    assert len(home.ladder.outbox.messages) <= 500
    assert isinstance(home.ladder.outbox.messages[0], Message)


# --- texts


@given(
    home=st.text(min_size=1, max_size=40), place=st.text(min_size=1, max_size=40),
    condition=st.sampled_from(sorted(ALL)), who=st.text(max_size=60), is_simulated=st.booleans(),
)  # fmt: skip
def test_every_first_message_and_all_clear_fits_into_one_part(
    home: str, place: str, condition: str, who: str, is_simulated: bool
):
    texts = Texts(words(), home, is_simulated)
    spot = Spot(place, 1, "119分钟前")
    first = [texts.first(Class(condition), spot, "4711", is_again) for is_again in (False, True)]
    assert all(units(text) <= 70 for text in [*first, texts.over(Class(condition), place, who, "14:02")])
    assert all("4711" in text for text in first)


def test_a_long_name_of_the_home_gives_way_to_the_place():
    place = "二楼东侧走廊尽头的公共活动室北面窗边靠近安全出口处的感烟探测器"
    text = Texts(words(), "和平里街道综合养老服务中心暨日间照料站", True).first(
        Class.FIRE, Spot(place, 1, "14:02"), "4711"
    )
    assert place in text
    assert text.startswith("【模拟火警】和平里")
    assert units(text) <= 70


def test_details_of_many_places_have_three_parts_at_most_and_the_latest_place_in_them():
    spots = [Spot(f"二楼第{number}号房间的感烟探测器", number, "14:02") for number in range(1, 60)]
    text = Texts(words(), "和平里养老院").more(Class.FIRE, spots, True, "4711")
    assert units(text) <= 201
    assert "第1号" in text
    assert "第59号" in text
    assert "等59处" in text


def test_an_untrusted_clock_says_how_long_ago():
    home = Home()
    home.ladder.take([News(Transition(Kind.RAISE, home.now_ms, Class.FIRE, "f2", "smoke-203", order=1), "")], 1_000)
    home.send()
    assert "刚刚" in home.texts[0]
    home.wait(REPLY_MS)
    assert "3分钟前" in home.texts[1]


def test_purposes_are_the_words_of_the_catalogue():
    assert {str(item) for item in Purpose} <= set(words()["message"])
