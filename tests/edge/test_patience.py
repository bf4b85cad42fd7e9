"""A disk that never answers costs what lay on it, and no start. A FIFO that nobody writes to hangs as its file does."""

import os
from pathlib import Path

import pytest

from edge import rule_file
from edge.clock import SystemClock
from edge.patience import within
from edge.rule_file import FILE, RuleFile
from edge.sources.node import keeper
from edge.sources.node.keeper import Keeper


def test_the_answer_or_what_is_raised_or_what_stands_for_it(tmp_path: Path):
    os.mkfifo(tmp_path / "hangs")
    assert within(5.0, lambda: "answer", "none") == "answer"
    assert within(0.05, lambda: (tmp_path / "hangs").read_text(), "none") == "none"
    with pytest.raises(FileNotFoundError):
        within(5.0, lambda: (tmp_path / "missing").read_text(), "none")


def test_days_that_cannot_be_read_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    monkeypatch.setattr(rule_file, "PATIENCE_S", 0.05)
    os.mkfifo(tmp_path / FILE)
    assert RuleFile(tmp_path).load() == ({}, None)
    assert "the disk does not answer" in caplog.text


def test_a_disk_that_hangs_is_waited_for_once_and_not_for_each_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(keeper, "PATIENCE_S", 0.05)
    os.mkfifo(tmp_path / "n1.json")
    (tmp_path / "n2.json").write_text("{}")
    kept = Keeper(tmp_path, SystemClock(), lambda: None, lambda receipt: None)
    assert kept.load("n1") is None
    assert kept.load("n2") is None
    assert caplog.text.count("an alarm may be told twice: the disk does not answer") == 2
