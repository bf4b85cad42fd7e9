"""The torture's line does what it says, so that an outage in it is one."""

import socket
from collections.abc import Iterator

import pytest

from bench._torture_line import Line

SHORT_S, LONG_S = 0.2, 10.0


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


@pytest.fixture
def far_end(line: Line) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONG_S)
        line.target = server.getsockname()[1]
        yield server


def connected(line: Line, far_end: socket.socket) -> tuple[socket.socket, socket.socket]:
    near = socket.create_connection(("127.0.0.1", line.port), timeout=LONG_S)
    far, _ = far_end.accept()
    far.settimeout(LONG_S)
    return near, far


def is_hung_up_on(near: socket.socket) -> bool:
    try:
        return near.recv(1) == b""
    except ConnectionResetError:
        return True


def test_what_goes_in_comes_out_both_ways(line: Line, far_end: socket.socket):
    near, far = connected(line, far_end)
    with near, far:
        near.sendall(b"up")
        assert far.recv(9) == b"up"
        far.sendall(b"down")
        assert near.recv(9) == b"down"


def test_cut_it_drops_what_is_open_and_refuses_what_comes_until_it_is_mended(line: Line, far_end: socket.socket):
    near, far = connected(line, far_end)
    with near, far:
        line.cut()
        assert is_hung_up_on(near)
        assert is_hung_up_on(far)
    with socket.create_connection(("127.0.0.1", line.port), timeout=LONG_S) as refused:
        assert is_hung_up_on(refused)
    line.mend()
    near, far = connected(line, far_end)
    near.close()
    far.close()


def test_silent_it_hands_nothing_on_and_hangs_up_on_nobody(line: Line, far_end: socket.socket):
    near, far = connected(line, far_end)
    with near, far:
        line.silence()
        near.sendall(b"late")
        far.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            far.recv(9)
        line.mend()
        far.settimeout(LONG_S)
        assert far.recv(9) == b"late"


def test_where_nobody_listens_the_caller_is_hung_up_on(line: Line, far_end: socket.socket):
    far_end.close()
    with socket.create_connection(("127.0.0.1", line.port), timeout=LONG_S) as near:
        assert is_hung_up_on(near)
