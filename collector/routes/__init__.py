"""The HTTP routes, by what they are about, and what all of them share."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, HTTPException, Path, Request

from collector.accounts import Accounts, Visitor, same
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


async def may_read(parts: Parts, who: MaybeVisitor) -> None:
    """Reading needs a login, save where the demo opened it on loopback."""
    if who is None and not parts.settings.open_read:
        raise HTTPException(401, "log in first")


async def person(request: Request, who: MaybeVisitor) -> Visitor:
    """Acting needs a named person, and a request that our own page made."""
    if who is None:
        raise HTTPException(401, "log in first: an act needs a name")
    if not same(request.headers.get(CSRF_HEADER, ""), who.csrf):
        raise HTTPException(403, f"the {CSRF_HEADER} header is missing or not this session's; load the page again")
    return who


Person = Annotated[Visitor, Depends(person)]
HomeCode = Annotated[str, Path(pattern=CODE, description="the home's code")]
