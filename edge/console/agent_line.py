"""The console's one connection to the agent: asks for the status at its own pace, and passes operations on.

An answer counts from the moment it came. Whether the agent still answers is a matter of time alone (`quiet_ms`), so a
connection that hangs, a socket that is there but dead and an agent that was killed all look the same: silent.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.console.paging import Pages

log = logging.getLogger("shouwang.console")

PERIOD_S = 0.5
"""How often the agent is asked: a carer sees a change within a second, and the agent spends next to nothing on it."""
PATIENCE_S = 2.5
"""How long one answer may take."""
LONGEST_REST_S = 2.0
"""Between attempts to reach an agent that is not there; it may start at any moment."""
LONGEST_ANSWER = 4 << 20
PAGES_MAX = 200
"""Ten thousand points: whoever tells more has lost count."""


class Silent(Exception):
    """The agent did not answer."""


class AgentLine:
    """`run` asks for ever; `told` is given each status, `do` passes an operation on."""

    def __init__(self, path: Path, told: Callable[[dict[str, Any]], None], period_s: float = PERIOD_S) -> None:
        self._path = path
        self._told = told
        self._period_s = period_s
        self._one_at_a_time = asyncio.Lock()
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._began_s = time.monotonic()
        self._heard_s: float | None = None
        self._was_well = True
        self._pages = Pages()

    @property
    def quiet_ms(self) -> int:
        """How long ago the agent answered last; since the start where it never did."""
        return int((time.monotonic() - (self._began_s if self._heard_s is None else self._heard_s)) * 1000)

    @property
    def was_heard(self) -> bool:
        """Whether it ever answered this console."""
        return self._heard_s is not None

    async def run(self) -> None:
        """Ask for the status for ever."""
        rest_s = self._period_s
        while True:
            try:
                await self._poll()
            except Silent as silent:
                self._pages.forget()
                self._say(str(silent))
                rest_s = min(LONGEST_REST_S, rest_s * 2)
            else:
                self._say("")
                rest_s = self._period_s
            await asyncio.sleep(rest_s)

    async def _poll(self) -> None:
        """The status with the next page of points; with all of them, one by one, where not all are known yet."""
        for _ in range(PAGES_MAX):
            status = await self.ask({"do": "page", "from": self._pages.next})
            if status.get("ok") is not True:
                raise Silent(f"it refused: {status.get('error')}")
            now_s = time.monotonic()
            try:
                self._pages.take(status, int(now_s * 1000))
                if self._pages.is_whole:
                    self._told({**status, "points": self._pages.points(int(now_s * 1000))})
                    self._heard_s = now_s
                    return
            except Exception as error:  # an agent that says something new costs this answer, not all that follow
                self._heard_s = None
                raise Silent(f"its status cannot be shown: {error!r}") from error
        raise Silent("its points have no end")

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The agent's answer to one question. Raises Silent; never waits for more than two answers' time."""
        try:
            async with asyncio.timeout(2 * PATIENCE_S), self._one_at_a_time:
                return await self._answer(question)
        except (OSError, ValueError, TimeoutError, EOFError, asyncio.LimitOverrunError) as error:
            raise Silent(f"{type(error).__name__} {error}".strip()) from None

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Whatever goes wrong ends the connection: a late answer must not be taken for the next question's."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._exchange(question)
        except BaseException:
            self.close()
            raise

    async def _exchange(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._line is None:
            self._line = await asyncio.open_unix_connection(self._path, limit=LONGEST_ANSWER)
        reader, writer = self._line
        writer.write(json.dumps(question, ensure_ascii=False).encode() + b"\n")
        await writer.drain()
        answer = json.loads(await reader.readuntil(b"\n"))
        if not isinstance(answer, dict):
            raise ValueError("expected an object")
        return answer

    def _say(self, why: str) -> None:
        """Into the log once per silence, not twice a second."""
        if bool(why) == self._was_well:
            log.warning("the agent does not answer: %s", why) if why else log.info("the agent answers")
        self._was_well = not why

    def close(self) -> None:
        """End the connection."""
        if self._line is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._line[1].transport.abort()
            self._line = None
