#include "routes/auth/auth.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/lock.h"
#include "base/memory.h"
#include "queries/reader.h"
#include "routes/api/parse.h"
#include "routes/auth/jwks.h"
#include "routes/auth/origin.h"
#include "routes/auth/token.h"

#define KEY_PREFIX "oct_"
#define METER_KEY_PREFIX KEY_PREFIX "meter_"
#define BEARER "Bearer "

#define KEYS_BYTES_MAX ((size_t)64 * 1024 * 1024)
/* A copy of api_keys this old is read anew, while other threads go on using it. */
#define KEYS_REFRESH_US (500 * CLOCK_US_PER_MS)
/* A copy this old is used only after it was read anew.  octroictl key revoke waits for this age. */
#define KEYS_AGE_MAX_US (1000 * CLOCK_US_PER_MS)
/* While the database does not answer, a known key is believed for so long. */
#define KEYS_AGE_OUTAGE_US (5000 * CLOCK_US_PER_MS)
/* A key that is not in the copy may be new.  It is looked for in a copy that was begun after the key was shown, or
 * at most this long before.  Reads of copies for such keys begin at least this far apart. */
#define KEYS_DOUBT_US (20 * CLOCK_US_PER_MS)
/* Where there are many keys, the distance is so many times the duration of the last read, up to the longest distance:
 * made-up keys cannot keep the database reading. */
#define KEYS_DOUBT_READS 10
#define KEYS_DOUBT_MAX_US (250 * CLOCK_US_PER_MS)
/* No more threads than these wait until such a read may begin, so that made-up keys do not keep all threads busy. */
#define KEYS_DOUBTERS_MAX 4
/* No thread waits longer for a copy that another thread is reading. */
#define KEYS_WAIT_US (250 * CLOCK_US_PER_MS)
/* After a failure to read a copy, no thread tries again for so long. */
#define KEYS_PAUSE_US (100 * CLOCK_US_PER_MS)

struct key {
	unsigned char digest[DIGEST_BYTES];
	int64_t id;
	enum scope scope;
	const char *account, *member; /* of a key of scope meter, in the copy's arena; else "" */
};

/* A copy of api_keys. */
struct key_copy {
	struct arena *arena; /* NULL: none was read yet */
	struct key *keys;    /* sorted by digest */
	size_t count;
};

struct auth {
	const struct config *config;
	struct pool *readers;
	struct token_issuer issuer;
	struct jwks *jwks; /* NULL: no issuer but octroi */
	struct lock lock;
	struct signal_cond done; /* a thread has ended reading, well or not */
	/* Guarded by lock. */
	struct key_copy copy;
	bool loaded;
	int64_t loaded_us; /* when reading began: the copy holds all keys of that moment */
	int64_t read_us;   /* how long that took */
	bool reading;
	int doubters;      /* threads that wait until it is time for a copy with a new key */
	int64_t failed_us; /* when reading failed last; 0 after it went well */
	int64_t failures;
};

/* The path of an issuer's key set, where jwt_jwks_url is not set. */
#define KEY_SET "/.well-known/jwks.json"

/* Makes the key set of the issuer, if there is one.  False, logged, when memory is short. */
static bool make_jwks(struct auth *a)
{
	const struct config *c = a->config;
	struct buf url;

	if (c->jwt_issuer[0] == '\0')
		return true;
	buf_init(&url, 1024);
	if (c->jwt_jwks_url[0] != '\0') {
		buf_add_text(&url, c->jwt_jwks_url);
	} else {
		size_t length = strlen(c->jwt_issuer);

		while (length > 0 && c->jwt_issuer[length - 1] == '/')
			length--;
		buf_add(&url, c->jwt_issuer, length);
		buf_add_text(&url, KEY_SET);
	}
	if (buf_ok(&url))
		a->jwks = jwks_new(buf_text(&url), c->jwt_algorithm);
	else
		memory_missing("key set");
	buf_free(&url);
	return a->jwks != NULL;
}

static struct token_issuer issuer_of(const struct config *c)
{
	return (struct token_issuer){
		.issuer = c->jwt_issuer,
		.algorithm = c->jwt_algorithm,
		.audience = c->jwt_audience,
		.parties = c->jwt_authorized_parties,
		.account_claim = c->jwt_account_claim,
		.account_prefix = c->jwt_account_prefix,
		.member_claim = c->jwt_member_claim,
	};
}

struct auth *auth_new(const struct config *config, struct pool *readers)
{
	struct auth *a = memory_part("auth", sizeof(*a));

	if (a == NULL)
		return NULL;
	a->config = config;
	a->readers = readers;
	a->issuer = issuer_of(config);
	lock_init(&a->lock);
	cond_init(&a->done);
	if (make_jwks(a))
		return a;
	auth_free(a);
	return NULL;
}

void auth_free(struct auth *a)
{
	if (a == NULL)
		return;
	CHECK(!a->reading);
	cond_destroy(&a->done);
	lock_destroy(&a->lock);
	jwks_free(a->jwks);
	arena_free(a->copy.arena);
	free(a);
}

/* ---- the copy of api_keys -------------------------------------------------------------------- */

static enum scope scope_of(const char *name)
{
	static const struct {
		const char *name;
		enum scope scope;
	} scopes[] = {
		{"guard", SCOPE_GUARD},   {"app", SCOPE_APP},     {"admin", SCOPE_ADMIN},
		{"report", SCOPE_REPORT}, {"meter", SCOPE_METER},
	};

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (strcmp(scopes[i].name, name) == 0)
			return scopes[i].scope;
	return SCOPE_NONE;
}

static int compare_keys(const void *one, const void *other)
{
	const struct key *a = one;
	const struct key *b = other;

	return memcmp(a->digest, b->digest, sizeof(a->digest));
}

/* 0 with the keys, sorted; -1 on a fault.  In both cases the copy's arena is to be freed. */
static int read_keys(struct db *d, struct key_copy *copy)
{
	struct reader_key *rows = NULL;
	int row_count = 0;

	copy->arena = arena_new(KEYS_BYTES_MAX);
	if (copy->arena == NULL || reader_keys(d, copy->arena, &rows, &row_count) < 0)
		return -1;
	copy->count = (size_t)row_count;
	copy->keys = arena_alloc(copy->arena, (copy->count + 1) * sizeof(*copy->keys));
	if (copy->keys == NULL)
		return -1;
	for (size_t i = 0; i < copy->count; i++) {
		struct key *k = &copy->keys[i];

		memcpy(k->digest, rows[i].digest, sizeof(k->digest));
		k->id = rows[i].id;
		k->scope = scope_of(rows[i].scope);
		k->account = rows[i].account;
		k->member = rows[i].member;
	}
	qsort(copy->keys, copy->count, sizeof(*copy->keys), compare_keys);
	return 0;
}

/* Reads the keys anew; the lock is given up meanwhile. */
static void reload(struct auth *a, int64_t deadline_us)
{
	int64_t began_us = clock_monotonic_us();
	int64_t patience_us = began_us + KEYS_AGE_MAX_US;
	struct key_copy fresh = {.arena = NULL};
	struct arena *dropped;
	struct db *d;
	int result = -1;

	lock_assert_held(&a->lock);
	CHECK(!a->reading);
	a->reading = true;
	lock_give(&a->lock);
	d = pool_take(a->readers, patience_us < deadline_us ? patience_us : deadline_us);
	if (d != NULL) {
		result = read_keys(d, &fresh);
		pool_give(a->readers, d);
	}
	lock_take(&a->lock);
	a->reading = false;
	dropped = fresh.arena;
	if (result == 0) {
		dropped = a->copy.arena;
		a->copy = fresh;
		a->loaded = true;
		a->loaded_us = began_us;
		a->read_us = clock_monotonic_us() - began_us;
		a->failed_us = 0;
	} else {
		a->failed_us = clock_monotonic_us();
		a->failures++;
	}
	arena_free(dropped);
	cond_broadcast(&a->done);
}

static bool is_loaded_since(const struct auth *a, int64_t since_us)
{
	return a->loaded && a->loaded_us >= since_us;
}

/* Provides a copy that was begun at since_us or later.  False when there can be none now. */
static bool ensure(struct auth *a, int64_t since_us, int64_t deadline_us)
{
	int64_t failures = a->failures;
	int64_t wait_us = clock_monotonic_us() + KEYS_WAIT_US;
	bool waiting = true;

	if (wait_us > deadline_us)
		wait_us = deadline_us;
	while (!is_loaded_since(a, since_us) && waiting && a->failures == failures) {
		if (a->reading)
			waiting = cond_wait_until(&a->done, &a->lock, wait_us);
		else if (a->failed_us != 0 && clock_monotonic_us() - a->failed_us < KEYS_PAUSE_US)
			break;
		else
			reload(a, deadline_us);
	}
	return is_loaded_since(a, since_us);
}

static const struct key *search(const struct auth *a, const struct key *wanted)
{
	if (a->copy.count == 0)
		return NULL;
	return bsearch(wanted, a->copy.keys, a->copy.count, sizeof(*a->copy.keys), compare_keys);
}

static int64_t doubt_us(const struct auth *a)
{
	int64_t distance_us = KEYS_DOUBT_READS * a->read_us;

	if (distance_us > KEYS_DOUBT_MAX_US)
		return KEYS_DOUBT_MAX_US;
	return distance_us > KEYS_DOUBT_US ? distance_us : KEYS_DOUBT_US;
}

/* Provides a copy that is new enough to tell about a key that is in none so far.  False when there can be none now. */
static bool ensure_for_unknown(struct auth *a, int64_t now_us, int64_t deadline_us)
{
	int64_t next_us = a->loaded_us + doubt_us(a);

	if (next_us <= now_us || a->doubters >= KEYS_DOUBTERS_MAX)
		return ensure(a, now_us - doubt_us(a), deadline_us);
	a->doubters++;
	while (!is_loaded_since(a, now_us) && clock_monotonic_us() < next_us)
		cond_wait_until(&a->done, &a->lock, next_us);
	a->doubters--;
	return ensure(a, now_us, deadline_us);
}

/* OK with *k completed, UNAUTHORIZED, or UNAVAILABLE. */
static enum outcome find_locked(struct auth *a, struct key *k, int64_t deadline_us)
{
	int64_t now_us = clock_monotonic_us();
	const struct key *found;

	if (a->loaded && !a->reading && !is_loaded_since(a, now_us - KEYS_REFRESH_US) && a->failed_us == 0)
		reload(a, deadline_us);
	if (!ensure(a, now_us - KEYS_AGE_MAX_US, deadline_us) && !is_loaded_since(a, now_us - KEYS_AGE_OUTAGE_US))
		return OUTCOME_UNAVAILABLE;
	found = search(a, k);
	if (found == NULL) {
		if (!ensure_for_unknown(a, now_us, deadline_us))
			return OUTCOME_UNAVAILABLE;
		found = search(a, k);
	}
	if (found == NULL)
		return OUTCOME_UNAUTHORIZED;
	*k = *found;
	return OUTCOME_OK;
}

static enum outcome admit_key(struct auth *a, const char *text, struct call *c)
{
	struct key k = {.id = 0};
	enum outcome outcome;

	digest_sha256(text, strlen(text), k.digest);
	lock_take(&a->lock);
	outcome = find_locked(a, &k, c->request->deadline_us);
	lock_give(&a->lock);
	if (outcome == OUTCOME_OK) {
		c->scope = k.scope;
		c->key_id = k.id;
	}
	return outcome;
}

/* Copies what the key is bound to, because the next copy of api_keys replaces it.  The lock is held. */
static enum outcome bind_locked(struct auth *a, struct arena *arena, const struct key *k, struct auth_bound *bound)
{
	lock_assert_held(&a->lock);
	/* A row without an account is none that octroictl made: the key would be nobody's. */
	if (k->scope != SCOPE_METER || !id_account_valid(k->account, strlen(k->account)))
		return OUTCOME_METER_KEY_REFUSED;
	bound->account = arena_copy(arena, k->account, strlen(k->account));
	bound->member = arena_copy(arena, k->member, strlen(k->member));
	return bound->account != NULL && bound->member != NULL ? OUTCOME_OK : OUTCOME_UNAVAILABLE;
}

enum outcome auth_meter_key(struct auth *a, const struct request *request, const char *key, struct auth_bound *bound)
{
	struct key k = {.id = 0};
	enum outcome outcome;

	/* Another text is no key, and needs no look at the database. */
	if (strncmp(key, METER_KEY_PREFIX, strlen(METER_KEY_PREFIX)) != 0)
		return OUTCOME_METER_KEY_REFUSED;
	digest_sha256(key, strlen(key), k.digest);
	lock_take(&a->lock);
	outcome = find_locked(a, &k, request->deadline_us);
	if (outcome == OUTCOME_OK)
		outcome = bind_locked(a, request->arena, &k, bound);
	lock_give(&a->lock);
	return outcome == OUTCOME_UNAUTHORIZED ? OUTCOME_METER_KEY_REFUSED : outcome;
}

/* ---- callers --------------------------------------------------------------------------------- */

static enum outcome invalid(struct call *c, const char *field)
{
	c->field = field;
	return OUTCOME_INVALID_REQUEST;
}

/* The key or token that the caller shows, "" for none.  The scheme's name is case-insensitive (RFC 9110
 * section 11.1). */
static enum outcome credential(struct call *c, const char **shown)
{
	const char *authorization = request_parameter(c->request, "HTTP_AUTHORIZATION");
	const char *key = request_parameter(c->request, "HTTP_X_OCTROI_KEY");

	*shown = "";
	if (authorization != NULL && strncasecmp(authorization, BEARER, strlen(BEARER)) == 0) {
		authorization += strlen(BEARER);
		*shown = authorization + strspn(authorization, " ");
	}
	if (key == NULL || key[0] == '\0')
		return OUTCOME_OK;
	if ((*shown)[0] != '\0' && strcmp(*shown, key) != 0)
		return invalid(c, "X-Octroi-Key");
	*shown = key;
	return OUTCOME_OK;
}

/* Admits by a token of the configured issuer.  Only OWNER routes admit such a caller, so only they wait for a key. */
static enum outcome admit_issued(struct auth *a, enum caller wanted, const char *text, const char *kid, struct call *c)
{
	const struct jwks_patience patience = {
		.slow = wanted == CALLER_OWNER ? c->slow : NULL,
		.deadline_us = c->request->deadline_us,
	};
	struct token_claims claims;
	const char *jwk = NULL;
	enum outcome outcome = jwks_find(a->jwks, c->request->arena, kid, &patience, &jwk);

	if (outcome != OUTCOME_OK)
		return wanted == CALLER_OWNER ? outcome : OUTCOME_UNAUTHORIZED;
	if (token_accept_issued(c->request->arena, &a->issuer, jwk, text, strlen(text), clock_wall_us(), &claims) < 0)
		return OUTCOME_UNAUTHORIZED;
	c->account = claims.account;
	c->member = claims.member;
	c->person = claims.person;
	c->scope = SCOPE_BROWSER;
	return OUTCOME_OK;
}

static enum outcome admit_token(struct auth *a, enum caller wanted, const char *text, struct call *c)
{
	const char *kid = NULL;

	if (a->jwks != NULL)
		kid = token_key_id(c->request->arena, a->issuer.algorithm, text, strlen(text));
	if (kid != NULL)
		return admit_issued(a, wanted, text, kid, c);
	/* An operator's token opens an operator's pages, and is unknown everywhere else. */
	if (wanted == CALLER_OPERATOR &&
	    token_accept_operator(c->request->arena, a->config->token_secret, text, strlen(text), clock_wall_us())) {
		c->scope = SCOPE_REPORT;
		return OUTCOME_OK;
	}
	if (token_accept(c->request->arena, a->config->token_secret, text, strlen(text), clock_wall_us(), &c->account,
	                 &c->member) < 0)
		return OUTCOME_UNAUTHORIZED;
	c->scope = SCOPE_BROWSER;
	return OUTCOME_OK;
}

/* Admits the caller that the web server names, where its parameters are trusted.  *trusted: it has named one. */
static enum outcome admit_server(const struct auth *a, struct call *c, bool *trusted)
{
	const char *account = request_parameter(c->request, "OCTROI_ACCOUNT");
	const char *member = request_parameter(c->request, "OCTROI_MEMBER");

	*trusted = a->config->trust_server_params && account != NULL && account[0] != '\0';
	if (!*trusted)
		return OUTCOME_OK;
	if (!id_account_valid(account, strlen(account)))
		return invalid(c, "OCTROI_ACCOUNT");
	if (member != NULL && member[0] != '\0' && !id_account_valid(member, strlen(member)))
		return invalid(c, "OCTROI_MEMBER");
	c->scope = SCOPE_SERVER;
	c->account = account;
	c->member = member != NULL ? member : "";
	return OUTCOME_OK;
}

/* Whether the web server has signed in an operator, where its parameters are trusted. */
static bool is_operator_server(const struct auth *a, const struct call *c)
{
	const char *name = request_parameter(c->request, "OCTROI_OPERATOR");

	return a->config->trust_server_params && name != NULL && name[0] != '\0';
}

static bool is_reading(const struct call *c)
{
	return strcmp(c->request->method, "GET") == 0 || strcmp(c->request->method, "HEAD") == 0;
}

static bool entitled(enum caller wanted, const struct call *c)
{
	bool reading = is_reading(c);
	enum scope s = c->scope;

	switch (wanted) {
	case CALLER_NOBODY:
	case CALLER_SIGNED:
		return true;
	case CALLER_GUARD:
		return s == SCOPE_GUARD || s == SCOPE_APP || s == SCOPE_ADMIN;
	case CALLER_APP:
		return s == SCOPE_APP || s == SCOPE_ADMIN || (s == SCOPE_REPORT && reading);
	case CALLER_ADMIN:
		return s == SCOPE_ADMIN;
	case CALLER_REPORT:
		return s == SCOPE_REPORT || s == SCOPE_ADMIN;
	case CALLER_OPERATOR:
		return (s == SCOPE_REPORT || s == SCOPE_ADMIN) && reading;
	case CALLER_OWNER:
		return s == SCOPE_BROWSER || s == SCOPE_SERVER || s == SCOPE_APP || s == SCOPE_ADMIN ||
		       (s == SCOPE_REPORT && reading);
	case CALLER_GATE:
		return s == SCOPE_SERVER || s == SCOPE_GUARD || s == SCOPE_APP || s == SCOPE_ADMIN;
	}
	UNREACHABLE("no such caller");
}

/* Browsers and web servers have an account; a caller with a key names one. */
static enum outcome choose_account(enum caller wanted, struct call *c)
{
	bool own = c->scope == SCOPE_BROWSER || c->scope == SCOPE_SERVER;
	const char *server = request_parameter(c->request, "OCTROI_ACCOUNT");
	const char *named;
	struct parse p;

	parse_query(&p, c->request);
	named = parse_account(&p, "account");
	if (!parse_ok(&p))
		return invalid(c, p.field);
	if (own)
		return named == NULL || strcmp(named, c->account) == 0 ? OUTCOME_OK : OUTCOME_FORBIDDEN;
	if (wanted == CALLER_GATE && server != NULL && server[0] != '\0') {
		if (!id_account_valid(server, strlen(server)))
			return invalid(c, "OCTROI_ACCOUNT");
		named = server;
	}
	if (named == NULL)
		return invalid(c, "account");
	c->account = named;
	return OUTCOME_OK;
}

enum outcome auth_admit(struct auth *a, enum caller wanted, struct call *c)
{
	bool about_account = wanted == CALLER_OWNER || wanted == CALLER_GATE;
	bool trusted = false;
	const char *shown;
	enum outcome outcome = OUTCOME_OK;

	if (wanted == CALLER_NOBODY || wanted == CALLER_SIGNED)
		return OUTCOME_OK;
	if (wanted == CALLER_OPERATOR && is_operator_server(a, c)) {
		c->scope = SCOPE_REPORT;
		return is_reading(c) ? OUTCOME_OK : OUTCOME_FORBIDDEN;
	}
	if (about_account)
		outcome = admit_server(a, c, &trusted);
	/* Where the web server names the caller, the client's own Authorization is not for octroi. */
	if (outcome == OUTCOME_OK && !trusted) {
		outcome = credential(c, &shown);
		if (outcome != OUTCOME_OK)
			return outcome;
		if (shown[0] == '\0')
			return OUTCOME_UNAUTHORIZED;
		outcome = strncmp(shown, KEY_PREFIX, strlen(KEY_PREFIX)) == 0 ? admit_key(a, shown, c)
		                                                              : admit_token(a, wanted, shown, c);
	}
	if (outcome != OUTCOME_OK)
		return outcome;
	if (!entitled(wanted, c))
		return OUTCOME_FORBIDDEN;
	/* A browser sends its cookie or password to the web server by itself, for a request of any page. */
	if (c->scope == SCOPE_SERVER && !is_reading(c) && origin_is_foreign(c->request, a->config->public_url))
		return OUTCOME_FORBIDDEN;
	return about_account ? choose_account(wanted, c) : OUTCOME_OK;
}
