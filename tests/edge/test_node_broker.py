"""What is written for the nodes' broker, judged by mosquitto's own tools."""

import stat
import subprocess
from pathlib import Path

from edge.nodes import broker
from tests.support import need


def test_a_user_is_written_as_mosquitto_writes_it(tmp_path: Path):
    path = tmp_path / "passwd"
    tool = need("mosquitto_passwd", "users of the nodes' broker")
    subprocess.run([tool, "-b", "-c", str(path), "n1", "geheim"], check=True, capture_output=True)
    (line,) = path.read_text().splitlines()
    assert broker.is_password(line, "geheim")
    assert not broker.is_password(line, "anders")
    assert broker.is_password(broker.user_line("n1", "geheim"), "geheim")


def test_all_that_is_written_is_closed_to_others(tmp_path: Path):
    folder = tmp_path / "nodes"
    broker.write(folder, "gateway", broker.Listener())
    broker.set_user(folder, "n1", "geheim")
    assert not folder.stat().st_mode & stat.S_IRWXO
    assert all(not path.stat().st_mode & stat.S_IRWXO for path in folder.iterdir())
    assert "geheim" not in (folder / broker.USERS).read_text()


def test_writing_again_keeps_passwords_and_users(tmp_path: Path):
    broker.write(tmp_path, "gateway", broker.Listener())
    broker.set_user(tmp_path, "n1", "geheim")
    before = (tmp_path / broker.USERS).read_text(), (tmp_path / "gateway.password").read_text()
    broker.write(tmp_path, "gateway", broker.Listener(port=8884, certificate="/c.pem", key="/k.pem"))
    assert ((tmp_path / broker.USERS).read_text(), (tmp_path / "gateway.password").read_text()) == before
    assert "certfile /c.pem" in (tmp_path / broker.CONFIGURATION).read_text()
    broker.set_user(tmp_path, "n1", None)
    assert "n1:" not in (tmp_path / broker.USERS).read_text()
