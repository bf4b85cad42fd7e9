"""What the rest of the agent may know of the uplink."""

import logging
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """What the uplink did since the start. `refused`: messages of ours that the contract does not take; `garbage`:
    messages to us that are not of the contract; `stale`: kept by the broker from earlier."""

    connections: int = 0
    failures: int = 0
    restarts: int = 0
    events: int = 0
    readings: int = 0
    resent: int = 0
    refused: int = 0
    acks: int = 0
    acks_foreign: int = 0
    acks_beyond: int = 0
    acks_back: int = 0
    asks: int = 0
    config_messages: int = 0
    stale: int = 0
    garbage: int = 0


class Shared:
    """What outlives a worker: read by other threads, written by the one worker that is current."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.heard_ms: int | None = None
        self.is_connected = False
        self.certificate_ends_ms: int | None = None
        self.complaint = ""

    def complain(self, text: str) -> None:
        """Log what is wrong once, until something else is."""
        if text != self.complaint:
            log.warning("uplink: %s", text)
            self.complaint = text
