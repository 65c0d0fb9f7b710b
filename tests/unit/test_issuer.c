/* Tokens of another issuer.  They are made with cjose, octroi's own library; tests/peers/ has tokens of others. */
#include "unit.h"

#include <cjose/cjose.h>

#include "base/clock.h"
#include "base/digest.h"
#include "routes/auth/token.h"

#define NOW_SECONDS INT64_C(1795000000)
#define NOW (NOW_SECONDS * CLOCK_US_PER_SECOND)
#define ISSUER "https://clerk.example.com"
#define PARTY "https://app.example.com"
#define KID "ins_1"

static struct arena *arena;
static cjose_jwk_t *rsa, *other_rsa, *small_rsa, *ec, *ec_384;

static const struct token_issuer clerk = {
	.issuer = ISSUER,
	.algorithm = "RS256",
	.audience = "",
	.parties = "https://other.example.com, " PARTY,
	.account_claim = "sub",
	.account_prefix = "",
	.member_claim = "",
};

static int set_up_group(void **state)
{
	(void)state;
	rsa = cjose_jwk_create_RSA_random(2048, (const uint8_t *)"\x01\x00\x01", 3, NULL);
	other_rsa = cjose_jwk_create_RSA_random(2048, (const uint8_t *)"\x01\x00\x01", 3, NULL);
	small_rsa = cjose_jwk_create_RSA_random(1024, (const uint8_t *)"\x01\x00\x01", 3, NULL);
	ec = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, NULL);
	ec_384 = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_384, NULL);
	return rsa == NULL || other_rsa == NULL || small_rsa == NULL || ec == NULL || ec_384 == NULL;
}

static int tear_down_group(void **state)
{
	(void)state;
	cjose_jwk_release(rsa);
	cjose_jwk_release(other_rsa);
	cjose_jwk_release(small_rsa);
	cjose_jwk_release(ec);
	cjose_jwk_release(ec_384);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	arena = arena_new(1 << 22);
	return arena == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* The public half, as a key set has it. */
static const char *public_of(const cjose_jwk_t *key)
{
	char *text = cjose_jwk_to_json(key, false, NULL);
	const char *copy = arena_copy(arena, text, strlen(text));

	free(text);
	return copy;
}

static const char *sign(const cjose_jwk_t *key, const char *algorithm, const char *kid, const char *type,
                        const char *claims)
{
	cjose_header_t *header = cjose_header_new(NULL);
	const char *text = NULL;
	cjose_jws_t *jws;

	assert_true(cjose_header_set(header, "alg", algorithm, NULL));
	if (kid != NULL)
		assert_true(cjose_header_set(header, "kid", kid, NULL));
	if (type != NULL)
		assert_true(cjose_header_set(header, "typ", type, NULL));
	jws = cjose_jws_sign(key, header, (const uint8_t *)claims, strlen(claims), NULL);
	assert_non_null(jws);
	assert_true(cjose_jws_export(jws, &text, NULL));
	text = arena_copy(arena, text, strlen(text));
	cjose_jws_release(jws);
	cjose_header_release(header);
	return text;
}

/* {"sub":"user_1",…} with times relative to now and more members behind. */
static const char *claims_of(int64_t from, int64_t to, const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text),
	         "{\"iss\":\"" ISSUER "\",\"sub\":\"user_1\",\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld%s}",
	         (long long)(NOW_SECONDS + from), (long long)(NOW_SECONDS + from), (long long)(NOW_SECONDS + to), more);
	return arena_copy(arena, text, strlen(text));
}

#define AZP ",\"azp\":\"" PARTY "\""

static const char *good_claims(void)
{
	return claims_of(0, 60, AZP);
}

static int accept(const struct token_issuer *issuer, const char *jwk, const char *token)
{
	struct token_claims claims;

	return token_accept_issued(arena, issuer, jwk, token, strlen(token), NOW, &claims);
}

static int accept_claims(const struct token_issuer *issuer, const char *claims)
{
	return accept(issuer, public_of(rsa), sign(rsa, "RS256", KID, "JWT", claims));
}

static void test_accepted(void **state)
{
	struct token_issuer with_ec = clerk;
	struct token_claims claims;
	const char *token = sign(rsa, "RS256", KID, "JWT", good_claims());

	(void)state;
	assert_string_equal(token_key_id(arena, "RS256", token, strlen(token)), KID);
	assert_int_equal(token_accept_issued(arena, &clerk, public_of(rsa), token, strlen(token), NOW, &claims), 0);
	assert_string_equal(claims.account, "user_1");
	assert_string_equal(claims.member, "");
	assert_string_equal(claims.person, "user_1");
	with_ec.algorithm = "ES256";
	token = sign(ec, "ES256", KID, NULL, good_claims());
	assert_int_equal(accept(&with_ec, public_of(ec), token), 0);
	assert_int_equal(accept(&clerk, public_of(ec), token), -1);
}

/* HS256 keyed with the public key, as text, is the classic: whoever lets the token choose believes it. */
static const char *confused(const char *jwk, const char *header)
{
	static char token[8192];
	unsigned char mac[DIGEST_BYTES];
	size_t length = digest_base64url(header, strlen(header), token);
	const char *claims = good_claims();

	token[length++] = '.';
	length += digest_base64url(claims, strlen(claims), token + length);
	assert_int_equal(digest_hmac_sha256(jwk, strlen(jwk), token, length, mac), 0);
	token[length++] = '.';
	digest_base64url(mac, sizeof(mac), token + length);
	return token;
}

static void test_algorithm_is_pinned(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"HS256\",\"kid\":\"ins_1\"}",
		"{\"alg\":\"none\",\"kid\":\"ins_1\"}",
		"{\"alg\":\"None\",\"kid\":\"ins_1\"}",
		"{\"alg\":\"\",\"kid\":\"ins_1\"}",
		"{\"alg\":null,\"kid\":\"ins_1\"}",
		"{\"alg\":\"rs256\",\"kid\":\"ins_1\"}",
		"{\"alg\":\"RS256\\u0000\",\"kid\":\"ins_1\"}",
		"{\"alg\":[\"RS256\"],\"kid\":\"ins_1\"}",
		"{\"alg\":\"RS256\",\"alg\":\"HS256\",\"kid\":\"ins_1\"}",
		"{\"kid\":\"ins_1\"}",
		"{}",
		"[]",
		"",
	};
	const char *jwk = public_of(rsa);

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		const char *token = confused(jwk, headers[i]);

		assert_null(token_key_id(arena, "RS256", token, strlen(token)));
		assert_int_equal(accept(&clerk, jwk, token), -1);
	}
	assert_int_equal(accept(&clerk, jwk, sign(rsa, "RS384", KID, "JWT", good_claims())), -1);
	assert_int_equal(accept(&clerk, jwk, sign(rsa, "RS512", KID, "JWT", good_claims())), -1);
	assert_int_equal(accept(&clerk, jwk, sign(rsa, "PS256", KID, "JWT", good_claims())), -1);
	/* Right header, no RSA signature behind it. */
	assert_int_equal(accept(&clerk, jwk, confused(jwk, "{\"alg\":\"RS256\",\"kid\":\"ins_1\"}")), -1);
}

static void test_headers(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"RS256\"}",
		"{\"alg\":\"RS256\",\"kid\":\"\"}",
		"{\"alg\":\"RS256\",\"kid\":5}",
		"{\"alg\":\"RS256\",\"kid\":\"ins_1\",\"crit\":[\"b64\"],\"b64\":false}",
		"{\"alg\":\"RS256\",\"kid\":\"ins_1\",\"crit\":[]}",
		"{\"alg\":\"RS256\",\"kid\":\"ins_1\",\"b64\":true}",
		"{\"alg\":\"RS256\",\"kid\":\"ins_1\",\"zip\":\"DEF\"}",
		"{\"alg\":\"RS256\",\"kid\":\"ins_1\",\"typ\":\"at+jwt\"}",
		"{\"alg\":\"RS256\",\"kid\":\"ins_1\",\"typ\":5}",
		"{\"alg\":\"RS256\",\"kid\":\"ins_1\"} ",
	};

	(void)state;
	/* The last is well-formed, and shows that the ones before fail by themselves. */
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		const bool last = i + 1 == sizeof(headers) / sizeof(headers[0]);
		const char *token = confused(public_of(rsa), headers[i]);
		const char *kid = token_key_id(arena, "RS256", token, strlen(token));

		assert_true((kid != NULL) == last);
	}
}

static void test_keys(void **state)
{
	struct token_issuer with_ec = clerk;
	const char *token = sign(rsa, "RS256", KID, "JWT", good_claims());

	(void)state;
	with_ec.algorithm = "ES256";
	assert_int_equal(accept(&clerk, public_of(rsa), token), 0);
	assert_int_equal(accept(&clerk, public_of(other_rsa), token), -1);
	assert_int_equal(accept(&clerk, public_of(ec), token), -1);
	assert_int_equal(
		accept(&clerk, "{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", token), -1);
	assert_int_equal(accept(&clerk, "{}", token), -1);
	assert_int_equal(accept(&clerk, "", token), -1);
	/* Too short to be trusted, however well it signs. */
	token = sign(small_rsa, "RS256", KID, "JWT", good_claims());
	assert_int_equal(accept(&clerk, public_of(small_rsa), token), -1);
	token = sign(ec_384, "ES384", KID, "JWT", good_claims());
	assert_int_equal(accept(&with_ec, public_of(ec_384), token), -1);
}

static void test_claims(void **state)
{
	static const struct {
		int64_t from, to;
		const char *more;
		int result;
	} cases[] = {
		{0, 60, AZP, 0},
		{-100, -4, AZP, 0},  /* five seconds of skew */
		{-100, -5, AZP, -1}, /* expired */
		{5, 60, AZP, 0},
		{6, 60, AZP, -1}, /* from the future */
		{0, 60, "", -1},  /* azp must be there */
		{0, 60, ",\"azp\":\"\"", -1},
		{0, 60, ",\"azp\":\"https://evil.example.com\"", -1},
		{0, 60, ",\"azp\":\"https://app.example.com.evil.com\"", -1},
		{0, 60, ",\"azp\":\"https://app.example.co\"", -1},
		{0, 60, ",\"azp\":[\"" PARTY "\"]", -1},
		{0, 60, AZP ",\"sts\":\"pending\"", -1},
		{0, 60, AZP ",\"sts\":\"active\"", 0},
		{0, 60, AZP ",\"aud\":\"somebody\"", -1}, /* not meant for octroi */
		{0, 60, AZP ",\"sub\":\"user_2\"", -1},   /* twice */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(accept_claims(&clerk, claims_of(cases[i].from, cases[i].to, cases[i].more)),
		                 cases[i].result);
}

static void test_whole_claims(void **state)
{
#define REST ",\"exp\":1795000060" AZP "}"
	static const char *const refused[] = {
		"{\"iss\":\"https://clerk.example.com/\",\"sub\":\"user_1\"" REST,
		"{\"iss\":\"https://evil.example.com\",\"sub\":\"user_1\"" REST,
		"{\"sub\":\"user_1\"" REST,
		"{\"iss\":\"" ISSUER "\"" REST,
		"{\"iss\":\"" ISSUER "\",\"sub\":\"\"" REST,
		"{\"iss\":\"" ISSUER "\",\"sub\":5" REST,
		"{\"iss\":\"" ISSUER "\",\"sub\":\"user 1\"" REST,
		"{\"iss\":\"" ISSUER "\",\"sub\":\"user_1\",\"nbf\":\"0\"" REST,
		"{\"iss\":\"" ISSUER "\",\"sub\":\"user_1\",\"iat\":1.5" REST,
		"{\"iss\":\"" ISSUER "\",\"sub\":\"user_1\"" AZP "}",
		"{\"iss\":\"" ISSUER "\",\"sub\":\"user_1\",\"exp\":1795000060.0" AZP "}",
		"{\"iss\":\"" ISSUER "\",\"sub\":\"user_1\",\"exp\":\"1795000060\"" AZP "}",
		"[]",
		"\"user_1\"",
		"nonsense",
	};

	(void)state;
	assert_int_equal(accept_claims(&clerk, "{\"iss\":\"" ISSUER "\",\"sub\":\"user_1\"" REST), 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(accept_claims(&clerk, refused[i]), -1);
#undef REST
}

static void test_audience(void **state)
{
	struct token_issuer with_audience = clerk;

	(void)state;
	with_audience.audience = "octroi";
	assert_int_equal(accept_claims(&with_audience, claims_of(0, 60, AZP ",\"aud\":\"octroi\"")), 0);
	assert_int_equal(accept_claims(&with_audience, claims_of(0, 60, AZP ",\"aud\":[\"a\",\"octroi\"]")), 0);
	assert_int_equal(accept_claims(&with_audience, claims_of(0, 60, AZP ",\"aud\":[\"a\"]")), -1);
	assert_int_equal(accept_claims(&with_audience, claims_of(0, 60, AZP ",\"aud\":[]")), -1);
	assert_int_equal(accept_claims(&with_audience, claims_of(0, 60, AZP ",\"aud\":\"octro\"")), -1);
	assert_int_equal(accept_claims(&with_audience, claims_of(0, 60, AZP ",\"aud\":{\"octroi\":1}")), -1);
	assert_int_equal(accept_claims(&with_audience, good_claims()), -1);
}

static void test_mapping(void **state)
{
	struct token_issuer mapped = clerk;
	struct token_claims claims;
	const char *token = sign(rsa, "RS256", KID, "JWT",
	                         claims_of(0, 60, AZP ",\"o\":{\"id\":\"org_1\",\"rol\":\"admin\"},\"x.y\":\"z\""));

	(void)state;
	mapped.account_claim = "o.id";
	mapped.account_prefix = "clerk:";
	mapped.member_claim = "sub";
	assert_int_equal(token_accept_issued(arena, &mapped, public_of(rsa), token, strlen(token), NOW, &claims), 0);
	assert_string_equal(claims.account, "clerk:org_1");
	assert_string_equal(claims.member, "user_1");
	mapped.account_claim = "x.y";
	assert_int_equal(token_accept_issued(arena, &mapped, public_of(rsa), token, strlen(token), NOW, &claims), 0);
	assert_string_equal(claims.account, "clerk:z");
	mapped.account_claim = "o";
	assert_int_equal(accept(&mapped, public_of(rsa), token), -1);
	mapped.account_claim = "o.id.more";
	assert_int_equal(accept(&mapped, public_of(rsa), token), -1);
	mapped.account_claim = "absent";
	assert_int_equal(accept(&mapped, public_of(rsa), token), -1);
	mapped.account_claim = "sub";
	mapped.member_claim = "absent";
	assert_int_equal(accept(&mapped, public_of(rsa), token), -1);
}

/* No byte can be another: neither of what is signed nor of the signature, unused bits included. */
static void test_altered(void **state)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	struct token_issuer with_ec = clerk;
	const char *jwk = public_of(ec);
	const char *token = sign(ec, "ES256", KID, "JWT", good_claims());
	const size_t length = strlen(token);
	char *altered = arena_copy(arena, token, length);

	(void)state;
	with_ec.algorithm = "ES256";
	for (size_t i = 0; i < length; i++) {
		altered[i] = token[i] == 'A' ? 'B' : 'A';
		assert_int_equal(accept(&with_ec, jwk, altered), -1);
		altered[i] = token[i];
	}
	for (size_t i = 0; i < sizeof(alphabet) - 1; i++) {
		altered[length - 1] = alphabet[i];
		assert_int_equal(accept(&with_ec, jwk, altered), alphabet[i] == token[length - 1] ? 0 : -1);
	}
	for (size_t i = 0; i < length; i++) {
		struct token_claims claims;

		assert_int_equal(token_accept_issued(arena, &with_ec, jwk, token, i, NOW, &claims), -1);
	}
}

static void test_no_token_at_all(void **state)
{
	static const char *const texts[] = {"",     ".",           "..", "...",   "a.b.c", "a",
	                                    "....", "e30.e30.e30", " ",  "e30..", ".e30."};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_null(token_key_id(arena, "RS256", texts[i], strlen(texts[i])));
		assert_int_equal(accept(&clerk, public_of(rsa), texts[i]), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_accepted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_algorithm_is_pinned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_headers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_claims, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whole_claims, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_audience, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mapping, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_altered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_token_at_all, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
