"""A simulated modem on a pty, and the phones at the other end of the air."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any

from simulators.faults import FaultBoard
from simulators.modbus_rtu import link
from simulators.modem import Modem, Sent
from simulators.modem_pty import ModemFace
from tests.support import wait_until


class Phone:
    """The modem's port is `device`, a link as under /dev/serial/by-id."""

    def __init__(self, folder: Path) -> None:
        self.device = folder / "modem"
        self.faults = FaultBoard({"modem": "modem", "modem/sim": "modem sim", "modem/network": "modem network"}, {})
        self._modem = Modem(self.faults)
        self._face = ModemFace(self._modem, self.faults, link(self.device))

    def __enter__(self) -> "Phone":
        self._face.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._face.stop()

    @property
    def sent(self) -> list[Sent]:
        with self._face.held() as modem:
            return list(modem.sent)

    @property
    def calls(self) -> list[str]:
        with self._face.held() as modem:
            return list(modem.calls)

    @property
    def pins_tried(self) -> list[str]:
        with self._face.held() as modem:
            return list(modem.pins_tried)

    def fault(self, where: str, kind: str, **more: Any) -> None:
        """Begin a fault."""
        self.faults.inject(where, kind, 0, **more)
        wait_until(lambda: self.device.is_symlink() is (kind != "dropped_link"), what="the plug")

    def heal(self) -> None:
        """End all faults."""
        self.faults.heal_all()
        wait_until(self.device.is_symlink, what="the plug")

    def reply(self, sender: str, text: str) -> None:
        """A phone sends a message."""
        with self._face.held() as modem:
            modem.take_reply(sender, text)

    def restart(self) -> None:
        """The modem loses power for a moment."""
        with self._face.held() as modem:
            modem.restart()

    def hang_up(self) -> None:
        """The phone that rings is not taken."""
        with self._face.held() as modem:
            modem.hang_up()

    def swallow_answer(self) -> None:
        """The next message goes out, and the modem says nothing about it."""
        with self._face.held() as modem:
            modem.swallow_next()

    def say(self, octets: bytes) -> None:
        """Bytes from another program that has the port."""
        port = os.open(self.device, os.O_RDWR | os.O_NOCTTY)
        os.write(port, octets)
        os.close(port)
