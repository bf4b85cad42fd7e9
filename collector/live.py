"""The board as it lives: folds what has been committed, tells the browsers, and watches for homes that fall silent.

Everything here runs on the event loop, so nothing needs a lock. The decisions are pure functions of board.py and
view.py; this file only asks them at the right time and carries out what they say.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from collector import board as fold
from collector import view
from collector.access import Homes
from collector.board import Board, GatewayKey
from collector.clock import Clock
from collector.detail import home_detail
from collector.hub import Hub
from collector.ownlog import OwnEvent, OwnKind
from collector.records import HomeNamed, OwnSeen, Record
from collector.store.intake import Intake
from collector.store.people import prune_readings
from collector.store.reader import Reader
from collector.store.writer import Writer
from collector.view import Json, Moment

WATCH_S = 1.0
TICK_S = 3.0
ACK_S = 20.0
REGISTER_S = 3.0
PRUNE_S = 3_600.0
LINE_LOST_AFTER_MS = 5_000
"""A reconnect within this is not worth an entry in the log."""

ALARM_KEY = ("home", "gateway", "journal", "seq", "class", "point")

log = logging.getLogger(__name__)


class Live:
    """`take` is called with committed records, `line` when the broker's line comes or goes; both on the loop."""

    def __init__(
        self, reader: Reader, writer: Writer, clock: Clock, silent_after_ms: int, keep_readings_ms: int
    ) -> None:
        self.board: Board = fold.fold_all(Board(), reader.records())
        self._reader = reader
        self.hub = Hub(self.snapshot, self._narrow)
        self._writer = writer
        self._clock = clock
        self._silent_after_ms = silent_after_ms
        self._keep_readings_ms = keep_readings_ms
        self._listening_ms: int | None = None
        self._down_since_ms = clock.mono_ms()
        self._noting: set[GatewayKey] = set()
        self._homes: dict[str, Json] = {}
        self._shown: dict[str, Any] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._refresh(view.home_codes(self.board))

    def start(self) -> None:
        """Begin to watch; needs a running loop."""
        for period_s, job in (
            (WATCH_S, self._watch),
            (TICK_S, self._tick),
            (ACK_S, self._acknowledge),
            (REGISTER_S, self._read_register),
            (PRUNE_S, self._prune),
        ):
            self._tasks.append(asyncio.create_task(_every(period_s, job)))

    async def stop(self) -> None:
        """End the watch and every stream."""
        self.hub.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- asked by the routes ---

    def now(self) -> Moment:
        """This moment, and how well the collector hears."""
        clock, trouble = self._clock, self._writer.trouble
        return Moment(clock.wall_ms(), clock.mono_ms(), self._listening_ms, self._silent_after_ms, trouble)

    def snapshot(self, visible: Homes = None) -> Json:
        """The whole board, or these homes of it."""
        return view.board_view(self.board, self.now(), visible)

    def home(self, code: str) -> Json | None:
        """One home in full."""
        return home_detail(self.board, code, self.now())

    def find_alarm(self, wanted: Json) -> Json | None:
        """The active condition with the same ALARM_KEY."""
        if (wanted["home"], wanted["gateway"]) not in self.board.gateways:
            return None
        found = view.home_view(self.board, wanted["home"], self.now())["conditions"]
        return next((item for item in found if all(item[name] == wanted[name] for name in ALARM_KEY)), None)

    async def see(self, alarm: Json, who: str) -> OwnEvent:
        """Note that a person at the bureau has seen an alarm, which ends its sound. Raises StoreError."""
        detail = {name: alarm[name] for name in ALARM_KEY[2:]}

        def note(intake: Intake) -> OwnEvent:
            return intake.note(OwnKind.SEEN, alarm["home"], alarm["gateway"], who, **detail)

        return await asyncio.wrap_future(self._writer.run(note))

    # --- told by the writer and the line ---

    def take(self, records: Iterable[Record]) -> None:
        """Fold what has been committed and tell the browsers what it changed."""
        touched: dict[GatewayKey, None] = {}
        codes: dict[str, None] = {}
        for record in records:
            self.board = fold.fold(self.board, record)
            home = record.own.home if isinstance(record, OwnSeen) else record.home
            gateway = record.own.gateway if isinstance(record, OwnSeen) else getattr(record, "gateway", "")
            if gateway:
                touched[home, gateway] = None
            if home:
                codes[home] = None
        self._note_silence(touched)
        self._refresh(codes)

    def line(self, is_up: bool) -> None:
        """The line to the broker came or went."""
        now_ms = self._clock.mono_ms()
        self._listening_ms = now_ms if is_up else None
        self._down_since_ms = now_ms
        self._watch()

    # --- periodic ---

    def _watch(self) -> None:
        self._note_line()
        self._note_silence(self.board.gateways)
        self._refresh(view.home_codes(self.board))

    def _tick(self) -> None:
        now = self.now()
        heard = {
            code: view.heard_age_ms(view.gateways_of(self.board, code), now) for code in view.home_codes(self.board)
        }
        self.hub.tick({"server_ms": now.wall_ms, "heard": heard})

    def _acknowledge(self) -> None:
        if not self._writer.trouble:  # who cannot store must not sound alive
            self._writer.run(Intake.ask_acks)

    def _read_register(self) -> None:
        """Homes are named by another process, the command line."""
        named = [HomeNamed(*home) for home in self._reader.homes() if self.board.names.get(home[0]) != home[1]]
        if named:
            self.take(named)

    def _prune(self) -> None:
        before_ms = self._clock.wall_ms() - self._keep_readings_ms

        def again(done: "Future[int]") -> None:
            if not done.exception() and done.result():
                self._writer.run(lambda intake: prune_readings(intake, before_ms)).add_done_callback(again)

        self._writer.run(lambda intake: prune_readings(intake, before_ms)).add_done_callback(again)

    def _note_line(self) -> None:
        is_noted_down = self.board.line is not None and self.board.line.kind == OwnKind.LINE_DOWN
        is_down = self._listening_ms is None
        long_enough = self._clock.mono_ms() - self._down_since_ms >= LINE_LOST_AFTER_MS
        if is_down and long_enough and not is_noted_down:
            self._note(("", ""), OwnKind.LINE_DOWN)
        elif not is_down and is_noted_down:
            self._note(("", ""), OwnKind.LINE_UP)

    def _note_silence(self, keys: Iterable[GatewayKey]) -> None:
        now = self.now()
        for key in keys:
            gateway = self.board.gateways.get(key)
            kind = view.silence_change(gateway, now) if gateway else None
            if kind is not None:
                self._note(key, kind)

    def _note(self, key: GatewayKey, kind: OwnKind) -> None:
        """One entry, however often it is asked for before it is committed."""
        if key in self._noting:
            return
        self._noting.add(key)
        loop = asyncio.get_running_loop()

        def done(future: "Future[OwnEvent]") -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._noting.discard, key)

        self._writer.run(lambda intake: intake.note(kind, *key)).add_done_callback(done)

    # --- telling the browsers ---

    def _refresh(self, codes: Iterable[str]) -> None:
        """Look at these homes again, and send what is not as it was last shown."""
        now, changed = self.now(), []
        for code in codes:
            home = view.home_view(self.board, code, now)
            self._homes[code] = home
            if self._differs(f"home {code}", home):
                changed.append(home)
        alarms = view.alarms_of(self._homes[code] for code in sorted(self._homes))
        summary = {
            "line": view.line_view(self.board, now),
            "counts": view.counts_of(list(self._homes.values()), alarms),
            "alarms": alarms,
        }
        self._send_new_alarms(alarms)
        for home in changed:
            self.hub.send("home", home)
        if self._differs("board", summary):
            fresh = view.board_view(self.board, now)
            self.hub.send("board", {key: fresh[key] for key in ("server_ms", "line", "counts", "alarms")})

    def _send_new_alarms(self, alarms: list[Json]) -> None:
        known = self._shown.get("alarms", {})
        sounding = {tuple(alarm[name] for name in ALARM_KEY): alarm for alarm in alarms if alarm["sound"]}
        for key, alarm in sounding.items():
            if key not in known:
                self.hub.send("alarm", alarm)
        self._shown["alarms"] = sounding

    def _narrow(self, event: str, data: Json, visible: frozenset[str]) -> Json | None:
        """What those hear of a message who see these homes only; None for nothing."""
        if event == "home":
            return data if data["code"] in visible else None
        if event == "alarm":
            return data if data["home"] in visible else None
        if event == "tick":
            return {**data, "heard": {code: age for code, age in data["heard"].items() if code in visible}}
        alarms = [alarm for alarm in data["alarms"] if alarm["home"] in visible]
        homes = [home for code, home in self._homes.items() if code in visible]
        return {**data, "alarms": alarms, "counts": view.counts_of(homes, alarms)}

    def _differs(self, name: str, value: Json) -> bool:
        content = view.without_ages(value)
        if self._shown.get(name) == content:
            return False
        self._shown[name] = content
        return True


async def _every(period_s: float, job: Callable[[], None]) -> None:
    """Runs `job` again and again; one that fails is logged and comes again, because the watch must not end."""
    while True:
        await asyncio.sleep(period_s)
        try:
            job()
        except Exception:
            log.exception("a periodic task failed")
