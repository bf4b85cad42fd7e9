"""The machine's clock, and what is made of a kernel that cannot be asked."""

from pathlib import Path

import pytest

from edge import clock as clock_module
from edge.clock import STA_UNSYNC, SystemClock, is_synchronized


def test_the_boot_is_the_kernels():
    assert SystemClock().boot == clock_module.BOOT_ID.read_text().strip()


def test_without_a_boot_id_each_start_is_a_boot(tmp_path: Path):
    first, second = SystemClock(tmp_path / "none").boot, SystemClock(tmp_path / "none").boot
    assert first != second
    assert len(first) >= 8


def test_monotonic_never_goes_back():
    clock = SystemClock()
    times = [clock.mono_ms() for _ in range(100)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("status", "has_mark", "trusted"),
    [(0, False, True), (STA_UNSYNC, True, False), (0x2001, False, True), (None, True, True), (None, False, False)],
)
def test_trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int | None, has_mark: bool, trusted: bool):
    mark = tmp_path / "synchronized"
    if has_mark:
        mark.touch()
    monkeypatch.setattr(clock_module, "SYNCHRONIZED", mark)
    monkeypatch.setattr(clock_module, "_kernel_status", lambda: status)
    assert is_synchronized() is trusted
    assert SystemClock().clock_ok() is trusted


def test_the_kernel_answers():
    assert clock_module._kernel_status() is not None
