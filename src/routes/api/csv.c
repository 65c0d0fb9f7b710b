#include "routes/api/csv.h"

#include <string.h>

#include "base/check.h"
#include "base/csv_text.h"
#include "routes/api/render.h"

#define CONTENT_TYPE "text/csv; charset=utf-8; header=present"
#define COLUMN_MAX 64
#define LINE_END "\r\n"

/* Lists and records are no cells. */
static void add_cell(struct buf *out, const struct json *value)
{
	if (value == NULL)
		return;
	switch (json_type(value)) {
	case JSON_NULL_VALUE:
		return;
	case JSON_TEXT:
		csv_text_add(out, json_text(value, NULL));
		return;
	case JSON_BOOL:
	case JSON_INT:
	case JSON_FRACTION:
		json_dump(value, out);
		return;
	case JSON_LIST:
	case JSON_RECORD:
		break;
	}
	UNREACHABLE("no such cell");
}

static void add_csv_row(struct buf *out, const struct json *row, const char *columns)
{
	char name[COLUMN_MAX];
	bool first = true;

	while (*columns != '\0') {
		const size_t length = strcspn(columns, ",");

		CHECK(length < sizeof(name));
		memcpy(name, columns, length);
		name[length] = '\0';
		if (!first)
			buf_add_char(out, ',');
		first = false;
		add_cell(out, json_get(row, name));
		columns += length + (columns[length] == ',' ? 1 : 0);
	}
	buf_add_text(out, LINE_END);
}

static void say_next(struct call *c, const struct json *document)
{
	const struct json *cursor = json_get(document, "nextCursor");
	struct buf encoded;

	if (cursor == NULL || json_type(cursor) != JSON_TEXT)
		return;
	buf_init(&encoded, RESPONSE_HEADERS_MAX);
	buf_add_encoded(&encoded, json_text(cursor, NULL));
	response_header(c->response, "X-Octroi-Next-Cursor", buf_text(&encoded));
	buf_free(&encoded);
}

void csv_answer(struct call *c, const char *list, const char *columns)
{
	struct response *r = c->response;
	char error[JSON_ERROR_MAX];
	struct json *document;
	const struct json *rows;

	if (r->status != 200)
		return;
	document = json_parse(buf_text(&r->body), r->body.length, false, error);
	rows = json_get(document, list);
	if (rows == NULL) { /* memory is short */
		response_reset(r);
		render_outcome(c, OUTCOME_UNAVAILABLE);
		json_free(document);
		return;
	}
	buf_reset(&r->body);
	r->content_type = CONTENT_TYPE;
	response_header(r, "Content-Disposition", "attachment");
	say_next(c, document);
	buf_add_text(&r->body, columns);
	buf_add_text(&r->body, LINE_END);
	for (size_t i = 0; i < json_size(rows); i++)
		add_csv_row(&r->body, json_at(rows, i), columns);
	json_free(document);
}
