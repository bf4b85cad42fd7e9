"""Power cuts of the gateway in alarm, the broker, the collector: what stood stands, and nothing is told twice."""

from collections.abc import Iterator

import pytest

from tests.support import wait_until
from tests.system.running import BUZZER, FAULT_RELAY, LATE_S, NO_SMOKE, SMOKE, WholePath

PERSON = "王护士"


def smoke(path: WholePath, room: str) -> int:
    """Smoke in a room, until the gateway has decided; when it began (monotonic ns)."""
    since_ns = path.building.set({f"{room}.smoke_pct_m": SMOKE})
    wait_until(lambda: ("fire", f"smoke-{room}") in path.gateway.active(), timeout_s=LATE_S, what=f"fire in {room}")
    return since_ns


def is_heard(path: WholePath, code: str) -> bool:
    """Whether a point has been read since the gateway's start."""
    return any(point["code"] == code and point["value"] is not None for point in path.gateway.status()["points"])


def numbers(path: WholePath) -> list[tuple[str, int]]:
    """Journal and number of every event of the gateway that the collector has, in the order it took them."""
    return [(event["journal"], event["seq"]) for event in path.events(source="gateway")]


def drained(path: WholePath) -> None:
    """Wait until the collector has every event that the gateway has made."""

    def is_drained() -> bool:
        made = path.gateway.status()["journal"]
        return {(made["id"], seq) for seq in range(1, made["event_seq"] + 1)} <= set(numbers(path))

    wait_until(is_drained, timeout_s=60, what="every event at the collector")


@pytest.fixture(autouse=True)
def every_event_once_and_chained(path: WholePath) -> Iterator[None]:
    """After every test: no event lost, none doubled, and numbers and chain of hashes whole."""
    yield
    drained(path)
    held = numbers(path)
    journals = list(dict.fromkeys(journal for journal, _ in held))
    for journal in journals:
        # By number: a broker that has lost what it took lets the next event overtake until the gateway sends again.
        taken = sorted(seq for name, seq in held if name == journal)
        assert taken == list(range(1, len(taken) + 1))
    assert path.events(source="collector", kind="gap") == []
    verified = path.collector.run("verify")
    assert verified.returncode == 0, verified.stdout


def test_a_gateway_killed_in_alarm_sounds_again_at_once_and_knows_what_people_did(path: WholePath) -> None:
    smoke(path, "203")
    smoke(path, "204")
    path.gateway.operate("ack", PERSON)
    before = path.gateway.active()
    path.gateway.kill()
    since_ns = path.building.set({})
    path.gateway.start()
    wait_until(lambda: path.building.driven(BUZZER, 1, since_ns), timeout_s=LATE_S, what="the fire to sound again")
    assert path.gateway.active() == before, "latched, in the same order, confirmed and acknowledged as before"
    path.gateway.operate("silence", PERSON)
    path.gateway.kill()
    since_ns = path.building.set({})
    path.gateway.start()
    wait_until(lambda: is_heard(path, "smoke-101"), timeout_s=LATE_S, what="the chip with the buzzer to be open again")
    assert path.gateway.status()["sound"] is None
    assert path.building.driven(BUZZER, 1, since_ns) is None, "silence is kept"
    assert set(path.gateway.active()) == set(before)
    since_ns = smoke(path, "201")
    wait_until(lambda: path.building.driven(BUZZER, 1, since_ns), what="a new point to sound in spite of the silence")


def test_the_fault_relay_drops_with_the_gateway_and_holds_when_it_is_back(path: WholePath) -> None:
    wait_until(lambda: path.building.pin(FAULT_RELAY) == 1, timeout_s=LATE_S, what="a gateway without a fault")
    refused = path.gateway.run("release")
    assert refused.returncode == 1 and path.building.pin(FAULT_RELAY) == 1, "a living gateway keeps its relay"
    path.gateway.kill()
    released = path.gateway.run("release")  # as its service does
    assert released.returncode == 0, released.stderr
    assert path.building.pin(FAULT_RELAY) == 0
    path.gateway.start()
    wait_until(lambda: path.building.pin(FAULT_RELAY) == 1, timeout_s=LATE_S, what="the relay to hold again")


def test_smoke_that_began_while_the_gateway_was_off_is_heard(path: WholePath) -> None:
    path.gateway.kill()
    since_ns = path.building.set({"101.smoke_pct_m": SMOKE})
    path.gateway.start()
    wait_until(lambda: path.building.driven(BUZZER, 1, since_ns), what="the buzzer")
    wait_until(lambda: ("fire", "smoke-101") in path.standing(), timeout_s=LATE_S, what="it on the board")
    path.building.set({"101.smoke_pct_m": NO_SMOKE})


def test_a_home_without_its_broker_alarms_all_the_same_and_tells_it_later(path: WholePath) -> None:
    path.broker.kill()
    since_ns = smoke(path, "203")
    wait_until(lambda: path.building.driven(BUZZER, 1, since_ns), what="the buzzer")
    path.gateway.kill()
    path.gateway.start()
    smoke(path, "204")
    path.gateway.kill()
    path.gateway.start()
    path.gateway.operate("ack", PERSON)
    path.broker.start()
    drained(path)
    wait_until(lambda: len(path.standing()) == 2, timeout_s=LATE_S, what="both fires on the board")
    told = [(event["kind"], event["point"]) for event in path.events(source="gateway")]
    raised = [item for item in told if item in [("raise", "smoke-203"), ("raise", "smoke-204")]]
    assert raised[-2:] == [("raise", "smoke-203"), ("raise", "smoke-204")], "in the order in which they happened"


def test_a_collector_that_was_killed_knows_nothing_until_it_has_heard_and_then_all(path: WholePath) -> None:
    smoke(path, "203")
    wait_until(lambda: path.standing(), timeout_s=LATE_S, what="the fire on the board")
    before = path.events(source="gateway")
    path.broker.stop()
    path.collector.kill()
    path.collector.start()
    tile = path.home()
    assert tile["freshness"] == "unheard", "what it remembers is no word from the home"
    assert tile["class"] == "fire", "and an alarm that stood is not forgotten"
    path.broker.start()
    wait_until(path.is_connected, timeout_s=LATE_S, what="gateway and collector to be back at the broker")
    path.gateway.operate("ack", PERSON)
    wait_until(lambda: path.home()["freshness"] == "heard", timeout_s=LATE_S, what="the home to be heard")
    assert ("fire", "smoke-203") in path.standing()
    drained(path)
    assert path.events(source="gateway")[: len(before)] == before
