"""What happens to the home of the soak, and what has to come of it: hazards, faults of the menu, acts of people.

A cycle has one hazard and one fault that overlap, at places of which neither hides the other; then people put things
right and reset, and nothing may stand any more. All hazards and all faults take their turn in a random order.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SECOND, MINUTE = 1_000, 60_000
FAULT_MS = 110 * SECOND
"""A device may be unheard for 60 s before it is a fault; pressure for a day."""
NOTICE_MS = 75 * SECOND
CHATTER_HZ = 437
"""In simulated time nothing wavers, and 1 kHz would look the same at every millisecond of the clock."""
SLACK_MS = 3_000
"""Over the figures of the rules: polls, the step of the simulated contacts, a busy machine under the real bytes."""

Command = dict[str, Any]


@dataclass(frozen=True)
class Hazard:
    """`point` has to raise `condition` within so many ms of the cause. `ends` puts it right; only then it is reset."""

    point: str
    condition: str
    within_ms: int
    begins: tuple[Command, ...]
    ends: tuple[Command, ...]
    lasts_ms: int = 90 * SECOND
    calms_ms: int = 40 * SECOND
    """From the end until a reset holds."""


@dataclass(frozen=True)
class Trouble:
    """A fault of the menu. `subjects` may be raised as faults by it, and one of them must be, if `is_noticed`; `raises`
    is a point that alarms by it, rightly: a contact that is closed half of the time."""

    where: str
    kind: str
    subjects: tuple[str, ...]
    is_noticed: bool = True
    more: dict[str, float] = field(default_factory=dict)
    raises: str = ""
    lasts_ms: int = FAULT_MS


@dataclass(frozen=True)
class Expected:
    """One of `subjects` raises `condition` between these times, relative to the cycle's beginning."""

    condition: str
    subjects: tuple[str, ...]
    from_ms: int
    by_ms: int


@dataclass(frozen=True)
class Allowed:
    """What may be raised between these times, and need not be."""

    conditions: tuple[str, ...]
    subjects: tuple[str, ...]
    from_ms: int
    by_ms: int


@dataclass(frozen=True)
class Cycle:
    """`steps`: (ms from the beginning, command of the simulator's control socket, or {"act": ...})."""

    name: str
    steps: tuple[tuple[int, Command], ...]
    expected: tuple[Expected, ...]
    allowed: tuple[Allowed, ...]
    lasts_ms: int


def _ramp(name: str, to: float, over_s: float) -> tuple[Command, ...]:
    return ({"ramp": {name: {"to": to, "over_s": over_s}}},)


def _smoke(place: str, point: str) -> Hazard:
    name = f"{place}.smoke_pct_m"
    return Hazard(point, "fire", 3_000, ({"set": {name: 8.0}},), ({"set": {name: 0.1}},))


def _leak(name: str, point: str, usual: float) -> Hazard:
    return Hazard(
        point, "electrical", 35 * SECOND, _ramp(f"{name}.leakage_ma", 380, 20), _ramp(f"{name}.leakage_ma", usual, 2)
    )


def _cable(name: str, point: str, usual: float) -> Hazard:
    begins, ends = _ramp(f"{name}.cable_mc", 78_000, 30), _ramp(f"{name}.cable_mc", usual, 10)
    return Hazard(point, "electrical", 50 * SECOND, begins, ends, calms_ms=90 * SECOND)


def _heat(place: str, point: str, usual: float) -> Hazard:
    begins, ends = _ramp(f"{place}.temp_mc", 95_000, 150), _ramp(f"{place}.temp_mc", usual, 240)
    return Hazard(point, "fire", 160 * SECOND, begins, ends, lasts_ms=180 * SECOND, calms_ms=330 * SECOND)


def _loop(place: str, point: str) -> Hazard:
    name = f"{place}.loop_ohm"
    return Hazard(point, "fire", 4_000, ({"set": {name: "alarm"}},), ({"set": {name: "normal"}},))


HAZARDS = (
    *(_smoke(place, f"smoke-{place}") for place in ("203", "204", "201", "c2", "101", "c1")),
    Hazard("call-c2", "fire", 3_000, ({"press": 11},), ({"key": 11},)),
    Hazard("call-c1", "fire", 3_000, ({"press": 5},), ({"key": 5},)),
    Hazard("gas-k", "fire", 4_000, ({"set": {"kitchen.gas_pct_lel": 30}},), ({"set": {"kitchen.gas_pct_lel": 0.5}},)),
    Hazard("mains", "fault", 8_000, ({"set": {"main.mains_v": 0}},), ({"set": {"main.mains_v": 223}},)),
    _leak("kitchen", "leak-k", 96), _leak("floor2", "leak-2", 41), _leak("p1", "leak-p1", 22),
    _leak("p4", "leak-p4", 57), _leak("b1", "leak-b1", 16), _leak("b2", "leak-b2", 21),
    _cable("p2", "cable-p2", 35_500), _cable("b1", "cable-b1", 36_000), _cable("main", "cable-1", 34_500),
    _heat("101", "heat-101", 21_800), _heat("203", "heat-203", 22_400),
    _loop("stairs-1", "loop-1"), _loop("stairs-2", "loop-2"),
)  # fmt: skip

BEHIND = {
    "meters/1": ("leak-k",),
    "meters/2": ("leak-2",),
    "meters/3": ("heat-k", "heat-101", "heat-203", "cable-1"),
    "meters/4": tuple(f"{kind}-p{n}" for kind in ("leak", "cable") for n in (1, 2, 3, 4)),
    "meters/10": ("out-siren-f1", "out-siren-f2", "out-fire-relay"),
    "breakers/11": ("leak-b1", "cable-b1"),
    "breakers/12": ("leak-b2", "cable-b2"),
    "i2c/0x48": ("loop-1", "loop-2", "ext-k", "ext-2"),
}
"""The points behind each unit of the example."""
_UNIT_KINDS = ("silent", "late", "busy", "exception", "half_frame", "foreign_unit", "short_reply", "garbage")
OUTPUT_NAMES = ("siren-f1", "siren-f2", "fire-relay")


def _of_unit(where: str, kind: str) -> Trouble:
    bus = where.partition("/")[0]
    return Trouble(where, kind, (where, bus, *BEHIND[where]))


def _of_bus(bus: str, kind: str) -> Trouble:
    units = [unit for unit in BEHIND if unit.startswith(bus)]
    return Trouble(bus, kind, (bus, *units, *(point for unit in units for point in BEHIND[unit])))


def troubles(is_rtu: bool) -> tuple[Trouble, ...]:
    """The fault menu at the places of the example; `is_rtu`: the breakers hang on a serial line."""
    units = ("meters/1", "meters/2", "meters/3", "meters/4", "breakers/11", "breakers/12", "meters/1", "meters/4")
    found = [_of_unit(unit, kind) for unit, kind in zip(units, _UNIT_KINDS, strict=True)]
    found += [_of_unit("meters/10", "silent"), _of_unit("breakers/12", "garbage"), _of_unit("meters/3", "late")]
    found += [_of_bus("meters", "dropped_link"), _of_bus("meters", "silent"), _of_bus("breakers", "silent")]
    found += [_of_unit("i2c/0x48", kind) for kind in ("nack", "late", "garbage")] + [_of_bus("i2c", "stuck_bus")]
    if is_rtu:
        found += [_of_unit("breakers/11", "bad_crc"), _of_bus("breakers", "bad_crc")]
    found += [
        Trouble(
            "gpio/27", "chatter", ("smoke-201",), False, {"hz": CHATTER_HZ}, raises="smoke-201", lasts_ms=15 * SECOND
        ),
        Trouble("gpio/9", "stuck", ("smoke-c1",), False),
        Trouble("kitchen.leakage_ma", "stuck", ("leak-k",), False),
        Trouble("floor2.leakage_ma", "drift", ("leak-2",), False, {"per_min": 4.0}),
        Trouble("kitchen.leakage_ma", "open", ("leak-k", "meters/1")),
        # This instrument shows an open transformer as no current at all; nobody can tell.
        Trouble("p3.leakage_ma", "open", ("leak-p3",), False),
        Trouble("p3.cable_mc", "open", ("cable-p3",)),
        Trouble("203.temp_mc", "open", ("heat-203",)),
        Trouble("stairs-2.loop_ohm", "open", ("loop-2",)),
        Trouble("main.cable_mc", "drift", ("cable-1",), False, {"per_min": 500.0}),
    ]
    return tuple(found)


def cycles(seed: int, until_ms: int, cycle_ms: int, is_rtu: bool = False) -> Iterator[Cycle]:
    """Cycles until there is no more time for one. Each is as long as its hazard needs, and `cycle_ms` at least."""
    chance = random.Random(seed)
    hazards, faults = _Deck(chance, HAZARDS), _Deck(chance, troubles(is_rtu))
    left_ms = until_ms
    while True:
        fault = faults.draw(lambda _: True)
        hidden = set(fault.subjects) | {fault.raises}
        hazard = hazards.draw(lambda item: item.point not in hidden and _hazard_ms(item) <= left_ms)  # noqa: B023
        if hazard is None or fault is None:
            return
        cycle = _cycle(hazard, fault, chance, cycle_ms)
        if cycle.lasts_ms > left_ms:
            return
        left_ms -= cycle.lasts_ms
        yield cycle


def _hazard_ms(hazard: Hazard) -> int:
    return hazard.lasts_ms + hazard.calms_ms + 90 * SECOND


def _cycle(hazard: Hazard, fault: Trouble, chance: random.Random, cycle_ms: int) -> Cycle:
    at_ms, begins_ms = 5 * SECOND, 5 * SECOND + chance.randrange(20 * SECOND)
    healed_ms, ends_ms = at_ms + fault.lasts_ms, begins_ms + hazard.lasts_ms
    calm_ms = max(healed_ms + 50 * SECOND, ends_ms + hazard.calms_ms)
    steps: list[tuple[int, Command]] = [(at_ms, {"fault": {"where": fault.where, "kind": fault.kind, **fault.more}})]
    steps += [(begins_ms, command) for command in hazard.begins]
    steps += [(begins_ms + 20 * SECOND, {"act": "acknowledge"}), (begins_ms + 25 * SECOND, {"act": "silence"})]
    steps += [(healed_ms, {"heal": fault.where}), *((ends_ms, command) for command in hazard.ends)]
    # The first reset may come too early for what is still settling; a person would try again.
    steps += [(calm_ms, {"act": "reset"}), (calm_ms + 30 * SECOND, {"act": "reset"})]
    end_ms = max(cycle_ms, calm_ms + MINUTE)
    expected = [Expected(hazard.condition, (hazard.point,), begins_ms, begins_ms + hazard.within_ms + SLACK_MS)]
    if fault.is_noticed:
        expected.append(Expected("fault", fault.subjects, at_ms, at_ms + NOTICE_MS + SLACK_MS))
    if fault.raises:
        expected.append(Expected("fire", (fault.raises,), at_ms, at_ms + 5 * SECOND + SLACK_MS))
    allowed = [
        Allowed(("early_warning", hazard.condition), (hazard.point,), begins_ms, calm_ms),
        Allowed(("fault",), (*fault.subjects, *_named_outputs(fault)), at_ms, healed_ms + MINUTE),
        Allowed(("fire",), (fault.raises,), at_ms, healed_ms + SLACK_MS),
    ]
    name = f"{hazard.condition} at {hazard.point}, {fault.kind} at {fault.where}"
    return Cycle(name, tuple(sorted(steps, key=lambda step: step[0])), tuple(expected), tuple(allowed), end_ms)


def _named_outputs(fault: Trouble) -> tuple[str, ...]:
    return OUTPUT_NAMES if "out-siren-f1" in fault.subjects else ()


class _Deck:
    """Draws all of `cards` in a random order, again and again; what does not fit stays for later."""

    def __init__(self, chance: random.Random, cards: tuple[Any, ...]) -> None:
        self._chance = chance
        self._cards = cards
        self._left: list[Any] = []

    def draw(self, fits: Any) -> Any:
        for _ in range(2):
            for card in self._left:
                if fits(card):
                    self._left.remove(card)
                    return card
            fresh = list(self._cards)
            self._chance.shuffle(fresh)
            self._left += fresh
        return None
