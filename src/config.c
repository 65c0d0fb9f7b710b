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

#include "base/check.h"
#include "base/money.h"
#include "base/signature.h"
#include "prices/counts.h"

#define PATH_DEFAULT "/etc/octroi/octroi.conf"
#define PATH_VARIABLE "OCTROI_CONF"
#define VARIABLE_PREFIX "OCTROI_"
#define FILE_SUFFIX "_file"
#define NAME_MAX_BYTES 64
#define CONNECTIONS_DEFAULT 8
#define DECIMAL_SCALE 6
#define TOKEN_SECRET_MIN_BYTES 32

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
	char *text;                       /* NULL: none */
	char where[CONFIG_ERROR_MAX / 2]; /* "octroi.conf:12" or "OCTROI_THREADS" */
};

struct loading {
	const char *path;
	FILE *file;
	int line;
	struct said said[KEY_COUNT];
	struct said said_file[KEY_COUNT]; /* path of a file with the secret */
	char *error;                      /* CONFIG_ERROR_MAX bytes, "" so far */
};

/* Keeps the first complaint.  Always returns -1. */
static int complain(struct loading *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int complain(struct loading *g, const char *format, ...)
{
	va_list arguments;

	if (g->error[0] != '\0')
		return -1;
	va_start(arguments, format);
	vsnprintf(g->error, CONFIG_ERROR_MAX, format, arguments);
	va_end(arguments);
	return -1;
}

static int say_mistake(struct loading *g, struct said *said, const char *text, const char *where)
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

static int said_in_file(struct loading *g, const char *name, const char *text)
{
	char where[CONFIG_ERROR_MAX / 2];

	snprintf(where, sizeof(where), "%.100s:%d", g->path, g->line);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		size_t length = strlen(keys[i].name);
		bool of_file = keys[i].type == SECRET && strncmp(name, keys[i].name, length) == 0 &&
		               strcmp(name + length, FILE_SUFFIX) == 0;
		struct said *said = of_file ? &g->said_file[i] : &g->said[i];

		if (!of_file && strcmp(name, keys[i].name) != 0)
			continue;
		if (said->text != NULL)
			return complain(g, "%s: \"%s\" comes twice (a key begins its line, without blanks)", where,
			                name);
		return say_mistake(g, said, text, where);
	}
	return complain(g, "%s: unknown key \"%.64s\"", where, name);
}

/* inih's ini_handler; sections are decoration.  0 stands for an error there. */
static int file_pair(void *context, const char *section, const char *name, const char *text)
{
	(void)section;
	return said_in_file(context, name, text) == 0;
}

/* inih's ini_reader: counts lines, and complains of one that inih would cut. */
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
	else if (line != 0)
		(void)complain(g, "%.150s:%d: neither key = value nor a comment", g->path, line);
	fclose(g->file);
	return g->error[0] == '\0' ? 0 : -1;
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
		if (text != NULL && say_mistake(g, &g->said[i], text, name) < 0)
			return -1;
		if (path != NULL && say_mistake(g, &g->said_file[i], path, name_file) < 0)
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
		return complain(g, "%s: %.100s: %s", at->where, at->text, strerror(errno));
	length = fread(secret, 1, sizeof(secret) - 1, file);
	if (ferror(file))
		(void)complain(g, "%s: %.100s: %s", at->where, at->text, strerror(errno));
	else if (!feof(file) || memchr(secret, '\0', length) != NULL)
		(void)complain(g, "%s: %.100s: too long or binary", at->where, at->text);
	else
		result = 0;
	fclose(file);
	while (length > 0 && (secret[length - 1] == '\n' || secret[length - 1] == '\r'))
		length--;
	secret[length] = '\0';
	if (result == 0)
		result = say_mistake(g, &g->said[i], secret, at->where);
	explicit_bzero(secret, sizeof(secret));
	return result;
}

static int secrets_read(struct loading *g)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (g->said_file[i].text == NULL)
			continue;
		if (g->said[i].text != NULL)
			return complain(g, "%s: %s is set both directly and by a file", g->said_file[i].where,
			                keys[i].name);
		if (secret_read(g, i) < 0)
			return -1;
	}
	return 0;
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

/* Stores the value in the key's field of c.  A text is quoted in complaints unless it is a secret. */
static int value_set(struct loading *g, struct config *c, const struct key *key, const char *text, const char *where)
{
	void *field = (char *)c + key->offset;
	char range[2 * MONEY_TEXT_MAX + 8];
	int64_t value = 0;

	range_format(key, range);
	switch (key->type) {
	case TEXT:
	case SECRET:
		if (!text_good(key, text))
			return complain(g, "%s: %s must be %s plain characters long", where, key->name, range);
		*(char **)field = strdup(text);
		return *(char **)field != NULL ? 0 : complain(g, "no memory");
	case SWITCH:
		if (switch_parse(text, field) < 0)
			return complain(g, "%s: %s must be on or off, not \"%.40s\"", where, key->name, text);
		return 0;
	case NUMBER:
	case DECIMAL:
		if (key->type == NUMBER ? number_parse(text, &value) < 0
		                        : decimal_parse(text, strlen(text), DECIMAL_SCALE, false, &value) < 0)
			return complain(g, "%s: %s must be a %s, not \"%.40s\"", where, key->name,
			                key->type == NUMBER ? "whole number" : "decimal with at most 6 places", text);
		if (value < key->low || value > key->high)
			return complain(g, "%s: %s must be %s, not \"%.40s\"", where, key->name, range, text);
		*(int64_t *)field = value;
		return 0;
	}
	UNREACHABLE("every type is in the switch");
}

static bool one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
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

static int people_check(struct loading *g, const struct config *c)
{
	static const char *const units[] = {"money", "credit", NULL};
	static const char *const algorithms[] = {"RS256", "ES256", NULL};
	const char *url = c->jwt_jwks_url[0] != '\0' ? c->jwt_jwks_url : c->jwt_issuer;

	if (!one_of(c->bonus_unit, units))
		return complain(g, "bonus_unit must be money or credit, not \"%.10s\"", c->bonus_unit);
	if (!one_of(c->jwt_algorithm, algorithms))
		return complain(g, "jwt_algorithm must be RS256 or ES256, not \"%.10s\"", c->jwt_algorithm);
	if (c->jwt_issuer[0] != '\0' && !is_trusted_url(url))
		return complain(g, "jwt_jwks_url, or else jwt_issuer, must begin with https://");
	if (c->stripe_secret_key[0] != '\0' && !is_trusted_url(c->stripe_api_base))
		return complain(g, "stripe_api_base must begin with https://: the secret key goes there");
	return 0;
}

/* An empty or guessable secret would make everybody's signature good. */
static int webhooks_check(struct loading *g, const struct config *c)
{
	if (c->stripe_secret_key[0] != '\0' && c->stripe_webhook_secret[0] == '\0')
		return complain(g, "stripe_secret_key needs stripe_webhook_secret: payments would not be "
		                   "credited");
	if (c->stripe_webhook_secret[0] != '\0' &&
	    signature_check_secrets(c->stripe_webhook_secret, SIGNATURE_STRIPE) != 0)
		return complain(g, "stripe_webhook_secret must be empty or Stripe's whole whsec_…; at least 32 "
		                   "characters each");
	if (c->clerk_webhook_secret[0] != '\0' && signature_check_secrets(c->clerk_webhook_secret, SIGNATURE_SVIX) != 0)
		return complain(g, "clerk_webhook_secret must be empty or whsec_ and base64 of at least 24 bytes each");
	return 0;
}

/* Checks the keys of the platform, and the URLs to which they are sent. */
static int probes_check(struct loading *g, const struct config *c)
{
	if (strpbrk(c->openai_api_key, " \t") != NULL)
		return complain(g, "openai_api_key must not hold blanks");
	if (strpbrk(c->anthropic_api_key, " \t") != NULL)
		return complain(g, "anthropic_api_key must not hold blanks");
	if (!is_trusted_url(c->openai_api_base))
		return complain(g, "openai_api_base must begin with https://");
	if (!is_trusted_url(c->anthropic_api_base))
		return complain(g, "anthropic_api_base must begin with https://");
	return 0;
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

/* Checks the rules that a key's range cannot express. */
static int values_check(struct loading *g, const struct config *c)
{
	static const char *const expiries[] = {"release", "capture", NULL};
	static const char *const upgrades[] = {"prorated", "full", "next_period", NULL};
	static const char *const free_periods[] = {"none", "trials", "all", NULL};
	static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
	static const char *const sandboxes[] = {"auto", "on", "off", NULL};

	if (!one_of(c->hold_expiry, expiries))
		return complain(g, "hold_expiry must be release or capture, not \"%.10s\"", c->hold_expiry);
	if (!one_of(c->plan_upgrade, upgrades))
		return complain(g, "plan_upgrade must be prorated, full or next_period, not \"%.16s\"",
		                c->plan_upgrade);
	if (!one_of(c->plan_free_periods, free_periods))
		return complain(g, "plan_free_periods must be none, trials or all, not \"%.10s\"",
		                c->plan_free_periods);
	if (counts_read(&(struct counts){{0}}, c->estimate_counts, strlen(c->estimate_counts)) != 0)
		return complain(g, "estimate_counts must be counts such as seconds=60,images=1, in the order of "
		                   "docs/prices.md");
	if (!policies_valid(c->provider_cost))
		return complain(g, "provider_cost must be such as openrouter:prefer,other:max, not \"%.40s\"",
		                c->provider_cost);
	if (!one_of(c->log_level, levels))
		return complain(g, "log_level must be error, warning, info or debug, not \"%.10s\"", c->log_level);
	if (!one_of(c->sandbox, sandboxes))
		return complain(g, "sandbox must be auto, on or off, not \"%.10s\"", c->sandbox);
	if (strspn(c->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(c->currency))
		return complain(g, "currency must be three capital letters, not \"%.10s\"", c->currency);
	if (c->token_secret[0] != '\0' && strlen(c->token_secret) < TOKEN_SECRET_MIN_BYTES)
		return complain(g, "token_secret must be empty or at least %d characters long", TOKEN_SECRET_MIN_BYTES);
	if (c->topup_min > c->topup_max)
		return complain(g, "topup_min must not be larger than topup_max");
	if (strpbrk(c->stripe_secret_key, " \t") != NULL)
		return complain(g, "stripe_secret_key must not hold blanks");
	if (webhooks_check(g, c) != 0 || probes_check(g, c) != 0)
		return -1;
	return people_check(g, c);
}

static int values_set(struct loading *g, struct config *c)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct said *said = &g->said[i];
		const char *text = said->text != NULL ? said->text : keys[i].fallback;

		if (value_set(g, c, &keys[i], text, said->text != NULL ? said->where : "default") < 0)
			return -1;
	}
	return values_check(g, c);
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

int config_load(struct config *c, const char *path, char error[CONFIG_ERROR_MAX])
{
	struct loading *g = calloc(1, sizeof(*g));
	int result = -1;

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
	else if (g->path[0] == '\0' || file_read(g) == 0)
		result = environment_read(g) == 0 && secrets_read(g) == 0 && values_set(g, c) == 0 ? 0 : -1;
	loading_free(g);
	CHECK((result == 0) == (error[0] == '\0'));
	return result;
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
