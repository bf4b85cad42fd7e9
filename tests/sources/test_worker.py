"""Blocking calls with a deadline: results, errors, and threads that never come back."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from edge.sources.worker import GIVEN_UP_MAX, Stuck, Worker, finish
from tests.sources.field import until

SHORT_S = 0.05


def test_a_result_and_an_error_come_back_to_the_loop() -> None:
    async def scenario() -> None:
        worker = Worker("test")
        assert await worker.call(lambda: threading.current_thread().name, 5.0) == "test"
        with pytest.raises(OSError, match="no such thing"):
            await worker.call(fail, 5.0)
        assert await worker.call(lambda: 7, 5.0) == 7
        worker.close()

    def fail() -> None:
        raise OSError("no such thing")

    asyncio.run(scenario())


def test_a_call_that_hangs_costs_its_thread_and_not_the_loop_nor_the_next_call() -> None:
    async def scenario() -> None:
        worker, let_go = Worker("test"), threading.Event()
        with pytest.raises(Stuck):
            await worker.call(let_go.wait, SHORT_S)
        assert worker.given_up == 1
        assert await worker.call(lambda: 7, 5.0) == 7
        let_go.set()
        await until(lambda: worker.given_up == 0, "the thread to end")
        worker.close()

    asyncio.run(scenario())


def test_threads_given_up_are_bounded_and_work_goes_on_when_they_are_back() -> None:
    async def scenario() -> None:
        worker, let_go = Worker("bounded"), threading.Event()
        for _ in range(GIVEN_UP_MAX + 3):
            with pytest.raises(Stuck):
                await worker.call(let_go.wait, SHORT_S)
        assert count() == GIVEN_UP_MAX
        let_go.set()
        await until(lambda: worker.given_up == 0, "the threads to end")
        assert await worker.call(lambda: 7, 5.0) == 7
        worker.close()
        await until(lambda: count() == 0, "no thread left")

    def count() -> int:
        return sum(thread.name == "bounded" for thread in threading.enumerate())

    asyncio.run(scenario())


HANGING = """
import asyncio, threading
from edge.sources.worker import Stuck, Worker
async def main():
    try:
        await Worker("hangs").call(threading.Event().wait, 0.05)
    except Stuck:
        print("given up", flush=True)
asyncio.run(main())
"""


def test_a_thread_that_hangs_for_ever_does_not_keep_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "given up\n" and ended.stderr == ""


def test_a_last_thing_that_hangs_is_left_behind() -> None:
    let_go = threading.Event()
    started_s = time.monotonic()
    finish(let_go.wait, SHORT_S)
    assert time.monotonic() - started_s < 5.0
    let_go.set()
