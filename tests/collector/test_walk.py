"""Every route of the OpenAPI document and every page, as each role and as nobody: what is answered, and about whom.

Two homes, one of which is nobody's but the bureau's: neither its code nor a word of it may reach anybody else, in no
answer and in no message of the stream.
"""

import datetime
import json
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest

from collector import cli
from tests import support
from tests.collector.gateway import LineGateway
from tests.collector.running import PASSWORD, Collector, collector, log_in
from tests.support import wait_until

OWN, OWN_NAME, OWN_STREET = "own-home", "和平里养老院", "东街道"
FOREIGN, FOREIGN_NAME, FOREIGN_STREET = "foreign-home", "柳荫养老院", "西街道"
FOREIGN_WORDS = (FOREIGN, FOREIGN_NAME, FOREIGN_STREET)

TODAY = datetime.date.today()
DAYS = ("--from", str(TODAY - datetime.timedelta(2)), "--until", str(TODAY + datetime.timedelta(2)))
PAST = ("--from", str(TODAY - datetime.timedelta(9)), "--until", str(TODAY - datetime.timedelta(2)))
ACCOUNTS = {
    "bureau": ("--role", "bureau"),
    "auditor": ("--role", "bureau", "--right", "auditor"),
    "administrator": ("--role", "viewer", "--district", "--right", "administrator"),
    "street": ("--role", "street", "--street", OWN_STREET),
    "home": ("--role", "home", "--home", OWN),
    "inspector": ("--role", "inspector", "--organisation", "应急管理局", "--home", OWN, *DAYS),
    "maintenance": ("--role", "maintenance", "--organisation", "安达维保", "--home", OWN, *DAYS),
    "viewer": ("--role", "viewer", "--home", OWN),
    "ended": ("--role", "inspector", "--organisation", "应急管理局", "--home", OWN, *PAST),
}
DISTRICT = {"bureau", "auditor", "administrator"}
SEES_OWN = ACCOUNTS.keys() - {"ended"}
ALL, NOBODY = set(ACCOUNTS), "nobody"

# Who is answered; a route that is not here fails the walk. A route with a home in it is walked with either home.
ROUTES = {
    ("GET", "/api/v1/board"): ALL,
    ("GET", "/api/v1/homes/{home}"): ALL,
    ("GET", "/api/v1/events"): ALL,
    ("GET", "/api/v1/events?home={home}"): ALL,
    ("GET", "/api/v1/stream"): ALL,
    ("POST", "/api/v1/alarms/seen"): {"bureau", "auditor"},
    ("GET", "/healthz"): ALL | {NOBODY},
    ("GET", "/metrics"): ALL | {NOBODY},
}
PAGES = {"/": ALL, "/login": ALL | {NOBODY}}


class Walk(NamedTuple):
    """The district, and a client for each account and one for nobody."""

    made: Collector
    gateway: dict[str, LineGateway]
    clients: dict[str, httpx.Client]
    csrf: dict[str, str]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("walk")
    data, secret = ("--data", str(folder / "data")), folder / "password"
    secret.write_text(PASSWORD)
    for code, name, street in ((OWN, OWN_NAME, OWN_STREET), (FOREIGN, FOREIGN_NAME, FOREIGN_STREET)):
        assert cli.main(["home", "add", code, name, "--street", street, *data]) == 0
    for name, standing in ACCOUNTS.items():
        assert cli.main(["user", "add", name, *standing, "--password-file", str(secret), *data]) == 0
    with (
        support.running_mosquitto(folder) as broker,
        collector(folder / "data", "--mqtt", f"{broker.host}:{broker.port}") as made,
    ):
        gateways = {code: LineGateway(broker.host, broker.port, home=code) for code in (OWN, FOREIGN)}
        clients = {name: httpx.Client(base_url=made.url, timeout=10) for name in (*ACCOUNTS, NOBODY)}
        csrf = {}
        for name in ACCOUNTS:
            assert log_in(clients[name], name, PASSWORD).status_code == 303
            csrf[name] = clients[name].get("/").text.split('"csrf": "')[1].split('"')[0]
        found = Walk(made, gateways, clients, csrf)
        _begin(found)
        yield found
        for client in clients.values():
            client.close()
        for gateway in gateways.values():
            gateway.close()


def _begin(walk: Walk) -> None:
    """An alarm in either home."""
    for gateway in walk.gateway.values():
        gateway.name = {OWN: OWN_NAME, FOREIGN: FOREIGN_NAME}[gateway.home]
        gateway.send_points()
        gateway.send_event("raise", "fire", "smoke-203", order=1)
        gateway.send_state()
    bureau = walk.clients["bureau"]
    wait_until(lambda: len(bureau.get("/api/v1/board").json()["alarms"]) == 2, what="both alarms")


def test_the_walk_knows_every_route(walk: Walk) -> None:
    paths = walk.clients[NOBODY].get("/api/v1/openapi.json").json()["paths"]
    documented = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert documented == {(method, path.partition("?")[0]) for method, path in ROUTES}


@pytest.mark.parametrize("name", [*ACCOUNTS, NOBODY])
def test_each_is_answered_about_its_own_homes_only(walk: Walk, name: str) -> None:
    homes = {OWN, FOREIGN} if name in DISTRICT else {OWN} if name in SEES_OWN else set()
    for (method, path), who in ROUTES.items():
        for home in (OWN, FOREIGN) if "{home}" in path or method == "POST" else ("",):
            answer = _ask(walk, name, method, path.replace("{home}", home), home)
            expected = 200 if name in who else 401 if name == NOBODY else 403
            if expected == 200 and home and home not in homes and not path.startswith("/api/v1/events"):
                expected = 404
            assert answer[0] == expected, (method, path, home, answer)
            _check_words(answer[1], name)
    for path, who in PAGES.items():
        page = walk.clients[name].get(path)
        assert page.status_code == (200 if name in who and not (path == "/login" and name in ALL) else 303), path
        _check_words(page.text, name)


def _ask(walk: Walk, name: str, method: str, path: str, home: str) -> tuple[int, str]:
    client = walk.clients[name]
    if path.endswith("/stream"):
        with client.stream(method, path) as stream:
            text = ""
            for chunk in stream.iter_text():
                text += chunk
                if stream.status_code != 200 or '"counts"' in text:
                    break
            return stream.status_code, text
    if method == "GET":
        answer = client.get(path)
    else:
        key = {"home": home, "gateway": "g1", "journal": "journal-a", "seq": 1, "class": "fire", "point": "smoke-203"}
        answer = client.request(method, path, json=key, headers={"x-csrf-token": walk.csrf.get(name, "")})
    return answer.status_code, answer.text


def _check_words(text: str, name: str) -> None:
    if name not in DISTRICT:
        assert not [word for word in FOREIGN_WORDS if word in text], (name, text)
    if name in ("ended", NOBODY):
        assert OWN_NAME not in text, (name, text)


def test_what_may_be_seen_is_there(walk: Walk) -> None:
    """The walk shows that nothing foreign is said; this, that silence is not how."""
    for name in ACCOUNTS:
        board = walk.clients[name].get("/api/v1/board").json()
        seen = {OWN, FOREIGN} if name in DISTRICT else {OWN} if name in SEES_OWN else set()
        assert {home["code"] for home in board["homes"]} == {alarm["home"] for alarm in board["alarms"]} == seen
        assert board["counts"]["homes"] == board["counts"]["by_class"]["fire"] == board["counts"]["alarms"] == len(seen)
        events = walk.clients[name].get("/api/v1/events?limit=200").json()["events"]
        assert {event["home"] for event in events if event["home"]} == seen
        kinds = {event["kind"] for event in events}
        assert ("user" in kinds) == (name == "auditor"), name
        assert ("start" in kinds) == (name in DISTRICT), name


def test_pages_of_events_are_whole_and_in_order_where_homes_are_left_out(walk: Walk) -> None:
    gateway = walk.gateway[OWN]
    for _ in range(5):
        gateway.send_event("raise", "fault", "p-1")
        walk.gateway[FOREIGN].send_event("raise", "fault", "p-1")
    wait_until(lambda: gateway.acked()[0] == gateway.seq, what="all acknowledged")
    client, found = walk.clients["home"], []
    before: str | None = ""
    while before is not None:
        page = client.get(f"/api/v1/events?limit=2{before}").json()
        found += [event["seq"] for event in page["events"] if event["source"] == "gateway"]
        before = None if page["next"] is None else f"&before={page['next']}"
    assert found == list(range(gateway.seq, 0, -1))


def test_the_stream_says_only_what_concerns_its_homes(walk: Walk) -> None:
    with walk.clients["home"].stream("GET", "/api/v1/stream") as stream:
        lines = stream.iter_lines()
        assert "snapshot" in _next(lines)[0]
        walk.gateway[FOREIGN].send_event("raise", "electrical", "leak-k")
        walk.gateway[OWN].send_event("raise", "electrical", "leak-k")
        said: dict[str, str] = {}
        while not {"alarm", "home", "board", "tick"} <= said.keys():
            event, data = _next(lines)
            said[event] = data
            assert not [word for word in FOREIGN_WORDS if word in data], (event, data)
    assert json.loads(said["home"])["code"] == OWN and list(json.loads(said["tick"])["heard"]) == [OWN]


def test_a_stream_ends_with_its_account_s_days(walk: Walk) -> None:
    client = walk.clients["maintenance"]
    with client.stream("GET", "/api/v1/stream") as stream:
        lines = stream.iter_lines()
        assert OWN in _next(lines)[1]
        data = ("--data", str(walk.made.folder))
        assert cli.main(["user", "assign", "maintenance", "--home", OWN, *PAST, *data]) == 0
        for _ in lines:  # ends by itself, or the client's own time is over
            pass
    assert client.get("/api/v1/board").json()["homes"] == []


def _next(lines: Iterator[str]) -> tuple[str, str]:
    """Event and data of the next message."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line and "event" in fields:
            return fields["event"], fields["data"]
        name, _, value = line.partition(": ")
        fields[name] = value
    raise AssertionError("the stream has ended")


def test_an_act_needs_the_session_s_own_secret(walk: Walk) -> None:
    key = {"home": OWN, "gateway": "g1", "journal": "journal-a", "seq": 1, "class": "fire", "point": "smoke-203"}
    for headers in ({}, {"x-csrf-token": ""}, {"x-csrf-token": walk.csrf["auditor"]}):
        answer = walk.clients["bureau"].post("/api/v1/alarms/seen", json=key, headers=headers)
        assert answer.status_code == 403 and "x-csrf-token" in answer.json()["error"]
