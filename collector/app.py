"""The HTTP application: routes, limits, security headers, and errors as clear sentences."""

from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector import models
from collector.routes import Services, board, check_declared, ops, pages, stream
from collector.settings import is_loopback

MAX_BODY_BYTES = 16 * 1024
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
    " manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


def make_app(parts: Services) -> FastAPI:
    """The application over running parts."""
    app = FastAPI(
        title="Shouwang collector",
        version="1",
        summary="Fire and electrical safety of a district's homes, on one board",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        responses={422: {"model": models.Problem, "description": "a parameter is not as described"}},
    )
    app.state.services = parts
    for router in (board.router, stream.router, ops.router, pages.router):
        app.include_router(router)
    check_declared(app)
    app.mount("/static", StaticFiles(directory=str(files("collector") / "web" / "static")), name="static")
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Guard, loopback_only=parts.settings.open_read)
    return app


class Guard:
    """Around everything: headers on each answer, a limit on each body, and an open board's loopback names.

    An open board on loopback must not answer to another site's name that somebody pointed at 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, loopback_only: bool) -> None:
        self._app = app
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refusal = self._refusal(headers)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send, scope["path"]))
            return
        await self._app(scope, receive, _with_headers(send, scope["path"]))

    def _refusal(self, headers: dict[bytes, bytes]) -> JSONResponse | None:
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" in headers:
            return _problem(411, "send a content-length with the body")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return _problem(413, f"a body may have at most {MAX_BODY_BYTES} bytes")
        host = headers.get(b"host", b"").decode("latin-1")
        if self._loopback_only and not is_loopback(_host_name(host)):
            return _problem(421, "without a login the board answers on this machine only")
        return None


def _with_headers(send: Send, path: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-cache" if path.startswith("/static/") else "no-store")
        await send(message)

    return sending


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _problem(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 401 and request.method == "GET" and not request.url.path.startswith("/api/"):
        return RedirectResponse("/login", 303)  # a page: to the way in
    sentences = {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not possible here"}
    is_default = error.detail in ("Not Found", "Method Not Allowed")
    response = _problem(error.status_code, sentences[error.status_code] if is_default else str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
    return _problem(422, "; ".join(found))


async def _failed(request: Request, error: Exception) -> JSONResponse:
    return _problem(500, "an error of the collector's own; its log says more")
