"""Orders to the process of the light homes, over its standard input and output."""

import json
import select
from typing import Any

from demo.processes import Child, ChildDied
from demo.stopping import Stopping

BEGIN_WITHIN_S = 30.0
ANSWER_WITHIN_S = 10.0


class Orders:
    """Sends one order at a time. Raises ChildDied where nobody answers."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def hello(self, stopping: Stopping) -> list[str]:
        """The homes that live there; waits until they do. Raises TookTooLong, Stopped as well."""
        stopping.wait_for(lambda: self._has_answer(0.0), BEGIN_WITHIN_S, "the light homes")
        return list(self._answer()["homes"])

    def send(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out an order. ValueError where it could not be."""
        pipe = self._child.process.stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(order).encode() + b"\n")
            pipe.flush()
        except OSError as error:
            raise self._died() from error
        answer = self._answer()
        if "error" in answer:
            raise ValueError(f"order {order}: {answer['error']}")
        return answer

    def _has_answer(self, within_s: float) -> bool:
        pipe = self._child.process.stdout
        assert pipe is not None
        return bool(select.select([pipe], [], [], within_s)[0])

    def _answer(self) -> dict[str, Any]:
        pipe = self._child.process.stdout
        assert pipe is not None
        # An answer is one short line written at once, so where there is a beginning there is an end.
        line = pipe.readline() if self._has_answer(ANSWER_WITHIN_S) else b""
        if not line:
            raise self._died()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _died(self) -> ChildDied:
        child = self._child
        return ChildDied(f"{child.name} does not answer; its last words ({child.log}):\n{child.tail()}")
