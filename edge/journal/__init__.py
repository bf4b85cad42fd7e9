"""The home's memory in SQLite: events in a chain of hashes, readings by exception, the panel's state."""

from edge.journal.backup import copy_to, put_back
from edge.journal.config import JournalConfig
from edge.journal.database import Snapshot
from edge.journal.filter import deadband
from edge.journal.journal import Journal, Outbox
from edge.journal.reading import JournalError
from edge.journal.verify import Chain, verify
from edge.journal.volume import Stamp, Volume

__all__ = [
    "Chain", "Journal", "JournalConfig", "JournalError", "Outbox", "Snapshot", "Stamp", "Volume", "copy_to", "deadband",
    "put_back", "verify",
]  # fmt: skip
