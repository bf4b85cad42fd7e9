"""The command line, on a folder of its own."""

import socket
from pathlib import Path

import pytest

from collector.cli import main
from collector.settings import address, duration_ms
from collector.store.reader import Reader
from collector.store.schema import FILE


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    return ["--data", str(tmp_path / "data")]


def password_file(tmp_path: Path, text: str = "a long enough password\n") -> list[str]:
    path = tmp_path / "password"
    path.write_text(text)
    return ["--password-file", str(path)]


def test_accounts(tmp_path: Path, data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    given = password_file(tmp_path)
    assert main(["user", "add", "王建国", "--role", "bureau", *given, *data]) == 0
    assert main(["user", "add", "王建国", "--role", "bureau", *given, *data]) == 2
    assert main(["user", "password", "李", *given, *data]) == 2
    assert main(["user", "password", "王建国", *given, *data]) == 0
    capsys.readouterr()
    assert main(["user", "list", *data]) == 0
    assert capsys.readouterr().out == "王建国\tbureau\t\tdistrict\n"
    assert main(["user", "remove", "王建国", *data]) == 0
    assert main(["user", "remove", "王建国", *data]) == 2
    assert b"enough" not in (tmp_path / "data" / FILE).read_bytes()
    assert main(["verify", *data]) == 0


@pytest.mark.parametrize(
    ("name", "password", "complaint"),
    [("王", "short\n", "10 to 200"), ("王", "", "no password"), (" ", "a long password\n", "40 characters"),
     ("x" * 41, "a long password\n", "40 characters")],
)  # fmt: skip
def test_what_makes_no_account(
    name: str, password: str, complaint: str, tmp_path: Path, data: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["user", "add", name, "--role", "bureau", *password_file(tmp_path, password), *data]) == 2
    assert complaint in capsys.readouterr().err


def test_homes(tmp_path: Path, data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["home", "add", "h02", "安康老年公寓", *data]) == 0
    assert main(["home", "add", "h01", "旧名", *data]) == 0
    assert main(["home", "add", "h01", "和平里养老院", *data]) == 0
    assert main(["home", "add", "no/slash", "甲", *data]) == 2
    assert main(["home", "add", "h03", " ", *data]) == 2
    capsys.readouterr()
    assert main(["home", "list", *data]) == 0
    assert capsys.readouterr().out == "h01\t和平里养老院\nh02\t安康老年公寓\n"
    reader = Reader(tmp_path / "data")
    assert reader.homes() == [("h01", "和平里养老院"), ("h02", "安康老年公寓")]
    reader.close()


@pytest.mark.parametrize("command", [["verify"], ["rebuild"]])
def test_no_store_is_said(command: list[str], data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, *data]) == 2
    assert "there is no store" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--open-read", "--host", "0.0.0.0"], "loopback"),
        (["--mqtt", "nowhere"], "expected HOST:PORT, got 'nowhere'"),
        (["--silent-after", "101s"], 'at most "100s"'),
        (["--silent-after", "65"], "expected a duration"),
        (["--port", "70000"], "0 to 65535"),
    ],
)
def test_wrong_use_is_said_and_starts_nothing(
    arguments: list[str], complaint: str, data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["serve", *arguments, *data])
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2 and complaint in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_said(data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port), *data]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["user"], ["user", "add"], ["home", "add", "h01"], ["serve"]])
def test_an_incomplete_command_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2 and "usage:" in capsys.readouterr().err


def test_durations_and_addresses() -> None:
    assert [duration_ms(text) for text in ("65s", "500ms", "2min", "1h", "30d")] == [
        65_000, 500, 120_000, 3_600_000, 2_592_000_000,
    ]  # fmt: skip
    assert (address("broker:1883"), address("[::1]:8883")) == (("broker", 1883), ("::1", 8883))
    for wrong in ("", "1883", ":1883", "host:", "host:0", "host:99999", "host:x"):
        with pytest.raises(ValueError, match="expected HOST:PORT"):
            address(wrong)
