/* A request's target, "/path?query", and behind a line end a text.  Path and parameters are what a reading of its own
 * finds in them; what the getters of parse.h make of them is in bounds, or refused by name; and the text, encoded into
 * a query, is read back. */
#include "fuzz.h"

#include <ctype.h>
#include <iconv.h>

#include "base/id.h"
#include "routes/api/parse.h"

#define TARGET_MAX 4096
#define ARENA_MAX ((size_t)4 * 1024 * 1024)

static const char *const names[] = {"account", "limit", "cursor", "from", "by", "a b", "\xc3\xa9"};

/* ---- a reading of its own -------------------------------------------------------------------- */

enum reading { ABSENT, BAD, READ };

/* Text that libc, too, takes for UTF-8, and no control character in it. */
static bool is_plain(const char *text, size_t length)
{
	static iconv_t to;
	uint32_t out[TARGET_MAX + 1];
	char *from = (char *)(uintptr_t)text, *written = (char *)out;
	size_t left = length, room = sizeof(out);

	if (to == NULL)
		to = iconv_open("UTF-32LE", "UTF-8");
	MUST(to != NULL);
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return false;
	(void)iconv(to, NULL, NULL, NULL, NULL);
	return iconv(to, &from, &left, &written, &room) != (size_t)-1 && left == 0;
}

/* Length in out, -1 when a % is not followed by two digits. */
static int unescape(const char *from, size_t length, bool form, char out[TARGET_MAX + 1])
{
	int written = 0;

	for (size_t i = 0; i < length; i++) {
		out[written] = form && from[i] == '+' ? ' ' : from[i];
		if (from[i] == '%') {
			char digits[3] = {0};

			if (length - i < 3 || !isxdigit((unsigned char)from[i + 1]) ||
			    !isxdigit((unsigned char)from[i + 2]))
				return -1;
			memcpy(digits, from + i + 1, 2);
			out[written] = (char)strtoul(digits, NULL, 16);
			i += 2;
		}
		written++;
	}
	out[written] = '\0';
	return written;
}

static enum reading read_query(const char *query, const char *name, char value[TARGET_MAX + 1])
{
	while (*query != '\0') {
		const char *end = strchrnul(query, '&');
		const char *equals = memchr(query, '=', (size_t)(end - query));
		const char *stop = equals != NULL ? equals : end, *start = equals != NULL ? equals + 1 : end;
		int length = unescape(query, (size_t)(stop - query), true, value);

		if (length >= 0 && (size_t)length == strlen(name) && strcmp(value, name) == 0) {
			length = unescape(start, (size_t)(end - start), true, value);
			return length >= 0 && is_plain(value, (size_t)length) ? READ : BAD;
		}
		query = *end == '&' ? end + 1 : end;
	}
	return ABSENT;
}

static bool read_path(const char *target, char path[TARGET_MAX + 1])
{
	const char *question = strchrnul(target, '?');
	const size_t raw = (size_t)(question - target);
	const int length = unescape(target, raw, false, path);

	if (length < 1 || path[0] != '/' || !is_plain(path, (size_t)length) || memmem(target, raw, "%2f", 3) != NULL ||
	    memmem(target, raw, "%2F", 3) != NULL)
		return false;
	return strstr(path, "//") == NULL && strstr(path, "/./") == NULL && strstr(path, "/../") == NULL &&
	       (length < 2 || strcmp(path + length - 2, "/.") != 0) &&
	       (length < 3 || strcmp(path + length - 3, "/..") != 0);
}

/* Whether the target as a whole is one: no control character, no fragment, nothing that does not decode. */
static bool is_target(const char *target, char path[TARGET_MAX + 1])
{
	const char *query = strchrnul(target, '?');
	char ignored[TARGET_MAX + 1];

	for (const char *c = target; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 127 || *c == '#')
			return false;
	return read_path(target, path) && unescape(query, strlen(query), true, ignored) >= 0;
}

/* ---- octroi's -------------------------------------------------------------------------------- */

static void build(struct request *r, struct arena *arena, const char *target, bool sound)
{
	static const char name[] = "REQUEST_URI=";
	/* The request points into it. */
	char *uri = arena_alloc(arena, sizeof(name) + strlen(target));
	const char *const parameters[] = {"REQUEST_METHOD=GET", uri, NULL};

	MUST(uri != NULL);
	memcpy(uri, name, strlen(name));
	memcpy(uri + strlen(name), target, strlen(target) + 1);
	*r = (struct request){.arena = arena};
	MUST(request_build(r, parameters, "", 0) == 0);
	MUST(sound == (r->defect == REQUEST_SOUND));
	MUST(sound || (r->defect == REQUEST_BAD_TARGET && r->path[0] == '\0' && r->query[0] == '\0'));
}

static void check_values(const struct request *r)
{
	char expected[TARGET_MAX + 1];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const enum reading reading = read_query(r->query, names[i], expected);
		bool bad = false;
		const char *value = request_query(r, names[i], &bad);

		MUST(bad == (reading == BAD));
		MUST((value != NULL) == (reading == READ));
		MUST(value == NULL || strcmp(value, expected) == 0);
	}
}

static int length_name(const char *name)
{
	return (int)strlen(name) - 1;
}

/* A handler sees values within its bounds; a wrong one has a name. */
static void check_getters(const struct request *r)
{
	struct parse p;
	struct buf said;
	int64_t limit, time_us;
	const char *account, *text;

	parse_query(&p, r);
	limit = parse_int(&p, "limit", 1, 100, 50);
	MUST(limit >= 1 && limit <= 100);
	account = parse_account(&p, "account");
	MUST(account == NULL || id_account_valid(account, strlen(account)));
	time_us = parse_time(&p, "from");
	MUST(time_us >= 0);
	text = parse_text(&p, "a b", 1, 8);
	MUST(text == NULL || (strlen(text) >= 1 && strlen(text) <= 4 * 8 && is_plain(text, strlen(text))));
	text = parse_bytes(&p, "\xc3\xa9", 8);
	MUST(text == NULL || (strlen(text) >= 1 && strlen(text) <= 8));
	MUST(parse_name(&p, "by", length_name, 7) >= 0);
	if (parse_ok(&p))
		return;
	buf_init(&said, 1024);
	parse_message(&p, time_us % 2 == 0, &said);
	MUST(buf_ok(&said) && said.length > strlen(p.field) + 2);
	MUST(strncmp(buf_text(&said), p.field, strlen(p.field)) == 0 && strchr(buf_text(&said), '{') == NULL);
	buf_free(&said);
}

static void check_round(struct arena *arena, const char *text, size_t length)
{
	char target[TARGET_MAX + 1] = "/p?z=1&a%20b=";
	const bool plain = is_plain(text, length);
	size_t at = strlen(target);
	struct request r;
	bool bad = false;
	const char *value;

	for (size_t i = 0; i < length; i++) {
		static const char digits[] = "0123456789aBcDeF";
		const unsigned char c = (unsigned char)text[i];

		target[at++] = '%';
		target[at++] = digits[c >> 4];
		target[at++] = digits[c & 15];
	}
	memcpy(target + at, "&a+b=2", sizeof("&a+b=2"));
	build(&r, arena, target, true);
	value = request_query(&r, "a b", &bad);
	MUST(bad == !plain && (value != NULL) == plain);
	MUST(value == NULL || (strlen(value) == length && memcmp(value, text, length) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct arena *arena = arena_new(ARENA_MAX);
	char *text = fuzz_text(bytes, length), *rest = text;
	const char *target = fuzz_line(&rest);
	char path[TARGET_MAX + 1];
	struct request r;

	MUST(arena != NULL);
	if (strlen(target) <= TARGET_MAX) {
		build(&r, arena, target, is_target(target, path));
		MUST(r.defect != REQUEST_SOUND || strcmp(r.path, path) == 0);
		check_values(&r);
		check_getters(&r);
	}
	if (rest != NULL && length - (size_t)(rest - text) <= TARGET_MAX / 4)
		check_round(arena, rest, length - (size_t)(rest - text));
	arena_free(arena);
	free(text);
	return 0;
}
