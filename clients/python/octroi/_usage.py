"""Usage objects: found in the provider's answers, and collected from the chunks of a stream."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Dict, Optional


def member(thing: Any, *names: str) -> Any:
    """The first member that is not None, of a mapping or an object."""
    for name in names:
        value = thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)
        if value is not None:
            return value
    return None


def usage_of(answer: Any) -> Optional[Dict[str, Any]]:
    """The usage object of a provider's answer; None where the answer has none."""
    return plain(member(answer, "usage", "usageMetadata", "usage_metadata"))


def is_refused(answer: Any) -> bool:
    """True for the body with which OpenAI, Anthropic and Gemini refuse a request: they bill nothing."""
    return isinstance(answer, dict) and isinstance(answer.get("error"), dict) and usage_of(answer) is None


def plain(usage: Any) -> Optional[Dict[str, Any]]:
    """A usage object as a dict that JSON can hold, with the names of the provider's API; None for none."""
    try:
        if hasattr(usage, "model_dump"):  # the objects of openai, anthropic and google-genai
            usage = usage.model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False)
        elif dataclasses.is_dataclass(usage) and not isinstance(usage, type):
            usage = dataclasses.asdict(usage)
        found = json.loads(json.dumps(usage, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found else None


class StreamUsage:
    """Collects the usage object of a stream."""

    def __init__(self) -> None:
        self._usage: Dict[str, Any] = {}
        self._is_known = False

    def add(self, chunk: Any) -> None:
        # Anthropic's message_start counts the input; its output is a first guess, and no known usage.
        begun = usage_of(member(chunk, "message")) or {}
        # OpenAI's response.completed has the usage one level deeper.
        usage = usage_of(chunk) or usage_of(member(chunk, "response"))
        self._is_known = self._is_known or usage is not None
        said = {name: value for name, value in (usage or {}).items() if value is not None}
        self._usage = {**self._usage, **begun, **said}

    @property
    def known(self) -> Optional[Dict[str, Any]]:
        return self._usage if self._is_known else None
