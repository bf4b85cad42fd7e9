"""The local socket: who asks is known by the kernel, and nobody who hangs, floods or babbles keeps others from it."""

import asyncio
import json
import os
import pwd
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core.values import Act, Operation, Refusal
from edge.station import ERRORS, MAX_LINE, MAX_STATIONS, SOCKET_NAME, Station, StationError, ask
from tests.support import wait_until

ME = pwd.getpwuid(os.getuid()).pw_name


class RunningStation:
    """A station on a loop in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / SOCKET_NAME
        self.acts: list[Act] = []
        self.failure: Exception | None = None
        self.refused: Refusal | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="station", daemon=True)
        self._thread.start()
        self._station = Station(folder, self._act, lambda: {"home": "h01", "name": "和平里"})
        self.run(self._station.start())

    def _act(self, act: Act) -> Refusal | None:
        if self.failure is not None:
            raise self.failure
        if self.refused is None:
            self.acts.append(act)
        return self.refused

    def run(self, work: Any) -> Any:
        """Carry out a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        """Stop, with nothing left on the loop."""
        self.run(self._station.stop())
        wait_until(lambda: len(asyncio.all_tasks(self._loop)) == 0, what="every connection to end")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def connect(self) -> socket.socket:
        """A bare connection."""
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(10)
        line.connect(str(self.path))
        return line


@pytest.fixture
def station(tmp_path: Path) -> Iterator[RunningStation]:
    running = RunningStation(tmp_path)
    yield running
    running.close()


def answer(line: socket.socket, sent: bytes) -> dict[str, Any]:
    """What comes back for some bytes."""
    line.sendall(sent)
    with line.makefile("rb") as lines:
        found: dict[str, Any] = json.loads(lines.readline())
    return found


def test_it_tells_and_acts_in_the_name_the_kernel_knows(station: RunningStation) -> None:
    assert ask(station.folder, {"do": "status"}) == {"ok": True, "home": "h01", "name": "和平里"}
    ask(station.folder, {"do": "silence"})
    ask(station.folder, {"do": "acknowledge", "who": " 李护士 ", "why": "看过了"})
    ask(station.folder, {"do": "reset", "who": "root"})
    assert station.acts == [
        Act(Operation.SILENCE, ME),
        Act(Operation.ACKNOWLEDGE, f"李护士 ({ME})", "看过了"),
        Act(Operation.RESET, f"root ({ME})"),
    ]


def test_the_socket_is_for_its_user_and_group_alone(station: RunningStation) -> None:
    assert stat.S_IMODE(station.path.stat().st_mode) == 0o660


def test_the_umask_is_as_it_was(station: RunningStation) -> None:
    was = os.umask(0o022)
    os.umask(was)
    assert was != 0o117


def test_an_operation_comes_through_with_all_that_was_said(station: RunningStation) -> None:
    said = {"do": "disable", "who": "李护士", "why": "换电池", "subject": "smoke-203", "for_ms": 7_200_000}
    ask(station.folder, {**said, "confirmed": True})
    assert station.acts == [Act(Operation.DISABLE, f"李护士 ({ME})", "换电池", "smoke-203", 7_200_000, True)]


@pytest.mark.parametrize("operation", ["disable", "enable", "walk_test", "answer"])
def test_what_needs_a_person_is_refused_without_a_name(station: RunningStation, operation: str) -> None:
    with pytest.raises(StationError, match="name of a person") as refused:
        ask(station.folder, {"do": operation, "who": " ", "why": "x", "subject": "smoke-203", "for_ms": 1000})
    assert refused.value.reason == Refusal.NO_NAME
    assert station.acts == []


def test_the_panels_refusal_is_told_in_words_and_by_its_code(station: RunningStation) -> None:
    for reason in Refusal:
        station.refused = reason
        with pytest.raises(StationError) as refused:
            ask(station.folder, {"do": "silence"})
        assert (str(refused.value), refused.value.reason) == (ERRORS[reason], reason)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"hello\n", "one JSON object"),
        (b"\xff\xfe\n", "one JSON object"),
        (b"[" * 50_000 + b"\n", "one JSON object"),
        (b"9" * 9_000 + b"\n", "one JSON object"),
        (b"[]\n", "status"),
        (b"null\n", "status"),
        (b"{}\n", "status"),
        (b'{"do": ["silence"]}\n', "status"),
        (b'{"do": "ask", "subject": "q"}\n', "unknown operation ask"),
        (b'{"do": "disarm"}\n', "unknown operation disarm"),
        (b'{"do": "disable", "who": "a", "subject": 5}\n', "subject"),
        (b'{"do": "disable", "who": "a", "subject": "' + b"x" * 41 + b'"}\n', "subject"),
        (b'{"do": "disable", "who": "a", "for_ms": 1.5}\n', "for_ms"),
        (b'{"do": "disable", "who": "a", "for_ms": -1}\n', "for_ms"),
        (b'{"do": "disable", "who": "a", "for_ms": true}\n', "for_ms"),
        (b'{"do": "disable", "who": "a", "for_ms": "2h"}\n', "for_ms"),
        (b'{"do": "disable", "who": "a", "confirmed": 1}\n', "confirmed"),
        (b'{"do": "Silence"}\n', "unknown operation Silence"),
        (b'{"do": "silence", "who": 5}\n', "who and why"),
        (b'{"do": "silence", "who": null}\n', "who and why"),
        (b'{"do": "silence", "who": "' + b"x" * 61 + b'"}\n', "who and why"),
        (b'{"do": "silence", "why": "' + b"x" * 301 + b'"}\n', "who and why"),
        (b'{"do": "silence", "who": "a\\nb"}\n', "who and why"),
        (b'{"do": "silence", "who": "\\u001b[2J"}\n', "who and why"),
        (b'{"do": "silence", "who": "\\u202emoc"}\n', "who and why"),
        (b'{"do": "silence", "who": "\\udc80"}\n', "who and why"),
    ],
)
def test_what_is_no_question_is_answered_so_and_done_by_nobody(station: RunningStation, sent: bytes, said: str) -> None:
    with station.connect() as line:
        refused = answer(line, sent)
        assert refused["ok"] is False and said in refused["error"]
        assert answer(line, b'{"do": "status"}\n')["ok"], "and the connection goes on"
    assert station.acts == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.binary(max_size=200) | st.text(max_size=60).map(lambda text: json.dumps({"do": text}).encode()))
def test_no_line_ends_the_station_or_acts(station: RunningStation, sent: bytes) -> None:
    with station.connect() as line:
        answer(line, sent.replace(b"\n", b"") + b"x\n")
    assert station.acts == []


def test_an_oversized_line_costs_its_own_connection_only(station: RunningStation) -> None:
    with station.connect() as line:
        try:
            line.sendall(b"x" * (4 * MAX_LINE))
            assert line.recv(10) == b""
        except ConnectionError:
            pass  # closed while we were still sending
    assert ask(station.folder, {"do": "status"})["ok"]


def test_half_a_line_and_silence_keep_nobody_waiting(station: RunningStation) -> None:
    with station.connect() as line:
        line.sendall(b'{"do": "sta')
        assert ask(station.folder, {"do": "status"})["ok"]
        assert answer(line, b'tus"}\n')["ok"]


def test_a_line_that_comes_in_pieces_is_one_line(station: RunningStation) -> None:
    with station.connect() as line:
        for byte in b'{"do": "silence"}':
            line.sendall(bytes([byte]))
        assert answer(line, b"\n") == {"ok": True}
    assert len(station.acts) == 1


def test_more_connections_than_there_are_places_end_the_oldest_and_not_the_newest(station: RunningStation) -> None:
    """Whoever holds all places must not keep a carer from silencing."""
    with ExitStack() as stack:
        lines = [stack.enter_context(station.connect()) for _ in range(MAX_STATIONS)]
        for line in lines:
            assert answer(line, b'{"do": "status"}\n')["ok"]
        for line in lines:
            line.sendall(b'{"do": ')
        for _ in range(20):
            assert ask(station.folder, {"do": "silence"})["ok"]
        assert len(station.acts) == 20
        with pytest.raises(ConnectionError):
            if lines[0].recv(10) == b"":
                raise ConnectionResetError


def test_one_after_the_other_there_is_no_end_to_callers(station: RunningStation) -> None:
    for _ in range(5 * MAX_STATIONS):
        assert ask(station.folder, {"do": "status"})["ok"]


def test_a_caller_that_hangs_up_before_its_answer_is_no_trouble(station: RunningStation) -> None:
    for _ in range(5):
        with station.connect() as line:
            line.sendall(b'{"do": "silence"}\n')
    wait_until(lambda: len(station.acts) == 5, what="the acts, which were asked for all the same")
    assert ask(station.folder, {"do": "status"})["ok"]


def test_an_act_that_fails_inside_is_told_to_whoever_asked(station: RunningStation) -> None:
    station.failure = RuntimeError("a bug")
    with pytest.raises(StationError, match="log"):
        ask(station.folder, {"do": "silence"})
    station.failure = None
    assert ask(station.folder, {"do": "silence"})["ok"]


def test_a_socket_that_a_killed_agent_left_is_taken_over(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / SOCKET_NAME))
    dead.close()
    with pytest.raises(StationError, match="no agent is running"):
        ask(tmp_path, {"do": "status"})
    running = RunningStation(tmp_path)
    assert ask(tmp_path, {"do": "status"})["ok"]
    running.close()
    assert not (tmp_path / SOCKET_NAME).exists()


def test_without_an_agent_the_answer_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(StationError, match="no agent is running there; start it with: shouwang-edge run"):
        ask(tmp_path, {"do": "status"})


def test_an_agent_that_does_not_answer_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / SOCKET_NAME))
        deaf.listen()
        with pytest.raises(StationError, match="did not answer"):
            ask(tmp_path, {"do": "status"}, timeout_s=0.2)
