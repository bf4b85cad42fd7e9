"""A console as its own process, an agent that can be made to misbehave, and people to sign in."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests import support

EDGE = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())"]
NURSE, PIN, WRONG_PIN = "李护士", "482915", "915482"
# Of PIN, at a cost that a test can pay; the shipped cost is tested in test_pins.
_HASH = "scrypt$16$8$1$I2TwgZNWSKuCYrfuKfVPlA==$zZQPGJfYQglr1Y5eaRA8D6JL6tfJICubodfbDbBzKnU="
PEOPLE = f"""
[[person]]
name = "{NURSE}"
pin = "{_HASH}"
"""


def configuration(data: Path, port: int, tablet_port: int, more: str = "") -> str:
    """A small home's file, with the console on loopback ports."""
    return f"""
[home]
code = "h01"
name = "和平里养老院"

[gateway]
code = "g1"
data = "{data}"
rules = "cn-2026"
simulated = true

[console]
place = "值班室"
port = {port}
tablet_host = "127.0.0.1"
tablet_port = {tablet_port}

[[zone]]
code = "f2"
name = "二楼"
{PEOPLE}{more}"""


class Console:
    """`shouwang-edge console` on a configuration file. `client` is the home's own screen."""

    def __init__(self, config: Path, port: int) -> None:
        self.config = config
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it accepts connections."""
        with self.config.with_suffix(".console.log").open("ab") as out:
            self.process = subprocess.Popen(
                [*EDGE, "console", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(support.ROOT)},
            )
        support.wait_until(self._accepts, timeout_s=30, what="the console to listen")

    def _accepts(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the console ended:\n{self.log}"
        return support.accepts(self.port)

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return self.config.with_suffix(".console.log").read_text(errors="replace")

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`shouwang-edge console COMMAND`."""
        command = [*EDGE, "console", *arguments, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def kill(self) -> None:
        """As a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(support.STOP_TIMEOUT_S)
        self.process = None

    def end(self) -> int:
        """Its exit status after SIGTERM."""
        assert self.process is not None
        process, self.process = self.process, None
        return support.end(process)

    def screen(self, verify: "ssl.SSLContext | bool" = True, url: str = "") -> "Screen":
        """A browser's manners without the browser."""
        return Screen(url or self.url, verify)


class Screen:
    """A client with cookies, origin and the token that its stream brought."""

    def __init__(self, url: str, verify: "ssl.SSLContext | bool") -> None:
        self.client = httpx.Client(base_url=url, timeout=15, verify=verify, headers={"origin": url})

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def events(self, until: str, timeout_s: float = 20.0) -> list[tuple[str, Any]]:
        """What the stream says up to the first event of a name."""
        found: list[tuple[str, Any]] = []
        end_s = time.monotonic() + timeout_s
        with self.client.stream("GET", "/api/stream") as stream:
            assert stream.status_code == 200
            name = ""
            for line in stream.iter_lines():
                assert time.monotonic() < end_s, f"no {until} among {[item[0] for item in found]}"
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    found.append((name, json.loads(line[6:])))
                    if name == until:
                        return found
        raise AssertionError(f"the stream ended before {until}: {found}")

    def take_token(self) -> None:
        """The token that makes a request this page's own."""
        self.client.headers["x-csrf-token"] = self.events("hello")[-1][1]["csrf"]

    def post(self, path: str, body: Any) -> httpx.Response:
        """A request that changes something."""
        if "x-csrf-token" not in self.client.headers:
            self.take_token()
        return self.client.post(path, json=body)

    def do(self, operation: str, **more: Any) -> httpx.Response:
        """Have the agent do something."""
        return self.post("/api/do", {"do": operation, **more})

    def sign_in(self, pin: str = PIN, name: str = NURSE) -> httpx.Response:
        """Sign in with a PIN."""
        return self.post("/api/sign-in", {"name": name, "pin": pin})


STATUS: dict[str, Any] = {
    "ok": True,
    "home": "h01",
    "home_name": "和平里养老院",
    "simulated": True,
    "silenced": False,
    "sound": None,
    "active": [],
    "points": [
        {
            "code": "smoke-203",
            "zone": "f2",
            "place": "二楼203室",
            "kind": "smoke",
            "level": "normal",
            "value": 0,
            "unit": "",
            "scale": 0,
            "unknown": None,
            "age_ms": 10,
        }
    ],
    "clock_ok": True,
    "listening": True,
    "tests": [],
    "ask": None,
}


class FakeAgent:
    """Listens on the agent's socket and does what `mood` says: answer, hang, babble, lie, refuse."""

    def __init__(self, data: Path) -> None:
        data.mkdir(exist_ok=True)
        self.mood = "answer"
        self.status = dict(STATUS)
        self.asked: list[tuple[float, dict[str, Any]]] = []
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(data / "agent.sock"))
        self._listener.listen(8)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def operations(self) -> list[dict[str, Any]]:
        """What it was asked but for its status."""
        return [question for _, question in self.asked if question["do"] not in ("status", "page")]

    def close(self) -> None:
        """Be gone, as a killed agent is: its socket's name stays."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._open:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(line)
            thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket) -> None:
        with line, line.makefile("rb") as questions, contextlib.suppress(OSError):
            for raw in questions:
                question = json.loads(raw)
                self.asked.append((time.monotonic(), question))
                line.sendall(self._answer(question))

    def _answer(self, question: dict[str, Any]) -> bytes:
        if self.mood == "hang":
            return b""
        if self.mood == "babble":
            return b"x" * (5 << 20)
        if self.mood == "lie":
            return b'["not an object"]\n'
        if self.mood == "strange":
            return b'{"ok": true, "points": 7}\n'
        if question["do"] in ("status", "page"):
            points = self.status["points"]
            start = question.get("from", 0)
            told = {**self.status, "points": points[start : start + 50], "point_count": len(points)}
            return json.dumps(told).encode() + b"\n"
        if self.mood == "refuse":
            return b'{"ok": false, "error": "no such point", "reason": "unknown_point"}\n'
        return b'{"ok": true}\n'


@contextlib.contextmanager
def console_with_fake_agent(folder: Path, more: str = "") -> Iterator[tuple[Console, FakeAgent]]:
    """Both running; gone at the end of the block."""
    port, tablet_port = support.free_port(), support.free_port()
    config = folder / "gateway.toml"
    config.write_text(configuration(folder / "gw", port, tablet_port, more), "utf-8")
    agent = FakeAgent(folder / "gw")
    console = Console(config, port)
    try:
        console.start()
        yield console, agent
    finally:
        if console.process is not None:
            console.end()
        agent.close()
