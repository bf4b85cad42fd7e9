"""Keeps what has been counted, and only then lets it be acknowledged.

A report is kept when its events are on the disk (or marked as not durable, where the disk is dead) and its number is
in the node's file. So a `kill -9` before that has the node say it again, and one after that does not. A thread of its
own, because a disk may hang: meanwhile readings go on, nothing is acknowledged, and the nodes keep their reports.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from edge.clock import Clock
from edge.nodes.folder import write_private
from edge.patience import PATIENCE_S, within

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.02
GATHER_MS = 2_000
"""A level that moved is said again harmlessly, so its number may wait for the next ones: a write each is too much."""


class Receipt(NamedTuple):
    """A counted report: the boot's reports up to `seq` are counted, `saved` is what the node's file has to say then.
    `is_urgent`: a contact's; the node waits, and twice would be wrong."""

    node: str
    boot: str
    seq: int
    saved: Mapping[str, Any]
    is_urgent: bool


class Keeper:
    """`waiting_since_ms` is the journal's; `kept` is called on the keeper's thread and must not wait."""

    def __init__(
        self, folder: Path | None, clock: Clock, waiting_since_ms: Callable[[], int | None],
        kept: Callable[[Receipt], None],
    ) -> None:  # fmt: skip
        self._folder = folder
        self._clock = clock
        self._waiting_since_ms = waiting_since_ms
        self._kept = kept
        self._decided: SimpleQueue[tuple[Receipt, int] | None] = SimpleQueue()
        self._stop = threading.Event()
        self._is_failing = self._hangs = False
        self._thread = threading.Thread(target=self._run, name="nodes-keeper", daemon=True)

    def load(self, node: str) -> dict[str, Any] | None:
        """What was kept of a node; None where nothing was or nobody can read it."""
        if self._folder is None:
            return None
        path = self._folder / f"{node}.json"
        try:
            # A disk that hangs is waited for once, and not for each node.
            text = None if self._hangs else within(PATIENCE_S, lambda: path.read_text("utf-8"), None)
            if text is None:
                self._hangs = True
                raise TimeoutError("the disk does not answer")
            table = json.loads(text)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.error("what was counted of node %s is lost, and an alarm may be told twice: %s", node, error)
            return None
        return table if isinstance(table, dict) else None

    def start(self) -> None:
        """Begin to keep, if that has not begun."""
        if not self._thread.is_alive() and not self._stop.is_set():
            self._thread.start()

    def decided(self, receipt: Receipt) -> None:
        """The engine has decided on a report, a moment ago. From the loop's thread; never waits."""
        self._decided.put((receipt, self._clock.mono_ms()))

    def close(self) -> None:
        """Stop; what is not kept yet is said again by its node."""
        self._stop.set()
        self._decided.put(None)
        if self._thread.is_alive():
            self._thread.join(0.5)

    def _run(self) -> None:
        while (first := self._decided.get()) is not None and not self._stop.is_set():
            try:
                self._keep([first, *self._gather(first[0])])
            except Exception:  # a mistake of ours; what is not acknowledged is said again, and kept then
                log.exception("counted reports could not be kept")

    def _keep(self, decided: Sequence[tuple[Receipt, int]]) -> None:
        for _, at_ms in decided:
            self._wait_for_events(at_ms)
        if self._stop.is_set():
            return
        latest = {receipt.node: receipt for receipt, _ in decided}
        for receipt in latest.values():
            self._save(receipt)
        for receipt, _ in decided:
            self._kept(receipt)

    def _gather(self, first: Receipt) -> list[tuple[Receipt, int]]:
        """What else is there, or soon is: until something is urgent or the time is over."""
        gathered: list[tuple[Receipt, int]] = []
        until_ms = self._clock.mono_ms() + (0 if first.is_urgent else GATHER_MS)
        while True:
            try:
                more = self._decided.get(timeout=max(0, until_ms - self._clock.mono_ms()) / 1000)
            except Empty:
                return gathered
            if more is None:
                self._decided.put(None)
                return gathered
            gathered.append(more)
            if more[0].is_urgent:
                until_ms = 0

    def _wait_for_events(self, decided_ms: int) -> None:
        while not self._stop.is_set():
            since_ms = self._waiting_since_ms()
            if since_ms is None or since_ms > decided_ms:
                return
            self._stop.wait(LOOK_AGAIN_S)

    def _save(self, receipt: Receipt) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            write_private(self._folder / f"{receipt.node}.json", json.dumps(receipt.saved))
        except OSError as error:
            # The journal says that the disk is dead; a node that is never answered would only fill its own flash.
            if not self._is_failing:
                log.error("what was counted of node %s could not be written: %s", receipt.node, error)
            self._is_failing = True
        else:
            self._is_failing = False
