"""The frozen values that cross the core's borders, and the named reasons they carry.

Times are integer milliseconds of the machine's monotonic clock; measured values are scaled integers whose unit and
scale stand in the point's description. A reading that failed carries a reason and no number.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Level(IntEnum):
    """What a point rule makes of its readings. Unknown is no level: a rule keeps the last one it was sure of."""

    NORMAL = 0
    EARLY = 1
    ALARM = 2
    FAULT = 3


class Class(StrEnum):
    """What a condition means to people, worst first (PANEL.md, "Classes")."""

    FIRE = "fire"
    ELECTRICAL = "electrical"
    EARLY_WARNING = "early_warning"
    SUPERVISORY = "supervisory"
    FAULT = "fault"
    DISABLED = "disabled"
    TEST = "test"


PRIORITY: tuple[Class, ...] = tuple(Class)
LATCHING = frozenset({Class.FIRE, Class.ELECTRICAL})
OUT_OF_SERVICE = frozenset({Class.DISABLED, Class.TEST})


class Unknown(StrEnum):
    """Why there is no value."""

    TIMEOUT = "timeout"
    NO_LINK = "no_link"
    REFUSED = "refused"
    BAD_REPLY = "bad_reply"
    NACK = "nack"
    OUT_OF_RANGE = "out_of_range"
    SENSOR_BROKEN = "sensor_broken"
    NOT_POLLED = "not_polled"


class Kind(StrEnum):
    """What a transition tells."""

    RAISE = "raise"
    CLEAR = "clear"
    CONFIRM = "confirm"
    RESTORE = "restore"
    ACKNOWLEDGE = "acknowledge"
    SILENCE = "silence"
    RESET = "reset"
    RESOUND = "resound"
    DISABLE = "disable"
    ENABLE = "enable"
    WALK_TEST = "walk_test"
    END_WALK_TEST = "end_walk_test"
    PROVE = "prove"
    SELF_TEST = "self_test"
    END_SELF_TEST = "end_self_test"
    ASK = "ask"
    ANSWER = "answer"
    UNANSWERED = "unanswered"
    POWER_END = "power_end"
    RELOAD = "reload"
    START = "start"
    STOP = "stop"
    GAP = "gap"
    LOOSEN = "loosen"
    SMS_ACCEPTED = "sms_accepted"
    SMS_DELIVERED = "sms_delivered"
    SMS_FAILED = "sms_failed"
    SMS_REPLY = "sms_reply"
    SMS_CHECK = "sms_check"
    CALL = "call"
    SERVICE = "service"


class Operation(StrEnum):
    """What a person may ask of the panel. ASK alone comes from the bureau: it shows a question and does nothing."""

    ACKNOWLEDGE = "acknowledge"
    SILENCE = "silence"
    RESET = "reset"
    DISABLE = "disable"
    ENABLE = "enable"
    WALK_TEST = "walk_test"
    END_WALK_TEST = "end_walk_test"
    SELF_TEST = "self_test"
    ANSWER = "answer"
    ASK = "ask"


class Refusal(StrEnum):
    """Why the panel does not do what it was asked."""

    UNKNOWN_SUBJECT = "unknown_subject"
    NO_NAME = "no_name"
    NO_REASON = "no_reason"
    NO_EXPIRY = "no_expiry"
    TOO_LONG = "too_long"
    LAST_DETECTOR = "last_detector"
    NOT_DISABLED = "not_disabled"
    ALARM_STANDS = "alarm_stands"
    TEST_RUNS = "test_runs"
    NO_TEST = "no_test"
    NO_QUESTION = "no_question"


class Reading(NamedTuple):
    """A point's value, or the reason why there is none. A tuple because one is made for every register polled.

    `why` is what its source knows beside it, in the record of what it raises ("age_ms=240000": it came that late).
    """

    point: str
    value: int | None
    unknown: Unknown | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """Something a named person asked for. `who` is never empty: every act has a name (promise 6).

    `subject` is what it is done to: the code of a point or a zone (disable, enable), of a zone (walk_test), the id of a
    question (answer, ask). `for_ms` is after how long it ends by itself. `confirmed`: asked twice, for what leaves a
    zone without a detector.
    """

    operation: Operation
    who: str
    why: str = ""
    subject: str = ""
    for_ms: int = 0
    confirmed: bool = False


class Tick(NamedTuple):
    """Only time has passed."""


TICK = Tick()


class Hour(NamedTuple):
    """The hour of the day where the home is, 0 to 23, from the shell's clock; None while that cannot be trusted."""

    hour: int | None


class Learned(NamedTuple):
    """What a point has been used to in each hour of the day, as 24 limits in its scaled unit. It only ever tightens."""

    point: str
    usual: tuple[int, ...]


Input = Reading | Act | Tick | Hour | Learned


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of the panel, as people are told it and as the journal keeps it.

    `subject` is the code of a point, of a unit (`source/unit`) or of a bus (`source`), of a zone under test, the id of
    a question, or "" for a zone or the panel.
    `why` of a raise is the word of its rule where there is one ("low", "removed"), of an act the person's reason.
    `order` counts a home's fire points in the order they came: 1 is the first-up (首警); 0 where it means nothing.
    """

    kind: Kind
    at_ms: int
    condition: Class | None = None
    zone: str = ""
    subject: str = ""
    value: int | None = None
    unknown: Unknown | None = None
    order: int = 0
    who: str = ""
    why: str = ""
