"""LiteLLM's list and what a use of its prices costs, in fractions, from docs/prices.md and the list's own fields.

A price is a list of lines (dimension, tier, above, variant, dollars).
"""

import fractions
import json
import re

F = fractions.Fraction
TIERS = ("standard", "batch", "flex", "priority")
DECIMAL = {"seconds", "outputSeconds", "videoSeconds", "outputVideoSeconds", "providerCredits"}
INPUT = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "audioInputTokens", "audioCacheReadTokens",
         "audioCacheWriteTokens", "imageInputTokens")
OUTPUT = ("outputTokens", "reasoningTokens", "citationTokens", "audioOutputTokens", "imageOutputTokens", "videoOutputTokens")
DURATIONS = ("seconds", "outputSeconds", "videoSeconds", "outputVideoSeconds")
FIELDS = {
    "input_cost_per_token": "inputTokens", "output_cost_per_token": "outputTokens",
    "cache_read_input_token_cost": "cacheReadTokens", "input_cost_per_token_cache_hit": "cacheReadTokens",
    "cache_creation_input_token_cost": "cacheWriteTokens", "cache_creation_input_token_cost_above_1hr": "cacheWrite1hTokens",
    "input_cost_per_audio_token": "audioInputTokens", "cache_read_input_audio_token_cost": "audioCacheReadTokens",
    "cache_creation_input_audio_token_cost": "audioCacheWriteTokens", "input_cost_per_image_token": "imageInputTokens",
    "output_cost_per_reasoning_token": "reasoningTokens", "citation_cost_per_token": "citationTokens",
    "output_cost_per_audio_token": "audioOutputTokens", "output_cost_per_image_token": "imageOutputTokens",
    "output_cost_per_video_token": "videoOutputTokens", "input_cost_per_second": "seconds",
    "input_cost_per_audio_per_second": "seconds", "output_cost_per_second": "outputSeconds",
    "input_cost_per_video_per_second": "videoSeconds", "output_cost_per_video_per_second": "outputVideoSeconds",
    "input_cost_per_character": "characters", "output_cost_per_character": "outputCharacters",
    "input_cost_per_image": "inputImages", "output_cost_per_image": "images", "input_cost_per_pixel": "pixels",
    "output_cost_per_pixel": "pixels", "ocr_cost_per_page": "pages", "annotation_cost_per_page": "annotationPages",
    "ocr_cost_per_credit": "providerCredits", "input_cost_per_query": "queries", "input_cost_per_request": "requests",
    "code_interpreter_cost_per_session": "sessions"}
DIMENSIONS = {*FIELDS.values(), "searchCalls"}
ENDING = re.compile(r"_above_(?P<k>\d+)k_tokens|_above_(?P<n>\d+)_tokens|_above_(?P<s>\d+)s_interval|_(?P<p>\d+)p"
                    r"|_(?P<tier>batches|flex|priority)")
NATURAL = {"cacheReadTokens": "inputTokens", "cacheWriteTokens": "inputTokens", "cacheWrite1hTokens": "cacheWriteTokens",
           "audioCacheReadTokens": "audioInputTokens", "audioCacheWriteTokens": "audioInputTokens",
           "imageInputTokens": "inputTokens", "reasoningTokens": "outputTokens", "inputImages": "images",
           "images": "inputImages", "outputCharacters": "characters"}
OF_SECONDS = ("audioInputTokens", "audioOutputTokens", "characters", "outputCharacters")
COVERED = {"characters": ("inputTokens",), "outputCharacters": ("outputTokens",), "seconds": OF_SECONDS,
           "outputSeconds": ("seconds", *OF_SECONDS), "outputVideoSeconds": ("videoOutputTokens",),
           "inputImages": ("imageInputTokens",), "images": ("imageOutputTokens",), "pixels": ("images", "imageOutputTokens")}


# ---- the list -----------------------------------------------------------------------------------------


def dollars(text):
    """To 18 decimals, half up."""
    return F((F(str(text)) * 10**18 + F(1, 2)) // 1, 10**18)


def place(field, inclusive):
    """(dimension, tier, above, variant) of a field; None where it is no price."""
    name = max((n for n in FIELDS if field.startswith(n)), key=len, default=None)
    if name is None:
        return None
    rest, tier, above, variant = field[len(name):], "standard", 0, ""
    while rest:
        match = ENDING.match(rest)
        if not match:
            return None
        if match["k"] or match["n"]:
            above = int(match["k"] or 0) * 1000 + int(match["n"] or 0) - inclusive
        elif match["s"]:
            variant = f"interval>{match['s']}s"
        elif match["p"]:
            variant = f"{match['p']}p"
        else:
            tier = {"batches": "batch"}.get(match["tier"], match["tier"])
        rest = rest[match.end():]
    return FIELDS[name], tier, above, variant


def put(lines, where, price):
    if price == 0 and where[0] not in INPUT + OUTPUT:
        return
    lines[where] = max(price, lines.get(where, F(0)))


def lines_of(entry):
    inclusive = int(entry.get("litellm_provider") == "xai")
    lines = {}
    for field, value in entry.items():
        if value is None or (field.startswith("input_cost_per_token_cache_hit") and entry.get("cache_read_input_token_cost") is not None) \
                or (field.startswith("input_cost_per_audio_per_second") and entry.get("input_cost_per_second") is not None):
            continue
        where = place(field, inclusive)
        if where:
            put(lines, where, dollars(value))
    search = {k.rpartition("_")[2]: dollars(v) for k, v in (entry.get("search_context_cost_per_query") or {}).items() if F(str(v))}
    if search:
        if len(set(search.values())) > 1:
            for size, price in search.items():
                put(lines, ("searchCalls", "standard", 0, f"context={size}"), price)
        put(lines, ("searchCalls", "standard", 0, ""), search.get("medium", max(search.values())))
    if entry.get("tiered_pricing"):
        tiered(entry["tiered_pricing"], lines)
    makes = entry.get("mode") in ("image_generation", "image_edit")
    if makes and not any(w[0] == "images" for w in lines) and not any(p for w, p in lines.items() if w[0] in INPUT + OUTPUT):
        lines = {("images" if w[0] == "inputImages" else w[0], *w[1:]): p for w, p in lines.items()}
    return multiplied(entry, lines)


def multiplied(entry, lines):
    """With the lines of tokens in regions and at speeds that cost a multiple."""
    specific = entry.get("provider_specific_entry") or {}
    tokens = {w: p for w, p in lines.items() if w[0] in INPUT + OUTPUT and not w[3]}
    regions = {name: dollars(factor) for name in ("us", "eu")
               if (factor := entry.get(f"regional_processing_uplift_multiplier_{name}") or specific.get(name))}
    fast = dollars(specific["fast"]) if "fast" in specific else None
    for (d, t, a, _), p in tokens.items():
        for name, factor in regions.items():
            put(lines, (d, t, a, f"region={name}"), p * factor)
            if fast:
                put(lines, (d, t, a, f"region={name}/speed=fast"), p * factor * fast)
        if fast:
            put(lines, (d, t, a, "speed=fast"), p * fast)
    return lines


def tiered(records, lines):
    output = lines.get(("outputTokens", "standard", 0, ""))
    named = {FIELDS[f] for record in records for f in record if f in FIELDS}
    for where in [w for w in lines if w[0] in named and w[1] == "standard"]:
        del lines[where]
    for record in records:
        results = record.get("max_results_range")
        for field, value in record.items():
            if field in FIELDS:
                put(lines, (FIELDS[field], "standard", 0 if results else int(F(str(record["range"][0]))),
                            f"results<={int(F(str(results[1])))}" if results else ""), dollars(value))
        if not results and "output_cost_per_token" not in record and output is not None:
            lines["outputTokens", "standard", int(F(str(record["range"][0]))), ""] = output


def split(name):
    """(model, variant) of a name with a size; None without."""
    parts = name.split("/")
    for at in range(min(3, len(parts) - 1)):
        if re.fullmatch(r"\d+-?x-?\d+|max-x-max", parts[at]):
            before, size, after = parts[:at], parts[at].replace("-", ""), parts[at + 1:]
            qualities = ("low", "medium", "high", "hd", "standard", "auto")
            other = before.pop() if before and before[-1] in qualities else None
            if other is None and len(after) > 1 and after[0].endswith("-steps"):
                other = after.pop(0)
            return "/".join(before + after), size + (f"/{other}" if other else "")
    return None


def read_list(text):
    """({name: lines}, {name: reason})."""
    entries = {k: v for k, v in json.loads(text, parse_float=str, parse_int=str).items()
               if isinstance(v, dict) and k not in ("sample_spec", "fallback_generalizations")}
    found = {name: lines_of(entry) for name, entry in entries.items()}
    made = {}
    for name, entry in entries.items():
        parts = split(name) if entry.get("mode") in ("image_generation", "image_edit") else None
        if parts:
            for (dimension, tier, above, variant), price in found[name].items():
                if price and not variant:
                    made.setdefault(parts[0], {})[dimension, tier, above, parts[1]] = price
    for base, lines in made.items():
        found[base] = {**found.get(base, {}), **lines}
    priced = {name: sorted((*where, price) for where, price in lines.items()) for name, lines in found.items() if any(lines.values())}
    return priced, {name: "free" for name in found if name not in priced and name in entries}


# ---- a charge ----------------------------------------------------------------------------------------


def words(counts):
    """Counts in the order that octroi keeps them in."""
    order = ("inputTokens cacheReadTokens cacheWriteTokens cacheWrite1hTokens outputTokens audioInputTokens audioCacheReadTokens"
             " audioCacheWriteTokens imageInputTokens reasoningTokens citationTokens audioOutputTokens imageOutputTokens"
             " videoOutputTokens seconds outputSeconds videoSeconds outputVideoSeconds characters outputCharacters inputImages"
             " images pixels pages annotationPages providerCredits queries requests searchCalls sessions").split()
    return ",".join(f"{name}={float(counts[name]):.10g}" if counts[name].denominator > 1 else f"{name}={counts[name]}"
                    for name in order if name in counts) or "-"


def reached(lines, total):
    """Of lines that differ by their thresholds alone; None: the input is below them all."""
    lines = sorted((line for line in lines if line[2] == 0 or line[2] < total), key=lambda line: line[2])
    return lines[-1][4] if lines else None


def in_tier(lines, dimension, tier, variant, total):
    groups = {}
    for line in lines:
        if line[:2] == (dimension, tier):
            groups.setdefault(line[3], []).append(line)
    found = {name: price for name, group in groups.items() if (price := reached(group, total)) is not None}
    if not found:
        return None
    if variant in found or "" in found:
        return found.get(variant, found.get("")), False
    return max(found.values()), True


def of_dimension(lines, dimension, tier, variant, total):
    own = in_tier(lines, dimension, tier, variant, total)
    others = [found[0] for t in TIERS if (found := in_tier(lines, dimension, t, variant, total))]
    return own or ((max(others), True) if others else None)


def priced_as(lines, dimension):
    have = {line[0] for line in lines}
    seen, at = set(), dimension
    while at and at not in seen:
        if at in have:
            return at
        seen.add(at)
        at = NATURAL.get(at)
    return next((d for d in DURATIONS if d in have), None) if dimension in DURATIONS else None


def covers(lines, by, covered):
    """A price of 0 does not stand for one above it."""
    def costs(dimension):
        return any(line[0] == priced_as(lines, dimension) and line[4] for line in lines)

    return priced_as(lines, by) is not None and (costs(by) or not costs(covered))


def chain(dimension):
    """The dimension and its natural stand-ins."""
    found = []
    while dimension and dimension not in found:
        found.append(dimension)
        dimension = NATURAL.get(dimension)
    return found + [d for d in DURATIONS if found[0] in DURATIONS and d not in found]


def find(lines, dimension, tier, variant, total):
    """(dollars, incomplete); None: no price of the kind."""
    # Reasoning is output: in a tier that lists no price of its own, it costs what output costs there.
    plain = dimension == "reasoningTokens" and not in_tier(lines, dimension, tier, variant, total) and \
        in_tier(lines, "outputTokens", tier, variant, total)
    for own in chain("outputTokens" if plain else dimension):
        if found := of_dimension(lines, own, tier, variant, total):
            return found
    if dimension not in INPUT + OUTPUT:
        return None
    sides = (OUTPUT, INPUT) if dimension in OUTPUT else (INPUT,) if dimension.startswith("audio") else (INPUT, OUTPUT)
    for side in sides:
        prices = [found[0] for d in side if (found := of_dimension(lines, d, tier, variant, total))]
        if prices and side is INPUT and dimension in ("outputTokens", "reasoningTokens"):
            return F(0), False
        if prices:
            return max(prices), True
    return None


def charge(lines, counts, tier, variant, terms, unit):
    """(micros, incomplete, unpriced)."""
    total = sum(counts.get(d, 0) for d in INPUT)
    charged = {d: c for d, c in counts.items()
               if not any(counts.get(by, 0) > 0 and covers(lines, by, d) for by in COVERED.get(d, ()))}
    if any(line[0] == "requests" for line in lines):
        charged.setdefault("requests", F(1))
    whole, incomplete, unpriced = F(0), False, False
    for dimension, count in charged.items():
        found = find(lines, dimension, tier, variant, total)
        unpriced |= found is None
        incomplete |= found is None or found[1]
        whole += count * found[0] if found else 0
    margin, rate, credit_value = terms
    micros = whole * 10**6 * margin / rate / (F(credit_value, 10**6) if unit == "credit" else 1)
    return -(-micros // 1), incomplete, unpriced
