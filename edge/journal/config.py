"""The `[journal]` table of the configuration."""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.schema import Ms

STALLED_MS = 2_000
"""A disk that has not taken an event for so long is dead: events leave from memory (PANEL.md, "Staying alive")."""
RECOVERED_MS = 1_000
"""A commit this quick ends that. Less than STALLED_MS, so that a slow disk does not come and go with every event."""


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """How long things are kept and how often readings are written.

    `keep_events` and `keep_event_rows` both have to be passed before an event may go, and the collector must have it.
    `readings_every` is the longest that a reading waits in memory: less costs disk writes (a page or two each time).
    `budget_mb` bounds the database; the oldest readings go first.
    """

    keep_events: Ms = Ms(90 * 86_400_000)
    keep_event_rows: int = 10_000
    keep_readings: Ms = Ms(7 * 86_400_000)
    budget_mb: int = 200
    readings_every: Ms = Ms(10_000)
    heartbeat: Ms = Ms(15 * 60_000)

    def mistakes(self) -> Iterable[tuple[str, str, object]]:
        if self.keep_events < 90 * 86_400_000:
            yield "keep_events", "90d or more", f"{self.keep_events} ms"
        if self.keep_event_rows < 10_000:
            yield "keep_event_rows", "10000 or more", self.keep_event_rows
        if self.budget_mb < 16:
            yield "budget_mb", "16 or more", self.budget_mb
        if not 1_000 <= self.readings_every <= 10_000:
            yield "readings_every", "1s to 10s", f"{self.readings_every} ms"
        if self.heartbeat < 60_000:
            yield "heartbeat", "1min or more", f"{self.heartbeat} ms"
