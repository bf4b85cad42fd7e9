"""Real disks that are full or do not answer. Mounting them takes root; elsewhere these are skipped."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from device import wire
from edge.core.values import Reading
from edge.journal import Journal, verify
from tests.edge.parts import events_of, journal_in, offered, smoke
from tests.support import need, wait_until

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
MIB = 1 << 20


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    """A file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a disk of its own takes root")
    folder.mkdir()
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, timeout=30)
    if done.returncode:
        pytest.skip(f"this machine mounts no disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=30)


class Freezer:
    """Stops all writing to a file system, as a card does that has gone away without a word."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.open(folder, os.O_RDONLY)

    def freeze(self) -> None:
        fcntl.ioctl(self._folder, FIFREEZE, 0)

    def thaw(self) -> None:
        fcntl.ioctl(self._folder, FITHAW, 0)

    def close(self) -> None:
        os.close(self._folder)


@pytest.fixture
def freezing(tmp_path: Path) -> Iterator[tuple[Path, Freezer]]:
    mkfs = need("mkfs.ext4", "a disk that can be frozen") if os.geteuid() == 0 else ""
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(16 * MIB)
    if mkfs:
        subprocess.run([mkfs, "-q", str(image)], check=True, timeout=30)
    with mounted(tmp_path / "disk", "-o", "loop", str(image)) as disk:
        freezer = Freezer(disk)
        try:
            yield disk / "journal", freezer
        finally:
            freezer.close()


def test_a_disk_that_does_not_answer(freezing: tuple[Path, Freezer]):
    folder, freezer = freezing
    with journal_in(folder) as journal:
        journal.record([smoke(1)])
        offered(journal, 1)
        old = journal.volume().journal
        freezer.freeze()
        try:
            journal.record([smoke(2)], snapshot=b"two")
            wait_until(lambda: journal.pull() is None and journal.is_disk_faulty, what="the disk to be given up")
            assert journal.disk == "stalled"
            journal.record([smoke(3)])
            journal.pull()
            sent = events_of(journal)
            assert [wire.decode_event(payload).why for payload in sent] == ["no. 2", "no. 3"]
            assert not any(wire.decode_event(payload).durable for payload in sent)
        finally:
            freezer.thaw()
        wait_until(lambda: not journal.is_disk_faulty, what="the disk to be found again", timeout_s=20)
        wait_until(lambda: journal.volume().event_seq >= 2)
        new = journal.volume().journal
        journal.record([smoke(4)])
        offered(journal, 3)
    with journal_in(folder) as journal:
        # The commit that hung came through after all: nothing of it is left, since it was sent under another number.
        assert [wire.decode_event(payload).why for payload in events_of(journal, old)] == ["no. 1"]
        assert events_of(journal, new)[:2] == sent
        assert [wire.decode_event(payload).why for payload in events_of(journal, new)] == ["no. 2", "no. 3", "no. 4"]
        assert journal.snapshot is not None
        assert journal.snapshot.body == b"two"
    assert [chain.broken_seq for chain in verify(folder)] == [None, None]


def test_closing_does_not_wait_for_a_dead_disk(freezing: tuple[Path, Freezer]):
    folder, freezer = freezing
    with journal_in(folder) as journal:
        freezer.freeze()
        try:
            journal.record([smoke(1)])
            wait_until(lambda: journal._writer._busy_since_ms is not None)
            journal.close(within_ms=100)
        finally:
            freezer.thaw()
        journal._writer.thread.join(10)
        assert not journal._writer.thread.is_alive()


def is_taken(journal: Journal, count: int, name: str) -> bool:
    return journal.volume().event_seq >= count or journal.volume().journal != name


def test_on_a_full_disk_the_oldest_readings_go_and_events_stay(tmp_path: Path):
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=24m", "tmpfs") as disk:
        with journal_in(disk / "journal") as journal:
            name = journal.volume().journal
            sent = 0
            (disk / "other.log").write_bytes(b"x" * 14 * MIB)  # somebody else's file fills the disk
            while journal.volume().reading_held == 1 and sent < 2_000:
                sent += 1
                journal.observe([Reading(f"point-with-a-long-name-{i}", sent) for i in range(wire.MAX_BATCH)], sent)
                journal.record([smoke(sent)])
                wait_until(partial(is_taken, journal, sent, name))
            assert journal.volume().reading_held > 1
            wait_until(lambda: not journal.is_disk_faulty)
            journal.record([smoke(9_999)])
            wait_until(lambda: "no. 9999" in [wire.decode_event(payload).why for payload in events_of(journal)])
            names = [volume.journal for volume in journal.volumes()]
            told = [wire.decode_event(payload) for each in names for payload in events_of(journal, each)]
            gaps = [event.why for event in told if event.kind == "gap"]
            assert any("cause=space" in why for why in gaps)
            alarms = [event.why for event in told if event.kind == "raise"]
            assert alarms == [f"no. {number}" for number in range(1, sent + 1)] + ["no. 9999"]
            assert all(event.durable for event in told)
        assert all(chain.broken_seq is None for chain in verify(disk / "journal"))
