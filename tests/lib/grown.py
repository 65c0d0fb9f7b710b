"""Accounts with a long history, made by the database itself; their journal is not: use an Octroi that does not audit."""

import hashlib

DAY_US = 86400 * 10**6


def key(account):
    return "0x" + hashlib.sha256(account.encode()).hexdigest()[:32]


def usages(o, account, count, days=30, member=""):
    """count usages of one hold each, the last just now, spread over so many days; every seventh was released unused."""
    o.sql(f"""SET @now = CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED);
        INSERT INTO usages (account_id, seq, state, settlement, member, kind, item, provider, price_version, input_tokens,
            output_tokens, cost_micros, created_at_us, ended_at_us)
        SELECT {key(account)}, seq, IF(seq % 7 = 0, 1, 0), IF(seq % 7 = 0, 0, 1), '{member}', 0,
            ELT(1 + seq % 3, 'gpt-4o', 'gpt-3.5-turbo', 'claude-sonnet-4-20250514'), 'openai', 2, 100, 100, 10,
            @now - ({count} - seq) * ({days} * {DAY_US} DIV {count}), @now - ({count} - seq) * ({days} * {DAY_US} DIV {count})
        FROM seq_1_to_{count};
        UPDATE accounts SET hold_seq = {count} WHERE id = {key(account)};
        ANALYZE TABLE usages""")


def rows_read(o):
    """Rows that the database has read so far, one by one, since it runs."""
    return sum(int(value) for _, value in o.sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'"))
