#include "ctl/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/csv_text.h"
#include "base/money.h"
#include "ctl/ctl.h"

#define LISTING_JSON_MAX ((size_t)256 << 20)
#define TEXTS_MAX ((size_t)4096) /* of a list in one field */

enum field_kind { FIELD_TEXT, FIELD_INT, FIELD_AMOUNT, FIELD_TIME, FIELD_FLAG, FIELD_NOTHING };

struct field {
	enum field_kind kind;
	const char *key, *heading;
	char *text; /* the value in the table */
	int64_t number;
	bool right; /* a number: it ends where the others of its column end */
};

struct listing {
	const char *name;
	struct field *fields; /* all rows, one after the other */
	size_t count, capacity;
	size_t rows;
	size_t columns; /* of the first row, known once the second begins */
};

struct listing *listing_new(const char *name)
{
	struct listing *l = ctl_must(calloc(1, sizeof(*l)));

	l->name = name;
	return l;
}

void listing_free(struct listing *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->count; i++)
		free(l->fields[i].text);
	free(l->fields);
	free(l);
}

size_t listing_rows(const struct listing *l)
{
	return l->rows;
}

void listing_row(struct listing *l)
{
	if (l->rows == 1)
		l->columns = l->count;
	CHECK(l->count == l->rows * l->columns || l->rows == 1);
	l->rows++;
}

static void add_field(struct listing *l, enum field_kind kind, const char *key, const char *heading, const char *text,
                      int64_t number)
{
	struct field *f;

	CHECK(l->rows > 0);
	if (l->count == l->capacity) {
		l->capacity = l->capacity == 0 ? 64 : l->capacity * 2;
		l->fields = ctl_must(realloc(l->fields, l->capacity * sizeof(*l->fields)));
	}
	f = &l->fields[l->count++];
	*f = (struct field){.kind = kind, .key = key, .heading = heading, .number = number};
	f->right = kind == FIELD_INT || kind == FIELD_AMOUNT;
	f->text = ctl_must(strdup(text));
}

void listing_text(struct listing *l, const char *key, const char *heading, const char *text)
{
	add_field(l, FIELD_TEXT, key, heading, text, 0);
}

void listing_int(struct listing *l, const char *key, const char *heading, int64_t value)
{
	char text[MONEY_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	add_field(l, FIELD_INT, key, heading, text, value);
}

void listing_amount(struct listing *l, const char *key, const char *heading, int64_t amount_micros)
{
	char text[MONEY_TEXT_MAX];

	(void)decimal_format(amount_micros, 6, 2, text);
	add_field(l, FIELD_AMOUNT, key, heading, text, amount_micros);
}

void listing_tenths(struct listing *l, const char *key, const char *heading, bool there, int64_t tenths)
{
	char number[MONEY_TEXT_MAX], text[MONEY_TEXT_MAX + 4];

	if (!there) {
		add_field(l, FIELD_NOTHING, key, heading, "-", 0);
		return;
	}
	(void)decimal_format(tenths, 1, 1, number);
	(void)snprintf(text, sizeof(text), "%s %%", number);
	add_field(l, FIELD_INT, key, heading, text, tenths);
}

void listing_time(struct listing *l, const char *key, const char *heading, int64_t time_us)
{
	char text[CLOCK_RFC3339_MAX] = "-";

	if (time_us != 0)
		(void)clock_format(time_us, text);
	add_field(l, FIELD_TIME, key, heading, text, time_us);
}

void listing_flag(struct listing *l, const char *key, const char *heading, bool value)
{
	add_field(l, FIELD_FLAG, key, heading, value ? "yes" : "no", value);
}

/* ---- members of a JSON record ------------------------------------------------------------------ */

/* The member at the path "a.b"; NULL when absent. */
static const struct json *member_at(const struct json *record, const char *path)
{
	char name[64];

	while (record != NULL && *path != '\0') {
		const size_t length = strcspn(path, ".");

		CHECK(length < sizeof(name));
		memcpy(name, path, length);
		name[length] = '\0';
		record = json_get(record, name);
		path += length;
		path += *path == '.';
	}
	return record;
}

static void add_number(struct listing *l, const struct listing_column *c, int64_t number)
{
	if (c->kind == LISTING_AMOUNT)
		listing_amount(l, c->key, c->heading, number);
	else if (c->kind == LISTING_TENTHS)
		listing_tenths(l, c->key, c->heading, true, number);
	else
		listing_int(l, c->key, c->heading, number);
}

static void add_texts(struct listing *l, const struct listing_column *c, const struct json *list)
{
	struct buf text;

	buf_init(&text, TEXTS_MAX);
	for (size_t i = 0; i < json_size(list); i++) {
		if (i > 0)
			buf_add_char(&text, ',');
		if (json_type(json_at(list, i)) == JSON_TEXT)
			buf_add_text(&text, json_text(json_at(list, i), NULL));
	}
	listing_text(l, c->key, c->heading, buf_text(&text));
	buf_free(&text);
}

static void add_json_value(struct listing *l, const struct listing_column *c, const struct json *value)
{
	switch (value != NULL ? json_type(value) : JSON_NULL_VALUE) {
	case JSON_TEXT:
		listing_text(l, c->key, c->heading, json_text(value, NULL));
		return;
	case JSON_INT:
		add_number(l, c, json_int(value));
		return;
	case JSON_BOOL:
		listing_flag(l, c->key, c->heading, json_bool(value));
		return;
	case JSON_LIST:
		add_texts(l, c, value);
		return;
	case JSON_NULL_VALUE:
	case JSON_FRACTION:
	case JSON_RECORD:
		add_field(l, FIELD_NOTHING, c->key, c->heading, "-", 0);
		l->fields[l->count - 1].right = c->kind != LISTING_TEXT;
		return;
	}
	UNREACHABLE("no such type of JSON");
}

void listing_record(struct listing *l, const struct json *record, const struct listing_column *columns)
{
	listing_row(l);
	for (; columns->key != NULL; columns++)
		add_json_value(l, columns, member_at(record, columns->key));
}

void listing_pair(struct listing *l, const struct json *record, const struct listing_column *columns,
                  const struct json *inner, const struct listing_column *inner_columns)
{
	listing_record(l, record, columns);
	for (; inner_columns->key != NULL; inner_columns++)
		add_json_value(l, inner_columns, inner != NULL ? member_at(inner, inner_columns->key) : NULL);
}

void listing_total(struct listing *l, const char *text, const struct json *record, const struct listing_column *columns)
{
	listing_row(l);
	listing_text(l, columns->key, columns->heading, text);
	while ((++columns)->key != NULL)
		add_json_value(l, columns, member_at(record, columns->key));
}

void listing_present(struct listing *l, const struct json *record, const struct listing_column *columns)
{
	listing_row(l);
	for (; columns->key != NULL; columns++) {
		const struct json *value = member_at(record, columns->key);

		if (value != NULL)
			add_json_value(l, columns, value);
	}
}

/* ---- for people ------------------------------------------------------------------------------ */

static bool continues(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

static int width_of(const char *text)
{
	int width = 0;

	for (; *text != '\0'; text++)
		width += !continues(*text);
	return width;
}

/* Prints the text with ? for control characters: stored text of other people must not control a terminal. */
static void put(const char *text)
{
	for (; *text != '\0'; text++)
		(void)putchar((unsigned char)*text < ' ' || *text == '\x7F' ? '?' : *text);
}

static void put_padded(const char *text, int width, bool right, bool last)
{
	int pad = width - width_of(text);

	if (right)
		(void)printf("%*s", pad, "");
	put(text);
	if (!right && !last)
		(void)printf("%*s", pad, "");
	(void)fputs(last ? "\n" : "  ", stdout);
}

static size_t columns_of(const struct listing *l)
{
	return l->rows < 2 ? l->count : l->columns;
}

void listing_print_table(const struct listing *l)
{
	size_t columns = columns_of(l);
	int *width = ctl_must(calloc(columns + 1, sizeof(*width)));

	if (l->rows == 0)
		(void)printf("no %s\n", l->name);
	CHECK(columns > 0 || l->count == 0);
	for (size_t i = 0; i < columns; i++)
		width[i] = width_of(l->fields[i].heading);
	for (size_t i = 0; i < l->count; i++) {
		int w = width_of(l->fields[i].text);

		if (w > width[i % columns])
			width[i % columns] = w;
	}
	for (size_t i = 0; i < columns; i++) {
		const struct field *f = &l->fields[i];

		put_padded(f->heading, width[i], f->right, i + 1 == columns);
	}
	for (size_t i = 0; i < l->count; i++) {
		const struct field *f = &l->fields[i];

		put_padded(f->text, width[i % columns], f->right, (i + 1) % columns == 0);
	}
	free(width);
}

static void print_lines(const struct listing *l)
{
	int width = 0;

	for (size_t i = 0; i < l->count; i++)
		if (width_of(l->fields[i].heading) > width)
			width = width_of(l->fields[i].heading);
	for (size_t i = 0; i < l->count; i++) {
		put_padded(l->fields[i].heading, width, false, false);
		put(l->fields[i].text);
		(void)putchar('\n');
	}
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_field(struct json_writer *w, const struct field *f)
{
	switch (f->kind) {
	case FIELD_TEXT:
		json_put_text(w, f->key, f->text);
		return;
	case FIELD_INT:
	case FIELD_AMOUNT:
		json_put_int(w, f->key, f->number);
		return;
	case FIELD_TIME:
		json_put_time(w, f->key, f->number);
		return;
	case FIELD_FLAG:
		json_put_bool(w, f->key, f->number != 0);
		return;
	case FIELD_NOTHING:
		json_put_null(w, f->key);
		return;
	}
	UNREACHABLE("no such kind of field");
}

static void put_row(struct json_writer *w, const struct listing *l, const char *key, size_t row)
{
	size_t columns = columns_of(l);

	json_open_record(w, key);
	for (size_t i = 0; i < columns; i++)
		put_field(w, &l->fields[row * columns + i]);
	json_close_record(w);
}

static void put_rows(const struct listing *l, struct json_writer *w)
{
	for (size_t i = 0; i < l->rows; i++)
		put_row(w, l, NULL, i);
}

void listing_json(const struct listing *l, struct json_writer *w)
{
	json_open_list(w, l->name);
	put_rows(l, w);
	json_close_list(w);
}

void listing_json_single(const struct listing *l, struct json_writer *w)
{
	CHECK(l->rows == 1);
	put_row(w, l, l->name, 0);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

static void put_csv_field(struct buf *out, const struct field *f)
{
	const bool nothing = f->kind == FIELD_NOTHING || (f->kind == FIELD_TIME && f->number == 0);

	if (nothing)
		return;
	if (f->kind == FIELD_INT || f->kind == FIELD_AMOUNT)
		buf_add_int(out, f->number);
	else if (f->kind == FIELD_FLAG)
		buf_add_text(out, f->number != 0 ? "true" : "false");
	else
		csv_text_add(out, f->text);
}

static void print_csv(const struct listing *l)
{
	const size_t columns = columns_of(l);
	struct buf out;

	buf_init(&out, LISTING_JSON_MAX);
	for (size_t i = 0; i < columns; i++) {
		csv_text_add(&out, l->fields[i].key);
		buf_add_text(&out, i + 1 == columns ? "\r\n" : ",");
	}
	for (size_t i = 0; i < l->count; i++) {
		put_csv_field(&out, &l->fields[i]);
		buf_add_text(&out, (i + 1) % columns == 0 ? "\r\n" : ",");
	}
	if (buf_ok(&out))
		(void)fwrite(buf_text(&out), 1, out.length, stdout);
	else
		(void)ctl_fail("the list is too large to print");
	buf_free(&out);
}

static void print_items(const struct listing *l)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, LISTING_JSON_MAX);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	json_open_list(&w, "items");
	put_rows(l, &w);
	json_close_list(&w);
	json_close_record(&w);
	(void)ctl_print(&out);
	buf_free(&out);
}

void listing_print(const struct listing *l, const struct ctl *c)
{
	if (c->json)
		print_items(l);
	else if (c->csv)
		print_csv(l);
	else
		listing_print_table(l);
}

void listing_print_single(const struct listing *l, bool json)
{
	struct json_writer w;
	struct buf out;

	CHECK(l->rows == 1);
	if (!json) {
		print_lines(l);
		return;
	}
	buf_init(&out, LISTING_JSON_MAX);
	json_writer_init(&w, &out);
	put_row(&w, l, NULL, 0);
	(void)ctl_print(&out);
	buf_free(&out);
}
