"""The collector as its own process, with a real broker: acknowledgements, outages, kill -9, and the HTTP it serves."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from collector import models
from collector.store.reader import Reader
from device import wire
from tests import support
from tests.collector.gateway import LineGateway
from tests.collector.running import NAME, PASSWORD, Collector, collector, log_in
from tests.support import Mosquitto, wait_until


@contextmanager
def line(broker: Mosquitto, **more: Any) -> Iterator[LineGateway]:
    gateway = LineGateway(broker.host, broker.port, **more)
    try:
        yield gateway
    finally:
        gateway.close()


class Served(NamedTuple):
    """A collector and the broker it listens on."""

    collector: Collector
    broker: Mosquitto


@contextmanager
def serving(folder: Path, *arguments: str, account: bool = False) -> Iterator[Served]:
    (folder / "mosquitto").mkdir()
    with support.running_mosquitto(folder / "mosquitto") as broker:
        address = f"{broker.host}:{broker.port}"
        with collector(folder / "data", "--mqtt", address, *arguments, account=account) as made:
            yield Served(made, broker)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One open board for all tests that leave it running; each has homes of its own."""
    with serving(tmp_path_factory.mktemp("open"), "--open-read") as made:
        wait_until(lambda: made.collector.board()["line"]["mqtt"] == "up", what="the line to the broker")
        yield made


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One board behind a login."""
    with serving(tmp_path_factory.mktemp("guarded"), account=True) as made:
        yield made


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Collector]:
    """A board of one's own, to be killed."""
    with serving(tmp_path, "--open-read") as made:
        wait_until(lambda: made.collector.board()["line"]["mqtt"] == "up", what="the line to the broker")
        yield made.collector


def is_class(made: Collector, name: str, home: str = "h01") -> Callable[[], bool]:
    return lambda: made.home(home)["class"] == name


# --- the alarm's way ------------------------------------------------------------------------------------------------


def test_an_alarm_reaches_the_board_and_is_acknowledged(shared: Served) -> None:
    made, broker = shared
    with line(broker, home="a1") as gateway:
        gateway.send_points()
        gateway.send_state()
        wait_until(is_class(made, "normal", "a1"), what="a normal home")
        gateway.send_event("raise", "fire", "smoke-203", order=1)
        wait_until(is_class(made, "fire", "a1"), what="the fire")
        gateway.send_readings(("leak-k", 12, None))
        wait_until(lambda: gateway.acked() == (1, 1), what="the acknowledgement")
    [alarm] = made.home("a1")["conditions"]
    assert (alarm["place"], alarm["zone_name"]) == ("二楼203室", "二楼")
    assert (alarm["order"], alarm["sound"]) == (1, True)
    assert [item["home_name"] for item in made.board()["alarms"] if item["home"] == "a1"] == ["和平里养老院"]


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, mosquitto: Mosquitto) -> None:
    arguments = ("--mqtt", f"{mosquitto.host}:{mosquitto.port}", "--open-read")
    with collector(tmp_path / "data", *arguments) as made, line(mosquitto) as gateway:
        for round_ in range(3):
            for _ in range(150):
                gateway.send_event("raise", "fault", f"p-{gateway.seq}")
            wait_until(partial(_is_acked_beyond, gateway, round_ * 150), what="some acknowledgement")
            made.kill()
            acked = gateway.acked()[0]
            stored = _stored(made)
            assert set(range(1, acked + 1)) <= stored
            made.start()
            wait_until(lambda: made.board()["line"]["mqtt"] == "up", what="the line after the restart")
            for seq in range(1, gateway.seq + 1):  # as the gateway does: again whatever has not been acknowledged
                if seq > acked:
                    gateway.send(gateway.payloads[seq])
            wait_until(lambda: gateway.acked()[0] == gateway.seq, what="everything acknowledged")
        assert made.end() == 0
        verified = made.run("verify")
        assert verified.returncode == 0, verified.stdout
        assert f"{gateway.seq} events, 0 in known gaps: ok" in verified.stdout
        assert made.run("rebuild").stderr == "positions corrected: 0\n"


def _is_acked_beyond(gateway: LineGateway, seq: int) -> bool:
    return gateway.acked()[0] > seq


def _stored(made: Collector) -> set[int]:
    reader = Reader(made.folder)
    try:
        return {seq for seq, _ in reader.payloads("h01", "g1", "journal-a")}
    finally:
        reader.close()


def test_after_a_restart_nobody_is_normal_before_they_were_heard(tmp_path: Path, mosquitto: Mosquitto) -> None:
    arguments = ("--mqtt", f"{mosquitto.host}:{mosquitto.port}", "--open-read")
    with collector(tmp_path / "data", *arguments) as made, line(mosquitto) as gateway:
        gateway.send_points()
        gateway.send_state()
        wait_until(is_class(made, "normal"), what="a normal home")
        assert made.end() == 0
        made.start()
        wait_until(lambda: made.board()["line"]["mqtt"] == "up", what="the line after the restart")
        wait_until(lambda: "shouwang_received_state_total 1\n" in _metrics(made), what="the state the broker kept")
        home = made.home()
        assert (home["class"], home["heard_age_ms"], home["name"]) == ("unheard", None, "和平里养老院")
        wait_until(lambda: gateway.acks, what="an acknowledgement after the restart")
        gateway.send_state()
        wait_until(is_class(made, "normal"), what="a normal home again")


def test_silence_and_return_are_one_entry_each(tmp_path: Path, mosquitto: Mosquitto) -> None:
    arguments = ("--mqtt", f"{mosquitto.host}:{mosquitto.port}", "--open-read", "--silent-after", "2s")
    with collector(tmp_path / "data", *arguments) as made, line(mosquitto) as gateway:
        gateway.send_state()
        wait_until(is_class(made, "normal"), what="a normal home")
        wait_until(is_class(made, "silent"), what="a silent home")
        wait_until(lambda: "silent" in _own_kinds(made), what="the entry")
        made.end()
        made.start()  # still silent, and not said again
        wait_until(lambda: made.board()["line"]["mqtt"] == "up", what="the line after the restart")
        assert made.home()["class"] == "silent"
        gateway.send_state()
        wait_until(is_class(made, "normal"), what="a normal home again")
        kinds = _own_kinds(made)
        assert (kinds.count("silent"), kinds.count("back")) == (1, 1)


def test_a_dead_broker_is_one_fault_of_the_line_and_accuses_no_home(tmp_path: Path, mosquitto: Mosquitto) -> None:
    arguments = ("--mqtt", f"{mosquitto.host}:{mosquitto.port}", "--open-read", "--silent-after", "1s")
    with collector(tmp_path / "data", *arguments) as made:
        with line(mosquitto) as gateway:
            gateway.send_state()
            wait_until(is_class(made, "normal"), what="a normal home")
            mosquitto.kill()
            wait_until(lambda: made.board()["line"]["mqtt"] == "down", what="the line to be lost")
        wait_until(is_class(made, "unheard"), what="a home that is not heard")
        with made.client() as client:
            answer = client.get("/healthz")
            assert (answer.status_code, answer.json()["mqtt"]) == (503, "down")
        wait_until(lambda: "line_down" in _own_kinds(made), what="the entry about the line")
        mosquitto.start()
        wait_until(lambda: made.board()["line"]["mqtt"] == "up", what="the line to come back")
        wait_until(lambda: "line_up" in _own_kinds(made), what="the entry about the return")
        with line(mosquitto) as gateway:
            gateway.send_state()
            wait_until(is_class(made, "normal"), what="a normal home")
        kinds = _own_kinds(made)
        assert (kinds.count("line_down"), kinds.count("line_up")) == (1, 1)


def _own_kinds(made: Collector) -> list[str]:
    with made.client() as client:
        events = client.get("/api/v1/events", params={"limit": 200}).json()["events"]
    return [event["kind"] for event in events if event["source"] == "collector"]


def _metrics(made: Collector) -> str:
    with made.client() as client:
        return client.get("/metrics").text


# --- bad input ------------------------------------------------------------------------------------------------------

GARBAGE = [
    b"", b"\x00\xff\xfe", b"{}", b"[]", b"null", b'{"v":2}', b'{"v":1', b"[" * 60_000, b"x" * 65_537,
    '{"v":1,"journal":"火警"}'.encode(),
]  # fmt: skip


def test_garbage_on_every_topic_is_counted_said_once_and_changes_nothing(shared: Served) -> None:
    made, broker = shared
    with line(broker, home="b1") as gateway:
        before = _count(made, "refused")
        for channel in wire.UP:
            for payload in GARBAGE * 2:
                gateway.send(payload, channel)
        gateway.publish("shouwang/1/no home/g1/event", b"{}")
        gateway.publish("shouwang/1/b1/g1/nonsense", b"{}")  # nobody listens to that
        expected = before + len(wire.UP) * len(GARBAGE) * 2 + 1
        wait_until(lambda: _count(made, "refused") == expected, what="all of it counted")
        forged = gateway.event("raise", "fire", "smoke-203").replace(b"smoke-203", b"smoke-204")
        gateway.send(forged)
        gateway.send_state(active=())
        wait_until(is_class(made, "normal", "b1"), what="a normal home in spite of it")
    assert made.home("b1")["conditions"] == []
    said = [text for text in made.log.splitlines() if wire.topic("b1", "g1", wire.STATE) in text]
    assert 0 < len(said) < 2 * len(GARBAGE)  # b"" and b"\\x00…" are wrong in the same way, and that is said once
    assert "Traceback" not in made.log


def _count(made: Collector, name: str) -> int:
    found = re.search(rf"^shouwang_{name}_total (\d+)$", _metrics(made), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_a_second_collector_on_the_same_folder_is_refused(served: Collector) -> None:
    second = served.run("serve", "--port", "0")
    assert second.returncode == 2 and "another collector is running on this folder" in second.stderr


def test_a_damaged_store_is_moved_aside_and_the_board_goes_on(tmp_path: Path, mosquitto: Mosquitto) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "collector.sqlite").write_bytes(b"SQLite format 3\x00" + b"\x11" * 8_000)
    with collector(tmp_path / "data", "--mqtt", f"{mosquitto.host}:{mosquitto.port}", "--open-read") as made:
        wait_until(lambda: "store_replaced" in _own_kinds(made), what="the entry about it")
    assert list((tmp_path / "data").glob("*.damaged-*"))


# --- the end --------------------------------------------------------------------------------------------------------


def test_it_ends_in_order_and_at_once_with_streams_open(served: Collector) -> None:
    with served.client() as client, client.stream("GET", "/api/v1/stream") as stream:
        chunks = stream.iter_bytes()
        next(chunks)
        began = time.monotonic()
        assert served.end() == 0
        assert time.monotonic() - began < 3.0  # a promise to whoever runs it, with ten times what it takes
        for _ in chunks:
            pass
    assert "Traceback" not in served.log


def test_it_stays_small_with_a_district_of_homes(shared: Served) -> None:
    made, broker = shared
    with line(broker) as gateway:
        for number in range(1, 23):
            gateway.home, gateway.journal, gateway.seq, gateway.head = f"h{number:02}", "journal-a", 0, wire.GENESIS
            gateway.send_points()
            gateway.send_event("raise", "fire", "smoke-203")
            gateway.send_state()
        wait_until(lambda: made.board()["counts"]["by_class"]["fire"] >= 22, what="22 homes on fire")
    assert made.process is not None
    assert psutil.Process(made.process.pid).memory_info().rss < 120 * 2**20


# --- HTTP -----------------------------------------------------------------------------------------------------------


def test_every_documented_route_answers_in_its_documented_shape(shared: Served) -> None:
    made, broker = shared
    with line(broker, home="c1") as gateway:
        gateway.send_points()
        gateway.send_event("raise", "fire", "smoke-203")
        gateway.send_state()
        wait_until(is_class(made, "fire", "c1"), what="the fire")
    with made.client() as client:
        paths = client.get("/api/v1/openapi.json").json()["paths"]
        assert {path for path in paths if "get" in paths[path]} == {
            "/api/v1/board", "/api/v1/homes/{home}", "/api/v1/events", "/api/v1/stream", "/healthz", "/metrics",
        }  # fmt: skip
        for path, model in (
            ("/api/v1/board", models.Board), ("/api/v1/homes/c1", models.HomeDetail),
            ("/api/v1/events", models.Events), ("/healthz", models.Health),
        ):  # fmt: skip
            answer = client.get(path)
            assert answer.status_code == 200
            model.model_validate_json(answer.content)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/homes/h99", 404), ("GET", "/api/v1/homes/no%20home", 422),
        ("GET", "/api/v1/events?limit=0", 422), ("GET", "/api/v1/events?before=99999999999999999999", 422),
        ("GET", "/api/v1/events?class=%00", 422), ("GET", "/api/v1/nothing", 404), ("GET", "/static/../cli.py", 404),
        ("GET", "/static/nothing.js", 404), ("POST", "/api/v1/board", 405), ("DELETE", "/api/v1/events", 405),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(shared: Served, method: str, path: str, status: int) -> None:
    with shared.collector.client() as client:
        answer = client.request(method, path)
    assert answer.status_code == status
    assert len(models.Problem.model_validate_json(answer.content).error) > 10


def test_a_body_has_a_limit(shared: Served) -> None:
    with shared.collector.client() as client:
        big = client.post("/api/v1/alarms/seen", content=b"x" * 20_000)
        assert big.status_code == 413 and "16384" in big.json()["error"]
        endless = client.post("/api/v1/alarms/seen", content=iter([b"x"] * 3))
        assert endless.status_code == 411


def test_events_of_both_logs_are_paged_and_filtered(shared: Served) -> None:
    with line(shared.broker, home="d1") as gateway, shared.collector.client() as client:
        for number in range(5):
            gateway.send_event("raise", "fault" if number % 2 else "fire", f"p-{number}")
        wait_until(lambda: gateway.acked()[0] == 5, what="all acknowledged")
        first = client.get("/api/v1/events", params={"home": "d1", "limit": 3}).json()
        second = client.get("/api/v1/events", params={"home": "d1", "limit": 3, "before": first["next"]}).json()
        assert [event["seq"] for event in first["events"] + second["events"]] == [5, 4, 3, 2, 1]
        assert second["next"] is None
        faults = client.get("/api/v1/events", params={"class": "fault", "home": "d1"}).json()["events"]
        assert [event["point"] for event in faults] == ["p-3", "p-1"]


def test_security_headers_are_on_every_answer(shared: Served) -> None:
    with shared.collector.client() as client:
        for path in ("/", "/login", "/api/v1/board", "/static/board.css", "/nothing", "/healthz"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
            assert headers["x-content-type-options"] == "nosniff" and "cache-control" in headers


def test_an_open_board_answers_to_loopback_names_only(shared: Served) -> None:
    with shared.collector.client() as client:
        assert client.get("/api/v1/board", headers={"host": "evil.example"}).status_code == 421
        assert client.get("/api/v1/board", headers={"host": f"localhost:{shared.collector.port}"}).status_code == 200
        seen = client.post("/api/v1/alarms/seen", json={})
        assert seen.status_code == 401 and "name" in seen.json()["error"]


def test_the_stream_ticks_and_tells_an_alarm(shared: Served) -> None:
    made, broker = shared
    with line(broker, home="e1") as gateway, made.client() as client, client.stream("GET", "/api/v1/stream") as stream:
        events = _events(stream)
        assert next(events)[0] == "snapshot"
        gateway.send_event("raise", "fire", "smoke-203", order=1)
        names: list[str] = []
        while not {"alarm", "home", "board", "tick"} <= set(names):
            name, data = next(events)
            names.append(name)
            if name == "alarm":
                assert (data["point"], data["sound"]) == ("smoke-203", True)
        assert names.index("alarm") < names.index("home")


def test_a_home_named_on_the_command_line_is_on_the_board_soon(shared: Served) -> None:
    assert shared.collector.run("home", "add", "f1", "安康老年公寓").returncode == 0
    wait_until(lambda: "name" in shared.collector.home("f1"), what="the home")
    home = shared.collector.home("f1")
    assert (home["name"], home["class"], home["registered"]) == ("安康老年公寓", "unheard", True)


def _events(stream: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for text in stream.iter_lines():
        if text.startswith("event: "):
            name = text[7:]
        elif text.startswith("data: "):
            yield name, json.loads(text[6:])


# --- who may do what ------------------------------------------------------------------------------------------------


def test_without_a_login_there_is_nothing_to_see(guarded: Served) -> None:
    with httpx.Client(base_url=guarded.collector.url) as stranger:
        for path in ("/api/v1/board", "/api/v1/homes/h01", "/api/v1/events", "/api/v1/stream"):
            answer = stranger.get(path)
            assert (answer.status_code, answer.json()) == (401, {"error": "log in first"})
        assert stranger.get("/").headers["location"] == "/login"
        assert stranger.get("/healthz").status_code in (200, 503)
        for cookie in ("x", "x" * 5_000, "null", "../../etc"):
            headers = {"cookie": f"shouwang_session={cookie}"}
            assert stranger.get("/api/v1/board", headers=headers).status_code == 401


def test_seeing_an_alarm_has_a_name_and_needs_our_own_page(guarded: Served) -> None:
    made, broker = guarded
    with line(broker) as gateway, made.client() as client:
        gateway.send_event("raise", "fire", "smoke-203")
        [alarm] = wait_until(lambda: client.get("/api/v1/board").json()["alarms"], what="the alarm")
        key = {name: alarm[name] for name in ("home", "gateway", "journal", "seq", "class", "point")}
        assert client.post("/api/v1/alarms/seen", json=key).status_code == 403
        headers = {"x-csrf-token": made.csrf}
        assert client.post("/api/v1/alarms/seen", json={**key, "seq": 99}, headers=headers).status_code == 404
        answer = client.post("/api/v1/alarms/seen", json=key, headers=headers)
        assert (answer.status_code, answer.json()["who"]) == (200, NAME)
        wait_until(lambda: not client.get("/api/v1/board").json()["alarms"][0]["sound"], what="the sound to end")
        assert client.post("/api/v1/alarms/seen", json=key, headers=headers).json() == answer.json()
        assert client.get("/api/v1/board").json()["alarms"][0]["seen_by"] == NAME
        entries = [event for event in client.get("/api/v1/events").json()["events"] if event["kind"] == "seen"]
        assert [entry["who"] for entry in entries] == [NAME]


def test_the_cookie_is_out_of_a_script_s_reach_and_ends_with_log_out(guarded: Served) -> None:
    made = guarded.collector
    with made.client() as client:
        session = next(item for item in client.cookies.jar if item.name == "shouwang_session")
        assert session.has_nonstandard_attr("HttpOnly") and session.get_nonstandard_attr("SameSite") == "lax"
        token = client.cookies["shouwang_session"]
    with httpx.Client(base_url=made.url, headers={"cookie": f"shouwang_session={token}"}) as client:
        client.post("/logout", data={"csrf": "wrong"})
        assert client.get("/api/v1/board").status_code == 200
        client.post("/logout", data={"csrf": made.csrf})
        assert client.get("/api/v1/board").status_code == 401


def test_a_log_in_from_another_site_is_refused(guarded: Served) -> None:
    with httpx.Client(base_url=guarded.collector.url) as client:
        for form in ({}, {"form": "guessed"}, {"form": ""}):
            assert client.post("/login", data={"name": NAME, "password": PASSWORD, **form}).status_code == 403


def test_a_removed_account_is_out_soon(guarded: Served) -> None:
    made = guarded.collector
    assert made.run("user", "add", "李四", "--role", "bureau", stdin=PASSWORD).returncode == 0
    with httpx.Client(base_url=made.url) as client:
        assert log_in(client, "李四", PASSWORD).status_code == 303
        assert client.get("/api/v1/board").status_code == 200
        assert made.run("user", "remove", "李四").returncode == 0
        wait_until(lambda: client.get("/api/v1/board").status_code == 401, timeout_s=30, what="the session to end")


def test_guessing_is_braked(guarded: Served) -> None:
    """The last that logs in here: the brake holds for the address too."""
    with httpx.Client(base_url=guarded.collector.url) as guesser:
        statuses = [log_in(guesser, NAME, "wrong wrong wrong").status_code for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2
        refused = log_in(guesser, NAME, PASSWORD)
        assert refused.status_code == 429 and re.search(r"\d+ 秒", refused.text)


# --- the embedded broker --------------------------------------------------------------------------------------------


def test_the_embedded_broker_carries_an_alarm_and_an_acknowledgement(tmp_path: Path) -> None:
    port = support.free_port()
    with collector(tmp_path / "data", "--mqtt", f"127.0.0.1:{port}", "--embedded-broker", "--open-read") as made:
        wait_until(lambda: made.board()["line"]["mqtt"] == "up", what="the line to the embedded broker")
        gateway = LineGateway("127.0.0.1", port)
        gateway.send_state()
        gateway.send_event("raise", "fire", "smoke-203")
        wait_until(is_class(made, "fire"), what="the fire")
        wait_until(lambda: gateway.acked()[0] == 1, what="the acknowledgement")
        gateway.close()
        assert made.end() == 0
