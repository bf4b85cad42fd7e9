"""What the page may ask: who it is, what it may see, and what it may have the agent do.

    home      the machine's own screen, over loopback: sees everything, silences; all else as the person signed in
    paired    a tablet with its token, over TLS: the same
    stranger  anybody else on the network: the pairing page, and nothing more

A request that changes something has to come from this page (Origin and a token that only this origin can read).
"""

import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from edge.clock import Clock
from edge.console import catalogue, pages, view
from edge.console.agent_line import AgentLine, Silent
from edge.console.certificate import CERTIFICATE
from edge.console.http import Answer, Refused, Request, Response, Seats, Streaming
from edge.console.hub import Hub
from edge.console.people import Busy, Locked, People, Session, WrongPin
from edge.console.questions import Bucket, question
from edge.console.site import Site
from edge.console.tables import Right
from edge.console.tablets import CODE_DIGITS, Tablets, TabletsError
from edge.core.values import PRIORITY

SESSION_COOKIE, LANGUAGE_COOKIE = "shouwang_console", "shouwang_language"
TABLET_COOKIE = "__Host-shouwang_tablet"
"""The browser sends a cookie of this name back over TLS only, and takes it from nobody else."""
YEAR_S = 365 * 86_400
HOME = ""
"""The station of the home's own screen; the others are tablets, by name."""
HEADERS = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
]


class App:
    """The routes. `status` gives the agent's last answer while it still holds, else None."""

    def __init__(
        self,
        site: Site,
        agent: AgentLine,
        hub: Hub,
        people: People,
        tablets: Tablets,
        seats: Seats,
        clock: Clock,
        status: Callable[[], dict[str, Any] | None],
    ) -> None:
        self._site = site
        self._agent = agent
        self._hub = hub
        self._people = people
        self._tablets = tablets
        self._seats = seats
        self._status = status
        self._csrf = secrets.token_urlsafe(24)
        self._buckets: dict[str, Bucket] = {}
        self._clock = clock
        self._get: dict[str, Callable[[Request, str], Answer]] = {
            "/": self._page,
            "/api/stream": self._stream,
            "/api/points": self._points,
            "/api/session": self._session,
        }
        self._post: dict[str, Callable[[Request, str], Awaitable[Answer]]] = {
            "/api/do": self._do,
            "/api/sign-in": self._sign_in,
            "/api/sign-out": self._sign_out,
        }

    async def handle(self, request: Request) -> Answer:
        """The answer to a request."""
        if not request.is_tls and _host(request) not in _own_hosts(self._site.console.port):
            raise Refused(421)  # another name for this address: a page of the internet that wants in
        if request.method not in ("GET", "POST"):
            raise Refused(405)
        station = self._station(request)
        if request.method == "GET" and request.path.startswith("/static/"):
            return _static(request.path.removeprefix("/static/"))
        if request.is_tls and request.path in ("/pair", "/api/pair", "/certificate.crt"):
            return await self._stranger(request)
        if station is None:
            return _redirect("/pair") if request.path == "/" else _answer({"reason": "not_paired"}, 401)
        if request.method == "GET" and request.path in self._get:
            return self._get[request.path](request, station)
        if request.method == "POST" and request.path in self._post:
            self._refuse_foreign(request)
            return await self._post[request.path](request, station)
        raise Refused(405 if request.path in {**self._get, **self._post} else 404)

    def _station(self, request: Request) -> str | None:
        """Whose screen it is; None for a stranger's. A paired tablet takes a seat that no stranger can take from it."""
        if not request.is_tls:
            return HOME
        try:
            tablet = self._tablets.known(request.cookies.get(TABLET_COOKIE, ""))
        except TabletsError:
            return None
        if tablet is None:
            return None
        request.caller.kind = f"tablet {tablet.name}"
        self._seats.take(request.caller)
        return tablet.name

    # --- what it sees

    def _page(self, request: Request, station: str) -> Answer:
        asked = request.query.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
        language = catalogue.choose(asked)
        data = {"build": pages.build(), "classes": [str(item) for item in PRIORITY], "station": station}
        answer = Response(body=pages.page("console.html", language, data), content_type="text/html; charset=utf-8")
        if "lang" in request.query:
            answer.headers.append(_cookie(LANGUAGE_COOKIE, language, request, YEAR_S))
        if request.is_tls:  # browsers forget a cookie after some 400 days, whatever it says
            token = request.cookies[TABLET_COOKIE]
            answer.headers.append(_cookie(TABLET_COOKIE, token, request, YEAR_S))
        return answer

    def _stream(self, request: Request, station: str) -> Answer:
        page = self._hub.open(station, {"csrf": self._csrf, "build": pages.build(), "people": self._people.names()})
        return Streaming(page, lambda: self._hub.leave(page))

    def _points(self, request: Request, station: str) -> Answer:
        status = self._status()
        if status is None:
            return _answer({"reason": "silent"}, 503)
        return _answer({"points": view.points_table(status, self._site)})

    def _session(self, request: Request, station: str) -> Answer:
        return _answer(self._described(self._signed_in(request, station), station))

    # --- who it is

    async def _sign_in(self, request: Request, station: str) -> Answer:
        asked = _json(request)
        name, pin = asked.get("name"), asked.get("pin")
        if not isinstance(name, str) or not isinstance(pin, str) or len(name) > 60 or len(pin) > 60:
            raise Refused(400)
        try:
            token = await self._people.sign_in(station, name, pin)
        except WrongPin as wrong:
            locked_ms = self._people.locked_ms(station)
            return _answer({"reason": "wrong_pin", "left": max(0, wrong.left), "locked_ms": locked_ms}, 403)
        except Locked as locked:
            return _answer({"reason": "locked", "locked_ms": locked.wait_ms}, 429)
        except Busy:
            return _answer({"reason": "busy"}, 429)
        answer = _answer(self._described(self._people.session(station, token), station))
        answer.headers.append(_cookie(SESSION_COOKIE, token, request))
        return answer

    async def _sign_out(self, request: Request, station: str) -> Answer:
        self._people.sign_out(request.cookies.get(SESSION_COOKIE, ""))
        answer = _answer(self._described(None, station))
        answer.headers.append(_cookie(SESSION_COOKIE, "", request, 0))
        return answer

    def _signed_in(self, request: Request, station: str, is_use: bool = False) -> Session | None:
        return self._people.session(station, request.cookies.get(SESSION_COOKIE, ""), is_use)

    def _described(self, session: Session | None, station: str) -> dict[str, Any]:
        return {
            "name": session.name if session is not None else None,
            "remaining_ms": session.remaining_ms if session is not None else 0,
            "locked_ms": self._people.locked_ms(station),
        }

    # --- what it has done

    async def _do(self, request: Request, station: str) -> Answer:
        asked = question(_json(request))
        if asked is None:
            raise Refused(400)
        is_silence = asked["do"] == "silence"
        session = self._signed_in(request, station, is_use=True)
        if not is_silence:
            locked_ms = self._people.locked_ms(station)
            if locked_ms:
                return _answer({"reason": "locked", "locked_ms": locked_ms}, 429)
            if session is None or Right.OPERATE not in session.rights:
                return _answer({"reason": "sign_in"}, 401)
        # Of its own, so that nothing else that is asked for keeps the sound on.
        bucket = self._buckets.setdefault(f"{station} {is_silence}", Bucket(self._clock.mono_ms))
        if not bucket.take():
            return _answer({"reason": "busy"}, 429)
        asked["who"] = session.name if session is not None else self._unsigned(station)
        try:
            answer = await self._agent.ask(asked)
        except Silent:
            return _answer({"reason": "silent"}, 503)
        if answer.get("ok") is True:
            return _answer({"ok": True})
        return _answer({"reason": str(answer.get("reason") or "refused"), "error": str(answer.get("error", ""))}, 409)

    def _unsigned(self, station: str) -> str:
        """In whose name a sound is silenced by somebody who has not signed in: the station's, as a button's is."""
        return station or self._site.console.place or "console"

    # --- how it becomes one of ours

    async def _stranger(self, request: Request) -> Answer:
        if request.method == "GET" and request.path == "/certificate.crt":
            raw = (self._site.folder / CERTIFICATE).read_bytes()
            return Response(body=raw, content_type="application/x-x509-ca-cert")
        if request.method == "GET" and request.path == "/pair":
            language = catalogue.choose(request.query.get("lang") or request.cookies.get(LANGUAGE_COOKIE))
            body = pages.page("pair.html", language, {"digits": CODE_DIGITS})
            return Response(body=body, content_type="text/html; charset=utf-8")
        if request.method != "POST" or request.path != "/api/pair":
            raise Refused(405)
        self._refuse_foreign(request, needs_token=False)
        return self._pair(request)

    def _pair(self, request: Request) -> Answer:
        code = _json(request).get("code")
        if not isinstance(code, str) or len(code) > 40:
            raise Refused(400)
        try:
            paired = self._tablets.pair("".join(filter(str.isdigit, code)))
        except TabletsError:
            return _answer({"reason": "cannot_store"}, 503)
        if paired is None:
            return _answer({"reason": "wrong_code"}, 403)
        name, token = paired
        self._hub.close(name)
        self._people.end_station(name)  # the tablet that had the name before is not this one
        answer = _answer({"name": name})
        answer.headers.append(_cookie(TABLET_COOKIE, token, request, YEAR_S))
        return answer

    def _refuse_foreign(self, request: Request, needs_token: bool = True) -> None:
        """Only this page may have something done: another site's form or script has neither its origin nor its token,
        and one that runs on another port of this machine lacks them too."""
        scheme = "https" if request.is_tls else "http"
        if request.headers.get("origin") != f"{scheme}://{_host(request)}":
            raise Refused(403)
        token = request.headers.get("x-csrf-token", "")
        if needs_token and not hmac.compare_digest(token.encode(), self._csrf.encode()):
            raise Refused(403)


def _host(request: Request) -> str:
    return request.headers.get("host", "")


def _own_hosts(port: int) -> set[str]:
    return {f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")}


def _static(name: str) -> Answer:
    found = pages.static(name)
    if found is None:
        raise Refused(404)
    return Response(body=found[0], content_type=found[1])


def _redirect(to: str) -> Response:
    return Response(303, headers=[("location", to)])


def _answer(value: Any, status: int = 200) -> Response:
    return Response(status, json.dumps(value, ensure_ascii=False).encode())


def _json(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise Refused(415)
    try:
        asked = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Refused(400) from None
    if not isinstance(asked, dict):
        raise Refused(400)
    return asked


def _cookie(name: str, value: str, request: Request, max_age_s: int | None = None) -> tuple[str, str]:
    """Loopback is not TLS, and a browser would not keep a secure cookie of it."""
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Strict"]
    if request.is_tls:
        parts.append("Secure")
    if max_age_s is not None:
        parts.append(f"Max-Age={max_age_s}")
    return "set-cookie", "; ".join(parts)
