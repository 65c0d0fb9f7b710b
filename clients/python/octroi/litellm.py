"""LiteLLM: a callback that guards `acompletion` and its like, also in LiteLLM's proxy.

    litellm.callbacks = [OctroiCallback(AsyncOctroi.from_environment())]

The account is that of `acting_for`, or the result of `account`, which gets LiteLLM's arguments.  LiteLLM's synchronous calls have
no callback that can refuse: they are stopped with `Unguarded`.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable, Dict, Optional

from litellm.integrations.custom_logger import CustomLogger

from ._answers import Refusal
from ._client import AsyncOctroi, HoldBase
from ._usage import member
from ._wrap import _acting, _text_bytes, refuse

GUARDED = ("acompletion", "atext_completion", "aembedding", "aresponses", "anthropic_messages")


class Unguarded(BaseException):
    """LiteLLM goes on after any other exception of this callback."""


class OctroiCallback(CustomLogger):  # type: ignore[misc, unused-ignore]
    def __init__(self, octroi: AsyncOctroi, account: Optional[Callable[[Dict[str, Any]], Optional[str]]] = None) -> None:
        super().__init__()
        self._octroi, self._account = octroi, account
        self._holds: weakref.WeakValueDictionary[str, HoldBase] = weakref.WeakValueDictionary()

    async def async_pre_call_deployment_hook(self, kwargs: Dict[str, Any], call_type: Any) -> Dict[str, Any]:
        name = str(getattr(call_type, "value", call_type))
        if name not in GUARDED:
            refuse(f"LiteLLM's {name} is not guarded")
        account = self._account(kwargs) if self._account is not None else None
        payer = {"account": account} if account else _acting.get()
        if not payer:
            refuse("no account: use acting_for")
        bounds = [bound for bound in ("max_completion_tokens", "max_output_tokens", "max_tokens") if kwargs.get(bound) is not None]
        count = kwargs.get("n") or 1
        said = {key: kwargs[key] for key in ("messages", "prompt", "input", "tools") if kwargs.get(key) is not None}
        wanted = {**payer, "model": str(kwargs.get("model", "")).rpartition("/")[2], "inputBytes": max(1, _text_bytes(said))}
        if bounds:
            wanted["maxOutputTokens"] = max(kwargs[bound] for bound in bounds) * count
        hold = await self._octroi.authorize(**wanted)
        changed = {**kwargs}
        if name != "aembedding":
            share = max(1, hold.maxOutputTokens // count)
            for bound in bounds or ["max_output_tokens" if name == "aresponses" else "max_tokens"]:
                changed[bound] = min(share, kwargs.get(bound) or share)
        if kwargs.get("stream") and name in ("acompletion", "atext_completion"):
            changed["stream_options"] = {**(kwargs.get("stream_options") or {}), "include_usage": True}
        self._holds[kwargs["litellm_call_id"]] = hold
        kwargs["litellm_logging_obj"].octroi_hold = hold  # as long as the call, and its stream, exist
        return changed

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
        hold = self._holds.get(kwargs.get("litellm_call_id") or "")
        if hold is None or hold.is_ended:
            raise Unguarded("octroi: this call of LiteLLM has no hold; use acompletion, or octroi's own guard")

    async def async_post_call_success_deployment_hook(self, request_data: Any, response: Any, call_type: Any) -> Any:
        await self._end(request_data, response)
        return None

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        await self._end(kwargs, response_obj)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        hold = self._holds.get(kwargs.get("litellm_call_id") or "")
        if hold is None or hold.is_ended:
            return
        status = getattr(kwargs.get("exception"), "status_code", None)
        is_free = isinstance(status, int) and status >= 400 and status != 408 and not _timed_out(kwargs.get("exception"))
        steps = self._octroi._quietly(hold._end("failed", None, {})) if is_free else hold._abandon()
        if steps is not None:
            await self._octroi._run_shielded(steps)

    async def _end(self, kwargs: Any, response: Any) -> None:
        hold = self._holds.get(kwargs.get("litellm_call_id") or "")
        usage = member(response, "usage")
        if hold is None or hold.is_ended or usage is None:
            return
        counts = {name: member(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
        cached = member(member(usage, "prompt_tokens_details"), "cached_tokens")
        details = {"prompt_tokens_details": {"cached_tokens": cached}} if cached else {}
        steps = hold._end("complete", {**{name: n for name, n in counts.items() if n is not None}, **details}, {})
        await self._octroi._run_shielded(self._octroi._quietly(steps))


def _timed_out(e: Any) -> bool:
    """The provider may have served it."""
    return any("Timeout" in kind.__name__ or "ConnectionError" in kind.__name__ for kind in type(e).__mro__)


__all__ = ["OctroiCallback", "Refusal", "Unguarded"]
