"""Children end with their parent, and say why they died."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo import broker
from demo.orders import Orders
from demo.processes import Child, ChildDied, Children
from demo.stopping import Stopped, Stopping, TookTooLong
from tests.support import need, wait_until

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(60)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def children_in(folder: Path) -> Children:
    return Children(folder, folder)


def has_said(child: Child, word: str) -> bool:
    return word in child.log.read_text()


def test_a_child_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    children = children_in(tmp_path)
    child = children.start("meter", python("import sys; print('no such port'); sys.exit(7)"))
    child.process.wait(10)
    with pytest.raises(ChildDied, match=r"meter ended with status 7.*(?s:.)*no such port"):
        children.check()
    children.stop_all()


def test_a_command_may_end_well_but_not_badly(tmp_path: Path) -> None:
    children = children_in(tmp_path)
    children.start("good", python("pass"), is_lasting=False).process.wait(10)
    children.check()
    children.start("bad", python("raise SystemExit(1)"), is_lasting=False).process.wait(10)
    with pytest.raises(ChildDied, match="bad ended with status 1"):
        children.check()


def test_servers_end_last_and_the_stubborn_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.processes.STOP_WITHIN_S", 0.5)
    children = children_in(tmp_path)
    server = children.start("server", python("import time; time.sleep(60)"), is_server=True)
    stubborn = children.start("stubborn", python(STUBBORN))
    wait_until(lambda: has_said(stubborn, "here"), what="the child")
    assert sorted(children.pids) == sorted([server.process.pid, stubborn.process.pid])
    children.stop_all()
    assert stubborn.process.returncode == -signal.SIGKILL
    assert server.process.returncode == -signal.SIGTERM
    assert children.pids == []


def test_a_child_leads_a_group_of_its_own(tmp_path: Path) -> None:
    children = children_in(tmp_path)
    child = children.start("child", python("import time; time.sleep(60)"))
    assert os.getpgid(child.process.pid) == child.process.pid != os.getpgid(0)
    children.stop_all()


def test_orders_to_the_dead_are_told(tmp_path: Path) -> None:
    children = children_in(tmp_path)
    child = children.start("district", python("print('broken', file=__import__('sys').stderr)"), with_pipes=True)
    child.process.wait(10)
    with pytest.raises(ChildDied, match=r"district does not answer(?s:.)*broken"):
        Orders(child).send({"home": "h02"})
    children.stop_all()


PARENT = """
import sys, time
from pathlib import Path
from demo import broker
from demo.processes import Children
folder = Path(sys.argv[1])
child = Children(folder, folder).start("broker", broker.command(sys.argv[2], folder, int(sys.argv[3])))
print(child.process.pid, flush=True)
time.sleep(60)
"""


def test_the_broker_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """As root too, where mosquitto would change its user and with that forget its parent."""
    port = broker.free_port()
    command = [*python(PARENT), str(tmp_path), need("mosquitto", "a real broker"), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        wait_until(lambda: broker.accepts(port), what="the broker")
        parent.kill()
    wait_until(lambda: not broker.accepts(port), what="the broker's end")


def test_time_is_up_and_waits_end(tmp_path: Path) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        over = Stopping(0.01)
        with pytest.raises(Stopped):
            over.wait(60)
        for number in handlers:
            told = Stopping(None)
            assert not told.is_due
            os.kill(os.getpid(), number)
            with pytest.raises(Stopped):
                told.wait_for(lambda: False, 60, "the end")
        with pytest.raises(TookTooLong, match="in vain for a home"):
            Stopping(None).wait_for(lambda: False, 0.01, "a home")
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
