"""The guard as an application uses it, and what it has to cost, computed on its own (fractions).

Prices are those of the models that ./quickstart loads, as the providers publish them, in millionths of a
dollar per million tokens; terms are octroi.conf's defaults.
"""

import base64
import fractions
import hashlib
import itertools
import os

INPUT, CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, OUTPUT = range(5)

# Pico-dollars per token: input, cache read, cache write, cache write for an hour, output.
PICO = {
    "gpt-4o": (2_500_000, 1_250_000, 2_500_000, 2_500_000, 10_000_000),
    "gpt-3.5-turbo": (500_000, 500_000, 500_000, 500_000, 1_500_000),
    "claude-sonnet-4-20250514": (3_000_000, 300_000, 3_750_000, 6_000_000, 15_000_000),
}
MARGIN = fractions.Fraction("1.05")
RATE = fractions.Fraction("1.08")  # dollars per unit of currency
CREDIT_VALUE = fractions.Fraction("0.01")  # units of currency per credit

_serial = itertools.count(1)


def ceiling(value):
    return -((-value.numerator) // value.denominator)


def cost(model, input=0, output=0, cache_read=0, cache_write=0, cache_write_1h=0, unit="money"):
    """Micros that these tokens cost."""
    pico = sum(count * price for count, price in
               zip((input, cache_read, cache_write, cache_write_1h, output), PICO[model]))
    micros = fractions.Fraction(pico, 10**6) * MARGIN / RATE
    return ceiling(micros / CREDIT_VALUE if unit == "credit" else micros)


def request_id(prefix="r"):
    """A request id that nobody has used."""
    return f"{prefix}-{os.getpid()}-{next(_serial)}"


def public_id(account, seq):
    """The public name of an account's hold, usage or transaction number seq."""
    raw = hashlib.sha256(account.encode()).digest()[:16] + seq.to_bytes(8, "big")
    return base64.urlsafe_b64encode(raw).decode()


def authorize(o, account, model="gpt-4o", **fields):
    body = {"account": account, **fields}
    if model is not None:
        body["model"] = model
    return o.post("/api/guard/authorize", body)


def hold(o, account, model="gpt-4o", **fields):
    """A hold that has to be granted; its id."""
    answer = authorize(o, account, model, **fields)
    assert answer.status == 200, answer
    return answer.json["hold"]


def settle(o, hold, **fields):
    return o.post("/api/guard/settle", {"hold": hold, **fields})


def release(o, hold):
    return o.post("/api/guard/release", {"hold": hold})


def extend(o, hold, **fields):
    return o.post("/api/guard/extend", {"hold": hold, **fields})


def charge(o, account, action, **fields):
    return o.post("/api/guard/charge", {"account": account, "action": action, **fields})


def key_of(account):
    """The account's id in the database, as an SQL literal."""
    return "0x" + hashlib.sha256(account.encode()).hexdigest()[:32]


# The grants with their true rests, as a table: the account's row has that of the current grant.
GRANTS = ("(SELECT g.account_id, g.seq, g.type, g.priority, g.expires_at_us, g.amount_micros, g.created_at_us,"
          " IF(g.seq = a.current_grant_seq, a.current_remaining_micros, g.remaining_micros) AS remaining_micros"
          " FROM grants g JOIN accounts a ON a.id = g.account_id) AS g")


# The columns of a hold, in the order in which the account's row has them in a column of its own, each before a tab.
HOLD_COLUMNS = ("seq", "member", "kind", "item", "provider", "source", "price_version", "quantity", "input_tokens",
                "max_output_tokens", "reserved_micros", "conversation_id", "message_id", "metadata", "created_at_us",
                "expires_at_us", "service_tier", "variant", "counts")
HOLD_TEXTS = {"member", "item", "provider", "conversation_id", "message_id", "metadata", "variant", "counts"}
PLACES = ("hold_1", "hold_2", "hold_3")


def packed(place, column):
    """A column of the hold in the account's row, as an SQL expression."""
    at = HOLD_COLUMNS.index(column) + 1
    text = f"SUBSTRING_INDEX(SUBSTRING_INDEX({place}, '\t', {at}), '\t', -1)"
    return text if column in HOLD_TEXTS else f"CAST({text} AS SIGNED)"


# All open holds as a table: those of holds, and those in the rows of accounts.
HOLDS = (f"(SELECT account_id, {', '.join(HOLD_COLUMNS)} FROM holds"
         + "".join(f" UNION ALL SELECT id, {', '.join(packed(place, column) for column in HOLD_COLUMNS)} FROM accounts"
                   f" WHERE {place} <> ''" for place in PLACES) + ") AS holds")


def change_holds(column, value, accounts=None, seq=None):
    """Statements that set a number of open holds: of these keys, or of all accounts.  In value, {0} is the number before."""
    assert column not in HOLD_TEXTS and column != "seq", column
    at = HOLD_COLUMNS.index(column)
    of = f" AND account_id IN ({accounts})" if accounts else ""
    one = f" AND seq = {seq}" if seq else ""
    changes = [f"UPDATE holds SET {column} = {value.format(column)} WHERE seq > 0{of}{one}"]
    for place in PLACES:
        of = f" AND id IN ({accounts})" if accounts else ""
        one = f" AND {place} LIKE '{seq}\t%'" if seq else ""
        changes.append(
            f"UPDATE accounts SET {place} = CONCAT(SUBSTRING_INDEX({place}, '\t', {at}), '\t',"
            f" {value.format(packed(place, column))},"
            f" SUBSTRING({place}, CHAR_LENGTH(SUBSTRING_INDEX({place}, '\t', {at + 1})) + 1))"
            f" WHERE {place} <> ''{of}{one}")
    return ";".join(changes)


def pass_time(o, account, seconds):
    """Lets that much time pass for what is due on an account, by setting its due times back."""
    us = int(seconds * 1_000_000)
    where = f"account_id = {key_of(account)}"
    # The account is locked first, as octroi does, or its sweeper would see half of it.
    o.sql(f"BEGIN; SELECT 1 FROM accounts WHERE id = {key_of(account)} FOR UPDATE;"
          f"{change_holds('expires_at_us', f'{{0}} - {us}', key_of(account))};"
          f"UPDATE grants SET expires_at_us = expires_at_us - {us} WHERE expires_at_us > 0 AND {where};"
          f"UPDATE accounts SET current_expires_at_us = current_expires_at_us - {us}"
          f" WHERE current_expires_at_us > 0 AND id = {key_of(account)};"
          f"UPDATE accounts SET holds_due_at_us = holds_due_at_us - {us} WHERE open_holds > 0 AND id = {key_of(account)};"
          f"UPDATE accounts SET due_at_us = due_at_us - {us}"
          f" WHERE due_at_us < 9223372036854775807 AND id = {key_of(account)}; COMMIT")


def journal_sum(o, account):
    """The balance by the journal."""
    return int(o.sql(f"SELECT COALESCE(SUM(amount_micros), 0) FROM entries WHERE account_id = {key_of(account)}")[0][0])
