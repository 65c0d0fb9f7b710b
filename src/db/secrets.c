#include "db/secrets.h"

#include <string.h>

#include "base/check.h"
#include "db/sql.h"

#define SQL_MAX 512

static const char *const names[SECRETS] = {[SECRET_REFERRAL] = "referral", [SECRET_GRACE] = "grace"};

static int take_secret(void *context, const struct db_row *row)
{
	CHECK(row->length[0] == DIGEST_BYTES);
	memcpy(context, row->field[0], DIGEST_BYTES);
	return 0;
}

/* 1, 0 when there is none, -1 on a fault. */
static int look_up_secret(struct db *d, struct buf *sql, const char *name, unsigned char key[DIGEST_BYTES])
{
	buf_reset(sql);
	sql_literal(sql, "SELECT value FROM secrets WHERE name = ");
	sql_text(sql, name);
	return (int)db_read(d, sql, take_secret, key);
}

/* Another octroi may have been first: then that one's key stands. */
static int make_secret(struct db *d, struct buf *sql, const char *name)
{
	unsigned char key[DIGEST_BYTES];

	digest_random(key, sizeof(key));
	buf_reset(sql);
	sql_literal(sql, "INSERT IGNORE INTO secrets (name, value) VALUES (");
	sql_text(sql, name);
	sql_literal(sql, ", ");
	sql_bytes(sql, key, sizeof(key));
	sql_literal(sql, ")");
	return db_change(d, sql) >= 0 ? 0 : -1;
}

int secrets_find(struct db *d, enum secret which, unsigned char key[DIGEST_BYTES])
{
	struct buf sql;
	int found;

	CHECK((unsigned)which < SECRETS);
	buf_init(&sql, SQL_MAX);
	found = look_up_secret(d, &sql, names[which], key);
	if (found == 0 && make_secret(d, &sql, names[which]) == 0)
		found = look_up_secret(d, &sql, names[which], key);
	buf_free(&sql);
	return found == 1 ? 0 : -1;
}
