"""The full home's own screen: one carer with a PIN of this run, and the console's process."""

import secrets
import sys
from pathlib import Path

from demo import broker
from edge.console import pins


def new_pin() -> str:
    """Six digits that may be a PIN."""
    while True:
        pin = f"{secrets.randbelow(1_000_000):06}"
        try:
            pins.refuse_weak(pin)
        except pins.PinError:
            continue
        return pin


def person(name: str, pin: str) -> str:
    """The carer as a table of the configuration."""
    return f'\n[[person]]\nname = "{name}"\npin = "{pins.hash_pin(pin)}"\n'


def command(config: Path) -> tuple[list[str], int]:
    """What starts the console, and the port that it will listen on."""
    port = broker.free_port()
    script = str(Path(sys.executable).parent / "shouwang-edge")
    return [script, "console", "--config", str(config), "--port", str(port), "--log", "warning"], port
