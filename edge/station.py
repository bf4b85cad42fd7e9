"""The agent's local socket: what people at the gateway ask of it, one JSON object a line, and who they are.

    {"do": "status"}
    {"do": "page", "from": 0}     the status with a page of its points from that one on, and point_count
    {"do": "acknowledge" | "silence" | "reset" | "self_test", "who": "李护士", "why": "看过了"}
    {"do": "disable", "subject": CODE, "for_ms": 7200000, "who": "李护士", "why": "换电池"}   of a point or zone
    {"do": "enable", "subject": CODE, "who": "李护士"}
    {"do": "walk_test", "subject": ZONE, "for_ms": 3600000, "who": "李护士"}
    {"do": "end_walk_test", "who": "李护士"}
    {"do": "sms_test", "to": NAME of a contact}     the answer has a "ticket" that stands in status["sms"]["tests"]
    {"do": "answer", "subject": ID of the question, "who": "李护士", "why": "在岗"}
    {"do": "node_update" | "node_identify" | "node_self_test" | "node_restart", "subject": NODE, "who": "安装工小王"}

The answer is one line: {"ok": true, ...} or {"ok": false, "error": "...", "reason": CODE}; the codes are those of
`edge.core.values.Refusal`, and "bad_request" for what is no question. A reason of "last_detector" is asked again with
"confirmed": true. The socket has mode 0660, and the kernel says which user is at the other end; a name given with an
act is kept beside that user, never instead of it.
"""

import asyncio
import contextlib
import json
import logging
import os
import pwd
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.core.values import Act, Operation, Refusal

SOCKET_NAME = "agent.sock"
MAX_LINE = 65_536
IDLE_S = 30.0
MAX_STATIONS = 16
NAME_MAX = 60
WHY_MAX = 300
SUBJECT_MAX = 40
FOR_MAX_MS = 2**53
BAD_REQUEST = "bad_request"

OPERATIONS = tuple(item for item in Operation if item is not Operation.ASK)
"""What a person may ask for; a duty check comes from the collector alone."""
_NAMED = (Operation.DISABLE, Operation.ENABLE, Operation.WALK_TEST, Operation.ANSWER)
"""What wants a person's own name, and not only that of the user who is signed in."""

ERRORS = {
    Refusal.UNKNOWN_SUBJECT: "no such point or zone, or one that cannot be taken out of service",
    Refusal.NO_NAME: "it needs the name of a person",
    Refusal.NO_REASON: "it needs a reason",
    Refusal.NO_EXPIRY: "it needs a time after which it ends",
    Refusal.TOO_LONG: "that is too long",
    Refusal.LAST_DETECTOR: "it would leave a zone without its last detector or call point; confirm that",
    Refusal.NOT_DISABLED: "it is not disabled",
    Refusal.ALARM_STANDS: "not while an alarm stands",
    Refusal.TEST_RUNS: "a test is running; one at a time",
    Refusal.NO_TEST: "no such test is running",
    Refusal.NO_QUESTION: "no such question is waiting",
}
"""What is said to whoever asked by the command line; the console has its own words for each reason."""

SendTest = Callable[[str], tuple[int | None, list[str]]]
"""Sends a test message to a contact: its ticket, or None with the names that there are."""

log = logging.getLogger("shouwang.station")


class StationError(Exception):
    """The agent could not be asked, or refused; the text says what to do, `reason` why where it refused."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class Station:
    """Serves the socket in `folder`. `act` carries out, `status` tells, `page` tells with a few points only, so that
    whoever asks all the time takes no more than a millisecond of the loop's at once. `more` are services by the word
    that asks for one, which get a subject and a person and say what is wrong, if anything is."""

    def __init__(
        self,
        folder: Path,
        act: Callable[[Act], Refusal | None],
        status: Callable[[], dict[str, Any]],
        send_test: SendTest = lambda name: (None, []),
        page: Callable[[int], dict[str, Any]] | None = None,
        more: Mapping[str, Callable[[str, str], str]] | None = None,
    ) -> None:
        self._path = folder / SOCKET_NAME
        self._act = act
        self._status = status
        self._send_test = send_test
        self._page = page or (lambda _: status())
        self._more = more or {}
        self._server: asyncio.Server | None = None
        self._callers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        """Listen. The caller holds the lock of the data folder, so a socket that is there belongs to nobody."""
        self._path.unlink(missing_ok=True)
        was = os.umask(0o117)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE)
        finally:
            os.umask(was)

    async def stop(self) -> None:
        """Stop listening and take the socket away."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for caller in self._callers:
            caller.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._make_room()
        self._callers.append(writer)
        try:
            user = _peer(writer.get_extra_info("socket"))
            while line := await asyncio.wait_for(reader.readline(), IDLE_S):
                writer.write(json.dumps(self._answer(line, user), ensure_ascii=False).encode() + b"\n")
                await asyncio.wait_for(writer.drain(), IDLE_S)
        except (OSError, ValueError, TimeoutError):
            pass  # a caller that hangs, floods or goes away costs its own connection only
        finally:
            with contextlib.suppress(ValueError):
                self._callers.remove(writer)
            writer.close()

    def _make_room(self) -> None:
        """End the oldest connection where there are too many: whoever hangs on must not keep a carer from silencing."""
        if len(self._callers) >= MAX_STATIONS:
            self._callers.pop(0).transport.abort()

    def _answer(self, line: bytes, user: str) -> dict[str, Any]:
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            return _refusal("expected one JSON object a line")
        if not isinstance(asked, dict) or not isinstance(asked.get("do"), str):
            return _refusal('expected {"do": "status"} or an operation')
        try:
            if asked["do"] == "page":
                return self._paged(asked.get("from"))
            if asked["do"] in self._more:
                return self._service(asked, user)
            return {"ok": True, **self._status()} if asked["do"] == "status" else self._operate(asked, user)
        except Exception:  # an act that fails is no end of the agent, and whoever asked has to know
            log.exception("%s failed", asked["do"])
            return _refusal("it failed inside the agent; its log says why")

    def _paged(self, start: object) -> dict[str, Any]:
        if not isinstance(start, int) or isinstance(start, bool) or start < 0:
            return _refusal("from: expected the number of a point, 0 or more")
        return {"ok": True, **self._page(start)}

    def _service(self, asked: dict[str, Any], user: str) -> dict[str, Any]:
        name, subject = asked.get("who", ""), asked.get("subject", "")
        if not _is_line(name, NAME_MAX) or not _is_line(subject, SUBJECT_MAX):
            return _refusal(f"who and subject: expected one line each, at most {NAME_MAX} and {SUBJECT_MAX} characters")
        if not name.strip():
            return _refusal(ERRORS[Refusal.NO_NAME], Refusal.NO_NAME)
        said = self._more[asked["do"]](subject, f"{name.strip()} ({user})")
        return _refusal(said) if said else {"ok": True}

    def _operate(self, asked: dict[str, Any], user: str) -> dict[str, Any]:
        if asked["do"] == "sms_test":
            return self._sms_test(asked.get("to"), user)
        if asked["do"] not in list(OPERATIONS):
            return _refusal(f"unknown operation {asked['do']}")
        act = _act_of(asked, user)
        if isinstance(act, str):
            return _refusal(act)
        if act.operation in _NAMED and not asked["who"].strip():
            refused: Refusal | None = Refusal.NO_NAME
        else:
            refused = self._act(act)
        return {"ok": True} if refused is None else _refusal(ERRORS[refused], refused)

    def _sms_test(self, name: object, user: str) -> dict[str, Any]:
        ticket, names = self._send_test(name) if isinstance(name, str) else (None, [])
        if ticket is None:
            known = ", ".join(names) or "none; [sms] is not configured"
            return _refusal(f"to: no contact of that name; contacts: {known}")
        log.info("%s asked for a test message", user)
        return {"ok": True, "ticket": ticket}


def _act_of(asked: dict[str, Any], user: str) -> Act | str:
    """What was asked, or what is wrong with how it was."""
    name, why, subject = (asked.setdefault(key, "") for key in ("who", "why", "subject"))
    for_ms, confirmed = asked.get("for_ms", 0), asked.get("confirmed", False)
    if not _is_line(name, NAME_MAX) or not _is_line(why, WHY_MAX):
        return f"who and why: expected one line each of at most {NAME_MAX} and {WHY_MAX} characters"
    if not _is_line(subject, SUBJECT_MAX):
        return f"subject: expected a code of at most {SUBJECT_MAX} characters"
    if type(for_ms) is not int or not 0 <= for_ms <= FOR_MAX_MS:
        return "for_ms: expected milliseconds, a whole number"
    if type(confirmed) is not bool:
        return "confirmed: expected true or false"
    who = f"{name.strip()} ({user})" if name.strip() else user
    return Act(Operation(asked["do"]), who, why, subject, for_ms, confirmed)


def _is_line(text: object, most: int) -> bool:
    """Whether a text can stand in the record: no half of a surrogate pair, nothing that moves a terminal's cursor."""
    return isinstance(text, str) and len(text) <= most and (text.isprintable() or not text)


def _refusal(error: str, reason: str = BAD_REQUEST) -> dict[str, Any]:
    return {"ok": False, "error": error, "reason": reason}


def _peer(connection: socket.socket) -> str:
    """The user at the other end, as the kernel says."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid = struct.unpack("3i", raw)[1]
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"uid {uid}"


def ask(folder: Path, question: dict[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
    """One question to a running agent. Raises StationError with what to do about it."""
    path = folder / SOCKET_NAME
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(timeout_s)
            line.connect(str(path))
            line.sendall(json.dumps(question).encode() + b"\n")
            with line.makefile("rb") as answers:
                answer = json.loads(answers.readline())
    except PermissionError:
        raise StationError(f"{path}: not allowed; be in the socket's group or use sudo") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise StationError(f"{path}: no agent is running there; start it with: shouwang-edge run") from None
    except (OSError, ValueError) as error:
        raise StationError(f"{path}: the agent did not answer: {error}") from None
    if not answer.get("ok"):
        raise StationError(str(answer.get("error")), str(answer.get("reason", "")))
    return dict(answer)
