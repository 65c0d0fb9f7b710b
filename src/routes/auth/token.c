#include "routes/auth/token.h"

#include <cjose/cjose.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "base/json.h"
#include "base/memory.h"

#define TOKEN_ISSUER "octroi"
#define OPERATOR_AUDIENCE "octroi-admin"
#define TOKEN_MAX ((size_t)4096)
#define ISSUED_MAX ((size_t)8192) /* of another issuer */
#define HEADER_MAX 1024
#define CLAIMS_MAX ((size_t)1024)
#define SKEW_SECONDS 5

void token_watch_memory(void)
{
	cjose_set_alloc_funcs(memory_alloc, memory_realloc, memory_free);
}

static cjose_jwk_t *token_key(const char *secret)
{
	size_t length = strlen(secret);

	if (length < TOKEN_SECRET_MIN)
		return NULL;
	return cjose_jwk_create_oct_spec((const uint8_t *)secret, length, NULL);
}

/* The claims of a browser's token; of an operator's, account is NULL. */
static bool write_claims(struct buf *out, const char *account, const char *member, int64_t now, int64_t life)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_open_record(&w, NULL);
	json_put_text(&w, "iss", TOKEN_ISSUER);
	json_put_text(&w, "aud", account != NULL ? TOKEN_ISSUER : OPERATOR_AUDIENCE);
	if (account != NULL)
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

static const char *issue(struct arena *a, const char *secret, const char *account, const char *member, int64_t now_us,
                         int64_t life_seconds)
{
	cjose_jwk_t *key = token_key(secret);
	cjose_header_t *header = header_new();
	cjose_jws_t *jws = NULL;
	const char *text = NULL;
	const char *token = NULL;
	struct buf claims;

	buf_init(&claims, CLAIMS_MAX);
	if (key == NULL || header == NULL ||
	    !write_claims(&claims, account, member, now_us / CLOCK_US_PER_SECOND, life_seconds))
		goto done;
	jws = cjose_jws_sign(key, header, (const uint8_t *)claims.data, claims.length, NULL);
	/* If memory was short, the token may lack a part of its header. */
	if (jws != NULL && cjose_jws_export(jws, &text, NULL) && !memory_was_short())
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

const char *token_issue(struct arena *a, const char *secret, const char *account, const char *member, int64_t now_us,
                        int64_t life_seconds)
{
	CHECK(life_seconds > 0 && life_seconds <= TOKEN_LIFE_MAX_SECONDS && account != NULL);
	return issue(a, secret, account, member, now_us, life_seconds);
}

const char *token_issue_operator(struct arena *a, const char *secret, int64_t now_us, int64_t life_seconds)
{
	CHECK(life_seconds > 0 && life_seconds <= TOKEN_OPERATOR_LIFE_MAX_SECONDS);
	return issue(a, secret, NULL, "", now_us, life_seconds);
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
static bool in_time(const struct json *claims, int64_t now, int64_t life_max)
{
	const struct json *issued = json_get(claims, "iat");
	const struct json *expires = json_get(claims, "exp");

	if (issued == NULL || expires == NULL || json_type(issued) != JSON_INT || json_type(expires) != JSON_INT)
		return false;
	if (json_int(issued) < 0 || json_int(issued) > now + SKEW_SECONDS)
		return false;
	return json_int(expires) > now - SKEW_SECONDS && json_int(expires) > json_int(issued) &&
	       json_int(expires) - json_int(issued) <= life_max;
}

static bool read_claims(struct arena *a, const struct json *claims, int64_t now, struct token_claims *out)
{
	const char *account = text_claim(claims, "sub");
	const char *member = text_claim(claims, "member");

	if (json_type(claims) != JSON_RECORD || !is(text_claim(claims, "iss"), TOKEN_ISSUER) ||
	    !is(text_claim(claims, "aud"), TOKEN_ISSUER) || !in_time(claims, now, TOKEN_LIFE_MAX_SECONDS))
		return false;
	if (account == NULL || !id_account_valid(account, strlen(account)))
		return false;
	if (json_get(claims, "member") != NULL && (member == NULL || !id_account_valid(member, strlen(member))))
		return false;
	out->account = arena_copy(a, account, strlen(account));
	out->member = member != NULL ? arena_copy(a, member, strlen(member)) : "";
	return out->account != NULL && out->member != NULL;
}

/* The three parts of a compact JWS. */
struct parts {
	const char *part[3];
	size_t length[3];
};

static bool split_token(const char *token, size_t length, struct parts *p)
{
	int at = 0;

	memset(p, 0, sizeof(*p));
	p->part[0] = token;
	for (size_t i = 0; i < length; i++) {
		if (token[i] != '.') {
			p->length[at]++;
			continue;
		}
		if (++at == 3)
			return false;
		p->part[at] = token + i + 1;
	}
	return at == 2 && p->length[0] > 0 && p->length[1] > 0 && p->length[2] > 0;
}

static bool is_base64url(struct arena *a, const char *text, size_t length)
{
	void *bytes = arena_alloc(a, length);

	return bytes != NULL && digest_unbase64url(text, length, bytes, length) > 0;
}

/* True for three parts, each the one text that base64url has for its bytes (RFC 7515, section 2: no padding).  So a
 * token has one text, and cjose, which asserts on a stray '=', sees no other. */
static bool is_compact(struct arena *a, const char *token, size_t length, size_t max)
{
	struct parts p;

	if (length > max || !split_token(token, length, &p))
		return false;
	for (size_t i = 0; i < sizeof(p.part) / sizeof(p.part[0]); i++)
		if (!is_base64url(a, p.part[i], p.length[i]))
			return false;
	return true;
}

/* The claims of a token that octroi signed, to be freed; else NULL. */
static struct json *signed_claims(struct arena *a, const char *secret, const char *token, size_t length)
{
	cjose_jwk_t *key = token_key(secret);
	cjose_jws_t *jws = NULL;
	struct json *claims = NULL;
	uint8_t *text = NULL;
	size_t text_length = 0;
	char error[JSON_ERROR_MAX];

	if (key == NULL || !is_compact(a, token, length, TOKEN_MAX))
		goto done;
	jws = cjose_jws_import(token, length, NULL);
	/* octroi chooses the algorithm, not the token. */
	if (jws == NULL ||
	    !is(cjose_header_get(cjose_jws_get_protected(jws), CJOSE_HDR_ALG, NULL), CJOSE_HDR_ALG_HS256) ||
	    !cjose_jws_verify(jws, key, NULL) || !cjose_jws_get_plaintext(jws, &text, &text_length, NULL))
		goto done;
	claims = json_parse((const char *)text, text_length, false, error); /* the jws owns text */
done:
	cjose_jws_release(jws);
	if (key != NULL)
		cjose_jwk_release(key);
	return claims;
}

int token_accept(struct arena *a, const char *secret, const char *token, size_t length, int64_t now_us,
                 const char **account, const char **member)
{
	struct json *claims = signed_claims(a, secret, token, length);
	struct token_claims found;
	int result = -1;

	if (claims != NULL && read_claims(a, claims, now_us / CLOCK_US_PER_SECOND, &found)) {
		*account = found.account;
		*member = found.member;
		result = 0;
	}
	json_free(claims);
	return result;
}

bool token_accept_operator(struct arena *a, const char *secret, const char *token, size_t length, int64_t now_us)
{
	struct json *claims = signed_claims(a, secret, token, length);
	const bool accepted = claims != NULL && json_type(claims) == JSON_RECORD &&
	                      is(text_claim(claims, "iss"), TOKEN_ISSUER) &&
	                      is(text_claim(claims, "aud"), OPERATOR_AUDIENCE) && json_get(claims, "sub") == NULL &&
	                      in_time(claims, now_us / CLOCK_US_PER_SECOND, TOKEN_OPERATOR_LIFE_MAX_SECONDS);

	json_free(claims);
	return accepted;
}

/* ---- other issuers' tokens --------------------------------------------------------------------- */

#define RSA_BITS_MIN 2048
#define ES256_CHARACTERS 86 /* of a signature: two figures of 32 bytes (RFC 7518, section 3.4) */

/* A part as JSON; NULL when it is not the base64url of a record.  To be freed. */
static struct json *decode_part(struct arena *a, const char *text, size_t length)
{
	char *bytes = arena_alloc(a, length + 1);
	char error[JSON_ERROR_MAX];
	struct json *value;
	int count;

	if (bytes == NULL)
		return NULL;
	count = digest_unbase64url(text, length, bytes, length);
	if (count <= 0)
		return NULL;
	value = json_parse(bytes, (size_t)count, false, error);
	if (value == NULL || json_type(value) == JSON_RECORD)
		return value;
	json_free(value);
	return NULL;
}

/* False for a header that asks for something which is not done here: another algorithm, another type of
 * token, an extension that must be understood. */
static bool header_fits(const struct json *header, const char *algorithm)
{
	const struct json *type = json_get(header, "typ");
	const char *kid = text_claim(header, "kid");

	if (!is(text_claim(header, "alg"), algorithm) || kid == NULL || kid[0] == '\0')
		return false;
	if (json_get(header, "crit") != NULL || json_get(header, "b64") != NULL || json_get(header, "zip") != NULL)
		return false;
	return type == NULL || (json_type(type) == JSON_TEXT && strcasecmp(json_text(type, NULL), "JWT") == 0);
}

const char *token_key_id(struct arena *a, const char *algorithm, const char *token, size_t length)
{
	struct json *header;
	const char *kid = NULL;
	struct parts p;

	if (length > ISSUED_MAX || !split_token(token, length, &p) || p.length[0] > HEADER_MAX)
		return NULL;
	header = decode_part(a, p.part[0], p.length[0]);
	if (header != NULL && header_fits(header, algorithm)) {
		kid = text_claim(header, "kid");
		kid = arena_copy(a, kid, strlen(kid));
	}
	json_free(header);
	return kid;
}

/* Whether the key's figures are base64url, which cjose asserts. */
static bool key_is_sound(struct arena *a, const char *jwk)
{
	static const char *const figures[] = {"n", "e", "x", "y", "d", "p", "q", "dp", "dq", "qi", "k"};
	char error[JSON_ERROR_MAX];
	struct json *key = json_parse(jwk, strlen(jwk), false, error);
	bool sound = key != NULL && json_type(key) == JSON_RECORD;

	for (size_t i = 0; sound && i < sizeof(figures) / sizeof(figures[0]); i++) {
		const char *figure = text_claim(key, figures[i]);

		sound = figure == NULL || is_base64url(a, figure, strlen(figure));
	}
	json_free(key);
	return sound;
}

static bool key_fits(const cjose_jwk_t *key, const char *algorithm)
{
	if (strcmp(algorithm, CJOSE_HDR_ALG_RS256) == 0)
		return cjose_jwk_get_kty(key, NULL) == CJOSE_JWK_KTY_RSA &&
		       cjose_jwk_get_keysize(key, NULL) >= RSA_BITS_MIN;
	return strcmp(algorithm, CJOSE_HDR_ALG_ES256) == 0 && cjose_jwk_get_kty(key, NULL) == CJOSE_JWK_KTY_EC &&
	       cjose_jwk_EC_get_curve(key, NULL) == CJOSE_JWK_EC_P_256;
}

static bool is_signed(const char *jwk, const char *algorithm, const char *token, size_t length)
{
	cjose_jwk_t *key = cjose_jwk_import(jwk, strlen(jwk), NULL);
	cjose_jws_t *jws = NULL;
	bool valid = false;

	if (key != NULL && key_fits(key, algorithm))
		jws = cjose_jws_import(token, length, NULL);
	/* cjose reads the header by itself: its algorithm must be the same. */
	if (jws != NULL && is(cjose_header_get(cjose_jws_get_protected(jws), CJOSE_HDR_ALG, NULL), algorithm))
		valid = cjose_jws_verify(jws, key, NULL);
	cjose_jws_release(jws);
	if (key != NULL)
		cjose_jwk_release(key);
	return valid;
}

/* Whether the list holds the word. */
static bool listed(const char *list, const char *word)
{
	const size_t length = strlen(word);

	for (list += strspn(list, " ,\t"); *list != '\0'; list += strspn(list, " ,\t")) {
		const size_t next = strcspn(list, " ,\t");

		if (next == length && memcmp(list, word, length) == 0)
			return true;
		list += next;
	}
	return false;
}

static bool party_fits(const struct json *claims, const char *parties)
{
	const char *party = text_claim(claims, "azp");

	if (parties[strspn(parties, " ,\t")] == '\0')
		return true;
	return party != NULL && party[0] != '\0' && listed(parties, party);
}

/* A server that is not among a token's audiences must refuse it (RFC 7519 section 4.1.3). */
static bool audience_fits(const struct json *claims, const char *audience)
{
	const struct json *named = json_get(claims, "aud");

	if (named == NULL || audience[0] == '\0')
		return named == NULL && audience[0] == '\0';
	if (json_type(named) == JSON_TEXT)
		return strcmp(json_text(named, NULL), audience) == 0;
	if (json_type(named) != JSON_LIST)
		return false;
	for (size_t i = 0; i < json_size(named); i++)
		if (json_type(json_at(named, i)) == JSON_TEXT &&
		    strcmp(json_text(json_at(named, i), NULL), audience) == 0)
			return true;
	return false;
}

/* exp must be there and ahead; nbf and iat, where they are, not ahead.  Issuers write whole seconds. */
static bool issued_in_time(const struct json *claims, int64_t now)
{
	static const char *const begins[] = {"nbf", "iat"};
	const struct json *expires = json_get(claims, "exp");

	if (expires == NULL || json_type(expires) != JSON_INT || json_int(expires) <= now - SKEW_SECONDS)
		return false;
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		const struct json *begin = json_get(claims, begins[i]);

		if (begin != NULL && (json_type(begin) != JSON_INT || json_int(begin) > now + SKEW_SECONDS))
			return false;
	}
	return true;
}

/* The text of a claim, or of a member of one; NULL when there is none. */
static const char *named_claim(struct arena *a, const struct json *claims, const char *name)
{
	const char *dot = strchr(name, '.');
	const char *head;

	if (json_get(claims, name) != NULL || dot == NULL)
		return text_claim(claims, name);
	head = arena_copy(a, name, (size_t)(dot - name));
	claims = head != NULL ? json_get(claims, head) : NULL;
	return claims != NULL && json_type(claims) == JSON_RECORD ? named_claim(a, claims, dot + 1) : NULL;
}

/* prefix and name as one text, if it is valid as the id of an account or a member; else NULL. */
static const char *mapped(struct arena *a, const char *prefix, const char *name)
{
	struct buf whole;
	const char *id = NULL;

	if (name == NULL || name[0] == '\0')
		return NULL;
	buf_init(&whole, ID_ACCOUNT_MAX);
	buf_add_text(&whole, prefix);
	buf_add_text(&whole, name);
	if (buf_ok(&whole) && id_account_valid(whole.data, whole.length))
		id = arena_copy(a, whole.data, whole.length);
	buf_free(&whole);
	return id;
}

static bool read_issued(struct arena *a, const struct token_issuer *i, const struct json *claims, int64_t now,
                        struct token_claims *out)
{
	const char *person = text_claim(claims, "sub");

	if (!is(text_claim(claims, "iss"), i->issuer) || !issued_in_time(claims, now) ||
	    !audience_fits(claims, i->audience) || !party_fits(claims, i->parties))
		return false;
	/* Clerk: the person is signed in, but has not yet done all that the application demands. */
	if (is(text_claim(claims, "sts"), "pending"))
		return false;
	if (person == NULL || person[0] == '\0')
		return false;
	out->person = arena_copy(a, person, strlen(person));
	out->account = mapped(a, i->account_prefix, named_claim(a, claims, i->account_claim));
	out->member = i->member_claim[0] != '\0' ? mapped(a, "", named_claim(a, claims, i->member_claim)) : "";
	return out->person != NULL && out->account != NULL && out->member != NULL;
}

int token_accept_issued(struct arena *a, const struct token_issuer *issuer, const char *jwk, const char *token,
                        size_t length, int64_t now_us, struct token_claims *claims)
{
	struct json *body = NULL;
	struct parts p;
	int result = -1;

	if (!is_compact(a, token, length, ISSUED_MAX) || token_key_id(a, issuer->algorithm, token, length) == NULL ||
	    !key_is_sound(a, jwk) || !split_token(token, length, &p))
		return -1;
	/* cjose would accept longer figures, and so other texts for one signature. */
	if (strcmp(issuer->algorithm, CJOSE_HDR_ALG_ES256) == 0 && p.length[2] != ES256_CHARACTERS)
		return -1;
	if (!is_signed(jwk, issuer->algorithm, token, length))
		return -1;
	body = decode_part(a, p.part[1], p.length[1]);
	if (body != NULL && read_issued(a, issuer, body, now_us / CLOCK_US_PER_SECOND, claims))
		result = 0;
	json_free(body);
	return result;
}
