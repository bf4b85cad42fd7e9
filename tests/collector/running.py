"""A collector as its own process, as an operator starts it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests import support

NAME = "王建国"
PASSWORD = "correct horse battery"


class Collector:
    """`shouwang-collector serve` on a free port; `api` asks it, logged in where there is an account."""

    command = (sys.executable, "-c", "import sys; from collector.cli import main; sys.exit(main())")

    def __init__(self, folder: Path, *arguments: str, account: bool = False) -> None:
        self.folder = folder
        self._arguments = arguments
        self._account = account
        self.port = 0
        self._scheme = "http"
        self.process: subprocess.Popen[str] | None = None
        self.csrf = ""

    def start(self, scheme: str = "http") -> None:
        """Returns when it answers."""
        if self._account and not (self.folder / "collector.sqlite").exists():
            self.run("user", "add", NAME, "--role", "bureau", stdin=PASSWORD)
        log = (self.folder.parent / f"{self.folder.name}.log").open("a")
        with log:
            self.process = subprocess.Popen(
                [*self.command, "serve", "--data", str(self.folder), "--port", str(self.port), *self._arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(f"listening on {scheme}://"), f"did not start: {line!r}\n{self.log}"
        self.port, self._scheme = int(line.rsplit(":", 1)[1]), scheme

    @property
    def log(self) -> str:
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def run(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Another command on the same folder."""
        command = [*self.command, *arguments, "--data", str(self.folder)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)

    def end(self) -> int:
        """Its exit status after SIGTERM."""
        assert self.process is not None
        status = support.end(self.process)
        self._close()
        return status

    def kill(self) -> None:
        """As a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self._close()

    def _close(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """A client that has logged in where there is an account."""
        with httpx.Client(base_url=self.url, timeout=10) as client:
            if self._account:
                done = log_in(client, NAME, PASSWORD)
                assert done.status_code == 303, done.text
                self.csrf = client.get("/").text.split('"csrf": "')[1].split('"')[0]
            yield client

    def board(self) -> dict[str, Any]:
        """The board as of now."""
        with self.client() as client:
            answer = client.get("/api/v1/board")
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

    def home(self, code: str = "h01") -> dict[str, Any]:
        """One tile; an empty one before the home has been heard of."""
        return next((home for home in self.board()["homes"] if home["code"] == code), {"class": None})


def log_in(client: httpx.Client, name: str, password: str) -> httpx.Response:
    """The answer to the login form, filled in."""
    form = client.get("/login").text.split('name="form" value="')[1].split('"')[0]
    return client.post("/login", data={"name": name, "password": password, "form": form})


@contextmanager
def collector(folder: Path, *arguments: str, account: bool = False) -> Iterator[Collector]:
    """A started collector that is gone at the end of the block."""
    made = Collector(folder, *arguments, account=account)
    made.start()
    try:
        yield made
    finally:
        if made.process is not None:
            made.end()
