#define _GNU_SOURCE
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/money.h"
#include "base/nearest.h"
#include "base/signature.h"
#include "clients/smtp.h"
#include "prices/counts.h"
#include "prices/topup_bonus.h"

#define PATH_DEFAULT "/etc/octroi/octroi.conf"
#define PATH_VARIABLE "OCTROI_CONF"
#define VARIABLE_PREFIX "OCTROI_"
#define FILE_SUFFIX "_file"
#define NAME_MAX_BYTES 64
#define CONNECTIONS_DEFAULT 8
#define DECIMAL_SCALE 6
#define TOKEN_SECRET_MIN_BYTES 32
#define WHERE_MAX 128
#define LIST_MAX 128
#define CURRENCY_LETTERS 3
/* A name with so many typing mistakes at most, one in three characters, is taken for a mistyped one. */
#define TYPING_MISTAKES_MAX 3
#define TYPING_SHARE 3

enum type { TEXT, SECRET, NUMBER, SWITCH, DECIMAL };

#define FALLBACK_TEXT(fallback) fallback
#define FALLBACK_SECRET(fallback) fallback
#define FALLBACK_NUMBER(fallback) #fallback
#define FALLBACK_SWITCH(fallback) ((fallback) ? "on" : "off")
#define FALLBACK_DECIMAL(fallback) fallback

static const struct key {
	const char *name;
	enum type type;
	const char *fallback;
	int64_t low, high;
	size_t offset; /* in struct config */
} keys[] = {
#define KEY(type, name, fallback, low, high, help) \
	{#name, type, FALLBACK_##type(fallback), low, high, offsetof(struct config, name)},
#include "config.def"
#undef KEY
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

/* The text given for a key, before it is checked. */
struct said {
	char *text;            /* NULL: none */
	char where[WHERE_MAX]; /* "octroi.conf:12" or "OCTROI_THREADS" */
};

struct loading {
	const char *path;
	FILE *file;
	int line;
	struct said said[KEY_COUNT];
	struct said said_file[KEY_COUNT]; /* path of a file with the secret */
	char *error;                      /* CONFIG_ERROR_MAX bytes: the mistakes so far, one a line */
	int mistakes;
};

/* Adds a mistake to the list.  Always returns -1. */
static int complain(struct loading *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int complain(struct loading *g, const char *format, ...)
{
	const size_t length = strlen(g->error);
	va_list arguments;

	if (++g->mistakes > CONFIG_MISTAKES_MAX)
		return -1;
	if (length > 0)
		snprintf(g->error + length, CONFIG_ERROR_MAX - length, "\n");
	va_start(arguments, format);
	vsnprintf(g->error + strlen(g->error), CONFIG_ERROR_MAX - strlen(g->error), format, arguments);
	va_end(arguments);
	return -1;
}

/* The place where a key got its value: "octroi.conf:12", "OCTROI_THREADS", or "default". */
static const char *where(const struct loading *g, const char *name)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (strcmp(keys[i].name, name) == 0)
			return g->said[i].text != NULL ? g->said[i].where : "default";
	UNREACHABLE("every name is a key's");
}

static int keep_text(struct loading *g, struct said *said, const char *text, const char *where)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return complain(g, "no memory");
	free(said->text);
	said->text = copy;
	snprintf(said->where, sizeof(said->where), "%s", where);
	return 0;
}

/* ---- the file ---- */

/* The known key that is nearest to a mistyped one. */
static struct nearest nearest_key(const char *name)
{
	struct nearest found = {.said = name};

	for (size_t i = 0; i < KEY_COUNT; i++)
		nearest_offer(&found, keys[i].name, keys[i].name);
	return found;
}

static int said_in_file(struct loading *g, const char *name, const char *text)
{
	char place[WHERE_MAX];

	snprintf(place, sizeof(place), "%.100s:%d", g->path, g->line);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		size_t length = strlen(keys[i].name);
		bool of_file = keys[i].type == SECRET && strncmp(name, keys[i].name, length) == 0 &&
		               strcmp(name + length, FILE_SUFFIX) == 0;
		struct said *said = of_file ? &g->said_file[i] : &g->said[i];

		if (!of_file && strcmp(name, keys[i].name) != 0)
			continue;
		if (said->text != NULL)
			return complain(g, "%s: \"%s\" comes twice, here and at %s", place, name, said->where);
		return keep_text(g, said, text, place);
	}
	return complain(g, "%s: unknown key \"%.64s\"; the nearest is \"%s\"", place, name, nearest_key(name).name);
}

/* inih's ini_handler: 0 would stand for an error there, but mistakes are listed here. */
static int file_pair(void *context, const char *section, const char *name, const char *text)
{
	(void)section; /* file_line refuses them */
	(void)said_in_file(context, name, text);
	return 1;
}

/* Whether the line is blank, a comment, or a key and its value; else the mistake is listed.  inih would take an
 * indented line for more of the key before it. */
static bool is_line(struct loading *g, const char *line)
{
	const char *text = line + strspn(line, " \t\r\n\v\f");

	if (*text == '\0' || *text == '#' || *text == ';')
		return true;
	if (*text == '[')
		(void)complain(g, "%.100s:%d: there are no sections: \"%.*s\"", g->path, g->line,
		               (int)strcspn(text, "\r\n") < 40 ? (int)strcspn(text, "\r\n") : 40, text);
	else if (text != line)
		(void)complain(g, "%.100s:%d: a key begins its line, without blanks", g->path, g->line);
	else if (strpbrk(text, "=:") == NULL)
		(void)complain(g, "%.100s:%d: neither key = value nor a comment", g->path, g->line);
	else
		return true;
	return false;
}

/* inih's ini_reader: counts lines, takes out those with a mistake, and stops at one that inih would cut. */
static char *file_line(char *out, int size, void *context)
{
	struct loading *g = context;
	size_t length;

	if (fgets(out, size, g->file) == NULL)
		return NULL;
	g->line++;
	length = strlen(out);
	if (length == 0 || (out[length - 1] != '\n' && !feof(g->file))) {
		(void)complain(g,
		               "%.100s:%d: line too long or binary (a long secret may stand in a file of "
		               "its own: <key>_file)",
		               g->path, g->line);
		return NULL;
	}
	if (!is_line(g, out))
		snprintf(out, (size_t)size, "\n");
	return out;
}

static int file_read(struct loading *g)
{
	int line;

	g->file = fopen(g->path, "re");
	if (g->file == NULL)
		return complain(g, "%.150s: %s", g->path, strerror(errno));
	line = ini_parse_stream(file_line, g, file_pair, g);
	if (ferror(g->file))
		(void)complain(g, "%.150s: %s", g->path, strerror(errno));
	else if (line != 0 && g->mistakes == 0)
		(void)complain(g, "%.150s:%d: neither key = value nor a comment", g->path, line);
	fclose(g->file);
	return 0;
}

/* ---- the environment ---- */

static const char *variable(const struct key *key, const char *suffix, char name[NAME_MAX_BYTES])
{
	int length = snprintf(name, NAME_MAX_BYTES, VARIABLE_PREFIX "%s%s", key->name, suffix);

	CHECK(length > 0 && length < NAME_MAX_BYTES);
	for (char *c = name; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	return getenv(name);
}

/* Refuses a variable that is nearly a key's.  Others are not octroi's: applications have some of that beginning. */
static void environment_check(struct loading *g)
{
	const size_t start = strlen(VARIABLE_PREFIX);

	for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
		char name[NAME_MAX_BYTES], known[NAME_MAX_BYTES];
		const size_t length = strcspn(*entry, "=");
		struct nearest found;

		if (strncmp(*entry, VARIABLE_PREFIX, start) != 0 || length - start >= sizeof(name))
			continue;
		for (size_t i = start; i <= length; i++)
			name[i - start] = i < length ? (char)tolower((unsigned char)(*entry)[i]) : '\0';
		found = nearest_key(name);
		if (found.distance == 0 || found.distance > TYPING_MISTAKES_MAX ||
		    found.distance * TYPING_SHARE > strlen(name))
			continue;
		(void)snprintf(known, sizeof(known), "%s", found.name);
		for (char *c = known; *c != '\0'; c++)
			*c = (char)toupper((unsigned char)*c);
		(void)complain(g, "%.*s: no variable of octroi's; the nearest is " VARIABLE_PREFIX "%s", (int)length,
		               *entry, known);
	}
}

/* Reads the environment.  A key's variable, direct or naming a file, replaces all that the file said about the key. */
static int environment_read(struct loading *g)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		char name[NAME_MAX_BYTES], name_file[NAME_MAX_BYTES];
		const char *text = variable(&keys[i], "", name);
		const char *path = keys[i].type == SECRET ? variable(&keys[i], FILE_SUFFIX, name_file) : NULL;

		if (text == NULL && path == NULL)
			continue;
		free(g->said[i].text);
		free(g->said_file[i].text);
		g->said[i].text = g->said_file[i].text = NULL;
		if (text != NULL && keep_text(g, &g->said[i], text, name) < 0)
			return -1;
		if (path != NULL && keep_text(g, &g->said_file[i], path, name_file) < 0)
			return -1;
	}
	return 0;
}

/* ---- secrets in files ---- */

static int secret_read(struct loading *g, size_t i)
{
	char secret[2048];
	const struct said *at = &g->said_file[i];
	FILE *file = fopen(at->text, "re");
	size_t length;
	int result = -1;

	if (file == NULL)
		return complain(g, "%s: %s" FILE_SUFFIX ": %.100s: %s", at->where, keys[i].name, at->text,
		                strerror(errno));
	length = fread(secret, 1, sizeof(secret) - 1, file);
	if (ferror(file))
		(void)complain(g, "%s: %s" FILE_SUFFIX ": %.100s: %s", at->where, keys[i].name, at->text,
		               strerror(errno));
	else if (!feof(file) || memchr(secret, '\0', length) != NULL)
		(void)complain(g, "%s: %s" FILE_SUFFIX ": %.100s: too long or binary", at->where, keys[i].name,
		               at->text);
	else
		result = 0;
	fclose(file);
	while (length > 0 && (secret[length - 1] == '\n' || secret[length - 1] == '\r'))
		length--;
	secret[length] = '\0';
	if (result == 0)
		result = keep_text(g, &g->said[i], secret, at->where);
	explicit_bzero(secret, sizeof(secret));
	return result;
}

static void secrets_read(struct loading *g)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (g->said_file[i].text == NULL)
			continue;
		if (g->said[i].text != NULL)
			(void)complain(g, "%s: %s is set both directly, at %s, and by a file", g->said_file[i].where,
			               keys[i].name, g->said[i].where);
		else
			(void)secret_read(g, i);
	}
}

/* ---- values ---- */

static int number_parse(const char *text, int64_t *value)
{
	char *end;
	long long number;

	if ((text[0] < '0' || text[0] > '9') && text[0] != '-')
		return -1;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		return -1;
	*value = number;
	return 0;
}

static int switch_parse(const char *text, bool *value)
{
	*value = strcmp(text, "on") == 0;
	return *value || strcmp(text, "off") == 0 ? 0 : -1;
}

/* True without control characters and with a length that the key allows. */
static bool text_good(const struct key *key, const char *text)
{
	int64_t length = (int64_t)strlen(text);

	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	return length >= key->low && length <= key->high;
}

static void range_format(const struct key *key, char out[2 * MONEY_TEXT_MAX + 8])
{
	char low[MONEY_TEXT_MAX], high[MONEY_TEXT_MAX];

	decimal_format(key->low, key->type == DECIMAL ? DECIMAL_SCALE : 0, 0, low);
	decimal_format(key->high, key->type == DECIMAL ? DECIMAL_SCALE : 0, 0, high);
	snprintf(out, 2 * MONEY_TEXT_MAX + 8, "%s to %s", low, high);
}

/* Stores a text in its field.  A text is quoted in complaints unless it is a secret. */
static int text_set(struct loading *g, char **field, const struct key *key, const char *text, const char *place)
{
	char range[2 * MONEY_TEXT_MAX + 8];

	range_format(key, range);
	if (!text_good(key, text) && key->type == SECRET)
		return complain(g, "%s: %s must be %s plain characters long", place, key->name, range);
	if (!text_good(key, text))
		return complain(g, "%s: %s must be %s plain characters long, not \"%.40s\"", place, key->name, range,
		                text);
	*field = strdup(text);
	return *field != NULL ? 0 : complain(g, "no memory");
}

static int number_set(struct loading *g, int64_t *field, const struct key *key, const char *text, const char *place)
{
	char range[2 * MONEY_TEXT_MAX + 8];
	int64_t value = 0;

	range_format(key, range);
	if (key->type == NUMBER ? number_parse(text, &value) < 0
	                        : decimal_parse(text, strlen(text), DECIMAL_SCALE, false, &value) < 0)
		return complain(g, "%s: %s must be a %s, not \"%.40s\"", place, key->name,
		                key->type == NUMBER ? "whole number" : "decimal with at most 6 places", text);
	if (value < key->low || value > key->high)
		return complain(g, "%s: %s must be %s, not \"%.40s\"", place, key->name, range, text);
	*field = value;
	return 0;
}

/* Stores the value in the key's field of c. */
static int value_set(struct loading *g, struct config *c, const struct key *key, const char *text, const char *place)
{
	void *field = (char *)c + key->offset;

	switch (key->type) {
	case TEXT:
	case SECRET:
		return text_set(g, field, key, text, place);
	case SWITCH:
		if (switch_parse(text, field) < 0)
			return complain(g, "%s: %s must be on or off, not \"%.40s\"", place, key->name, text);
		return 0;
	case NUMBER:
	case DECIMAL:
		return number_set(g, field, key, text, place);
	}
	UNREACHABLE("every type is in the switch");
}

/* Keys whose value is one of a few words. */
#define CHOICES_MAX 4
static const struct choice {
	const char *name;
	size_t offset;
	const char *words[CHOICES_MAX + 1];
} choices[] = {
#define CHOICE(name, ...) {#name, offsetof(struct config, name), {__VA_ARGS__, NULL}},
#include "config_choices.def"
#undef CHOICE
};

static void choice_check(struct loading *g, const struct choice *choice, const char *value)
{
	char list[LIST_MAX] = "";

	for (int i = 0; choice->words[i] != NULL; i++) {
		const char *before = i == 0 ? "" : choice->words[i + 1] == NULL ? " or " : ", ";

		if (strcmp(value, choice->words[i]) == 0)
			return;
		(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", before, choice->words[i]);
	}
	(void)complain(g, "%s: %s must be %s, not \"%.40s\"", where(g, choice->name), choice->name, list, value);
}

/* True if the URL's host is exactly the given one, with or without a port.  Not so for the beginning of a longer
 * name, or the user of another host ("http://localhost:1@evil.example"). */
static bool host_is(const char *url, const char *start)
{
	const size_t length = strlen(start);

	if (strncmp(url, start, length) != 0)
		return false;
	url += length;
	if (*url == ':')
		url += 1 + strspn(url + 1, "0123456789");
	return *url == '\0' || *url == '/' || *url == '?';
}

/* True for TLS or this machine.  Required where octroi believes the answers or sends a secret. */
static bool is_trusted_url(const char *url)
{
	return strncmp(url, "https://", 8) == 0 || host_is(url, "http://127.0.0.1") ||
	       host_is(url, "http://localhost") || host_is(url, "http://[::1]");
}

static bool has_scheme(const char *url)
{
	const size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;

	return scheme > 0 && strcspn(url + scheme, "/?# ") > 0;
}

/* The addresses that sockets.h takes; "" is none. */
static bool is_address(const char *text)
{
	return *text == '\0' || strncmp(text, "unix:/", 6) == 0 || strncmp(text, "127.0.0.1:", 10) == 0 ||
	       strncmp(text, "[::1]:", 6) == 0;
}

/* A key that moves money: no Stripe of tests or of the demo may take its place. */
static bool is_live_key(const char *key)
{
	return strncmp(key, "sk_live_", 8) == 0 || strncmp(key, "rk_live_", 8) == 0;
}

static void people_check(struct loading *g, const struct config *c)
{
	const char *url = c->jwt_jwks_url[0] != '\0' ? c->jwt_jwks_url : c->jwt_issuer;

	if (c->jwt_issuer[0] != '\0' && !is_trusted_url(url))
		(void)complain(g, "%s: jwt_jwks_url, or else jwt_issuer, must begin with https://",
		               where(g, c->jwt_jwks_url[0] != '\0' ? "jwt_jwks_url" : "jwt_issuer"));
	if (is_live_key(c->stripe_secret_key) && strncmp(c->stripe_api_base, "https://", 8) != 0)
		(void)complain(g, "%s: stripe_api_base must begin with https:// with a live stripe_secret_key",
		               where(g, "stripe_api_base"));
	else if (c->stripe_secret_key[0] != '\0' && !is_trusted_url(c->stripe_api_base))
		(void)complain(g, "%s: stripe_api_base must begin with https://: the secret key goes there",
		               where(g, "stripe_api_base"));
}

/* An empty or guessable secret would make everybody's signature good. */
static void webhooks_check(struct loading *g, const struct config *c)
{
	if (c->stripe_secret_key[0] != '\0' && c->stripe_webhook_secret[0] == '\0')
		(void)complain(g,
		               "%s: stripe_secret_key needs stripe_webhook_secret: payments would not be "
		               "credited",
		               where(g, "stripe_secret_key"));
	if (c->stripe_webhook_secret[0] != '\0' &&
	    signature_check_secrets(c->stripe_webhook_secret, SIGNATURE_STRIPE) != 0)
		(void)complain(g,
		               "%s: stripe_webhook_secret must be empty or Stripe's whole whsec_…; at least 32 "
		               "characters each",
		               where(g, "stripe_webhook_secret"));
	if (c->clerk_webhook_secret[0] != '\0' && signature_check_secrets(c->clerk_webhook_secret, SIGNATURE_SVIX) != 0)
		(void)complain(g,
		               "%s: clerk_webhook_secret must be empty or whsec_ and base64 of at least 24 bytes each",
		               where(g, "clerk_webhook_secret"));
}

/* Checks the keys of the platform, and the URLs to which they are sent. */
static void probes_check(struct loading *g, const struct config *c)
{
	if (strpbrk(c->openai_api_key, " \t") != NULL)
		(void)complain(g, "%s: openai_api_key must not hold blanks", where(g, "openai_api_key"));
	if (strpbrk(c->anthropic_api_key, " \t") != NULL)
		(void)complain(g, "%s: anthropic_api_key must not hold blanks", where(g, "anthropic_api_key"));
	if (!is_trusted_url(c->openai_api_base))
		(void)complain(g, "%s: openai_api_base must begin with https://", where(g, "openai_api_base"));
	if (!is_trusted_url(c->anthropic_api_base))
		(void)complain(g, "%s: anthropic_api_base must begin with https://", where(g, "anthropic_api_base"));
}

/* Whether the text is "name:policy,name:policy". */
static bool policies_valid(const char *text)
{
	static const char *const policies[] = {":ignore", ":prefer", ":max", NULL};

	while (*text != '\0') {
		const size_t name = strcspn(text, ":,");
		int i = 0;

		while (policies[i] != NULL && strncmp(text + name, policies[i], strlen(policies[i])) != 0)
			i++;
		if (name == 0 || policies[i] == NULL)
			return false;
		text += name + strlen(policies[i]);
		if (*text == ',' && text[1] != '\0')
			text++;
		else if (*text != '\0')
			return false;
	}
	return true;
}

#define OPERATOR_ADDRESSES_MAX 5

static bool are_addresses(const char *text)
{
	char address[SMTP_ADDRESS_MAX + 1];
	int count = 0;

	while (*text != '\0') {
		const size_t length = strcspn(text, " ");

		if (length == 0 || length > SMTP_ADDRESS_MAX || ++count > OPERATOR_ADDRESSES_MAX)
			return false;
		(void)snprintf(address, sizeof(address), "%.*s", (int)length, text);
		if (!smtp_address_valid(address))
			return false;
		text += length + (text[length] == ' ' ? 1 : 0);
	}
	return true;
}

/* Checks the rules that a key's range cannot express. */
/* Without TLS passwords and names would be read on the way; within this machine nobody is on it. */
static void mail_check(struct loading *g, const struct config *c)
{
	const bool plain = strncmp(c->smtp_url, "smtp://", 7) == 0, off = strcmp(c->smtp_tls, "off") == 0;

	if (!are_addresses(c->operator_mail))
		(void)complain(g, "%s: operator_mail must be at most %d addresses with blanks between",
		               where(g, "operator_mail"), OPERATOR_ADDRESSES_MAX);
	if (c->smtp_url[0] == '\0')
		return;
	if (!plain && strncmp(c->smtp_url, "smtps://", 8) != 0)
		(void)complain(g, "%s: smtp_url must begin with smtp:// or smtps://", where(g, "smtp_url"));
	if (strchr(c->smtp_url, '@') != NULL)
		(void)complain(g, "%s: smtp_url must not hold a user or a password: smtp_user, smtp_password",
		               where(g, "smtp_url"));
	if (off && !host_is(c->smtp_url, "smtp://127.0.0.1") && !host_is(c->smtp_url, "smtp://localhost") &&
	    !host_is(c->smtp_url, "smtp://[::1]"))
		(void)complain(g, "%s: smtp_tls may be off only for smtp:// and a server on this machine",
		               where(g, "smtp_tls"));
	if (!smtp_address_valid(c->mail_from))
		(void)complain(g, "%s: mail_from must be an address such as alerts@example.com", where(g, "mail_from"));
}

static void values_check(struct loading *g, const struct config *c)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		choice_check(g, &choices[i], *(char *const *)((const char *)c + choices[i].offset));
	if (!is_address(c->listen))
		(void)complain(g, "%s: listen must be unix:/path, 127.0.0.1:port or [::1]:port, not \"%.40s\"",
		               where(g, "listen"), c->listen);
	if (!is_address(c->listen_internal))
		(void)complain(g, "%s: listen_internal must be unix:/path, 127.0.0.1:port or [::1]:port, not \"%.40s\"",
		               where(g, "listen_internal"), c->listen_internal);
	if (c->public_url[0] != '\0' && !has_scheme(c->public_url))
		(void)complain(g, "%s: public_url must begin with https:// or http://, not \"%.40s\"",
		               where(g, "public_url"), c->public_url);
	if (counts_read(&(struct counts){{0}}, c->estimate_counts, strlen(c->estimate_counts)) != 0)
		(void)complain(g,
		               "%s: estimate_counts must be counts such as seconds=60,images=1, in the order of "
		               "docs/prices.md",
		               where(g, "estimate_counts"));
	if (!policies_valid(c->provider_cost))
		(void)complain(g, "%s: provider_cost must be such as openrouter:prefer,other:max, not \"%.40s\"",
		               where(g, "provider_cost"), c->provider_cost);
	if (strspn(c->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != CURRENCY_LETTERS ||
	    strlen(c->currency) != CURRENCY_LETTERS)
		(void)complain(g, "%s: currency must be three capital letters, not \"%.10s\"", where(g, "currency"),
		               c->currency);
	if (c->token_secret[0] != '\0' && strlen(c->token_secret) < TOKEN_SECRET_MIN_BYTES)
		(void)complain(g, "%s: token_secret must be empty or at least %d characters long",
		               where(g, "token_secret"), TOKEN_SECRET_MIN_BYTES);
	if (c->topup_min > c->topup_max)
		(void)complain(g, "%s: topup_min must not be larger than topup_max", where(g, "topup_min"));
	if (topup_bonus_read(&(struct topup_bonus){.count = 0}, c->topup_bonus) != 0)
		(void)complain(
			g,
			"%s: topup_bonus must be at most %d tiers such as 5000:5%%, 10000:10%% (rising amounts in "
			"cents, whole percents to %d), not \"%.40s\"",
			where(g, "topup_bonus"), TOPUP_BONUS_TIERS_MAX, TOPUP_BONUS_PERCENT_MAX, c->topup_bonus);
	if (strpbrk(c->stripe_secret_key, " \t") != NULL)
		(void)complain(g, "%s: stripe_secret_key must not hold blanks", where(g, "stripe_secret_key"));
	webhooks_check(g, c);
	probes_check(g, c);
	people_check(g, c);
	mail_check(g, c);
}

/* The member beside a secret: the path of its file. */
static char **file_of(const struct config *c, const struct key *key)
{
	return (char **)((char *)(uintptr_t)c + key->offset) + 1;
}

/* Stores every value.  A key with a mistake gets its default, so that the other rules can be checked. */
static void values_set(struct loading *g, struct config *c)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct said *said = &g->said[i];

		if (said->text == NULL || value_set(g, c, &keys[i], said->text, said->where) < 0)
			(void)value_set(g, c, &keys[i], keys[i].fallback, "default");
		if (keys[i].type == SECRET)
			*file_of(c, &keys[i]) = strdup(g->said_file[i].text != NULL ? g->said_file[i].text : "");
	}
}

/* ---- all of it ---- */

/* The file to read, "" for none. */
static const char *path_choose(const char *path)
{
	FILE *file;

	if (path == NULL)
		path = getenv(PATH_VARIABLE);
	if (path != NULL)
		return path;
	file = fopen(PATH_DEFAULT, "re");
	if (file == NULL && errno == ENOENT)
		return "";
	if (file != NULL)
		fclose(file);
	return PATH_DEFAULT;
}

static void loading_free(struct loading *g)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (g->said[i].text != NULL && keys[i].type == SECRET)
			explicit_bzero(g->said[i].text, strlen(g->said[i].text));
		free(g->said[i].text);
		free(g->said_file[i].text);
	}
	free(g);
}

/* Whether there was memory for every text. */
static bool is_complete(const struct config *c)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if ((keys[i].type == TEXT || keys[i].type == SECRET) &&
		    (*(char *const *)((const char *)c + keys[i].offset) == NULL ||
		     (keys[i].type == SECRET && *file_of(c, &keys[i]) == NULL)))
			return false;
	return true;
}

int config_load(struct config *c, const char *path, char error[CONFIG_ERROR_MAX])
{
	struct loading *g = calloc(1, sizeof(*g));
	int mistakes;

	memset(c, 0, sizeof(*c));
	error[0] = '\0';
	if (g == NULL) {
		snprintf(error, CONFIG_ERROR_MAX, "no memory");
		return -1;
	}
	g->error = error;
	g->path = path_choose(path);
	c->path = strdup(g->path);
	if (c->path == NULL)
		(void)complain(g, "no memory");
	if (g->path[0] != '\0')
		(void)file_read(g);
	environment_check(g);
	(void)environment_read(g);
	secrets_read(g);
	values_set(g, c);
	if (is_complete(c))
		values_check(g, c);
	else if (g->mistakes == 0)
		(void)complain(g, "no memory");
	mistakes = g->mistakes;
	if (mistakes > CONFIG_MISTAKES_MAX)
		snprintf(error + strlen(error), CONFIG_ERROR_MAX - strlen(error), "\nand %d more",
		         mistakes - CONFIG_MISTAKES_MAX);
	loading_free(g);
	CHECK((mistakes == 0) == (error[0] == '\0'));
	return mistakes == 0 ? 0 : -1;
}

void config_free(struct config *c)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		char **field = (char **)((char *)c + keys[i].offset);

		if (keys[i].type != TEXT && keys[i].type != SECRET)
			continue;
		if (*field != NULL && keys[i].type == SECRET)
			explicit_bzero(*field, strlen(*field));
		free(*field);
		*field = NULL;
		if (keys[i].type == SECRET) {
			free(*file_of(c, &keys[i]));
			*file_of(c, &keys[i]) = NULL;
		}
	}
	free(c->path);
	c->path = NULL;
}

void config_topup_url(const struct config *c, char url[CONFIG_URL_MAX])
{
	const size_t length = strlen(c->public_url);
	const int kept = (int)(length > 0 && c->public_url[length - 1] == '/' ? length - 1 : length);

	url[0] = '\0';
	if (c->topup_url[0] != '\0')
		snprintf(url, CONFIG_URL_MAX, "%s", c->topup_url);
	else if (length > 0)
		snprintf(url, CONFIG_URL_MAX, "%.*s/billing", kept, c->public_url);
}

int config_connections(const struct config *c)
{
	return c->db_connections > 0 ? (int)c->db_connections : CONNECTIONS_DEFAULT;
}

void config_each(const struct config *c, void (*visit)(void *context, const char *name, const char *value),
                 void *context)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const void *field = (const char *)c + keys[i].offset;
		char text[MONEY_TEXT_MAX];

		switch (keys[i].type) {
		case TEXT:
			visit(context, keys[i].name, *(char *const *)field);
			break;
		case SECRET:
			visit(context, keys[i].name, (*(char *const *)field)[0] != '\0' ? "(set)" : "");
			break;
		case SWITCH:
			visit(context, keys[i].name, *(const bool *)field ? "on" : "off");
			break;
		case NUMBER:
		case DECIMAL:
			decimal_format(*(const int64_t *)field, keys[i].type == DECIMAL ? DECIMAL_SCALE : 0, 0, text);
			visit(context, keys[i].name, text);
			break;
		}
	}
}

void config_each_file(const struct config *c, void (*visit)(void *context, const char *name, const char *path),
                      void *context)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (keys[i].type == SECRET && (*file_of(c, &keys[i]))[0] != '\0')
			visit(context, keys[i].name, *file_of(c, &keys[i]));
}
