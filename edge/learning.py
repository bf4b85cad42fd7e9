"""Learning what is usual, beside the agent: once soon after the start and once a day, by a process of its own.

Nothing waits for it. Where it fails, hangs or says nonsense, the limits of the rule profile hold, which is what they
are for; the log says so, and it is tried again the next day.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from edge.config import Setup
from edge.core.rules.leakage import HOURS
from edge.core.values import Learned

log = logging.getLogger("shouwang.learning")

FIRST_S = 60.0
"""After the start, when there are more pressing things to do."""
EVERY_S = 86_400.0
WITHIN_S = 900.0
"""Four weeks of a big home take a minute where the processor is idle."""


async def keep_learning(setup: Setup, tell: Callable[[Learned], None], first_s: float = FIRST_S) -> None:
    """For as long as the agent runs. `tell` is called on the loop's thread."""
    if not setup.learned:
        return
    await asyncio.sleep(first_s)
    while True:
        try:
            for learned in await learn(setup.gateway.data, setup.learned):
                tell(learned)
        except Exception as error:
            log.warning("what is usual could not be learned: %s; the profile's own limits hold", error)
        await asyncio.sleep(EVERY_S)


async def learn(folder: str, margins: Mapping[str, int], within_s: float = WITHIN_S) -> list[Learned]:
    """What the journal in `folder` says of these points. Raises where it says nothing that can be used."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge.usual", folder, json.dumps(dict(margins)),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(child.communicate(), within_s)
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode != 0:
        raise ValueError(err.decode("utf-8", "replace").strip()[-200:] or f"exit status {child.returncode}")
    return [_learned(point, limits) for point, limits in json.loads(out).items()]


def _learned(point: str, limits: Any) -> Learned:
    if not isinstance(limits, list) or len(limits) != HOURS or not all(type(limit) is int for limit in limits):
        raise ValueError(f"{point}: expected 24 whole numbers")
    return Learned(point, tuple(limits))
