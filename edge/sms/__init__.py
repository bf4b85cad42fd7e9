"""Telling people by SMS: messages, the ladder of contacts, and the modem that carries them (PANEL.md, "Telling
people").

Nothing of this is on the alarm path: the engine hands its transitions over without waiting, and everything else runs
on threads of its own. What belongs where: `pdu` and `gsm7` are the messages as bytes, `line` and `modem` the dialogue,
`ladder` and `outbox` decide, `worker` does what they say, `sms` is what the gateway has of it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edge.clock import Clock
from edge.core.values import Act, Transition

if TYPE_CHECKING:
    from edge.config import Setup
    from edge.sms.sms import Sms


def open_sms(
    setup: "Setup", clock: Clock, record: Callable[[Sequence[Transition]], Any], act: Callable[[Act], Any]
) -> "Sms | None":
    """What tells the home's people, not yet started; None where no modem is configured."""
    if setup.telling is None:
        return None
    # Only here: a home without a modem does not load what it does not need.
    from edge.sms.sms import from_setup

    return from_setup(setup, setup.telling, clock, record, act)
