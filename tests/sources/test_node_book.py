"""Counting: any order, any number of copies, any loss that the node admits — each report once."""

from hypothesis import given
from hypothesis import strategies as st

from edge.sources.node.book import MOST_BOOTS, Book

BOOTS = [f"boot-{n}" for n in range(3)]
reports = st.lists(st.tuples(st.sampled_from(BOOTS), st.integers(1, 40)), max_size=200)


@given(reports, st.integers(0, 200))
def test_each_report_counts_once_over_a_restart(course: list[tuple[str, int]], restart_at: int) -> None:
    book, counted = Book(), []
    for boot in BOOTS:
        book.pass_lost(boot, 1)
    for at, report in enumerate(course):
        if at == restart_at:
            book = Book(book.saved())
        if book.take(*report):
            counted.append(report)
    assert sorted(counted) == sorted(set(course))


@given(reports)
def test_what_is_acknowledged_has_been_counted(course: list[tuple[str, int]]) -> None:
    book = Book()
    for boot in BOOTS:
        book.pass_lost(boot, 1)
    for boot, seq in course:
        book.take(boot, seq)
        assert {(boot, number) for number in range(1, book.done(boot) + 1)} <= set(course)


@given(st.sets(st.integers(1, 60)), st.integers(1, 61))
def test_what_a_node_no_longer_holds_is_counted_or_lost(taken: set[int], held: int) -> None:
    book = Book()
    book.pass_lost("boot-0", 1)
    for seq in taken:
        book.take("boot-0", seq)
    before = book.done("boot-0")
    lost = book.pass_lost("boot-0", held)
    assert lost == len({seq for seq in range(before + 1, held) if seq not in taken})
    assert book.done("boot-0") >= held - 1
    assert book.pass_lost("boot-0", held) == 0


def test_a_boot_that_nobody_knew_begins_where_the_node_is() -> None:
    book = Book()
    assert book.pass_lost("boot-0", 40) == 0
    assert book.done("boot-0") == 39
    assert book.take("boot-0", 40)


def test_the_present_boot_is_never_forgotten() -> None:
    book = Book()
    book.begin("boot-now")
    book.take("boot-now", 1)
    for n in range(3 * MOST_BOOTS):
        book.take(f"boot-{n:02}", 7)
    assert not book.take("boot-now", 1)
    assert not book.take(f"boot-{3 * MOST_BOOTS - 1:02}", 7)


def test_a_damaged_file_counts_nothing() -> None:
    for saved in ({}, {"boots": 3}, {"boots": [["a", "b", "c"]], "boot": "", "ended": []}):
        assert Book(saved).take("boot-0", 1)
