"""Locks between processes: who has what, and that they end with their process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.locks import InUse, hold

HOLDER = """
import sys
from pathlib import Path
from edge.locks import hold
lock = hold(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_who_has_it_and_gets_it_when_that_one_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path), "/dev/ttyUSB0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InUse, match=rf"^/dev/ttyUSB0 is in use by process {holder.pid}$"):
            hold(tmp_path, "/dev/ttyUSB0")
        holder.kill()
        holder.wait()
        hold(tmp_path, "/dev/ttyUSB0").release()


def test_a_lock_is_of_one_thing_and_can_be_released_and_taken_again(tmp_path: Path) -> None:
    first = hold(tmp_path / "locks", "gpiochip0")
    other = hold(tmp_path / "locks", "i2c-1")
    with pytest.raises(InUse, match=str(os.getpid())):
        hold(tmp_path / "locks", "gpiochip0")
    first.release()
    first.release()
    hold(tmp_path / "locks", "gpiochip0").release()
    other.release()
