#include "queries/statements.h"

#include <stdio.h>

#include "db/sql.h"
#include "ledger/sql_numbers.h"

#define SQL_MAX ((size_t)4 * 1024)
#define UNSETTLED SQL(STATEMENT_OPEN) "," SQL(STATEMENT_SENT) "," SQL(STATEMENT_FAILED)

static int take_statement(void *context, const struct db_row *row)
{
	struct statements_known *k = context;
	const struct {
		char *to;
		size_t size;
	} texts[] = {
		{k->currency, sizeof(k->currency)},
		{k->invoice_id, sizeof(k->invoice_id)},
		{k->invoice_url, sizeof(k->invoice_url)},
		{k->customer_id, sizeof(k->customer_id)},
		{k->customer_key, sizeof(k->customer_key)},
		{k->email, sizeof(k->email)},
		{k->name, sizeof(k->name)},
	};

	k->found = true;
	k->state = db_int(row, 0);
	k->amount_minor = db_int(row, 1);
	k->failures = db_int(row, 2);
	k->created_at_us = db_int(row, 3);
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		(void)snprintf(texts[i].to, texts[i].size, "%s", row->field[4 + i]);
	return 0;
}

int statements_read(struct db *d, const struct account_key *account, int64_t seq, struct statements_known *known)
{
	struct buf sql;
	int64_t found;

	*known = (struct statements_known){0};
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT s.state,s.amount_minor,s.failures,s.created_at_us,s.currency,s.invoice_id,"
	                  "s.invoice_url,COALESCE(b.customer_id,''),COALESCE(b.customer_key,''),COALESCE(p.email,''),"
	                  "COALESCE(p.name,'') FROM statements s LEFT JOIN billing b ON b.account_id=s.account_id"
	                  " LEFT JOIN profiles p ON p.account_id=s.account_id WHERE s.account_id=");
	sql_bytes(&sql, account->bytes, sizeof(account->bytes));
	sql_literal(&sql, " AND s.seq=");
	sql_int(&sql, seq);
	found = db_read(d, &sql, take_statement, known);
	buf_free(&sql);
	return found < 0 ? -1 : 0;
}

static int take_seq(void *context, const struct db_row *row)
{
	int64_t **next = context;

	*(*next)++ = db_int(row, 0);
	return 0;
}

int statements_unsettled(struct db *d, const struct account_key *account, int64_t *seqs, int max)
{
	struct buf sql;
	int64_t count;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT seq FROM statements WHERE account_id=");
	sql_bytes(&sql, account->bytes, sizeof(account->bytes));
	sql_literal(&sql, " AND state IN (" UNSETTLED ") ORDER BY seq LIMIT ");
	sql_int(&sql, max);
	count = db_read(d, &sql, take_seq, &seqs);
	buf_free(&sql);
	return (int)count;
}
