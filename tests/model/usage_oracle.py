"""A reading of providers' usage objects: from what src/prices/usage.h promises, not from its code.

read(object) is None where it must be refused, else (the five counts, whether anything was counted, whether it counts an
output and says nothing of an input, the rest of a total that was taken for output).
"""

LIMIT = 10**9

# Each count and its spellings, as paths.
INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_token_count", "inputTokens", "prompt_eval_count",
         "billed_units.input_tokens")
OUTPUT = ("completion_tokens", "output_tokens", "candidatesTokenCount", "candidates_token_count", "responseTokenCount",
          "response_token_count", "outputTokens", "eval_count", "billed_units.output_tokens")
TOTAL = ("total_tokens", "totalTokenCount", "total_token_count", "totalTokens")
INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
READ_INSIDE = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cachedContentTokenCount",
               "cached_content_token_count", "cachedInputTokens",
               *(f"{d}.{n}" for d in INPUT_DETAILS for n in ("cached_tokens", "cached_read_tokens")))
READ_BESIDE = ("cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount")
WRITE_INSIDE = tuple(f"{d}.{n}" for d in INPUT_DETAILS for n in
                     ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens",
                      "cached_creation_tokens", "cached_write_tokens"))
WRITE_BESIDE = ("cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount")
FIVE_MINUTES, HOUR = ("cache_creation.ephemeral_5m_input_tokens",), ("cache_creation.ephemeral_1h_input_tokens",)
TOOL = ("toolUsePromptTokenCount", "tool_use_prompt_token_count")
THOUGHTS = ("thoughtsTokenCount", "thoughts_token_count")
REASONING = ("reasoning_tokens", "reasoningTokens", *(f"{d}.reasoning_tokens" for d in OUTPUT_DETAILS))
PARTS_OF_INPUT = ("audio_tokens", "text_tokens", "image_tokens", "video_tokens")
PARTS_OF_OUTPUT = (*PARTS_OF_INPUT, "accepted_prediction_tokens", "rejected_prediction_tokens", "thinking_tokens")
# The input includes the cache, whatever else is said.
WHOLE = ("prompt_tokens", "promptTokenCount", "prompt_token_count", "prompt_eval_count")


class Refused(Exception):
    """The object contradicts itself."""


def at(usage, path):
    for name in path.split("."):
        usage = usage.get(name) if isinstance(usage, dict) else None
    return usage


def one(usage, *paths, limit=LIMIT):
    """The count that the spellings agree on; None where there is none."""
    found = {}
    for path in paths:
        value = at(usage, path)
        if value is None:
            continue
        if type(value) is not int or not 0 <= value <= limit:
            raise Refused(path)
        found[path] = value
    if len(set(found.values())) > 1:
        raise Refused(found)
    return next(iter(found.values()), None)


def unlisted(usage):
    """The largest count of tokens of an unknown name."""
    largest = None
    for name, value in usage.items():
        if name.startswith("unknown") and "token" in name and value is not None and value != 0:
            if value < 0:
                raise Refused(name)
            largest = max(largest or 0, value)
    return largest


def any_given(usage, paths):
    return any(at(usage, p) is not None for p in paths)


def is_billed(usage):
    return any_given(usage, ("billed_units.input_tokens", "billed_units.output_tokens"))


def read(usage):
    try:
        return _read(usage)
    except Refused:
        return None


def _cache(usage, whole):
    """(read, write, five minutes, an hour, whether they are beside the input)."""
    read = one(usage, *READ_INSIDE, *READ_BESIDE) or 0
    five, hour = one(usage, *FIVE_MINUTES) or 0, one(usage, *HOUR) or 0
    write = one(usage, *WRITE_INSIDE, *WRITE_BESIDE)
    if write is None:
        write = five + hour
    if five + hour > write:
        raise Refused("cache_creation")
    said = {side: any((at(usage, p) or 0) > 0 for p in paths) for side, paths in
            (("inside", READ_INSIDE + WRITE_INSIDE), ("beside", READ_BESIDE + WRITE_BESIDE + FIVE_MINUTES + HOUR))}
    if is_billed(usage) and not said["beside"]:
        read = 0
    if read + write > 0 and all(said.values()) and not whole:
        raise Refused("inside and beside")
    return read, write, hour, said["beside"] and not whole


def _output(usage, input, read, write, tool):
    answer, thoughts = one(usage, *OUTPUT) or 0, one(usage, *THOUGHTS) or 0
    reasoning, total = one(usage, *REASONING) or 0, one(usage, *TOTAL, limit=5 * LIMIT)
    named = answer + thoughts
    if total is None:
        return (named if reasoning <= named else named + reasoning), 0, reasoning
    rest = total - input - named
    if rest >= 0:
        return named + rest, rest if rest != reasoning else 0, reasoning
    if -rest in (read, write, read + write, tool):
        return named, 0, reasoning
    if -rest == thoughts <= answer:
        return answer, 0, reasoning
    raise Refused("total")


def _read(usage):
    if all(usage.get(n) == 0 and type(usage.get(n)) is int for n in ("input_tokens", "output_tokens")) and \
            any(type(usage.get(n)) is int and usage[n] != 0 for n in ("prompt_tokens", "completion_tokens")):
        usage = {n: v for n, v in usage.items() if n not in ("input_tokens", "output_tokens")}
    whole = any_given(usage, WHOLE)
    read, write, hour, beside = _cache(usage, whole)
    tool = one(usage, *TOOL) or 0
    input = (one(usage, *INPUT) or 0) + tool
    if not beside and read + write > input:  # Gemini's cache may hold tool results, too
        raise Refused("cache")
    if beside:
        input += read + write
    output, left, reasoning = _output(usage, input, read, write, tool)
    total = one(usage, *TOTAL, limit=5 * LIMIT)
    lost = unlisted(usage)
    if lost is not None and (total is None or lost > total):
        raise Refused("unlisted")
    for details, parts, side in ((INPUT_DETAILS, PARTS_OF_INPUT, input), (OUTPUT_DETAILS, PARTS_OF_OUTPUT, output)):
        for part in (f"{d}.{p}" for d in details for p in parts):
            if (one(usage, part, limit=5 * LIMIT) or 0) > side:
                raise Refused(part)
        # No token is of two modalities that have prices of their own.
        modalities = ("audio", "image") if details == INPUT_DETAILS else ("audio", "image", "video")
        if sum(max(one(usage, f"{d}.{m}_tokens", limit=5 * LIMIT) or 0 for d in details) for m in modalities) > side:
            raise Refused("modalities")
    if reasoning > output or (one(usage, "prompt_cache_miss_tokens", limit=5 * LIMIT) or 0) > input:
        raise Refused("part")
    counts = (input - read - write, read, write - hour, hour, output)
    if max(counts) > LIMIT:
        raise Refused("beyond counting")
    no_input = output > 0 and sum(counts[:4]) == 0 and not any_given(usage, (*INPUT, *TOTAL))
    return counts, any(counts), no_input, left
