#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "ctl/ctl.h"
#include "ctl/ctl_key.h"
#include "ctl/listing.h"
#include "ctl/target.h"
#include "db/sql.h"

#define KEY_RANDOM_BYTES 32
#define KEY_PREFIX_SECRET 6 /* characters of the secret part that tell keys apart */
#define KEY_LABEL_MAX 128
/* A running octroi believes its copy of the keys for at most a second. */
#define KEY_CACHE_NS 1100000000L

static const char *const scopes[] = {"guard", "app", "admin", "report", "meter"};

static bool scope_known(const char *scope)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (strcmp(scope, scopes[i]) == 0)
			return true;
	return false;
}

static int take_id(void *context, const struct db_row *row)
{
	*(int64_t *)context = db_int(row, 0);
	return CTL_OK;
}

/* Stores the key's digest, and sets *id. */
static int store_key(struct ctl *c, const struct key_terms *terms, const struct key *made, int64_t *id)
{
	const char *const texts[] = {terms->scope, terms->label, made->prefix, terms->account, terms->member};
	unsigned char digest[DIGEST_BYTES];
	struct buf sql;
	int result;

	digest_sha256(made->text, strlen(made->text), digest);
	buf_init(&sql, 4096);
	sql_literal(&sql, "INSERT INTO api_keys (digest, scope, label, prefix, account, member, expires_at_us,"
	                  " created_at_us) VALUES (");
	sql_bytes(&sql, digest, sizeof(digest));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		sql_literal(&sql, ",");
		sql_text(&sql, texts[i]);
	}
	sql_literal(&sql, ",");
	sql_int(&sql, terms->expires_at_us);
	sql_literal(&sql, ", " SQL_NOW_US ")");
	result = ctl_rows(c, &sql, NULL, NULL);
	if (result == CTL_OK) {
		buf_reset(&sql);
		sql_literal(&sql, "SELECT id FROM api_keys WHERE digest = ");
		sql_bytes(&sql, digest, sizeof(digest));
		result = ctl_rows(c, &sql, take_id, id);
	}
	buf_free(&sql);
	return result;
}

int ctl_key_make(struct ctl *c, const struct key_terms *terms, struct key *made)
{
	unsigned char secret[KEY_RANDOM_BYTES];
	char encoded[KEY_RANDOM_BYTES * 2];

	CHECK(scope_known(terms->scope) && (strcmp(terms->scope, "meter") == 0) == (terms->account[0] != '\0'));
	digest_random(secret, sizeof(secret));
	(void)digest_base64url(secret, sizeof(secret), encoded);
	(void)snprintf(made->text, sizeof(made->text), "oct_%s_%s", terms->scope, encoded);
	(void)snprintf(made->prefix, sizeof(made->prefix), "oct_%s_%.*s", terms->scope, KEY_PREFIX_SECRET, encoded);
	return store_key(c, terms, made, &made->id);
}

/* Adds what a key of scope meter is bound to, and the end of any key. */
static void list_bound(struct listing *l, const char *account, const char *member, int64_t expires_at_us)
{
	listing_text(l, "account", "account", account);
	listing_text(l, "member", "member", member);
	listing_time(l, "expiresAt", "expires", expires_at_us);
}

/* A key of scope meter is bound to an account; the other scopes are not. */
static int check_bound(const struct key_terms *t)
{
	const bool meter = strcmp(t->scope, "meter") == 0;

	if (meter && t->account[0] == '\0')
		return ctl_fail("a key of scope meter needs --account");
	if (!meter && (t->account[0] != '\0' || t->member[0] != '\0'))
		return ctl_fail("--account and --member go with --scope meter");
	if (!meter)
		return CTL_OK;
	if (target_check_id("an account's", t->account) != CTL_OK)
		return CTL_FAILED;
	return t->member[0] == '\0' ? CTL_OK : target_check_id("a member's", t->member);
}

static int read_expiry(struct ctl *c, const char *text, int64_t *expires_at_us)
{
	int64_t now_us;

	if (clock_parse(text, strlen(text), expires_at_us) != 0)
		return ctl_wrong("--expires: a date or a time of RFC 3339, such as 2027-01-31T12:00:00Z");
	if (ctl_now(c, &now_us) != CTL_OK)
		return CTL_FAILED;
	return *expires_at_us > now_us ? CTL_OK : ctl_wrong("--expires is in the past");
}

static int check_terms(const struct key_terms *t)
{
	if (t->scope == NULL || !scope_known(t->scope))
		return ctl_fail("key create needs --scope guard, app, admin, report or meter");
	if (strlen(t->label) > KEY_LABEL_MAX)
		return ctl_fail("a label has at most %d bytes", KEY_LABEL_MAX);
	return check_bound(t);
}

int ctl_key_create(struct ctl *c)
{
	struct key_terms t = {.label = "", .account = "", .member = ""};
	const char *expires = NULL;
	const struct ctl_option options[] = {
		{.name = "--scope", .value = &t.scope},     {.name = "--label", .value = &t.label},
		{.name = "--account", .value = &t.account}, {.name = "--member", .value = &t.member},
		{.name = "--expires", .value = &expires},   {0}};
	struct key made;
	struct listing *l;

	if (ctl_arguments(c, options, NULL, 0, 0) < 0 || check_terms(&t) != CTL_OK)
		return CTL_FAILED;
	if (expires != NULL && read_expiry(c, expires, &t.expires_at_us) != CTL_OK)
		return CTL_FAILED;
	if (ctl_key_make(c, &t, &made) != CTL_OK)
		return CTL_FAILED;
	l = listing_new("key");
	listing_row(l);
	listing_text(l, "key", "key (shown once)", made.text);
	listing_int(l, "id", "id", made.id);
	listing_text(l, "scope", "scope", t.scope);
	listing_text(l, "label", "label", t.label);
	listing_text(l, "prefix", "prefix", made.prefix);
	list_bound(l, t.account, t.member, t.expires_at_us);
	listing_print_single(l, c->json);
	listing_free(l);
	return CTL_OK;
}

static int take_key_row(void *context, const struct db_row *row)
{
	struct listing *l = context;

	listing_row(l);
	listing_int(l, "id", "id", db_int(row, 0));
	listing_text(l, "prefix", "prefix", row->field[1]);
	listing_text(l, "scope", "scope", row->field[2]);
	listing_text(l, "label", "label", row->field[3]);
	listing_time(l, "createdAt", "created", db_int(row, 4));
	listing_time(l, "revokedAt", "revoked", db_int(row, 5));
	list_bound(l, row->field[6], row->field[7], db_int(row, 8));
	return CTL_OK;
}

int ctl_key_list(struct ctl *c)
{
	struct listing *l;
	struct buf sql;
	int result;

	if (ctl_arguments(c, NULL, NULL, 0, 0) < 0)
		return CTL_FAILED;
	l = listing_new("keys");
	buf_init(&sql, 1024);
	sql_literal(&sql, "SELECT id, prefix, scope, label, created_at_us, revoked_at_us, account, member,"
	                  " expires_at_us FROM api_keys ORDER BY id");
	result = ctl_rows(c, &sql, take_key_row, l);
	if (result == CTL_OK)
		listing_print(l, c);
	buf_free(&sql);
	listing_free(l);
	return result;
}

/* ---- revoking -------------------------------------------------------------------------------- */

struct match {
	int count;
	int64_t id;
	char prefix[KEY_TEXT_MAX];
};

static int take_match(void *context, const struct db_row *row)
{
	struct match *m = context;

	m->count++;
	m->id = db_int(row, 0);
	(void)snprintf(m->prefix, sizeof(m->prefix), "%s", row->field[1]);
	return CTL_OK;
}

/* Finds the keys in force with this id; else those whose prefix begins so, or the key itself. */
static int find_key_row(struct ctl *c, const char *named, struct match *m)
{
	unsigned char digest[DIGEST_BYTES];
	struct buf sql;
	int64_t id;
	int result;

	buf_init(&sql, 8192);
	sql_literal(&sql, "SELECT id, prefix FROM api_keys WHERE revoked_at_us = 0 AND ");
	if (named[strspn(named, "0123456789")] == '\0') {
		if (ctl_integer(named, "a key's id", 1, INT64_MAX, &id) != 0)
			return CTL_FAILED;
		sql_literal(&sql, "id = ");
		sql_int(&sql, id);
	} else {
		digest_sha256(named, strlen(named), digest);
		sql_literal(&sql, "(digest = ");
		sql_bytes(&sql, digest, sizeof(digest));
		sql_literal(&sql, " OR LEFT(prefix, ");
		sql_int(&sql, (int64_t)strlen(named));
		sql_literal(&sql, ") = ");
		sql_text(&sql, named);
		sql_literal(&sql, ")");
	}
	result = ctl_rows(c, &sql, take_match, m);
	buf_free(&sql);
	return result;
}

static void outlive_caches(void)
{
	struct timespec left = {.tv_sec = KEY_CACHE_NS / 1000000000L, .tv_nsec = KEY_CACHE_NS % 1000000000L};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		continue;
}

int ctl_key_revoke(struct ctl *c)
{
	const char *named = NULL;
	struct match m = {0};
	struct buf sql;
	int result;

	if (ctl_arguments(c, NULL, &named, 1, 1) < 0)
		return CTL_FAILED;
	if (*named == '\0' || find_key_row(c, named, &m) != CTL_OK)
		return *named == '\0' ? ctl_fail("which key?") : CTL_FAILED;
	if (m.count != 1) {
		(void)ctl_fail(m.count == 0 ? "no key in force is called that" : "more than one key begins like that");
		return CTL_NO;
	}
	buf_init(&sql, 1024);
	sql_literal(&sql, "UPDATE api_keys SET revoked_at_us = " SQL_NOW_US " WHERE revoked_at_us = 0 AND id = ");
	sql_int(&sql, m.id);
	result = ctl_rows(c, &sql, NULL, NULL);
	buf_free(&sql);
	if (result != CTL_OK)
		return result;
	outlive_caches();
	if (!c->json)
		(void)printf("revoked %s (id %lld)\n", m.prefix, (long long)m.id);
	else
		(void)printf("{\"id\":%lld,\"revoked\":true}\n", (long long)m.id);
	return CTL_OK;
}
