"""Passwords, the brake on guessing."""

import pytest

from collector import accounts
from collector.accounts import FIRST_WAIT_MS, FREE_FAILURES, LONGEST_WAIT_MS, Brake


def test_a_hash_is_argon2id_and_never_twice_the_same() -> None:
    first, second = (accounts.hash_password("correct horse") for _ in range(2))
    assert first.startswith("$argon2id$") and first != second and "correct" not in first


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
def test_a_password_has_bounds(password: str) -> None:
    with pytest.raises(ValueError, match="10 to 200"):
        accounts.hash_password(password)


def test_the_brake_lets_a_few_slips_pass_and_then_doubles_the_wait() -> None:
    brake, waits = Brake(), []
    for _ in range(FREE_FAILURES + 4):
        brake.fail(["name 王"], 1_000)
        waits.append(brake.wait_ms(["name 王", "address x"], 1_000))
    slips, braked = waits[: FREE_FAILURES - 1], waits[FREE_FAILURES - 1 :]
    assert max(slips) <= 0
    assert braked == [FIRST_WAIT_MS << step for step in range(len(braked))]


def test_the_wait_is_bounded_ends_and_is_forgotten_after_success() -> None:
    brake = Brake()
    for _ in range(100):
        brake.fail(["a"], 0)
    assert brake.wait_ms(["a"], 0) == LONGEST_WAIT_MS
    assert brake.wait_ms(["a"], LONGEST_WAIT_MS) <= 0
    assert brake.wait_ms(["b"], 0) <= 0
    brake.succeed(["a"])
    assert brake.wait_ms(["a"], 0) <= 0


def test_the_brake_forgets_the_oldest_of_very_many() -> None:
    brake = Brake()
    for number in range(accounts.REMEMBERED + 10):
        for _ in range(FREE_FAILURES):
            brake.fail([f"name {number}"], 0)
    assert brake.wait_ms(["name 0"], 0) <= 0
    assert brake.wait_ms([f"name {accounts.REMEMBERED}"], 0) > 0
