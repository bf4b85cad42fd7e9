"""A bench's helpers in processes of their own, so that they take no time of the interpreter that is measured."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

END = "end"
_ENDS_WITHIN_S = 5.0


@contextlib.contextmanager
def child(work: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """`work(pipe, *arguments)` in a process of its own, and the pipe to it; at the end it hears END."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        with contextlib.suppress(OSError):
            here.send(END)
        process.join(_ENDS_WITHIN_S)
        if process.is_alive():
            process.kill()
            process.join()
        here.close()


def heard(pipe: Connection) -> str:
    """In the child: what the bench says; END as well where the bench is gone."""
    try:
        return str(pipe.recv())
    except (EOFError, OSError):
        return END


def ask(pipe: Connection, question: str = "") -> Any:
    """In the bench: the child's answer. Raises EOFError where it has died."""
    if question:
        pipe.send(question)
    return pipe.recv()
