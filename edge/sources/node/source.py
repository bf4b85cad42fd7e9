"""The source of kind "node": the nodes of a home behind the gateway's own broker."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.core.values import Reading
from edge.locks import Lock, hold
from edge.mqtt import Access, tls_context
from edge.nodes.folder import Folder
from edge.nodes.release import carried
from edge.sources.node.config import NodeConfig, own_point
from edge.sources.node.keeper import Keeper, Receipt
from edge.sources.node.reception import Reception
from edge.sources.node.updates import Updates
from edge.sources.node.worker import Worker
from edge.sources.seam import Changes, Deliver, Site, Wired

log = logging.getLogger(__name__)

KEEPALIVE_MS = 20_000
LOOK_S = 1.0
HANGS_MS = 30_000
"""A worker that has not turned for so long is given up."""
CLOSE_WITHIN_S = 0.5
"""The loop waits for it, once, at the end or at a reload."""


class NodeSource:
    """See the package."""

    def __init__(self, config: NodeConfig, wired: Sequence[Wired], site: Site) -> None:
        self.name = config.name
        self._config = config
        self._site = site
        self._lock: Lock = hold(site.locks, config.where)
        self._folder = Folder(Path(config.folder))
        self._counters: Counter[str] = Counter()
        self._changes = Changes(log, config.name)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._take: Deliver = lambda _: None
        self._worker: Worker | None = None
        kept = None if site.folder is None else site.folder / f"nodes-{config.name}"
        self._keeper = Keeper(kept, site.clock, site.waiting_since_ms, self._kept)
        self._receptions: dict[str, Reception] = {}
        release = carried()
        self.version = release.version
        self._updates = Updates(release, self._keys())
        offered: dict[str, Any] = {}
        for entry in config.node:
            saved = self._keeper.load(entry.code)
            points = [each for each in wired if each.at.node == entry.code]
            self._receptions[entry.code] = Reception(entry, points, own_point(entry.code), saved)
            offered[entry.code] = (saved or {}).get("offered")
        self._updates.recall(offered)

    async def run(self, deliver: Deliver) -> None:
        """Listen until cancelled; a thread that hangs is given up and another takes over."""
        self._loop, self._take = asyncio.get_running_loop(), deliver
        self._keeper.start()
        while True:
            self._worker = worker = self._made()
            worker.thread.start()
            try:
                while worker.thread.is_alive() and self._site.clock.mono_ms() - worker.turned_ms < HANGS_MS:
                    await asyncio.sleep(LOOK_S)
            finally:
                worker.stop()
            self._counters["restarts"] += 1
            self._changes.say("", "the thread that talks with the nodes hangs; another takes over")

    def close(self) -> None:
        """Let the broker go."""
        if self._worker is not None:
            self._worker.stop(CLOSE_WITHIN_S)
        self._keeper.close()
        self._lock.release()

    def counters(self) -> Mapping[str, int]:
        """connections, losses, restarts; reports, duplicates, replays, of_the_past, lost; foreign, garbage, retained,
        replaced; wills; held_back: times the loop did not keep up."""
        counted = sum((each.counters for each in self._receptions.values()), Counter(self._counters))
        return dict(counted)

    # --- for people

    def nodes(self) -> list[dict[str, Any]]:
        """Each node as it was heard last, for status and list."""
        return [self._shown(code, reception) for code, reception in self._receptions.items()]

    def update(self, nodes: Sequence[str]) -> None:
        """Have nodes updated, those on the mains first: a round does not wait a day for them."""
        if self._worker is not None:
            self._worker.update(sorted(nodes, key=lambda code: self._receptions[code].entry.is_sleeping))

    def order(self, node: str, order: str) -> bool:
        """Have a node do something; False where it is none of ours or nobody can be told."""
        if node not in self._receptions or self._worker is None:
            return False
        self._worker.order(node, order)
        return True

    def _shown(self, code: str, reception: Reception) -> dict[str, Any]:
        beat, heard_ms = reception.beat, reception.heard_ms
        return {
            "code": code,
            "kind": reception.entry.kind,
            "heard_ago_ms": None if heard_ms is None else self._site.clock.mono_ms() - heard_ms,
            "pinned": reception.entry.hardware,
            "hardware": None if beat is None else beat.hardware,
            "replaced": reception.is_replaced,
            "version": None if beat is None else beat.version,
            "release": None if beat is None else beat.release,
            "battery_mv": None if beat is None else beat.battery_mv,
            "supply_mv": None if beat is None else beat.supply_mv,
            "rssi_dbm": None if beat is None else beat.rssi_dbm,
            "faults": [] if beat is None else list(beat.faults),
            "update": self._updates.states.get(code, ""),
        }

    # --- parts

    def _made(self) -> Worker:
        return Worker(
            self._access, self._config.where, self._receptions, self._updates, self._site.clock, self._site.is_fire,
            self._site.is_resetting, self._hand, self._counters, self._changes,
        )  # fmt: skip

    def _access(self) -> Access:
        config = self._config
        tls = None if config.ca is None else tls_context(config.ca)
        return Access(
            config.host, config.port, config.username, KEEPALIVE_MS, config.username, self._folder.password(), tls
        )

    def _keys(self) -> dict[str, bytes]:
        keys = {}
        for entry in self._config.node:
            try:
                keys[entry.code] = self._folder.key(entry.code)
            except (OSError, ValueError) as error:
                log.warning("node %s cannot be updated: %s", entry.code, error)
        return keys

    # --- between the threads

    def _hand(self, readings: Sequence[Reading], receipt: Receipt | None) -> bool:
        """From the worker to the loop."""
        if self._loop is None:
            return False
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._arrive, list(readings), receipt, self._worker)
            return True
        return False

    def _arrive(self, readings: list[Reading], receipt: Receipt | None, worker: Worker | None) -> None:
        if worker is not None:
            worker.taken += 1
        if readings:
            self._take(readings)
        if receipt is not None:
            self._keeper.decided(receipt)

    def _kept(self, receipt: Receipt) -> None:
        """From the keeper to the worker."""
        if self._worker is not None:
            self._worker.kept(receipt)
