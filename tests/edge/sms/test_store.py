"""The ladder's memory on disk: replaced whole, damaged files set aside, and a disk that hangs waited for by nobody."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from edge.sms import store as stores
from edge.sms.store import FILE, Store


def started(folder: Path) -> Store:
    store = Store(folder)
    store.start()
    return store


def test_what_is_saved_is_there_after_a_restart(tmp_path: Path):
    store = started(tmp_path)
    assert store.latest is None
    for number in range(5):
        store.save({"number": number})
    # Nothing is closed: a power cut comes as it likes.
    assert json.loads((tmp_path / FILE).read_text("utf-8"))["number"] == 4
    store.close()
    again = started(tmp_path)
    assert again.latest is not None
    assert again.latest["number"] == 4
    again.close()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"version": 99}', "\0" * 100, "[" * 100_000])
def test_a_damaged_file_is_set_aside(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    store = started(tmp_path)
    assert store.latest is None
    assert (tmp_path / "sms.damaged").read_text() == text
    store.save({"number": 1})
    store.close()
    assert json.loads((tmp_path / FILE).read_text("utf-8"))["number"] == 1


def test_a_disk_that_refuses_is_said_and_ends_with_its_cause(tmp_path: Path):
    folder = tmp_path / "data"
    store = started(folder)
    store.save({"number": 1})
    assert store.is_faulty
    assert store.latest is not None
    folder.mkdir()
    store.save({"number": 2})
    assert not store.is_faulty
    store.close()
    assert json.loads((folder / FILE).read_text("utf-8"))["number"] == 2


def test_a_disk_that_hangs_is_waited_for_once_and_has_the_latest_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    works = threading.Event()
    fsync = os.fsync

    def stuck(descriptor: int) -> None:
        works.wait()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", stuck)
    monkeypatch.setattr(stores, "WITHIN_S", 0.2)
    store = started(tmp_path)
    store.save({"number": 1})
    assert store.is_faulty
    began_s = time.monotonic()
    for number in range(2, 200):
        store.save({"number": number})
    assert time.monotonic() - began_s < 198 * 0.2, "only the first of them waits"
    works.set()
    monkeypatch.setattr(stores, "WITHIN_S", 10.0)
    store.close()
    assert not store.is_faulty
    assert json.loads((tmp_path / FILE).read_text("utf-8"))["number"] == 199
