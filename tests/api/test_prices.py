"""Prices: set, listed, imported, started later, pinned by holds, and what they make requests cost, through
the web server and octroictl, against fractions of our own."""

import concurrent.futures
import fractions
import json
import os
import random
import signal
import time

import pytest

import guard
from octroi import TOP, Octroi, wait_until
from swarm import Swarm

SEED = int(os.environ.get("OCTROI_SEED") or random.SystemRandom().randrange(2**32))
LITELLM = TOP.parent / "shared" / "data" / "litellm_prices.json"


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as mine:
        yield mine


def seen(o, version):
    """The public list may be a second late."""
    wait_until(lambda: o.get("/api/pricing?limit=1", key=None).json["priceVersion"] >= version, 10, "the price list")
    return version


def set_model(o, model, input, output, *more, provider="openai"):
    done = o.ctl("price", "set", model, "--provider", provider, "--input", input, "--output", output, "--json", *more)
    stored = json.loads(done.stdout)
    seen(o, int(o.sql("SELECT MAX(id) FROM price_versions")[0][0]))
    return stored


def set_action(o, name, credits, *more):
    stored = json.loads(o.ctl("price", "set", "--action", name, credits, "--json", *more).stdout)
    seen(o, int(o.sql("SELECT MAX(id) FROM price_versions")[0][0]))
    return stored


def listed(o, *more):
    """(item, above): the last row of it, and the dollars of each dimension in the standard tier."""
    found = {}
    for row in json.loads(o.ctl("price", "list", "--json", *more).stdout)["items"]:
        place = (row["item"], row["aboveTokens"], row["version"]) if more else (row["item"], row["aboveTokens"])
        kept = found.setdefault(place, {})
        kept.update(row)
        if (row["serviceTier"], row["variant"]) == ("standard", ""):
            kept[row["dimension"]] = row["dollars"]
    return found


def import_list(o, prices, *more, check=True):
    done = o.ctl("price", "import", "-", "--json", *more, input=json.dumps(prices), check=check)
    if not done.stdout:
        return done
    seen(o, int(o.sql("SELECT MAX(id) FROM price_versions")[0][0]))
    return json.loads(done.stdout)


def estimate(o, model, input, output, unit="money"):
    body = {"model": model, "inputTokens": input, "outputTokens": output, "unit": unit}
    answer = o.post("/api/pricing/estimate", body)
    assert answer.status == 200, answer
    return answer.json["costMicros"]


def cost(tiers, tokens, unit="money"):
    """tiers: {above: five dollars per token}.  tokens: five counts."""
    whole = sum(tokens[:4])
    dollars = tiers[max(above for above in tiers if above == 0 or whole > above)]
    amount = sum(t * d for t, d in zip(tokens, dollars)) * guard.MARGIN / guard.RATE
    return guard.ceiling((amount / guard.CREDIT_VALUE if unit == "credit" else amount) * 10**6)


def test_unknown_model_is_refused_until_it_has_a_price(o):
    account = o.account(funds_micros=10**6)
    body = {"model": "new-model", "inputTokens": 1000, "outputTokens": 1000}
    assert o.post("/api/pricing/estimate", body).status == 422
    assert guard.authorize(o, account, "new-model").json["error"] == "UNKNOWN_MODEL"
    stored = set_model(o, "new-model", "2", "4")
    assert stored["result"] == "stored"
    assert estimate(o, "new-model", 1000, 1000) == guard.ceiling(6000 * guard.MARGIN / guard.RATE)
    answer = guard.authorize(o, account, "new-model")
    assert answer.status == 200 and answer.json["priceVersion"] == stored["version"]
    guard.release(o, answer.json["hold"])


def test_setting_the_same_again_changes_nothing(o):
    first = set_model(o, "same", "2.50", "10")
    again = set_model(o, "same", "2.5", "10.000")
    assert first["result"] == "stored" and again == {"result": "unchanged"}
    assert set_model(o, "same", "2.5", "10", "--cache-read", "2")["version"] == first["version"] + 1


def test_listed_as_set(o):
    set_model(o, "all-classes", "3", "15", "--cache-read", "0.3", "--cache-write", "3.75", "--cache-write-1h", "6",
              provider="anthropic")
    set_model(o, "two-classes", "0.000001", "1000000")
    row = listed(o)["all-classes", 0]
    assert (row["inputTokens"], row["cacheReadTokens"], row["cacheWriteTokens"], row["cacheWrite1hTokens"], row["outputTokens"],
            row["provider"]) == ("3", "0.3", "3.75", "6", "15", "anthropic")
    row = listed(o)["two-classes", 0]
    assert (row["inputTokens"], row["outputTokens"], "cacheReadTokens" in row) == ("0.000001", "1000000", False)


@pytest.mark.parametrize("arguments", [
    ("m", "--provider", "p", "--input", "1"),
    ("m", "--input", "1", "--output", "1"),
    ("m", "--provider", "p", "--input", "-1", "--output", "1"),
    ("m", "--provider", "p", "--input", "1.0000000000001", "--output", "1"),
    ("m", "--provider", "p", "--input", "1000000001", "--output", "1"),
    ("m", "--provider", "p", "--line", "images"), ("m", "--provider", "p", "--line", "beads=1"),
    ("m", "--provider", "p", "--line", "images@soon=1"), ("m", "--provider", "p", "--line", "images>x=1"),
    ("m", "--provider", "p", "--line", "images=1", "--line", "images=2"), ("m", "--provider", "p", "--line", "images=-1"),
    ("m", "--provider", "p", "--line", "images:a b=1"), ("m", "--provider", "p", "--line", "images=1001"),
    ("m", "--provider", "p", "--input", "free", "--output", "1"),
    ("m ", "--provider", "p", "--input", "1", "--output", "1"),
    ("", "--provider", "p", "--input", "1", "--output", "1"),
    ("m" * 160, "--provider", "p", "--input", "1", "--output", "1"),
    ("m", "--provider", "p", "--input", "1", "--output", "1", "--starts", "tomorrow"),
    ("m", "--provider", "p", "--input", "1", "--output", "1", "--starts", "2020-01-01"),
    ("m", "5", "--provider", "p", "--input", "1", "--output", "1"),
    ("--action", "a"),
    ("--action", "a", "-1"),
    ("--action", "a", "1", "--input", "1"),
    ("--action", "a", "1", "--provider", "p"),
])
def test_what_cannot_be_set(o, arguments):
    before = listed(o, "--all")
    done = o.ctl("price", "set", *arguments, check=False)
    assert done.returncode == 2 and done.stderr.startswith("octroictl: ")
    assert listed(o, "--all") == before


def test_a_hold_keeps_its_price(o):
    account = o.account(funds_micros=10**9)
    old = set_model(o, "moving", "1", "1")["version"]
    hold = guard.authorize(o, account, "moving", inputTokens=1000, maxOutputTokens=1000).json
    new = set_model(o, "moving", "5", "5")["version"]
    assert hold["priceVersion"] == old
    assert estimate(o, "moving", 1000, 1000) == guard.ceiling(10_000 * guard.MARGIN / guard.RATE)
    settled = guard.settle(o, hold["hold"], inputTokens=1000, outputTokens=1000).json
    assert settled["costMicros"] == guard.ceiling(2_000 * guard.MARGIN / guard.RATE) == hold["reservedMicros"]
    again = guard.authorize(o, account, "moving").json
    assert again["priceVersion"] == new
    guard.release(o, again["hold"])


def test_a_price_that_starts_later(o):
    now = int(o.sql("SELECT UNIX_TIMESTAMP()")[0][0])
    set_model(o, "later", "1", "1")
    starts = o.sql(f"SELECT DATE_FORMAT(FROM_UNIXTIME({now + 3}), '%Y-%m-%dT%TZ')")[0][0]
    assert set_model(o, "later", "7", "7", "--starts", starts)["startsAt"] == starts.replace("Z", ".000Z")
    assert listed(o)["later", 0]["inputTokens"] == "1"
    assert len([key for key in listed(o, "--all") if key[0] == "later"]) == 2
    seven = guard.ceiling(7_000 * guard.MARGIN / guard.RATE)
    assert estimate(o, "later", 1000, 0) in (guard.ceiling(1_000 * guard.MARGIN / guard.RATE), seven)
    wait_until(lambda: estimate(o, "later", 1000, 0) == seven, what="the price to start")
    assert int(o.sql("SELECT UNIX_TIMESTAMP()")[0][0]) >= now + 2
    assert listed(o)["later", 0]["inputTokens"] == "7"


def test_actions(o):
    account = o.account(funds_micros=100 * 10**6, unit="credit")
    set_action(o, "debrief", "2.5")
    charged = guard.charge(o, account, "debrief", quantity=3)
    assert charged.status == 200 and charged.json["costMicros"] == 7_500_000
    set_action(o, "debrief", "3")
    assert guard.charge(o, account, "debrief").json["costMicros"] == 3_000_000
    assert listed(o)["debrief", 0]["credits"] == "3"


def test_writers_at_the_same_time_all_get_through(o):
    def one(i):
        return set_model(o, f"parallel-{i}", "1", "1")["version"]

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        versions = list(pool.map(one, range(24)))
    assert len(set(versions)) == 24
    rows = listed(o)
    assert {rows[f"parallel-{i}", 0]["version"] for i in range(24)} == set(versions)


def test_import_says_what_it_did(o):
    prices = {
        "sample_spec": {"mode": "chat"},
        "last_updated": "2026-11-21",
        "imported-a": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06,
                       "output_cost_per_token": 2e-06, "input_cost_per_audio_token": 4e-05},
        "imported-b": {"litellm_provider": "xai", "mode": "chat", "input_cost_per_token": 1e-06,
                       "output_cost_per_token": 2e-06, "input_cost_per_token_above_128k_tokens": 2e-06},
        "imported-free": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0,
                          "output_cost_per_token": 0},
        "imported-image": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.04,
                           "beads_cost_per_string": 0.5},
    }
    before = listed(o, "--all")
    dry = import_list(o, prices, "--dry-run")
    assert listed(o, "--all") == before
    real = import_list(o, prices)
    for said in (dry, real):
        assert [said[k] for k in ("entries", "accepted", "stored", "unchanged", "newlyFree")] == [4, 3, 3, 0, 0]
        assert {r: n for r, n in said["refused"].items() if n} == {"free": 1}
        assert said["unused"] == {"beads_cost_per_string": 1}
    assert (dry["dryRun"], real["dryRun"]) == (True, False)
    rows = listed(o)
    assert ("imported-free", 0) not in rows and ("imported-b", 127_999) in rows
    assert (rows["imported-a", 0]["audioInputTokens"], rows["imported-image", 0]["images"]) == ("40", "0.04")
    again = import_list(o, prices, "--verbose")
    assert (again["stored"], again["unchanged"]) == (0, 3) and "version" not in again
    assert {r["item"]: r["reason"] for r in again["refusals"]} == {"imported-free": "free"}
    people = o.ctl("price", "import", "-", "--verbose", input=json.dumps(prices)).stdout
    assert "nothing differs" in people and "imported-free" in people and "no price in the list" in people
    assert "warning: beads_cost_per_string" in people
    prices["imported-a"]["output_cost_per_token"] = 3e-06
    assert (import_list(o, prices)["stored"], listed(o)["imported-a", 0]["outputTokens"]) == (1, "3")


def test_a_jump_of_more_than_half_asks(o):
    prices = {name: {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}
              for name in ("jump-a", "jump-b")}
    import_list(o, prices)
    prices["jump-a"]["input_cost_per_token"] = 1.5e-06
    said = import_list(o, prices)
    assert (said["stored"], said["risePercentTenths"], said["jumps"]) == (1, 500, []), "half is no jump"
    before = listed(o, "--all")
    prices["jump-a"]["input_cost_per_token"], prices["jump-b"]["output_cost_per_token"] = 1.5e-09, 1e-05
    done = o.ctl("price", "import", "-", "--json", input=json.dumps(prices), check=False)
    said = json.loads(done.stdout)
    assert (done.returncode, said["dryRun"], said["stored"]) == (1, True, 2) and "--yes" in done.stderr
    assert {(row["item"], row["dimension"], row["changePercentTenths"]) for row in said["jumps"]} == {
        ("jump-a", "inputTokens", -999), ("jump-b", "outputTokens", 4000)}
    assert listed(o, "--all") == before
    assert import_list(o, prices, "--yes")["dryRun"] is False
    prices["jump-a"] = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0}
    said = import_list(o, prices)
    assert (said["newlyFree"], listed(o)["jump-a", 0]["inputTokens"]) == (1, "0.0015"), "it keeps its price"


def test_a_price_that_moves_or_goes_is_a_jump_too(o):
    """A list may lower a charge without changing any number: by a threshold, or by leaving out a line."""
    whole = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "1e-06", "output_cost_per_token": "2e-06",
             "output_cost_per_audio_token": "8e-05", "input_cost_per_token_priority": "4e-06", "ocr_cost_per_page": "0.004"}
    import_list(o, {"moves": whole})
    for changed, dimension in (({"input_cost_per_token": None, "input_cost_per_token_above_1_tokens": "1e-09"}, "inputTokens"),
                               ({"input_cost_per_token_above_1_tokens": "1e-09"}, "inputTokens"),
                               ({"output_cost_per_audio_token": None}, "audioOutputTokens"),
                               ({"input_cost_per_token_priority": None}, "inputTokens"),
                               ({"ocr_cost_per_page": None}, "pages")):
        entry = {field: price for field, price in {**whole, **changed}.items() if price is not None}
        done = o.ctl("price", "import", "-", "--json", input=json.dumps({"moves": entry}), check=False)
        said = json.loads(done.stdout)
        assert (done.returncode, said["dryRun"]) == (1, True) and {row["dimension"] for row in said["jumps"]} >= {dimension}, changed
        people = o.ctl("price", "import", "-", input=json.dumps({"moves": entry}), check=False)
        assert people.returncode == 1 and "moves" in people.stdout
    # A price for what was charged by a guess is no change.
    assert import_list(o, {"moves": {**whole, "output_cost_per_reasoning_token": "9e-05"}})["jumps"] == []


def test_what_cannot_be_imported(o):
    before = listed(o, "--all")
    for text in ("", "[]", "{", '{"a":{},"a":{}}'):
        assert o.ctl("price", "import", "-", input=text, check=False).returncode == 2
    assert o.ctl("price", "import", "/nonexistent", check=False).returncode == 2
    assert o.ctl("price", "import", "-", input='{"a":{"mode":"ocr"}}', check=False).returncode == 1
    assert listed(o, "--all") == before


def draw_list(r, count):
    """A price list, and per model its tiers {above: five dollars per token}."""
    entries, tiers = {}, {}
    fields = ("input_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost",
              "cache_creation_input_token_cost_above_1hr", "output_cost_per_token")
    for i in range(count):
        entry = {"litellm_provider": r.choice(("openai", "anthropic", "gemini")), "mode": "chat"}
        of_model = {}
        for above in [0] + r.choice(([], [200], [128, 256])):
            suffix = f"_above_{above}k_tokens" if above else ""
            pico = [r.randrange(1, 10 ** r.randrange(5, 9)) for _ in range(5)]
            entry.update({field + suffix: f"{p}e-12" for field, p in zip(fields, pico)})
            of_model[above * 1000] = [fractions.Fraction(p, 10**12) for p in pico]
        entries[f"drawn-{i}"], tiers[f"drawn-{i}"] = entry, of_model
    return entries, tiers


def draw_count(r):
    return r.choice((0, 1, r.randrange(3000), r.randrange(300_000), 128_000, 128_001, 200_000, 200_001))


def usage_of(r, tokens):
    """A provider's usage object with these disjoint counts."""
    input, read, write, hour, output = tokens
    if hour:
        kind = "anthropic"
    else:
        kind = r.choice(("chat", "responses", "anthropic") if write else ("chat", "responses", "anthropic", "gemini"))
    if kind == "anthropic":
        return {"input_tokens": input, "output_tokens": output, "cache_read_input_tokens": read,
                "cache_creation_input_tokens": write + hour,
                "cache_creation": {"ephemeral_5m_input_tokens": write, "ephemeral_1h_input_tokens": hour}}
    if kind == "gemini":
        thoughts = r.randrange(output + 1)
        return {"promptTokenCount": input + read, "cachedContentTokenCount": read,
                "candidatesTokenCount": output - thoughts, "thoughtsTokenCount": thoughts}
    names = ("prompt_tokens", "completion_tokens", "prompt_tokens_details") if kind == "chat" else \
        ("input_tokens", "output_tokens", "input_tokens_details")
    return {names[0]: input + read + write, names[1]: output,
            names[2]: {"cached_tokens": read, "cache_write_tokens": write}}


def test_estimates_reservations_and_settlements_cost_exactly(o):
    r = random.Random(SEED)
    entries, tiers = draw_list(r, 40)
    assert import_list(o, entries)["stored"] == 40
    accounts = {unit: o.account(funds_micros=10**15, unit=unit) for unit in ("money", "credit")}
    for _ in range(400):
        model, unit = r.choice(list(tiers)), r.choice(("money", "credit"))
        input, output = draw_count(r), draw_count(r)
        why = f"seed {SEED}: {model} {entries[model]} {input} {output} {unit}"
        expected = cost(tiers[model], (input, 0, 0, 0, output), unit)
        assert estimate(o, model, input, output, unit) == expected, why
        hold = guard.authorize(o, accounts[unit], model, inputTokens=input, maxOutputTokens=max(1, output)).json
        assert hold["reservedMicros"] == cost(tiers[model], (input, 0, 0, 0, max(1, output)), unit), why
        tokens = [draw_count(r) if r.random() < 0.6 else 0 for _ in range(5)]
        tokens[4] = tokens[4] or 1  # nothing counted is no usage, and charged as what was reserved
        usage = usage_of(r, tokens)
        settled = guard.settle(o, hold["hold"], usage=usage)
        assert settled.status == 200, f"{why} {usage}: {settled}"
        assert settled.json["costMicros"] == cost(tiers[model], tokens, unit), f"{why} {usage}"


def test_changed_terms_make_a_new_version():
    with Octroi("nginx") as o:
        account = o.account(funds_micros=10**9)
        set_model(o, "m", "1", "1")
        set_model(o, "m", "2", "2", "--starts", "2099-01-01")
        hold = guard.authorize(o, account, "m", inputTokens=10_000, maxOutputTokens=1).json
        before = max(row["version"] for row in listed(o).values())
        o.start(margin="2")
        wait_until(lambda: estimate(o, "m", 10_000, 0) == guard.ceiling(10_000 * 2 / guard.RATE), what="the new margin")
        rows = listed(o)
        assert {row["version"] for row in rows.values()} == {max(row["version"] for row in rows.values())}
        assert guard.settle(o, hold["hold"], inputTokens=10_000, outputTokens=0).json["costMicros"] == \
            guard.ceiling(10_000 * guard.MARGIN / guard.RATE)
        # A price that was to start later starts with the new terms too.
        assert o.sql("SELECT v.margin_ppm, v.starts_at_us FROM prices p JOIN price_versions v ON v.id = p.version"
                     f" WHERE p.item = 'm' AND v.id > {before} ORDER BY v.id")[-1] == ("2000000", "4070908800000000")
        versions = o.sql("SELECT COUNT(*) FROM price_versions")
        o.start()
        o.ctl("init", "--sql", TOP / "sql")
        assert o.sql("SELECT COUNT(*) FROM price_versions") == versions


@pytest.mark.skipif(not LITELLM.exists(), reason="no copy of LiteLLM's price list beside the project")
def test_all_of_litellm(o):
    said = json.loads(o.ctl("price", "import", LITELLM, "--json", "--yes").stdout)
    assert (said["entries"], said["accepted"], said["refused"]["free"], said["unused"]) == (2984, 2774, 210, {})
    assert said["accepted"] + said["made"] == said["stored"] + said["unchanged"]
    entries = json.loads(LITELLM.read_text(), parse_float=fractions.Fraction)
    flat = [model for model in listed(o) if model[0] in entries and model[1] == 0]
    for model, _ in random.Random(SEED).sample(sorted(flat), 50):
        entry = entries[model]
        listed_at = (entry.get("input_cost_per_token"), entry.get("output_cost_per_token"))
        if not all(listed_at) or "tiered_pricing" in entry:
            continue
        whole = guard.ceiling((1000 * listed_at[0] + 500 * listed_at[1]) * guard.MARGIN / guard.RATE * 10**6)
        assert estimate(o, model, 1000, 500) == whole, f"seed {SEED}: {model}"
    again = json.loads(o.ctl("price", "import", LITELLM, "--json").stdout)
    assert (again["stored"], again["unchanged"]) == (0, said["accepted"] + said["made"])


# ---- a list for everybody --------------------------------------------------------------------------------


def test_the_public_list_is_short_and_goes_on(o):
    """Pages of 100 unless more is asked for, 1,000 at most, each model once."""
    import_list(o, {f"paged-{i:04}": {"mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 1e-06,
                                      "output_cost_per_token": 2e-06} for i in range(1200)})
    page = o.get("/api/pricing", key=None)
    assert len(page.json["models"]) + len(page.json["actions"]) == 100 and len(page.body) < 40_000
    for limit, size in ((1000, 1000), (7, 7)):
        page = o.get(f"/api/pricing?limit={limit}", key=None).json
        assert len(page["models"]) == size
    assert o.get("/api/pricing?limit=1001", key=None).status == 400
    names, cursor = [], ""
    while cursor is not None:
        page = o.get("/api/pricing?limit=1000" + cursor, key=None).json
        names += [row["model"] for row in page["models"]]
        cursor = page["nextCursor"] and "&cursor=" + page["nextCursor"]
    assert len(names) == len(set(names)) > 1200
    one = o.get("/api/pricing?model=paged-0007", key=None).json
    assert ([row["model"] for row in one["models"]], one["nextCursor"]) == (["paged-0007"], None)


def test_a_list_that_is_kept_is_not_sent_again(o):
    first = o.get("/api/pricing?limit=5", key=None, public=True)
    tag = first.headers["etag"]
    assert (first.headers["cache-control"], tag[0], tag[-1]) == ("public, max-age=60", '"', '"')
    for kept in (tag, f'"other", W/{tag}', "*"):
        again = o.get("/api/pricing?limit=5", key=None, public=True, headers={"If-None-Match": kept})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag), again
    for query, kept in (("?limit=5", '"other"'), ("?limit=5", tag[1:-1]), ("?limit=6", tag), ("?limit=5&model=gpt-4o", tag),
                        ("?limit=5&provider=openai", tag), ("?limit=5&cursor=" + first.json["nextCursor"], tag)):
        assert o.get("/api/pricing" + query, key=None, public=True, headers={"If-None-Match": kept}).status == 200, query
    set_model(o, "kept-new", "1", "1")
    new = o.get("/api/pricing?limit=5", key=None, public=True, headers={"If-None-Match": tag})
    assert new.status == 200 and new.headers["etag"] != tag


def test_a_price_that_begins_makes_another_list(o):
    """Nobody changes anything then: only time does."""
    now = int(o.sql("SELECT UNIX_TIMESTAMP()")[0][0])
    starts = o.sql(f"SELECT DATE_FORMAT(FROM_UNIXTIME({now + 3}), '%Y-%m-%dT%TZ')")[0][0]
    set_model(o, "begins", "7", "7", "--starts", starts)
    query = "/api/pricing?model=begins"
    tag = o.get(query, key=None).headers["etag"]
    wait_until(lambda: o.get(query, key=None, headers={"If-None-Match": tag}).status == 200, 20, "the new price")
    assert o.get(query, key=None).json["models"][0]["model"] == "begins"


def test_anybody_asks_the_database_once_a_second_at_most(o):
    """However often the list and the estimates are asked for, the version of the price book is."""
    def asked():
        return int(o.sql("SHOW GLOBAL STATUS LIKE 'Com_select'")[0][1])

    o.get("/api/pricing?limit=1", key=None)
    before, began = asked(), time.monotonic()
    for _ in range(300):
        assert o.get("/api/pricing?limit=1", key=None, headers={"If-None-Match": "*"}).status == 304
        assert o.post("/api/pricing/estimate", {"model": "gpt-4o"}, key=None).status == 200
    # The housekeeper and the probes of the harness ask a few times a second, too.
    assert asked() - before < 30 * (1 + time.monotonic() - began)


def test_a_silent_database_keeps_one_of_all_who_ask_waiting(restartable):
    """The others see the list that is known, so that anybody's questions do not take the threads of the guard."""
    o = restartable
    assert o.get("/api/pricing?limit=1", key=None).status == 200
    o.kill("db", signal.SIGSTOP)
    try:
        time.sleep(1.1)  # until the list that is known is to be asked for again
        with Swarm([o.internal_url], 40, timeout=30) as swarm:
            began, answered = time.monotonic(), []
            swarm.run([swarm.request("GET", f"/api/pricing?limit={1 + i}") for i in range(40)],
                      on_answer=lambda index, answer: answered.append((time.monotonic() - began, answer.status)))
        early = [status for seconds, status in answered if seconds < 5]
        assert len(early) >= 39 and set(early) == {200}, answered
    finally:
        o.kill("db", signal.SIGCONT)
        wait_until(lambda: o.get("/readyz", key=None).status == 200, 30, "ready")
