"""The sources and outputs of a home as they hang together, and how they are wired anew while it is watched over.

What a new configuration leaves as it is goes on undisturbed. A GPIO chip keeps its lines and its sounding outputs, and
gives back or claims only what has changed; another source is closed and opened, which takes well under two seconds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from edge import locks
from edge.config import Setup, SourceSetup
from edge.desk import Desk
from edge.outputs import OutputConfig
from edge.sources import SOURCES, Site, Source
from edge.sources.backends import NotAllowed
from edge.sources.gpio import GpioSource

log = logging.getLogger("shouwang.agent")

Watch = Callable[[Source], Awaitable[None]]


class Wiring:
    """`watch` runs a source for ever; `site` is what every source is given."""

    def __init__(self, setup: Setup, site: Site, watch: Watch) -> None:
        self._setup = setup
        self._site = site
        self._watch = watch
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.sources: dict[str, Source] = {}
        for item in setup.sources:
            self.sources[item.config.name] = self._open(item)
        self.desk = Desk(setup.outputs, self.sources, _kinds(setup))

    def _open(self, item: SourceSetup) -> Source:
        source: Source = SOURCES[item.kind].open(item.config, item.wired, self._site)
        return source

    def start(self) -> None:
        """Begin to watch."""
        for name in self.sources:
            self._begin(name)

    def _begin(self, name: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = asyncio.ensure_future(self._run(self.sources[name]))

    async def _run(self, source: Source) -> None:
        await self._watch(source)

    async def rewire(self, setup: Setup) -> None:
        """Have sources and outputs as another configuration says. One that cannot be opened is left out and said: its
        points become faults."""
        before, after = _by_name(self._setup), _by_name(setup)
        lasting = [name for name in before.keys() & after.keys() if before[name].config == after[name].config]
        same = {
            name for name in lasting if name in self.sources and _hanging(self._setup, name) == _hanging(setup, name)
        }
        rewired = same | {name for name in lasting if isinstance(self.sources.get(name), GpioSource)}
        for name in before.keys() - rewired:
            await self._close(name)
        for name in rewired - same:
            source = self.sources[name]
            assert isinstance(source, GpioSource)
            lasting_outputs = [output for output in setup.outputs if output in self._setup.outputs]
            pins = {output.at.pin for output in lasting_outputs if output.source == name}
            source.rewire(after[name].wired, {pin for pin in pins if pin is not None})
        for name in after.keys() - rewired:
            try:
                self.sources[name] = self._open(after[name])
            except (locks.InUse, NotAllowed, OSError) as error:
                log.error("source %s cannot be opened: %s", name, error)
        kept = self.desk.kept(lambda output: output.source in rewired and output in setup.outputs)
        usable = [output for output in setup.outputs if output.source in self.sources]
        self._setup, self.desk = setup, Desk(usable, self.sources, _kinds(setup), kept)
        self.start()

    async def _close(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        source = self.sources.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if source is not None:
            with suppress(Exception):
                source.close()

    async def close(self) -> None:
        """Stop watching, release every output, let the hardware go."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    def release(self) -> None:
        """Outputs first, then the sources that they hang on."""
        self.desk.close()
        for source in self.sources.values():
            with suppress(Exception):
                source.close()


def _by_name(setup: Setup) -> dict[str, SourceSetup]:
    return {item.config.name: item for item in setup.sources}


def _kinds(setup: Setup) -> dict[str, str]:
    return {item.config.name: item.kind for item in setup.sources}


def _hanging(setup: Setup, name: str) -> tuple[object, list[OutputConfig]]:
    """What hangs on a source."""
    return _by_name(setup)[name].wired, [output for output in setup.outputs if output.source == name]


def needs_restart(now: Setup, new: Setup) -> list[str]:
    """What has changed that a running agent cannot take over: who it is, where it keeps things and what it may use."""
    fixed = {
        "home.code": (now.home.code, new.home.code),
        "gateway.code": (now.gateway.code, new.gateway.code),
        "gateway.data": (now.gateway.data, new.gateway.data),
        "gateway.locks": (now.gateway.locks, new.gateway.locks),
        "gateway.simulated": (now.gateway.simulated, new.gateway.simulated),
        "journal": (now.journal, new.journal),
        "sms and contact": (now.telling, new.telling),
    }
    return [name for name, (was, wanted) in fixed.items() if was != wanted]
