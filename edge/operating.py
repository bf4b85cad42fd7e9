"""The operations of `shouwang-edge`: what a person at the gateway may ask for, and how the answer reads."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge import station
from edge.core.values import Operation, Refusal
from edge.schema import duration_ms

AddCommand = Callable[[str, str], argparse.ArgumentParser]
WELL, FAILED = 0, 1

_PLAIN = (
    ("ack", Operation.ACKNOWLEDGE, "acknowledge all that stands: a person has seen it"),
    ("silence", Operation.SILENCE, "stop the sound; the alarm stands, and anything new sounds again"),
    ("reset", Operation.RESET, "reset alarms whose cause is gone; what is still there sounds again within 20 s"),
    ("self-test", Operation.SELF_TEST, "try buzzer, lamps and sirens for seven seconds; an alarm ends it at once"),
)


def add_commands(add: AddCommand) -> None:
    """Add a command for each operation; what they share is the person and the reason."""
    for name, operation, text in _PLAIN:
        _person(add(name, text), operation)
    disable = add("disable", "take a point, or all points of a zone, out of service for a while")
    _person(_subject(disable, "the code of a point or a zone"), Operation.DISABLE, needs_reason=True)
    _time(disable)
    disable.add_argument("--yes", action="store_true", help="though it is the last detector or call point of its zone")
    enable = add("enable", "take a point, or all points of a zone, back into service before their time is up")
    _person(_subject(enable, "the code of a point or a zone"), Operation.ENABLE, needs_name=True)
    walk = add("walk-test", "test the points of one zone without an alarm; one active for a minute is taken as real")
    _person(_subject(walk, "the code of the zone", may_miss=True), Operation.WALK_TEST, needs_name=True)
    how = walk.add_mutually_exclusive_group(required=True)
    how.add_argument("--for", dest="time", type=_duration, metavar="TIME", help='how long at most, e.g. "1h"')
    how.add_argument("--end", action="store_true", help="end the test that runs")
    answer = add("answer", "answer the duty check that `status` shows")
    _person(answer, Operation.ANSWER, needs_name=True)


def _subject(command: argparse.ArgumentParser, text: str, may_miss: bool = False) -> argparse.ArgumentParser:
    command.add_argument("subject", metavar="CODE", help=text, nargs="?" if may_miss else None, default="")
    return command


def _person(
    command: argparse.ArgumentParser, operation: Operation, needs_name: bool = False, needs_reason: bool = False
) -> None:
    is_needed = needs_name or needs_reason
    command.add_argument(
        "--who", default="", metavar="NAME", required=is_needed, help="the person, kept beside the user's name"
    )
    command.add_argument("--why", default="", metavar="TEXT", required=needs_reason, help="the reason, for the record")
    command.set_defaults(operation=operation)


def _time(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--for", dest="time", type=_duration, required=True, metavar="TIME", help='after how long it ends, e.g. "2h"'
    )


def _duration(text: str) -> int:
    """Milliseconds of "90s", "30min", "2h", "1d"."""
    time_ms = duration_ms(text)
    if not time_ms:
        raise argparse.ArgumentTypeError(f'expected a duration like "2h", got {text!r}')
    return time_ms


def operate(folder: Path, options: argparse.Namespace) -> int:
    """Carry out the command's operation at the running gateway. Raises StationError."""
    operation = Operation.END_WALK_TEST if getattr(options, "end", False) else options.operation
    question: dict[str, Any] = {"do": str(operation), "who": options.who, "why": options.why}
    more = {"subject": "subject", "for_ms": "time", "confirmed": "yes"}
    question |= {key: found for key, name in more.items() if (found := getattr(options, name, None))}
    try:
        station.ask(folder, question)
    except station.StationError as error:
        if error.reason != Refusal.LAST_DETECTOR:
            raise
        print(f"shouwang-edge: {error} with --yes", file=sys.stderr)
        return FAILED
    print(f"{operation}: done")
    return WELL


def service_lines(status: Mapping[str, Any], places: Mapping[str, str]) -> list[str]:
    """What is out of service, under test, asked or unheard, for `status`."""
    lines = []
    for point in status["points"]:
        if item := point.get("disabled"):
            where = places[point["code"]]
            lines.append(f"  {'out of service':14} {where}  for {_left(item)} by {item['who']}: {item['why']}")
    for test in status.get("tests", ()):
        missing = ", ".join(test["unproven"]) or "none"
        lines.append(f"  {'walk test':14} {test['zone']}  for {_left(test)} by {test['who']}; unproven: {missing}")
    if question := status.get("ask"):
        lines.append(f"  {'duty check':14} {question['text']}  answer within {_left(question)}")
    if status.get("listening") is False:
        lines.append("  nobody listens: no word from the collector")
    return lines


def _left(item: Mapping[str, Any]) -> str:
    seconds = -(-item["remaining_ms"] // 1000)
    if seconds < 120:
        return f"{seconds} s"
    return f"{-(-seconds // 60)} min"
