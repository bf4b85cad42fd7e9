"""Asks a Modbus line unit by unit what it has. Only functions 1 to 4 can be asked here: they read."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from edge.core.values import Unknown
from edge.probe.evidence import Answer, Fit, blocks_of, fit
from edge.profiles import MeterProfile
from edge.schema import Ms
from edge.sources.modbus.config import ModbusConfig, UnitConfig
from edge.sources.modbus.link import Link, NoReply
from edge.sources.modbus.pace import Pace, silence_s
from edge.sources.modbus.plan import Block
from edge.sources.modbus.port import CONNECT_TIMEOUT_S, LATE_S
from edge.sources.modbus.serial_line import SerialLine, open_port
from edge.sources.modbus.unit import data_bytes, request_of, values_of

Progress = Callable[[int, int, int], None]
"""Told (unit about to be asked, last one, how many were found)."""
# Where both are silent nobody is there: a device that lacks a function refuses it, or at least knows the other one.
_KNOCKS = (Block(3, 0, 1), Block(4, 0, 1))
# So often a unit may leave a function unanswered before it is no longer asked by it.
SILENCES = 3
# An exception by which a gateway speaks for a unit that it cannot reach.
_GATEWAY_EXCEPTIONS = (0x0A, 0x0B)


class NoLine(Exception):
    """The port cannot be opened or reached; the text says which and why."""


class Found(NamedTuple):
    """A unit that answers: `answer` says how it did at first, `fits` the profiles, the likeliest first."""

    unit: int
    answer: str
    fits: tuple[Fit, ...]


class Line:
    """A Modbus line that asks one thing at a time. Close it."""

    def __init__(self, config: ModbusConfig, timeout_ms: int | None) -> None:
        self._config = config
        # Only its time-out is used: which unit is asked is said with each question.
        self._unit = UnitConfig(1, "", timeout=None if timeout_ms is None else Ms(timeout_ms))
        self._pace = Pace(silence_s(config))
        self._counters: Counter[str] = Counter()
        self._link: Link | None = None

    async def ask(self, unit: int, block: Block) -> Sequence[int]:
        """The words or bits of a block. Raises NoReply, NoLine."""
        link = await self._connected()
        if self._pace.silent_s:
            await self._pace.wait(lambda: link.heard_s)
        reply = await link.ask(request_of(block, unit), self._config.timeout_s(self._unit, data_bytes(block)))
        values = values_of(block, reply)
        if values is None:
            raise NoReply(Unknown.BAD_REPLY)
        return values

    async def let_late_answers_pass(self) -> None:
        """After a time-out on a serial line: what comes now would be taken for the answer to the next question."""
        if self._config.device is not None:
            await asyncio.sleep(LATE_S)

    def close(self) -> None:
        """Let the line go."""
        self._pace.close()
        if self._link is not None:
            self._link.drop()

    async def _connected(self) -> Link:
        if self._link is None or self._link.is_lost or self._link.is_torn:
            if self._link is not None:
                self._link.drop()
            self._link = await self._connect()
        return self._link

    async def _connect(self) -> Link:
        config, loop = self._config, asyncio.get_running_loop()
        link = Link(config.device is not None, self._counters, lambda: None)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if config.host is not None:
                    await loop.create_connection(lambda: link, config.host, config.port)
                else:
                    SerialLine(await asyncio.to_thread(open_port, config), link)
        except (OSError, TimeoutError) as error:
            raise NoLine(f"{config.where}: no connection: {_said(error)}") from None
        return link


def _said(error: OSError | TimeoutError) -> str:
    """The system's own words; pyserial and asyncio wrap them into sentences that name the port once more."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or "timed out"


async def scan(line: Line, units: Iterable[int], profiles: dict[str, MeterProfile], tell: Progress) -> list[Found]:
    """Every unit of `units` that answers. Raises NoLine."""
    numbers = list(units)
    found: list[Found] = []
    for unit in numbers:
        tell(unit, numbers[-1], len(found))
        answer = await _knock(line, unit)
        if answer:
            found.append(Found(unit, answer, await _fits(line, unit, profiles)))
    return found


async def _knock(line: Line, unit: int) -> str:
    """How the unit answers, or "" where nobody does."""
    for block in _KNOCKS:
        try:
            await line.ask(unit, block)
        except NoReply as failure:
            if failure.code and failure.code not in _GATEWAY_EXCEPTIONS:
                return f"function {block.function:02d} refused with exception {failure.code}"
            if failure.reason is Unknown.BAD_REPLY:
                return "garbled: two units with one address, or another speed or parity"
        else:
            return f"function {block.function:02d} answered"
    return ""


async def _fits(line: Line, unit: int, profiles: dict[str, MeterProfile]) -> tuple[Fit, ...]:
    answers: dict[Block, Answer] = {}
    silences: Counter[int] = Counter()
    for block in sorted({block for profile in profiles.values() for block in blocks_of(profile)}):
        # Some devices do not refuse what they do not know.
        is_mute = silences[block.function] >= SILENCES
        answer = answers[block] = Unknown.TIMEOUT if is_mute else await _answer(line, unit, block)
        silences[block.function] += answer is Unknown.TIMEOUT
    fits = [fit(name, profile, unit, answers.__getitem__) for name, profile in profiles.items()]
    return tuple(sorted((each for each in fits if each is not None), key=lambda each: each.rank))


async def _answer(line: Line, unit: int, block: Block) -> Answer:
    try:
        return await line.ask(unit, block)
    except NoReply as failure:
        if failure.reason is Unknown.TIMEOUT and not failure.code:
            await line.let_late_answers_pass()
        return failure.reason
