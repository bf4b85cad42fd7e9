"""A backup of a running collector is consistent, and a collector restored from it gets back what it has forgotten."""

import stat
import threading
from functools import partial
from pathlib import Path

from collector.store.schema import FILE
from tests.collector.gateway import LineGateway
from tests.collector.running import Collector, collector
from tests.support import Mosquitto, wait_until


def acked_from(gateway: LineGateway, seq: int) -> bool:
    return gateway.acked()[0] >= seq


def test_while_events_pour_in_it_is_whole_and_a_restored_collector_catches_up(tmp_path: Path, mosquitto: Mosquitto):
    arguments = ("--mqtt", f"{mosquitto.host}:{mosquitto.port}", "--open-read")
    gateway = LineGateway(mosquitto.host, mosquitto.port)
    stop = threading.Event()

    def pour() -> None:
        while not stop.is_set():
            gateway.send_event("clear" if gateway.seq % 2 else "raise", "fault", "leak-k")

    pouring = threading.Thread(target=pour, daemon=True)
    copy = tmp_path / "kept" / "monday.sqlite"
    try:
        with collector(tmp_path / "data", *arguments) as made:
            wait_until(lambda: made.board()["line"]["mqtt"] == "up", what="the line to the broker")
            pouring.start()
            wait_until(partial(acked_from, gateway, 50), what="some events")
            done = made.run("backup", str(copy))
            assert done.returncode == 0, done.stderr
            reached = gateway.acked()[0]
            wait_until(partial(acked_from, gateway, reached + 20), what="the collector to have gone on")
            stop.set()
            pouring.join()
            wait_until(lambda: gateway.acked()[0] == gateway.seq, what="everything acknowledged")
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
            assert made.run("backup", str(copy)).returncode == 2, "a backup is never written over"
        _restored(tmp_path / "restored", copy, gateway, arguments)
    finally:
        stop.set()
        gateway.close()


def _restored(folder: Path, copy: Path, gateway: LineGateway, arguments: tuple[str, ...]) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(copy.read_bytes())
    assert Collector(folder).run("verify").returncode == 0, "the copy is consistent as it is"
    gateway.acks.clear()
    with collector(folder, *arguments) as made:
        wait_until(lambda: made.board()["line"]["mqtt"] == "up", what="the line to the broker")
        gateway.send_state()
        wait_until(lambda: gateway.acks, what="to be told how far the copy goes")
        known = gateway.acked()[0]
        assert 0 < known < gateway.seq
        for seq in range(known + 1, gateway.seq + 1):  # as a gateway does when an acknowledgement goes back
            gateway.send(gateway.payloads[seq])
        wait_until(lambda: gateway.acked()[0] == gateway.seq, what="everything acknowledged")
        made.end()
        assert f"{gateway.seq} events, 0 in known gaps: ok" in made.run("verify").stdout


def test_without_a_store_there_is_nothing_to_copy(tmp_path: Path):
    done = Collector(tmp_path / "none").run("backup", str(tmp_path / "copy"))
    assert done.returncode == 2
    assert "no store" in done.stderr
    assert not (tmp_path / "copy").exists()


def test_a_damaged_store_makes_no_backup(tmp_path: Path):
    folder = tmp_path / "data"
    made = Collector(folder)
    assert made.run("home", "add", "h01", "和平里养老院").returncode == 0
    content = bytearray((folder / FILE).read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (folder / FILE).write_bytes(content)
    done = made.run("backup", str(tmp_path / "copy"))
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("copy*")) == []
