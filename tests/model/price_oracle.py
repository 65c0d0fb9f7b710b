"""An independent reading of LiteLLM's list and an independent computation of what a use costs, with fractions.

It was written from the rules of docs/prices.md by someone who had not seen octroi's.  It does not read tiered_pricing, nor
the variants in names and multipliers; pricelist_oracle.py does.
"""

import re
from decimal import Decimal
from fractions import Fraction

INPUT_SIDE = ["inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "audioInputTokens",
              "audioCacheReadTokens", "audioCacheWriteTokens", "imageInputTokens"]
OUTPUT_SIDE = ["outputTokens", "reasoningTokens", "citationTokens", "audioOutputTokens", "imageOutputTokens",
               "videoOutputTokens"]
DURATIONS = ["seconds", "outputSeconds", "videoSeconds", "outputVideoSeconds"]
OTHERS = ["characters", "outputCharacters", "inputImages", "images", "pixels", "pages", "annotationPages",
          "providerCredits", "queries", "requests", "searchCalls", "sessions"]
DIMENSIONS = INPUT_SIDE + OUTPUT_SIDE + DURATIONS + OTHERS
DECIMAL = set(DURATIONS) | {"providerCredits"}
TIERS = ["standard", "batch", "flex", "priority"]

FIELDS = {
    "input_cost_per_token": "inputTokens",
    "output_cost_per_token": "outputTokens",
    "cache_read_input_token_cost": "cacheReadTokens",
    "input_cost_per_token_cache_hit": "cacheReadTokens",
    "cache_creation_input_token_cost": "cacheWriteTokens",
    "cache_creation_input_token_cost_above_1hr": "cacheWrite1hTokens",
    "input_cost_per_audio_token": "audioInputTokens",
    "cache_read_input_audio_token_cost": "audioCacheReadTokens",
    "cache_creation_input_audio_token_cost": "audioCacheWriteTokens",
    "input_cost_per_image_token": "imageInputTokens",
    "output_cost_per_reasoning_token": "reasoningTokens",
    "citation_cost_per_token": "citationTokens",
    "output_cost_per_audio_token": "audioOutputTokens",
    "output_cost_per_image_token": "imageOutputTokens",
    "output_cost_per_video_token": "videoOutputTokens",
    "input_cost_per_second": "seconds",
    "input_cost_per_audio_per_second": "seconds",
    "output_cost_per_second": "outputSeconds",
    "input_cost_per_video_per_second": "videoSeconds",
    "output_cost_per_video_per_second": "outputVideoSeconds",
    "input_cost_per_character": "characters",
    "output_cost_per_character": "outputCharacters",
    "output_cost_per_image": "images",
    "input_cost_per_image": None,  # images or inputImages, by the entry
    "input_cost_per_pixel": "pixels",
    "output_cost_per_pixel": "pixels",
    "ocr_cost_per_page": "pages",
    "annotation_cost_per_page": "annotationPages",
    "ocr_cost_per_credit": "providerCredits",
    "input_cost_per_query": "queries",
    "input_cost_per_request": "requests",
    "code_interpreter_cost_per_session": "sessions",
}


def exact(value):
    """A listed price as a fraction, rounded half up at the 18th decimal."""
    fraction = Fraction(Decimal(value))
    scaled = fraction * 10**18
    return fraction if scaled.denominator == 1 else Fraction(int(scaled + Fraction(1, 2)), 10**18)


def split_field(name):
    """(base, tier, above, variant), or None where the field is no price that the contract lists."""
    for base in sorted(FIELDS, key=len, reverse=True):
        if not name.startswith(base):
            continue
        rest, tier, above, variant = name[len(base):], "standard", 0, ""
        while rest:
            m = re.match(r"_above_(\d+)(k?)_tokens", rest)
            if m:
                above = int(m.group(1)) * (1000 if m.group(2) else 1)
            elif (m := re.match(r"_(batches|flex|priority)", rest)):
                tier = "batch" if m.group(1) == "batches" else m.group(1)
            elif (m := re.match(r"_above_(\d+s)_interval", rest)):
                variant = "interval>" + m.group(1)
            elif (m := re.match(r"_(\d+p)(?=$|_)", rest)):
                variant = m.group(1)
            else:
                break
            rest = rest[m.end():]
        if not rest:
            return base, tier, above, variant
    return None


def nonzero(entry, *bases):
    return any(entry.get(b) and exact(entry[b]) != 0 for b in bases)


def lines_of(entry):
    """{dimension: [(tier, above, variant, price)]}"""
    lines = {}
    is_image = entry.get("mode") in ("image_generation", "image_edit")
    tokens_priced = any(exact(v) != 0 for f, v in entry.items() if isinstance(v, str) and (s := split_field(f))
                        and FIELDS[s[0]] in INPUT_SIDE + OUTPUT_SIDE)
    found = {}
    for field, value in entry.items():
        s = split_field(field)
        if s is None or not isinstance(value, str):
            continue
        base, tier, above, variant = s
        if base == "input_cost_per_token_cache_hit" and "cache_read_input_token_cost" in entry:
            continue
        if base == "input_cost_per_audio_per_second" and "input_cost_per_second" in entry:
            continue
        dimension = FIELDS[base]
        if base == "input_cost_per_image":
            makes = is_image and not nonzero(entry, "output_cost_per_image") and not tokens_priced
            dimension = "images" if makes else "inputImages"
        if above and entry.get("litellm_provider") == "xai":
            above -= 1
        price = exact(value)
        if price == 0 and dimension not in INPUT_SIDE + OUTPUT_SIDE:
            continue
        key = (dimension, tier, above, variant)
        found[key] = max(found[key], price) if key in found else price
    for (dimension, tier, above, variant), price in found.items():
        lines.setdefault(dimension, []).append((tier, above, variant, price))
    search = entry.get("search_context_cost_per_query")
    if search:
        sizes = {k.replace("search_context_size_", ""): exact(v) for k, v in search.items()
                 if isinstance(v, str) and k.startswith("search_context_size_") and exact(v) != 0}
        if sizes and len(set(sizes.values())) == 1:
            lines["searchCalls"] = [("standard", 0, "", next(iter(sizes.values())))]
        elif sizes:
            default = sizes.get("medium", max(sizes.values()))
            lines["searchCalls"] = [("standard", 0, "", default)] + [
                ("standard", 0, "context=" + size, price) for size, price in sizes.items()]
    if entry.get("tiered_pricing"):
        raise ValueError("tiered_pricing")
    return lines


def by_threshold(candidates, total):
    best = None
    for _, above, _, price in candidates:
        if (above == 0 or above < total) and (best is None or above > best[0]):
            best = (above, price)
    return best[1] if best else None


def of_tier(lines, tier, variant, total):
    """(price, flagged) of the lines of one tier, or None."""
    mine = [x for x in lines if x[0] == tier]
    for wanted in ([variant] if variant else []) + [""]:
        chosen = [x for x in mine if x[2] == wanted]
        if chosen:
            price = by_threshold(chosen, total)
            return None if price is None else (price, False)
    prices = [by_threshold([x for x in mine if x[2] == v], total) for v in {x[2] for x in mine}]
    prices = [p for p in prices if p is not None]
    return (max(prices), True) if prices else None


def own_price(lines, dimension, tier, variant, total):
    if dimension not in lines:
        return None
    found = of_tier(lines[dimension], tier, variant, total)
    if found:
        return found
    others = [of_tier(lines[dimension], t, variant, total) for t in TIERS if t != tier]
    others = [o[0] for o in others if o]
    return (max(others), True) if others else None


NATURAL = {"cacheReadTokens": "inputTokens", "cacheWriteTokens": "inputTokens",
           "cacheWrite1hTokens": "cacheWriteTokens", "audioCacheReadTokens": "audioInputTokens",
           "audioCacheWriteTokens": "audioInputTokens", "imageInputTokens": "inputTokens",
           "reasoningTokens": "outputTokens", "inputImages": "images", "images": "inputImages",
           "outputCharacters": "characters"}


def price_of(lines, dimension, tier, variant, total, seen=()):
    """(price, flagged), or None: no price of that kind."""
    # Reasoning is output: in a tier that lists no price of its own, it costs what output costs there.
    if dimension == "reasoningTokens" and not of_tier(lines.get(dimension, ()), tier, variant, total) and \
            of_tier(lines.get("outputTokens", ()), tier, variant, total):
        dimension = "outputTokens"
    found = own_price(lines, dimension, tier, variant, total)
    if found:
        return found
    if dimension in DURATIONS:
        for other in DURATIONS:
            if other != dimension and (found := own_price(lines, other, tier, variant, total)):
                return found
        return None
    if dimension in NATURAL:
        stand_in = NATURAL[dimension]
        if stand_in in seen:
            return None
        return price_of(lines, stand_in, tier, variant, total, seen + (dimension,))

    def dearest(side):
        prices = [p[0] for d in side if (p := own_price(lines, d, tier, variant, total))]
        return (max(prices), True) if prices else None

    has_output = any(d in lines for d in OUTPUT_SIDE)
    if dimension == "inputTokens":
        return dearest(INPUT_SIDE) or dearest(OUTPUT_SIDE)
    if dimension == "audioInputTokens":
        return dearest(INPUT_SIDE)
    if not any(d in lines for d in INPUT_SIDE + OUTPUT_SIDE):
        return None
    if dimension == "outputTokens":
        return dearest(OUTPUT_SIDE) if has_output else (Fraction(0), False)
    if dimension in OUTPUT_SIDE:
        return dearest(OUTPUT_SIDE) or dearest(INPUT_SIDE)
    return None


COVERED_BY = {
    "characters": ["inputTokens"],
    "outputCharacters": ["outputTokens"],
    "seconds": ["audioInputTokens", "audioOutputTokens", "characters", "outputCharacters"],
    "outputSeconds": ["seconds", "audioInputTokens", "audioOutputTokens", "characters", "outputCharacters"],
    "outputVideoSeconds": ["videoOutputTokens"],
    "inputImages": ["imageInputTokens"],
    "images": ["imageOutputTokens"],
    "pixels": ["images", "imageOutputTokens"],
}


def natural(lines, dimension):
    """The dimension whose lines are natural for this one; None: there is none."""
    if dimension in DURATIONS:
        return next((d for d in (dimension, *DURATIONS) if d in lines), None)
    seen = set()
    while dimension not in lines and dimension in NATURAL and dimension not in seen:
        seen.add(dimension)
        dimension = NATURAL[dimension]
    return dimension if dimension in lines else None


def is_alternative(lines, by, covered):
    """A listed 0 does not stand for a price."""
    def costs(dimension):
        return any(line[3] for line in lines.get(natural(lines, dimension), ()))

    return natural(lines, by) is not None and (costs(by) or not costs(covered))


def cost(lines, counts, tier, variant):
    """(dollars, dimensions without a price, flagged)"""
    counts = {d: Fraction(n) for d, n in counts.items()}
    if "requests" in lines and not counts.get("requests"):
        counts["requests"] = Fraction(1)
    kept = {d: n for d, n in counts.items()
            if not any(counts.get(c, 0) > 0 and is_alternative(lines, c, d) for c in COVERED_BY.get(d, []))}
    total = sum(counts.get(d, 0) for d in INPUT_SIDE)
    dollars, unpriced, flagged = Fraction(0), [], False
    for dimension, count in kept.items():
        if count == 0:
            continue
        found = price_of(lines, dimension, tier, variant, total)
        if found is None:
            unpriced.append(dimension)
            continue
        dollars += count * found[0]
        flagged = flagged or found[1]
    return dollars, sorted(unpriced), flagged
