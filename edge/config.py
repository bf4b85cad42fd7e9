"""The gateway's configuration: `gateway.toml` into what agent, core and sources need, or every mistake in it.

The tables of sources and outputs are defined beside their adapters; this file puts them together, checks that names
meet, and turns each point's figures into the core's plan. Nothing is started on a configuration with a mistake.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device import wire
from edge.companions import Companion, joined, learners
from edge.console.tables import check_names
from edge.core.plan import Plan, PointPlan
from edge.core.rules.contact import ContactRule
from edge.core.values import Class, Operation
from edge.core_rules import deadband_of, limits_of
from edge.journal import JournalConfig
from edge.loosening import Figures, Loosened, loosened
from edge.outputs import OUTPUTS, OutputConfig
from edge.own_points import OUTPUT_PREFIX, describe_own, is_reserved, output_point, own_points
from edge.rulebook import Rulebook, core_rule, for_device, load_rulebook, merged, profile_ids
from edge.schema import ConfigError, Mistakes, Words, read_parts, read_table, read_toml
from edge.sms.config import Telling, check_contacts, check_port, telling
from edge.sms.own import sms_points
from edge.sources import SOURCES, Described, Wired, gpio, i2c
from edge.sources.backends import refusal
from edge.tables import REQUIRED, ButtonTable, File, GatewayTable, HomeTable, PointTable, ZoneTable
from edge.uplink import UplinkConfig

DEMO_PROFILE = "demo"
BACKENDS = {"gpio": gpio.FACTORIES, "i2c": i2c.BUSES}
"""The entry-point group of simulated back-ends, by the kind of source that can have one."""
_SPOT = ("pin", "chip", "channel", "unit", "coil", "quantity", "node", "input")
"""What tells one place of a source from another, of all that an `at` may say."""


@dataclass(frozen=True, slots=True)
class SourceSetup:
    """A source's configuration and what hangs on it."""

    kind: str
    config: Any
    wired: tuple[Wired, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """A configuration without a mistake. `deadbands` are scaled integers by point; `config_hash` names the file.
    `loosened` are the figures that are looser than the profile's, `learned` the points whose usual values are
    learned, with the margin that they are given.
    """

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
    loosened: tuple[Loosened, ...] = ()
    learned: Mapping[str, int] = field(default_factory=dict)
    telling: Telling | None = None

    def describe(self) -> wire.Points:
        """The `points` message."""
        zones = tuple(wire.Zone(zone.code, zone.name) for zone in self.zones)
        return wire.Points(self.config_hash, self.home.name, self.gateway.simulated, zones, self.points)


def load(path: Path) -> Setup:
    """The configuration in a file. Raises ConfigError with all that is wrong; OSError where it cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError as error:  # a failed read, unlike a failed open, does not say of what
        raise OSError(error.errno, error.strerror, str(path)) from None
    return parse(read_toml(raw, path.name), path.name, hashlib.sha256(raw).hexdigest()[:16])


def parse(table: Mapping[str, Any], file: str, config_hash: str = "") -> Setup:
    """The configuration in a table that has been read from `file`. Raises ConfigError with all that is wrong."""
    mistakes = Mistakes(file)
    read = File(**read_parts(File, table, "", mistakes))
    for name in [name for name in REQUIRED if name not in table]:
        mistakes.add(name, f"[{name}]" if name in ("home", "gateway") else f"at least one [[{name}]]", Words("none"))
    check_contacts("sms" in table, read.contact, mistakes)
    return _Reader(read, table, mistakes).setup(config_hash)


class _Reader:
    """Reads the parts that need each other, and collects what is wrong with all of them.

    What is wrong in itself has been named already; what only refers to it is not blamed for that.
    """

    def __init__(self, file: File, table: Mapping[str, Any], mistakes: Mistakes) -> None:
        self.file = file
        self.mistakes = mistakes
        self.book = self._rulebook()
        self.zones = _named(table, "zone", "code")
        self.sources = _named(table, "source", "name")
        self.configs: dict[str, tuple[str, Any]] = {}
        self.wired: dict[str, list[Wired]] = {}
        self.claims: dict[tuple[str, str], str] = {}
        self.plans: list[PointPlan] = []
        self.points: list[wire.Point] = []
        self.deadbands: dict[str, int] = {}
        self.companions: dict[str, Companion] = {}
        self.loosened: list[Loosened] = []

    def setup(self, config_hash: str) -> Setup:
        self._check_codes()
        self._read_sources()
        for i, point in enumerate(self.file.point):
            if point is not None:
                self._read_point(point, f"point[{i}]")
        for i, button in enumerate(self.file.button):
            if button is not None:
                self._read_button(button, f"button[{i}]")
        self.plans = [joined(plan, self.companions, self.mistakes) for plan in self.plans]
        outputs = self._read_outputs()
        self._check_supplies(outputs)
        check_names(self.file.room, self.file.person, self.zones, self.mistakes)
        check_port(self.file.sms, [config.where for _, config in self.configs.values()], self.mistakes)
        home, gateway, uplink, journal = self.file.home, self.file.gateway, self.file.uplink, self.file.journal
        if self.mistakes.lines or home is None or gateway is None or uplink is None or journal is None:
            raise ConfigError(self.mistakes.lines)
        return self._made(home, gateway, uplink, journal, outputs, config_hash)

    def _made(
        self,
        home: HomeTable,
        gateway: GatewayTable,
        uplink: UplinkConfig,
        journal: JournalConfig,
        outputs: tuple[OutputConfig, ...],
        config_hash: str,
    ) -> Setup:
        watched = [output_point(output) for output in outputs if output.has_feedback]
        watched += [point for kind, config in self.configs.values() for point in SOURCES[kind].own(config)]
        watched += sms_points(self.file.contact if self.file.sms else ())
        own = [*own_points(uplink.cert is not None, gateway.watch_voltage), *watched]
        zones = tuple(zone for zone in self.file.zone if zone is not None)
        made = Setup(
            home=home,
            gateway=gateway,
            uplink=uplink,
            journal=journal,
            zones=zones,
            sources=tuple(
                SourceSetup(kind, config, tuple(self.wired[name])) for name, (kind, config) in self.configs.items()
            ),
            outputs=outputs,
            plan=self._plan((*self.plans, *own), zones),
            points=(*self.points, *(describe_own(point) for point in own)),
            deadbands=self.deadbands,
            config_hash=config_hash,
            loosened=tuple(self.loosened),
            learned=learners(self.companions),
            telling=telling(self.file.sms, self.file.contact),
        )
        self._check_size(made)
        return made

    def _plan(self, points: tuple[PointPlan, ...], zones: Sequence[ZoneTable]) -> Plan:
        plan = Plan(points, tuple(zone.plan() for zone in zones))
        return plan if self.book is None else self.book.panel.applied(plan)

    def _check_size(self, made: Setup) -> None:
        try:
            wire.encode(made.describe())
        except wire.WireError as error:
            self.mistakes.note("point", f"too much to describe to the collector in one message: {error}")
            raise ConfigError(self.mistakes.lines) from None

    def _rulebook(self) -> Rulebook | None:
        gateway = self.file.gateway
        if gateway is None:
            return None
        if gateway.rules == DEMO_PROFILE and not gateway.simulated:
            self.mistakes.note("gateway.rules", 'the profile "demo" is too quick for a home: it needs simulated = true')
        if gateway.rules not in profile_ids():
            known = ", ".join(f'"{name}"' for name in profile_ids())
            self.mistakes.add("gateway.rules", f"one of {known}", gateway.rules)
            return None
        try:
            return load_rulebook(gateway.rules)
        except ConfigError as error:
            self.mistakes.lines.extend(error.lines)
            return None

    def _check_codes(self) -> None:
        file = self.file
        if file.home is not None:
            self._check_code(file.home.code, "home.code")
        if file.gateway is not None:
            self._check_code(file.gateway.code, "gateway.code")
        points = self._check_list("point", file.point)
        self._check_unique("point", "code", [*points, *self._check_list("button", file.button)])
        self._check_unique("zone", "code", self._check_list("zone", file.zone))
        for name in self.sources or ():
            if name in points:
                # A fault names a point or a bus by the same word, and has to mean one of them.
                self.mistakes.note("source", f'the name "{name}" is the code of a point')

    def _check_list(self, name: str, items: Sequence[ZoneTable | PointTable | ButtonTable | None]) -> list[str]:
        codes = [(f"{name}[{i}].code", item.code) for i, item in enumerate(items) if item is not None]
        for where, code in codes:
            self._check_code(code, where)
        return [code for _, code in codes]

    def _check_code(self, code: str, where: str) -> None:
        try:
            wire.topic(code, "x", wire.EVENT)
        except wire.WireError as error:
            self.mistakes.note(where, str(error).removeprefix("home: "))
        if is_reserved(code) and where.startswith(("point", "button", "source")):
            self.mistakes.add(where, 'a code that does not begin with "gw-" or "out-"', code)

    def _check_unique(self, where: str, key: str, codes: Iterable[str]) -> None:
        for code, count in Counter(codes).items():
            if count > 1:
                self.mistakes.note(where, f'{key} "{code}" is given {count} times')

    # --- sources, and what hangs on them

    def _read_sources(self) -> None:
        self._check_unique("source", "name", self.sources or ())
        for i, table in enumerate(self.file.source):
            if table is not None:
                self._read_source(table, f"source[{i}]")
        own = [point.code for kind, config in self.configs.values() for point in SOURCES[kind].own(config)]
        self._check_unique("source.node", "code", own)
        for where, count in Counter(config.where for _, config in self.configs.values()).items():
            if count > 1:
                names = " and ".join(name for name, (_, config) in self.configs.items() if config.where == where)
                self.mistakes.note("source", f"{names} are both {where}")

    def _read_source(self, table: Mapping[str, Any], where: str) -> None:
        kind = table.get("kind")
        if not isinstance(kind, str) or kind not in SOURCES:
            self.mistakes.add(f"{where}.kind", "one of " + ", ".join(f'"{name}"' for name in SOURCES), kind)
            return
        config = read_table(SOURCES[kind].config, table, where, self.mistakes)
        if config is None:
            return
        self._check_code(config.name, f"{where}.name")
        self._check_backend(config, where)
        self.configs[config.name] = (kind, config)
        self.wired[config.name] = []

    def _check_backend(self, config: Any, where: str) -> None:
        group = BACKENDS.get(config.kind)
        if group is not None and self.file.gateway is not None:
            reason = refusal(config.backend, group, self.file.gateway.simulated)
            if reason:
                self.mistakes.note(f"{where}.backend", reason)

    def _wire(self, source: str, code: str, at: Mapping[str, Any], where: str) -> Described | None:
        """Hang a point on its source, and say what its readings will mean."""
        if source not in self.configs:
            self._check_known(source, self.sources, f"{where}.source", "the name of a [[source]]")
            return None
        kind, config = self.configs[source]
        place = read_table(SOURCES[kind].at, at, f"{where}.at", self.mistakes)
        if place is None:
            return None
        described = SOURCES[kind].describe(config, place)
        if isinstance(described, str):
            self.mistakes.note(f"{where}.at", described)
            return None
        self._claim(source, place, code, where)
        self.wired[source].append(Wired(code, place))
        return described

    def _check_known(self, name: str, known: Sequence[str] | None, where: str, expected: str) -> None:
        if known is not None and name not in known:
            self.mistakes.add(where, expected, name)

    def _claim(self, source: str, at: object, owner: str, where: str) -> None:
        """One place is one thing: a pin that is a detector and a buzzer at once is neither."""
        found = [(name, getattr(at, name, None)) for name in _SPOT]
        spot = " ".join(f"{name} {value}" for name, value in found if value is not None)
        if (source, spot) in self.claims:
            self.mistakes.note(f"{where}.at", f"{spot} of {source} is taken by {self.claims[source, spot]}")
        self.claims.setdefault((source, spot), owner)

    def _read_point(self, point: PointTable, where: str) -> None:
        self._check_known(point.zone, self.zones, f"{where}.zone", "the code of a [[zone]]")
        described = self._wire(point.source, point.code, point.at, where)
        rules = self.book.of_kind(point.kind, point.rule, where, self.mistakes) if self.book else None
        if described is None or rules is None:
            return
        if self.book is not None:
            own = Figures(rules, merged(self.book.tables[point.kind], point.rule))
            self.loosened += loosened(point.code, self.book, point.kind, own, where, self.mistakes)
        rules = for_device(rules, described.is_debounced, described.quiet_ms, where, self.mistakes)
        rule = core_rule(rules, described.unit, described.scale, where, self.mistakes)
        if rule is None:
            return
        self.companions[point.code] = Companion(where, rules, described)
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
                settle_ms=described.settle_ms,
                sleeps=described.quiet_ms > 0,
                confirms=rules.confirms,
                lamp=rules.lamp,
                stuck_after_ms=rules.stuck_after,
            )
        )
        early, alarm = limits_of(rule)
        names = (point.code, point.zone, point.place, point.kind)
        self.points.append(wire.Point(*names, *described[:4], early, alarm))
        self.deadbands[point.code] = deadband_of(rule, point.deadband, described.scale)

    def _read_button(self, button: ButtonTable, where: str) -> None:
        described = self._wire(button.source, button.code, button.at, where)
        if described is None:
            return
        if described.unit:
            self.mistakes.add(f"{where}.at", "a contact", Words(f'a quantity in "{described.unit}"'))
            return
        rule = ContactRule(on_ms=50, off_ms=200)
        bus, unit, does = button.source, described.unit_path, Operation(button.operation)
        self.plans.append(PointPlan(button.code, "", button.place, rule, Class.TEST, None, bus, unit, operation=does))

    # --- outputs

    def _read_outputs(self) -> tuple[OutputConfig, ...]:
        made = []
        tables = [(f"output[{i}]", table) for i, table in enumerate(self.file.output) if table is not None]
        self._check_unique("output", "name", [str(table.get("name")) for _, table in tables])
        for where, table in tables:
            output = read_table(OutputConfig, table, where, self.mistakes)
            if output is not None:
                self._check_output(output, where)
                made.append(output)
        is_read = len(made) == len(self.file.output)
        if is_read and not any(item.role == "buzzer" and self._may_be_gpio(item.source) for item in made):
            # A Modbus relay is never the only sounder (PANEL.md, "Deciding").
            self.mistakes.note("output", 'expected a buzzer on a "gpio" source, got none')
        return tuple(made)

    def _may_be_gpio(self, source: str) -> bool:
        return source not in self.configs or self.configs[source][0] == "gpio"

    def _check_output(self, output: OutputConfig, where: str) -> None:
        self._check_code(OUTPUT_PREFIX + output.name, f"{where}.name")
        for code in output.zones:
            self._check_known(code, self.zones, f"{where}.zones", "codes of [[zone]]s")
        if output.source not in self.configs:
            self._check_known(output.source, self.sources, f"{where}.source", "the name of a [[source]]")
            return
        kind, config = self.configs[output.source]
        if kind not in OUTPUTS:
            self.mistakes.add(f"{where}.source", "a source that can drive outputs", output.source)
            return
        for key, expected, got in OUTPUTS[kind].mistakes(config, output):
            self.mistakes.add(f"{where}.{key}", expected, got)
        self._claim(output.source, output.at, f'output "{output.name}"', where)

    def _check_supplies(self, outputs: tuple[OutputConfig, ...]) -> None:
        """Detectors that latch themselves and whose supply nobody can cut could never be reset."""
        relays = [output.zones for output in outputs if output.role == "detector_supply"]
        for i, zone in enumerate(self.file.zone):
            if zone is None or not zone.reset_pulse or any(not zones or zone.code in zones for zones in relays):
                continue
            if len(outputs) == len(self.file.output):
                expected = f'an output with the role "detector_supply" for zone {zone.code}'
                self.mistakes.add(f"zone[{i}].reset_pulse", expected, Words("none"))


def _named(table: Mapping[str, Any], name: str, key: str) -> list[str] | None:
    """What the entries of a list are called, those with mistakes of their own too; None where there is no list."""
    entries = table.get(name)
    if not isinstance(entries, list):
        return None
    return [str(entry[key]) for entry in entries if isinstance(entry, Mapping) and key in entry]
