"""What goes wrong with a modem, its card and its network: the modem's part of the fault menu."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulators.fault import Fault


class NoSim(Fault):
    """The modem's SIM card is not there, or its contacts are corroded: +CME ERROR 10."""

    kind = "no_sim"


class SimPin(Fault):
    """The SIM wants its PIN; three wrong ones lock it for good."""

    kind = "sim_pin"


class NoSignal(Fault):
    """The modem is registered in no network: aerial off, cell down, 2G switched off."""

    kind = "no_signal"


class Echo(Fault):
    """The modem repeats every command, and the PDU, whatever ATE0 says."""

    kind = "echo"


class BarePrompt(Fault):
    """The prompt for the PDU is ">" with neither a line break before it nor a space behind it."""

    kind = "bare_prompt"


class Chatty(Fault):
    """Words that nobody asked for, in front of every answer."""

    kind = "chatty"


@dataclass(slots=True)
class CmsError(Fault):
    """The network refuses every message with `code`; `only` those to numbers that end with these four digits."""

    kind = "cms_error"
    code: int = 38
    only: int = 0

    def hits(self, number: str) -> bool:
        """Whether a message to `number` is refused."""
        return not self.only or number.endswith(f"{self.only:04d}")


@dataclass(slots=True)
class LostReport(Fault):
    """Messages are taken, but no report comes; or one with `status` (0x46: validity over), where that is given."""

    kind = "lost_report"
    status: int = 0
    only: int = 0

    def hits(self, number: str) -> bool:
        """Whether a message to `number` is concerned."""
        return not self.only or number.endswith(f"{self.only:04d}")

    def is_lost(self, number: str) -> bool:
        """Whether no report comes for a message to `number`."""
        return self.hits(number) and not self.status


MODEM_KINDS: tuple[type[Fault], ...] = (
    NoSim, SimPin, NoSignal, Echo, BarePrompt, Chatty, CmsError, LostReport,
)  # fmt: skip
MODEM_MENU: Mapping[str, tuple[str, ...]] = {
    "modem": ("silent", "late", "garbage", "dropped_link", "echo", "bare_prompt", "chatty"),
    "modem sim": ("no_sim", "sim_pin"),
    "modem network": ("no_signal", "cms_error", "lost_report"),
}
"""By the sort of place: the modem with its plug, the card in it, the network around it."""
