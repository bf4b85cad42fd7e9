"""The serial port of a modem: a pseudo-terminal served from a thread, which vanishes when the modem is unplugged."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from simulators.faults import Fault, FaultBoard, Garbage, Silent
from simulators.modem import PLACE, Modem

_READ_BYTES = 4096


class ModemFace:
    """Serves `modem` between `start` and `stop`. `moved` is called with the terminal's path at each start and with None
    when it vanishes. Plugged in again, the modem has restarted."""

    def __init__(self, modem: Modem, faults: FaultBoard, moved: Callable[[str | None], None]) -> None:
        self.path = ""
        self._modem = modem
        self._faults = faults
        self._moved = moved
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = -1, -1
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Open the pty and serve it from a thread."""
        self._wake_read, self._wake_write = os.pipe()
        ends = self._open()
        self._faults.watch(self._fault_changed)
        self._thread = threading.Thread(target=self._run, args=ends, name="modem", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the pty and end the thread."""
        if self._thread is None:
            return
        self._is_stopping = True
        self._wake()
        self._thread.join()
        self._thread = None
        os.close(self._wake_read)
        os.close(self._wake_write)

    @contextmanager
    def held(self) -> Iterator[Modem]:
        """The modem, for another thread; what it says meanwhile goes out at the end of the block."""
        with self._lock:
            yield self._modem
        self._wake()

    def _wake(self) -> None:
        if self._thread is not None:
            os.write(self._wake_write, b"x")

    def _fault_changed(self, place: str, fault: Fault | None) -> None:
        if place == PLACE:
            self._wake()

    def _open(self) -> tuple[int, int]:
        # The slave end stays open here, so that the master end outlives a client that closes.
        master, slave = os.openpty()
        os.set_blocking(master, False)
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._moved(self.path)
        return master, slave

    def _close(self, master: int, slave: int) -> None:
        os.close(master)
        os.close(slave)
        self._moved(None)

    def _run(self, master: int, slave: int) -> None:
        is_open = True
        while not self._is_stopping:
            fault = self._faults.at(PLACE)
            is_unplugged = fault is not None and fault.hangs_up
            if is_open and is_unplugged:
                self._close(master, slave)
                is_open = False
            elif not is_open and not is_unplugged:
                with self._lock:
                    self._modem.restart(is_greeting=False)
                master, slave = self._open()
                is_open = True
            self._turn(master if is_open else None)
        if is_open:
            self._close(master, slave)

    def _turn(self, master: int | None) -> None:
        """Wait for bytes, a time or a call, and pass on what came."""
        with self._lock:
            next_s = self._modem.next_s if master is not None else None
        timeout_s = None if next_s is None else max(0.0, next_s - time.monotonic())
        ready, _, _ = select.select([self._wake_read, *([] if master is None else [master])], [], [], timeout_s)
        if self._wake_read in ready:
            os.read(self._wake_read, _READ_BYTES)
        if master is None:
            return
        with self._lock:
            fault = self._faults.at(PLACE)
            if master in ready:
                data = os.read(master, _READ_BYTES)
                if not isinstance(fault, Silent):
                    self._modem.receive(data)
            out = b"".join(self._modem.due(time.monotonic()))
        if isinstance(fault, Silent):
            return
        if isinstance(fault, Garbage):
            out = fault.frame(out)
        # Nobody reads: on a wire the bytes would be lost as well.
        with contextlib.suppress(BlockingIOError):
            os.write(master, out)
