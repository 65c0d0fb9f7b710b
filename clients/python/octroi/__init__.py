"""The client of octroi for Python 3.9 to 3.13: standard library only.  docs/python.md is its manual.

    octroi = Octroi.from_environment()
    with octroi.hold(account="user:42", model="gpt-4o") as hold:
        answer = ask_openai(max_tokens=hold.maxOutputTokens)
        hold.settle(answer["usage"])

The client fails closed: only a new hold lets an AI request out.  Every other answer, and no answer, is an exception.
Members of octroi's API (GET /api/openapi.json) keep their names.
"""

from ._answers import (
    AlreadyAsked, Charge, Conflict, Credits, InsufficientCredits, InvalidRequest, NotPermitted, Refusal, Settlement, TooMany,
    Unavailable, UnknownPrice, exit_on_refusal,
)
from ._client import AsyncHold, AsyncOctroi, Hold, Octroi
from ._wrap import acting_for

__all__ = [
    "AlreadyAsked", "AsyncHold", "AsyncOctroi", "Charge", "Conflict", "Credits", "Hold", "InsufficientCredits",
    "InvalidRequest", "NotPermitted", "Octroi", "Refusal", "Settlement", "TooMany", "Unavailable", "UnknownPrice",
    "acting_for", "exit_on_refusal",
]
