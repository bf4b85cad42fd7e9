"""The gateway's configuration: `gateway.toml` into what agent, core and sources need, or every mistake in it.

The tables of sources and outputs are defined beside their adapters; this file puts them together, checks that names
meet, and turns each point's figures into the core's plan. Nothing is started on a configuration with a mistake.
"""

import hashlib
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device import wire
from edge.core.plan import Plan, PointPlan, ZonePlan
from edge.core.rules.contact import ContactRule
from edge.core.rules.threshold import ThresholdRule
from edge.core.values import Class, Operation
from edge.journal import JournalConfig
from edge.journal.filter import deadband
from edge.outputs import OUTPUTS, OutputConfig
from edge.rulebook import Rulebook, core_rule, load_rulebook, scaled
from edge.schema import ConfigError, Mistakes, Ms, read_table
from edge.sources import SOURCES, Described, Wired
from edge.uplink import UplinkConfig

LINK_POINT = "gw-link"
DISK_POINT = "gw-disk"
OUTPUT_PREFIX = "out-"
"""Codes of the gateway's own points, which the installer cannot use: nobody listens, the disk or an output fails."""

DEMO_PROFILE = "demo"


@dataclass(frozen=True, slots=True)
class HomeTable:
    """`[home]`: the short code that never changes, and the name, which may."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class GatewayTable:
    """`[gateway]`: `data` is the folder of journal, socket and locks; `rules` names the rule profile.

    `simulated` allows simulated back-ends and puts the word SIMULATED on everything people see.
    """

    code: str
    data: str
    rules: str
    simulated: bool = False
    listen_within: Ms = Ms(100_000)


@dataclass(frozen=True, slots=True)
class ZoneTable:
    """`[[zone]]`: see `edge.core.plan.ZonePlan`."""

    code: str
    name: str
    confirm_after: Ms = Ms(60_000)
    reset_pulse: Ms = Ms(0)


@dataclass(frozen=True, slots=True)
class PointTable:
    """`[[point]]`: `place` is in words that an SMS can carry; `at` is read by the source's kind; `rule` gives the point
    figures of its own."""

    code: str
    kind: str
    zone: str
    place: str
    source: str
    at: dict[str, Any]
    rule: dict[str, Any] = field(default_factory=dict)
    deadband: float | None = None


@dataclass(frozen=True, slots=True)
class ButtonTable:
    """`[[button]]`: a contact that acts as its station."""

    code: str
    place: str
    operation: Operation
    source: str
    at: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _File:
    home: HomeTable
    gateway: GatewayTable
    zone: tuple[ZoneTable, ...]
    source: tuple[dict[str, Any], ...]
    point: tuple[PointTable, ...]
    button: tuple[ButtonTable, ...] = ()
    output: tuple[dict[str, Any], ...] = ()
    uplink: UplinkConfig = field(default_factory=lambda: UplinkConfig(enabled=False))
    journal: JournalConfig = field(default_factory=JournalConfig)


@dataclass(frozen=True, slots=True)
class SourceSetup:
    """A source's configuration and what hangs on it."""

    kind: str
    config: Any
    wired: tuple[Wired, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """A configuration without a mistake. `deadbands` are scaled integers by point; `config_hash` names the file."""

    home: HomeTable
    gateway: GatewayTable
    uplink: UplinkConfig
    journal: JournalConfig
    zones: tuple[ZoneTable, ...]
    sources: tuple[SourceSetup, ...]
    outputs: tuple[OutputConfig, ...]
    plan: Plan
    points: tuple[wire.Point, ...]
    deadbands: Mapping[str, int]
    config_hash: str

    def describe(self) -> wire.Points:
        """The `points` message."""
        zones = tuple(wire.Zone(zone.code, zone.name) for zone in self.zones)
        return wire.Points(self.config_hash, self.home.name, self.gateway.simulated, zones, self.points)


def load(path: Path) -> Setup:
    """The configuration in a file. Raises ConfigError with all that is wrong; OSError where it cannot be read."""
    text = path.read_text("utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path.name}: {error}"]) from None
    return parse(table, path.name, hashlib.sha256(text.encode()).hexdigest()[:16])


def parse(table: Mapping[str, Any], file: str, config_hash: str = "") -> Setup:
    """The configuration in a table that has been read from `file`."""
    mistakes = Mistakes(file)
    read = read_table(_File, table, "", mistakes)
    if read is None:
        raise ConfigError(mistakes.lines)
    made = _Reader(read, mistakes).setup(config_hash)
    if mistakes.lines or made is None:
        raise ConfigError(mistakes.lines)
    return made


class _Reader:
    """Reads the parts that need each other, and collects what is wrong with all of them."""

    def __init__(self, file: _File, mistakes: Mistakes) -> None:
        self.file = file
        self.mistakes = mistakes
        self.book = self._rulebook()
        self.configs: dict[str, tuple[str, Any]] = {}
        self.wired: dict[str, list[Wired]] = {}
        self.plans: list[PointPlan] = []
        self.points: list[wire.Point] = []
        self.deadbands: dict[str, int] = {}

    def setup(self, config_hash: str) -> Setup | None:
        self._check_codes()
        self._read_sources()
        for i, point in enumerate(self.file.point):
            self._read_point(point, f"point[{i}]")
        for i, button in enumerate(self.file.button):
            self._read_button(button, f"button[{i}]")
        outputs = self._read_outputs()
        if self.mistakes.lines:
            return None
        return self._made(outputs, config_hash)

    def _made(self, outputs: tuple[OutputConfig, ...], config_hash: str) -> Setup:
        own = [*_own_points(), *(_output_point(output.name) for output in outputs if output.has_feedback)]
        made = Setup(
            home=self.file.home,
            gateway=self.file.gateway,
            uplink=self.file.uplink,
            journal=self.file.journal,
            zones=self.file.zone,
            sources=tuple(
                SourceSetup(kind, config, tuple(self.wired[name])) for name, (kind, config) in self.configs.items()
            ),
            outputs=outputs,
            plan=Plan((*self.plans, *own), tuple(_zone_plan(zone) for zone in self.file.zone)),
            points=(*self.points, *(_describe_own(point) for point in own)),
            deadbands=self.deadbands,
            config_hash=config_hash,
        )
        self._check_size(made)
        return made

    def _check_size(self, made: Setup) -> None:
        try:
            wire.encode(made.describe())
        except wire.WireError as error:
            self.mistakes.note("point", f"too much to describe to the collector in one message: {error}")

    def _rulebook(self) -> Rulebook | None:
        gateway = self.file.gateway
        if gateway.rules == DEMO_PROFILE and not gateway.simulated:
            self.mistakes.note("gateway.rules", 'the profile "demo" is too quick for a home: it needs simulated = true')
        try:
            return load_rulebook(gateway.rules)
        except ConfigError as error:
            self.mistakes.lines.extend(error.lines)
            return None

    def _check_codes(self) -> None:
        file = self.file
        for where, code in (("home.code", file.home.code), ("gateway.code", file.gateway.code)):
            self._check_code(code, where)
        codes = {
            "zone": [zone.code for zone in file.zone],
            "point": [point.code for point in file.point],
            "button": [button.code for button in file.button],
        }
        for name, items in codes.items():
            for i, code in enumerate(items):
                self._check_code(code, f"{name}[{i}].code")
        self._check_unique([*codes["point"], *codes["button"]], "point", "code")
        self._check_unique(codes["zone"], "zone", "code")

    def _check_code(self, code: str, where: str) -> None:
        try:
            wire.topic(code, "x", wire.EVENT)
        except wire.WireError as error:
            self.mistakes.note(where, str(error).removeprefix("home: "))
        if code.startswith(("gw-", OUTPUT_PREFIX)) and where.startswith(("point", "button")):
            self.mistakes.add(where, 'a code that does not begin with "gw-" or "out-"', code)

    def _check_unique(self, codes: Iterable[str], where: str, key: str) -> None:
        for code, count in Counter(codes).items():
            if count > 1:
                self.mistakes.note(where, f'{key} "{code}" is given {count} times')

    def _read_sources(self) -> None:
        self._check_unique([str(table.get("name")) for table in self.file.source], "source", "name")
        for i, table in enumerate(self.file.source):
            kind, where = table.get("kind"), f"source[{i}]"
            if not isinstance(kind, str) or kind not in SOURCES:
                self.mistakes.add(f"{where}.kind", "one of " + ", ".join(f'"{name}"' for name in SOURCES), kind)
                continue
            config = read_table(SOURCES[kind].config, table, where, self.mistakes)
            if config is not None:
                self.configs[config.name] = (kind, config)
                self.wired[config.name] = []

    def _wire(self, source: str, code: str, at: Mapping[str, Any], where: str) -> Described | None:
        """Hang a point on its source, and say what its readings will mean."""
        if source not in self.configs:
            # A source with mistakes of its own has been named already.
            if source not in [table.get("name") for table in self.file.source]:
                self.mistakes.add(f"{where}.source", "the name of a [[source]]", source)
            return None
        kind, config = self.configs[source]
        place = read_table(SOURCES[kind].at, at, f"{where}.at", self.mistakes)
        if place is None:
            return None
        described = SOURCES[kind].describe(config, place)
        if isinstance(described, str):
            self.mistakes.note(f"{where}.at", described)
            return None
        if any(other.at == place for other in self.wired[source]):
            self.mistakes.note(f"{where}.at", f"the place is taken by another point of {source}")
        self.wired[source].append(Wired(code, place))
        return described

    def _read_point(self, point: PointTable, where: str) -> None:
        if point.zone not in [zone.code for zone in self.file.zone]:
            self.mistakes.add(f"{where}.zone", "the code of a [[zone]]", point.zone)
        described = self._wire(point.source, point.code, point.at, where)
        rules = self.book.of_kind(point.kind, point.rule, where, self.mistakes) if self.book else None
        if described is None or rules is None:
            return
        rule = core_rule(rules, described.unit, described.scale, where, self.mistakes)
        if rule is None:
            return
        self.plans.append(
            PointPlan(
                code=point.code,
                zone=point.zone,
                place=point.place,
                rule=rule,
                condition=rules.class_,
                early=rules.early_class,
                bus=point.source,
                unit=described.unit_path,
                fault_after_ms=rules.fault_after,
                confirms=rules.confirms,
                lamp="lamp_supply" if point.kind == "mains" else "",
            )
        )
        early, alarm = _limits(rule)
        names = (point.code, point.zone, point.place, point.kind)
        self.points.append(wire.Point(*names, *described[:4], early, alarm))
        self.deadbands[point.code] = _deadband(point, described.scale, alarm)

    def _read_button(self, button: ButtonTable, where: str) -> None:
        described = self._wire(button.source, button.code, button.at, where)
        if described is not None:
            rule = ContactRule(on_ms=50, off_ms=200)
            plan = PointPlan(button.code, "", button.place, rule, Class.TEST, operation=button.operation)
            self.plans.append(_beside(plan, bus=button.source, unit=described.unit_path))

    def _read_outputs(self) -> tuple[OutputConfig, ...]:
        made = []
        self._check_unique([str(table.get("name")) for table in self.file.output], "output", "name")
        for i, table in enumerate(self.file.output):
            output = read_table(OutputConfig, table, f"output[{i}]", self.mistakes)
            if output is not None:
                self._check_output(output, f"output[{i}]")
                made.append(output)
        if not any(output.role == "buzzer" and self._kind_of(output.source) == "gpio" for output in made):
            # A Modbus relay is never the only sounder (PANEL.md, "Deciding").
            self.mistakes.note("output", 'expected a buzzer on a "gpio" source, got none')
        return tuple(made)

    def _kind_of(self, source: str) -> str:
        return self.configs[source][0] if source in self.configs else ""

    def _check_output(self, output: OutputConfig, where: str) -> None:
        codes = [zone.code for zone in self.file.zone]
        for code in output.zones:
            if code not in codes:
                self.mistakes.add(f"{where}.zones", "codes of [[zone]]s", code)
        if output.source not in self.configs:
            self.mistakes.add(f"{where}.source", "the name of a [[source]]", output.source)
            return
        kind, config = self.configs[output.source]
        if kind not in OUTPUTS:
            self.mistakes.add(f"{where}.source", "a source that can drive outputs", output.source)
            return
        for key, expected, got in OUTPUTS[kind].mistakes(config, output):
            self.mistakes.add(f"{where}.{key}", expected, got)


def _beside(plan: PointPlan, bus: str, unit: str) -> PointPlan:
    return PointPlan(plan.code, plan.zone, plan.place, plan.rule, plan.condition, bus=bus, unit=unit,
                     operation=plan.operation)  # fmt: skip


def _own_points() -> list[PointPlan]:
    """What can go wrong with the gateway itself; fed by the agent, so not supervised as a sensor is."""
    at_once = ContactRule(on_ms=0, off_ms=0)
    return [
        PointPlan(LINK_POINT, "", LINK_POINT, at_once, Class.FAULT, fault_after_ms=None, lamp="lamp_link"),
        PointPlan(DISK_POINT, "", DISK_POINT, at_once, Class.FAULT, fault_after_ms=None),
    ]


def _output_point(name: str) -> PointPlan:
    rule = ContactRule(on_ms=10_000, off_ms=0)
    return PointPlan(OUTPUT_PREFIX + name, "", name, rule, Class.FAULT, fault_after_ms=None)


def _describe_own(point: PointPlan) -> wire.Point:
    return wire.Point(point.code, "gateway", point.place, "gateway", "", 0, "", True, None, None)


def _zone_plan(zone: ZoneTable) -> ZonePlan:
    return ZonePlan(zone.code, zone.confirm_after, zone.reset_pulse)


def _limits(rule: Any) -> tuple[int | None, int | None]:
    return (rule.early, rule.alarm) if isinstance(rule, ThresholdRule) else (None, None)


def _deadband(point: PointTable, scale: int, alarm: int | None) -> int:
    """How far a reading moves before it is worth keeping: as configured, else a hundredth of the alarm level."""
    if point.deadband is not None:
        return max(1, scaled(point.deadband, scale))
    return deadband(alarm)
