#include "unit.h"

#include "base/clock.h"
#include "base/digest.h"
#include "routes/auth/token.h"

#define SECRET "a secret of the tests, 0123456789abcdef"
#define OTHER "a secret of others,    0123456789abcdef"
#define NOW_SECONDS INT64_C(1795000000)
#define NOW (NOW_SECONDS * CLOCK_US_PER_SECOND)
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
	return arena == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* 0 when the token is accepted as of that many seconds from now. */
static int accept_at(const char *token, int64_t seconds)
{
	const char *account = NULL;
	const char *member = NULL;

	return token_accept(arena, SECRET, token, strlen(token), NOW + seconds * CLOCK_US_PER_SECOND, &account,
	                    &member);
}

/* A token of these texts, signed with SECRET as HS256 does. */
static const char *sign(const char *header, const char *claims)
{
	static char token[4096];
	unsigned char mac[DIGEST_BYTES];
	size_t length = digest_base64url(header, strlen(header), token);

	token[length++] = '.';
	length += digest_base64url(claims, strlen(claims), token + length);
	assert_int_equal(digest_hmac_sha256(SECRET, strlen(SECRET), token, length, mac), 0);
	token[length++] = '.';
	digest_base64url(mac, sizeof(mac), token + length);
	return token;
}

static const char *claims_of(const char *issuer, const char *audience, const char *rest, int64_t issued,
                             int64_t expires)
{
	static char claims[1024];

	snprintf(claims, sizeof(claims), "{\"iss\":%s,\"aud\":%s,%s,\"iat\":%lld,\"exp\":%lld}", issuer, audience, rest,
	         (long long)(NOW_SECONDS + issued), (long long)(NOW_SECONDS + expires));
	return claims;
}

static void test_issued_is_accepted(void **state)
{
	const char *account = NULL;
	const char *member = NULL;
	const char *token = token_issue(arena, SECRET, "ws:acme", "user:42", NOW, 900);

	(void)state;
	assert_non_null(token);
	assert_int_equal(token_accept(arena, SECRET, token, strlen(token), NOW, &account, &member), 0);
	assert_string_equal(account, "ws:acme");
	assert_string_equal(member, "user:42");
	token = token_issue(arena, SECRET, "ws:acme", "", NOW, 10);
	assert_int_equal(token_accept(arena, SECRET, token, strlen(token), NOW, &account, &member), 0);
	assert_string_equal(member, "");
}

static void test_time(void **state)
{
	const char *token = token_issue(arena, SECRET, "a", "", NOW, 60);

	(void)state;
	assert_int_equal(accept_at(token, 59), 0);
	assert_int_equal(accept_at(token, 64), 0);
	assert_int_equal(accept_at(token, 65), -1);
	assert_int_equal(accept_at(token, 100000), -1);
	assert_int_equal(accept_at(token, -5), 0);
	assert_int_equal(accept_at(token, -6), -1);
}

static void test_altered(void **state)
{
	const char *token = token_issue(arena, SECRET, "ws:acme", "", NOW, 900);
	size_t length = strlen(token);
	char *altered = arena_copy(arena, token, length);

	(void)state;
	for (size_t i = 0; i < length; i++) {
		altered[i] = token[i] == 'A' ? 'B' : 'A';
		assert_int_equal(accept_at(altered, 0), -1);
		altered[i] = token[i];
	}
	for (size_t i = 0; i < length; i++) {
		const char *account = NULL;
		const char *member = NULL;

		assert_int_equal(token_accept(arena, SECRET, token, i, NOW, &account, &member), -1);
	}
}

static void test_secrets(void **state)
{
	const char *token = token_issue(arena, OTHER, "ws:acme", "", NOW, 900);
	const char *account = NULL;
	const char *member = NULL;

	(void)state;
	assert_int_equal(accept_at(token, 0), -1);
	assert_null(token_issue(arena, "", "a", "", NOW, 900));
	assert_null(token_issue(arena, "0123456789012345678901234567890", "a", "", NOW, 900));
	assert_int_equal(token_accept(arena, "", token, strlen(token), NOW, &account, &member), -1);
}

static void test_algorithm_is_not_the_tokens_to_choose(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"none\"}",
		"{\"alg\":\"HS384\"}",
		"{\"alg\":\"HS512\"}",
		"{\"alg\":\"RS256\"}",
		"{\"alg\":\"hs256\"}",
		"{\"alg\":\"\"}",
		"{\"alg\":null}",
		"{\"alg\":256}",
		"{}",
		"[]",
		"",
		"\"HS256\"",
		"{\"alg\":\"HS256\"",
	};
	const char *claims = claims_of("\"octroi\"", "\"octroi\"", "\"sub\":\"a\"", 0, 60);

	(void)state;
	assert_int_equal(accept_at(sign(HEADER, claims), 0), 0);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		assert_int_equal(accept_at(sign(headers[i], claims), 0), -1);
}

static void test_claims(void **state)
{
	static const struct {
		const char *issuer, *audience, *rest;
		int64_t issued, expires;
		int result;
	} cases[] = {
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"a\"", 0, 900, 0},
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"a\"", 0, 901, -1}, /* longer than octroi issues */
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"a\"", 60, 60, -1},
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"a\"", 0, -60, -1},
		{"\"other\"", "\"octroi\"", "\"sub\":\"a\"", 0, 60, -1},
		{"\"octroi\"", "\"other\"", "\"sub\":\"a\"", 0, 60, -1},
		{"\"octroi\"", "[\"octroi\"]", "\"sub\":\"a\"", 0, 60, -1},
		{"null", "\"octroi\"", "\"sub\":\"a\"", 0, 60, -1},
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"\"", 0, 60, -1},
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"a b\"", 0, 60, -1},
		{"\"octroi\"", "\"octroi\"", "\"sub\":5", 0, 60, -1},
		{"\"octroi\"", "\"octroi\"", "\"nbf\":5", 0, 60, -1},
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"a\",\"member\":\"m\"", 0, 60, 0},
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"a\",\"member\":\"\"", 0, 60, -1},
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"a\",\"member\":null", 0, 60, -1},
		{"\"octroi\"", "\"octroi\"", "\"sub\":\"a\",\"sub\":\"b\"", 0, 60, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *claims =
			claims_of(cases[i].issuer, cases[i].audience, cases[i].rest, cases[i].issued, cases[i].expires);

		assert_int_equal(accept_at(sign(HEADER, claims), 0), cases[i].result);
	}
	assert_int_equal(accept_at(sign(HEADER, "{\"iss\":\"octroi\",\"aud\":\"octroi\",\"sub\":\"a\"}"), 0), -1);
	assert_int_equal(accept_at(sign(HEADER, "{\"iss\":\"octroi\",\"aud\":\"octroi\",\"sub\":"
	                                        "\"a\",\"iat\":1795000000,"
	                                        "\"exp\":1795000060.0}"),
	                           0),
	                 -1);
	assert_int_equal(accept_at(sign(HEADER, "[]"), 0), -1);
	assert_int_equal(accept_at(sign(HEADER, "nonsense"), 0), -1);
}

static void test_no_token_at_all(void **state)
{
	/* cjose asserts on padding in the middle of a part: it must not get to see it. */
	static const char *const texts[] = {"",
	                                    ".",
	                                    "..",
	                                    "...",
	                                    "a.b.c",
	                                    "a",
	                                    "....",
	                                    "e30.e30.e30",
	                                    " ",
	                                    "e30.e3=0.e30",
	                                    "e30.e30=.e30",
	                                    "e30.e30.e3=0",
	                                    "e3=0.e30.e30"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(accept_at(texts[i], 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_issued_is_accepted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_altered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_secrets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_algorithm_is_not_the_tokens_to_choose, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_claims, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_token_at_all, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
