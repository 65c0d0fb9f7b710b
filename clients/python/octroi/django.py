"""Django: a middleware, and the tag `octroi_balance` of the template library octroi.

    INSTALLED_APPS = [..., "octroi"]
    MIDDLEWARE = [..., "django.contrib.auth.middleware.AuthenticationMiddleware", "octroi.django.OctroiMiddleware"]
    OCTROI = {"url": "http://127.0.0.1:8081", "key": os.environ["OCTROI_GUARD_KEY"], "spool": "/var/lib/shop/octroi.spool"}

Wrapped clients spend the credits of the signed-in user.  A refusal that no view catches is a response.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import Any, Awaitable, Callable, ContextManager, Optional

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.utils.translation import get_language

from ._answers import Refusal
from ._client import Octroi
from ._wrap import acting_for


@functools.lru_cache(maxsize=1)
def client() -> Octroi:
    """The client that settings.OCTROI describes; the environment's without these settings."""
    options = {name: value for name, value in getattr(settings, "OCTROI", {}).items() if name != "account"}
    return Octroi(**options) if "url" in options else Octroi.from_environment(**options)


def account_of(request: Any, user: Any = None) -> Optional[str]:
    """user: and the key of the signed-in user, or the result of settings.OCTROI["account"]; None for visitors."""
    chosen: Optional[Callable[[Any], Optional[str]]] = getattr(settings, "OCTROI", {}).get("account")
    if chosen is not None:
        return chosen(request)
    user = user or getattr(request, "user", None)
    return f"user:{user.pk}" if user is not None and user.is_authenticated else None


class OctroiMiddleware:
    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._is_async = inspect.iscoroutinefunction(get_response)
        if self._is_async:
            from asgiref.sync import markcoroutinefunction

            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._is_async:
            return self._call_async(request)
        with _acting(account_of(request)):
            return self._get_response(request)

    async def _call_async(self, request: Any) -> Any:
        user = await request.auser() if hasattr(request, "auser") else None
        with _acting(account_of(request, user)):
            answer: Awaitable[Any] = self._get_response(request)
            return await answer

    def process_exception(self, request: Any, exception: Exception) -> Optional[HttpResponse]:
        if not isinstance(exception, Refusal):
            return None
        locale = get_language() or "en"
        if "application/json" in request.headers.get("Accept", ""):
            return JsonResponse(exception.document(locale), status=exception.http_status)
        return HttpResponse(exception.html(locale), status=exception.http_status)


def _acting(account: Optional[str]) -> ContextManager[None]:
    return acting_for(account) if account else contextlib.nullcontext()
