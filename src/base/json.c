#include "base/json.h"

/* jansson has a typedef json_type, which is a function here; the typedef is not needed. */
#define json_type jansson_type
#include <jansson.h>
#undef json_type

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/money.h"

/*
 * A struct json * is a json_t * by another name.  jansson rounds a number with a fraction or an
 * exponent to a binary one.  So such numbers are turned into strings before jansson sees them.  A
 * string that begins with NUL is a fraction; no other string of a document may contain a NUL.
 */
#define FRACTION_MARK "\\u0000"
/* The shortest fraction ("1e1") grows by the mark and two quotes, the shortest number by two. */
#define REWRITE_GROWTH ((size_t)4)

/* One pass over the bytes before jansson's own.  Copies to out unless that is NULL. */
struct scan {
	const char *at;
	const char *end;
	bool numbers_as_text;
	struct buf *out;
	size_t rewritten; /* numbers that are, or have to be, turned into strings */
	const char *problem;
};

/*
 * jansson 2.14 does not check that its buffer for a string could grow (lex_save in load.c).  If the closing quote is
 * lost so, jansson copies the bytes behind the buffer over the bytes behind another block.  So a block that such a
 * buffer grows to is never refused within load(): where memory is short, the block comes from reserve, until load() has
 * given the document up.  When reserve is used up, the process ends.  Where another library calls jansson, such a block
 * is refused all the same.
 */
static _Thread_local struct {
	_Alignas(16) char bytes[8192];
	size_t used;
	bool open;
} reserve;

/* The buffer begins with 16 bytes and doubles. */
static bool may_be_grown_buffer(size_t bytes)
{
	return bytes >= 32 && (bytes & (bytes - 1)) == 0;
}

static void *reserve_take(size_t bytes)
{
	static const char complaint[] = "octroi: no memory to read JSON with\n";
	void *memory = reserve.bytes + reserve.used;

	if (!reserve.open)
		return NULL;
	if (bytes > sizeof(reserve.bytes) - reserve.used) {
		if (write(STDERR_FILENO, complaint, sizeof(complaint) - 1) < 0) {
			/* Nobody is left to tell. */
		}
		abort();
	}
	reserve.used += bytes;
	return memory;
}

/*
 * jansson asks for a block for each value, each key and each string.  A request's document ends on another thread than
 * it began on, where malloc is slowest.  So its blocks come from the request's arena, up to room.left bytes.
 */
#define ARENA_ROOM ((size_t)4096)
static _Thread_local struct {
	struct arena *arena; /* of the document at hand; NULL: none */
	size_t left;
} room;

static void *room_take(size_t bytes)
{
	void *memory = bytes <= room.left ? arena_alloc(room.arena, bytes) : NULL;

	if (memory != NULL)
		room.left -= bytes;
	return memory;
}

static void *jansson_alloc(size_t bytes)
{
	void *memory = room_take(bytes);

	if (memory == NULL)
		memory = memory_alloc(bytes);
	return memory == NULL && may_be_grown_buffer(bytes) ? reserve_take(bytes) : memory;
}

static void jansson_free(void *memory)
{
	const uintptr_t at = (uintptr_t)memory, low = (uintptr_t)reserve.bytes;

	if (at >= low && at < low + sizeof(reserve.bytes))
		return;
	if (room.arena == NULL || !arena_holds(room.arena, memory))
		memory_free(memory);
}

void json_watch_memory(void)
{
	json_set_alloc_funcs(jansson_alloc, jansson_free);
}

static json_t *unwrap(const struct json *value)
{
	return (json_t *)(uintptr_t)value; /* jansson's getters know no const */
}

static const struct json *wrap(const json_t *value)
{
	return (const struct json *)value;
}

static void scan_emit(struct scan *s, const char *bytes, size_t length)
{
	if (s->out != NULL)
		buf_add(s->out, bytes, length);
}

static bool scan_fail(struct scan *s, const char *problem)
{
	s->problem = problem;
	return false;
}

static bool scan_is(const struct scan *s, char a, char b)
{
	return s->at < s->end && (*s->at == a || *s->at == b);
}

static bool scan_digits(struct scan *s)
{
	const char *first = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > first;
}

/* From the opening quote to after the closing one; jansson refuses an unfinished string. */
static bool scan_string(struct scan *s)
{
	const char *first = s->at++;

	while (s->at < s->end && *s->at != '"') {
		if (*s->at == '\0')
			return scan_fail(s, "contains a NUL character");
		if (s->end - s->at >= 6 && memcmp(s->at, "\\u0000", 6) == 0)
			return scan_fail(s, "contains a NUL character");
		/* The character after a backslash ends no string and begins no escape. */
		if (*s->at == '\\' && s->end - s->at >= 2 && s->at[1] != '\0')
			s->at++;
		s->at++;
	}
	if (s->at < s->end)
		s->at++;
	scan_emit(s, first, (size_t)(s->at - first));
	return true;
}

/* The grammar of RFC 8259; *fraction is true if the number has a fraction or an exponent. */
static bool scan_number_text(struct scan *s, bool *fraction)
{
	*fraction = false;
	if (scan_is(s, '-', '-'))
		s->at++;
	if (scan_is(s, '0', '0'))
		s->at++;
	else if (!scan_digits(s))
		return false;
	if (scan_is(s, '.', '.')) {
		*fraction = true;
		s->at++;
		if (!scan_digits(s))
			return false;
	}
	if (scan_is(s, 'e', 'E')) {
		*fraction = true;
		s->at++;
		if (scan_is(s, '+', '-'))
			s->at++;
		if (!scan_digits(s))
			return false;
	}
	return true;
}

/* A number before a colon is a key, which must not become a valid one by being quoted. */
static bool scan_before_colon(const struct scan *s)
{
	const char *at = s->at;

	while (at < s->end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at < s->end && *at == ':';
}

static bool scan_number(struct scan *s)
{
	const char *first = s->at;
	bool fraction;

	if (!scan_number_text(s, &fraction) || scan_before_colon(s))
		return scan_fail(s, "has a malformed number");
	if (!fraction && !s->numbers_as_text) {
		scan_emit(s, first, (size_t)(s->at - first));
		return true;
	}
	s->rewritten++;
	scan_emit(s, "\"", 1);
	if (!s->numbers_as_text)
		scan_emit(s, FRACTION_MARK, sizeof(FRACTION_MARK) - 1);
	scan_emit(s, first, (size_t)(s->at - first));
	scan_emit(s, "\"", 1);
	return true;
}

/* Checks the bytes before jansson recurses; false with the problem set. */
static bool scan_document(struct scan *s)
{
	int depth = 0;

	while (s->at < s->end) {
		char c = *s->at;

		if (c == '\0')
			return scan_fail(s, "contains a NUL character");
		if (c == '"' || c == '-' || (c >= '0' && c <= '9')) {
			if (!(c == '"' ? scan_string(s) : scan_number(s)))
				return false;
			continue;
		}
		if (c == '[' || c == '{')
			depth++;
		if ((c == ']' || c == '}') && depth > 0)
			depth--;
		if (depth > JSON_DEPTH_MAX)
			return scan_fail(s, "is nested too deeply");
		scan_emit(s, s->at, 1);
		s->at++;
	}
	return true;
}

/* jansson's own sentences quote the input, which does not belong in an answer or a log. */
static const char *sentence(enum json_error_code code)
{
	switch (code) {
	case json_error_out_of_memory:
		return "could not be read: out of memory";
	case json_error_premature_end_of_input:
		return "ends too early";
	case json_error_end_of_input_expected:
		return "has something after its end";
	case json_error_invalid_utf8:
		return "is not valid UTF-8";
	case json_error_duplicate_key:
		return "has a key twice in one record";
	case json_error_numeric_overflow:
		return "has an integer that does not fit 64 bits";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "contains a NUL character";
	default:
		return "is not well-formed";
	}
}

/* Where memory was short, jansson may return an incomplete document, which is refused here.
 * The rewriting changes no line ends, so the line is right in both texts. */
static struct json *load_document(const char *bytes, size_t length, size_t flags, char error[JSON_ERROR_MAX])
{
	json_error_t details;
	const bool before = memory_watch();
	json_t *root;

	reserve.open = true;
	root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | flags, &details);
	reserve.open = false;
	if (memory_watched(before)) {
		json_decref(root);
		reserve.used = 0; /* no block of the reserve is in use */
		snprintf(error, JSON_ERROR_MAX, "the JSON %s", sentence(json_error_out_of_memory));
		return NULL;
	}
	if (root == NULL)
		snprintf(error, JSON_ERROR_MAX, "the JSON %s (line %d)", sentence(json_error_code(&details)),
		         details.line);
	return (struct json *)root;
}

struct json *json_parse(const char *bytes, size_t length, bool numbers_as_text, char error[JSON_ERROR_MAX])
{
	const char *first = length > 0 ? bytes : ""; /* an empty buffer may have no memory at all */
	struct scan check = {.at = first, .end = first + length, .numbers_as_text = numbers_as_text};
	struct scan rewrite = check;
	struct json *document = NULL;
	struct buf text;

	CHECK(length < SIZE_MAX / (4 * REWRITE_GROWTH));
	error[0] = '\0';
	if (!scan_document(&check)) {
		snprintf(error, JSON_ERROR_MAX, "the JSON %s", check.problem);
		return NULL;
	}
	if (check.rewritten == 0)
		return load_document(first, length, 0, error);
	buf_init(&text, length * REWRITE_GROWTH);
	rewrite.out = &text;
	CHECK(scan_document(&rewrite));
	if (buf_ok(&text))
		document = load_document(text.data, text.length, JSON_ALLOW_NUL, error);
	else
		snprintf(error, JSON_ERROR_MAX, "the JSON %s", sentence(json_error_out_of_memory));
	buf_free(&text);
	return document;
}

struct json *json_parse_in(struct arena *arena, const char *bytes, size_t length, char error[JSON_ERROR_MAX])
{
	struct json *document;

	CHECK(room.arena == NULL);
	room.arena = arena;
	room.left = ARENA_ROOM;
	document = json_parse(bytes, length, false, error);
	room.arena = NULL;
	room.left = 0;
	return document;
}

void json_free(struct json *document)
{
	json_decref(unwrap(document));
}

void json_free_in(struct arena *arena, struct json *document)
{
	CHECK(room.arena == NULL);
	room.arena = arena;
	json_free(document);
	room.arena = NULL;
}

static bool is_fraction(const json_t *value)
{
	return json_is_string(value) && json_string_length(value) > 0 && json_string_value(value)[0] == '\0';
}

enum json_type json_type(const struct json *value)
{
	const json_t *v = unwrap(value);

	CHECK(v != NULL);
	switch (json_typeof(v)) {
	case JSON_NULL:
		return JSON_NULL_VALUE;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_BOOL;
	case JSON_INTEGER:
		return JSON_INT;
	case JSON_STRING:
		return is_fraction(v) ? JSON_FRACTION : JSON_TEXT;
	case JSON_ARRAY:
		return JSON_LIST;
	case JSON_OBJECT:
		return JSON_RECORD;
	default:
		UNREACHABLE("jansson saw a fraction");
	}
}

const struct json *json_get(const struct json *record, const char *key)
{
	return wrap(json_object_get(unwrap(record), key));
}

const char *json_get_text(const struct json *record, const char *key)
{
	const struct json *value = json_get(record, key);

	return value != NULL && json_type(value) == JSON_TEXT ? json_text(value, NULL) : "";
}

int64_t json_get_int(const struct json *record, const char *key, int64_t otherwise)
{
	const struct json *value = json_get(record, key);

	return value != NULL && json_type(value) == JSON_INT ? json_int(value) : otherwise;
}

bool json_bool(const struct json *value)
{
	CHECK(json_type(value) == JSON_BOOL);
	return json_is_true(unwrap(value));
}

int64_t json_int(const struct json *value)
{
	CHECK(json_type(value) == JSON_INT);
	return json_integer_value(unwrap(value));
}

const char *json_text(const struct json *value, size_t *length)
{
	CHECK(json_type(value) == JSON_TEXT);
	if (length != NULL)
		*length = json_string_length(unwrap(value));
	return json_string_value(unwrap(value));
}

const char *json_fraction(const struct json *value, size_t *length)
{
	CHECK(json_type(value) == JSON_FRACTION);
	*length = json_string_length(unwrap(value)) - 1;
	return json_string_value(unwrap(value)) + 1;
}

size_t json_size(const struct json *list_or_record)
{
	const json_t *v = unwrap(list_or_record);

	CHECK(json_is_array(v) || json_is_object(v));
	return json_is_array(v) ? json_array_size(v) : json_object_size(v);
}

const struct json *json_at(const struct json *list, size_t index)
{
	CHECK(json_type(list) == JSON_LIST);
	return wrap(json_array_get(unwrap(list), index));
}

int json_each(const struct json *record, int (*visit)(void *context, const char *key, const struct json *value),
              void *context)
{
	json_t *r = unwrap(record);
	int result = 0;

	CHECK(json_type(record) == JSON_RECORD);
	for (void *i = json_object_iter(r); i != NULL && result == 0; i = json_object_iter_next(r, i))
		result = visit(context, json_object_iter_key(i), wrap(json_object_iter_value(i)));
	return result;
}

static void put_value(struct json_writer *w, const char *key, const struct json *value);

static int put_member(void *context, const char *key, const struct json *value)
{
	put_value(context, key, value);
	return 0;
}

/* Recurses no deeper than json_parse allowed. */
static void put_value(struct json_writer *w, const char *key, const struct json *value)
{
	const json_t *v = unwrap(value);

	switch (json_type(value)) {
	case JSON_NULL_VALUE:
		json_put_null(w, key);
		break;
	case JSON_BOOL:
		json_put_bool(w, key, json_bool(value));
		break;
	case JSON_INT:
		json_put_int(w, key, json_int(value));
		break;
	case JSON_FRACTION:
		json_put_raw(w, key, json_string_value(v) + 1, json_string_length(v) - 1);
		break;
	case JSON_TEXT:
		json_put_text(w, key, json_string_value(v));
		break;
	case JSON_LIST:
		json_open_list(w, key);
		for (size_t i = 0; i < json_size(value); i++)
			put_value(w, NULL, json_at(value, i));
		json_close_list(w);
		break;
	case JSON_RECORD:
		json_open_record(w, key);
		json_each(value, put_member, w);
		json_close_record(w);
		break;
	}
}

void json_dump(const struct json *value, struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	put_value(&w, NULL, value);
}

void json_writer_init(struct json_writer *w, struct buf *out)
{
	w->out = out;
	w->depth = 0;
}

/* Length of the UTF-8 sequence of two bytes or more at text, 0 when there is none (RFC 3629). */
static size_t utf8_length(const unsigned char *text)
{
	unsigned char lead = text[0];
	size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	unsigned char low = 0x80;
	unsigned char high = 0xbf;

	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	if (lead == 0xe0)
		low = 0xa0; /* else longer than needed */
	if (lead == 0xed)
		high = 0x9f; /* else half of a surrogate pair */
	if (lead == 0xf0)
		low = 0x90; /* else longer than needed */
	if (lead == 0xf4)
		high = 0x8f; /* else beyond U+10FFFF */
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++) {
		if (text[i] < 0x80 || text[i] > 0xbf) /* the NUL at the end as well */
			return 0;
	}
	return length;
}

static void put_escaped(struct buf *out, unsigned char c)
{
	static const char letters[] = "\b\f\n\r\t\"\\";
	static const char names[] = "bfnrt\"\\";
	const char *found = strchr(letters, c);

	if (c >= 0x80)
		buf_add_text(out, "\\ufffd");
	else if (found != NULL)
		buf_add(out, (const char[]){'\\', names[found - letters]}, 2);
	else
		buf_printf(out, "\\u%04x", c);
}

/* A character of ASCII that stands for itself in a string.  NUL, the end, is none. */
static bool is_plain_character(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Bytes that are not UTF-8 become U+FFFD, so that the output is always JSON. */
static void put_quoted(struct buf *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	const unsigned char *plain = at;

	buf_add_char(out, '"');
	for (;;) {
		size_t length;

		while (is_plain_character(*at))
			at++;
		if (*at == '\0')
			break;
		length = *at >= 0x80 ? utf8_length(at) : 0;
		if (length > 0) {
			at += length;
			continue;
		}
		buf_add(out, plain, (size_t)(at - plain));
		put_escaped(out, *at++);
		plain = at;
	}
	buf_add(out, plain, (size_t)(at - plain));
	buf_add_char(out, '"');
}

/* Writes the beginning of every value: a comma after the member before, and the key. */
static void put_start(struct json_writer *w, const char *key)
{
	CHECK(w->depth > 0 || key == NULL);
	if (w->depth > 0) {
		if (w->started[w->depth - 1])
			buf_add_char(w->out, ',');
		w->started[w->depth - 1] = true;
	}
	if (key != NULL) {
		put_quoted(w->out, key);
		buf_add_char(w->out, ':');
	}
}

static void put_open(struct json_writer *w, const char *key, char bracket)
{
	CHECK(w->depth < JSON_DEPTH_MAX);
	put_start(w, key);
	buf_add_char(w->out, bracket);
	w->started[w->depth++] = false;
}

static void put_close(struct json_writer *w, char bracket)
{
	CHECK(w->depth > 0);
	w->depth--;
	buf_add_char(w->out, bracket);
}

void json_open_record(struct json_writer *w, const char *key)
{
	put_open(w, key, '{');
}

void json_close_record(struct json_writer *w)
{
	put_close(w, '}');
}

void json_open_list(struct json_writer *w, const char *key)
{
	put_open(w, key, '[');
}

void json_close_list(struct json_writer *w)
{
	put_close(w, ']');
}

void json_put_int(struct json_writer *w, const char *key, int64_t value)
{
	put_start(w, key);
	buf_add_int(w->out, value);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
	put_start(w, key);
	buf_add_text(w->out, value ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
	put_start(w, key);
	buf_add_text(w->out, "null");
}

void json_put_text(struct json_writer *w, const char *key, const char *text)
{
	put_start(w, key);
	put_quoted(w->out, text);
}

void json_put_raw(struct json_writer *w, const char *key, const char *json, size_t length)
{
	CHECK(length > 0);
	put_start(w, key);
	buf_add(w->out, json, length);
}

void json_put_time(struct json_writer *w, const char *key, int64_t time_us)
{
	char text[CLOCK_RFC3339_MAX];

	if (time_us == 0) {
		json_put_null(w, key);
		return;
	}
	clock_format(time_us, text);
	json_put_text(w, key, text);
}

void json_put_minor(struct json_writer *w, const char *key, int64_t amount_micros, int64_t per_minor)
{
	char text[MONEY_TEXT_MAX];
	int decimals = 4;
	int64_t parts = 10000;

	/* A minor unit of fewer than 10,000 micros has fewer decimals than four. */
	while (parts > per_minor) {
		parts /= 10;
		decimals--;
	}
	CHECK(parts > 0 && per_minor % parts == 0);
	decimal_format(money_floor_div(amount_micros, per_minor / parts), decimals, 0, text);
	json_put_raw(w, key, text, strlen(text));
}
