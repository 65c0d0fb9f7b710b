#define _GNU_SOURCE
#include "conf.h"

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

#define FILE_SUFFIX "_file"
#define NAME_MAX_BYTES 64
#define DECIMAL_SCALE 6
#define WHERE_MAX 128
#define LIST_MAX 128
/* A name with so many typing mistakes at most, one in three characters, is taken for a mistyped one. */
#define TYPING_MISTAKES_MAX 3
#define TYPING_SHARE 3

/* The text given for a key, before it is checked. */
struct said {
	char *text;            /* NULL: none */
	char where[WHERE_MAX]; /* "octroi.conf:12" or "OCTROI_THREADS" */
};

struct conf_loading {
	const struct conf_program *program;
	const char *path;
	FILE *file;
	int line;
	struct said said[CONF_KEYS_MAX];
	struct said said_file[CONF_KEYS_MAX]; /* path of a file with the secret */
	char *error;                          /* CONF_ERROR_MAX bytes: the mistakes so far, one a line */
	int mistakes;
};

int conf_complain(struct conf_loading *g, const char *format, ...)
{
	const size_t length = strlen(g->error);
	va_list arguments;

	if (++g->mistakes > CONF_MISTAKES_MAX)
		return -1;
	if (length > 0)
		snprintf(g->error + length, CONF_ERROR_MAX - length, "\n");
	va_start(arguments, format);
	vsnprintf(g->error + strlen(g->error), CONF_ERROR_MAX - strlen(g->error), format, arguments);
	va_end(arguments);
	return -1;
}

const char *conf_where(const struct conf_loading *g, const char *name)
{
	for (size_t i = 0; i < g->program->key_count; i++)
		if (strcmp(g->program->keys[i].name, name) == 0)
			return g->said[i].text != NULL ? g->said[i].where : "default";
	UNREACHABLE("every name is a key's");
}

static int keep_text(struct conf_loading *g, struct said *said, const char *text, const char *where)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return conf_complain(g, "no memory");
	free(said->text);
	said->text = copy;
	snprintf(said->where, sizeof(said->where), "%s", where);
	return 0;
}

/* ---- the file ---- */

/* The known key that is nearest to a mistyped one. */
static struct nearest nearest_key(const struct conf_program *p, const char *name)
{
	struct nearest found = {.said = name};

	for (size_t i = 0; i < p->key_count; i++)
		nearest_offer(&found, p->keys[i].name, p->keys[i].name);
	return found;
}

static int said_in_file(struct conf_loading *g, const char *name, const char *text)
{
	char place[WHERE_MAX];

	snprintf(place, sizeof(place), "%.100s:%d", g->path, g->line);
	for (size_t i = 0; i < g->program->key_count; i++) {
		size_t length = strlen(g->program->keys[i].name);
		bool of_file = g->program->keys[i].type == CONF_SECRET &&
		               strncmp(name, g->program->keys[i].name, length) == 0 &&
		               strcmp(name + length, FILE_SUFFIX) == 0;
		struct said *said = of_file ? &g->said_file[i] : &g->said[i];

		if (!of_file && strcmp(name, g->program->keys[i].name) != 0)
			continue;
		if (said->text != NULL)
			return conf_complain(g, "%s: \"%s\" comes twice, here and at %s", place, name, said->where);
		return keep_text(g, said, text, place);
	}
	return conf_complain(g, "%s: unknown key \"%.64s\"; the nearest is \"%s\"", place, name,
	                     nearest_key(g->program, name).name);
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
static bool is_line(struct conf_loading *g, const char *line)
{
	const char *text = line + strspn(line, " \t\r\n\v\f");

	if (*text == '\0' || *text == '#' || *text == ';')
		return true;
	if (*text == '[')
		(void)conf_complain(g, "%.100s:%d: there are no sections: \"%.*s\"", g->path, g->line,
		                    (int)strcspn(text, "\r\n") < 40 ? (int)strcspn(text, "\r\n") : 40, text);
	else if (text != line)
		(void)conf_complain(g, "%.100s:%d: a key begins its line, without blanks", g->path, g->line);
	else if (strpbrk(text, "=:") == NULL)
		(void)conf_complain(g, "%.100s:%d: neither key = value nor a comment", g->path, g->line);
	else
		return true;
	return false;
}

/* inih's ini_reader: counts lines, takes out those with a mistake, and stops at one that inih would cut. */
static char *file_line(char *out, int size, void *context)
{
	struct conf_loading *g = context;
	size_t length;

	if (fgets(out, size, g->file) == NULL)
		return NULL;
	g->line++;
	length = strlen(out);
	if (length == 0 || (out[length - 1] != '\n' && !feof(g->file))) {
		(void)conf_complain(g,
		                    "%.100s:%d: line too long or binary (a long secret may stand in a file of "
		                    "its own: <key>_file)",
		                    g->path, g->line);
		return NULL;
	}
	if (!is_line(g, out))
		snprintf(out, (size_t)size, "\n");
	return out;
}

static int file_read(struct conf_loading *g)
{
	int line;

	g->file = fopen(g->path, "re");
	if (g->file == NULL)
		return conf_complain(g, "%.150s: %s", g->path, strerror(errno));
	line = ini_parse_stream(file_line, g, file_pair, g);
	if (ferror(g->file))
		(void)conf_complain(g, "%.150s: %s", g->path, strerror(errno));
	else if (line != 0 && g->mistakes == 0)
		(void)conf_complain(g, "%.150s:%d: neither key = value nor a comment", g->path, line);
	fclose(g->file);
	return 0;
}

/* ---- the environment ---- */

static const char *variable(const struct conf_program *p, const struct conf_key *key, const char *suffix,
                            char name[NAME_MAX_BYTES])
{
	int length = snprintf(name, NAME_MAX_BYTES, "%s%s%s", p->prefix, key->name, suffix);

	CHECK(length > 0 && length < NAME_MAX_BYTES);
	for (char *c = name; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	return getenv(name);
}

/* Refuses a variable that is nearly a key's.  Others are not octroi's: applications have some of that beginning. */
static void environment_check(struct conf_loading *g)
{
	const size_t start = strlen(g->program->prefix);

	for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
		char name[NAME_MAX_BYTES], known[NAME_MAX_BYTES];
		const size_t length = strcspn(*entry, "=");
		struct nearest found;

		if (strncmp(*entry, g->program->prefix, start) != 0 || length - start >= sizeof(name))
			continue;
		for (size_t i = start; i <= length; i++)
			name[i - start] = i < length ? (char)tolower((unsigned char)(*entry)[i]) : '\0';
		found = nearest_key(g->program, name);
		if (found.distance == 0 || found.distance > TYPING_MISTAKES_MAX ||
		    found.distance * TYPING_SHARE > strlen(name))
			continue;
		(void)snprintf(known, sizeof(known), "%s", found.name);
		for (char *c = known; *c != '\0'; c++)
			*c = (char)toupper((unsigned char)*c);
		(void)conf_complain(g, "%.*s: no variable of %s's; the nearest is %s%s", (int)length, *entry,
		                    g->program->name, g->program->prefix, known);
	}
}

/* Reads the environment.  A key's variable, direct or naming a file, replaces all that the file said about the key. */
static int environment_read(struct conf_loading *g)
{
	for (size_t i = 0; i < g->program->key_count; i++) {
		char name[NAME_MAX_BYTES], name_file[NAME_MAX_BYTES];
		const char *text = variable(g->program, &g->program->keys[i], "", name);
		const char *path = g->program->keys[i].type == CONF_SECRET
		                           ? variable(g->program, &g->program->keys[i], FILE_SUFFIX, name_file)
		                           : NULL;

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

static int secret_read(struct conf_loading *g, size_t i)
{
	char secret[2048];
	const struct said *at = &g->said_file[i];
	FILE *file = fopen(at->text, "re");
	size_t length;
	int result = -1;

	if (file == NULL)
		return conf_complain(g, "%s: %s" FILE_SUFFIX ": %.100s: %s", at->where, g->program->keys[i].name,
		                     at->text, strerror(errno));
	length = fread(secret, 1, sizeof(secret) - 1, file);
	if (ferror(file))
		(void)conf_complain(g, "%s: %s" FILE_SUFFIX ": %.100s: %s", at->where, g->program->keys[i].name,
		                    at->text, strerror(errno));
	else if (!feof(file) || memchr(secret, '\0', length) != NULL)
		(void)conf_complain(g, "%s: %s" FILE_SUFFIX ": %.100s: too long or binary", at->where,
		                    g->program->keys[i].name, at->text);
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

static void secrets_read(struct conf_loading *g)
{
	for (size_t i = 0; i < g->program->key_count; i++) {
		if (g->said_file[i].text == NULL)
			continue;
		if (g->said[i].text != NULL)
			(void)conf_complain(g, "%s: %s is set both directly, at %s, and by a file",
			                    g->said_file[i].where, g->program->keys[i].name, g->said[i].where);
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
static bool text_good(const struct conf_key *key, const char *text)
{
	int64_t length = (int64_t)strlen(text);

	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	return length >= key->low && length <= key->high;
}

static void range_format(const struct conf_key *key, char out[2 * MONEY_TEXT_MAX + 8])
{
	char low[MONEY_TEXT_MAX], high[MONEY_TEXT_MAX];

	decimal_format(key->low, key->type == CONF_DECIMAL ? DECIMAL_SCALE : 0, 0, low);
	decimal_format(key->high, key->type == CONF_DECIMAL ? DECIMAL_SCALE : 0, 0, high);
	snprintf(out, 2 * MONEY_TEXT_MAX + 8, "%s to %s", low, high);
}

/* Stores a text in its field.  A text is quoted in complaints unless it is a secret. */
static int text_set(struct conf_loading *g, char **field, const struct conf_key *key, const char *text,
                    const char *place)
{
	char range[2 * MONEY_TEXT_MAX + 8];

	range_format(key, range);
	if (!text_good(key, text) && key->type == CONF_SECRET)
		return conf_complain(g, "%s: %s must be %s plain characters long", place, key->name, range);
	if (!text_good(key, text))
		return conf_complain(g, "%s: %s must be %s plain characters long, not \"%.40s\"", place, key->name,
		                     range, text);
	*field = strdup(text);
	return *field != NULL ? 0 : conf_complain(g, "no memory");
}

static int number_set(struct conf_loading *g, int64_t *field, const struct conf_key *key, const char *text,
                      const char *place)
{
	char range[2 * MONEY_TEXT_MAX + 8];
	int64_t value = 0;

	range_format(key, range);
	if (key->type == CONF_NUMBER ? number_parse(text, &value) < 0
	                             : decimal_parse(text, strlen(text), DECIMAL_SCALE, false, &value) < 0)
		return conf_complain(g, "%s: %s must be a %s, not \"%.40s\"", place, key->name,
		                     key->type == CONF_NUMBER ? "whole number" : "decimal with at most 6 places", text);
	if (value < key->low || value > key->high)
		return conf_complain(g, "%s: %s must be %s, not \"%.40s\"", place, key->name, range, text);
	*field = value;
	return 0;
}

/* Stores the value in the key's field of c. */
static int value_set(struct conf_loading *g, void *values, const struct conf_key *key, const char *text,
                     const char *place)
{
	void *field = (char *)values + key->offset;

	switch (key->type) {
	case CONF_TEXT:
	case CONF_SECRET:
		return text_set(g, field, key, text, place);
	case CONF_SWITCH:
		if (switch_parse(text, field) < 0)
			return conf_complain(g, "%s: %s must be on or off, not \"%.40s\"", place, key->name, text);
		return 0;
	case CONF_NUMBER:
	case CONF_DECIMAL:
		return number_set(g, field, key, text, place);
	}
	UNREACHABLE("every type is in the switch");
}

void conf_check_choice(struct conf_loading *g, const char *name, const char *const *words, const char *value)
{
	char list[LIST_MAX] = "";

	for (int i = 0; words[i] != NULL; i++) {
		const char *before = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";

		if (strcmp(value, words[i]) == 0)
			return;
		(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", before, words[i]);
	}
	(void)conf_complain(g, "%s: %s must be %s, not \"%.40s\"", conf_where(g, name), name, list, value);
}

bool conf_host_is(const char *url, const char *start)
{
	const size_t length = strlen(start);

	if (strncmp(url, start, length) != 0)
		return false;
	url += length;
	if (*url == ':')
		url += 1 + strspn(url + 1, "0123456789");
	return *url == '\0' || *url == '/' || *url == '?';
}

bool conf_is_trusted_url(const char *url)
{
	return strncmp(url, "https://", 8) == 0 || conf_host_is(url, "http://127.0.0.1") ||
	       conf_host_is(url, "http://localhost") || conf_host_is(url, "http://[::1]");
}

bool conf_has_scheme(const char *url)
{
	const size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;

	return scheme > 0 && strcspn(url + scheme, "/?# ") > 0;
}

bool conf_is_address(const char *text)
{
	return *text == '\0' || strncmp(text, "unix:/", 6) == 0 || strncmp(text, "127.0.0.1:", 10) == 0 ||
	       strncmp(text, "[::1]:", 6) == 0;
}

/* The member beside a secret: the path of its file. */
static char **file_of(const void *values, const struct conf_key *key)
{
	return (char **)((char *)(uintptr_t)values + key->offset) + 1;
}

/* Stores every value.  A key with a mistake gets its default, so that the other rules can be checked. */
static void values_set(struct conf_loading *g, void *values)
{
	for (size_t i = 0; i < g->program->key_count; i++) {
		const struct said *said = &g->said[i];

		if (said->text == NULL || value_set(g, values, &g->program->keys[i], said->text, said->where) < 0)
			(void)value_set(g, values, &g->program->keys[i], g->program->keys[i].fallback, "default");
		if (g->program->keys[i].type == CONF_SECRET)
			*file_of(values, &g->program->keys[i]) =
				strdup(g->said_file[i].text != NULL ? g->said_file[i].text : "");
	}
}

/* ---- all of it ---- */

static char **path_member(const struct conf_program *p, void *values)
{
	return (char **)((char *)values + p->path_offset);
}

/* The file to read, "" for none. */
static const char *path_choose(const struct conf_program *p, const char *path)
{
	FILE *file;

	if (path == NULL)
		path = getenv(p->path_variable);
	if (path != NULL)
		return path;
	file = fopen(p->path_default, "re");
	if (file == NULL && errno == ENOENT)
		return "";
	if (file != NULL)
		fclose(file);
	return p->path_default;
}

static void loading_free(struct conf_loading *g)
{
	for (size_t i = 0; i < g->program->key_count; i++) {
		if (g->said[i].text != NULL && g->program->keys[i].type == CONF_SECRET)
			explicit_bzero(g->said[i].text, strlen(g->said[i].text));
		free(g->said[i].text);
		free(g->said_file[i].text);
	}
	free(g);
}

/* Whether there was memory for every text. */
static bool is_complete(const struct conf_program *p, const void *values)
{
	for (size_t i = 0; i < p->key_count; i++)
		if ((p->keys[i].type == CONF_TEXT || p->keys[i].type == CONF_SECRET) &&
		    (*(char *const *)((const char *)values + p->keys[i].offset) == NULL ||
		     (p->keys[i].type == CONF_SECRET && *file_of(values, &p->keys[i]) == NULL)))
			return false;
	return true;
}

int conf_load(const struct conf_program *p, void *values, const char *path, char error[CONF_ERROR_MAX])
{
	struct conf_loading *g = calloc(1, sizeof(*g));
	int mistakes;

	CHECK(p->key_count <= CONF_KEYS_MAX);
	memset(values, 0, p->size);
	error[0] = '\0';
	if (g == NULL) {
		snprintf(error, CONF_ERROR_MAX, "no memory");
		return -1;
	}
	g->program = p;
	g->error = error;
	g->path = path_choose(p, path);
	*path_member(p, values) = strdup(g->path);
	if (*path_member(p, values) == NULL)
		(void)conf_complain(g, "no memory");
	if (g->path[0] != '\0')
		(void)file_read(g);
	environment_check(g);
	(void)environment_read(g);
	secrets_read(g);
	values_set(g, values);
	if (is_complete(p, values))
		p->check(g, values);
	else if (g->mistakes == 0)
		(void)conf_complain(g, "no memory");
	mistakes = g->mistakes;
	if (mistakes > CONF_MISTAKES_MAX)
		snprintf(error + strlen(error), CONF_ERROR_MAX - strlen(error), "\nand %d more",
		         mistakes - CONF_MISTAKES_MAX);
	loading_free(g);
	CHECK((mistakes == 0) == (error[0] == '\0'));
	return mistakes == 0 ? 0 : -1;
}

void conf_free(const struct conf_program *p, void *values)
{
	for (size_t i = 0; i < p->key_count; i++) {
		char **field = (char **)((char *)values + p->keys[i].offset);

		if (p->keys[i].type != CONF_TEXT && p->keys[i].type != CONF_SECRET)
			continue;
		if (*field != NULL && p->keys[i].type == CONF_SECRET)
			explicit_bzero(*field, strlen(*field));
		free(*field);
		*field = NULL;
		if (p->keys[i].type == CONF_SECRET) {
			free(*file_of(values, &p->keys[i]));
			*file_of(values, &p->keys[i]) = NULL;
		}
	}
	free(*path_member(p, values));
	*path_member(p, values) = NULL;
}

void conf_each(const struct conf_program *p, const void *values,
               void (*visit)(void *context, const char *name, const char *value), void *context)
{
	for (size_t i = 0; i < p->key_count; i++) {
		const void *field = (const char *)values + p->keys[i].offset;
		char text[MONEY_TEXT_MAX];

		switch (p->keys[i].type) {
		case CONF_TEXT:
			visit(context, p->keys[i].name, *(char *const *)field);
			break;
		case CONF_SECRET:
			visit(context, p->keys[i].name, (*(char *const *)field)[0] != '\0' ? "(set)" : "");
			break;
		case CONF_SWITCH:
			visit(context, p->keys[i].name, *(const bool *)field ? "on" : "off");
			break;
		case CONF_NUMBER:
		case CONF_DECIMAL:
			decimal_format(*(const int64_t *)field, p->keys[i].type == CONF_DECIMAL ? DECIMAL_SCALE : 0, 0,
			               text);
			visit(context, p->keys[i].name, text);
			break;
		}
	}
}

void conf_each_file(const struct conf_program *p, const void *values,
                    void (*visit)(void *context, const char *name, const char *path), void *context)
{
	for (size_t i = 0; i < p->key_count; i++)
		if (p->keys[i].type == CONF_SECRET && (*file_of(values, &p->keys[i]))[0] != '\0')
			visit(context, p->keys[i].name, *file_of(values, &p->keys[i]));
}
