"""The uplink's thread: one connection after another, each kept turning."""

import logging
import random
import socket
from collections.abc import Callable
from threading import Thread
from typing import Any, NamedTuple

from device import wire
from edge.clock import Clock
from edge.journal import Journal
from edge.uplink.config import UplinkConfig
from edge.uplink.enrolment import Certificate
from edge.uplink.link import Incoming, Link
from edge.uplink.sender import Sender
from edge.uplink.shared import Shared

log = logging.getLogger(__name__)

STATE_EVERY_MS = 20_000
STATE_APART_MS = 500
"""Two states are never closer: a flood of transitions is one picture, not a flood of pictures."""
TURN_MS = 5_000
"""The longest sleep, so that a link that went silent is noticed."""
SILENT_MS = 60_000
"""Without a word from the collector for so long, the subscriptions are renewed, and readings count as backlog."""
BACKOFF_MIN_MS = 1_000
BACKOFF_MAX_MS = 30_000
STEADY_MS = 10_000
"""A connection that lasted so long was good, and the next one is tried soon. One that ends at once may be the fight of
two gateways over one name."""
GOODBYE_MS = 500


class Home(NamedTuple):
    """Who speaks, and what the agent has to say. The callables run on the uplink's thread and must not wait."""

    home: str
    gateway: str
    state: Callable[[], wire.State]
    points: Callable[[], wire.Points]
    on_ask: Callable[[wire.Ask], None]


class Worker:
    """A thread with a connection of its own. One that hangs is abandoned, and another takes over."""

    def __init__(self, config: UplinkConfig, home: Home, journal: Journal, clock: Clock, shared: Shared) -> None:
        self._config, self._home, self._journal, self._clock, self._shared = config, home, journal, clock, shared
        self._sender = Sender(journal, shared.counters)
        self._certificate = Certificate(config.cert) if config.cert is not None else None
        self._link: Link | None = None
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._random = random.Random()
        self._failures = 0
        self._close_by_ms: int | None = None
        self._is_state_due = True
        self._are_points_due = False
        self._state_ms = 0
        self._state_head = -1
        self._renew_ms = 0
        self._pull_ms: int | None = None
        self._is_greeted = False
        self.is_abandoned = False
        self.turned_ms = clock.mono_ms()
        self.thread = Thread(target=self._run, name="uplink", daemon=True)

    # --- for other threads

    def wake(self) -> None:
        """Have the worker look. Never waits."""
        try:
            self._wake_out.send(b"\0")
        except OSError:  # it has been woken often enough, or is gone
            return

    def say_state(self) -> None:
        """Have it send a `state`. Never waits."""
        self._is_state_due = True
        self.wake()

    def say_points(self) -> None:
        """Have it send `points` and a `state`. Never waits."""
        self._are_points_due = True
        self.say_state()

    def close(self, within_ms: int) -> None:
        """Send what may be sent within that time, say goodbye, end."""
        self._close_by_ms = self._clock.mono_ms() + within_ms
        self.wake()
        if self.thread.is_alive():
            self.thread.join((within_ms + 2 * GOODBYE_MS) / 1000)

    def abandon(self) -> None:
        """Leave a worker that hangs to itself: it ends when it comes back."""
        self.is_abandoned = True
        link = self._link
        if link is not None:
            link.cut()
        self.wake()

    # --- the thread: connections

    def _run(self) -> None:
        try:
            while not self._is_ending():
                self._connect_and_serve()
        finally:
            self._sender.close()
            self._wake_in.close()
            self._wake_out.close()

    def _is_ending(self) -> bool:
        return self.is_abandoned or self._close_by_ms is not None

    def _connect_and_serve(self) -> None:
        """One connection, from the attempt to the pause after it."""
        began_ms = self.turned_ms = self._clock.mono_ms()
        try:
            if self._certificate is not None:
                self._shared.certificate_ends_ms = self._certificate.read(began_ms)
            self._link = Link(self._config, self._home.home, self._home.gateway, self._clock.boot, began_ms)
            self._is_greeted = False
            self._serve(self._link)
        except (OSError, ValueError) as error:  # ValueError: a host that is none
            self._give_up(f"cannot connect to {self._config.host}:{self._config.port}: {error}")
        except Exception:
            log.exception("uplink: unexpected; the connection is given up")
            self._give_up("a mistake of ours")
        if self._clock.mono_ms() - began_ms >= STEADY_MS:
            self._failures = 0
        self._pause()

    def _serve(self, link: Link) -> None:
        while not link.is_over and not self.is_abandoned:
            if self._certificate is not None and self._certificate.has_changed(self._clock.mono_ms()):
                link.say_down()
                link.why = "the certificate was renewed"
                break
            if self._close_by_ms is not None and self._say_goodbye(link, self._close_by_ms):
                self._link = None
                return
            self._turn(link)
        self._give_up(f"connection lost: {link.why}")

    def _give_up(self, why: str) -> None:
        if self._link is not None:
            self._link.cut()
            self._link = None
        if not self.is_abandoned:
            self._shared.is_connected = False
            self._shared.counters.failures += 1
            self._shared.complain(why)
            self._journal.set_live(False)

    def _pause(self) -> None:
        """Wait before the next attempt, longer each time, and never all gateways at once."""
        most_ms = min(BACKOFF_MAX_MS, BACKOFF_MIN_MS << min(self._failures, 8))
        self._failures += 1
        until_ms = self._clock.mono_ms() + int(most_ms * self._random.uniform(0.5, 1))
        while not self._is_ending():
            now_ms = self.turned_ms = self._clock.mono_ms()
            if now_ms >= until_ms:
                break
            self._journal.pull()
            self._sleep(min(until_ms - now_ms, TURN_MS))

    def _sleep(self, wait_ms: int) -> None:
        self._wake_in.settimeout(wait_ms / 1000)
        try:
            self._wake_in.recv(4096)
        except TimeoutError:
            pass
        finally:
            self._wake_in.setblocking(False)

    def _say_goodbye(self, link: Link, close_by_ms: int) -> bool:
        """End, once every event is with the broker or the time is over. Whether it is so."""
        is_done = self._is_greeted and self._sender.is_all_sent() and not link.on_the_way
        if self._clock.mono_ms() < close_by_ms and not is_done:
            return False
        link.say_down()
        end_ms = self._clock.mono_ms() + GOODBYE_MS
        while link.on_the_way and not link.is_over and self._clock.mono_ms() < end_ms:
            link.poll(self._wake_in, 50, self._clock.mono_ms)
        link.close()
        self._shared.is_connected = False
        self._journal.set_live(False)
        return True

    # --- the thread: one turn

    def _turn(self, link: Link) -> None:
        for message in link.poll(self._wake_in, self._wait_ms(), self._clock.mono_ms):
            self._take(message)
        now_ms = self.turned_ms = self._clock.mono_ms()
        self._pull_ms = self._journal.pull()
        if not link.is_up or self.is_abandoned:
            return
        if not self._is_greeted:
            self._greet(link, now_ms)
        self._journal.set_live(self._is_heard(now_ms))
        self._renew(link, now_ms)
        if self._are_points_due:
            self._are_points_due = False
            self._publish(link, wire.POINTS, self._home.points)
        self._sender.offer(link, now_ms)
        self._send_state(link, now_ms)

    def _wait_ms(self) -> int:
        now_ms = self._clock.mono_ms()
        due = [now_ms + TURN_MS, self._state_ms + (STATE_APART_MS if self._is_state_due else STATE_EVERY_MS)]
        if not self._is_greeted:
            due = [now_ms + TURN_MS]
        if self._close_by_ms is not None:
            due.append(now_ms + 50)
        due += [item for item in (self._sender.due_ms(), self._pull_ms) if item is not None and self._is_greeted]
        return max(0, min(due) - now_ms)

    def _greet(self, link: Link, now_ms: int) -> None:
        """A new connection: ask to be told, say who is there, and begin with what is not acknowledged."""
        self._is_greeted = True
        self._shared.is_connected = True
        self._shared.complaint = ""
        self._shared.counters.connections += 1
        log.info("uplink: connected to %s:%d", self._config.host, self._config.port)
        link.subscribe()
        self._publish(link, wire.LINK, lambda: wire.Link(self._clock.boot, "up"))
        self._publish(link, wire.POINTS, self._home.points)
        self._sender.rewind()
        self._renew_ms = now_ms + SILENT_MS
        self._is_state_due, self._state_ms = True, now_ms - STATE_APART_MS

    def _renew(self, link: Link, now_ms: int) -> None:
        """Ask again to be told, where nothing is being told: a broker may have forgotten."""
        if now_ms >= self._renew_ms:
            self._renew_ms = now_ms + SILENT_MS
            if not self._is_heard(now_ms):
                link.subscribe()

    def _is_heard(self, now_ms: int) -> bool:
        heard_ms = self._shared.heard_ms
        return heard_ms is not None and now_ms - heard_ms < SILENT_MS

    def _send_state(self, link: Link, now_ms: int) -> None:
        """After the events, so that the board never knows of an alarm before it has its event."""
        head = self._journal.volume().event_seq
        self._is_state_due = self._is_state_due or head != self._state_head
        if now_ms >= self._state_ms + (STATE_APART_MS if self._is_state_due else STATE_EVERY_MS):
            self._is_state_due, self._state_ms, self._state_head = False, now_ms, head
            self._publish(link, wire.STATE, self._home.state)

    def _publish(self, link: Link, channel: str, compose: Callable[[], Any]) -> None:
        try:
            payload = wire.encode(compose())
        except Exception as error:  # one message that cannot be made must not keep the events back
            self._shared.counters.refused += 1
            self._shared.complain(f"{channel} not sent: {type(error).__name__}: {error}")
            return
        link.publish(channel, payload)

    # --- the thread: what comes down

    def _ask(self, ask: wire.Ask) -> None:
        try:
            self._home.on_ask(ask)
        except Exception:
            log.exception("uplink: duty check %s could not be taken", ask.id)

    def _take(self, message: Incoming) -> None:
        counters = self._shared.counters
        try:
            said = wire.decode(message.channel, message.payload)
        except wire.WireError as error:
            counters.garbage += 1
            self._shared.complain(f"{message.channel}: {error}")
            return
        if isinstance(said, wire.Config):
            counters.config_messages += 1
        elif message.is_retained:  # no sign of life, and perhaps older than what we know
            counters.stale += 1
        elif isinstance(said, wire.Ask):
            counters.asks += 1
            self._ask(said)
        elif isinstance(said, wire.Ack) and self._sender.heard(said, self._clock.mono_ms()):
            self._shared.heard_ms = self._clock.mono_ms()
