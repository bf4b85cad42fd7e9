"""A gateway put back from a copy, and the collector that has heard more of it than it knows itself."""

import shutil
from pathlib import Path

from device import wire
from edge import cli, journal
from tests.edge.district import Collector, living, to
from tests.edge.home import write_home
from tests.edge.parts import journal_in, offered, smoke
from tests.support import Mosquitto, wait_until


def test_a_collector_that_has_more_ends_the_restored_volume(tmp_path: Path, mosquitto: Mosquitto):
    """It acknowledges numbers that the copy never sent; nothing is kept back by that, doubled or sent for ever."""
    home, data = write_home(tmp_path), tmp_path / "data"
    collector = Collector(mosquitto)
    try:
        with living(data, to(mosquitto)) as house:
            house.alarm(1)
            wait_until(lambda: house.journal.volume().event_acked == 1)
        assert cli.main(["backup", "--config", str(home), "--to", str(tmp_path / "copies")]) == cli.WELL
        with living(data, to(mosquitto)) as house:
            house.alarm(2)
            wait_until(lambda: house.journal.volume().event_acked == 2)
        (copied,) = (tmp_path / "copies").iterdir()
        shutil.rmtree(data)  # another box, with an empty disk
        assert cli.main(["restore", str(copied), "--config", str(home)]) == cli.WELL
        with living(data, to(mosquitto)) as house:
            house.alarm(3)
            # The word about the new volume makes the gateway ask again about the old one, of which it holds one event.
            wait_until(lambda: [volume.event_acked for volume in house.journal.volumes()] == [1, 1], timeout_s=30)
            assert house.uplink.counters.acks_beyond == 0
        by_key: dict[tuple[str, int], set[str]] = {}
        for event in collector.of(wire.EVENT):
            by_key.setdefault((event.journal, event.seq), set()).add(event.why)
        assert sorted(map(tuple, by_key.values())) == [("no. 1",), ("no. 2",), ("no. 3",)], "one key, one event"
    finally:
        collector.close()


def test_what_the_collector_never_had_is_sent_out_of_the_copy(tmp_path: Path, mosquitto: Mosquitto):
    home, data = write_home(tmp_path), tmp_path / "data"
    with journal_in(data) as kept:
        kept.record([smoke(1)])
        offered(kept, 1)
    assert cli.main(["backup", "--config", str(home), "--to", str(tmp_path / "copies")]) == cli.WELL
    (copied,) = (tmp_path / "copies").iterdir()
    assert cli.main(["restore", str(copied), "--config", str(home)]) == cli.WELL
    collector = Collector(mosquitto)
    try:
        with living(data, to(mosquitto)) as house:
            house.alarm(2)
            wait_until(lambda: {event.why for event in collector.of(wire.EVENT)} == {"no. 1", "no. 2"}, timeout_s=30)
    finally:
        collector.close()
    assert [chain.broken_seq for chain in journal.verify(data)] == [None, None]
