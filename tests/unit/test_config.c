#include "unit.h"

#include <sys/stat.h>

#include "config.h"

static char directory[] = "/tmp/octroi-test-config-XXXXXX";
static char path[sizeof(directory) + 16], secret_path[sizeof(directory) + 16];
static char error[CONF_ERROR_MAX];

static const char *const variables[] = {
	"OCTROI_CONF",        "OCTROI_LISTEN",       "OCTROI_THREADS",          "OCTROI_MARGIN",
	"OCTROI_DB_PASSWORD", "OCTROI_TOKEN_SECRET", "OCTROI_DB_PASSWORD_FILE", "OCTROI_TRUST_SERVER_PARAMS",
};

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	return 0;
}

static int setup_all(void **state)
{
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/conf", directory);
	snprintf(secret_path, sizeof(secret_path), "%s/secret", directory);
	return setup(state);
}

static int teardown_all(void **state)
{
	(void)state;
	unlink(path);
	unlink(secret_path);
	return rmdir(directory);
}

static void write_bytes(const char *to, const char *bytes, size_t length)
{
	FILE *file = fopen(to, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static void write_text(const char *to, const char *text)
{
	write_bytes(to, text, strlen(text));
}

static int load(struct config *c, const char *text)
{
	write_text(path, text);
	return config_load(c, path, error);
}

/* Loading the text fails with a complaint that holds both words. */
static void refused(const char *text, const char *word, const char *other)
{
	struct config c;

	assert_int_equal(load(&c, text), -1);
	if (strstr(error, word) == NULL || strstr(error, other) == NULL)
		fail_msg("\"%s\" says neither \"%s\" nor \"%s\"", error, word, other);
	config_free(&c);
}

static void test_defaults(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(load(&c, ""), 0);
	assert_string_equal(error, "");
	assert_string_equal(c.path, path);
	assert_string_equal(c.listen, "");
	assert_int_equal(c.threads, 0);
	assert_int_equal(c.margin, 1050000);
	assert_int_equal(c.exchange_rate, 1080000);
	assert_int_equal(c.credit_value, 10000);
	assert_string_equal(c.currency, "EUR");
	assert_string_equal(c.token_secret, "");
	assert_false(c.trust_server_params);
	config_free(&c);
	config_free(&c);
}

static void test_file(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(load(&c, "# octroi\n\n; edge\nlisten = unix:/run/o.sock ; the public one\nthreads=12\n"
	                          "  # prices\nmargin = 1.25e-1\ntrust_server_params: on\ndb_password = p;q =r\n"),
	                 0);
	assert_string_equal(c.listen, "unix:/run/o.sock");
	assert_int_equal(c.threads, 12);
	assert_int_equal(c.margin, 125000);
	assert_true(c.trust_server_params);
	assert_string_equal(c.db_password, "p;q =r");
	config_free(&c);
}

static void test_complaints(void **state)
{
	char line[400];

	(void)state;
	refused("listen=\nthread = 3\n", "conf:2", "unknown key \"thread\"; the nearest is \"threads\"");
	refused("threads = 3\nthreads = 4\n", "conf:2", "twice");
	refused("margin = 1\n  threads = 4\n", "conf:2", "begins its line");
	refused("[prices]\nmargin = 1\n", "conf:1", "no sections: \"[prices]\"");
	refused("margin = 1\nwhat is this\n", "conf:2", "key = value");
	refused("threads = 12x\n", "conf:1", "whole number");
	refused("threads = \n", "threads", "whole number");
	refused("threads = 1025\n", "0 to 1024", "1025");
	refused("threads = -1\n", "0 to 1024", "-1");
	refused("threads = 99999999999999999999\n", "threads", "whole number");
	refused("margin = 1.0000001\n", "margin", "6 places");
	refused("margin = 0\n", "margin", "0.000001 to 1000");
	refused("margin = 0x1\n", "margin", "decimal");
	refused("trust_server_params = yes\n", "on or off", "yes");
	refused("currency = EURO\n", "currency", "three capital letters");
	refused("currency = eur\n", "currency", "capital");
	refused("hold_expiry = forgive\n", "hold_expiry", "capture");
	refused("hold_expiry = forgets\n", "hold_expiry", "capture");
	refused("log_level = loud\n", "log_level", "debug");
	refused("log_level = noisy\n", "log_level", "debug");
	refused("sandbox = ok\n", "sandbox", "auto, on or off");
	refused("listen = a\tb\n", "listen", "plain");
	refused("listen = /run/o.sock\n", "conf:1: listen must be unix:/path", "/run/o.sock");
	refused("listen_internal = 0.0.0.0:80\n", "conf:1: listen_internal", "127.0.0.1:port");
	refused("public_url = credits.example\n", "conf:1: public_url must begin with https://", "credits.example");
	refused("public_url = https:///x\n", "conf:1: public_url", "https:///x");
	refused("listen_file = /etc/passwd\n", "unknown key", "listen_file");
	memset(line, 'x', sizeof(line));
	memcpy(line, "topup_url = ", 12);
	memcpy(line + sizeof(line) - 2, "\n", 2);
	refused(line, "conf:1", "too long");
}

/* Every mistake is listed, in the order of file, environment and rules, and one does not hide another. */
static void test_all_mistakes_at_once(void **state)
{
	char expected[4096];
	struct config c;

	(void)state;
	setenv("OCTROI_THREDS", "7", 1);
	assert_int_equal(load(&c, "[main]\nthreads = many\n margin = 2\nhold_expiry = forget\ndb_sokcet = /s\n"
	                          "topup_min = 600\ntopup_max = 500\nnonsense\npublic_url = example.org\n"
	                          "token_secret_file = /nonexistent/secret\n"),
	                 -1);
	(void)snprintf(expected, sizeof(expected),
	               "%s:1: there are no sections: \"[main]\"\n"
	               "%s:3: a key begins its line, without blanks\n"
	               "%s:5: unknown key \"db_sokcet\"; the nearest is \"db_socket\"\n"
	               "%s:8: neither key = value nor a comment\n"
	               "OCTROI_THREDS: no variable of octroi's; the nearest is OCTROI_THREADS\n"
	               "%s:10: token_secret_file: /nonexistent/secret: No such file or directory\n"
	               "%s:2: threads must be a whole number, not \"many\"\n"
	               "%s:4: hold_expiry must be release or capture, not \"forget\"\n"
	               "%s:9: public_url must begin with https:// or http://, not \"example.org\"\n"
	               "%s:6: topup_min must not be larger than topup_max",
	               path, path, path, path, path, path, path, path, path);
	assert_string_equal(error, expected);
	config_free(&c);
	unsetenv("OCTROI_THREDS");
	setenv("OCTROI_GUARD_KEY", "an application's own", 1);
	assert_int_equal(load(&c, ""), 0);
	config_free(&c);
}

/* The list is bounded. */
static void test_many_mistakes(void **state)
{
	char text[8192] = "";
	struct config c;
	int lines = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "a_key_that_nobody_knows_%d = 1\n", i);
	assert_int_equal(load(&c, text), -1);
	config_free(&c);
	for (const char *at = error; *at != '\0'; at++)
		lines += *at == '\n';
	assert_int_equal(lines, CONF_MISTAKES_MAX);
	assert_non_null(strstr(error, "\nand 80 more"));
}

/* A host that only begins like this machine's, or is another's user, is somebody else. */
static void test_this_machine(void **state)
{
	static const char *const ours[] = {"https://keys.example",   "http://127.0.0.1",      "http://127.0.0.1/k",
	                                   "http://127.0.0.1:80/k",  "http://localhost:8080", "http://localhost?k",
	                                   "http://[::1]:8080/jwks", "http://[::1]"};
	static const char *const others[] = {"http://127.0.0.1.evil.example",
	                                     "http://localhost.evil.example/k",
	                                     "http://localhost@evil.example",
	                                     "http://127.0.0.1:80@evil.example/",
	                                     "http://127.0.0.11/k",
	                                     "http://[::1].evil.example",
	                                     "http://localhost\\@evil.example",
	                                     "http://LOCALHOST.evil.example",
	                                     "http://evil.example/http://localhost",
	                                     "http://keys.example",
	                                     "ftp://127.0.0.1/",
	                                     "file:///etc/passwd",
	                                     "https:/keys.example",
	                                     "//127.0.0.1",
	                                     "127.0.0.1",
	                                     "http://127.0.0.1:80:evil",
	                                     "http://localhost#@evil.example"};
	char line[256];
	struct config c;

	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		(void)snprintf(line, sizeof(line), "jwt_issuer = https://a.example\njwt_jwks_url = %s\n", ours[i]);
		assert_int_equal(load(&c, line), 0);
		config_free(&c);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		(void)snprintf(line, sizeof(line), "jwt_issuer = https://a.example\njwt_jwks_url = %s\n", others[i]);
		refused(line, "jwt_jwks_url", "https://");
		(void)snprintf(line, sizeof(line), "jwt_issuer = %s\n", others[i]);
		refused(line, "jwt_issuer", "https://");
		(void)snprintf(line, sizeof(line),
		               "stripe_secret_key = sk_test_x\nstripe_webhook_secret = "
		               "whsec_0123456789abcdef0123456789abcdef\nstripe_api_base = %s\n",
		               others[i]);
		refused(line, "stripe_api_base", "https://");
	}
}

static void test_secrets_are_not_told(void **state)
{
	(void)state;
	refused("token_secret = squeamish-ossifrage\n", "token_secret", "32");
	assert_null(strstr(error, "squeamish"));
	refused("stripe_webhook_secret = whsec_squeamish\n", "stripe_webhook_secret", "32");
	assert_null(strstr(error, "squeamish"));
	refused("stripe_webhook_secret = whsec_0123456789abcdef0123456789abcdef whsec_squeamish\n",
	        "stripe_webhook_secret", "each");
	refused("stripe_secret_key = sk_test_squeamish\n", "stripe_webhook_secret", "credited");
	assert_null(strstr(error, "squeamish"));
	refused("clerk_webhook_secret = whsec_squeamish\n", "clerk_webhook_secret", "24");
	assert_null(strstr(error, "squeamish"));
	refused("db_password = squeamish\nsqueamish ossifrage\n", "conf:2", "key = value");
	assert_null(strstr(error, "squeamish"));
	refused("db_password = squeamish\ndb_password = ossifrage\n", "twice", "db_password");
	assert_null(strstr(error, "ossifrage"));
}

static void test_environment_wins(void **state)
{
	struct config c;

	(void)state;
	setenv("OCTROI_THREADS", "7", 1);
	setenv("OCTROI_MARGIN", "2", 1);
	setenv("OCTROI_LISTEN", "127.0.0.1:9000", 1);
	setenv("OCTROI_TRUST_SERVER_PARAMS", "on", 1);
	assert_int_equal(load(&c, "threads = 12\ndb_name = other\n"), 0);
	assert_int_equal(c.threads, 7);
	assert_int_equal(c.margin, 2000000);
	assert_string_equal(c.listen, "127.0.0.1:9000");
	assert_string_equal(c.db_name, "other");
	assert_true(c.trust_server_params);
	config_free(&c);
	setenv("OCTROI_THREADS", "many", 1);
	refused("", "OCTROI_THREADS", "many");
}

static void test_which_file(void **state)
{
	struct config c;

	(void)state;
	write_text(path, "threads = 5\n");
	setenv("OCTROI_CONF", path, 1);
	assert_int_equal(config_load(&c, NULL, error), 0);
	assert_int_equal(c.threads, 5);
	config_free(&c);
	setenv("OCTROI_CONF", "/nonexistent/octroi.conf", 1);
	assert_int_equal(config_load(&c, NULL, error), -1);
	assert_non_null(strstr(error, "/nonexistent/octroi.conf: No such file"));
	config_free(&c);
	assert_int_equal(config_load(&c, directory, error), -1);
	config_free(&c);
}

static void test_secret_files(void **state)
{
	struct config c;
	char text[200], big[3000];

	(void)state;
	write_text(secret_path, "s3cret of the database\n");
	snprintf(text, sizeof(text), "db_password_file = %s\n", secret_path);
	assert_int_equal(load(&c, text), 0);
	assert_string_equal(c.db_password, "s3cret of the database");
	config_free(&c);
	setenv("OCTROI_DB_PASSWORD", "from the environment", 1);
	assert_int_equal(load(&c, text), 0);
	assert_string_equal(c.db_password, "from the environment");
	config_free(&c);
	setenv("OCTROI_DB_PASSWORD_FILE", secret_path, 1);
	refused("", "OCTROI_DB_PASSWORD_FILE", "both");
	unsetenv("OCTROI_DB_PASSWORD");
	assert_int_equal(load(&c, "db_password = in the file\n"), 0);
	assert_string_equal(c.db_password, "s3cret of the database");
	config_free(&c);
	unsetenv("OCTROI_DB_PASSWORD_FILE");
	snprintf(text, sizeof(text), "db_password_file = %s\ndb_password = directly\n", secret_path);
	refused(text, "both", "db_password");
	refused("db_password_file = /nonexistent/x\n", "/nonexistent/x", "No such file");
	snprintf(text, sizeof(text), "db_password_file = %s\n", secret_path);
	write_bytes(secret_path, "a\0b", 3);
	refused(text, "binary", secret_path);
	memset(big, 'x', sizeof(big));
	write_bytes(secret_path, big, sizeof(big));
	refused(text, "too long", secret_path);
	write_text(secret_path, "\n");
	assert_int_equal(load(&c, text), 0);
	assert_string_equal(c.db_password, "");
	config_free(&c);
}

struct seen {
	int keys;
	bool secret, margin, off;
};

static void see(void *context, const char *name, const char *value)
{
	struct seen *seen = context;

	seen->keys++;
	seen->secret |= strcmp(name, "db_password") == 0 && strcmp(value, "(set)") == 0;
	seen->margin |= strcmp(name, "margin") == 0 && strcmp(value, "1.05") == 0;
	seen->off |= strcmp(name, "trust_server_params") == 0 && strcmp(value, "off") == 0;
	assert_null(strstr(value, "ossifrage"));
}

static void test_each(void **state)
{
	struct seen seen = {0};
	struct config c;

	(void)state;
	assert_int_equal(load(&c, "db_password = ossifrage\n"), 0);
	config_each(&c, see, &seen);
	assert_true(seen.keys > 40 && seen.secret && seen.margin && seen.off);
	config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, setup),
		cmocka_unit_test_setup(test_file, setup),
		cmocka_unit_test_setup(test_complaints, setup),
		cmocka_unit_test_setup(test_all_mistakes_at_once, setup),
		cmocka_unit_test_setup(test_many_mistakes, setup),
		cmocka_unit_test_setup(test_this_machine, setup),
		cmocka_unit_test_setup(test_secrets_are_not_told, setup),
		cmocka_unit_test_setup(test_environment_wins, setup),
		cmocka_unit_test_setup(test_which_file, setup),
		cmocka_unit_test_setup(test_secret_files, setup),
		cmocka_unit_test_setup(test_each, setup),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
