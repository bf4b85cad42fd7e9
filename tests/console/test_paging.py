"""Points that come in pages: put together in their order, brought up to the moment, and forgotten with their home."""

from typing import Any

import pytest

from edge.console.paging import Pages

POINTS: list[dict[str, Any]] = [{"code": f"p{n}", "age_ms": 10, "proven_age_ms": None} for n in range(7)]


def page(pages: Pages, points: list[dict[str, Any]], size: int, now_ms: int) -> None:
    told = points[pages.next : pages.next + size]
    pages.take({"points": told, "point_count": len(points)}, now_ms)


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_whatever_their_size_all_points_come_in_their_order(size: int) -> None:
    pages, rounds = Pages(), 0
    while not pages.is_whole:
        page(pages, POINTS, size, 0)
        rounds += 1
    assert rounds == -(-len(POINTS) // size)
    assert [point["code"] for point in pages.points(0)] == [point["code"] for point in POINTS]
    assert pages.next == 0


def test_a_page_grows_old_with_the_clock() -> None:
    pages = Pages()
    off = {"who": "李护士", "why": "", "remaining_ms": 400}
    page(pages, [{**POINTS[0], "disabled": off}], 50, 1_000)
    (point,) = pages.points(1_300)
    assert (point["age_ms"], point["proven_age_ms"], point["disabled"]["remaining_ms"]) == (310, None, 100)
    assert pages.points(9_000)[0]["disabled"]["remaining_ms"] == 0


def test_another_configuration_is_another_home() -> None:
    pages = Pages()
    while not pages.is_whole:
        page(pages, POINTS, 3, 0)
    page(pages, POINTS[:5], 3, 0)
    assert not pages.is_whole
    page(pages, POINTS[:5], 3, 0)
    assert pages.is_whole and len(pages.points(0)) == 5


def test_a_home_without_points_is_whole() -> None:
    pages = Pages()
    page(pages, [], 50, 0)
    assert pages.is_whole and pages.points(0) == []


@pytest.mark.parametrize("status", [{}, {"points": 7, "point_count": 1}, {"points": [], "point_count": "x"}])
def test_what_is_no_page_is_refused(status: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Pages().take(status, 0)
