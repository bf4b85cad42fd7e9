"""The thread that talks with the nodes: one connection to the local broker after another, each kept turning.

What comes in is understood here (`Reception`), decided on the loop's thread, and acknowledged when it is kept
(`Keeper`). The loop never waits for this thread, nor this one for a disk; when the loop does not keep up, nothing more
is read, and the broker and the nodes hold what waits.
"""

import logging
import random
import socket
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from threading import Thread
from typing import Any

from device import node_wire, wire
from edge.clock import Clock
from edge.core.values import Reading
from edge.mqtt import Access, Connection, Message
from edge.sources.backoff import Backoff
from edge.sources.node.keeper import Receipt
from edge.sources.node.reception import Reception, Taken
from edge.sources.node.updates import Updates
from edge.sources.seam import Changes

log = logging.getLogger(__name__)

TURN_MS = 1_000
RESET_ASK_MS = 2_000
"""How often nodes are asked how things stand while a reset waits for that."""
MOST_WAITING = 1_000
"""Deliveries that the loop has not taken, beyond which nothing more is read."""
REDIAL_FIRST_S, REDIAL_CAP_S = 0.2, 5.0
"""The broker is this machine's own: knocking often hurts nobody."""
FOREIGN_NAMES = 20
TOPICS = [f"{wire.ROOT}/{node_wire.NODE}/+/{channel}" for channel in node_wire.UP]


class Worker:
    """A thread with a connection of its own. One that hangs is abandoned, and another takes its nodes over.

    `deliver` hands readings, and the receipt of the report they come from, to the loop; it never waits. It gives False
    once the loop is gone.
    """

    def __init__(
        self,
        access: Callable[[], Access],
        where: str,
        receptions: Mapping[str, Reception],
        updates: Updates,
        clock: Clock,
        is_fire: Callable[[], bool],
        is_resetting: Callable[[], bool],
        deliver: Callable[[Sequence[Reading], Receipt | None], bool],
        counters: Counter[str],
        changes: Changes,
    ) -> None:
        self._access, self._where, self._receptions, self._updates = access, where, receptions, updates
        self._clock, self._deliver = clock, deliver
        self._is_fire, self._is_resetting = is_fire, is_resetting
        self._counters, self._changes = counters, changes
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._connection: Connection | None = None
        self._asked_ms = 0
        self._backoff = Backoff(REDIAL_FIRST_S, REDIAL_CAP_S, random.Random())
        self._is_greeted = False
        self._is_stopped = False
        self._kept: deque[Receipt] = deque()
        self._orders: deque[tuple[str, str]] = deque()
        self._to_update: deque[Sequence[str]] = deque()
        self._foreign: set[str] = set()
        self.handed = 0
        self.taken = 0  # of those, by the loop; written by its thread alone
        self.turned_ms = clock.mono_ms()
        self.thread = Thread(target=self._run, name="nodes", daemon=True)

    # --- for other threads

    @property
    def is_connected(self) -> bool:
        """Whether the broker has let us in."""
        return self._is_greeted

    def kept(self, receipt: Receipt) -> None:
        """A counted report is kept: it may be acknowledged. Never waits."""
        self._kept.append(receipt)
        self.wake()

    def order(self, node: str, order: str) -> None:
        """Have a node do something. Never waits."""
        self._orders.append((node, order))
        self.wake()

    def update(self, nodes: Sequence[str]) -> None:
        """Have nodes updated, in this order. Never waits."""
        self._to_update.append(nodes)
        self.wake()

    def wake(self) -> None:
        """Have the worker look. Never waits."""
        try:
            self._wake_out.send(b"\0")
        except OSError:  # it has been woken often enough, or is gone
            return

    def stop(self, within_s: float = 0.0) -> None:
        """Have it end, and wait so long for it; one that hangs is left to itself and changes nothing any more."""
        self._is_stopped = True
        connection = self._connection
        if connection is not None:
            connection.cut()
        self.wake()
        if within_s and self.thread.is_alive():
            self.thread.join(within_s)

    # --- the thread: connections

    def _run(self) -> None:
        try:
            while not self._is_stopped:
                self._connect_and_serve()
                self._pause()
        finally:
            self._wake_in.close()
            self._wake_out.close()

    def _connect_and_serve(self) -> None:
        try:
            self._connection = connection = Connection(self._access(), self._clock.mono_ms())
            while not connection.is_over and not self._is_stopped:
                self._turn(connection)
            why = connection.why
        except (OSError, ValueError) as error:
            why = str(error)
        except Exception:
            log.exception("nodes: unexpected; the connection is given up")
            why = "a mistake of ours"
        if self._connection is not None:
            self._connection.cut()
            self._connection = None
        self._is_greeted = False
        if not self._is_stopped:
            self._counters["losses"] += 1
            self._changes.say("", f"{self._where}: {why or 'the line broke'}")
            self._hand([reading for each in self._receptions.values() for reading in each.unreachable()])

    def _pause(self) -> None:
        until_ms = self._clock.mono_ms() + int(self._backoff.next_s() * 1000)
        while not self._is_stopped and (left_ms := until_ms - self._clock.mono_ms()) > 0:
            self.turned_ms = self._clock.mono_ms()
            self._wake_in.settimeout(min(left_ms, TURN_MS) / 1000)
            try:
                self._wake_in.recv(4096)
            except TimeoutError:
                pass
            finally:
                self._wake_in.setblocking(False)

    # --- the thread: one turn

    def _turn(self, connection: Connection) -> None:
        self.turned_ms = self._clock.mono_ms()
        if self.handed - self.taken > MOST_WAITING:
            self._counters["held_back"] += 1
            self._wait_for_loop()
            return
        came = connection.poll(self._wake_in, self._wait_ms(), self._clock.mono_ms)
        if self._is_stopped:
            return
        self.turned_ms = now_ms = self._clock.mono_ms()
        if connection.is_up and not self._is_greeted:
            self._greet(connection)
        for message in came:
            self._hear(connection, message, now_ms)
        for reception in self._receptions.values():
            self._hand(reception.due(now_ms))
        self._acknowledge_kept(connection)
        self._send_orders(connection)
        while self._to_update:
            self._updates.ask(self._to_update.popleft())
            if self._is_greeted:
                self._ask_for_beats(connection)
        # A reset gives up before a node beats by itself.
        if self._is_greeted and self._is_resetting() and now_ms - self._asked_ms >= RESET_ASK_MS:
            self._ask_for_beats(connection)

    def _wait_for_loop(self) -> None:
        self._wake_in.settimeout(0.05)
        try:
            self._wake_in.recv(4096)
        except TimeoutError:
            pass
        finally:
            self._wake_in.setblocking(False)

    def _wait_ms(self) -> int:
        due = [each.due_ms for each in self._receptions.values() if each.due_ms is not None]
        now_ms = self._clock.mono_ms()
        return max(0, min([now_ms + TURN_MS, *due]) - now_ms)

    def _greet(self, connection: Connection) -> None:
        """Listen, and have the nodes that listen as well say how things stand, instead of waiting for their beats."""
        self._is_greeted = True
        self._backoff.reset()
        self._counters["connections"] += 1
        self._changes.say("", "")
        connection.subscribe(TOPICS)
        self._ask_for_beats(connection)

    def _ask_for_beats(self, connection: Connection) -> None:
        self._asked_ms = self._clock.mono_ms()
        for code, reception in self._receptions.items():
            if not reception.entry.is_sleeping:
                self._say(connection, code, node_wire.Order(token_hex(8), "beat"), qos=0)

    # --- the thread: what comes up

    def _hear(self, connection: Connection, message: Message, now_ms: int) -> None:
        if message.is_retained:
            self._counters["retained"] += 1
            return
        try:
            node, channel = node_wire.parse_topic(message.topic)
            said: Any = node_wire.decode(channel, message.payload)
        except wire.WireError as error:
            self._counters["garbage"] += 1
            self._changes.say("message", str(error))
            return
        reception = self._receptions.get(node)
        if reception is None:
            self._say_foreign(node)
        elif isinstance(said, node_wire.Report):
            self._take(connection, node, reception.report(said, now_ms), self._is_urgent(said))
        elif isinstance(said, node_wire.Beat):
            taken = reception.take_beat(said, now_ms)
            self._take(connection, node, taken)
            if taken.is_beat:
                self._answer_beat(connection, node, said, now_ms)
        elif isinstance(said, node_wire.Progress):
            for piece in self._updates.progress(node, said, now_ms, self._is_fire()):
                self._say(connection, node, piece, qos=0)
            self._note_update(node, reception)
        else:
            self._counters["wills"] += 1

    def _is_urgent(self, report: node_wire.Report) -> bool:
        return report.value in (0, 1)

    def _take(self, connection: Connection, node: str, taken: Taken, is_urgent: bool = False) -> None:
        if taken.counted:
            book = self._receptions[node].book
            saved = {**book.saved(), "offered": self._updates.offered().get(node, 0)}
            self._receptions[node].unkept += 1
            self._hand(taken.readings, Receipt(node, taken.counted, book.done(taken.counted), saved, is_urgent))
            return
        self._hand(taken.readings)
        if taken.known:
            self._acknowledge(connection, node, taken.known)

    def _hand(self, readings: Sequence[Reading], receipt: Receipt | None = None) -> None:
        if (readings or receipt) and self._deliver(readings, receipt):
            self.handed += 1

    def _say_foreign(self, node: str) -> None:
        self._counters["foreign"] += 1
        if node not in self._foreign and len(self._foreign) < FOREIGN_NAMES:
            self._foreign.add(node)
            log.warning("%s: node %s speaks and is not in the configuration", self._where, node)

    # --- the thread: what goes down

    def _answer_beat(self, connection: Connection, node: str, beat: node_wire.Beat, now_ms: int) -> None:
        self._say(connection, node, node_wire.Clock(self._clock.wall_ms(), self._clock.clock_ok()), qos=0)
        for message in self._updates.beat(node, beat, now_ms, self._is_fire()):
            self._say(connection, node, message, qos=1)
        self._note_update(node, self._receptions[node])

    def _note_update(self, node: str, reception: Reception) -> None:
        self._hand(reception.noted("update_failed" if node in self._updates.failed else ""))

    def _acknowledge_kept(self, connection: Connection) -> None:
        while self._kept:
            receipt = self._kept.popleft()
            self._receptions[receipt.node].kept(receipt.boot, receipt.seq)
            self._acknowledge(connection, receipt.node, receipt.boot)

    def _acknowledge(self, connection: Connection, node: str, boot: str) -> None:
        self._say(connection, node, node_wire.Ack(boot, self._receptions[node].acknowledged(boot)), qos=0)

    def _send_orders(self, connection: Connection) -> None:
        while self._orders and self._is_greeted:
            node, order = self._orders.popleft()
            self._say(connection, node, node_wire.Order(token_hex(8), order), qos=1)

    def _say(self, connection: Connection, node: str, message: Any, qos: int) -> None:
        channel = type(message).__name__.lower()
        connection.publish(node_wire.topic(node, channel), node_wire.encode(message), qos)
