"""What the command line does with a store: beside a running collector, or without one."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from collector.clock import SYSTEM
from collector.store.intake import Intake
from collector.store.reader import Reader
from collector.store.schema import FILE
from collector.store.writer import Writer

T = TypeVar("T")


class Refused(Exception):
    """What is asked for cannot be done, in a sentence."""


def write(folder: Path, run: Callable[[Intake], T]) -> T:
    """Write once; the store is made where there is none. Raises StoreError, and whatever `run` does."""
    writer = Writer(folder, SYSTEM, lambda records, acks: None)
    writer.start()
    try:
        return writer.run(run).result(timeout=30)
    finally:
        writer.stop()


def read(folder: Path, ask: Callable[[Reader], T]) -> T:
    """Ask once."""
    reader = Reader(folder)
    try:
        return ask(reader)
    finally:
        reader.close()


def ensure_store(folder: Path) -> None:
    """Make the store, or bring it to this version."""
    write(folder, lambda intake: None)


def need_store(folder: Path) -> None:
    """Refuse where there is none."""
    if not (folder / FILE).exists():
        raise Refused(f"there is no store in {folder}")
