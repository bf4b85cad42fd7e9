"""The HTTP routes, by what they are about, and what all of them share."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, FastAPI, HTTPException, Path, Request
from fastapi.routing import APIRoute

from collector import access
from collector.access import Action, Visitor
from collector.accounts import Accounts, same
from collector.clock import Clock
from collector.ingest import Ingest
from collector.live import Live
from collector.settings import Settings
from collector.store.reader import Reader
from collector.store.writer import Writer

COOKIE = "shouwang_session"
CSRF_HEADER = "x-csrf-token"
CODE = r"^[A-Za-z0-9._-]{1,40}$"


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that the routes ask."""

    settings: Settings
    clock: Clock
    live: Live
    ingest: Ingest
    reader: Reader
    writer: Writer
    accounts: Accounts


def services(request: Request) -> Services:
    """The running parts."""
    return cast(Services, request.app.state.services)


Parts = Annotated[Services, Depends(services)]


async def visitor(request: Request, parts: Parts) -> Visitor | None:
    """Who asks, if anybody has logged in."""
    return await parts.accounts.visitor(request.cookies.get(COOKIE))


MaybeVisitor = Annotated[Visitor | None, Depends(visitor)]


class Needs:
    """What a route does, declared as its dependency: gives the visitor, who may do that, to the home in its path too.

    401 where nobody has logged in, 403 where this one may not, and 404 for a home that is not theirs, as for none.
    """

    def __init__(self, action: Action) -> None:
        self.action = action

    async def __call__(self, request: Request, parts: Parts) -> Visitor:
        watches, acts = self.action is Action.WATCH, request.method not in ("GET", "HEAD")
        who = await parts.accounts.visitor(request.cookies.get(COOKIE), uses=not watches, watches=watches)
        if who is None and parts.settings.open_read and self.action in (Action.WATCH, Action.LOOK):
            who = access.ANYBODY
        if who is None:
            raise HTTPException(401, "log in first: an act needs a name" if acts else "log in first")
        if acts:
            _check_act(request, who)
        if not access.may(who, self.action):
            raise HTTPException(403, f"an account of this kind ({who.role}) may not do that")
        home = request.path_params.get("home")
        if home is not None and not access.may(who, self.action, home):
            raise HTTPException(404, NO_SUCH_HOME)
        return who


async def anyone() -> None:
    """Declares a route that needs nobody's name: the way in and out, and what says how the process is."""


NO_SUCH_HOME = "no home of yours has that code"


def _check_act(request: Request, who: Visitor) -> None:
    """An act needs somebody who is there, and a request that our own page made."""
    if who.is_idle:
        raise HTTPException(401, "log in again: nobody has used this session for a while")
    if not same(request.headers.get(CSRF_HEADER, ""), who.csrf):
        raise HTTPException(403, f"the {CSRF_HEADER} header is missing or not this session's; load the page again")


def check_declared(app: FastAPI) -> None:
    """Refuse an application with a route that does not say what it does (ValueError)."""
    for route in app.routes:
        if isinstance(route, APIRoute) and declared(route) is None:
            raise ValueError(f"{route.path}: expected a dependency on Needs(action) or anyone")


def declared(route: APIRoute) -> Needs | bool | None:
    """What a route needs: its Needs, True for one that is open to anyone, None where it does not say."""
    calls = [dependency.call for dependency in route.dependant.dependencies]
    found = next((call for call in calls if isinstance(call, Needs)), None)
    return found or (True if anyone in calls else None)


Watching = Annotated[Visitor, Depends(Needs(Action.WATCH))]
Looking = Annotated[Visitor, Depends(Needs(Action.LOOK))]
HomeCode = Annotated[str, Path(pattern=CODE, description="the home's code")]
