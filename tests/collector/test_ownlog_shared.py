"""The collector's own log is one chain, though its commands write to it from a process of their own."""

from pathlib import Path

from collector.clock import SYSTEM
from collector.ownlog import OwnKind
from collector.store.writer import Writer
from tests.collector.running import PASSWORD, Collector


def test_a_command_and_the_running_collector_write_one_chain(tmp_path: Path):
    folder = tmp_path / "data"
    writer = Writer(folder, SYSTEM, lambda records, acks: None)
    writer.start()
    try:
        for name in ("王建国", "李丽"):
            writer.run(lambda intake: intake.note(OwnKind.START)).result(10)
            assert Collector(folder).run("user", "add", name, "--role", "bureau", stdin=PASSWORD).returncode == 0
        writer.run(lambda intake: intake.note(OwnKind.STOP)).result(10)
    finally:
        writer.stop()
    verified = Collector(folder).run("verify")
    assert verified.returncode == 0, verified.stdout
    assert "5 events, 0 in known gaps: ok" in verified.stdout
