"""A home's gateway without its hardware: engine, journal and uplink, and what can go wrong with these three themselves.

The agent adds sources, outputs and the station to it; a light home of the demonstration adds a simulated building.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from device import wire
from edge import __version__, board
from edge.clock import Clock
from edge.config import Setup
from edge.core.values import Act, Hour, Kind, Learned, Operation, Reading, Refusal, Transition, Unknown
from edge.engine import Engine, Shown
from edge.journal import Journal
from edge.journal.database import Snapshot
from edge.journal.volume import Stamp
from edge.own_points import CERTIFICATE_POINT, CONFIG_POINT, DISK_POINT, JOURNAL_POINT, LINK_POINT
from edge.report import Identity, PanelReport, compose_state
from edge.rule_file import RuleFile
from edge.sms import open_sms
from edge.uplink import Home, Uplink

log = logging.getLogger("shouwang.gateway")

RENEW_WITHIN_MS = 30 * 86_400_000
"""A month is time enough for somebody to carry a new certificate to the home."""
SAVE_EVERY_MS = 3_600_000
"""A power cut costs a rule at most this much of its days."""
SAVE_TIMES_EVERY_MS = 60_000
"""How often the panel is saved while something is out of service: a power cut makes no disablement longer."""
ASK_TEXT_MAX = 200
ASK_WITHIN_MAX_MS = 3_600_000
BATTERY_EMPTY = "battery_empty"
"""The kind of the point that says that the battery ends now."""
COLLECTOR = "collector"
"""In whose name a duty check comes."""
ASKS_APART_MS = 10_000
"""Two duty checks are never closer: whoever floods them fills no journal."""


class Gateway:
    """One home. `start`, `take`, `act`, `beat` and `stop` belong to the loop's thread; `close` may take seconds."""

    def __init__(self, setup: Setup, clock: Clock, outputs: Shown) -> None:
        self.setup = setup
        self.clock = clock
        self._outputs = outputs
        self._started_ms = clock.mono_ms()
        self._asked_ms: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._units = {point.code: point.unit for point in setup.points}
        self._kinds = {point.code: point.kind for point in setup.points}
        self._identity = Identity(__version__, setup.config_hash, setup.gateway.simulated)
        self._voltage = board.Voltage() if setup.gateway.watch_voltage else None
        self._hour: Hour | None = None
        self._rule_file = RuleFile(Path(setup.gateway.data))
        self._saved_ms = self._kept_ms = self._started_ms
        self.report = PanelReport()
        self.is_config_refused = False
        self.journal = Journal(Path(setup.gateway.data), clock, setup.journal, setup.deadbands)
        self.uplink = Uplink(setup.uplink, self._home(), self.journal, clock)
        self.sms = open_sms(setup, clock, self.journal.record, self.act)

    def start(self) -> None:
        """Bring back what stood before, sound it, and begin to listen to the network."""
        self._loop = asyncio.get_running_loop()
        self.journal.start()
        snapshot = self.journal.snapshot
        remembered, kept = self._rule_file.load()
        self.engine = Engine(
            self.setup.plan,
            self.clock,
            self._outputs,
            self,
            saved=snapshot.body if snapshot is not None else None,
            off_ms=self._off_ms(snapshot),
            unsaved_ms=self._unsaved_ms(snapshot),
            on_change=self._publish,
            config_hash=self.setup.config_hash,
            loosened=[(item.point, item.text) for item in self.setup.loosened],
            remembered=remembered,
            forgot_ms=self._ago_ms(kept),
        )
        self.uplink.start()
        if self.sms is not None:
            self.sms.start()

    def reload(self, setup: Setup) -> None:
        """Go on under another configuration, whose journal and identity are the same."""
        is_moved = setup.uplink != self.setup.uplink
        self.setup = setup
        self._units = {point.code: point.unit for point in setup.points}
        self._kinds = {point.code: point.kind for point in setup.points}
        self._identity = Identity(__version__, setup.config_hash, setup.gateway.simulated)
        self._voltage = board.Voltage() if setup.gateway.watch_voltage else None
        self._hour = None
        self.is_config_refused = False
        self.journal.set_deadbands(setup.deadbands)
        self.engine.reload(setup.plan, setup.config_hash, [(item.point, item.text) for item in setup.loosened])
        if is_moved:
            self._move_uplink()
        else:
            self.uplink.points_changed()

    def _move_uplink(self) -> None:
        """Speak to another broker from now on. The old line may take seconds to say goodbye; nobody waits for it."""
        old, self.uplink = self.uplink, Uplink(self.setup.uplink, self._home(), self.journal, self.clock)
        new = self.uplink

        def move() -> None:
            old.close()
            new.start()

        Thread(target=move, name="uplink-move", daemon=True).start()

    def _home(self) -> Home:
        setup = self.setup
        return Home(setup.home.code, setup.gateway.code, self._state, lambda: self.setup.describe(), self._asked)

    def take(self, readings: Sequence[Reading]) -> None:
        """Decide on readings, in their order of arrival."""
        self.engine.take(readings)

    def act(self, act: Act) -> Refusal | None:
        """Carry out what a person asked for, or say why not."""
        return self.engine.act(act)

    def beat(self) -> None:
        """Once a second: assert the outputs again and look at ourselves."""
        own = [
            self._link_now(),
            self._certificate_now(),
            Reading(DISK_POINT, int(self.journal.is_disk_faulty or self._is_ladder_lost())),
            Reading(CONFIG_POINT, int(self.is_config_refused)),
            Reading(JOURNAL_POINT, int(self.journal.recovered_from is not None)),
        ]
        if self.sms is not None:
            own += self.sms.readings()
        if self._voltage is not None:
            own.append(self._voltage.reading())
        self.engine.take(own)
        self._tell_hour()
        self._save_now_and_then()
        self.engine.assert_outputs()

    def learn(self, learned: Learned) -> None:
        """Take what was learned of a point."""
        self.engine.tell(learned)

    def _tell_hour(self) -> None:
        """Where the home is; the rules take the strictest hour while the clock is not trusted."""
        now = Hour(time.localtime(self.clock.wall_ms() // 1000).tm_hour if self.clock.clock_ok() else None)
        if now != self._hour:
            self._hour = now
            self.engine.tell(now)

    def _save_now_and_then(self) -> None:
        """What is left of a disablement, and since when a point is proven, change without a transition that would save
        them; so does what rules remember of days, which a thread keeps that may wait."""
        panel, now_ms = self.engine.panel, self.clock.mono_ms()
        is_timed = bool(panel.disabled) or panel.walk_test is not None or panel.question is not None
        if now_ms - self._saved_ms >= (SAVE_TIMES_EVERY_MS if is_timed else SAVE_EVERY_MS):
            self._saved_ms = now_ms
            self.engine.tick()
            self.journal.save_state(self.engine.saved())
        if now_ms - self._kept_ms >= SAVE_EVERY_MS:
            self._kept_ms = now_ms
            asyncio.get_running_loop().run_in_executor(None, self._rule_file.save, *self._days())

    def _days(self) -> tuple[dict[str, Any], Stamp]:
        clock = self.clock
        stamp = Stamp(clock.boot, clock.mono_ms(), clock.wall_ms(), clock.clock_ok())
        return self.engine.remembered(), stamp

    def stop(self) -> None:
        """Decide nothing more, and put that on record."""
        self.engine.stop()

    def close(self) -> None:
        """Let ladder, journal and uplink finish, and keep what rules remember of days."""
        self._rule_file.save(*self._days())
        if self.sms is not None:
            self.sms.close()
        self.journal.close()
        self.uplink.close()

    def record(
        self, transitions: Sequence[Transition], sounded_ms: int | None = None, snapshot: bytes | None = None
    ) -> None:
        """What the engine has to remember, with the units that its values are in."""
        try:
            self.journal.record(transitions, sounded_ms, lambda subject: self._units.get(subject, ""), snapshot)
        finally:
            # From memory, and whatever becomes of the journal: people are told though the disk is dead.
            if self.sms is not None:
                self.sms.take(transitions)
        if self._loop is not None and any(self._is_battery_ending(item) for item in transitions):
            self._loop.call_soon(self._say_last_words)

    def _is_battery_ending(self, item: Transition) -> bool:
        return item.kind is Kind.RAISE and self._kinds.get(item.subject) == BATTERY_EMPTY

    def _say_last_words(self) -> None:
        """The battery ends within minutes: put that on record and keep all that memory alone has. It goes on watching:
        nobody knows whether the contact is right, and a home that is closed for it would be deaf."""
        last = Transition(Kind.POWER_END, self.clock.mono_ms(), why="battery")
        self.journal.record([last], None, lambda _: "", self.engine.saved())
        asyncio.get_running_loop().run_in_executor(None, self._rule_file.save, *self._days())
        self.uplink.state_changed()

    def observe(self, readings: Sequence[Reading], mono_ms: int) -> None:
        """What the engine was told."""
        self.journal.observe(readings, mono_ms)

    def _is_ladder_lost(self) -> bool:
        """Whether what people are to be told cannot be saved: the same disk, and so the same fault."""
        return self.sms is not None and self.sms.is_disk_faulty

    def _off_ms(self, snapshot: Snapshot | None) -> int:
        """How long the gateway was off, as far as that can be believed: else no time at all, which delays nothing."""
        return self._ago_ms(snapshot.saved if snapshot is not None else None)

    def _ago_ms(self, kept: Stamp | None) -> int:
        if kept is None:
            return 0
        if kept.boot == self.clock.boot:
            return max(0, self.clock.mono_ms() - kept.mono_ms)
        if kept.clock_ok and self.clock.clock_ok():
            return max(0, self.clock.wall_ms() - kept.wall_ms)
        return 0

    def _unsaved_ms(self, snapshot: Snapshot | None) -> int:
        """How much longer the last agent may have run than it says, where nobody knows how long ago that was."""
        if snapshot is None or snapshot.saved.boot == self.clock.boot:
            return 0
        return 0 if snapshot.saved.clock_ok and self.clock.clock_ok() else SAVE_TIMES_EVERY_MS

    def _link_now(self) -> Reading:
        """1 when nobody has been listening for too long, 0 when somebody is; until it is one of the two, nobody knows.

        A home without an uplink has nobody to miss, and nobody who listens.
        """
        heard_ms = self.uplink.collector_heard_ms
        since_ms = self._started_ms if heard_ms is None else heard_ms
        is_late = self.clock.mono_ms() - since_ms > self.setup.gateway.listen_within
        if not self.setup.uplink.enabled or (heard_ms is None and not is_late):
            return Reading(LINK_POINT, None, Unknown.NOT_POLLED)
        return Reading(LINK_POINT, int(is_late))

    def _certificate_now(self) -> Reading:
        """1 when the certificate ends within a month; without one, or without a clock to tell, nobody knows."""
        ends_ms = self.uplink.certificate_ends_ms
        if ends_ms is None or not self.clock.clock_ok():
            return Reading(CERTIFICATE_POINT, None, Unknown.NOT_POLLED)
        return Reading(CERTIFICATE_POINT, int(ends_ms - self.clock.wall_ms() < RENEW_WITHIN_MS))

    def _publish(self, report: PanelReport) -> None:
        self.report = report
        self.uplink.state_changed()

    def _state(self) -> wire.State:
        return compose_state(self.report, self._identity, self.journal, self.clock)

    def _asked(self, ask: wire.Ask) -> None:
        """A duty check has come, on the uplink's thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and so has the home's panel
                self._loop.call_soon_threadsafe(self._ask, ask)

    def _ask(self, ask: wire.Ask) -> None:
        now_ms = self.clock.mono_ms()
        if self._asked_ms is not None and now_ms - self._asked_ms < ASKS_APART_MS:
            log.warning("duty check %s came too soon after the last one and is not shown", ask.id)
            return
        text = "".join(char for char in ask.text if char.isprintable())[:ASK_TEXT_MAX]
        for_ms = min(ask.within_s * 1000, ASK_WITHIN_MAX_MS)
        if self.engine.act(Act(Operation.ASK, COLLECTOR, text, subject=ask.id, for_ms=for_ms)) is None:
            self._asked_ms = now_ms
