"""The open pages. Each has one frame per event waiting at most, and a newer one takes its place: a browser that hangs
holds no memory and keeps no other waiting."""

import asyncio
import json
from typing import Any

PAGES_MAX = 16
"""Beyond them the oldest is closed, so that one that hangs keeps no new one out. It opens again by itself."""


class Page:
    """One open stream; `station` is whose screen it is."""

    def __init__(self, station: str) -> None:
        self.station = station
        self.is_closed = False
        self._frames: dict[str, bytes] = {}
        self._news = asyncio.Event()

    def put(self, name: str, frame: bytes) -> None:
        """Have a frame sent, in place of an older one of its name. The order of names is that of their coming."""
        self._frames.pop(name, None)
        self._frames[name] = frame
        self._news.set()

    def close(self) -> None:
        """End the stream."""
        self.is_closed = True
        self._news.set()

    async def take(self) -> bytes:
        """What is to be sent now; waits until there is something. Empty at the end."""
        await self._news.wait()
        self._news.clear()
        if self.is_closed:
            return b""
        frames, self._frames = self._frames, {}
        return b"".join(frames.values())


class Hub:
    """All open pages, and what each of them has to know at once when it opens."""

    def __init__(self) -> None:
        self._pages: list[Page] = []
        self._kept: dict[str, Any] = {}

    def open(self, station: str, hello: Any) -> Page:
        """A new page's stream."""
        if len(self._pages) >= PAGES_MAX:
            self._pages.pop(0).close()
        page = Page(station)
        page.put("hello", frame("hello", hello))
        for name, data in self._kept.items():
            page.put(name, frame(name, data))
        self._pages.append(page)
        return page

    def leave(self, page: Page) -> None:
        """A page has gone."""
        page.close()
        if page in self._pages:
            self._pages.remove(page)

    def send(self, name: str, data: Any) -> None:
        """To every open page."""
        made = frame(name, data)
        for page in self._pages:
            page.put(name, made)

    def keep(self, name: str, data: Any) -> None:
        """For pages that open later."""
        self._kept[name] = data

    def forget(self, name: str) -> None:
        """Not to be told to pages that open later."""
        self._kept.pop(name, None)

    def stations(self) -> set[str]:
        """Whose pages are open."""
        return {page.station for page in self._pages}

    def close(self, station: str | None = None) -> None:
        """End the streams of a station, or all."""
        for page in list(self._pages):
            if station is None or page.station == station:
                self.leave(page)


def frame(name: str, data: Any) -> bytes:
    """A server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
