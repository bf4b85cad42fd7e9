"""A GPIO chip in the agent's own process, behind the entry point that a back-end of pins has."""

from pathlib import Path

from simulators.chip import GpioChip
from simulators.pins import InProcessPins

BACKEND = "shouwang-bench"

chips: list[GpioChip] = []
"""Every chip that this process opened, the latest last."""


def open_pins(address: str) -> InProcessPins:
    """The pin factory of the entry point."""
    chips.append(GpioChip())
    return InProcessPins(chips[-1])


def install_pins(folder: Path) -> None:
    """Put the back-end's metadata into `folder`; a process that has it on its module path knows the back-end."""
    metadata = folder / "shouwang_bench-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shouwang-bench\nVersion: 1\n", "ascii")
    (metadata / "entry_points.txt").write_text(
        f"[gpiozero_pin_factories]\n{BACKEND} = bench._pins:open_pins\n", "ascii"
    )
