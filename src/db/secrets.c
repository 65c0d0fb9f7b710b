#include "db/secrets.h"

#include <string.h>

#include "base/check.h"
#include "db/sql.h"

#define SQL_MAX 512

static int take_secret(void *context, const struct db_row *row)
{
	CHECK(row->length[0] == DIGEST_BYTES);
	memcpy(context, row->field[0], DIGEST_BYTES);
	return 0;
}

/* 1, 0 when there is none, -1 on a fault. */
static int find_secret(struct db *d, struct buf *sql, unsigned char key[DIGEST_BYTES])
{
	buf_reset(sql);
	sql_literal(sql, "SELECT value FROM secrets WHERE name = 'referral'");
	return (int)db_read(d, sql, take_secret, key);
}

/* Another octroi may have been first: then that one's key stands. */
static int make(struct db *d, struct buf *sql)
{
	unsigned char key[DIGEST_BYTES];

	digest_random(key, sizeof(key));
	buf_reset(sql);
	sql_literal(sql, "INSERT IGNORE INTO secrets (name, value) VALUES ('referral', ");
	sql_bytes(sql, key, sizeof(key));
	sql_literal(sql, ")");
	return db_change(d, sql) >= 0 ? 0 : -1;
}

int secrets_referral(struct db *d, unsigned char key[DIGEST_BYTES])
{
	struct buf sql;
	int found;

	buf_init(&sql, SQL_MAX);
	found = find_secret(d, &sql, key);
	if (found == 0 && make(d, &sql) == 0)
		found = find_secret(d, &sql, key);
	buf_free(&sql);
	return found == 1 ? 0 : -1;
}
