#include "unit.h"

#include "base/digest.h"
#include "base/signature.h"

#define NOW INT64_C(1700000000)
#define SECRET "whsec_0123456789abcdef0123456789abcdef"
#define ROLLED "whsec_fedcba9876543210fedcba9876543210"
/* Svix's own example of its documentation, and one of the shortest length that it makes (24 bytes). */
#define SVIX_SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SVIX_OTHER "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs="

static const char body[] = "{\"id\":\"evt_1\"}";

static void hex_of(const char *key, const char *text, char out[65])
{
	unsigned char digest[DIGEST_BYTES];

	assert_int_equal(digest_hmac_sha256(key, strlen(key), text, strlen(text), digest), 0);
	for (int i = 0; i < DIGEST_BYTES; i++)
		snprintf(out + i * 2, 3, "%02x", digest[i]);
}

/* The v1 of a body at a time. */
static const char *stripe_v1(const char *secret, int64_t time_s)
{
	static char hex[65];
	char text[256];

	snprintf(text, sizeof(text), "%lld.%s", (long long)time_s, body);
	hex_of(secret, text, hex);
	return hex;
}

static enum signature_verdict stripe(const char *secrets, const char *header)
{
	return signature_stripe(secrets, header, body, strlen(body), NOW);
}

static const char *header_of(const char *format, const char *v1)
{
	static char header[512];
	size_t length = 0;

	for (; *format != '\0'; format++) {
		if (*format == 'T')
			length += (size_t)snprintf(header + length, sizeof(header) - length, "%lld", (long long)NOW);
		else if (*format == 'V')
			length += (size_t)snprintf(header + length, sizeof(header) - length, "%s", v1);
		else
			header[length++] = *format;
	}
	header[length] = '\0';
	return header;
}

/* Made with openssl dgst -sha256 -hmac: not with the code that is tested. */
static void test_stripe_known(void **state)
{
	(void)state;
	assert_int_equal(
		signature_stripe("whsec_test_secret_of_at_least_32_bytes",
	                         "t=1700000000,v1=7746c8c9909ef5e4c5c18422edc591549169a30d9332f7922ff7992050d37eb0",
	                         "{}", 2, NOW),
		SIGNATURE_GOOD);
}

static void test_stripe_forms(void **state)
{
	static const struct {
		const char *header;
		enum signature_verdict verdict;
	} cases[] = {
		{"t=T,v1=V", SIGNATURE_GOOD},
		{"v1=V,t=T", SIGNATURE_GOOD},
		{"t=T,v1=potato,v1=V", SIGNATURE_GOOD},
		{"t=T,v1=V,v1=potato,v0=", SIGNATURE_GOOD},
		{"t=T,v1=V,extra", SIGNATURE_GOOD},
		{"t=T,v0=V", SIGNATURE_MALFORMED},
		{"t=T,v0=V,v1=", SIGNATURE_WRONG},
		{"t=T,v1=V0", SIGNATURE_WRONG},
		{"t=T,v1= V", SIGNATURE_WRONG},
		{"t=T, v1=V", SIGNATURE_MALFORMED},
		{"t=T,t=T,v1=V", SIGNATURE_MALFORMED},
		{"t=T", SIGNATURE_MALFORMED},
		{"v1=V", SIGNATURE_MALFORMED},
		{"t=,v1=V", SIGNATURE_MALFORMED},
		{"t=0T,v1=V", SIGNATURE_MALFORMED},
		{"t=Tx,v1=V", SIGNATURE_MALFORMED},
		{"t=-T,v1=V", SIGNATURE_MALFORMED},
		{"t=TTT,v1=V", SIGNATURE_MALFORMED},
		{"t=,v1=,v0=", SIGNATURE_MALFORMED},
		{"t,v1=,v0=", SIGNATURE_MALFORMED},
		{"t,v1=,", SIGNATURE_MALFORMED},
		{"t,,", SIGNATURE_MALFORMED},
		{",,", SIGNATURE_MALFORMED},
		{"t", SIGNATURE_MALFORMED},
		{"v1,t=1", SIGNATURE_MALFORMED},
		{"bad_header", SIGNATURE_MALFORMED},
		{"", SIGNATURE_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(stripe(SECRET, header_of(cases[i].header, stripe_v1(SECRET, NOW))), cases[i].verdict);
	assert_int_equal(stripe(SECRET, NULL), SIGNATURE_MALFORMED);
	assert_int_equal(signature_stripe(SECRET, header_of("t=T,v1=V", stripe_v1(SECRET, NOW)), "", 0, NOW),
	                 SIGNATURE_MALFORMED);
}

static void test_stripe_case(void **state)
{
	char upper[65];
	const char *hex = stripe_v1(SECRET, NOW);

	(void)state;
	for (int i = 0; i < 65; i++)
		upper[i] = (char)(hex[i] >= 'a' && hex[i] <= 'f' ? hex[i] - 32 : hex[i]);
	assert_int_equal(stripe(SECRET, header_of("t=T,v1=V", upper)), SIGNATURE_WRONG);
}

/* Exactly 300 seconds pass, either way. */
static void test_stripe_skew(void **state)
{
	static const int64_t passing[] = {0, 1, 299, 300, -1, -299, -300};
	static const int64_t stale[] = {301, -301, 100000, -100000};
	char header[256];

	(void)state;
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]) + sizeof(stale) / sizeof(stale[0]); i++) {
		const bool good = i < sizeof(passing) / sizeof(passing[0]);
		const int64_t at = NOW + (good ? passing[i] : stale[i - sizeof(passing) / sizeof(passing[0])]);

		snprintf(header, sizeof(header), "t=%lld,v1=%s", (long long)at, stripe_v1(SECRET, at));
		assert_int_equal(stripe(SECRET, header), good ? SIGNATURE_GOOD : SIGNATURE_STALE);
	}
}

static void test_stripe_secrets(void **state)
{
	char header[256];

	(void)state;
	snprintf(header, sizeof(header), "t=%lld,v1=%s", (long long)NOW, stripe_v1(ROLLED, NOW));
	assert_int_equal(stripe(SECRET, header), SIGNATURE_WRONG);
	assert_int_equal(stripe(SECRET " " ROLLED, header), SIGNATURE_GOOD);
	assert_int_equal(stripe(SECRET "," ROLLED, header), SIGNATURE_GOOD);
	assert_int_equal(stripe(" ," ROLLED ", ", header), SIGNATURE_GOOD);
	assert_int_equal(stripe("", header), SIGNATURE_WRONG);
	/* A short secret signs nothing, whatever the configuration let pass. */
	assert_int_equal(stripe("short", header), SIGNATURE_WRONG);
}

static void test_changed_byte(void **state)
{
	char copy[sizeof(body)];
	const char *header = header_of("t=T,v1=V", stripe_v1(SECRET, NOW));

	(void)state;
	for (size_t i = 0; i < sizeof(body) - 1; i++)
		for (int bit = 0; bit < 8; bit++) {
			memcpy(copy, body, sizeof(body));
			copy[i] = (char)(copy[i] ^ (1 << bit));
			assert_int_equal(signature_stripe(SECRET, header, copy, sizeof(body) - 1, NOW),
			                 SIGNATURE_WRONG);
		}
	assert_int_equal(signature_stripe(SECRET, header, body, sizeof(body) - 2, NOW), SIGNATURE_WRONG);
}

/* ---- Svix -------------------------------------------------------------------------------------- */

/* The example of docs.svix.com (receiving/verifying-payloads/how-manual). */
#define SVIX_ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define SVIX_TIME "1614265330"
#define SVIX_TIME_S INT64_C(1614265330)
#define SVIX_BODY "{\"test\": 2432232314}"
#define SVIX_V1 "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static enum signature_verdict svix(const char *secrets, const char *id, const char *timestamp, const char *signature,
                                   int64_t now_s)
{
	const struct signature_svix headers = {id, timestamp, signature};

	return signature_svix(secrets, &headers, SVIX_BODY, strlen(SVIX_BODY), now_s);
}

static void test_svix_known(void **state)
{
	(void)state;
	assert_int_equal(svix(SVIX_SECRET, SVIX_ID, SVIX_TIME, SVIX_V1, SVIX_TIME_S), SIGNATURE_GOOD);
	/* The prefix is optional. */
	assert_int_equal(svix(SVIX_SECRET + 6, SVIX_ID, SVIX_TIME, SVIX_V1, SVIX_TIME_S), SIGNATURE_GOOD);
	assert_int_equal(svix(SVIX_OTHER " " SVIX_SECRET, SVIX_ID, SVIX_TIME, SVIX_V1, SVIX_TIME_S), SIGNATURE_GOOD);
	assert_int_equal(svix(SVIX_OTHER, SVIX_ID, SVIX_TIME, SVIX_V1, SVIX_TIME_S), SIGNATURE_WRONG);
}

static void test_svix_forms(void **state)
{
	static const struct {
		const char *id, *timestamp, *signature;
		enum signature_verdict verdict;
	} cases[] = {
		{SVIX_ID, SVIX_TIME, "v1,AAAA " SVIX_V1, SIGNATURE_GOOD},
		{SVIX_ID, SVIX_TIME, "v1a,x " SVIX_V1 " v2,y", SIGNATURE_GOOD},
		{SVIX_ID, SVIX_TIME, "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", SIGNATURE_WRONG},
		{SVIX_ID, SVIX_TIME, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", SIGNATURE_WRONG},
		{SVIX_ID, SVIX_TIME, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE", SIGNATURE_WRONG},
		{SVIX_ID, SVIX_TIME, "v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=", SIGNATURE_WRONG},
		{SVIX_ID, SVIX_TIME, "v1,", SIGNATURE_WRONG},
		{SVIX_ID, SVIX_TIME, "", SIGNATURE_WRONG},
		{SVIX_ID, SVIX_TIME, NULL, SIGNATURE_MALFORMED},
		{NULL, SVIX_TIME, SVIX_V1, SIGNATURE_MALFORMED},
		{"", SVIX_TIME, SVIX_V1, SIGNATURE_MALFORMED},
		{"msg_other", SVIX_TIME, SVIX_V1, SIGNATURE_WRONG},
		{SVIX_ID, NULL, SVIX_V1, SIGNATURE_MALFORMED},
		{SVIX_ID, "", SVIX_V1, SIGNATURE_MALFORMED},
		{SVIX_ID, "now", SVIX_V1, SIGNATURE_MALFORMED},
		{SVIX_ID, "-" SVIX_TIME, SVIX_V1, SIGNATURE_MALFORMED},
		{SVIX_ID, SVIX_TIME ".0", SVIX_V1, SIGNATURE_MALFORMED},
		{SVIX_ID, "1614265331", SVIX_V1, SIGNATURE_WRONG},
		/* A dot moved from one part to the next would leave the signed text as it is. */
		{SVIX_ID "." SVIX_TIME, "2432232314", SVIX_V1, SIGNATURE_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(svix(SVIX_SECRET, cases[i].id, cases[i].timestamp, cases[i].signature, SVIX_TIME_S),
		                 cases[i].verdict);
}

static void test_svix_skew(void **state)
{
	(void)state;
	assert_int_equal(svix(SVIX_SECRET, SVIX_ID, SVIX_TIME, SVIX_V1, SVIX_TIME_S + 300), SIGNATURE_GOOD);
	assert_int_equal(svix(SVIX_SECRET, SVIX_ID, SVIX_TIME, SVIX_V1, SVIX_TIME_S - 300), SIGNATURE_GOOD);
	assert_int_equal(svix(SVIX_SECRET, SVIX_ID, SVIX_TIME, SVIX_V1, SVIX_TIME_S + 301), SIGNATURE_STALE);
	assert_int_equal(svix(SVIX_SECRET, SVIX_ID, SVIX_TIME, SVIX_V1, SVIX_TIME_S - 301), SIGNATURE_STALE);
}

/* ---- configuration ------------------------------------------------------------------------------ */

#define FORGERIES 100000

static uint64_t random_state = 20261121;

static size_t pick(size_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state >> 16) % below;
}

/* One to three changes to a text: a character is another one, goes, comes, or all after it goes. */
static void damage(char *text, size_t room)
{
	static const char any[] = "0123456789abcdefABCDEFtv=,. +/_-";

	for (size_t changes = 1 + pick(3); changes > 0; changes--) {
		const size_t length = strlen(text);
		const size_t at = length > 0 ? pick(length) : 0;

		switch (pick(8)) {
		case 0:
			text[at] = '\0';
			break;
		case 1:
			memmove(text + at, text + at + (length > 0 ? 1 : 0), length - at);
			break;
		case 2:
			if (length + 2 < room) {
				memmove(text + at + 1, text + at, length - at + 1);
				text[at] = any[pick(sizeof(any) - 1)];
			}
			break;
		default:
			if (length > 0)
				text[at] = any[pick(sizeof(any) - 1)];
		}
	}
}

/* Whether the damaged header still holds what was signed: damage may hit what does not matter. */
static bool still_whole(const char *header, const char *proof, const char *time)
{
	return strstr(header, proof) != NULL && strstr(header, time) != NULL;
}

static void test_a_hundred_thousand_forgeries(void **state)
{
	const char *v1 = stripe_v1(SECRET, NOW);
	char proof[128], header[256], spoilt[256];
	int forged = 0;

	(void)state;
	(void)snprintf(proof, sizeof(proof), "v1=%s", v1);
	while (forged < FORGERIES) {
		(void)snprintf(header, sizeof(header), "t=%lld,%s", (long long)NOW, proof);
		memcpy(spoilt, body, sizeof(body));
		switch (pick(4)) {
		case 0: /* the body, not the header */
			damage(spoilt, sizeof(spoilt));
			if (strcmp(spoilt, body) == 0)
				continue;
			break;
		case 1: /* another scheme, case or time */
			header[pick(2) == 0 ? 13 : 14] = "vV01 "[pick(5)];
			if (strstr(header, proof) != NULL)
				continue;
			break;
		default:
			damage(header, sizeof(header));
			if (still_whole(header, proof, "t=1700000000"))
				continue;
		}
		if (signature_stripe(SECRET, header, spoilt, strlen(spoilt), NOW) == SIGNATURE_GOOD)
			fail_msg("%s is taken for %s", header, spoilt);
		forged++;
	}
}

static void test_secrets_that_may_start(void **state)
{
	static const struct {
		const char *secrets;
		enum signature_kind kind;
		int result;
	} cases[] = {
		{SECRET, SIGNATURE_STRIPE, 0},
		{SECRET ", " ROLLED, SIGNATURE_STRIPE, 0},
		{"", SIGNATURE_STRIPE, -1},
		{" , ", SIGNATURE_STRIPE, -1},
		{"whsec_", SIGNATURE_STRIPE, -1},
		{"0123456789abcdef0123456789abcde", SIGNATURE_STRIPE, -1}, /* 31 */
		{"0123456789abcdef0123456789abcdef", SIGNATURE_STRIPE, 0},
		{SECRET " short", SIGNATURE_STRIPE, -1},
		{SVIX_SECRET, SIGNATURE_SVIX, 0},
		{SVIX_SECRET "," SVIX_OTHER, SIGNATURE_SVIX, 0},
		{"", SIGNATURE_SVIX, -1},
		{"whsec_", SIGNATURE_SVIX, -1},
		{"whsec_AAAA", SIGNATURE_SVIX, -1},
		{"whsec_not base64!", SIGNATURE_SVIX, -1},
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa", SIGNATURE_SVIX, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(signature_check_secrets(cases[i].secrets, cases[i].kind), cases[i].result);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(signature_verdict_name(SIGNATURE_GOOD), "good");
	assert_string_equal(signature_verdict_name(SIGNATURE_MALFORMED), "malformed");
	assert_string_equal(signature_verdict_name(SIGNATURE_STALE), "stale");
	assert_string_equal(signature_verdict_name(SIGNATURE_WRONG), "wrong");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stripe_known),
		cmocka_unit_test(test_stripe_forms),
		cmocka_unit_test(test_stripe_case),
		cmocka_unit_test(test_stripe_skew),
		cmocka_unit_test(test_stripe_secrets),
		cmocka_unit_test(test_changed_byte),
		cmocka_unit_test(test_svix_known),
		cmocka_unit_test(test_svix_forms),
		cmocka_unit_test(test_svix_skew),
		cmocka_unit_test(test_a_hundred_thousand_forgeries),
		cmocka_unit_test(test_secrets_that_may_start),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
