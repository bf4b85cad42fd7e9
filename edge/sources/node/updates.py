"""Updates of the nodes' firmware: one node at a time, never during a fire, and none after one that did not come back.

A node that is asked for waits for its turn. In its turn it is offered the release behind each beat until it asks for
the first piece, gets the pieces that it asks for, and is done when it says so in a beat of the new release. One that
refuses, rolls back or falls silent ends the round: what failed on one node is not tried on the next. Pure; time is an
argument, and so is whether a fire stands.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from device import node_wire
from edge.nodes.release import Release

PATIENCE_MS = 600_000
"""A node that is in its turn and neither asks nor proves itself has failed; proving takes it 5 min at most."""

Message = node_wire.Update | node_wire.Chunk


class Updates:
    """The round. `keys` are the nodes' own; a node without one cannot be updated."""

    def __init__(self, release: Release, keys: Mapping[str, bytes]) -> None:
        self._release = release
        self._keys = keys
        self._waiting: list[str] = []
        self._turn: str | None = None
        self._number = 0
        self._moved_ms = 0
        self._offered: dict[str, int] = {}
        self.states: dict[str, str] = {}
        self.failed: set[str] = set()

    def ask(self, nodes: Sequence[str]) -> None:
        """A person wants these nodes updated, in this order."""
        for node in nodes:
            if node == self._turn or node in self._waiting:
                continue
            self.failed.discard(node)
            if node in self._keys:
                self._waiting.append(node)
                self.states[node] = "waiting"
            else:
                self.states[node] = "failed: it has no key here"

    def offered(self) -> Mapping[str, Any]:
        """The highest release that each node was offered; a node takes none that it has rolled back."""
        return dict(self._offered)

    def recall(self, offered: Mapping[str, Any]) -> None:
        """What `offered` gave before a restart."""
        self._offered = {str(node): number for node, number in offered.items() if isinstance(number, int)}

    @property
    def is_idle(self) -> bool:
        """Whether nobody is being updated and nobody waits for it."""
        return self._turn is None and not self._waiting

    def beat(self, node: str, beat: node_wire.Beat, now_ms: int, is_fire: bool) -> list[Message]:
        """A node has beaten: what to send it."""
        self._let_go(now_ms)
        if beat.version == self._release.version and "on-trial" not in beat.faults:
            self._done(node, f"up to date: {beat.version}")
        if self._turn is None and node in self._waiting and not is_fire:
            self._begin(node, beat, now_ms)
        if node != self._turn or is_fire:
            return []
        if self.states[node].startswith("staged"):
            return []
        return [self._release.manifest(node, self._number, self._keys[node])]

    def progress(self, node: str, said: node_wire.Progress, now_ms: int, is_fire: bool) -> list[Message]:
        """A node has said how its update goes."""
        if said.state == "rolled_back":
            self._fail(node, f"rolled back release {said.release}: {said.why}")
            return []
        if node != self._turn or said.release != self._number:
            return []
        self._moved_ms = now_ms
        if said.state == "fetching":
            self.states[node] = f"fetching {said.file} from {said.offset}"
            piece = None if is_fire else self._release.piece(said.release, said.file, said.offset)
            return [] if piece is None else [piece]
        if said.state == "staged":
            self.states[node] = "staged, starts again"
        elif said.state == "confirmed":
            self._done(node, f"up to date: {self._release.version}")
        else:
            self._fail(node, f"refused release {said.release}: {said.why}")
        return []

    def _begin(self, node: str, beat: node_wire.Beat, now_ms: int) -> None:
        self._waiting.remove(node)
        self._turn, self._moved_ms = node, now_ms
        self._number = self._offered[node] = max(beat.release, self._offered.get(node, 0)) + 1
        self.states[node] = f"offered release {self._number}"

    def _let_go(self, now_ms: int) -> None:
        if self._turn is not None and now_ms - self._moved_ms > PATIENCE_MS:
            self._fail(self._turn, "said nothing for too long")

    def _done(self, node: str, state: str) -> None:
        if node == self._turn or node in self._waiting:
            self.states[node] = state
        if node in self._waiting:
            self._waiting.remove(node)
        if node == self._turn:
            self._turn = None

    def _fail(self, node: str, why: str) -> None:
        self.states[node] = f"failed: {why}"
        self.failed.add(node)
        for other in self._waiting:
            self.states[other] = f"not begun, because {node} failed"
        self._waiting.clear()
        if node == self._turn:
            self._turn = None
