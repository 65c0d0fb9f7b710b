#include "queries/statements.h"

#include <stdio.h>

#include "db/sql.h"
#include "ledger/sql_numbers.h"

#define SQL_MAX ((size_t)4 * 1024)
#define UNSETTLED SQL(STATEMENT_OPEN) "," SQL(STATEMENT_SENT) "," SQL(STATEMENT_FAILED)

static void take_statement(const struct db_row *row, struct statements_known *k)
{
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
}

int statements_read(struct db *d, const struct account_key *account, int64_t seq, struct statements_known *known)
{
	struct db_row row;
	struct buf sql;
	int got = -1;

	*known = (struct statements_known){0};
	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT s.state,s.amount_minor,s.failures,s.created_at_us,s.currency,s.invoice_id,"
	                  "s.invoice_url,COALESCE(b.customer_id,''),COALESCE(b.customer_key,''),COALESCE(p.email,''),"
	                  "COALESCE(p.name,'') FROM statements s LEFT JOIN billing b ON b.account_id=s.account_id"
	                  " LEFT JOIN profiles p ON p.account_id=s.account_id WHERE s.account_id=");
	sql_bytes(&sql, account->bytes, sizeof(account->bytes));
	sql_literal(&sql, " AND s.seq=");
	sql_int(&sql, seq);
	if (db_query(d, &sql) == DB_OK)
		got = db_row(d, &row);
	if (got == 1)
		take_statement(&row, known);
	if (db_finish(d) != DB_OK)
		got = -1;
	buf_free(&sql);
	return got < 0 ? -1 : 0;
}

int statements_unsettled(struct db *d, const struct account_key *account, int64_t *seqs, int max)
{
	struct db_row row;
	struct buf sql;
	int count = -1;

	buf_init(&sql, SQL_MAX);
	sql_literal(&sql, "SELECT seq FROM statements WHERE account_id=");
	sql_bytes(&sql, account->bytes, sizeof(account->bytes));
	sql_literal(&sql, " AND state IN (" UNSETTLED ") ORDER BY seq LIMIT ");
	sql_int(&sql, max);
	if (db_query(d, &sql) == DB_OK)
		for (count = 0; count < max && db_row(d, &row) == 1; count++)
			seqs[count] = db_int(&row, 0);
	if (db_finish(d) != DB_OK)
		count = -1;
	buf_free(&sql);
	return count;
}
