"""The service manager's watchdog, spoken by hand: one datagram to NOTIFY_SOCKET (sd_notify(3)).

It is fed while the loop turns and the outputs are being driven, and by nothing else: a source or a disk that is dead is
a fault on the panel, and a home that still hears fire is not restarted for it. Nothing here waits or fails: without a
service manager every call does nothing.
"""

import os
import socket
from collections.abc import Mapping

READY, STOPPING, FEED = b"READY=1", b"STOPPING=1", b"WATCHDOG=1"


class Watchdog:
    """The line to the service manager, where `environment` names one."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # An address that begins with "@" is one of Linux's abstract names.
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._socket: socket.socket | None = None
        if self._address.startswith(("/", "\0")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """The home is watched over."""
        self._say(READY)

    def feed(self) -> None:
        """The loop turns and the outputs are as they should be."""
        self._say(FEED)

    def stopping(self) -> None:
        """The end was asked for."""
        self._say(STOPPING)

    def close(self) -> None:
        """Say nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, what: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(what, self._address)
        except OSError:  # a manager that restarts or does not read: what it misses it takes for our death, and says so
            return
