"""Which implementation stands behind a source: the hardware, or a simulated one that the configuration allows by name.

The configuration alone decides. gpiozero's own choice by environment variable is never consulted.
"""

from importlib.metadata import entry_points
from typing import Any

HARDWARE = "hardware"


class NotAllowed(Exception):
    """A simulated back-end without `simulated = true`, or one that is not installed."""


def refusal(backend: str, group: str, simulated: bool) -> str:
    """What is wrong with naming `backend` of the entry-point group `group` here, or ""."""
    if backend == HARDWARE:
        return ""
    if not simulated:
        return f'back-end "{backend}" is simulated: it needs simulated = true'
    known = sorted(point.name for point in entry_points(group=group))
    return "" if backend in known else f'no back-end "{backend}" is installed; known: {", ".join(known) or "none"}'


def load(backend: str, group: str, simulated: bool) -> Any:
    """The entry point's object. `NotAllowed` with the sentence of `refusal`."""
    reason = refusal(backend, group, simulated)
    if reason:
        raise NotAllowed(reason)
    return next(iter(entry_points(group=group, name=backend))).load()
