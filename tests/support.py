"""What tests share as plain functions: tools they may need, waiting for a condition, a broker they may kill.

conftest.py offers the same as fixtures; a module imports from here where a fixture would only be in the way.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
STOP_TIMEOUT_S = 10.0

# Debian keeps daemons off a user's PATH.
_TOOL_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"

T = TypeVar("T")


def lack(reason: str) -> NoReturn:
    """Skip the test with `reason`; where CI=true nothing may be missing, and the test fails instead."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true, and {reason}", pytrace=False)
    pytest.skip(reason)


def need(tool: str, why: str) -> str:
    """The path of a program. Without it the test is skipped, or fails where CI=true, saying what it was needed for."""
    path = shutil.which(tool, path=_TOOL_PATH)
    if path is None:
        lack(f"{tool} is not installed, needed for {why} (./run setup)")
    return path


def wait_until(condition: Callable[[], T], *, timeout_s: float = 10.0, what: str = "") -> T:
    """The first true answer of `condition`, asked until `timeout_s` is over; then the test fails, naming `what`."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.002
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:g} s in vain for {what or getattr(condition, '__name__', condition)}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.05)
    return answer


def free_port() -> int:
    """A TCP port on loopback that nobody listens on. Prefer port 0 wherever the listener can say what it got."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        port: int = sock.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether somebody accepts TCP connections on a loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
    except OSError:
        return False


def end(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> int:
    """Ends one child by its process id, politely and then by force, and gives its exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(STOP_TIMEOUT_S)


class Mosquitto:
    """A private mosquitto on a free loopback port. The port stays its own across stop() and start().

    It keeps sessions in memory only: what survives an outage in a test survived at the gateway or the collector.
    """

    CONFIGURATION = """\
listener {port} {host}
allow_anonymous true
persistence false
max_queued_messages 100000
max_inflight_messages 100
set_tcp_nodelay true
"""  # mosquitto's default queue of 1,000 drops silently beyond that

    def __init__(self, binary: str, folder: Path) -> None:
        self.host = LOOPBACK
        self.port = 0
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None, "the broker is stopped"
        return self._process.pid

    @property
    def log(self) -> str:
        """What it wrote so far, over all its starts."""
        return (self._folder / "mosquitto.log").read_text(errors="replace")

    def start(self) -> None:
        """Returns when it accepts connections."""
        assert self._process is None, "the broker is running"
        for _ in range(1 if self.port else 5):  # until it has a port, another process may be quicker to take it
            port = self.port or free_port()
            if self._starts_on(port):
                self.port = port
                return
        pytest.fail(f"mosquitto did not start:\n{self.log}")

    def stop(self) -> None:
        """Ends it in order: clients see the connection closed."""
        process, self._process = self._process, None
        if process is not None:
            end(process)

    def kill(self) -> None:
        """Ends it as a power cut does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(STOP_TIMEOUT_S)

    def _starts_on(self, port: int) -> bool:
        configuration = self._folder / "mosquitto.conf"
        configuration.write_text(self.CONFIGURATION.format(port=port, host=self.host))
        with (self._folder / "mosquitto.log").open("ab") as log:
            process = subprocess.Popen([self._binary, "-c", str(configuration)], stdout=log, stderr=log)
        wait_until(lambda: process.poll() is not None or accepts(port), what=f"mosquitto on port {port}")
        if process.poll() is not None:
            return False
        self._process = process
        return True


@contextmanager
def running_mosquitto(folder: Path) -> Iterator[Mosquitto]:
    """A started broker that is gone at the end of the block."""
    broker = Mosquitto(need("mosquitto", "a real MQTT broker"), folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


class MicroPython:
    """Runs scripts in real MicroPython (its WebAssembly build under Node) that sees device/ as a board's flash does."""

    def __init__(self) -> None:
        self._node = need("node", "running device/ in real MicroPython")
        self._runner = ROOT / "tests" / "micropython" / "run.mjs"
        if not (self._runner.parent / "node_modules" / "@micropython").is_dir():
            lack("MicroPython is not installed in tests/micropython (./run setup)")

    def run(self, script: str, files: dict[str, str] | None = None, timeout_s: float = 60.0) -> str:
        """What `script` prints; an exception in it fails the test. `files`: paths by their names on the flash."""
        done = self.finish(script, files, timeout_s)
        if done.returncode != 0:
            pytest.fail(f"MicroPython ended with status {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)
        return done.stdout

    def finish(
        self, script: str, files: dict[str, str] | None = None, timeout_s: float = 60.0
    ) -> "subprocess.CompletedProcess[str]":
        """The finished run of `script`, whatever its status."""
        command = [self._node, str(self._runner)]
        for name, text in (files or {}).items():
            command += ["--file", f"{name}={text}"]
        return subprocess.run(command, input=script, capture_output=True, text=True, timeout=timeout_s, cwd=ROOT)
