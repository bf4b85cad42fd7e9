"""Paired tablets: a code is for one tablet, once, for a while; a token is known until it is revoked."""

import json
import stat
from pathlib import Path

import pytest

from edge.console.tablets import CODE_MS, CODE_TRIES, FILE, TABLETS_MAX, Tablets, TabletsError


class SteppedClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.boot, self.ms = "boot-1", 5_000

    def mono_ms(self) -> int:
        return self.ms

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + self.ms

    def clock_ok(self) -> bool:
        return True


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def tablets(tmp_path: Path, clock: SteppedClock) -> Tablets:
    return Tablets(tmp_path / "console", clock)


def test_a_tablet_is_known_until_it_is_revoked(tablets: Tablets, tmp_path: Path, clock: SteppedClock) -> None:
    paired = tablets.pair(tablets.invite("护士站"))
    assert paired is not None
    name, token = paired
    other = Tablets(tmp_path / "console", clock)  # the serving process, or the command
    found = other.known(token)
    assert found is not None and found.name == name == "护士站"
    assert other.known("another") is None and other.known("") is None
    assert other.revoke("护士站")
    assert tablets.known(token) is None
    assert not other.revoke("护士站")


def test_a_code_is_good_once(tablets: Tablets) -> None:
    code = tablets.invite("护士站")
    assert tablets.pair(code) is not None
    assert tablets.pair(code) is None
    assert tablets.invitation() is None


def test_a_code_ends_with_its_time_its_boot_and_its_tries(tablets: Tablets, clock: SteppedClock) -> None:
    code = tablets.invite("a")
    clock.ms += CODE_MS
    assert tablets.pair(code) is None
    code = tablets.invite("a")
    clock.boot = "boot-2"
    assert tablets.pair(code) is None
    code = tablets.invite("a")
    wrong = "0" * 8 if code != "0" * 8 else "1" * 8
    for _ in range(CODE_TRIES):
        assert tablets.pair(wrong) is None
    assert tablets.pair(code) is None


def test_pairing_again_takes_the_old_token_away(tablets: Tablets) -> None:
    first = tablets.pair(tablets.invite("护士站"))
    second = tablets.pair(tablets.invite("护士站"))
    assert first is not None and second is not None
    assert tablets.known(first[1]) is None
    assert tablets.known(second[1]) is not None
    assert len(tablets.all()) == 1


def test_the_file_keeps_no_secret_and_is_its_users_only(tablets: Tablets, tmp_path: Path) -> None:
    code = tablets.invite("护士站")
    path = tmp_path / "console" / FILE
    assert code not in path.read_text()
    paired = tablets.pair(code)
    assert paired is not None and paired[1] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_there_is_an_end_to_how_many(tablets: Tablets) -> None:
    for number in range(TABLETS_MAX):
        tablets.pair(tablets.invite(f"t{number}"))
    with pytest.raises(TabletsError):
        tablets.invite("one more")
    tablets.invite("t3")  # one of them anew


@pytest.mark.parametrize("damage", ["", "{", "[]", json.dumps({"tablets": [{"x": 1}], "invitation": None})])
def test_a_damaged_file_knows_nobody_and_says_so(tablets: Tablets, tmp_path: Path, damage: str) -> None:
    paired = tablets.pair(tablets.invite("护士站"))
    assert paired is not None
    (tmp_path / "console" / FILE).write_text(damage)
    with pytest.raises(TabletsError, match="pair the tablets again"):
        tablets.known(paired[1])
