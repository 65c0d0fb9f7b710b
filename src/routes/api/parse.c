#include "routes/api/parse.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/id.h"
#include "ledger/command.h"

#define FIELD_SHOWN_BYTES 64
#define FIELD_PATH_MAX ((size_t)512)
#define PROVIDERS_MAX 32

static const struct {
	const char *english, *french;
} sentences[] = {
#define WANT(NAME, english, french) {english, french},
#include "routes/api/parse.def"
#undef WANT
};

/* A member or a query parameter: one of the two is set, none when it is absent. */
struct value {
	const struct json *json;
	const char *text;
};

/* A name from a caller may be long.  A longer name is cut at FIELD_SHOWN_BYTES, between two characters. */
static const char *shown(const struct parse *p, const char *field)
{
	size_t length = strlen(field);
	const char *copy;

	if (length <= FIELD_SHOWN_BYTES)
		return field;
	length = FIELD_SHOWN_BYTES;
	while (length > 0 && ((unsigned char)field[length] & 0xc0) == 0x80)
		length--;
	copy = arena_copy(p->request->arena, field, length);
	return copy != NULL ? copy : "";
}

static void wrong(struct parse *p, const char *field, enum parse_want want, int64_t low, int64_t high)
{
	if (p->field != NULL)
		return;
	p->field = shown(p, field);
	p->want = want;
	p->low = low;
	p->high = high;
}

void parse_wrong(struct parse *p, const char *field, enum parse_want want)
{
	wrong(p, field, want, 0, 0);
}

void parse_inner(struct parse *p, const struct parse *inner, const char *outer, const char *name)
{
	const char *field = NULL;
	struct buf path;

	if (inner->field == NULL)
		return;
	buf_init(&path, FIELD_PATH_MAX);
	buf_printf(&path, "%s.%s%s%s", outer, name != NULL ? name : "", name != NULL ? "." : "", inner->field);
	if (buf_ok(&path))
		field = arena_copy(p->request->arena, path.data, path.length);
	wrong(p, field != NULL ? field : outer, inner->want, inner->low, inner->high);
	buf_free(&path);
}

bool parse_ok(const struct parse *p)
{
	return p->field == NULL;
}

struct known {
	struct parse *parse;
	const char *const *names;
};

static int refuse_unknown(void *context, const char *key, const struct json *value)
{
	const struct known *known = context;

	(void)value;
	for (const char *const *name = known->names; *name != NULL; name++)
		if (strcmp(*name, key) == 0)
			return 0;
	parse_wrong(known->parse, key, PARSE_KNOWN);
	return 1;
}

void parse_record(struct parse *p, const struct request *request, const struct json *record, const char *const *known)
{
	struct known names = {.parse = p, .names = known};

	CHECK(json_type(record) == JSON_RECORD);
	memset(p, 0, sizeof(*p));
	p->request = request;
	p->record = record;
	json_each(record, refuse_unknown, &names);
}

void parse_query(struct parse *p, const struct request *request)
{
	memset(p, 0, sizeof(*p));
	p->request = request;
}

static struct value look_up(struct parse *p, const char *name)
{
	struct value v = {NULL, NULL};
	bool bad = false;

	if (p->record != NULL) {
		v.json = json_get(p->record, name);
		if (v.json != NULL && json_type(v.json) == JSON_NULL_VALUE)
			v.json = NULL;
		return v;
	}
	v.text = request_query(p->request, name, &bad);
	if (bad)
		wrong(p, name, PARSE_TEXT, 1, 128);
	if (v.text != NULL && v.text[0] == '\0')
		v.text = NULL;
	return v;
}

static bool absent(struct value v)
{
	return v.json == NULL && v.text == NULL;
}

/* The value's text, NULL when it is none. */
static const char *value_text(struct value v, size_t *length)
{
	if (v.text != NULL) {
		*length = strlen(v.text);
		return v.text;
	}
	return json_type(v.json) == JSON_TEXT ? json_text(v.json, length) : NULL;
}

bool parse_given(struct parse *p, const char *name)
{
	return !absent(look_up(p, name));
}

void parse_need(struct parse *p, const char *name)
{
	if (!parse_given(p, name))
		parse_wrong(p, name, PARSE_PRESENT);
}

bool parse_null(struct parse *p, const char *name)
{
	const struct json *value = p->record != NULL ? json_get(p->record, name) : NULL;

	return value != NULL && json_type(value) == JSON_NULL_VALUE;
}

bool parse_limit(struct parse *p, const char *name, int64_t *limit_micros)
{
	*limit_micros = parse_int(p, name, 0, MONEY_AMOUNT_MAX_MICROS, COMMAND_NO_LIMIT);
	return parse_given(p, name) || parse_null(p, name);
}

/* Up to 18 digits, perhaps a minus. */
static bool number_of(const char *text, int64_t *number)
{
	const char *digit = *text == '-' ? text + 1 : text;
	int64_t value = 0;
	size_t length = strlen(digit);

	if (length < 1 || length > 18 || strspn(digit, "0123456789") != length)
		return false;
	for (; *digit != '\0'; digit++)
		value = value * 10 + (*digit - '0');
	*number = *text == '-' ? -value : value;
	return true;
}

int64_t parse_int(struct parse *p, const char *name, int64_t low, int64_t high, int64_t fallback)
{
	struct value v = look_up(p, name);
	int64_t number = 0;
	bool is_number;

	if (absent(v))
		return fallback;
	is_number = v.text != NULL ? number_of(v.text, &number) : json_type(v.json) == JSON_INT;
	if (is_number && v.json != NULL)
		number = json_int(v.json);
	if (is_number && number >= low && number <= high)
		return number;
	wrong(p, name, PARSE_INT, low, high);
	return low;
}

bool parse_bool(struct parse *p, const char *name, bool fallback)
{
	struct value v = look_up(p, name);

	if (absent(v))
		return fallback;
	if (v.json != NULL && json_type(v.json) == JSON_BOOL)
		return json_bool(v.json);
	parse_wrong(p, name, PARSE_BOOL);
	return fallback;
}

/* U+0000 to U+001F, U+007F to U+009F, and U+2028 and U+2029, which end a line as well, in UTF-8. */
static bool is_control(const unsigned char *at, size_t left)
{
	if (at[0] < 0x20 || at[0] == 0x7f)
		return true;
	if (at[0] == 0xc2)
		return left > 1 && at[1] < 0xa0;
	return at[0] == 0xe2 && left > 2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9);
}

bool parse_plain(const char *text, size_t length, size_t max)
{
	if (length < 1 || length > max)
		return false;
	for (size_t i = 0; i < length; i++)
		if (is_control((const unsigned char *)text + i, length - i))
			return false;
	return true;
}

static int64_t characters(const char *text, size_t length)
{
	int64_t count = 0;

	for (size_t i = 0; i < length; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			count++;
	return count;
}

const char *parse_text(struct parse *p, const char *name, int64_t low, int64_t high)
{
	struct value v = look_up(p, name);
	size_t length = 0;
	const char *text;

	if (absent(v))
		return NULL;
	text = value_text(v, &length);
	if (text != NULL && (length == 0 || parse_plain(text, length, length)) && characters(text, length) >= low &&
	    characters(text, length) <= high)
		return text;
	wrong(p, name, PARSE_TEXT, low, high);
	return NULL;
}

const char *parse_bytes(struct parse *p, const char *name, int64_t max)
{
	struct value v = look_up(p, name);
	size_t length = 0;
	const char *text;

	if (absent(v))
		return NULL;
	text = value_text(v, &length);
	if (text != NULL && parse_plain(text, length, (size_t)max))
		return text;
	wrong(p, name, PARSE_BYTES, 1, max);
	return NULL;
}

static const char *parse_checked(struct parse *p, const char *name, bool (*valid)(const char *text, size_t length),
                                 enum parse_want want)
{
	struct value v = look_up(p, name);
	size_t length = 0;
	const char *text;

	if (absent(v))
		return NULL;
	text = value_text(v, &length);
	if (text != NULL && valid(text, length))
		return text;
	parse_wrong(p, name, want);
	return NULL;
}

const char *parse_account(struct parse *p, const char *name)
{
	return parse_checked(p, name, id_account_valid, PARSE_ACCOUNT);
}

const char *parse_repeat(struct parse *p)
{
	const char *header = request_parameter(p->request, "HTTP_IDEMPOTENCY_KEY");
	const char *member = parse_checked(p, "requestId", id_request_valid, PARSE_REQUEST_ID);

	if (header == NULL || header[0] == '\0')
		return member;
	if (!id_request_valid(header, strlen(header)))
		parse_wrong(p, "Idempotency-Key", PARSE_REQUEST_ID);
	else if (member != NULL && strcmp(member, header) != 0)
		parse_wrong(p, "requestId", PARSE_SAME);
	return header;
}

int parse_name(struct parse *p, const char *name, int (*to_number)(const char *name), int fallback)
{
	struct value v = look_up(p, name);
	size_t length = 0;
	const char *text;
	int number;

	if (absent(v))
		return fallback;
	text = value_text(v, &length);
	number = text != NULL ? to_number(text) : -1;
	if (number < 0)
		parse_wrong(p, name, PARSE_NAME);
	return number < 0 ? fallback : number;
}

int64_t parse_time(struct parse *p, const char *name)
{
	struct value v = look_up(p, name);
	size_t length = 0;
	const char *text;
	int64_t time_us;

	if (absent(v))
		return 0;
	text = value_text(v, &length);
	if (text != NULL && clock_parse(text, length, &time_us) == 0 && time_us > 0)
		return time_us;
	parse_wrong(p, name, PARSE_TIME);
	return 0;
}

const struct json *parse_list(struct parse *p, const char *name, size_t low, size_t high)
{
	struct value v = look_up(p, name);

	if (absent(v))
		return NULL;
	if (v.json != NULL && json_type(v.json) == JSON_LIST && json_size(v.json) >= low && json_size(v.json) <= high)
		return v.json;
	wrong(p, name, PARSE_LIST, (int64_t)low, (int64_t)high);
	return NULL;
}

const struct json *parse_map(struct parse *p, const char *name, size_t high)
{
	struct value v = look_up(p, name);

	if (absent(v))
		return NULL;
	if (v.json != NULL && json_type(v.json) == JSON_RECORD && json_size(v.json) <= high)
		return v.json;
	wrong(p, name, PARSE_MAP, 0, (int64_t)high);
	return NULL;
}

const char *parse_small_record(struct parse *p, const char *name, size_t max)
{
	struct value v = look_up(p, name);
	const char *copy = NULL;
	struct buf text;

	if (absent(v))
		return "";
	buf_init(&text, max);
	if (v.json != NULL && json_type(v.json) == JSON_RECORD) {
		json_dump(v.json, &text);
		if (buf_ok(&text))
			copy = arena_copy(p->request->arena, text.data, text.length);
	}
	buf_free(&text);
	if (copy != NULL)
		return copy;
	wrong(p, name, PARSE_SMALL_RECORD, 0, (int64_t)max);
	return "";
}

unsigned parse_providers(struct parse *p, const char *name)
{
	const struct json *list = parse_list(p, name, 0, PROVIDERS_MAX);
	unsigned bits = 0;

	for (size_t i = 0; list != NULL && i < json_size(list); i++) {
		const struct json *provider = json_at(list, i);
		unsigned bit = json_type(provider) == JSON_TEXT ? provider_bit(json_text(provider, NULL)) : 0;

		if (bit == 0)
			parse_wrong(p, name, PARSE_PROVIDERS);
		bits |= bit;
	}
	return bits;
}

void parse_message(const struct parse *p, bool french, struct buf *out)
{
	const char *at = french ? sentences[p->want].french : sentences[p->want].english;

	CHECK(p->field != NULL);
	buf_add_text(out, p->field);
	buf_add_char(out, ' ');
	while (*at != '\0') {
		size_t plain = strcspn(at, "{");

		buf_add(out, at, plain);
		at += plain;
		if (*at == '\0')
			break;
		buf_add_int(out, strncmp(at, "{low}", 5) == 0 ? p->low : p->high);
		at = strchr(at, '}') + 1;
	}
	buf_add_char(out, '.');
}
