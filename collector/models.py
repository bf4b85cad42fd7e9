"""The shapes of the API's answers, as its OpenAPI document gives them.

Times ending in `_ms` are Unix time in milliseconds, ages ending in `age_ms` are milliseconds up to `server_ms`. A value
is an integer: physical value = value * 10 ** scale, in `unit`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Freshness = Literal["heard", "unheard", "silent"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Problem(_Model):
    """Why a request was not answered, in a sentence."""

    error: str


class Condition(_Model):
    """Something that is so at a home until it is cleared. `order` 1 is the first-up; 0 means no order."""

    home: str
    gateway: str
    journal: str
    seq: int
    class_: str = Field(alias="class")
    zone: str
    zone_name: str
    point: str
    place: str
    kind: str
    order: int
    confirmed: bool
    acknowledged: bool
    value: int | None
    unit: str
    scale: int
    unknown: str | None
    raised_ms: int | None
    clock_ok: bool
    received_ms: int | None
    age_ms: int | None
    seen_by: str
    seen_ms: int | None
    sound: bool


class Alarm(Condition):
    """An active alarm with its home's name."""

    home_name: str
    simulated: bool


class AlarmKey(_Model):
    """What names one active alarm, as in the board's `alarms`."""

    home: str = Field(max_length=40)
    gateway: str = Field(max_length=40)
    journal: str = Field(max_length=40)
    seq: int
    class_: str = Field(alias="class", max_length=40)
    point: str = Field(max_length=400)


class Notice(_Model):
    """What the collector itself noted of a gateway within the last day."""

    kind: str
    gateway: str
    at_ms: int


class Home(_Model):
    """A home as its tile shows it. `class` is its worst; a home that is not heard is never normal."""

    code: str
    name: str
    registered: bool
    class_: str = Field(alias="class")
    freshness: Freshness
    conditions: list[Condition]
    notices: list[Notice]
    simulated: bool
    silenced: bool
    link: Literal["up", "down", ""]
    backlog: int
    unproven: int
    disabled: int
    clock_ok: bool
    heard_age_ms: int | None


class Line(_Model):
    """How well the collector itself hears (`mqtt`) and stores (`store`: "", or what is wrong)."""

    mqtt: Literal["up", "down"]
    since_ms: int | None
    store: str


class Counts(_Model):
    """Homes by worst class; `unseen` counts the sounding alarms that nobody at the bureau has seen."""

    homes: int
    by_class: dict[str, int]
    alarms: int
    unseen: int


class Board(_Model):
    """The whole board."""

    server_ms: int
    line: Line
    homes: list[Home]
    alarms: list[Alarm]
    counts: Counts


class Gateway(_Model):
    """A gateway as its last state describes it."""

    code: str
    freshness: Freshness
    heard_age_ms: int | None
    journal: str
    version: str
    config: str
    clock_ok: bool | None
    clock_ahead_ms: int | None
    disk: str
    event_backlog: int | None
    reading_backlog: int | None
    unproven: list[str]
    disabled: list[str]
    state_received_ms: int | None


class Point(_Model):
    """A point and its last value, or why there is none."""

    gateway: str
    code: str
    zone: str
    zone_name: str
    place: str
    kind: str
    unit: str
    scale: int
    profile: str
    supervised: bool
    early: int | None
    alarm: int | None
    value: int | None
    unknown: str | None
    value_age_ms: int | None
    value_ms: int | None


class HomeDetail(Home):
    """A home with all that stands behind its tile."""

    gateways: list[Gateway]
    points: list[Point]


class Event(_Model):
    """One entry of a gateway's log or, with `source` "collector", of the collector's own."""

    id: int
    source: Literal["gateway", "collector"]
    home: str
    home_name: str
    gateway: str
    journal: str
    seq: int
    kind: str
    class_: str | None = Field(alias="class")
    zone: str
    zone_name: str
    point: str
    place: str
    value: int | None
    unit: str
    scale: int
    unknown: str | None
    order: int
    who: str
    why: str
    wall_ms: int
    clock_ok: bool
    durable: bool
    received_ms: int
    hash: str
    detail: dict[str, str | int]


class Events(_Model):
    """A page of both logs, newest first. `next` is the `before` of the following page, null on the last."""

    events: list[Event]
    next: int | None


class Seen(_Model):
    """Who saw an alarm, and when it was noted."""

    who: str
    at_ms: int


class Health(_Model):
    """Whether the collector hears and stores."""

    status: Literal["ok", "failing"]
    mqtt: Literal["up", "down"]
    store: str
