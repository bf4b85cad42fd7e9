"""`shouwang-edge node`: what it writes, what it says, and what it refuses."""

import io
import stat
from pathlib import Path
from typing import Any

import pytest

from edge.cli import main
from edge.nodes import broker, enrolment
from edge.nodes.folder import Folder

SECRET = 'a "quoted" \\ 密码'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    broker.write(tmp_path / "nodes", "gateway", broker.Listener())
    return tmp_path / "nodes"


@pytest.fixture
def wifi(tmp_path: Path) -> Path:
    path = tmp_path / "wifi"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return path


def add(folder: Path, wifi: Path, *more: str) -> int:
    home = ["--wifi", "家", "--wifi-password-file", str(wifi), "--gateway", "192.168.1.10", "--folder", str(folder)]
    return main(["node", "add", *more, *home])


def values(path: Path) -> dict[str, Any]:
    """What a board finds in its board.py."""
    found: dict[str, Any] = {}
    exec(path.read_text("utf-8"), found)
    return found


def test_a_board_gets_its_values_and_nobody_else_may_read_them(folder: Path, wifi: Path, capsys):
    assert add(folder, wifi, "n1") == 0
    board = values(folder / "n1" / "board.py")
    assert (board["NODE"], board["WIFI_NAME"], board["WIFI_PASSWORD"]) == ("n1", "家", SECRET)
    assert (board["GATEWAY_HOST"], board["GATEWAY_PORT"], board["SLEEP_MS"]) == ("192.168.1.10", 1884, 0)
    assert bytes.fromhex(board["UPDATE_KEY"]) == Folder(folder).key("n1")
    (line,) = [line for line in (folder / "passwd").read_text().splitlines() if line.startswith("n1:")]
    assert broker.is_password(line, board["PASSWORD"])
    assert stat.S_IMODE((folder / "n1" / "board.py").stat().st_mode) == 0o600
    assert not any(path.stat().st_mode & stat.S_IRWXO for path in folder.rglob("*"))
    said = capsys.readouterr().out
    assert "mpremote cp" in said and 'code = "n1"' in said
    assert not any(secret in said for secret in (SECRET, board["PASSWORD"], board["UPDATE_KEY"]))


def test_no_two_nodes_share_a_secret(folder: Path, wifi: Path):
    boards = []
    for node in ("n1", "n2"):
        assert add(folder, wifi, node, "--kind", "sleeping", "--sleep", "2h") == 0
        boards.append(values(folder / node / "board.py"))
    assert boards[0]["PASSWORD"] != boards[1]["PASSWORD"]
    assert boards[0]["UPDATE_KEY"] != boards[1]["UPDATE_KEY"]
    assert boards[0]["SLEEP_MS"] == 7_200_000
    assert Folder(folder).nodes() == ["n1", "n2"]


def test_a_node_that_is_there_keeps_its_secrets_until_it_is_removed(folder: Path, wifi: Path, capsys):
    assert add(folder, wifi, "n1") == 0
    before = (folder / "n1" / "board.py").read_text()
    assert add(folder, wifi, "n1") == 2
    assert "remove it first" in capsys.readouterr().err
    assert (folder / "n1" / "board.py").read_text() == before
    assert main(["node", "remove", "n1", "--folder", str(folder)]) == 0
    assert Folder(folder).nodes() == []
    assert "n1:" not in (folder / "passwd").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "n/1", "--wifi", "w", "--gateway", "h"], "node: expected letters, digits"),
        (
            ["add", "n1", "--wifi", "w", "--gateway", "h", "--kind", "sleeping", "--sleep", "6"],
            '"1min" to "12h", got "6"',
        ),
        (["remove", "n7"], "n7 is not enrolled"),
        (["broker", "--port", "0"], "--port: expected 1 to 65535, got 0"),
        (["broker", "--certificate", "c.pem"], "--certificate and --key together"),
        (["broker", "--user", "a b"], "node: expected letters, digits"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], said: str, folder: Path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["node", *arguments, "--folder", str(folder)]) == 2
    assert said in capsys.readouterr().err


def test_without_a_broker_nobody_is_enrolled(tmp_path: Path, wifi: Path, capsys):
    assert add(tmp_path / "none", wifi, "n1") == 2
    assert "shouwang-edge node broker" in capsys.readouterr().err


def test_a_wifi_password_that_others_may_read_is_refused(folder: Path, wifi: Path, capsys):
    wifi.chmod(0o644)
    assert add(folder, wifi, "n1") == 2
    assert "must not be readable by others" in capsys.readouterr().err
    assert not (folder / "n1").exists()


def test_a_key_that_is_none_or_open_is_refused(folder: Path, wifi: Path):
    assert add(folder, wifi, "n1") == 0
    (folder / "n1" / "key").chmod(0o644)
    with pytest.raises(PermissionError, match="must not be readable by others"):
        Folder(folder).key("n1")
    (folder / "n1" / "key").chmod(0o600)
    (folder / "n1" / "key").write_text("ff\n")
    with pytest.raises(ValueError, match="64 hex digits"):
        Folder(folder).key("n1")


def test_a_template_of_another_version_is_refused():
    with pytest.raises(enrolment.EnrolmentError, match="has no NODE"):
        enrolment.board("WIFI_NAME = ''\n", {"NODE": "n1"})


def test_a_list_says_what_is_enrolled_though_the_gateway_is_not_there(folder: Path, wifi: Path, tmp_path: Path, capsys):
    assert add(folder, wifi, "n1") == 0
    assert main(["node", "list", "--folder", str(folder), "--config", str(tmp_path / "none.toml")]) == 0
    said = capsys.readouterr()
    assert "n1           enrolled, not in gateway.toml" in said.out
    assert "cannot be asked" in said.err
