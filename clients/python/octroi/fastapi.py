"""FastAPI: a dependency that is a hold, and a handler for refusals.

    install(app)

    @app.post("/ask")
    async def ask(question: str, hold: AsyncHold = guarded(octroi, current_account, model="gpt-4o", maxOutputTokens=500)):
        answer = await ask_openai(question, hold.maxOutputTokens)
        await hold.settle(answer["usage"])
"""

from __future__ import annotations

from typing import Any, AsyncIterator, Callable

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from ._answers import Refusal
from ._client import AsyncHold, AsyncOctroi
from ._wrap import acting_for


def guarded(octroi: AsyncOctroi, account: Callable[..., Any], **request: Any) -> Any:
    """A dependency: the route runs with a hold for one AI request.  `account` is a dependency that gives the account, and refuses
    visitors.  Without a settlement, the hold ends as `abandoned` says."""

    async def dependency(account: Any = Depends(account)) -> AsyncIterator[AsyncHold]:
        async with octroi.hold(account=account, **request) as hold:
            yield hold

    return Depends(dependency)


def acting(account: Callable[..., Any]) -> Any:
    """A dependency: wrapped clients spend the credits of this account."""

    async def dependency(account: Any = Depends(account)) -> AsyncIterator[None]:
        with acting_for(account):
            yield

    return Depends(dependency)


def install(app: FastAPI) -> None:
    """A refusal that no route catches is a response, in JSON unless the browser asks for a page."""
    app.add_exception_handler(Refusal, _refused)


async def _refused(request: Request, e: Exception) -> Response:
    assert isinstance(e, Refusal)
    locale = "fr" if request.headers.get("accept-language", "").lower().startswith("fr") else "en"
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(e.html(locale), e.http_status)
    return JSONResponse(e.document(locale), e.http_status)
