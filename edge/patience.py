"""Asking a disk that may never answer: at the start a home must not stay deaf because a file cannot be read."""

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 2.0


def within(seconds: float, ask: Callable[[], T], instead: T) -> T:
    """What `ask` gives, or `instead` where it has not answered in time; then its thread is left to itself.

    What `ask` raises is raised.
    """
    answers: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:
            failures.append(error)

    asking = Thread(target=run, name="asking the disk", daemon=True)
    asking.start()
    asking.join(seconds)
    if failures:
        raise failures[0]
    return answers[0] if answers else instead
