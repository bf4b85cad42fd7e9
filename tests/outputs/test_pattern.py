"""Sound patterns: on at once, in their rhythm, distinguishable, and silent when told."""

import asyncio

import pytest

from edge.core.values import Class
from edge.outputs.pattern import PATTERNS, Pattern, Player
from tests.sources.field import until


class Buzzer:
    """Remembers what it was driven to."""

    def __init__(self) -> None:
        self.driven: list[bool] = []
        self.is_closed = False

    def drive(self, is_on: bool) -> None:
        self.driven.append(is_on)

    @property
    def is_failing(self) -> bool:
        return False

    def close(self) -> None:
        self.is_closed = True


QUICK = Pattern(((1, 1), (1, 2)))


def test_every_class_has_its_own_pattern_and_a_worse_one_is_silent_for_less() -> None:
    assert set(PATTERNS) == set(Class)
    assert len(set(PATTERNS.values())) == len(PATTERNS)
    silences = [max(off for _, off in PATTERNS[item].steps) for item in Class]
    assert silences == sorted(silences)


@pytest.mark.parametrize("item", list(Class))
def test_the_sound_comes_before_any_waiting(item: Class) -> None:
    async def scenario() -> None:
        buzzer = Buzzer()
        player = Player(buzzer)
        player.play(PATTERNS[item])
        assert buzzer.driven == [True]
        player.close()
        assert buzzer.driven == [True, False] and buzzer.is_closed

    asyncio.run(scenario())


def test_a_pattern_repeats_until_silence_and_stays_silent() -> None:
    async def scenario() -> None:
        buzzer = Buzzer()
        player = Player(buzzer)
        player.play(QUICK)
        await until(lambda: len(buzzer.driven) >= 9, "two rounds")
        assert buzzer.driven[:9] == [True, False] * 4 + [True]
        player.play(None)
        assert buzzer.driven[-1] is False
        count = len(buzzer.driven)
        await asyncio.sleep(0.02)
        assert len(buzzer.driven) == count

    asyncio.run(scenario())


def test_the_pattern_that_plays_goes_on_and_another_begins_with_its_sound() -> None:
    async def scenario() -> None:
        buzzer = Buzzer()
        player = Player(buzzer)
        player.play(PATTERNS[Class.FAULT])
        player.play(PATTERNS[Class.FAULT])
        assert buzzer.driven == [True], "the same pattern does not begin again at every decision"
        player.assert_again()
        player.play(PATTERNS[Class.FIRE])
        assert buzzer.driven == [True, True, True]
        player.play(None)

    asyncio.run(scenario())
