"""Other people's hard cases (vectors/README.md) before octroi's own readers of JSON, tokens and HMACs."""

import base64
import json
import pathlib
import subprocess
import zlib

import pytest

from octroi import build_dir

VECTORS = pathlib.Path(__file__).resolve().parent / "vectors"


def driver(what, lines):
    """The driver's verdict on each line."""
    program = build_dir() / "tests" / "security" / "driver"
    assert program.exists(), f"{program} is missing: make check-programs"
    done = subprocess.run([program, what], input="".join(line + "\n" for line in lines), stdout=subprocess.PIPE, text=True,
                          timeout=60, check=True)
    verdicts = done.stdout.split("\n")[:-1]
    assert len(verdicts) == len(lines)
    return verdicts


def hexed(data):
    return (data if isinstance(data, bytes) else data.encode()).hex() or "-"


def read(name):
    return json.loads((VECTORS / name).read_text())


# ---- JSON ------------------------------------------------------------------------------------------

# Good JSON that octroi does not want: one name for two things, and NUL in a text.
REFUSED = {"y_object_duplicated_key", "y_object_duplicated_key_and_value", "y_object_escaped_null_in_key",
           "y_string_null_escape"}
# Choices that the standard leaves open: octroi takes these, and refuses the rest.
# (numbers beyond all bounds are good JSON, and are read by nobody).
TAKEN = {"i_number_double_huge_neg_exp", "i_number_huge_exp", "i_number_neg_int_huge_exp", "i_number_pos_double_huge_exp",
         "i_number_real_neg_overflow", "i_number_real_pos_overflow", "i_number_real_underflow"}


def json_verdicts():
    names, lines = [], []
    for name, text in read("json_parsing.json").items():
        data = zlib.decompress(base64.b64decode(text[2:])) if text.startswith("z:") else base64.b64decode(text)
        names.append(name)
        lines.append(hexed(data))
    return dict(zip(names, driver("json", lines)))


def test_json():
    verdicts = json_verdicts()
    assert [sum(name.startswith(kind) for name in verdicts) for kind in ("n_", "y_", "i_")] == [188, 95, 35]
    assert not [name for name, verdict in verdicts.items() if name[0] == "n" and verdict != "refused"]
    refused = {name for name, verdict in verdicts.items() if name[0] == "y" and verdict != "accepted"}
    assert refused == REFUSED
    assert {name for name, verdict in verdicts.items() if name[0] == "i" and verdict == "accepted"} == TAKEN


# ---- HMAC --------------------------------------------------------------------------------------------


def test_hmac():
    vectors = read("hmac_sha256.json")
    assert len(vectors) == 174
    tags = driver("hmac", [f"{key or '-'} {message or '-'}" for _, _, _, _, key, message, _ in vectors])
    judged = 0
    for (number, comment, result, bits, key, _, wanted), tag in zip(vectors, tags):
        if len(key) < 64:
            assert tag == "refused", (number, comment)  # too short a key to be one
            continue
        judged += 1
        assert (tag[:bits // 4] == wanted) == (result == "valid"), (number, comment)
    assert judged > 150


# ---- tokens ------------------------------------------------------------------------------------------

# Good signatures that octroi does not take: of no payload (259), with a "?" in a text (372, 373), and under a key
# of nothing but NUL, which cannot be configured (the rest).
NOT_TAKEN = {259, 357, 358, 359, 372, 373, 376, 377}


def jws_cases():
    """(algorithm, line for the driver, case) for each key and token."""
    for group in read("jws.json"):
        key = group["key"]
        for number, comment, result, token in group["tests"]:
            case = (number, group["comment"], comment, result)
            if "k" in key:
                secret = base64.urlsafe_b64decode(key["k"] + "==")
                yield "HS256", f"HS256 {hexed(secret)} {hexed(token)}", case
            else:
                # The key as it is, to an octroi that expects either algorithm.
                for algorithm in ("RS256", "ES256"):
                    yield algorithm, f"{algorithm} {hexed(json.dumps(key))} {hexed(token)}", case


@pytest.fixture(scope="module")
def jws():
    cases = list(jws_cases())
    return [(algorithm, case, verdict) for (algorithm, _, case), verdict in zip(cases, driver("jws", [c[1] for c in cases]))]


def test_no_token_is_wrongly_taken(jws):
    assert len({case[0] for _, case, _ in jws}) == 401
    assert not [(algorithm, case) for algorithm, case, verdict in jws if verdict == "verified" and case[3] != "valid"]


def test_good_tokens_are_taken(jws):
    taken = {case[0] for _, case, verdict in jws if verdict == "verified"}
    ours = {"RS256", "ES256", "HS256"}
    algorithms = {number: group["key"].get("alg") for group in read("jws.json") for number, *_ in group["tests"]}
    good = {case[0]: case[1:3] for _, case, _ in jws if case[3] == "valid" and algorithms[case[0]] in ours}
    assert set(good) - taken == NOT_TAKEN and len(good) == 20, {number: good[number] for number in set(good) - taken}
