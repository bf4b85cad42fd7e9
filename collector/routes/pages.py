"""The board page, and the way in and out."""

import json
import secrets
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

from collector import catalogue, view
from collector.access import Action, Visitor, may
from collector.accounts import LATEST_END_MS, TooManyFailures, WrongPassword, same
from collector.routes import COOKIE, Looking, MaybeVisitor, Parts, anyone
from collector.store import StoreError

router = APIRouter(include_in_schema=False)
LANGUAGE_COOKIE = "shouwang_language"
FORM_COOKIE = "shouwang_form"
YEAR_S = 365 * 86_400

_templates = Environment(
    loader=FileSystemLoader(str(files("collector") / "web" / "templates")),
    autoescape=select_autoescape(default=True),
    trim_blocks=True,
    lstrip_blocks=True,
)


@router.get("/")
async def board_page(request: Request, who: Looking) -> Response:
    """The board 态势; the page's script fills it from the stream."""
    if who.is_idle:
        return RedirectResponse("/login", 303)
    language = _language(request)
    words = catalogue.words(language)
    page = {
        "language": language,
        "words": words,
        "classes": view.CLASSES,
        "alarm_classes": view.ALARM_CLASSES,
        "name": who.name,
        "csrf": who.csrf,
        "may_see": may(who, Action.SEE_ALARM),
    }
    return _page("board.html", request, who=who if who.name else None, page_data=_data(page))


@router.get("/login", dependencies=[Depends(anyone)])
async def login_page(request: Request, who: MaybeVisitor) -> Response:
    """The way in."""
    return RedirectResponse("/", 303) if who and not who.is_idle else _login_page(request)


@router.post("/login", dependencies=[Depends(anyone)])
async def log_in(request: Request, parts: Parts) -> Response:
    """Check name and password; back to the form with a sentence where they are wrong."""
    form = await _form(request)
    if not same(form.get("form", ""), request.cookies.get(FORM_COOKIE) or secrets.token_hex(8)):
        return _login_page(request, "form_expired", 403)
    address = request.client.host if request.client else ""
    try:
        login = await parts.accounts.log_in(form.get("name", "").strip(), form.get("password", ""), address)
    except WrongPassword:
        return _login_page(request, "wrong_password", 401)
    except TooManyFailures as error:
        return _login_page(request, "too_many_failures", 429, wait_s=error.wait_s)
    except StoreError:
        return _login_page(request, "cannot_store", 503)
    if before := request.cookies.get(COOKIE):
        await parts.accounts.log_out(before)  # who logs in again does not leave the old way in open
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE, login.token, max_age=LATEST_END_MS // 1000, httponly=True, samesite="lax", secure=_is_https(request)
    )
    response.delete_cookie(FORM_COOKIE)
    return response


@router.post("/logout", dependencies=[Depends(anyone)])
async def log_out(request: Request, parts: Parts, who: MaybeVisitor) -> Response:
    """End the session."""
    form = await _form(request)
    if who is not None and same(form.get("csrf", ""), who.csrf):
        await parts.accounts.log_out(request.cookies[COOKIE])
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


def _login_page(request: Request, problem: str = "", status: int = 200, wait_s: int = 0) -> Response:
    secret = secrets.token_urlsafe(24)
    response = _page("login.html", request, status, problem=problem, wait_s=wait_s, form=secret)
    response.set_cookie(FORM_COOKIE, secret, httponly=True, samesite="strict", secure=_is_https(request))
    return response


def _page(template: str, request: Request, status: int = 200, who: Visitor | None = None, **values: Any) -> Response:
    language = _language(request)
    text = _templates.get_template(template).render(
        language=language,
        other_language=next(code for code in catalogue.LANGUAGES if code != language),
        words=catalogue.words(language),
        who=who,
        **values,
    )
    response = HTMLResponse(text, status)
    if request.query_params.get("lang") in catalogue.LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_S, samesite="lax", secure=_is_https(request))
    return response


def _language(request: Request) -> str:
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return catalogue.choose(asked)


def _data(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("&", "\\u0026")


def _is_https(request: Request) -> bool:
    return request.url.scheme == "https"


async def _form(request: Request) -> dict[str, str]:
    body = (await request.body()).decode("utf-8", "replace")
    return {name: values[0] for name, values in parse_qs(body, max_num_fields=20).items()}
