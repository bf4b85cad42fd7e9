"""The journal as a record: checked, copied and brought back, also while somebody writes it."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edge import cli, journal
from edge.cli import FAILED, WELL
from edge.field.records import MANIFEST
from edge.journal.layout import FILE, key_of
from tests.edge.home import write_home
from tests.edge.parts import events_of, journal_in, offered, smoke
from tests.support import ROOT, wait_until


def fill(data: Path, count: int) -> str:
    """A journal with that many events; its id."""
    with journal_in(data) as kept:
        before = kept.volume().event_seq
        for number in range(count):
            kept.record([smoke(number)], snapshot=b"{}")
        offered(kept, before + count)
        return kept.volume().journal


def run(home: Path, *arguments: str) -> int:
    return cli.main([arguments[0], "--config", str(home), *arguments[1:]])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write_home(tmp_path)


def made(tmp_path: Path) -> Path:
    """The one copy in the folder of copies."""
    (copied,) = (tmp_path / "copies").iterdir()
    return copied


def test_a_whole_chain_is_said_to_be_whole(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    name = fill(tmp_path / "data", 3)
    assert run(home, "verify") == WELL
    assert capsys.readouterr().out.splitlines() == [
        f"  volume {name}: events 1 to 3 are whole",
        f"{tmp_path / 'data'}: every event is what it was written as",
    ]
    assert run(home, "verify", "--json", "--data", str(tmp_path / "data")) == WELL
    said = json.loads(capsys.readouterr().out)
    assert said["is_whole"] is True
    assert said["chains"] == [{"journal": name, "first_seq": 1, "last_seq": 3, "broken_seq": None, "problem": ""}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE event SET payload = replace(payload, 'no. 1', 'no. 7') WHERE key = ?", "BROKEN at event 2: hash"),
        ("DELETE FROM event WHERE key = ?", "BROKEN at event 2: missing"),
        ("UPDATE event SET payload = 'x' WHERE key = ?", "BROKEN at event 2: payload: expected bytes"),
    ],
)
def test_it_says_where_a_chain_breaks(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, said: str
):
    fill(tmp_path / "data", 3)
    with sqlite3.connect(tmp_path / "data" / FILE) as db:
        change = change.replace("replace(payload", "CAST(replace(CAST(payload AS TEXT)")
        change = change.replace("'no. 7')", "'no. 7') AS BLOB)")
        assert db.execute(change, (key_of(1, 2),)).rowcount == 1
    db.close()
    assert run(home, "verify") == FAILED
    out = capsys.readouterr().out
    assert said in out
    assert out.endswith("the record has been damaged\n")


@pytest.mark.parametrize("command", [("verify",), ("backup", "--to", "copies")])
def test_without_a_journal_it_says_so(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(home, *command) == FAILED
    assert capsys.readouterr().err == f"shouwang-edge: {tmp_path / 'data' / FILE}: no journal is there\n"
    assert not (tmp_path / "data").exists()


def test_what_is_no_database_is_a_sentence(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_bytes(b"x" * 5000)
    assert run(home, "verify") == FAILED
    assert capsys.readouterr().err.endswith("file is not a database\n")


def test_a_copy_of_a_journal_that_is_being_written(home: Path, tmp_path: Path):
    """Another process writes as fast as it can; each copy is one unbroken chain that reaches to its moment."""
    writing = [sys.executable, "-m", "tests.edge.remembering", str(tmp_path / "data")]
    process = subprocess.Popen(writing, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait_until((tmp_path / "data" / FILE).exists, what="the journal")
        reached: list[int] = []
        for number in range(3):
            wait_until(lambda: _last(tmp_path / "data") > (reached or [0])[-1] + 50, what="the writer to write")
            assert run(home, "backup", "--to", str(tmp_path / f"copies-{number}")) == WELL
            (copied,) = (tmp_path / f"copies-{number}").iterdir()
            (chain,) = journal.verify(copied)
            assert chain.broken_seq is None
            reached.append(chain.last_seq)
            assert process.poll() is None
        assert reached == sorted(set(reached))
        assert run(home, "verify") == WELL, "beside the writer"
    finally:
        process.kill()
        process.wait()


def _last(data: Path) -> int:
    try:
        return journal.verify(data)[-1].last_seq
    except (journal.JournalError, IndexError):
        return 0


def test_a_copy_holds_the_configuration_and_nobody_else_may_read_it(home: Path, tmp_path: Path):
    profile = tmp_path / "own-meter.toml"
    profile.write_text((ROOT / "tests/sources/meter.toml").read_text("utf-8"), "utf-8")
    home.write_text(home.read_text("utf-8").replace('profile = "acrel-asj"', f'profile = "{profile}"'), "utf-8")
    fill(tmp_path / "data", 2)
    assert run(home, "backup", "--to", str(tmp_path / "copies")) == WELL
    copied = made(tmp_path)
    assert {path.name for path in copied.iterdir()} == {FILE, "gateway.toml", "own-meter.toml", MANIFEST}
    assert (copied / "gateway.toml").read_bytes() == home.read_bytes()
    assert copied.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in copied.iterdir() if path.name != MANIFEST)
    assert json.loads((copied / MANIFEST).read_text())["chains"][0]["last_seq"] == 2


def test_a_restored_journal_goes_on_in_a_volume_of_its_own(home: Path, tmp_path: Path):
    """What happened after the copy is in the collector under the old id: those numbers must never be given again."""
    data = tmp_path / "data"
    old = fill(data, 3)
    assert run(home, "backup", "--to", str(tmp_path / "copies")) == WELL
    assert fill(data, 2) == old
    assert run(home, "restore", str(made(tmp_path))) == WELL
    (aside,) = [path for path in data.iterdir() if ".replaced-" in path.name]
    assert sqlite3.connect(aside).execute("SELECT count(*) FROM event").fetchone() == (5,)
    with journal_in(data) as kept:
        assert kept.snapshot is not None and kept.snapshot.body == b"{}"
        # What the events' second copy still had of the time after the backup is taken in as well.
        assert next((volume.journal, volume.event_seq) for volume in kept.volumes()) == (old, 5)
        new = kept.volume().journal
        assert new != old
        kept.record([smoke(9)])
        offered(kept, 1)
        assert [len(events_of(kept, name)) for name in (old, new)] == [5, 1]
    assert [(chain.journal, chain.last_seq, chain.broken_seq) for chain in journal.verify(data)] == [
        (old, 5, None),
        (new, 1, None),
    ]


def test_a_copy_put_back_twice_begins_two_volumes(home: Path, tmp_path: Path):
    fill(tmp_path / "data", 1)
    assert run(home, "backup", "--to", str(tmp_path / "copies")) == WELL
    ids = set()
    for _ in range(2):
        assert run(home, "restore", str(made(tmp_path))) == WELL
        ids.add(journal.verify(tmp_path / "data")[-1].journal)
    assert len(ids) == 2


def test_nothing_is_restored_under_a_running_agent(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from edge import locks

    fill(tmp_path / "data", 1)
    assert run(home, "backup", "--to", str(tmp_path / "copies")) == WELL
    before = (tmp_path / "data" / FILE).read_bytes()
    held = locks.hold(tmp_path / "data", "agent")
    try:
        assert run(home, "restore", str(made(tmp_path))) == FAILED
    finally:
        held.release()
    assert "is in use by process" in capsys.readouterr().err
    assert (tmp_path / "data" / FILE).read_bytes() == before


def _damage(copied: Path) -> None:
    file = copied / FILE
    raw = bytearray(file.read_bytes())
    raw[-100] ^= 1
    file.write_bytes(raw)


def _of_another_home(copied: Path) -> None:
    file = copied / MANIFEST
    file.write_text(file.read_text().replace('"home": "h01"', '"home": "h02"'))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_damage, "not what was copied"),
        (_of_another_home, "expected a copy of h01/g1, got one of h02/g1"),
        (lambda copied: (copied / MANIFEST).unlink(), "not a copy that `shouwang-edge backup` has made"),
        (lambda copied: (copied / MANIFEST).write_text("[]"), "damaged"),
    ],
)
def test_what_is_no_sound_copy_of_this_gateway_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil, said: str
):
    fill(tmp_path / "data", 1)
    assert run(home, "backup", "--to", str(tmp_path / "copies")) == WELL
    spoil(made(tmp_path))
    before = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert run(home, "restore", str(made(tmp_path))) == FAILED
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == before


def test_a_broken_chain_is_copied_and_said_to_be_broken(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    fill(tmp_path / "data", 3)
    db = sqlite3.connect(tmp_path / "data" / FILE)
    with db:
        db.execute("DELETE FROM event WHERE key = ?", (key_of(1, 2),))
    db.close()
    assert run(home, "backup", "--to", str(tmp_path / "copies")) == FAILED
    assert "kept, but its chain is broken" in capsys.readouterr().err
    assert made(tmp_path).name.endswith(".broken")
