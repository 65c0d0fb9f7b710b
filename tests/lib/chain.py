"""The journal's hashes, made as src/ledger/decide/entry.h describes: for tests that write entries as somebody else would."""

import hashlib

FIELDS = ("seq", "kind", "counterpart", "amount_micros", "balance_before_micros", "balance_after_micros", "grant_seq",
          "usage_seq", "transaction_seq", "created_at_us")


def digest(previous, account, fields, record=b""):
    """previous, account's id and record as bytes, the fields as integers in the order of FIELDS."""
    packed = previous + account + b"".join(value.to_bytes(8, "big", signed=True) for value in fields)
    return hashlib.sha256(packed + (record if any(record) else b"")).digest()


def chain_anew(o, where="1 = 1", changed=None, recorded=True):
    """Statements that make the hashes of these entries what their fields say, and the accounts' heads the last of them.
    changed: SQL of fields that will be others.  recorded: with what they record; older versions had no such column."""
    head, statements = {}, []
    record = "HEX(record)" if recorded else "''"
    columns = ", ".join((changed or {}).get(name, name) for name in FIELDS)
    for account, *fields, kept in o.sql(f"SELECT HEX(account_id), {columns}, {record} FROM entries WHERE {where}"
                                        " ORDER BY account_id, seq"):
        fields = [int(value) for value in fields]
        head[account] = digest(head.get(account, bytes(32)), bytes.fromhex(account), fields, bytes.fromhex(kept))
        statements.append(f"UPDATE entries SET hash = 0x{head[account].hex()} WHERE account_id = 0x{account} AND seq = {fields[0]}")
    statements += [f"UPDATE accounts SET chain_head = 0x{of.hex()} WHERE id = 0x{account}" for account, of in head.items()]
    return statements


def forget_records(o, accounts="1 = 1"):
    """Makes the journal of these accounts one of before there were records: tests that change usages or transactions."""
    for statement in (f"UPDATE usages SET recorded = 0 WHERE {accounts}", f"UPDATE transactions SET recorded = 0 WHERE {accounts}",
                      f"UPDATE entries SET record = '' WHERE {accounts}"):
        o.sql(statement)
    for statement in chain_anew(o, accounts):
        o.sql(statement)
