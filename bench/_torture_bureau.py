"""The bureau under torture: broker and collector as processes, the collector's backups, and what it has taken."""

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench._torture_home import GATEWAY, HOME
from bench._torture_line import Line
from bench._torture_processes import LOOPBACK, Program, Trouble, accepts, free_port, program
from collector.store import schema

PAGE = 200
# Its default of 1,000 queued messages drops silently beyond that.
_CONFIGURATION = f"""\
listener {{port}} {LOOPBACK}
allow_anonymous true
persistence false
# Started by root it would change its user, and with that lose what ends it should the torture be killed.
user {{user}}
max_queued_messages 100000
max_inflight_messages 100
"""
# Debian keeps daemons off a user's PATH.
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"


class Broker:
    """A mosquitto of our own on a port that stays its own. It keeps nothing on disk."""

    def __init__(self, process: Program, folder: Path) -> None:
        found = shutil.which("mosquitto", path=_PATH)
        if found is None:
            raise Trouble("mosquitto is not installed: apt-get install mosquitto")
        self.process = process
        self.port = free_port()
        path = folder / "mosquitto.conf"
        path.write_text(_CONFIGURATION.format(port=self.port, user=pwd.getpwuid(os.geteuid()).pw_name), "ascii")
        self._command = [found, "-c", str(path)]

    def start(self) -> None:
        """Begin, unless it runs; `wait` says when it accepts connections."""
        self.process.start(self._command)

    def wait(self) -> None:
        """Until it accepts connections."""
        self.process.wait(lambda: accepts(self.port))


class Collector:
    """`shouwang-collector serve`, which may be set back to an earlier copy of its store while it is dead.

    With `embeds` it is the broker as well. Its line to mosquitto is `line`; to its own broker it needs none.
    """

    def __init__(self, process: Program, folder: Path, line: Line) -> None:
        self.process = process
        self.folder = folder
        self.embeds = False
        self.embedded_port = free_port()
        self.has_backup = False
        self._backup = folder.with_name("backup")
        self._line = line
        self._port = free_port()

    def start(self) -> None:
        """Begin, unless it runs; `wait` says when it answers."""
        port = self.embedded_port if self.embeds else self._line.port
        arguments = ["--data", str(self.folder), "--port", str(self._port), "--mqtt", f"{LOOPBACK}:{port}"]
        arguments += ["--open-read", *(["--embedded-broker"] if self.embeds else [])]
        self.process.start(program("collector.cli", "serve", *arguments))

    def wait(self) -> None:
        """Until it answers. Raises Trouble where it ended."""
        self.process.wait(lambda: accepts(self._port))

    # --- its store, while it is dead

    def back_up(self) -> None:
        """Keep a copy of the store."""
        if self.folder.exists():
            shutil.rmtree(self._backup, ignore_errors=True)
            shutil.copytree(self.folder, self._backup)
            self.has_backup = True

    def restore(self) -> None:
        """Go back to the copy."""
        shutil.rmtree(self.folder)
        shutil.copytree(self._backup, self.folder)

    def verify(self) -> tuple[bool, str]:
        """What `shouwang-collector verify` finds: whether all is well, and its words."""
        command = program("collector.cli", "verify", "--data", str(self.folder))
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        return done.returncode == 0, done.stdout + done.stderr

    # --- what it has taken

    def events(self) -> list[dict[str, Any]]:
        """Both of its logs through its API, in the order in which it took them."""
        found: list[dict[str, Any]] = []
        before: int | None = None
        while True:
            query = f"limit={PAGE}" + ("" if before is None else f"&before={before}")
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self._port}/api/v1/events?{query}", timeout=30) as answer:
                page = json.load(answer)
            found += page["events"]
            before = page["next"]
            if before is None:
                return found[::-1]

    def numbers(self, lane: str) -> set[tuple[str, int]]:
        """Journal and number of everything stored in a lane. The API does not number readings, so this is read from
        the store."""
        with self._reading() as db:
            query = f"SELECT journal, seq FROM {lane} WHERE home = ? AND gateway = ?"
            return {(row[0], int(row[1])) for row in db.execute(query, (HOME, GATEWAY))}

    def quarantined(self) -> int:
        """Messages that contradict what is stored under their number."""
        with self._reading() as db:
            return int(db.execute("SELECT COUNT(*) FROM quarantine").fetchone()[0])

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Any]:
        with contextlib.closing(schema.open_for_reading(self.folder)) as db:
            yield db
