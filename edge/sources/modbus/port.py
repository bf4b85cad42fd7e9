"""One task per Modbus port: keeps the line, asks the units in their turn, writes relays before anything else.

Whatever a device does, the task goes on, and each poll says fresh or stale about every point of its unit.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from pymodbus.pdu import ModbusPDU

from edge.core.values import Reading, Unknown
from edge.locks import Lock
from edge.sources.backoff import Backoff
from edge.sources.modbus.config import REQUEST_CHARS, ModbusConfig, UnitConfig
from edge.sources.modbus.link import Link, NoReply
from edge.sources.modbus.pace import Pace, silence_s
from edge.sources.modbus.plan import Block
from edge.sources.modbus.relays import Relays
from edge.sources.modbus.serial_line import SerialLine, open_port
from edge.sources.modbus.timetable import Timetable, Turn
from edge.sources.modbus.unit import Unit, data_bytes
from edge.sources.seam import Changes, Deliver
from edge.sources.worker import Stuck, Worker

# A port on the home's own network answers in milliseconds; a gateway that reboots takes some seconds.
CONNECT_TIMEOUT_S = 3.0
RECONNECT_FIRST_S = 0.25
RECONNECT_CAP_S = 5.0
# A half-open connection is never told; without any answer for so long the line is made anew.
SILENT_LINE_S = 5.0
# A siren may not wait as long as a meter's probe; with a time-out of 0.3 s this is a tenth of the bus.
WRITE_RETRY_S = 3.0
# RTU's frames carry no number: for so long after its time-out the answer of a slow slave may still come, and would be
# taken for that to the next request. No meter's manual allows itself more.
LATE_S = 1.0
# The data of a reply to a single write: address and value.
_WRITE_DATA_BYTES = 3


class Device(Protocol):
    """A unit as the port asks it: one request after the other, each reply or failure becoming readings."""

    config: UnitConfig

    def requests(self) -> list[tuple[Block, ModbusPDU]]: ...
    def take(self, index: int, block: Block, reply: ModbusPDU) -> list[Reading] | None: ...
    def fail(self, index: int, reason: Unknown) -> list[Reading]: ...
    def unknown(self, reason: Unknown, first: int = 0) -> list[Reading]: ...
    def split(self, index: int, code: int) -> bool: ...


class Port:
    """The source of kind "modbus"."""

    def __init__(self, config: ModbusConfig, units: Sequence[Unit], relays: Sequence[Relays], lock: Lock, log: Changes):
        self.name = config.name
        self._config = config
        devices: tuple[Device, ...] = (*units, *relays)
        self._devices = {device.config.address: device for device in devices}
        self._relays = {relay.config.address: relay for relay in relays}
        self._lock = lock
        self._changes = log
        self._counters: Counter[str] = Counter()
        self._timetable = Timetable(())
        self._backoff = Backoff(RECONNECT_FIRST_S, RECONNECT_CAP_S)
        self._pace = Pace(silence_s(config))
        self._opener = Worker(f"{config.name}-open")
        self._wake = asyncio.Event()
        self._link: Link | None = None
        self._ahead: tuple[Relays, ModbusPDU] | None = None
        self._has_answered = True
        self._sent_s = 0.0
        self._deliver_to: Deliver = lambda readings: None

    def claim_coil(self, unit: int, coil: int, code: str) -> None:
        """The output `code` drives this coil from now on; before `run`. ValueError where that is not allowed."""
        relays = self._relays.get(unit)
        if relays is None:
            raise ValueError(f"{self.name} unit {unit} is not configured with outputs = true")
        relays.claim(coil, code)

    def write_coil(self, unit: int, coil: int, is_on: bool) -> None:
        """Make a claimed coil so, ahead of all polls, and try until it holds. Returns at once; the latest call wins."""
        self._relays[unit].wish(coil, is_on)
        self._write_ahead()
        self._wake.set()

    async def run(self, deliver: Deliver) -> None:
        """Ask until cancelled."""
        self._deliver_to = deliver
        # Only now are all coils claimed; a unit with nothing to ask has no turn.
        devices = [device for device in self._devices.values() if device.requests()]
        self._timetable = Timetable(tuple(self._turn(device) for device in devices))
        self._timetable.start(self._now())
        while True:
            link = self._link = await self._connected()
            self._timetable.resume(self._now())
            try:
                await self._serve(link)
            finally:
                self._link = self._ahead = None
                link.drop()

    def close(self) -> None:
        """Let the port go. Relays stay as they are: a restart silences nothing."""
        self._pace.close()
        self._opener.close()
        self._lock.release()

    def counters(self) -> Mapping[str, int]:
        """requests, timeouts, refusals, bad_frames, bad_replies, foreign_units, late_replies, stray_bytes, connects,
        connect_failures;
        late_polls: polls a whole period late; cycle_ms: the longest interval of a unit that answers."""
        cycle_ms = round(self._timetable.longest_interval_s * 1000)
        corrected = sum(relay.corrected for relay in self._relays.values())
        own = {"late_polls": self._timetable.late, "cycle_ms": cycle_ms, "coils_corrected": corrected}
        return {**self._counters, **own}

    # -- the line

    async def _connected(self) -> Link:
        while True:
            if not self._has_answered:
                await asyncio.sleep(self._backoff.next_s())
            self._has_answered = False
            try:
                link = await self._connect()
            except (OSError, TimeoutError, Stuck) as error:
                self._counters["connect_failures"] += 1
                self._changes.say("line", f"{self._config.where}: no connection: {str(error) or 'timed out'}")
                self._deliver_unknown()
            else:
                self._counters["connects"] += 1
                return link

    def _deliver_unknown(self) -> None:
        for device in self._devices.values():
            self._deliver(device.unknown(Unknown.NO_LINK))

    async def _connect(self) -> Link:
        link = Link(self._config.device is not None, self._counters, self._wake.set)
        if self._config.host is not None:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: link, self._config.host, self._config.port)
        else:
            port = await self._opener.call(lambda: open_port(self._config), CONNECT_TIMEOUT_S)
            SerialLine(port, link)
        return link

    async def _serve(self, link: Link) -> None:
        """Ask until the line is lost, torn or silent."""
        while not (link.is_lost or link.is_torn or self._is_silent(link)):
            turn, next_s = self._timetable.next(self._now())
            relays = self._relays_to_write()
            if relays is not None:
                await self._write(link, relays)
            elif turn is not None:
                await self._poll(link, turn)
            else:
                retries_s = (self._retry_s(relay) for relay in self._relays.values() if relay.has_pending)
                await self._idle(min([next_s, *retries_s]))

    def _is_silent(self, link: Link) -> bool:
        turns = self._timetable.turns
        if not turns or self._now() - link.answered_s < SILENT_LINE_S or any(not turn.failures for turn in turns):
            return False
        self._changes.say("line", f"{self._config.where}: no unit answers; connecting again")
        return True

    async def _idle(self, until_s: float) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                await self._wake.wait()

    # -- the units

    async def _poll(self, link: Link, turn: Turn) -> None:
        """Ask all of a unit's blocks, and write relays between them where that has become urgent."""
        device = self._devices[turn.unit]
        started_s = self._now()
        failure: NoReply | None = None
        for index, (block, request) in enumerate(device.requests()):
            try:
                reply = await self._ask(link, device.config, request, data_bytes(block))
                self._deliver(self._taken(device.take(index, block, reply)))
            except NoReply as error:
                if error.reason is Unknown.REFUSED and device.split(index, error.code):
                    self._changes.say(f"unit {turn.unit}", "refuses registers in between; reading in smaller blocks")
                    return await self._poll(link, turn)
                failure = error
                if error.reason is not Unknown.REFUSED:
                    self._deliver(device.unknown(error.reason, index))
                    break
                self._deliver(device.fail(index, error.reason))
            await self._write_urgent(link)
        self._note(turn, started_s, failure)

    async def _write_urgent(self, link: Link) -> None:
        relays = self._relays_to_write()
        if relays is not None and not link.is_lost:
            await self._write(link, relays)

    def _write_ahead(self) -> None:
        """Send a relay's write at once where the line is free: a decision drives outputs before it is remembered, and
        that would take longer than the write. RTU has to keep its silence first.
        """
        relays = self._relays_to_write() if self._ahead is None else None
        if relays is not None and self._link is not None and self._link.is_free and not self._pace.silent_s:
            request = relays.next_write()
            self._counters["requests"] += 1
            self._link.send(request, self._config.timeout_s(relays.config, _WRITE_DATA_BYTES))
            self._ahead = relays, request

    def _relays_to_write(self) -> Relays | None:
        if self._ahead is not None:
            return self._ahead[0]
        now_s = self._now()
        return next((each for each in self._relays.values() if each.has_pending and self._retry_s(each) <= now_s), None)

    def _retry_s(self, relays: Relays) -> float:
        """When the board may be written: a new wish at once, one that failed within what dead units may cost."""
        if not relays.retry_s:
            return 0.0
        return max(relays.retry_s, self._timetable.retry_s(self._timetable.of(relays.config.address)))

    async def _write(self, link: Link, relays: Relays) -> None:
        turn = self._timetable.of(relays.config.address)
        started_s = self._now()
        failure: NoReply | None = None
        try:
            request, reply = await self._written(link, relays)
            self._deliver(self._taken(relays.written(request, reply)))
        except NoReply as error:
            failure = error
            self._counters["write_failures"] += 1
            self._deliver(relays.unknown(error.reason))
        self._note(turn, started_s, failure)
        if failure is not None:
            relays.retry_s = min(turn.due_s, self._now() + WRITE_RETRY_S)

    async def _written(self, link: Link, relays: Relays) -> tuple[ModbusPDU, ModbusPDU]:
        """The request that was sent ahead, or else the next one, and its reply."""
        if self._ahead is not None:
            (_, request), self._ahead = self._ahead, None
            return request, await link.reply()
        request = relays.next_write()
        return request, await self._ask(link, relays.config, request, _WRITE_DATA_BYTES)

    async def _ask(self, link: Link, unit: UnitConfig, request: ModbusPDU, data: int) -> ModbusPDU:
        if self._pace.silent_s:
            await self._pace.wait(lambda: max(link.heard_s, self._sent_s))
            self._sent_s = self._now() + REQUEST_CHARS * self._config.character_s
        self._counters["requests"] += 1
        return await link.ask(request, self._config.timeout_s(unit, data))

    def _taken(self, readings: list[Reading] | None) -> list[Reading]:
        if readings is None:
            self._counters["bad_replies"] += 1
            raise NoReply(Unknown.BAD_REPLY)
        return readings

    def _note(self, turn: Turn, started_s: float, failure: NoReply | None) -> None:
        """Tell the timetable and, on a change, the log. A unit that refuses is alive and costs no time."""
        is_answered = failure is None or failure.reason is Unknown.REFUSED
        self._timetable.asked(turn, started_s, self._now(), is_answered)
        self._changes.say(f"unit {turn.unit}", "" if failure is None else str(failure))
        if is_answered and not self._has_answered:
            self._has_answered = True
            self._backoff.reset()
            self._changes.say("line", "")
        overload = "more work than the periods allow; units are polled in turn" if self._timetable.is_overloaded else ""
        self._changes.say("timetable", overload)

    def _turn(self, device: Device) -> Turn:
        costs = [self._config.timeout_s(device.config, data_bytes(block)) for block, _ in device.requests()]
        rest_s = 0.0 if self._config.device is None else LATE_S
        return Turn(device.config.address, device.config.period / 1000, max(costs, default=0.5), rest_s)

    def _deliver(self, readings: Sequence[Reading]) -> None:
        if readings:
            self._deliver_to(readings)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
