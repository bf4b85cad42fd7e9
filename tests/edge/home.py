"""What the tests of the shell share: a small home, a clock set by hand, and fakes named after what they do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge import config
from edge.config import Setup
from edge.core.signals import Signals
from edge.core.values import Reading, Transition

HOME = Path(__file__).parent / "configs" / "well.toml"


class FakeClock:
    """A clock that stands until it is set."""

    def __init__(self, mono_ms: int = 1_000_000) -> None:
        self.boot = "boot-0001"
        self.now_ms = mono_ms
        self.wall_of_mono_ms = 1_700_000_000_000
        self.is_trusted = True

    def mono_ms(self) -> int:
        return self.now_ms

    def wall_ms(self) -> int:
        return self.wall_of_mono_ms + self.now_ms

    def clock_ok(self) -> bool:
        return self.is_trusted


@dataclass
class Diary:
    """What was done in which order: ("show", Signals), ("record", transitions), ("observe", readings)."""

    entries: list[tuple[str, Any]] = field(default_factory=list)

    def show(self, wanted: Signals) -> None:
        self.entries.append(("show", wanted))

    def record(
        self, transitions: Sequence[Transition], sounded_ms: int | None = None, snapshot: bytes | None = None
    ) -> None:
        self.entries.append(("record", (tuple(transitions), sounded_ms, snapshot)))

    def observe(self, readings: Sequence[Reading], mono_ms: int) -> None:
        self.entries.append(("observe", tuple(readings)))

    def of(self, kind: str) -> list[Any]:
        """The entries of one kind."""
        return [what for name, what in self.entries if name == kind]

    @property
    def transitions(self) -> list[Transition]:
        """All that was recorded, in order."""
        return [item for transitions, _, _ in self.of("record") for item in transitions]


def small_home(folder: Path, **changes: str) -> Setup:
    """The configuration without a mistake, its data in `folder`; `changes` are old texts by new ones."""
    return config.load(write_home(folder, **changes))


def write_home(folder: Path, **changes: str) -> Path:
    """The file of `small_home`. `changes`: `data="x"` puts a line `data = "x"` in its key's stead."""
    text = HOME.read_text("utf-8").replace("/var/lib/shouwang", changes.pop("data", str(folder / "data")))
    for old, new in changes.items():
        assert old in text, f"the home has no {old}"
        text = text.replace(old, new)
    file = folder / "gateway.toml"
    file.write_text(text, "utf-8")
    return file
