#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "clients/address.h"
#include "clients/webhook.h"
#include "unit.h"

static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage a = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&a;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a;

	if (strchr(text, ':') != NULL) {
		in6->sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	} else {
		in->sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
	}
	return a;
}

static void check(const char *const *texts, size_t count, bool wanted)
{
	for (size_t i = 0; i < count; i++) {
		const struct sockaddr_storage a = address_of(texts[i]);

		if (address_is_public((const struct sockaddr *)&a) != wanted)
			fail_msg("%s", texts[i]);
	}
}

static void test_inside(void **state)
{
	static const char *const texts[] = {
		"0.0.0.0",
		"0.255.255.255",
		"10.0.0.0",
		"10.255.255.255",
		"100.64.0.0",
		"100.127.255.255",
		"127.0.0.1",
		"127.255.0.1",
		"169.254.169.254",
		"172.16.0.0",
		"172.31.255.255",
		"192.0.0.8",
		"192.0.2.1",
		"192.88.99.1",
		"192.168.0.0",
		"192.168.255.1",
		"198.18.0.0",
		"198.19.255.255",
		"198.51.100.7",
		"203.0.113.9",
		"224.0.0.1",
		"239.1.1.1",
		"240.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"::ffff:8.8.8.8",
		"::127.0.0.1",
		"64:ff9b::7f00:1",
		"100::1",
		"2001::1",
		"2001:1ff::1",
		"2001:db8::1",
		"2002:7f00:1::",
		"3fff::1",
		"3fff:fff::1",
		"fc00::1",
		"fd12:3456::1",
		"fe80::1",
		"fec0::1",
		"ff02::1",
		"1fff::1",
	};

	(void)state;
	check(texts, sizeof(texts) / sizeof(texts[0]), false);
}

static void test_outside(void **state)
{
	static const char *const texts[] = {
		"1.0.0.0",         "9.255.255.255",   "11.0.0.0",
		"100.63.255.255",  "100.128.0.0",     "126.255.255.255",
		"128.0.0.0",       "169.253.255.255", "169.255.0.0",
		"172.15.255.255",  "172.32.0.0",      "192.0.1.0",
		"192.167.255.255", "192.169.0.0",     "198.17.255.255",
		"198.20.0.0",      "223.255.255.255", "8.8.8.8",
		"2000::1",         "2001:200::1",     "2001:4860:4860::8888",
		"2001:db7::1",     "2003::1",         "2a01::1",
		"3ffe::1",
	};

	(void)state;
	check(texts, sizeof(texts) / sizeof(texts[0]), true);
}

static void test_other_families(void **state)
{
	const struct sockaddr_storage local = {.ss_family = AF_UNIX};

	(void)state;
	assert_false(address_is_public((const struct sockaddr *)&local));
	assert_false(address_is_outside((const struct sockaddr *)&local));
}

/* The example of the standard's own text has a shorter secret; this one was made with Python's hmac. */
static void test_signature(void **state)
{
	struct webhook w = {.id = "msg_1", .body = "{\"test\": 2432232314}", .secret_count = 2};
	char text[WEBHOOK_SIGNATURE_MAX], secret[WEBHOOK_SECRET_TEXT_MAX];

	(void)state;
	for (unsigned char i = 0; i < WEBHOOK_SECRET_BYTES; i++) {
		w.secrets[0].bytes[i] = i;
		w.secrets[1].bytes[i] = (unsigned char)(255 - i);
	}
	assert_int_equal(webhook_sign(&w, 1614265330, text), 0);
	assert_string_equal(
		text,
		"v1,GWvjEzx3AphU7wha3hNZPXJnymF9Fg+ZdvPQqWPOjZ0= v1,zjrJkBBT8iIQTNHl9+cbxeqwyICQDFIye8G3dRAKuL4=");
	webhook_secret_format(&w.secrets[0], secret);
	assert_string_equal(secret, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_other_families),
		cmocka_unit_test(test_signature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
