#include "routes/auth/jwks.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "clients/http.h"

#define FRESH_US (300 * CLOCK_US_PER_SECOND)
/* While the issuer does not answer, its keys are believed for so long. */
#define STALE_US (900 * CLOCK_US_PER_SECOND)
#define FETCH_US (3 * CLOCK_US_PER_SECOND)
#define FETCHES_IN_A_ROW 3
#define FETCH_EVERY_US (10 * CLOCK_US_PER_SECOND)
#define SET_BYTES_MAX ((size_t)256 * 1024)
#define KEYS_MAX 64

struct key {
	char *kid, *jwk;
};

struct jwks {
	char *url;
	bool rsa;
	struct lock lock;
	struct signal_cond done; /* a fetch has ended, well or not */
	/* Guarded by lock. */
	struct key keys[KEYS_MAX];
	size_t count;
	bool loaded, fetching, failed; /* failed: the last time */
	int64_t loaded_us;
	int64_t allowed, allowed_us; /* fetches that may be made now; when one was last added */
	int64_t fetches;             /* that have ended */
};

struct jwks *jwks_new(const char *url, const char *algorithm)
{
	struct jwks *j = memory_part("key set", sizeof(*j));

	if (j == NULL)
		return NULL;
	j->url = strdup(url);
	if (j->url == NULL) {
		memory_missing("key set");
		free(j);
		return NULL;
	}
	j->rsa = strcmp(algorithm, "RS256") == 0;
	j->allowed = FETCHES_IN_A_ROW;
	j->allowed_us = clock_monotonic_us();
	lock_init(&j->lock);
	cond_init(&j->done);
	return j;
}

static void drop_keys(struct key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(keys[i].kid);
		free(keys[i].jwk);
	}
}

void jwks_free(struct jwks *j)
{
	if (j == NULL)
		return;
	CHECK(!j->fetching);
	drop_keys(j->keys, j->count);
	cond_destroy(&j->done);
	lock_destroy(&j->lock);
	free(j->url);
	free(j);
}

/* ---- the set ----------------------------------------------------------------------------------- */

static bool jwk_says(const struct json *key, const char *name, const char *wanted)
{
	const struct json *value = json_get(key, name);

	return value != NULL && json_type(value) == JSON_TEXT && strcmp(json_text(value, NULL), wanted) == 0;
}

/* True if the key has the wanted value, or does not have the member. */
static bool may_say(const struct json *key, const char *name, const char *wanted)
{
	return json_get(key, name) == NULL || jwk_says(key, name, wanted);
}

/* Whether the key is for verifying, by key_ops (RFC 7517, section 4.3); true without key_ops. */
static bool may_verify(const struct json *key)
{
	const struct json *uses = json_get(key, "key_ops");

	if (uses == NULL)
		return true;
	for (size_t i = 0; json_type(uses) == JSON_LIST && i < json_size(uses); i++) {
		const struct json *use = json_at(uses, i);

		if (json_type(use) == JSON_TEXT && strcmp(json_text(use, NULL), "verify") == 0)
			return true;
	}
	return false;
}

static bool is_wanted(const struct jwks *j, const struct json *key)
{
	const struct json *kid = json_get(key, "kid");

	if (json_type(key) != JSON_RECORD || kid == NULL || json_type(kid) != JSON_TEXT)
		return false;
	if (!jwk_says(key, "kty", j->rsa ? "RSA" : "EC") || (!j->rsa && !jwk_says(key, "crv", "P-256")))
		return false;
	return may_verify(key) && may_say(key, "use", "sig") && may_say(key, "alg", j->rsa ? "RS256" : "ES256");
}

static bool take_jwk(const struct json *key, struct key *out)
{
	struct buf text;

	buf_init(&text, SET_BYTES_MAX);
	json_dump(key, &text);
	out->kid = strdup(json_text(json_get(key, "kid"), NULL));
	out->jwk = buf_ok(&text) ? strdup(buf_text(&text)) : NULL;
	buf_free(&text);
	return out->kid != NULL && out->jwk != NULL;
}

static const struct key *search_kid(const struct key *keys, size_t count, const char *kid)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(keys[i].kid, kid) == 0)
			return &keys[i];
	return NULL;
}

/* The keys of a set, the first of each id; -1 when it is no key set. */
static int read_key_set(const struct jwks *j, const struct json *set, struct key keys[KEYS_MAX], size_t *count)
{
	const struct json *list = json_get(set, "keys");

	*count = 0;
	if (list == NULL || json_type(list) != JSON_LIST)
		return -1;
	for (size_t i = 0; i < json_size(list) && *count < KEYS_MAX; i++) {
		const struct json *key = json_at(list, i);

		if (!is_wanted(j, key) || search_kid(keys, *count, json_text(json_get(key, "kid"), NULL)) != NULL)
			continue;
		if (!take_jwk(key, &keys[(*count)++]))
			return -1;
	}
	return 0;
}

/* Asks the issuer; 0 with the keys, or -1, logged. */
static int fetch(const struct jwks *j, int64_t deadline_us, struct key keys[KEYS_MAX], size_t *count)
{
	const struct http_request request = {
		.method = "GET",
		.url = j->url,
		.headers = {"Accept: application/json"},
		.deadline_us = deadline_us,
		.answer_max = SET_BYTES_MAX,
	};
	struct http_answer answer;
	struct json *set = NULL;
	char error[JSON_ERROR_MAX] = "";
	int result = -1;

	*count = 0;
	if (http_send(&request, &answer) == 0 && answer.status == 200) {
		set = json_parse(buf_text(&answer.body), answer.body.length, false, error);
		if (set != NULL)
			result = read_key_set(j, set, keys, count);
	}
	if (result < 0)
		log_event(LOG_LEVEL_WARNING, "jwks_failed", LOG_NUMBER("status", answer.status),
		          LOG_TEXT("error", error[0] != '\0' ? error : answer.error));
	json_free(set);
	http_answer_free(&answer);
	return result;
}

/* ---- the copy of it ---------------------------------------------------------------------------- */

/* Fetches the set; the lock is given up meanwhile. */
static void renew(struct jwks *j, int64_t deadline_us)
{
	const int64_t began_us = clock_monotonic_us();
	struct key keys[KEYS_MAX] = {{NULL, NULL}};
	size_t count = 0;
	int result;

	CHECK(!j->fetching);
	j->fetching = true;
	j->allowed--;
	lock_give(&j->lock);
	result = fetch(j, began_us + FETCH_US < deadline_us ? began_us + FETCH_US : deadline_us, keys, &count);
	lock_take(&j->lock);
	j->fetching = false;
	j->failed = result < 0;
	j->fetches++;
	if (result == 0) {
		drop_keys(j->keys, j->count);
		memcpy(j->keys, keys, sizeof(j->keys));
		j->count = count;
		j->loaded = true;
		j->loaded_us = began_us;
	} else {
		drop_keys(keys, count);
	}
	cond_broadcast(&j->done);
}

static bool may_fetch(struct jwks *j)
{
	const int64_t now_us = clock_monotonic_us();
	const int64_t more = (now_us - j->allowed_us) / FETCH_EVERY_US;

	if (more > 0) {
		j->allowed += more;
		if (j->allowed > FETCHES_IN_A_ROW)
			j->allowed = FETCHES_IN_A_ROW;
		j->allowed_us += more * FETCH_EVERY_US;
	}
	return !j->fetching && j->allowed > 0;
}

static bool is_younger(const struct jwks *j, int64_t age_us)
{
	return j->loaded && clock_monotonic_us() - j->loaded_us < age_us;
}

/* Provides a newer copy: by a fetch, or (wait) after another thread's fetch.  Does nothing without a place for it. */
static void refresh(struct jwks *j, bool wait, const struct jwks_patience *patience)
{
	const int64_t fetches = j->fetches;

	if (patience->slow == NULL || !(may_fetch(j) || (wait && j->fetching)) || !bulkhead_enter(patience->slow, NULL))
		return;
	if (j->fetching) {
		while (j->fetches == fetches && cond_wait_until(&j->done, &j->lock, patience->deadline_us))
			;
	} else {
		renew(j, patience->deadline_us);
	}
	bulkhead_leave(patience->slow, NULL);
}

enum outcome jwks_find(struct jwks *j, struct arena *a, const char *kid, const struct jwks_patience *patience,
                       const char **jwk)
{
	const struct key *key;
	enum outcome outcome = OUTCOME_UNAUTHORIZED;

	lock_take(&j->lock);
	key = search_kid(j->keys, j->count, kid);
	if (key == NULL || !is_younger(j, FRESH_US)) {
		refresh(j, key == NULL || !is_younger(j, STALE_US), patience);
		key = search_kid(j->keys, j->count, kid);
	}
	if (!is_younger(j, STALE_US) || (key == NULL && j->failed)) {
		outcome = OUTCOME_UNAVAILABLE;
	} else if (key != NULL) {
		*jwk = arena_copy(a, key->jwk, strlen(key->jwk));
		outcome = *jwk != NULL ? OUTCOME_OK : OUTCOME_UNAVAILABLE;
	}
	lock_give(&j->lock);
	return outcome;
}
