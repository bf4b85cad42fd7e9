"""`shouwang-edge sms`: a real test message through the running agent, and what `status` says of modem and ladder."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge import station

TEXT = "send a test message to a contact"
WITHIN_S = 90.0
"""A network takes seconds; a modem that has to be set up first, some more."""
LOOK_EVERY_S = 0.5
WELL, FAILED = 0, 1
_ENDS = ("delivered", "failed")
_WORDS = {
    "waiting": "waiting for the modem",
    "accepted": "accepted by the network",
    "delivered": "delivered to the phone",
    "failed": "not sent; the log says why",
}
_TROUBLES = {
    "unplugged": "the modem is unplugged",
    "hung": "the modem does not answer",
    "no_sim": "there is no SIM card",
    "pin_wanted": "the SIM card wants its PIN; switch that off in a phone",
    "sim_failed": "the SIM card is broken",
    "no_signal": "no network has the modem",
}


def add_options(add: Callable[[Any, str, str], argparse.ArgumentParser], parser: argparse.ArgumentParser) -> None:
    """Add what can be asked of the modem."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    test = add(commands, "test", "send a real message, and wait until the phone has it")
    test.add_argument("--to", required=True, metavar="NAME", help="the name of a [[contact]]")


def send_test(folder: Path, name: str) -> int:
    """Send one, and say what becomes of it. Raises StationError."""
    ticket = str(station.ask(folder, {"do": "sms_test", "to": name})["ticket"])
    state, said, until_s = "", "", time.monotonic() + WITHIN_S
    while state not in _ENDS and time.monotonic() < until_s:
        sms = station.ask(folder, {"do": "status"})["sms"]
        state = sms["tests"].get(ticket, "")
        words = _trouble(sms) if state == "waiting" and sms["trouble"] else _WORDS.get(state, state)
        if words != said:
            said = words
            print(f"{name}: {said}", flush=True)
        time.sleep(LOOK_EVERY_S)
    if state == "accepted":
        print(f"shouwang-edge: no report from the phone within {WITHIN_S:.0f} s; it may be off", file=sys.stderr)
    return WELL if state in ("accepted", "delivered") else FAILED


def _trouble(sms: Mapping[str, Any]) -> str:
    return f"{_TROUBLES[sms['trouble']]}{' (' + sms['reason'] + ')' if sms['reason'] else ''}"


def status_lines(status: Mapping[str, Any]) -> list[str]:
    """Modem, ladder and contacts, for `status`; nothing where there is no modem."""
    sms = status.get("sms")
    if not sms:
        return []
    signal = "unknown" if sms["signal"] is None else f"{sms['signal']}/31"
    ready = f"ready, signal {signal}" if sms["is_looked_at"] else "not looked at yet"
    parts = [_trouble(sms) if sms["trouble"] else ready]
    parts += [f"{sms['waiting']} waiting"] if sms["waiting"] else []
    parts += ["the network refuses messages"] if sms["refused"] else []
    lines = [f"  {'sms':14} {', '.join(parts)}"]
    for item in sms["incidents"]:
        answered = "answered, or nobody left" if item["answered"] else f"next in {item['next_ms'] // 1000} s"
        what = f"{item['class']} {item['zone']}".strip()
        lines.append(f"  {'told':14} {what}: {', '.join(item['told']) or 'nobody'}; {answered}")
    return lines + [f"  {'unreachable':14} {name}: {why}" for name, why in sms["unreachable"].items()]
