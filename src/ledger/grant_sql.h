/*
 * grant_sql: the true rest of a grant, as text for statements.  Readers must not take grants.remaining_micros for it,
 * because the account's row has the rest of the grant that is spent now: rows/current_grant.h.
 */
#ifndef OCTROI_LEDGER_GRANT_SQL_H
#define OCTROI_LEDGER_GRANT_SQL_H

/* The rest of row g of grants, where a is the row of its account. */
#define GRANT_SQL_REMAINING "IF(g.seq=a.current_grant_seq,a.current_remaining_micros,g.remaining_micros)"

#endif
