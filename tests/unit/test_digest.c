#include "unit.h"

#include <pthread.h>

#include "base/digest.h"

static const char *hex_of(const unsigned char digest[DIGEST_BYTES])
{
	static char text[2 * DIGEST_BYTES + 1];

	for (int i = 0; i < DIGEST_BYTES; i++)
		snprintf(text + i * 2, 3, "%02x", digest[i]);
	return text;
}

/* FIPS 180-4 examples, and lengths around a block's. */
static void test_sha256(void **state)
{
	static const struct {
		const char *text;
		const char *digest;
	} cases[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
	         "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
	         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
	};
	unsigned char digest[DIGEST_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		digest_sha256(cases[i].text, strlen(cases[i].text), digest);
		assert_string_equal(hex_of(digest), cases[i].digest);
	}
	digest_sha256(NULL, 0, digest);
	assert_string_equal(hex_of(digest), cases[0].digest);
}

static void test_sha256_million(void **state)
{
	char *text = malloc(1000000);
	unsigned char digest[DIGEST_BYTES];

	(void)state;
	assert_non_null(text);
	memset(text, 'a', 1000000);
	digest_sha256(text, 1000000, digest);
	assert_string_equal(hex_of(digest), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(text);
}

static void test_sha256_pieces(void **state)
{
	char text[200];
	unsigned char whole[DIGEST_BYTES];
	unsigned char parts[DIGEST_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	digest_sha256(text, sizeof(text), whole);
	for (size_t cut = 0; cut <= sizeof(text); cut++) {
		const struct digest_piece pieces[] = {
			{text, cut / 2},
			{NULL, 0},
			{text + cut / 2, cut - cut / 2},
			{text + cut, sizeof(text) - cut},
		};

		digest_sha256_pieces(pieces, 4, parts);
		assert_memory_equal(parts, whole, DIGEST_BYTES);
	}
	digest_sha256_pieces(NULL, 0, parts);
	assert_string_equal(hex_of(parts), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231.  Keys under 32 bytes are padded with zeros, as HMAC itself does up to its block. */
static void test_hmac_rfc4231(void **state)
{
	static const struct {
		unsigned char byte; /* the key is made of; 0 for text */
		const char *text;
		size_t key_length;
		unsigned char data_byte;
		const char *data;
		size_t data_length;
		const char *mac;
	} cases[] = {
		{0x0b, NULL, 20, 0, "Hi There", 8, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{0, "Jefe", 4, 0, "what do ya want for nothing?", 28,
	         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{0xaa, NULL, 20, 0xdd, NULL, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		{0xaa, NULL, 131, 0, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
	         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{0xaa, NULL, 131, 0,
	         "This is a test using a larger than block-size key and a larger than block-size "
	         "data. The key needs to be hashed before being used by the HMAC algorithm.",
	         152, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned char key[131] = {0};
		unsigned char data[152];
		unsigned char mac[DIGEST_BYTES];
		size_t length;

		if (cases[i].text != NULL)
			memcpy(key, cases[i].text, cases[i].key_length);
		else
			memset(key, cases[i].byte, cases[i].key_length);
		if (cases[i].data != NULL)
			memcpy(data, cases[i].data, cases[i].data_length);
		else
			memset(data, cases[i].data_byte, cases[i].data_length);
		length = cases[i].key_length < 32 ? 32 : cases[i].key_length;
		if (digest_hmac_sha256(key, length, data, cases[i].data_length, mac) != 0)
			fail_msg("case %zu was refused", i);
		assert_string_equal(hex_of(mac), cases[i].mac);
	}
}

/* RFC 4231 case 4, whose key counts from 1 to 25. */
static void test_hmac_counting_key(void **state)
{
	unsigned char key[32] = {0};
	unsigned char data[50];
	unsigned char mac[DIGEST_BYTES];

	(void)state;
	for (unsigned char i = 0; i < 25; i++)
		key[i] = (unsigned char)(i + 1);
	memset(data, 0xcd, sizeof(data));
	assert_int_equal(digest_hmac_sha256(key, 32, data, sizeof(data), mac), 0);
	assert_string_equal(hex_of(mac), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
}

static void test_hmac_refuses_short_keys(void **state)
{
	unsigned char mac[DIGEST_BYTES];
	unsigned char untouched[DIGEST_BYTES];
	char key[64];

	(void)state;
	memset(key, 'k', sizeof(key));
	memset(mac, 0xee, sizeof(mac));
	memset(untouched, 0xee, sizeof(untouched));
	for (size_t length = 0; length < DIGEST_KEY_MIN_BYTES; length++) {
		assert_int_equal(digest_hmac_sha256(key, length, "x", 1, mac), -1);
		assert_memory_equal(mac, untouched, sizeof(mac));
	}
	assert_int_equal(digest_hmac_sha256(NULL, 0, "x", 1, mac), -1);
	assert_int_equal(digest_hmac_sha256(key, DIGEST_KEY_MIN_BYTES, "x", 1, mac), 0);
	assert_int_equal(digest_hmac_sha256(key, DIGEST_KEY_MIN_BYTES, NULL, 0, mac), 0);
}

static void test_equal(void **state)
{
	(void)state;
	assert_true(digest_equal("abc", "abc", 3));
	assert_false(digest_equal("abc", "abd", 3));
	assert_false(digest_equal("bbc", "abc", 3));
	assert_true(digest_equal("abc", "abd", 2));
	assert_true(digest_equal("a", "b", 0));
	assert_true(digest_equal("a\0b", "a\0b", 3));
	assert_false(digest_equal("a\0b", "a\0c", 3));
}

static void test_random(void **state)
{
	unsigned char a[64] = {0};
	unsigned char b[64] = {0};
	unsigned char zero[64] = {0};

	(void)state;
	digest_random(a, 63);
	digest_random(b, 63);
	assert_memory_not_equal(a, b, 63);
	assert_memory_not_equal(a, zero, 63);
	assert_int_equal(a[63], 0);
	digest_random(a, 0);
}

/* RFC 4648 section 10, and the two characters that tell base64url from base64. */
static void test_base64url(void **state)
{
	static const struct {
		const char *bytes;
		const char *text;
	} cases[] = {
		{"", ""},
		{"f", "Zg"},
		{"fo", "Zm8"},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg"},
		{"fooba", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff", "-_8"},
		{"\xff\xff\xff", "____"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = strlen(cases[i].bytes);
		size_t written;
		char text[32];
		char back[32];

		written = digest_base64url(cases[i].bytes, length, text);
		assert_int_equal(written, strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
		assert_int_equal(digest_unbase64url(text, written, back, length), length);
		assert_memory_equal(back, cases[i].bytes, length);
		if (length > 0)
			assert_int_equal(digest_unbase64url(text, written, back, length - 1), -1);
	}
}

static void test_base64url_round_trip(void **state)
{
	(void)state;
	for (size_t length = 0; length < 100; length++) {
		unsigned char bytes[100];
		unsigned char back[100];
		char text[140];

		digest_random(bytes, length);
		assert_int_equal(digest_base64url(bytes, length, text), (length * 4 + 2) / 3);
		assert_int_equal(strlen(text), (length * 4 + 2) / 3);
		assert_int_equal(digest_unbase64url(text, strlen(text), back, 100), length);
		assert_memory_equal(bytes, back, length);
	}
}

static void test_base64url_is_strict(void **state)
{
	static const char *const texts[] = {
		"A",    "AAAAA",                            /* impossible lengths */
		"AB",   "Zh",    "AAB",  "Zm9",   "AAAAAB", /* unused bits set */
		"AA==", "AAA=",  "=",    "====",            /* padding */
		"A+A",  "A/AA",  "AA A", "AA\nA", " AAA",   "AAA ", "AA.A", "A\303\251A",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char bytes[16];

		if (digest_unbase64url(texts[i], strlen(texts[i]), bytes, sizeof(bytes)) != -1)
			fail_msg("\"%s\" was accepted", texts[i]);
	}
	assert_int_equal(digest_unbase64url("AA\0A", 4, (char[8]){0}, 8), -1);
}

/* No byte outside the alphabet is taken for one inside it. */
static void test_base64url_alphabet(void **state)
{
	int accepted = 0;

	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[4] = {'A', 'A', 'A', (char)c};
		char bytes[3];

		accepted += digest_unbase64url(text, 4, bytes, 3) == 3 ? 1 : 0;
	}
	assert_int_equal(accepted, 64);
}

static void *hash_many(void *failures)
{
	for (int i = 0; i < 2000; i++) {
		unsigned char digest[DIGEST_BYTES];

		digest_sha256("abc", 3, digest);
		if (digest[0] != 0xba || digest[31] != 0xad)
			(*(int *)failures)++;
	}
	return NULL;
}

static void test_threads(void **state)
{
	enum { THREADS = 8 };
	pthread_t threads[THREADS];
	int failures[THREADS] = {0};

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hash_many, &failures[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(failures[i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads), /* first: the threads meet at the first use */
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_sha256_million),
		cmocka_unit_test(test_sha256_pieces),
		cmocka_unit_test(test_hmac_rfc4231),
		cmocka_unit_test(test_hmac_counting_key),
		cmocka_unit_test(test_hmac_refuses_short_keys),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_base64url),
		cmocka_unit_test(test_base64url_round_trip),
		cmocka_unit_test(test_base64url_is_strict),
		cmocka_unit_test(test_base64url_alphabet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
