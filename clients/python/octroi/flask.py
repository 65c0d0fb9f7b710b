"""Flask: an extension.

    octroi = FlaskOctroi(app, account=lambda: f"user:{current_user.id}" if current_user.is_authenticated else None)

Wrapped clients spend the credits of that account.  A refusal that no view catches is a response.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Optional, Tuple

from flask import Flask, current_app, g, jsonify, request

from ._answers import Refusal
from ._client import Octroi
from ._wrap import acting_for


class FlaskOctroi:
    """`client` is the Octroi of the current application.  Its configuration: OCTROI_URL, OCTROI_KEY, OCTROI_SPOOL, OCTROI_LOCALE;
    the environment's without OCTROI_URL."""

    def __init__(self, app: Optional[Flask] = None, account: Optional[Callable[[], Optional[str]]] = None) -> None:
        self._account = account
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        options = {"spool": app.config.get("OCTROI_SPOOL"), "locale": app.config.get("OCTROI_LOCALE", "en"),
                   "on_outage": app.config.get("OCTROI_ON_OUTAGE", "refuse")}
        if app.config.get("OCTROI_URL"):
            octroi = Octroi(app.config["OCTROI_URL"], app.config.get("OCTROI_KEY", ""), **options)
        else:
            octroi = Octroi.from_environment(**{name: value for name, value in options.items() if value})
        app.extensions["octroi"] = octroi
        app.before_request(self._begin)
        app.teardown_request(self._end)
        app.register_error_handler(Refusal, self._refused)

    @property
    def client(self) -> Octroi:
        octroi: Octroi = current_app.extensions["octroi"]
        return octroi

    def _begin(self) -> None:
        g.octroi = contextlib.ExitStack()
        account = self._account() if self._account is not None else None
        if account:
            g.octroi.enter_context(acting_for(account))

    def _end(self, e: Optional[BaseException]) -> None:
        stack: Optional[contextlib.ExitStack] = g.pop("octroi", None)
        if stack is not None:
            stack.close()

    def _refused(self, refusal: Refusal) -> Tuple[Any, int]:
        locale = request.accept_languages.best_match(["en", "fr"]) or "en"
        if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
            return jsonify(refusal.document(locale)), refusal.http_status
        return refusal.html(locale), refusal.http_status
