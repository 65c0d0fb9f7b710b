#include "audit/audit_heads.h"

#include <inttypes.h>
#include <string.h>

#include "audit/audit_state.h"
#include "base/hex.h"
#include "base/money.h"
#include "db/sql.h"

#define FIRST_LINE "octroi heads 1\n"
#define LINE_MAX_BYTES 256
#define COMPARE_MAX 256 /* heads that one question is about */
#define SQL_MAX 65536

struct head {
	unsigned char id[ID_KEY_BYTES], hash[DIGEST_BYTES];
	int64_t entry_seq, hold_seq, grant_seq;
};

/* ---- writing ---------------------------------------------------------------------------------- */

/* The digest after a line covers all lines before it. */
static void chain(unsigned char digest[DIGEST_BYTES], const char *line)
{
	const struct digest_piece pieces[] = {{digest, DIGEST_BYTES}, {line, strlen(line)}};
	unsigned char next[DIGEST_BYTES];

	digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(pieces[0]), next);
	memcpy(digest, next, sizeof(next));
}

static void put_head(struct audit_heads *h, const char *line)
{
	chain(h->digest, line);
	(void)fputs(line, h->file);
}

void audit_heads_begin(struct audit_heads *h, FILE *file)
{
	*h = (struct audit_heads){.file = file};
	put_head(h, FIRST_LINE);
}

void audit_heads_add(struct audit_heads *h, const struct accounts_row *a)
{
	struct buf line;

	buf_init(&line, LINE_MAX_BYTES);
	buf_add_hex(&line, a->id, sizeof(a->id));
	buf_printf(&line, " %" PRId64 " ", a->entry_seq);
	buf_add_hex(&line, a->chain_head, sizeof(a->chain_head));
	buf_printf(&line, " %" PRId64 " %" PRId64 "\n", a->hold_seq, a->grant_seq);
	put_head(h, buf_text(&line));
	buf_free(&line);
	h->count++;
}

void audit_heads_end(struct audit_heads *h)
{
	struct buf line;

	buf_init(&line, LINE_MAX_BYTES);
	buf_printf(&line, "end %" PRId64 " ", h->count);
	buf_add_hex(&line, h->digest, sizeof(h->digest));
	(void)fprintf(h->file, "%s\n", buf_text(&line));
	buf_free(&line);
}

/* ---- reading ---------------------------------------------------------------------------------- */

/* Reads a number >= 0 that the character end follows; returns the text after that, or NULL. */
static const char *read_number(const char *at, char end, int64_t *value)
{
	const size_t length = strspn(at, "0123456789");

	if (decimal_parse(at, length, 0, false, value) != 0 || at[length] != end)
		return NULL;
	return at + length + 1;
}

static const char *read_bytes(const char *at, char end, unsigned char *bytes, size_t count)
{
	if (at == NULL || !hex_read(at, bytes, count) || at[2 * count] != end)
		return NULL;
	return at + 2 * count + 1;
}

static bool read_head(const char *line, struct head *h)
{
	const char *at = read_bytes(line, ' ', h->id, sizeof(h->id));

	at = at != NULL ? read_number(at, ' ', &h->entry_seq) : NULL;
	at = at != NULL ? read_bytes(at, ' ', h->hash, sizeof(h->hash)) : NULL;
	at = at != NULL ? read_number(at, ' ', &h->hold_seq) : NULL;
	at = at != NULL ? read_number(at, '\n', &h->grant_seq) : NULL;
	return at != NULL && *at == '\0';
}

static bool read_end(const char *line, int64_t count, const unsigned char digest[DIGEST_BYTES])
{
	unsigned char said[DIGEST_BYTES];
	int64_t number = -1;
	const char *at = strncmp(line, "end ", 4) == 0 ? read_number(line + 4, ' ', &number) : NULL;

	at = at != NULL ? read_bytes(at, '\n', said, sizeof(said)) : NULL;
	return at != NULL && *at == '\0' && number == count && memcmp(said, digest, sizeof(said)) == 0;
}

static int fail_line(char error[AUDIT_HEADS_ERROR_MAX], int64_t line, const char *why)
{
	(void)snprintf(error, AUDIT_HEADS_ERROR_MAX, "line %lld: %s", (long long)line, why);
	return -1;
}

int audit_heads_check(FILE *file, char error[AUDIT_HEADS_ERROR_MAX])
{
	unsigned char digest[DIGEST_BYTES] = {0}, before[ID_KEY_BYTES] = {0};
	char line[LINE_MAX_BYTES];
	struct head head;
	int64_t count = 0;

	if (fgets(line, sizeof(line), file) == NULL || strcmp(line, FIRST_LINE) != 0)
		return fail_line(error, 1, "this is no file of octroictl audit --heads, or of another version");
	for (;;) {
		chain(digest, line);
		if (fgets(line, sizeof(line), file) == NULL)
			return fail_line(error, count + 2, "the end is missing: the file was cut off");
		if (strncmp(line, "end ", 4) == 0)
			break;
		if (!read_head(line, &head))
			return fail_line(error, count + 2, "this is no head of an account");
		if (count > 0 && memcmp(before, head.id, sizeof(before)) >= 0)
			return fail_line(error, count + 2, "the accounts are not in their order");
		memcpy(before, head.id, sizeof(before));
		count++;
	}
	if (!read_end(line, count, digest))
		return fail_line(error, count + 2,
		                 "the lines before are not those that were written: the file was changed");
	if (fgets(line, sizeof(line), file) != NULL)
		return fail_line(error, count + 3, "something follows the end");
	return 0;
}

/* ---- comparing -------------------------------------------------------------------------------- */

/* Reads the next heads of a whole file; returns their number. */
static int read_heads(FILE *file, struct head heads[COMPARE_MAX])
{
	char line[LINE_MAX_BYTES];
	int count = 0;

	while (count < COMPARE_MAX && fgets(line, sizeof(line), file) != NULL && read_head(line, &heads[count]))
		count++;
	return count;
}

static void add_question(struct buf *sql, const struct head *heads, int count)
{
	sql_literal(sql, "SELECT h.n, a.external_id, a.entry_seq, a.hold_seq, a.grant_seq, e.hash FROM (");
	for (int i = 0; i < count; i++) {
		if (i > 0)
			sql_literal(sql, " UNION ALL ");
		sql_literal(sql, "SELECT ");
		sql_int(sql, i);
		sql_literal(sql, " AS n, ");
		sql_bytes(sql, heads[i].id, sizeof(heads[i].id));
		sql_literal(sql, " AS id, ");
		sql_int(sql, heads[i].entry_seq);
		sql_literal(sql, " AS seq");
	}
	sql_literal(sql, ") h LEFT JOIN accounts a ON a.id = h.id"
	                 " LEFT JOIN entries e ON e.account_id = h.id AND e.seq = h.seq ORDER BY h.n");
}

static void find_less(struct audit *A, const char *row, const char *name, int64_t now, int64_t then)
{
	if (now < then)
		audit_find_row(A, "head", "accounts", row, "%s is %lld, but was %lld when the heads were written", name,
		               (long long)now, (long long)then);
}

static void compare_head(struct audit *A, const struct head *h, const struct db_row *row)
{
	char name[AUDIT_ROW_MAX];
	struct buf id;

	if (row->field[1] == NULL) {
		buf_init(&id, LINE_MAX_BYTES);
		buf_add_hex(&id, h->id, sizeof(h->id));
		(void)snprintf(name, sizeof(name), "account id 0x%s", buf_text(&id));
		buf_free(&id);
		audit_find_row(A, "head", "accounts", name, "the account was there when the heads were written");
		return;
	}
	(void)snprintf(name, sizeof(name), "account %s", row->field[1]);
	find_less(A, name, "entry_seq", db_int(row, 2), h->entry_seq);
	find_less(A, name, "hold_seq", db_int(row, 3), h->hold_seq);
	find_less(A, name, "grant_seq", db_int(row, 4), h->grant_seq);
	if (h->entry_seq == 0)
		return;
	(void)snprintf(name, sizeof(name), "account %s seq %lld", row->field[1], (long long)h->entry_seq);
	if (row->field[5] == NULL)
		audit_find_row(A, "head", "entries", name,
		               "the entry was the last when the heads were written, and is missing");
	else if (row->length[5] != DIGEST_BYTES || memcmp(row->field[5], h->hash, DIGEST_BYTES) != 0)
		audit_find_row(A, "head", "entries", name,
		               "its hash was another when the heads were written: this or an earlier entry changed");
}

struct comparison {
	struct audit *audit;
	const struct head *heads;
};

static int take_compared(void *context, const struct db_row *row)
{
	const struct comparison *c = context;

	compare_head(c->audit, &c->heads[db_int(row, 0)], row);
	return 0;
}

static int compare_some(struct audit *A, const struct head *heads, int count)
{
	struct comparison c = {A, heads};
	struct buf sql;
	int64_t result;

	buf_init(&sql, SQL_MAX);
	add_question(&sql, heads, count);
	result = db_read(A->db, &sql, take_compared, &c);
	buf_free(&sql);
	return result < 0 ? -1 : 0;
}

int64_t audit_heads_compare(struct audit *A, FILE *file)
{
	struct head heads[COMPARE_MAX];
	char line[LINE_MAX_BYTES];
	int64_t total = 0;
	int count;

	rewind(file);
	if (fgets(line, sizeof(line), file) == NULL)
		return -1;
	do {
		count = read_heads(file, heads);
		if (count > 0 && compare_some(A, heads, count) != 0)
			return -1;
		total += count;
	} while (count == COMPARE_MAX);
	return total;
}
