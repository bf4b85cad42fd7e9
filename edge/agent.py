"""The agent: one home's gateway as a process. It wires sources to the engine, and the engine to people and memory.

Order at the start: locks, outputs, what stood before the power went (it sounds at once), then the sources. A source, a
disk or an uplink that fails is a fault on the panel, never an end of the process: a home that still hears fire is not
restarted for it.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge import config, learning, locks
from edge.clock import Clock, SystemClock
from edge.config import Setup
from edge.core.signals import Signals
from edge.core.values import Class
from edge.gateway import Gateway
from edge.nodes.service import services
from edge.own_points import is_reserved
from edge.schema import ConfigError
from edge.sources import Site, Source
from edge.station import Station
from edge.status import compose_status
from edge.watchdog import Watchdog
from edge.wiring import Wiring, needs_restart

log = logging.getLogger("shouwang.agent")

BEAT_S = 1.0
"""How often outputs are asserted again and the gateway looks at itself."""
REVIVE_S = 5.0
"""How long a source whose code failed rests before it is run again."""
SWITCH_S = 0.0005
"""How long a busy thread may keep the interpreter from the loop: the alarm path waits for it at most once."""
REAL_TIME_PRIORITY = 1
"""The lowest is enough to run before every ordinary process. A nice value is not: the kernel groups processes by
session before it looks at it, and busy neighbours (an update of packages, say) delayed the buzzer by 35 ms at -10."""


class Agent:
    """A home's gateway. `run` returns when it has been told to stop."""

    def __init__(self, setup: Setup, clock: Clock | None = None, config_file: Path | None = None) -> None:
        self.setup = setup
        self.clock = clock or SystemClock()
        self._folder = Path(setup.gateway.data)
        self._locks = Path(setup.gateway.locks) if setup.gateway.locks else locks.machine_folder()
        self._stopping = asyncio.Event()
        self._config = config_file
        self._reloading = asyncio.Event()
        self._learning: asyncio.Task[None] | None = None
        self._wiring: Wiring | None = None
        self._watchdog = Watchdog()
        self._modem_lock: locks.Lock | None = None

    async def run(self) -> None:
        """Watch over the home until SIGTERM or SIGINT. Raises `locks.InUse` where another agent holds something."""
        lock = _hold_folder(self._folder, self._locks)
        tasks: list[asyncio.Task[None]] = []
        _take_precedence()
        try:
            self._open()
            await self._start(tasks)
            self._watchdog.ready()
            await self._stopping.wait()
            self._watchdog.stopping()
        finally:
            await self._close(tasks)
            self._watchdog.close()
            lock.release()

    def stop(self) -> None:
        """Have `run` return."""
        self._stopping.set()

    def reload(self) -> None:
        """Have the configuration read again (SIGHUP). A bad one is refused, and the old one goes on."""
        self._reloading.set()

    def show(self, wanted: Signals) -> None:
        """What the engine drives: the desk."""
        if self._wiring is not None:
            self._wiring.desk.show(wanted)

    def _open(self) -> None:
        site = Site(
            self._locks,
            self.setup.gateway.simulated,
            self.clock,
            self._folder,
            lambda: self._gateway.journal.waiting_since_ms(),
            lambda: any(item.condition is Class.FIRE for item in self._gateway.report.active),
            lambda: self._gateway.engine.panel.reset is not None,
        )
        self._wiring = Wiring(self.setup, site, self._watch)
        self._gateway = Gateway(self.setup, self.clock, self)
        if self.setup.telling is not None:
            self._modem_lock = locks.hold(self._locks, self.setup.telling.sms.device)
        more = services(self._wiring.sources, self._gateway.record, self.clock.mono_ms)
        self._station = Station(self._folder, self._gateway.act, self.status, self._send_test, self.status, more)

    async def _start(self, tasks: list[asyncio.Task[None]]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
        self._gateway.start()
        if self._wiring is not None:
            self._wiring.start()
        tasks.append(asyncio.create_task(self._beat()))
        self._begin_learning()
        tasks.append(asyncio.create_task(self._reload_when_asked()))
        try:
            await self._station.start()
        except OSError as error:
            log.error("nobody can operate this gateway by command: %s", error)
        _favour_the_loop()
        simulated = ", SIMULATED" if self.setup.gateway.simulated else ""
        wired = [point for point in self.setup.points if not is_reserved(point.code)]
        log.info("watching %d points of %s%s", len(wired), self.setup.home.name, simulated)

    async def _reload_when_asked(self) -> None:
        while True:
            await self._reloading.wait()
            self._reloading.clear()
            try:
                await self._reload()
            except Exception:
                self._gateway.is_config_refused = True
                log.exception("the new configuration could not be taken over whole")

    async def _reload(self) -> None:
        """Take over what the file says now. Nothing is touched before all of it has been found to be well."""
        setup = await asyncio.to_thread(self._read_again)
        if setup is None or self._wiring is None:
            self._gateway.is_config_refused = True
            return
        # The panel first: what the new plan does not know is no longer decided, what it keeps is not decided twice.
        self.setup = setup
        self._gateway.reload(setup)
        await self._wiring.rewire(setup)
        self._gateway.engine.assert_outputs()
        self._begin_learning()
        log.info("the new configuration %s is taken over", setup.config_hash)

    def _begin_learning(self) -> None:
        if self._learning is not None:
            self._learning.cancel()
        self._learning = asyncio.create_task(learning.keep_learning(self.setup, self._gateway.learn))

    def _read_again(self) -> Setup | None:
        if self._config is None:
            return None
        try:
            setup = config.load(self._config)
        except (ConfigError, OSError) as error:
            log.error("the new configuration is refused, the old one goes on: %s", error)
            return None
        fixed = needs_restart(self.setup, setup)
        if fixed:
            log.error("the new configuration is refused, these need a restart: %s", ", ".join(fixed))
            return None
        return setup

    async def _watch(self, source: Source) -> None:
        """Run a source for ever. What it does about its devices' failures is its own; this is for those of its code."""
        while True:
            try:
                await source.run(self._gateway.take)
            except Exception:
                log.exception("source %s failed and is run again", source.name)
            await asyncio.sleep(REVIVE_S)

    async def _beat(self) -> None:
        while True:
            _safely("the look at itself", self._gateway.beat)
            # What feeds the watchdog is that inputs can be decided on and outputs driven, whatever else has failed.
            if _safely("driving the outputs", self._drive):
                self._watchdog.feed()
            await asyncio.sleep(BEAT_S)

    def _drive(self) -> None:
        self._gateway.engine.tick()
        self._gateway.engine.assert_outputs()
        if self._wiring is not None:
            self._wiring.desk.assert_again()

    def status(self, start: int | None = None) -> dict[str, Any]:
        """What the station tells; of the points only a page from `start` on, where it is given."""
        wiring = self._wiring
        outputs, sources = (wiring.desk.outputs(), wiring.sources) if wiring is not None else ([], {})
        return compose_status(self._gateway, sources, outputs, start)

    def _send_test(self, name: str) -> tuple[int | None, list[str]]:
        """A test message to a contact: its ticket, or None with the names that there are."""
        sms = self._gateway.sms
        return (None, []) if sms is None else (sms.send_test(name), sms.names)

    async def _close(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if self._learning is not None:
            self._learning.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._wiring is not None:
            await self._wiring.close()
        with suppress(AttributeError):  # where the start failed half-way, the rest is not there to be closed
            await self._station.stop()
            self._gateway.stop()
        if self._wiring is not None:
            self._wiring.release()
        with suppress(AttributeError):
            await asyncio.to_thread(self._gateway.close)
        if self._modem_lock is not None:
            self._modem_lock.release()


def _safely(what: str, do: Callable[[], None]) -> bool:
    """Whether it was done; what fails is said, and the next beat tries again."""
    try:
        do()
    except Exception:
        log.exception("%s failed", what)
        return False
    return True


def _hold_folder(folder: Path, shared: Path) -> locks.Lock:
    """The data folder for this process alone. A disk that takes no file is no reason not to hear fire: then the lock
    lies with those of the machine, where no disk is."""
    called = f"the data folder {folder}"
    try:
        return locks.hold(folder, "agent", called)
    except OSError as error:
        log.error("%s cannot be written: %s", called, error)
        return locks.hold(shared, f"{folder}/agent", called)


def _take_precedence() -> None:
    """Have this thread, and those that it will start, run before all ordinary ones: whichever thread waits for the
    processor with the interpreter in its hands, the loop waits for it. A loop gone wild leaves the machine a twentieth
    of the time (sched_rt_runtime_us).
    """
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        return  # the service's unit has seen to it
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REAL_TIME_PRIORITY))
    except PermissionError:
        log.warning("not allowed to run before other processes; the service needs LimitRTPRIO=1")


def _favour_the_loop() -> None:
    sys.setswitchinterval(SWITCH_S)
    # What has been made until now stays: no collection has to walk through it while an alarm waits.
    gc.collect()
    gc.freeze()
