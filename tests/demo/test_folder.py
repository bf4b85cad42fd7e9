"""The data folder: nobody else's is emptied, and its sockets fit."""

import os
from pathlib import Path

import pytest

from demo.folder import MAX_SOCKET_PATH, Folder, FolderError


def test_a_folder_of_an_earlier_demonstration_is_emptied(tmp_path: Path) -> None:
    first = Folder(tmp_path / "data")
    (first.path / "homes" / "h02").mkdir()
    (first.path / "gateway.toml").touch()
    first.close()
    second = Folder(tmp_path / "data")
    second.close()
    assert sorted(entry.name for entry in second.kept.iterdir()) == [".shouwang-demo", "homes", "logs"]
    assert list((second.kept / "homes").iterdir()) == []


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(FolderError, match="choose another folder"):
        Folder(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "keep me"


def test_a_link_out_of_the_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "letter.txt").touch()
    first = Folder(tmp_path / "data")
    (first.kept / "link").symlink_to(outside)
    first.close()
    Folder(tmp_path / "data").close()
    assert (outside / "letter.txt").exists()


@pytest.mark.parametrize("temporary", ["t", "t" * 100])
def test_a_long_path_is_reached_by_a_short_one_that_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: str
) -> None:
    (tmp_path / temporary).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / temporary))
    kept = tmp_path / ("a-long-name-" * 10)
    folder = Folder(kept)
    assert len(os.fsencode(folder.path / "building" / "control.sock")) <= MAX_SOCKET_PATH
    assert folder.path.samefile(kept)
    folder.close()
    assert not folder.path.parent.exists()
    assert kept.is_dir()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="file"):
        Folder(tmp_path / "file" / "data")
