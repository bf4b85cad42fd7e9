"""The uplink: carries the journal to the collector, and keeps its own thread alive."""

import logging
from threading import Event, Thread

from edge.clock import Clock
from edge.journal import Journal
from edge.uplink.config import UplinkConfig
from edge.uplink.shared import Counters, Shared
from edge.uplink.worker import Home, Worker

log = logging.getLogger(__name__)

GUARD_EVERY_S = 10
HANGS_MS = 90_000
"""A worker turns every few seconds; connecting to a host that drops everything, TLS included, takes some ten more, and
a resolver may take thirty."""


class Uplink:
    """One per home. `start` and `close` from any thread; nothing here ever waits for the network but `close`."""

    def __init__(self, config: UplinkConfig, home: Home, journal: Journal, clock: Clock) -> None:
        self._config, self._home, self._journal, self._clock = config, home, journal, clock
        self._shared = Shared()
        self._worker: Worker | None = None
        self._stop = Event()
        self._guard = Thread(target=self._watch, name="uplink-guard", daemon=True)

    def start(self) -> None:
        """Begin, if the configuration wants an uplink. A broker that is not there is no error."""
        if self._config.enabled:
            self._hire()
            self._journal.subscribe(self.wake)
            self._guard.start()

    def close(self, within_ms: int = 2_000) -> None:
        """Send what there is, if the broker lets it within that time, and say goodbye. Call after `Journal.close`, so
        that the last events are there to be sent."""
        self._stop.set()
        if self._guard.is_alive():
            self._guard.join()
        if self._worker is not None:
            self._worker.close(within_ms)

    def wake(self) -> None:
        """Have it look into the journal. Never waits."""
        if self._worker is not None:
            self._worker.wake()

    def state_changed(self) -> None:
        """Have the `state` message sent anew. Never waits."""
        if self._worker is not None:
            self._worker.say_state()

    def points_changed(self) -> None:
        """Have the `points` message sent anew, and a `state` that names the same configuration. Never waits."""
        if self._worker is not None:
            self._worker.say_points()

    @property
    def certificate_ends_ms(self) -> int | None:
        """When (Unix time) the gateway's certificate ends; None without one, or where it cannot be read."""
        return self._shared.certificate_ends_ms

    @property
    def is_connected(self) -> bool:
        """Whether a broker listens; the collector may still be gone."""
        return self._shared.is_connected

    @property
    def collector_heard_ms(self) -> int | None:
        """When (monotonic) the collector last acknowledged one of our volumes; None if never since the start."""
        return self._shared.heard_ms

    @property
    def counters(self) -> Counters:
        """What it did since the start."""
        return self._shared.counters

    def _hire(self) -> None:
        self._worker = Worker(self._config, self._home, self._journal, self._clock, self._shared)
        self._worker.thread.start()

    def _watch(self) -> None:
        """Replace a worker that has ended or hangs."""
        while not self._stop.wait(GUARD_EVERY_S):
            worker = self._worker
            if worker is None:
                continue
            hangs = self._clock.mono_ms() - worker.turned_ms > HANGS_MS
            if hangs or not worker.thread.is_alive():
                log.error("uplink: its thread %s; another takes over", "hangs" if hangs else "has ended")
                worker.abandon()
                self._shared.counters.restarts += 1
                self._shared.is_connected = False
                self._hire()
