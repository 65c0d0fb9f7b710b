"""Answers of octroi: exceptions for the refusals, results for the others."""

from __future__ import annotations

import contextlib
import html
import json
import re
import sys
from typing import Any, ClassVar, Dict, Iterator, Mapping, Optional, Tuple, Type

ANSWER_BYTES = 1 << 20
FINAL_STATUSES = (400, 404, 409, 413, 422)  # no repetition changes these
WORTH_REPEATING = (0, 502, 503, 504)


class Answer:
    """One answer to one call, or its absence (status 0)."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, reason: str = "") -> None:
        self.status = status
        self.reason = reason
        self.tries = 1
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._body = body

    @classmethod
    def none(cls, reason: str) -> Answer:
        return cls(0, {}, b"", reason)

    @classmethod
    def local(cls, reason: str) -> Answer:
        """The 400 of a request that the client did not send."""
        return cls(400, {"Content-Type": "application/json"}, b'{"error":"INVALID_REQUEST"}', reason)

    @property
    def document(self) -> Dict[str, Any]:
        """The JSON object; empty for anything else."""
        if self._headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return {}
        try:
            document = json.loads(self._body)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def error(self) -> str:
        error = self.document.get("error")
        return error if isinstance(error, str) and re.fullmatch(r"[A-Z_]{1,64}", error) else ""

    @property
    def request_id(self) -> str:
        return re.sub(r"[^\w.:-]", "", self._headers.get("x-request-id", "")[:128], flags=re.A)

    @property
    def retry_after(self) -> Optional[int]:
        seconds = self._headers.get("retry-after", "")
        return int(seconds) if re.fullmatch(r"[0-9]{1,6}", seconds) else None

    def is_final(self) -> bool:
        """A refusal by octroi itself, not by a web server before it."""
        return self.status in FINAL_STATUSES and self.error != ""


# ---- exceptions --------------------------------------------------------------------------------------------


class Refusal(Exception):
    """A call that octroi did not permit.  Neither the message nor a member holds a secret."""

    SENTENCES: ClassVar[Mapping[str, str]] = {}
    http_status = 503
    """The status with which the page should answer its own user."""

    def __init__(self, answer: Answer, reason: str = "") -> None:
        self.status = answer.status
        """HTTP status of octroi's answer; 0 without an answer."""
        self.error = answer.error
        """octroi's code such as UNKNOWN_MODEL; empty where the answer had none."""
        self.requestId = answer.request_id
        """X-Request-Id, by which octroi's log names the request."""
        self.retryAfter = answer.retry_after
        """Seconds after which octroi wants to be asked again."""
        self.answer = answer.document
        """The whole answer."""
        words = (str(answer.status or "no answer"), self.error, reason or answer.reason, self.requestId)
        super().__init__("octroi: " + " ".join(word for word in words if word))

    def sentence(self, locale: Optional[str] = None) -> str:
        """A sentence for the user, in English or French."""
        return self.SENTENCES.get((locale or "en")[:2], self.SENTENCES["en"])

    def html(self, locale: Optional[str] = None) -> str:
        """The sentence as a paragraph of HTML."""
        return f"<p>{html.escape(self.sentence(locale))}</p>"

    def document(self, locale: Optional[str] = None) -> Dict[str, Any]:
        """The refusal as a document of JSON for a browser."""
        return {"error": self.error or "UNAVAILABLE", "message": self.sentence(locale)}

    def __reduce__(self) -> Tuple[Any, ...]:
        """For pools of processes, and Celery's results."""
        kind = next(kind for kind in type(self).__mro__ if kind.__module__ == __name__)
        return _made_again, (kind, self.args, self.__dict__)


def _made_again(kind: Type[Refusal], words: Tuple[Any, ...], members: Dict[str, Any]) -> Refusal:
    made = kind.__new__(kind, *words)
    made.__dict__.update(members)
    return made


class InsufficientCredits(Refusal):
    """402: the account, its member or its plan may not spend this."""

    SENTENCES = {"en": "Not enough credits.", "fr": "Crédits insuffisants."}
    http_status = 402

    def sentence(self, locale: Optional[str] = None) -> str:
        """octroi's own sentence, in the language of the client's `locale`; with an argument, in that language."""
        said = self.answer.get("message")
        return said if locale is None and isinstance(said, str) else super().sentence(locale)

    def html(self, locale: Optional[str] = None) -> str:
        """octroi's own sentence, with a link to the top-up."""
        url = self.topupUrl or ""
        words = "Recharger" if (locale or "en")[:2] == "fr" else "Top up"
        is_link = re.match(r"https?://", url, re.I)
        link = f' <a href="{html.escape(url)}">{words}</a>' if is_link else ""
        return f"<p>{html.escape(self.sentence())}{link}</p>"

    def document(self, locale: Optional[str] = None) -> Dict[str, Any]:
        """With octroi's own sentence, the figures and the link to the top-up."""
        names = ("code", "limit", "neededMicros", "availableMicros", "shortfallMicros", "topupUrl")
        figures = {name: self.answer[name] for name in names if name in self.answer}
        return {"error": self.error, "message": self.sentence(), **figures}

    @property
    def topupUrl(self) -> Optional[str]:
        """The page on which the user can buy credits."""
        url = self.answer.get("topupUrl")
        return url if isinstance(url, str) else None

    @property
    def limit_kind(self) -> Optional[str]:
        """balance, hard_limit, member, daily, monthly or suspended."""
        limit = self.answer.get("limit")
        kind = limit.get("kind") if isinstance(limit, dict) else None
        return kind if isinstance(kind, str) else None

    @property
    def neededMicros(self) -> Optional[int]:
        return self._micros("neededMicros")

    @property
    def availableMicros(self) -> Optional[int]:
        return self._micros("availableMicros")

    @property
    def shortfallMicros(self) -> Optional[int]:
        return self._micros("shortfallMicros")

    def _micros(self, name: str) -> Optional[int]:
        value = self.answer.get(name)
        return value if type(value) is int else None


class NotPermitted(Refusal):
    """401 or 403: the key is missing, revoked, or lacks the scope."""

    SENTENCES = {
        "en": "This service is not set up correctly. Please tell its operator.",
        "fr": "Ce service est mal configuré. Merci de prévenir son responsable.",
    }


class UnknownPrice(Refusal):
    """422: the model or the action has no price."""

    SENTENCES = {"en": "This model is not available.", "fr": "Ce modèle n’est pas disponible."}


class Conflict(Refusal):
    """409: the request contradicts an earlier one."""

    SENTENCES = {
        "en": "This request contradicts an earlier one.",
        "fr": "Cette demande contredit une demande précédente.",
    }


class AlreadyAsked(Refusal):
    """The request id was used before.  Its hold paid for that one AI request, and pays for no second one."""

    SENTENCES = {"en": "This request was sent before.", "fr": "Cette demande a déjà été envoyée."}


class TooMany(Refusal):
    """429: the account has too many open holds, or asks too often."""

    SENTENCES = {
        "en": "Too many requests. Please try again in a moment.",
        "fr": "Trop de demandes. Réessayez dans un instant.",
    }


class InvalidRequest(Refusal):
    """400, 404, 405, 413 or 415: a defect of the calling code."""

    SENTENCES = {"en": "This request could not be sent.", "fr": "Cette demande n’a pas pu être envoyée."}

    @property
    def field(self) -> Optional[str]:
        """The member that octroi refused."""
        field = self.answer.get("field")
        return field if isinstance(field, str) else None


class Unavailable(Refusal):
    """No answer, an answer that octroi does not give, or a 5xx."""

    SENTENCES = {"en": "Please try again later.", "fr": "Veuillez réessayer plus tard."}


_BY_STATUS = {
    400: InvalidRequest, 404: InvalidRequest, 405: InvalidRequest, 413: InvalidRequest, 415: InvalidRequest,
    401: NotPermitted, 403: NotPermitted, 402: InsufficientCredits, 409: Conflict, 422: UnknownPrice, 429: TooMany,
}


def refusal(answer: Answer) -> Refusal:
    """The exception of an answer."""
    if answer.error == "" and answer.status != 401:
        return Unavailable(answer, answer.reason or "not an answer of octroi")
    return _BY_STATUS.get(answer.status, Unavailable)(answer)


@contextlib.contextmanager
def exit_on_refusal(locale: Optional[str] = None) -> Iterator[None]:
    """For scripts: a refusal ends the program, with the sentence for the user on standard error."""
    try:
        yield
    except Refusal as e:
        sys.exit(e.sentence(locale))


# ---- results -----------------------------------------------------------------------------------------------


class Settlement:
    """The outcome of a settlement.  Undelivered ones are in the spool, or in the log; their figures are None."""

    def __init__(self, hold: str, delivered: bool, answer: Dict[str, Any]) -> None:
        self.hold = hold
        self.delivered = delivered
        self.answer = answer
        told = answer if delivered else {}
        self.settlement: Optional[str] = told.get("settlement")
        """exact, partial, estimated, late or provider_reported"""
        self.costMicros: Optional[int] = told.get("costMicros")
        self.balanceMicros: Optional[int] = told.get("balanceMicros")
        self.availableMicros: Optional[int] = told.get("availableMicros")


class Charge:
    """An action that was checked and paid for in one call."""

    def __init__(self, answer: Dict[str, Any]) -> None:
        self.creditsConsumed: float = answer["creditsConsumed"]
        self.creditsRemaining: float = answer["creditsRemaining"]
        self.costMicros: int = answer["costMicros"]
        self.balanceMicros: int = answer["balanceMicros"]
        self.message: str = answer["message"]
        self.answer = answer


class Credits:
    """The balance of an account, and its last movements in `answer`."""

    def __init__(self, answer: Dict[str, Any]) -> None:
        self.balanceMicros: int = answer["balanceMicros"]
        self.availableMicros: int = answer["availableMicros"]
        self.balanceFormatted: str = answer["balanceFormatted"]
        self.low: bool = answer["low"]
        self.answer = answer
