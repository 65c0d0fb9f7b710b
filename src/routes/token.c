#include "routes/token.h"

#include <cjose/cjose.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"

#define TOKEN_ISSUER "octroi"
#define TOKEN_MAX ((size_t)4096)
#define CLAIMS_MAX ((size_t)1024)
#define SKEW_SECONDS 5

struct claims {
	const char *account, *member;
};

static cjose_jwk_t *key_of(const char *secret)
{
	size_t length = strlen(secret);

	if (length < TOKEN_SECRET_MIN)
		return NULL;
	return cjose_jwk_create_oct_spec((const uint8_t *)secret, length, NULL);
}

static bool write_claims(struct buf *out, const char *account, const char *member, int64_t now,
                         int64_t life)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_open_record(&w, NULL);
	json_put_text(&w, "iss", TOKEN_ISSUER);
	json_put_text(&w, "aud", TOKEN_ISSUER);
	json_put_text(&w, "sub", account);
	if (member[0] != '\0')
		json_put_text(&w, "member", member);
	json_put_int(&w, "iat", now);
	json_put_int(&w, "exp", now + life);
	json_close_record(&w);
	return buf_ok(out);
}

static cjose_header_t *header_new(void)
{
	cjose_header_t *header = cjose_header_new(NULL);

	if (header != NULL && cjose_header_set(header, CJOSE_HDR_ALG, CJOSE_HDR_ALG_HS256, NULL) &&
	    cjose_header_set(header, "typ", "JWT", NULL))
		return header;
	if (header != NULL)
		cjose_header_release(header);
	return NULL;
}

const char *token_issue(struct arena *a, const char *secret, const char *account,
                        const char *member, int64_t now_us, int64_t life_seconds)
{
	cjose_jwk_t *key = key_of(secret);
	cjose_header_t *header = header_new();
	cjose_jws_t *jws = NULL;
	const char *text = NULL;
	const char *token = NULL;
	struct buf claims;

	CHECK(life_seconds > 0 && life_seconds <= TOKEN_LIFE_MAX_SECONDS);
	buf_init(&claims, CLAIMS_MAX);
	if (key == NULL || header == NULL ||
	    !write_claims(&claims, account, member, now_us / CLOCK_US_PER_SECOND, life_seconds))
		goto done;
	jws = cjose_jws_sign(key, header, (const uint8_t *)claims.data, claims.length, NULL);
	if (jws != NULL && cjose_jws_export(jws, &text, NULL))
		token = arena_copy(a, text, strlen(text)); /* the jws owns text */
done:
	cjose_jws_release(jws);
	if (header != NULL)
		cjose_header_release(header);
	if (key != NULL)
		cjose_jwk_release(key);
	buf_free(&claims);
	return token;
}

/* The text of a member, NULL when it is absent or no text. */
static const char *text_claim(const struct json *claims, const char *name)
{
	const struct json *value = json_get(claims, name);

	return value != NULL && json_type(value) == JSON_TEXT ? json_text(value, NULL) : NULL;
}

static bool is(const char *text, const char *wanted)
{
	return text != NULL && strcmp(text, wanted) == 0;
}

/* Issued by now, not expired, and for no longer than octroi ever issues. */
static bool in_time(const struct json *claims, int64_t now)
{
	const struct json *issued = json_get(claims, "iat");
	const struct json *expires = json_get(claims, "exp");

	if (issued == NULL || expires == NULL || json_type(issued) != JSON_INT ||
	    json_type(expires) != JSON_INT)
		return false;
	if (json_int(issued) < 0 || json_int(issued) > now + SKEW_SECONDS)
		return false;
	return json_int(expires) > now - SKEW_SECONDS && json_int(expires) > json_int(issued) &&
	       json_int(expires) - json_int(issued) <= TOKEN_LIFE_MAX_SECONDS;
}

static bool read_claims(struct arena *a, const struct json *claims, int64_t now, struct claims *out)
{
	const char *account = text_claim(claims, "sub");
	const char *member = text_claim(claims, "member");

	if (json_type(claims) != JSON_RECORD || !is(text_claim(claims, "iss"), TOKEN_ISSUER) ||
	    !is(text_claim(claims, "aud"), TOKEN_ISSUER) || !in_time(claims, now))
		return false;
	if (account == NULL || !id_account_valid(account, strlen(account)))
		return false;
	if (json_get(claims, "member") != NULL &&
	    (member == NULL || !id_account_valid(member, strlen(member))))
		return false;
	out->account = arena_copy(a, account, strlen(account));
	out->member = member != NULL ? arena_copy(a, member, strlen(member)) : "";
	return out->account != NULL && out->member != NULL;
}

/* Of the signature's bytes one encoding only, so that a token has one text. */
static bool looks_compact(const char *token, size_t length)
{
	size_t dots = 0;

	if (length > TOKEN_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		dots += token[i] == '.' ? 1 : 0;
	return dots == 2;
}

int token_accept(struct arena *a, const char *secret, const char *token, size_t length,
                 int64_t now_us, const char **account, const char **member)
{
	cjose_jwk_t *key = key_of(secret);
	cjose_jws_t *jws = NULL;
	struct json *claims = NULL;
	struct claims found;
	uint8_t *text = NULL;
	size_t text_length = 0;
	char error[JSON_ERROR_MAX];
	int result = -1;

	if (key == NULL || !looks_compact(token, length))
		goto done;
	jws = cjose_jws_import(token, length, NULL);
	/* The algorithm is ours, not the token's to choose. */
	if (jws == NULL ||
	    !is(cjose_header_get(cjose_jws_get_protected(jws), CJOSE_HDR_ALG, NULL),
	        CJOSE_HDR_ALG_HS256) ||
	    !cjose_jws_verify(jws, key, NULL) ||
	    !cjose_jws_get_plaintext(jws, &text, &text_length, NULL))
		goto done;
	claims = json_parse((const char *)text, text_length, false, error); /* the jws owns text */
	if (claims == NULL || !read_claims(a, claims, now_us / CLOCK_US_PER_SECOND, &found))
		goto done;
	*account = found.account;
	*member = found.member;
	result = 0;
done:
	json_free(claims);
	cjose_jws_release(jws);
	if (key != NULL)
		cjose_jwk_release(key);
	return result;
}
