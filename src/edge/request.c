#include "edge/request.h"

#include <limits.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/hex.h"
#include "edge/frame.h"

#define ID_RANDOM_BYTES 16

enum trust { SERVER, SECURITY, CLIENT };

#define HEADER_PREFIX "HTTP_"
#define HEADER_PREFIX_LENGTH (sizeof(HEADER_PREFIX) - 1)
/* Listed parameters that only the web server may set begin so.  A client's header can only come as HTTP_OCTROI_...,
 * which is refused in case a configuration confuses the two. */
#define OWN_PREFIX "OCTROI_"
#define OWN_PREFIX_LENGTH (sizeof(OWN_PREFIX) - 1)

static const struct listed {
	const char *name;
	size_t length;
	enum trust trust;
} listed[] = {
#define PARAMETER(name, trust) {#name, sizeof(#name) - 1, trust},
#include "edge/parameters.def"
#undef PARAMETER
};

#define LISTED_COUNT (sizeof(listed) / sizeof(listed[0]))

/* Place in the list, or -1. */
static int listed_find(const char *name, size_t length)
{
	for (size_t i = 0; i < LISTED_COUNT; i++)
		if (listed[i].length == length && memcmp(listed[i].name, name, length) == 0)
			return (int)i;
	return -1;
}

static bool forged(const char *name, size_t length)
{
	if (length <= HEADER_PREFIX_LENGTH || memcmp(name, HEADER_PREFIX, HEADER_PREFIX_LENGTH) != 0)
		return false;
	name += HEADER_PREFIX_LENGTH;
	length -= HEADER_PREFIX_LENGTH;
	return length > OWN_PREFIX_LENGTH && memcmp(name, OWN_PREFIX, OWN_PREFIX_LENGTH) == 0 &&
	       listed_find(name, length) >= 0;
}

static bool control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* A tab may stand inside a header's value. */
static bool value_plain(const char *value)
{
	for (; *value != '\0'; value++)
		if (control((unsigned char)*value) && *value != '\t')
			return false;
	return true;
}

static void defect_set(struct request *r, enum request_defect defect)
{
	if (r->defect == REQUEST_SOUND)
		r->defect = defect;
}

/* Keeps the listed parameters; found[] is in the list's order. */
static void parameters_sift(struct request *r, const char *const *parameters, const char *found[LISTED_COUNT])
{
	for (; *parameters != NULL; parameters++) {
		const char *equals = strchr(*parameters, '=');
		size_t length = equals != NULL ? (size_t)(equals - *parameters) : 0;
		int place = listed_find(*parameters, length);

		if (forged(*parameters, length))
			defect_set(r, REQUEST_FORGED_PARAMETER);
		if (place < 0)
			continue;
		CHECK(equals != NULL);
		if (found[place] != NULL && listed[place].trust == SECURITY)
			defect_set(r, REQUEST_DUPLICATE_PARAMETER);
		if (!value_plain(equals + 1))
			defect_set(r, REQUEST_BAD_TARGET);
		found[place] = *parameters;
	}
}

static int parameters_keep(struct request *r, const char *const *parameters)
{
	const char *found[LISTED_COUNT] = {NULL};
	const char **kept = arena_alloc(r->arena, (LISTED_COUNT + 1) * sizeof(*kept));
	size_t count = 0;

	if (kept == NULL)
		return -1;
	parameters_sift(r, parameters, found);
	for (size_t i = 0; i < LISTED_COUNT; i++)
		if (found[i] != NULL)
			kept[count++] = found[i];
	kept[count] = NULL;
	r->parameters = kept;
	return 0;
}

const char *request_parameter(const struct request *r, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; r->parameters != NULL && r->parameters[i] != NULL; i++)
		if (strncmp(r->parameters[i], name, length) == 0 && r->parameters[i][length] == '=')
			return r->parameters[i] + length + 1;
	CHECK(listed_find(name, length) >= 0);
	return NULL;
}

static bool id_well_formed(const char *text)
{
	size_t length;

	if (text == NULL)
		return false;
	length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return length > 0 && length < REQUEST_ID_MAX && text[length] == '\0';
}

static void id_choose(struct request *r)
{
	static const char hex[] = "0123456789abcdef";
	const char *given = request_parameter(r, "HTTP_X_REQUEST_ID");
	unsigned char random[ID_RANDOM_BYTES];

	if (!id_well_formed(given))
		given = request_parameter(r, "OCTROI_REQUEST_ID");
	if (id_well_formed(given)) {
		memcpy(r->id, given, strlen(given) + 1);
		return;
	}
	digest_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++) {
		r->id[2 * i] = hex[random[i] >> 4];
		r->id[2 * i + 1] = hex[random[i] & 15];
	}
	r->id[2 * sizeof(random)] = '\0';
}

/* Length in bytes of the UTF-8 sequence that begins here, 0 when it is none (RFC 3629). */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char first_low, first_high, second_low, second_high;
		size_t length;
	} forms[] = {
		{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
		if (at[0] < forms[f].first_low || at[0] > forms[f].first_high)
			continue;
		if (forms[f].length > left)
			return 0;
		if (forms[f].length > 1 && (at[1] < forms[f].second_low || at[1] > forms[f].second_high))
			return 0;
		for (size_t i = 2; i < forms[f].length; i++)
			if ((at[i] & 0xc0) != 0x80)
				return 0;
		return forms[f].length;
	}
	return 0;
}

/* UTF-8 without control characters (NUL is one). */
static bool text_plain(const char *text, size_t length)
{
	for (size_t at = 0; at < length;) {
		size_t sequence = utf8_sequence((const unsigned char *)text + at, length - at);

		if (sequence == 0 || control((unsigned char)text[at]))
			return false;
		at += sequence;
	}
	return true;
}

enum decoding { DECODE_PATH, DECODE_FORM };

/* Percent-decodes into the arena, NUL-terminated.  NULL with *bad set when the result is no plain text, NULL alone
 * when the arena is exhausted.  An encoded slash in a path is refused: it would make two paths of one. */
static char *decode(struct arena *arena, const char *from, size_t length, enum decoding decoding, bool *bad)
{
	char *out = arena_alloc(arena, length + 1);
	size_t written = 0;

	if (out == NULL)
		return NULL;
	for (size_t at = 0; at < length; at++) {
		char c = from[at];

		if (c == '%') {
			int high = length - at > 2 ? hex_digit(from[at + 1]) : -1;
			int low = length - at > 2 ? hex_digit(from[at + 2]) : -1;

			if (high < 0 || low < 0)
				goto bad;
			c = (char)(high << 4 | low);
			at += 2;
			if (c == '/' && decoding == DECODE_PATH)
				goto bad;
		} else if (c == '+' && decoding == DECODE_FORM) {
			c = ' ';
		}
		out[written++] = c;
	}
	out[written] = '\0';
	if (text_plain(out, written))
		return out;
bad:
	*bad = true;
	return NULL;
}

/* Begins with '/', and no segment but the last is empty, none is "." or "..". */
static bool path_canonical(const char *path)
{
	if (path[0] != '/')
		return false;
	while (*path == '/') {
		size_t length = strcspn(++path, "/");

		if (length == 0 && *path != '\0')
			return false;
		if ((length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += length;
	}
	return true;
}

/* The rest of path after the prefix, if the prefix ends at a border of segments; else NULL. */
static const char *path_after(const char *path, const char *prefix, size_t length)
{
	if (strncmp(path, prefix, length) != 0)
		return NULL;
	if (path[length] == '\0')
		return "/";
	return path[length] == '/' ? path + length : NULL;
}

/* On shared hosting the script lies somewhere below the site's root, /credits/octroi.fcgi, and is
 * called with or without its own name: /credits/api/... or /credits/octroi.fcgi/api/... */
static const char *path_below_script(const char *path, const char *script)
{
	static const char suffix[] = ".fcgi";
	size_t length = script != NULL ? strlen(script) : 0;
	const char *below;

	if (length < sizeof(suffix) || strcmp(script + length - strlen(suffix), suffix) != 0)
		return path;
	below = path_after(path, script, length);
	if (below != NULL)
		return below;
	while (length > 0 && script[length - 1] != '/')
		length--;
	below = length > 1 ? path_after(path, script, length - 1) : NULL;
	return below != NULL ? below : path;
}

/* True if the query can be decoded.  The query itself stays raw. */
static bool query_decodes(const char *query)
{
	for (; *query != '\0'; query++) {
		if (control((unsigned char)*query) || *query == '#')
			return false;
		if (*query == '%' && (hex_digit(query[1]) < 0 || hex_digit(query[2]) < 0))
			return false;
	}
	return true;
}

static int target_build(struct request *r)
{
	const char *uri = request_parameter(r, "REQUEST_URI");
	size_t length = uri != NULL ? strcspn(uri, "?#") : 0;
	bool bad = false;
	char *path;

	r->path = "";
	r->query = "";
	if (uri == NULL || uri[length] == '#') {
		defect_set(r, REQUEST_BAD_TARGET);
		return 0;
	}
	path = decode(r->arena, uri, length, DECODE_PATH, &bad);
	if (path == NULL && !bad)
		return -1;
	if (uri[length] == '?')
		r->query = uri + length + 1;
	if (path == NULL || !path_canonical(path) || !query_decodes(r->query)) {
		r->query = "";
		defect_set(r, REQUEST_BAD_TARGET);
		return 0;
	}
	r->path = path_below_script(path, request_parameter(r, "SCRIPT_NAME"));
	return 0;
}

const char *request_query(const struct request *r, const char *name, bool *bad)
{
	const size_t wanted = strlen(name);
	const char *at = r->query;

	while (*at != '\0') {
		size_t length = strcspn(at, "&");
		size_t name_length = strcspn(at, "=&");
		bool ignored = false;
		const char *key = NULL;

		/* Encoded, a byte is one or three.  Names of another length are skipped, so a long query of them
		 * takes no memory. */
		if (name_length >= wanted && name_length <= 3 * wanted) {
			key = decode(r->arena, at, name_length, DECODE_FORM, &ignored);
			if (key == NULL && !ignored) { /* the arena is exhausted: key may be the name */
				*bad = true;
				return NULL;
			}
		}
		if (key != NULL && strcmp(key, name) == 0) {
			size_t skipped = name_length < length ? name_length + 1 : length;
			const char *value = decode(r->arena, at + skipped, length - skipped, DECODE_FORM, bad);

			if (value == NULL)
				*bad = true; /* also when the arena is exhausted: never take it for absent */
			return value;
		}
		at += length;
		at += *at == '&' ? 1 : 0;
	}
	return NULL;
}

/* CONTENT_LENGTH's value, exact up to FRAME_BODY_MAX; -1 when it is no number. */
static int64_t content_length(const char *text)
{
	int64_t length = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		if (length <= FRAME_BODY_MAX)
			length = length * 10 + (*text - '0');
	return *text == '\0' ? length : -1;
}

static void body_check(struct request *r, const char *body, size_t length)
{
	const char *declared = request_parameter(r, "CONTENT_LENGTH");

	r->body = "";
	r->body_length = 0;
	if (length > FRAME_BODY_MAX) {
		defect_set(r, REQUEST_BODY_TOO_BIG);
		return;
	}
	/* In a subrequest (auth_request) CONTENT_LENGTH is that of the outer request, whose body does not come
	 * along.  So an empty body is never too short: it is just no body. */
	if (length > 0 && declared != NULL && declared[0] != '\0' && content_length(declared) != (int64_t)length) {
		defect_set(r, REQUEST_BODY_SHORT);
		return;
	}
	r->body = body;
	r->body_length = length;
}

int request_build(struct request *r, const char *const *parameters, const char *body, size_t body_length)
{
	const char *method;

	r->defect = REQUEST_SOUND;
	if (parameters_keep(r, parameters) < 0)
		return -1;
	id_choose(r);
	method = request_parameter(r, "REQUEST_METHOD");
	r->method = method != NULL ? method : "";
	if (r->method[0] == '\0')
		defect_set(r, REQUEST_BAD_TARGET);
	body_check(r, body, body_length);
	return target_build(r);
}
