"""Reads the board as a browser does, over the collector's event stream, and stamps when each message arrived."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Home = dict[str, Any]
Listener = Callable[[int, Home], None]

_READ_TIMEOUT_S = 20.0
"""A tick comes every 3 s."""
_AGAIN_S = 0.5


class Watch:
    """Follows `url` in a thread of its own. Each home is told to the listeners with the monotonic ns of its arrival."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.breaks = 0
        self._homes: dict[str, tuple[int, Home]] = {}
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="board watch", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Begin to end; the thread is a daemon, and a stream that is silent is not waited for."""
        self._stopping.set()

    def homes(self) -> dict[str, Home]:
        """Every home as it was shown last."""
        with self._lock:
            return {code: home for code, (_, home) in self._homes.items()}

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(arrived_ns, home)` for every home as it stands and whenever it changes, in the watch's thread
        (at first in the caller's). The result ends that."""
        with self._lock:
            self._listeners.append(listener)
            for arrived_ns, home in self._homes.values():
                listener(arrived_ns, home)
        return lambda: self._forget(listener)

    def _forget(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.remove(listener)

    def _run(self) -> None:
        last_id = ""
        while not self._stopping.is_set():
            try:
                for number, event, data in messages(_lines(self.url, last_id)):
                    last_id = number or last_id
                    self._take(event, data)
                    if self._stopping.is_set():
                        return
            except (OSError, ValueError):
                self.breaks += 1
            self._stopping.wait(_AGAIN_S)

    def _take(self, event: str, data: str) -> None:
        arrived_ns = time.monotonic_ns()
        if event == "snapshot":
            homes = json.loads(data)["homes"]
        elif event == "home":
            homes = [json.loads(data)]
        else:
            return
        with self._lock:
            for home in homes:
                self._homes[home["code"]] = (arrived_ns, home)
                for listener in self._listeners:
                    listener(arrived_ns, home)


def _lines(url: str, last_id: str) -> Iterator[bytes]:
    request = urllib.request.Request(url, headers={"Last-Event-ID": last_id} if last_id else {})
    with urllib.request.urlopen(request, timeout=_READ_TIMEOUT_S) as answer:
        yield from answer


def messages(lines: Iterable[bytes]) -> Iterator[tuple[str, str, str]]:
    """(id, event, data) of each message of a stream of server-sent events."""
    number = event = data = ""
    for line in lines:
        name, _, value = line.decode("utf-8").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            number = value
        elif name == "event":
            event = value
        elif name == "data":
            data = f"{data}\n{value}" if data else value
        elif not name and not value:
            if data:
                yield number, event, data
            number = event = data = ""
