"""`python -m demo`: a living district, an evening full of trouble, and how long each alarm took to be heard and seen.

Exit status: 0 everything arrived; 1 something did not, or a part died; 2 wrong arguments, or it cannot start here.
"""

import argparse
import os
import sys
import time
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import psutil

from demo import broker, play
from demo.director import Director
from demo.example import ExampleError
from demo.folder import DEFAULT, Folder, FolderError
from demo.homes import homes
from demo.meter import Cost, Meter
from demo.narrator import Narrator
from demo.orders import Orders
from demo.outcome import Outcome
from demo.processes import ChildDied
from demo.stage import Stage, opened
from demo.stopping import Stopped, Stopping, TookTooLong
from demo.watch import Watch
from edge.schema import ConfigError
from simulators import scenario
from simulators.building import WorldError
from simulators.control import Control

WELL, FAILED, WRONG = 0, 1, 2
SCENARIO = "district"
HEARD_WITHIN_S = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command's entry point."""
    options = _parser().parse_args(arguments)
    if options.port and not broker.is_free(options.port):
        print(f"shouwang demo: {_who_has(options.port)}; choose another port, for example --port 8001", file=sys.stderr)
        return WRONG
    # A terminal without Chinese gets question marks, not a traceback.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    meter, stopping, narrator = Meter(), Stopping(options.seconds), Narrator()
    try:
        with closing(Folder(options.data)) as folder:
            return Demo(options, folder, stopping, narrator, meter).run()
    except FolderError as error:
        print(f"shouwang demo: {error}", file=sys.stderr)
        return WRONG


class Demo:
    """One run of the demonstration."""

    def __init__(
        self, options: argparse.Namespace, folder: Folder, stopping: Stopping, narrator: Narrator, meter: Meter
    ) -> None:
        self._options = options
        self._folder = folder
        self._stopping = stopping
        self._narrator = narrator
        self._meter = meter
        self._status = WELL
        self._began_s = time.monotonic()

    def run(self) -> int:
        """Start, play, end. The exit status."""
        say = self._narrator.say
        say("simulated")
        mosquitto = None if self._options.embedded_broker else broker.mosquitto()
        stage = Stage(self._folder, self._stopping, self._options.port, mosquitto)
        if mosquitto is None:
            say("embedded_broker")
        say("starting")
        try:
            words = play.load()
            with opened(stage, play.dark_home(words), self._narrator.word("carer")[0]):
                self._live(stage, words)
        except Stopped:
            pass
        except (ChildDied, TookTooLong, ConfigError, ExampleError, WorldError, ValueError, OSError) as error:
            self._fail(str(error))
        cost = self._meter.sample([])
        self._say_cost(cost)
        say("ended", logs=self._folder.kept / "logs")
        return self._status

    def _live(self, stage: Stage, words: Mapping[str, play.Word]) -> None:
        orders = Orders(stage.district)
        orders.hello(self._stopping)
        watch = Watch(f"{stage.address}/api/v1/stream")
        watch.start()
        try:
            self._say_where(stage)
            self._wait_for_homes(stage, watch)
            with Control(stage.control) as control:
                director = Director(stage, orders, control, watch, self._narrator, self._stopping, self._meter)
                self._play(director, words)
        finally:
            watch.stop()
            self._narrator.blank()
            self._narrator.say("ending")

    def _say_where(self, stage: Stage) -> None:
        self._narrator.say("address", address=stage.address)
        self._narrator.say("login", account=stage.account, password=stage.password)
        say = self._narrator.say
        say("screen", address=stage.screen, carer=self._narrator.word("carer")[0], pin=stage.pin)
        if not self._options.no_browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(stage.address)

    def _wait_for_homes(self, stage: Stage, watch: Watch) -> None:
        self._narrator.say("waiting")
        wanted = {home.code for home in homes()}

        def all_heard() -> bool:
            stage.children.check()
            heard = {code for code, home in watch.homes().items() if home["freshness"] == "heard"}
            return wanted <= heard

        self._stopping.wait_for(all_heard, HEARD_WITHIN_S, "all homes to be heard")
        self._narrator.say("heard", count=len(wanted), seconds=f"{time.monotonic() - self._began_s:.1f}")

    def _play(self, director: Director, words: Mapping[str, play.Word]) -> None:
        evening = scenario.load(SCENARIO)
        number = 1
        while number == 1 or self._options.loop:
            self._narrator.blank()
            self._narrator.say("play", number=number, zh=evening.title_zh, en=evening.title_en)
            try:
                director.play(evening, words)
            finally:
                self._sum_up(number, director.outcomes)
            number += 1
        self._narrator.say("staying")
        while True:
            director.idle()

    def _sum_up(self, number: int, outcomes: list[Outcome]) -> None:
        missed = sum(outcome.is_missed for outcome in outcomes)
        self._status = FAILED if missed else self._status
        self._narrator.blank()
        key = "summary_missed" if missed else "summary"
        self._narrator.say(key, number=number, missed=missed, seen=len(outcomes) - missed)
        self._narrator.table(outcomes)

    def _say_cost(self, cost: Cost) -> None:
        key = "cost" if cost.is_within else "cost_over"
        self._narrator.say(key, cores=f"{cost.cores:.2f}", mib=cost.rss_bytes >> 20)

    def _fail(self, text: str) -> None:
        self._status = FAILED
        chinese, english = self._narrator.word("failed")
        self._narrator.plain(f"!!! {chinese} {english}\n{text}")


def _who_has(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    try:
        found = [item for item in psutil.net_connections("tcp") if item.status == psutil.CONN_LISTEN]
        pid = next((item.pid for item in found if item.laddr and item.laddr.port == port), None)
        holder = f"{psutil.Process(pid).name()} (process {pid})" if pid else "another program"
    except psutil.Error:
        holder = "another program"
    return f"port {port} is taken by {holder}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run demo",
        description="Shows a living district of 22 simulated homes on the board, plays an evening of alarms in just"
        " under three minutes, and tells each step beside the time that it took to reach the buzzer and the board."
        " Ctrl-C ends everything.",
    )
    parser.add_argument("--loop", action="store_true", help="play again and again")
    parser.add_argument("--seconds", type=_seconds, metavar="N", help="end after N seconds (default: at Ctrl-C)")
    parser.add_argument(
        "--port", type=_port, default=8000, metavar="P", help="the board's port; 0 takes a free one (default: 8000)"
    )
    parser.add_argument(
        "--embedded-broker", action="store_true", help="use the collector's broker even where mosquitto is installed"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--data", type=Path, default=DEFAULT, metavar="DIR",
        help="data folder, emptied at the start (default: data/demo)",
    )  # fmt: skip
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return seconds


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
