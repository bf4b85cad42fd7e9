"""What the console answers to whom: its own page, another site's, a stranger, a crowd; with an agent of every mood."""

import contextlib
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import support
from tests.console.running import (
    NURSE,
    STATUS,
    WRONG_PIN,
    Console,
    FakeAgent,
    console_with_fake_agent,
)
from tests.support import wait_until


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Console, FakeAgent]]:
    with console_with_fake_agent(tmp_path_factory.mktemp("c")) as made:
        yield made


@pytest.fixture
def console(both: tuple[Console, FakeAgent]) -> Console:
    return both[0]


@pytest.fixture
def agent(both: tuple[Console, FakeAgent]) -> FakeAgent:
    agent = both[1]
    agent.mood, agent.status = "answer", dict(STATUS)
    agent.asked.clear()
    with both[0].screen() as screen:
        screen.events("panel")
    return agent


# --- who may ask


def test_the_page_brings_nothing_that_another_site_could_use(console: Console) -> None:
    with console.screen() as screen:
        answer = screen.client.get("/")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/", {"host": "evil.example"}, None, 421),  # a name of the internet that leads to this address
        ("GET", "/api/stream", {"host": "evil.example:80"}, None, 421),
        ("POST", "/api/do", {"origin": "https://evil.example"}, {"do": "silence"}, 403),
        ("POST", "/api/do", {"origin": "http://127.0.0.1:1"}, {"do": "silence"}, 403),
        ("POST", "/api/do", {"origin": ""}, {"do": "silence"}, 403),
        ("POST", "/api/do", {"x-csrf-token": "guess"}, {"do": "silence"}, 403),
        ("POST", "/api/do", {"x-csrf-token": ""}, {"do": "silence"}, 403),
        ("POST", "/api/do", {"content-type": "text/plain"}, {"do": "silence"}, 415),
        ("POST", "/api/do", {}, "{", 400),
        ("POST", "/api/do", {}, [1], 400),
        ("POST", "/api/do", {}, {"do": "status"}, 400),
        ("POST", "/api/do", {}, {"do": "explode"}, 400),
        ("POST", "/api/do", {}, {"do": "disable", "for_ms": "1h"}, 400),
        ("POST", "/api/do", {}, {"do": "disable", "for_ms": -1}, 400),
        ("POST", "/api/do", {}, {"do": "disable", "why": "a\nb"}, 400),
        ("POST", "/api/do", {}, {"do": "silence", "why": "x" * 5_000}, 413),
        ("POST", "/api/sign-in", {}, {"name": NURSE}, 400),
        ("GET", "/api/do", {}, None, 405),
        ("POST", "/", {}, {}, 405),
        ("DELETE", "/api/do", {}, None, 405),
        ("GET", "/static/../console.html", {}, None, 404),
        ("GET", "/static/%2e%2e/console.html", {}, None, 404),
        ("GET", "/gateway.toml", {}, None, 404),
        ("GET", "/pair", {}, None, 404),  # tablets pair over TLS only
    ],
)
def test_what_is_not_the_pages_own_is_refused(
    console: Console, agent: FakeAgent, method: str, path: str, headers: dict[str, str], body: Any, status: int
) -> None:
    with console.screen() as screen:
        screen.take_token()
        content = body if isinstance(body, str) else json.dumps(body) if body is not None else None
        sent = {"content-type": "application/json", **headers}
        request = screen.client.build_request(method, console.url + path, content=content, headers=sent)
        request.url = httpx.URL(console.url).copy_with(raw_path=path.encode())  # as it is, dots and all
        assert screen.client.send(request).status_code == status
    assert agent.operations() == []


# --- who did it


def test_silencing_needs_no_pin_and_is_signed_by_the_place(console: Console, agent: FakeAgent) -> None:
    with console.screen() as screen:
        assert screen.do("silence").json() == {"ok": True}
    assert [(item["do"], item["who"]) for item in agent.operations()] == [("silence", "值班室")]


def test_everything_else_is_done_by_the_person_who_signed_in(console: Console, agent: FakeAgent) -> None:
    with console.screen() as screen:
        for operation in ("acknowledge", "reset", "disable", "walk_test", "self_test", "answer"):
            answer = screen.do(operation)
            assert (answer.status_code, answer.json()["reason"]) == (401, "sign_in")
        assert agent.operations() == []
        assert screen.sign_in().json()["name"] == NURSE
        cookie = screen.client.get("/api/session")
        assert cookie.json()["name"] == NURSE
        asked = {"subject": "smoke-203", "why": "施工动火", "for_ms": 3_600_000, "confirmed": True}
        assert screen.do("disable", **asked).json() == {"ok": True}
        screen.post("/api/sign-out", {})
        assert screen.do("reset").status_code == 401
    assert agent.operations() == [{"do": "disable", "who": NURSE, **asked}]


def test_a_session_is_a_cookie_that_no_script_can_read(console: Console, agent: FakeAgent) -> None:
    with console.screen() as screen:
        cookie = screen.sign_in().headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert "Secure" not in cookie  # loopback has no TLS, and the browser would not keep it


def test_a_refusal_of_the_agent_reaches_the_page(console: Console, agent: FakeAgent) -> None:
    agent.mood = "refuse"
    with console.screen() as screen:
        screen.sign_in()
        answer = screen.do("disable", subject="no-such")
    assert (answer.status_code, answer.json()) == (409, {"reason": "unknown_point", "error": "no such point"})


def test_five_wrong_pins_lock_operating_and_never_silencing(tmp_path: Path) -> None:
    with console_with_fake_agent(tmp_path) as (console, agent), console.screen() as screen, console.screen() as other:
        assert screen.sign_in().status_code == 200
        for _ in range(5):
            assert other.sign_in(WRONG_PIN).status_code == 403
        assert other.sign_in().json()["reason"] == "locked"
        assert screen.do("reset").json()["reason"] == "locked"  # also for whoever is signed in at this station
        assert 0 < screen.client.get("/api/session").json()["locked_ms"] <= 60_000
        assert other.do("silence").json() == {"ok": True}
        assert [item["do"] for item in agent.operations()] == ["silence"]
        assert WRONG_PIN not in console.log


# --- an agent that misbehaves


def test_an_agent_that_hangs_is_said_to_be_silent_and_comes_back(console: Console, agent: FakeAgent) -> None:
    with console.screen() as screen:
        agent.mood = "hang"
        began_s = time.monotonic()
        events = screen.events("silent")
        assert time.monotonic() - began_s > 2  # not at the first hiccup
        assert [name for name, _ in events if name not in ("tick", "panel")] == ["hello", "silent"]
        assert screen.client.get("/api/points").status_code == 503
        # A page that opens now is not told what was.
        assert "panel" not in [name for name, _ in screen.events("tick")]
        assert screen.do("silence").json()["reason"] == "silent"  # and nobody is told that it was done
        agent.mood = "answer"
        screen.events("panel")
        assert screen.client.get("/api/points").json()["points"][0]["code"] == "smoke-203"


# --- a crowd, and people with bad manners


def test_whatever_browsers_do_the_agent_is_asked_twice_a_second_over_one_connection(
    console: Console, agent: FakeAgent
) -> None:
    with contextlib.ExitStack() as stack:
        hung = [stack.enter_context(socket.create_connection(("127.0.0.1", console.port))) for _ in range(40)]
        for line in hung:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            with contextlib.suppress(OSError):  # the oldest have had to make room
                line.sendall(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\n\r\n".encode())
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", console.port))) for _ in range(5)]
        for line in slow:
            with contextlib.suppress(OSError):
                line.sendall(b"GET / HT")
        connections, asked = agent.connections, len(agent.asked)
        began_s, requests = time.monotonic(), 0
        with console.screen() as screen:
            while time.monotonic() - began_s < 2:
                assert screen.client.get("/api/points").status_code == 200
                requests += 1
        passed_s = time.monotonic() - began_s
        assert requests > 20
        assert len(agent.asked) - asked <= 2 * passed_s + 2
        assert agent.connections == connections


def test_a_finger_that_does_not_stop_reaches_the_agent_twice_a_second(console: Console, agent: FakeAgent) -> None:
    with console.screen() as screen:
        began_s = time.monotonic()
        statuses = [screen.do("silence").status_code for _ in range(60)]
        passed_s = time.monotonic() - began_s
    assert {200, 429} == set(statuses)
    assert len(agent.operations()) <= 8 + 2 * passed_s + 1


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS at the door without
        b"GET / HTTP/1.1\r\n\r\n",  # no host
        b"GET /\r\n" * 10,
        b"POST /api/do HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
        b"POST /api/do HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000,
        b"GET /?" + b"a=b&" * 2_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 3_000,
    ],
)
def test_what_is_no_request_costs_its_connection_only(console: Console, agent: FakeAgent, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", console.port), timeout=15) as line:
        line.sendall(raw)
        answer = b""
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while part := line.recv(4096):
                answer += part
    assert re.match(rb"HTTP/1.1 4\d\d ", answer) or not answer
    with console.screen() as screen:
        assert screen.client.get("/api/session").status_code == 200


def test_it_ends_at_once_when_it_is_told_to(tmp_path: Path) -> None:
    with (
        console_with_fake_agent(tmp_path) as (console, _),
        socket.create_connection(("127.0.0.1", console.port)) as line,
    ):
        line.sendall(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\n\r\n".encode())
        assert line.recv(100)
        assert console.end() == 0
        assert "Traceback" not in console.log


# --- tablets


def test_a_tablet_is_paired_over_tls_does_what_a_screen_does_and_is_revoked(tmp_path: Path) -> None:
    with console_with_fake_agent(tmp_path) as (console, agent):
        tablet_port = int(re.findall(r"tablet_port = (\d+)", console.config.read_text())[0])
        assert not support.accepts(tablet_port)  # nobody is to come in
        said = console.run("pair", "护士站平板")
        assert said.returncode == 0, said.stderr
        code = re.search(r"One-time code: (\d{4} \d{4})", said.stdout)
        shown = re.search(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", said.stdout)
        assert code is not None and shown is not None
        wait_until(lambda: support.accepts(tablet_port), what="the tablets' door")
        pem = tmp_path / "gw" / "console" / "certificate.pem"
        trusted = ssl.create_default_context(cafile=str(pem))
        url = f"https://127.0.0.1:{tablet_port}"
        assert _fingerprint(tablet_port) == shown[0]
        with console.screen(trusted, url) as tablet, console.screen(trusted, url) as stranger:
            for path in ("/api/stream", "/api/points", "/api/session"):
                assert stranger.client.get(path).status_code == 401
            assert stranger.client.post("/api/do", json={"do": "silence"}).status_code == 401
            assert stranger.client.get("/").headers["location"] == "/pair"
            assert "一次性代码" in stranger.client.get("/pair").text
            assert stranger.client.get("/certificate.crt").text == pem.read_text()
            assert stranger.client.post("/api/pair", json={"code": "00000000"}).status_code == 403
            foreign = {"origin": "https://evil.example"}
            assert tablet.client.post("/api/pair", json={"code": code[1]}, headers=foreign).status_code == 403
            paired = tablet.client.post("/api/pair", json={"code": code[1]})
            assert paired.json() == {"name": "护士站平板"}
            for part in ("__Host-", "Secure", "HttpOnly", "SameSite=Strict"):
                assert part in paired.headers["set-cookie"]
            assert stranger.client.post("/api/pair", json={"code": code[1]}).status_code == 403
            assert tablet.do("silence").json() == {"ok": True}
            assert "Secure" in tablet.sign_in().headers["set-cookie"]
            assert tablet.do("acknowledge").json() == {"ok": True}
            assert [item["who"] for item in agent.operations()] == ["护士站平板", NURSE]
            assert "护士站平板" in console.run("tablets").stdout
            with tablet.client.stream("GET", "/api/stream") as stream:
                assert console.run("revoke", "护士站平板").returncode == 0
                for _ in stream.iter_bytes():
                    pass  # it ends
            with contextlib.suppress(httpx.ConnectError):  # where the door has been closed already
                assert tablet.client.get("/api/session").status_code == 401
            wait_until(lambda: not support.accepts(tablet_port), what="the tablets' door to close")
        assert console.run("revoke", "护士站平板").returncode == 1


def test_strangers_who_do_not_finish_their_handshake_keep_no_screen_out(tmp_path: Path) -> None:
    with console_with_fake_agent(tmp_path) as (console, _), contextlib.ExitStack() as stack:
        tablet_port = int(re.findall(r"tablet_port = (\d+)", console.config.read_text())[0])
        assert console.run("pair", "平板").returncode == 0
        wait_until(lambda: support.accepts(tablet_port), what="the tablets' door")
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", tablet_port)))
        with console.screen() as screen:
            assert screen.do("silence").status_code == 200
        # They are put out one after the other, and then a tablet comes in.
        wait_until(lambda: _fingerprint(tablet_port), timeout_s=30, what="a handshake")


def _fingerprint(port: int) -> str:
    """Of whoever answers TLS there; empty where nobody does."""
    import hashlib

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=2) as line,
            context.wrap_socket(line) as secure,
        ):
            raw = secure.getpeercert(binary_form=True)
    except OSError:
        return ""
    assert raw is not None
    digest = hashlib.sha256(raw).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
