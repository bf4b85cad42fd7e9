"""The judge of the torture finds what it is there to find; else a run in which nothing is lost would prove nothing."""

from typing import Any

import pytest

from bench._torture_hand import Change, Key, Seen
from bench._torture_judge import Gap, Taken, Verdict, gaps_of, judge, taken_of

JOURNAL, OTHER = "journal-a", "journal-b"


def happening(number: int) -> Seen:
    return Seen("raise", "fault", "n01", 1_000 + number, "", "")


def shown(count: int) -> dict[Key, tuple[Seen, str]]:
    """What a gateway had committed: so many events of one journal."""
    return {(JOURNAL, seq): (happening(seq), f"hash {seq}") for seq in range(1, count + 1)}


def taken(*numbers: int) -> list[Taken]:
    """What a collector took, in this order."""
    return [Taken((JOURNAL, seq), f"hash {seq}", happening(seq)) for seq in numbers]


def changes(*keys: Key) -> list[Change]:
    return [Change(number, "n01", number % 2 == 1, 0.0, key) for number, key in enumerate(keys, 1)]


def judged(**other: Any) -> Verdict:
    """The verdict where everything arrived, but for what is given."""
    usual: dict[str, Any] = {
        "shown": shown(3),
        "changes": changes((JOURNAL, 1), (JOURNAL, 2), (JOURNAL, 3)),
        "taken": taken(1, 2, 3),
        "shown_batches": {(JOURNAL, 1), (JOURNAL, 2)},
        "taken_batches": {(JOURNAL, 1), (JOURNAL, 2)},
        "gaps": [],
    }
    return judge(**{**usual, **other})


def figures(verdict: Verdict) -> dict[str, int]:
    """The figures that are not 0."""
    names = ("lost", "said", "doubled", "out_of_order", "altered", "overtaken", "batches_lost", "batches_said")
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


GAP_2 = Gap(JOURNAL, "event", 2, 2)
COPY = Taken((OTHER, 1), "another hash", happening(2))
CHANGED = Taken((JOURNAL, 2), "another hash", happening(2))


@pytest.mark.parametrize(
    ("other", "found"),
    [
        pytest.param({}, {}, id="all is well"),
        pytest.param({"taken": taken(1, 3)}, {"lost": 1}, id="lost"),
        pytest.param({"taken": taken(1, 3), "gaps": [GAP_2]}, {"said": 1}, id="lost, and said to be"),
        pytest.param(
            {"taken": taken(1, 3), "gaps": [GAP_2._replace(journal=OTHER)]}, {"lost": 1}, id="said of another journal"
        ),
        pytest.param(
            {"taken": taken(1, 3), "gaps": [GAP_2._replace(lane="reading")]}, {"lost": 1}, id="said of another lane"
        ),
        pytest.param({"taken": [*taken(1, 2, 3), COPY]}, {"doubled": 1}, id="told again under another number"),
        pytest.param({"taken": taken(1, 2, 2, 3)}, {"doubled": 2}, id="the same number twice"),
        pytest.param({"taken": [*taken(1, 3), COPY]}, {}, id="numbered anew, and told once"),
        pytest.param({"taken": [*taken(1), CHANGED, *taken(3)]}, {"altered": 1}, id="another hash under its number"),
        pytest.param({"taken": taken(1, 3, 2)}, {"overtaken": 1}, id="stored after a later one"),
        pytest.param(
            {"changes": changes((JOURNAL, 1), (JOURNAL, 3), (JOURNAL, 2))},
            {"out_of_order": 1},
            id="numbered in another order than it happened",
        ),
        pytest.param({"taken_batches": {(JOURNAL, 1)}}, {"batches_lost": 1}, id="the last readings lost"),
        pytest.param(
            {"taken_batches": {(JOURNAL, 2)}, "gaps": [Gap(JOURNAL, "reading", 1, None)]},
            {"batches_said": 1},
            id="readings lost, and said from a number on",
        ),
        pytest.param(
            {"shown_batches": set(), "taken_batches": {(OTHER, 1), (OTHER, 3)}},
            {"batches_lost": 1},
            id="a hole among readings that only the collector saw",
        ),
    ],
)
def test_verdict(other: dict[str, Any], found: dict[str, int]):
    assert figures(judged(**other)) == found


def row(**fields: Any) -> dict[str, Any]:
    """A row of /api/v1/events."""
    usual = {
        "source": "gateway", "journal": JOURNAL, "seq": 1, "kind": "raise", "class": "fault", "point": "n01",
        "wall_ms": 1_001, "who": "", "why": "", "hash": "hash 1", "detail": {},
    }  # fmt: skip
    return {**usual, **fields}


def test_the_logs_rows_are_read():
    rows = [row(), row(source="collector", kind="start", **{"class": None})]
    assert taken_of(rows) == taken(1)


@pytest.mark.parametrize(
    ("told", "gap"),
    [
        (row(kind="gap", why=f"lane=event journal={JOURNAL} from=3 to=9 cause=damage"), Gap(JOURNAL, "event", 3, 9)),
        (row(kind="gap", why=f"lane=reading journal={JOURNAL} from=3 cause=damage"), Gap(JOURNAL, "reading", 3, None)),
        (
            row(
                source="collector", kind="gap", detail={"journal": JOURNAL, "lane": "reading", "first": 2, "last": 4}
            ),
            Gap(JOURNAL, "reading", 2, 4),
        ),
    ],
)  # fmt: skip
def test_gaps_of_both_logs_are_read(told: dict[str, Any], gap: Gap):
    assert gaps_of([row(), told]) == [gap]


def test_a_gap_without_numbers_excuses_nothing():
    assert gaps_of([row(kind="gap", why="lane=event count=3 cause=memory")]) == []


def test_a_database_of_which_nothing_was_saved_is_a_gap_of_every_journal_before():
    rows = [row(), row(journal=OTHER, kind="gap", why="lane=event journal=* from=1 cause=damage"), row(journal="later")]
    assert gaps_of(rows) == [Gap(JOURNAL, "event", 1, None)]
