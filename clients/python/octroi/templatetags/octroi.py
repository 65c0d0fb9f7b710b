"""{% load octroi %} {% octroi_balance %} shows the balance of the signed-in user."""

from __future__ import annotations

from typing import Any

from django import template

from ..django import account_of, client
from .._answers import Refusal

register = template.Library()


@register.simple_tag(takes_context=True)  # type: ignore[untyped-decorator, unused-ignore]
def octroi_balance(context: Any) -> str:
    """Nothing for visitors, and while octroi is away.  The key needs the scope app."""
    account = account_of(context.get("request") or context.request)
    try:
        return client().credits(account).balanceFormatted if account else ""
    except Refusal:
        return ""
