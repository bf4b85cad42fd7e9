"""Everything that runs: broker, collector, the full home's building and gateway, and the light homes."""

import contextlib
import json
import re
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo import broker, example, screen
from demo.folder import Folder
from demo.processes import Child, Children
from demo.registrar import ACCOUNT
from demo.stopping import Stopping
from edge import config

START_WITHIN_S = 30.0
_LISTENING = re.compile(r"^listening on (http://\S+)$", re.MULTILINE)
_SCRIPTS = Path(sys.executable).parent


class Stage:
    """Starts all in `open`. `address` is the collector's, `password` that of `account`; `screen` is the address of the
    full home's console, where `pin` is its carer's. Without `mosquitto` (its path)
    the collector is the broker too."""

    def __init__(self, folder: Folder, stopping: Stopping, port: int, mosquitto: str | None) -> None:
        self.children = Children(folder.logs, folder.path)
        self.account = ACCOUNT
        self.password = secrets.token_urlsafe(9)
        self.address = ""
        self.pin = screen.new_pin()
        self.screen = ""
        self._folder = folder
        self._stopping = stopping
        self._port = port
        self._mosquitto = mosquitto
        self._broker_port = 0

    def open(self, dark: str, carer: str) -> None:
        """Start everything; `dark` is the home with the cable, `carer` may operate the full home.

        Raises ChildDied, TookTooLong, ExampleError, OSError.
        """
        # What needs nothing of the others starts at once; each takes a second or two.
        building = self._folder.path / "building"
        self._serve("building", "shouwang-sim", "home", "--dir", str(building))
        self._start_broker()
        self._start_collector()
        self._wait((building / "ready.json").exists, "the simulated building")
        ready = json.loads((building / "ready.json").read_text("utf-8"))
        self.config_file = self._folder.path / "gateway.toml"
        text = example.EXAMPLE.read_text("utf-8")
        data = str(self._folder.path / "gateway")
        text = example.edit(text, data, self._broker_port, ready) + screen.person(carer, self.pin)
        self.config_file.write_text(text, encoding="utf-8")
        self.setup = config.load(self.config_file)
        self.control = Path(ready["control"])
        command = [str(_SCRIPTS / "shouwang-edge"), "run", "--config", str(self.config_file)]
        self.children.start("gateway", command)
        self._start_screen()
        self.district = self._start_district(dark)

    def operate(self, operation: str, who: str) -> Child:
        """The full home's carer types `shouwang-edge ack`, `silence` or `reset`."""
        command = [str(_SCRIPTS / "shouwang-edge"), operation, "--config", str(self.config_file), "--who", who]
        return self.children.start("carer", command, is_lasting=False)

    def close(self) -> None:
        """End everything."""
        self.children.stop_all()

    def _serve(self, name: str, script: str, *arguments: str) -> Child:
        return self.children.start(name, [str(_SCRIPTS / script), *arguments], is_server=True)

    def _wait(self, condition: Any, what: str) -> Any:
        def look() -> Any:
            answer = condition()
            if not answer:
                self.children.check()
            return answer

        return self._stopping.wait_for(look, START_WITHIN_S, what)

    def _start_broker(self) -> None:
        self._broker_port = broker.free_port()
        if self._mosquitto is not None:
            command = broker.command(self._mosquitto, self._folder.path, self._broker_port)
            self.children.start("broker", command, is_server=True)
            self._wait(lambda: broker.accepts(self._broker_port), "the broker")

    def _start_collector(self) -> None:
        data = str(self._folder.path / "collector")
        self._register(data)
        arguments = ["serve", "--data", data, "--port", str(self._port), "--open-read"]
        arguments += ["--mqtt", f"{broker.LOOPBACK}:{self._broker_port}"]
        if self._mosquitto is None:
            arguments.append("--embedded-broker")
        child = self._serve("collector", "shouwang-collector", *arguments)
        found = self._wait(lambda: _LISTENING.search(child.log.read_text("utf-8", "replace")), "the collector")
        self.address = found[1]

    def _start_screen(self) -> None:
        command, port = screen.command(self.config_file)
        self.children.start("console", command)
        self._wait(lambda: broker.accepts(port), "the console")
        self.screen = f"http://{broker.LOOPBACK}:{port}"

    def _register(self, data: str) -> None:
        passwords = self._folder.path / "password"
        passwords.touch(mode=0o600)
        passwords.write_text(self.password + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "demo.registrar", data, str(passwords)]
        child = self.children.start("registrar", command, is_lasting=False)
        self._wait(lambda: child.process.poll() == 0, "the register of homes")

    def _start_district(self, dark: str) -> Child:
        command = [sys.executable, "-m", "demo.district", str(self.config_file)]
        command += ["--homes", str(self._folder.path / "homes"), "--broker", str(self._broker_port), "--cable", dark]
        return self.children.start("district", command, with_pipes=True)


@contextlib.contextmanager
def opened(stage: Stage, dark: str, carer: str) -> Iterator[Stage]:
    """The stage with everything running; all ends with the block, however it ends."""
    try:
        stage.open(dark, carer)
        yield stage
    finally:
        stage.close()
