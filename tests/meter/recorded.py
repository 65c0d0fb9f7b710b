"""Recorded streams of providers, and what each provider bills for them: read here, without any code of the meter's.

A recording is a file of streams/.  Its shape is that of the provider's documentation; figures and texts are made up.
"""

import functools
import json
import pathlib
import re

STREAMS = pathlib.Path(__file__).resolve().parent / "streams"
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
GEMINI = "/v1beta/models/gemini-2.5-flash:"

# name: provider in the meter's address, path, model, (input, output, cache read, cache write) of the whole stream.
RECORDINGS = {
    "openai-chat": ("openai", CHAT, "gpt-4o", (15, 9, 12, 0)),
    "openai-tools": ("openai", CHAT, "gpt-4o", (81, 17, 0, 0)),
    "openai-responses": ("openai", RESPONSES, "gpt-4o", (31, 9, 0, 0)),
    "anthropic": ("anthropic", MESSAGES, "claude-sonnet-4-20250514", (25, 12, 40, 8)),
    "anthropic-tools": ("anthropic", MESSAGES, "claude-sonnet-4-20250514", (472, 89, 0, 0)),
    "gemini": ("gemini", GEMINI + "streamGenerateContent", "gemini-2.5-flash", (14, 18, 0, 0)),
    "mistral": ("mistral", CHAT, "mistral-small-latest", (19, 10, 0, 0)),
    "deepseek": ("deepseek", CHAT, "deepseek-reasoner", (18, 9, 0, 0)),
}


def recording(name):
    return (STREAMS / f"{name}.sse").read_bytes()


class Event:
    """One event of a stream: the offset behind it, its data (None for a comment) and the text that it adds."""

    def __init__(self, raw, start, end):
        self.raw, self.start, self.end = raw, start, end
        lines = [line[5:].strip() for line in raw.replace(b"\r", b"").split(b"\n") if line.startswith(b"data:")]
        self.data = b"\n".join(lines).decode() if lines else None
        self.json = json.loads(self.data) if self.data and self.data != "[DONE]" else None
        self.text = _added(self.json) if self.json else ""

    @property
    def output(self):
        """The cumulative output that this event reports, None for none."""
        said = self.json or {}
        usage = said.get("usageMetadata") or said.get("usage") or said.get("response", {}).get("usage") or {}
        if "candidatesTokenCount" in usage:
            return usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)
        return usage.get("output_tokens", usage.get("completion_tokens"))


def _added(event):
    """The text that an event adds to the answer: words, thoughts, names and arguments of tools."""
    if event.get("type") == "content_block_start":
        return event["content_block"].get("name", "")
    if event.get("type") == "response.output_text.delta":
        return event["delta"]
    delta = event.get("delta") if event.get("type") == "content_block_delta" else None
    if delta:
        return delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
    found = ""
    for choice in event.get("choices") or ():
        delta = choice["delta"]
        found += (delta.get("content") or "") + (delta.get("reasoning_content") or "")
        for call in delta.get("tool_calls") or ():
            found += (call["function"].get("name") or "") + (call["function"].get("arguments") or "")
    for candidate in event.get("candidates") or ():
        found += "".join(part.get("text", "") for part in candidate["content"]["parts"])
    return found


@functools.lru_cache(maxsize=64)
def events(stream):
    """The events of a whole stream."""
    found, start = [], 0
    for end in re.finditer(rb"\r?\n\r?\n", stream):
        found.append(Event(stream[start:end.end()], start, end.end()))
        start = end.end()
    assert start == len(stream)
    return found


def sent(stream, length):
    """(deltas, bytes of their texts, last reported output or None) of a stream's first bytes."""
    whole = [event for event in events(stream) if event.end <= length]
    texts = [event.text.encode() for event in whole if event.text]
    reported = [event.output for event in whole if event.output is not None]
    return len(texts), sum(map(len, texts)), reported[-1] if reported else None


def begun(stream, length):
    """The length with the event that is begun by then."""
    return next((event.end for event in events(stream) if event.end >= length), length)


def bill_of_part(name, stream, length):
    """The provider's bill for a stream of which it made so many bytes: a token for each delta, or its own count."""
    input, output, cache_read, cache_write = RECORDINGS[name][3]
    if length >= len(stream):
        return [input, output, cache_read, cache_write]
    deltas, _, reported = sent(stream, length)
    return [input, reported if reported is not None else deltas, cache_read, cache_write]
