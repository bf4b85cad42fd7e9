"""Fixtures of the simulators' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.running import LoopThread, RunningHome


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RunningHome]:
    """The example home with all its faces, in a thread."""
    running = RunningHome(tmp_path / "h")
    yield running
    running.stop()


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    """An event loop in a thread."""
    thread = LoopThread()
    yield thread
    thread.close()
