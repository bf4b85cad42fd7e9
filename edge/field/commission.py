"""`shouwang-edge commission`: leads the installer through every point and output of a home, and writes the sheet.

It works through the running gateway's local socket, zone by zone, each under a walk test, so that what is triggered is
recorded and does not sound through the house. Whatever ends it (Ctrl-C, a lost line, a power cut), what has been tried
is kept, and the walk test has its own end.
"""

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge import config, station
from edge.config import Setup
from edge.field import sheet
from edge.field.commissioning import PASSED, Commissioning, Item, Outcome, Result, outputs_of, points_of
from edge.field.terminal import Gone, Terminal
from edge.field.trial import POLL_S, Status, Stopped, Trial
from edge.field.words import LANGUAGES, Words, of_terminal

WALK_TEST_MS = 60 * 60_000
PATIENCE_S = 60.0
"""How long a gateway may be away, for a restart say, before the commissioning is stopped."""
NAME_MAX = 40


def add(commands: Any, command: Any) -> None:
    """Add the command; `command` makes one with the options that all of them have."""
    text = "lead the installer through every point and output, and write the commissioning sheet"
    commission = command(commands, "commission", text, _commission)
    commission.add_argument("--installer", default="", metavar="NAME", help="who tries the points (else it is asked)")
    commission.add_argument("--zone", default="", metavar="CODE", help="this zone only")
    commission.add_argument("--again", action="store_true", help="try everything again, also what has passed")
    commission.add_argument(
        "--timeout", type=_seconds, default=180.0, metavar="S", help="how long to wait for a trigger (default: 180)"
    )
    commission.add_argument(
        "--language", choices=LANGUAGES, help="of the questions (default: the terminal's); the sheet is zh unless given"
    )
    commission.add_argument("--sheet", action="store_true", help="only write the sheet as things stand")
    commission.add_argument(
        "--to", type=Path, metavar="DIR", help="folder of the sheet (default: commissioning in the data folder)"
    )


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected seconds, 1 to 3600, got {word!r}")
    return seconds


def _commission(options: argparse.Namespace) -> int:
    setup = config.load(options.config)
    data = Path(setup.gateway.data)
    try:
        done = Commissioning.load(data)
    except ValueError as error:
        raise station.StationError(str(error)) from None
    if options.zone and options.zone not in [zone.code for zone in setup.zones]:
        raise station.StationError(f"no zone {options.zone}; zones are {', '.join(zone.code for zone in setup.zones)}")
    folder = options.to or data / "commissioning"
    if options.sheet:
        print(sheet.write(setup, done, Words(options.language or "zh"), folder)[0])
        return 0
    guide = Guide(setup, done, Terminal(), Words(options.language or of_terminal()), options.timeout)
    try:
        guide.run(options.installer, options.zone, options.again)
        is_stopped = False
    except (Stopped, Gone, KeyboardInterrupt):
        is_stopped = True
        guide.say("interrupted")
    finally:
        guide.end_walk_test()
    guide.sum_up()
    if done.points or done.outputs:
        guide.say("sheet", path=sheet.write(setup, done, Words(options.language or "zh"), folder)[0])
    return 1 if is_stopped or guide.left() else 0


class Guide:
    """Leads one person through a home."""

    def __init__(self, setup: Setup, done: Commissioning, terminal: Terminal, words: Words, timeout_s: float) -> None:
        self._setup = setup
        self._data = Path(setup.gateway.data)
        self._done = done
        self._terminal = terminal
        self._words = words
        self._timeout_s = timeout_s
        self._tested = ""
        self._points, self._outputs = points_of(setup), outputs_of(setup)

    def run(self, installer: str, zone: str, again: bool) -> None:
        """All that is left, in the order of the zones. Raises Stopped, Gone, StationError."""
        status = station.ask(self._data, {"do": "status"})
        if again:
            self._done.points.clear()
            self._done.outputs.clear()
        points = [item for item in self._points if not zone or item.zone == zone]
        counts = {"points": len(self._points), "outputs": len(self._outputs), "left": self.left()}
        self.say("welcome", home=self._setup.home.name, **counts)
        if status["simulated"]:
            self.say("simulated")
        self._done.installer = installer[:NAME_MAX] or self._done.installer or self._name()
        self._done.save()
        for code in dict.fromkeys(item.zone for item in points):
            self._zone(code, [item for item in points if item.zone == code])
        if not zone:
            self._try_outputs()

    def left(self) -> int:
        """How many points and outputs have not passed, and were not skipped with a reason."""
        outputs = self._done.left(self._outputs, is_output=True)
        return sum(1 for _ in self._done.left(self._points)) + sum(1 for _ in outputs)

    def sum_up(self) -> None:
        """Say how it stands."""
        results = [self._done.result(item) for item in self._points]
        results += [self._done.result(item, is_output=True) for item in self._outputs]
        outcomes = [result.outcome for result in results if result is not None]
        counts = {
            "passed": sum(outcome in PASSED for outcome in outcomes),
            "failed": outcomes.count(Outcome.FAILED),
            "skipped": outcomes.count(Outcome.SKIPPED),
        }
        self.say("done", **counts)
        if left := self.left():
            self.say("partial", left=left)

    def say(self, name: str, /, **fields: Any) -> None:
        """A text of the catalogue."""
        self._terminal.say(self._words(f"talk.{name}", **fields))

    def _name(self) -> str:
        while not (name := self._terminal.ask(self._words("talk.who"))[:NAME_MAX]):
            pass
        return name

    # --- points

    def _zone(self, code: str, items: list[Item]) -> None:
        left = list(self._done.left(items))
        if not left:
            return
        name = next((zone.name for zone in self._setup.zones if zone.code == code), code)
        self.say("zone", zone=f"{name} ({code})", count=len(left))
        self._begin_walk_test(code)
        for item in left:
            number = self._points.index(item) + 1
            self.say("point", number=number, count=len(self._points), place=item.place, code=item.code, kind=item.kind)
            self._keep(item, self._trial(item).run())
        self.end_walk_test()

    def _trial(self, item: Item) -> Trial:
        who = self._done.installer
        return Trial(item, who, self._terminal, self._words, self._status, self._reset, self._timeout_s)

    def _keep(self, item: Item, result: Result, is_output: bool = False) -> None:
        (self._done.outputs if is_output else self._done.points)[item.code] = result
        self._done.save()

    def _begin_walk_test(self, zone: str) -> None:
        question = {"do": "walk_test", "subject": zone, "for_ms": WALK_TEST_MS, "why": "commissioning"}
        try:
            self._operate(question)
            self._tested = zone
            self.say("walk_test")
        except station.StationError as error:
            self.say("no_walk_test", why=error)

    def end_walk_test(self) -> None:
        """End the test that was begun here; one that cannot be ended ends by itself."""
        if self._tested:
            self._tested = ""
            with contextlib.suppress(station.StationError):
                self._operate({"do": "end_walk_test", "why": "commissioning"})

    def _reset(self) -> None:
        """Reset what is latched. Under a walk test the gateway does it itself."""
        if not self._tested:
            with contextlib.suppress(station.StationError):
                self._operate({"do": "reset", "why": "commissioning"})

    def _operate(self, question: dict[str, Any]) -> None:
        station.ask(self._data, {**question, "who": self._done.installer})

    def _status(self) -> Status:
        """What the gateway sees; one that is away for a while, because it is started again, is waited for."""
        until_s, is_told = time.monotonic() + PATIENCE_S, False
        while True:
            try:
                return station.ask(self._data, {"do": "status"})
            except station.StationError as error:
                if time.monotonic() > until_s:
                    raise
                if not is_told:
                    is_told = True
                    self.say("agent_gone", why=error)
                time.sleep(POLL_S)

    # --- outputs

    def _try_outputs(self) -> None:
        left = list(self._done.left(self._outputs, is_output=True))
        if not left:
            return
        self.say("outputs", count=len(left))
        self._self_test()
        for item in left:
            self._keep(item, self._try_output(item), is_output=True)

    def _self_test(self) -> None:
        """Drive buzzer, lamps and sirens, if the person says that everybody knows."""
        if self._terminal.ask(self._words("talk.consent")).lower() not in ("y", "yes"):
            self.say("no_self_test", why="-")
            return
        try:
            self._operate({"do": "self_test", "why": "commissioning"})
            self.say("self_test")
        except station.StationError as error:
            self.say("no_self_test", why=error)

    def _try_output(self, item: Item) -> Result:
        number = self._outputs.index(item) + 1
        fields = {"number": number, "count": len(self._outputs), "name": item.code, "kind": item.kind}
        for answer in self._answers(self._words("talk.output", wiring=item.wiring, **fields)):
            if answer in ("y", "yes"):
                return self._output_result(item, Outcome.SEEN, "")
            if answer in ("n", "no", "f", "s"):
                outcome = Outcome.SKIPPED if answer == "s" else Outcome.FAILED
                return self._output_result(item, outcome, self._trial(item).reason())
            if answer == "q":
                raise Stopped
            self.say("unknown_command", word=answer)
        raise Gone

    def _answers(self, prompt: str) -> Iterator[str]:
        while True:
            yield self._terminal.ask(prompt).lower()

    def _output_result(self, item: Item, outcome: Outcome, note: str) -> Result:
        return Result(outcome, self._done.installer, time.time_ns() // 1_000_000, item.mark, note=note)
