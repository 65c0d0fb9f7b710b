#include "unit.h"

#include "ledger/code.h"
#include "ledger/command.h"
#include "ledger/decide/identity.h"

static void test_normal(void **state)
{
	static const struct {
		const char *typed, *normal; /* NULL: no code */
	} cases[] = {
		{"ABCD-2345", "ABCD2345"},
		{"abcd 2345", "ABCD2345"},
		{" --abcd--2345-- ", "ABCD2345"},
		{"welcome10", "WE1C0ME10"}, /* look-alikes are one */
		{"WEIC0MEIO", "WE1C0ME10"},
		{"1234", "1234"},
		{"123", NULL},
		{"- - -", NULL},
		{"", NULL},
		{"ABCD_2345", NULL},
		{"ABCD\t2345", NULL},
		{"ABCD\xc3\xa9", NULL},
		{"12345678901234567890123456789012", "12345678901234567890123456789012"},
		{"123456789012345678901234567890123", NULL},
	};
	char out[CODE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(code_normal(cases[i].typed, out), cases[i].normal != NULL ? 0 : -1);
		if (cases[i].normal != NULL)
			assert_string_equal(out, cases[i].normal);
	}
}

static void test_random(void **state)
{
	char code[CODE_MAX], other[CODE_MAX], shown[CODE_SHOWN_MAX], again[CODE_MAX];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		code_random(code);
		code_random(other);
		assert_int_equal(strlen(code), 12);
		assert_string_not_equal(code, other);
		assert_int_equal(strcspn(code, "ILOU"), 12);
		assert_false(code_is_referral(code));
		code_show(code, shown);
		assert_int_equal(shown[4], '-');
		assert_int_equal(shown[9], '-');
		assert_int_equal(strlen(shown), 14);
		assert_int_equal(code_normal(shown, again), 0);
		assert_string_equal(again, code);
	}
}

static void test_referral(void **state)
{
	unsigned char secret[DIGEST_BYTES];
	char code[CODE_MAX], shown[CODE_SHOWN_MAX], name[32];

	(void)state;
	digest_random(secret, sizeof(secret));
	for (int i = 0; i < 1000; i++) {
		struct account_key key, low, high;

		snprintf(name, sizeof(name), "account-%d", i);
		key = id_account_key(name, strlen(name));
		code_referral(secret, &key, code);
		assert_true(code_is_referral(code));
		code_show(code, shown);
		assert_int_equal(strncmp(shown, "R-", 2), 0);
		code_referral_range(secret, code, &low, &high);
		assert_true(memcmp(&low, &key, sizeof(key)) <= 0);
		assert_true(memcmp(&high, &key, sizeof(key)) >= 0);
		assert_memory_equal(&low, &key, 7);
		assert_memory_equal(&high, &key, 7);
		/* A code by the account's id alone is another one, and does not name it. */
		code_referral_range_plain(code, &low, &high);
		assert_true(memcmp(&low, &key, sizeof(key)) > 0 || memcmp(&high, &key, sizeof(key)) < 0);
		code[12] = code[12] == 'A' ? 'B' : 'A';
		code_referral_range(secret, code, &low, &high);
		assert_true(memcmp(&low, &key, sizeof(key)) > 0 || memcmp(&high, &key, sizeof(key)) < 0);
	}
	assert_false(code_is_referral("R123"));
	assert_false(code_is_referral("R12345678901U"));
	assert_false(code_is_referral("X123456789012"));
}

/* Made in Python, from what code.c says. */
static void test_referral_is_as_documented(void **state)
{
	const struct account_key key = id_account_key("user:42", 7);
	struct account_key low, high;
	unsigned char secret[DIGEST_BYTES];
	char code[CODE_MAX];

	(void)state;
	for (int i = 0; i < DIGEST_BYTES; i++)
		secret[i] = (unsigned char)i;
	code_referral(secret, &key, code);
	assert_string_equal(code, "RG6ZVW54NASH3");
	/* As it was before there was a secret. */
	code_referral_range_plain("RX8ZX8EZ1WNYP", &low, &high);
	assert_true(memcmp(&low, &key, sizeof(key)) <= 0 && memcmp(&high, &key, sizeof(key)) >= 0);
}

/* Codes of one secret say nothing about those of another; neighbours do not resemble each other. */
static void test_referral_secrets(void **state)
{
	unsigned char secrets[2][DIGEST_BYTES] = {{0}, {1}};
	struct account_key key = {{0}};
	char one[CODE_MAX], other[CODE_MAX];
	int same = 0;

	(void)state;
	for (int i = 0; i < 256; i++) {
		key.bytes[6] = (unsigned char)i;
		code_referral(secrets[0], &key, one);
		code_referral(secrets[1], &key, other);
		for (int d = 1; d <= 12; d++)
			same += one[d] == other[d];
		key.bytes[6] ^= 1;
		code_referral(secrets[0], &key, other);
		for (int d = 1; d <= 12; d++)
			same += one[d] == other[d];
	}
	assert_in_range(same, 60, 350); /* of 6144 one in 32, by chance */
}

static void test_email(void **state)
{
	static const struct {
		const char *email, *normal;
	} cases[] = {
		{"ada@example.com", "ada@example.com"},
		{"  Ada@Example.COM\t", "ada@example.com"},
		{"ada+octroi@example.com", "ada@example.com"},
		{"ada+a+b@example.com", "ada@example.com"},
		{"ada.lovelace@example.com", "ada.lovelace@example.com"}, /* dots count here */
		{"Ada.Love.lace+x@gmail.com", "adalovelace@gmail.com"},
		{"ada.lovelace@googlemail.com", "adalovelace@gmail.com"},
		{"a.d.a@GoogleMail.com", "ada@gmail.com"},
		{"ada@mail.gmail.com", "ada@mail.gmail.com"},
		{"a.b@notgmail.com", "a.b@notgmail.com"},
		{"+tag@example.com", "+tag@example.com"},
		{"ada@gmail.com.", "ada@gmail.com"}, /* as DNS may write it */
		{"A.da@GOOGLEMAIL.com.", "ada@gmail.com"},
		{"ada@gmail.com..", ""},
		{"ada@gmail..com", ""},
		{"ada@.gmail.com", ""},
		{"ada@-gmail.com", ""},
		{"ada@gmail-.com", ""},
		{"ada@gmail\xe3\x80\x82"
	         "com",
	         ""}, /* U+3002, U+FF0E, U+FF61: dots of other scripts */
		{"ada@gmail\xef\xbc\x8e"
	         "com",
	         ""},
		{"ada@gmail\xef\xbd\xa1"
	         "com",
	         ""},
		{"a\xe2\x80\x8b"
	         "da@gmail.com",
	         ""}, /* zero-width space, joiner, soft hyphen, BOM */
		{"ada@gm\xe2\x80\x8d"
	         "ail.com",
	         ""},
		{"a\xc2\xad"
	         "da@gmail.com",
	         ""},
		{"\xef\xbb\xbf"
	         "ada@gmail.com",
	         ""},
		{"\xc3\x89lan@example.com", ""}, /* É and é, one letter or two */
		{"e\xcc\x81lan@example.com", ""},
		{"ada@b\xc3\xbc"
	         "cher.example",
	         ""},
		{"ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"},
		{"ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"},
		{"ada@\xef\xbd\x87mail.com", ""}, /* full-width g */
		{"\xd0\xb0"
	         "da@gmail.com",
	         ""},                        /* Cyrillic a */
		{"\"a@b\"@example.com", ""}, /* quotes and comments may be left out */
		{"\"ada\"@example.com", ""},
		{"ada(x)@example.com", ""},
		{"ada @example.com", ""},
		{".ada@gmail.com", ""},
		{"ada.@gmail.com", ""},
		{"a..da@gmail.com", ""},
		{"ada@[127.0.0.1]", ""},
		{"o'hara!#$%&*-/=?^_`{|}~@example.com", "o'hara!#$%&*-/=?^_`{|}~@example.com"},
		{"", ""},
		{"   ", ""},
		{"ada", ""},
		{"@example.com", ""},
		{"ada@", ""},
	};
	char out[IDENTITY_EMAIL_MAX], text[400];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		identity_email(cases[i].email, out);
		assert_string_equal(out, cases[i].normal);
		/* A normal code stays as it is. */
		identity_email(cases[i].normal, out);
		assert_string_equal(out, cases[i].normal);
	}
	memset(text, 'a', sizeof(text));
	memcpy(text + 300, "@example.com", 13);
	identity_email(text, out);
	assert_string_equal(out, "");
	assert_true(identity_same_email("A.b+c@gmail.com", "ab@googlemail.com"));
	assert_false(identity_same_email("", ""));
	assert_false(identity_same_email(" ", ""));
	/* Spelled the same they are the same, even where no other spelling is known. */
	assert_true(identity_same_email("\xc3\xa9lan@example.com", " \xc3\xa9lan@EXAMPLE.com."));
	assert_false(identity_same_email("\xc3\xa9lan@example.com", "elan@example.com"));
	assert_false(identity_same_email("a@x.com", "a@y.com"));
}

static struct command claim(const char *account, const char *email, const char *person, const char *campaign)
{
	struct command c = {.kind = COMMAND_BONUS, .account_id = account};

	c.bonus.campaign = campaign;
	c.bonus.email = email;
	c.bonus.person = person;
	command_prepare(&c);
	return c;
}

static void test_claims(void **state)
{
	struct command a = claim("a", "ada@gmail.com", "user_1", "signup");
	struct command b = claim("b", "a.d.a+1@googlemail.com", "user_2", "signup");
	struct command c = claim("a", "", "", "signup");
	struct command d = claim("a", "ada@gmail.com", "user_1", "spring");
	struct command e = claim("user_1", "x@y.z", "a", "signup");

	(void)state;
	assert_int_equal(a.bonus.claim_count, 3);
	assert_int_equal(c.bonus.claim_count, 1);
	assert_memory_not_equal(a.bonus.claim_key[0], b.bonus.claim_key[0], ID_KEY_BYTES);
	assert_memory_equal(a.bonus.claim_key[1], b.bonus.claim_key[1], ID_KEY_BYTES);
	assert_memory_not_equal(a.bonus.claim_key[2], b.bonus.claim_key[2], ID_KEY_BYTES);
	assert_memory_equal(a.bonus.claim_key[0], c.bonus.claim_key[0], ID_KEY_BYTES);
	for (int i = 0; i < 3; i++)
		assert_memory_not_equal(a.bonus.claim_key[i], d.bonus.claim_key[i], ID_KEY_BYTES);
	/* An account that is called like a person is not that person. */
	assert_memory_not_equal(a.bonus.claim_key[0], e.bonus.claim_key[2], ID_KEY_BYTES);
	assert_memory_not_equal(a.bonus.claim_key[2], e.bonus.claim_key[0], ID_KEY_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normal),           cmocka_unit_test(test_random),
		cmocka_unit_test(test_referral),         cmocka_unit_test(test_referral_is_as_documented),
		cmocka_unit_test(test_referral_secrets), cmocka_unit_test(test_email),
		cmocka_unit_test(test_claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
