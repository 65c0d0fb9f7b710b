#include "ctl/reads.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "edge/request.h"
#include "edge/response.h"
#include "options.h"
#include "routes/router.h"

#define ARENA_MAX ((size_t)16 << 20)
#define QUERY_MAX ((size_t)4096)
#define LIST_MAX ((size_t)256 << 20)
#define READERS 2
/* A report over all accounts may take long. */
#define PATIENCE_MS INT64_C(3600000)

static struct router *reads_router(struct ctl *c)
{
	struct db_options options = ctl_login(c);
	struct router_options router = {.config = c->config, .ledger = ctl_ledger(c), .workers = 1, .slow_max = 1};

	if (c->router != NULL)
		return c->router;
	options.timeout_ms = PATIENCE_MS;
	c->readers = ctl_must(pool_new(&options, READERS));
	router.readers = c->readers;
	router.key_reader = c->readers;
	router.reader_count = READERS;
	c->router = ctl_must(router_new(&router));
	return c->router;
}

void reads_account_path(struct buf *out, const char *account, const char *tail)
{
	buf_init(out, QUERY_MAX);
	buf_add_text(out, "/api/accounts/");
	buf_add_text(out, account);
	buf_add_text(out, tail);
}

static void put_query(struct buf *out, const struct reads *r)
{
	for (int i = 0; i < READS_QUERY_MAX && r->query[i].name != NULL; i++) {
		if (r->query[i].value == NULL)
			continue;
		if (out->length > 0)
			buf_add_char(out, '&');
		buf_add_encoded(out, r->query[i].name);
		buf_add_char(out, '=');
		buf_add_encoded(out, r->query[i].value);
	}
}

/* Explains the API's refusal: its record as it is with --json, else its sentence. */
static int explain_refusal(const struct ctl *c, const struct response *response)
{
	char error[JSON_ERROR_MAX];
	const char *text = buf_text(&response->body);
	struct json *refusal = json_parse(text, response->body.length, false, error);
	const struct json *message = json_get(refusal, "message"), *name = json_get(refusal, "error");

	(void)fflush(stdout);
	if (message == NULL || name == NULL)
		(void)ctl_fail("the database did not answer, or memory is short");
	else if (c->json)
		(void)fprintf(stderr, "%s\n", text);
	else
		(void)ctl_fail("%s: %s", json_text(name, NULL), json_text(message, NULL));
	json_free(refusal);
	return response->status >= 500 || response->status == 400 ? CTL_FAILED : CTL_NO;
}

static int serve_read(struct ctl *c, const struct reads *r, const char *query, struct arena *arena, struct buf *body)
{
	static const char *const english[] = {NULL}, *const french[] = {"HTTP_ACCEPT_LANGUAGE=fr", NULL};
	const struct request request = {
		.arena = arena,
		.listener = LISTENER_INTERNAL,
		.id = "octroictl",
		.method = "GET",
		.path = r->path,
		.query = query,
		.body = "",
		.parameters = r->french ? french : english,
		.received_us = clock_monotonic_us(),
		.deadline_us = clock_monotonic_us() + CTL_LEDGER_TIMEOUT_US,
	};
	struct response response;
	int result = CTL_OK;

	response_init(&response);
	router_read(reads_router(c), &request, r->account != NULL ? r->account : "", r->member != NULL ? r->member : "",
	            &response);
	if (response.status != 200 || !buf_ok(&response.body))
		result = explain_refusal(c, &response);
	else
		buf_add(body, buf_text(&response.body), response.body.length);
	response_free(&response);
	return result;
}

int reads_get(struct ctl *c, const struct reads *r, struct buf *body)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct buf query;
	int result = CTL_FAILED;

	buf_init(&query, QUERY_MAX);
	put_query(&query, r);
	if (arena != NULL && buf_ok(&query))
		result = serve_read(c, r, buf_text(&query), arena, body);
	else
		(void)ctl_fail(arena == NULL ? "out of memory" : "the arguments are too long");
	buf_free(&query);
	arena_free(arena);
	return result;
}

int reads_document(struct ctl *c, const struct reads *r, struct buf *body, struct json **document)
{
	char error[JSON_ERROR_MAX];
	int result = reads_get(c, r, body);

	*document = NULL;
	if (result != CTL_OK)
		return result;
	*document = json_parse(buf_text(body), body->length, false, error);
	return *document != NULL ? CTL_OK : ctl_fail("out of memory");
}

/* The cursor of the next page; NULL on the last one. */
static const char *next_cursor(const struct json *document)
{
	const struct json *cursor = json_get(document, "nextCursor");

	return cursor != NULL && json_type(cursor) == JSON_TEXT ? json_text(cursor, NULL) : NULL;
}

void reads_say_more(const struct ctl *c, const struct json *document)
{
	if (!c->json && next_cursor(document) != NULL)
		(void)fprintf(stderr, "octroictl: there are more; the next page: --cursor %s\n", next_cursor(document));
}

/* Reads a page, and moves the request's cursor to the next one. */
static int read_page(struct ctl *c, struct reads *r, struct reads_parameter *cursor, struct buf *place,
                     struct buf *body, struct json **document)
{
	int result;

	buf_reset(body);
	result = reads_document(c, r, body, document);
	if (result != CTL_OK)
		return result;
	buf_reset(place);
	if (next_cursor(*document) != NULL)
		buf_add_text(place, next_cursor(*document));
	cursor->value = place->length > 0 ? buf_text(place) : NULL;
	return CTL_OK;
}

/* Lists the item in a row, or each record of its inner list in a row of its own. */
static void list_item(struct listing *l, const struct reads *r, const struct json *item,
                      const struct listing_column *columns)
{
	const struct json *inner = r->inner != NULL ? json_get(item, r->inner) : NULL;

	if (r->inner == NULL)
		listing_record(l, item, columns);
	else if (inner == NULL || json_size(inner) == 0)
		listing_pair(l, item, columns, NULL, r->inner_columns);
	for (size_t i = 0; inner != NULL && i < json_size(inner); i++)
		listing_pair(l, item, columns, json_at(inner, i), r->inner_columns);
}

static int read_pages(struct ctl *c, struct reads *r, struct reads_parameter *cursor, struct listing *l,
                      const struct listing_column *columns, struct json_writer *w, bool all)
{
	struct buf body, place;
	int result;

	buf_init(&body, LIST_MAX);
	buf_init(&place, QUERY_MAX);
	do {
		struct json *document = NULL;
		const struct json *items;

		result = read_page(c, r, cursor, &place, &body, &document);
		items = json_get(document, "items");
		for (size_t i = 0; items != NULL && i < json_size(items); i++) {
			if (!c->json) {
				list_item(l, r, json_at(items, i), columns);
				continue;
			}
			buf_reset(&body);
			json_dump(json_at(items, i), &body);
			json_put_raw(w, NULL, buf_text(&body), body.length);
		}
		if (!all)
			reads_say_more(c, document);
		json_free(document);
	} while (all && result == CTL_OK && cursor->value != NULL);
	buf_free(&place);
	buf_free(&body);
	return result;
}

/* Prints all pages as one. */
static int list_all(struct ctl *c, struct reads *r, struct reads_parameter *cursor, const char *name,
                    const struct listing_column *columns, bool all)
{
	struct listing *l = listing_new(name);
	struct json_writer w;
	struct buf out;
	int result;

	buf_init(&out, LIST_MAX);
	json_writer_init(&w, &out);
	json_open_record(&w, NULL);
	json_open_list(&w, "items");
	result = read_pages(c, r, cursor, l, columns, &w, all);
	json_close_list(&w);
	json_put_null(&w, "nextCursor");
	json_close_record(&w);
	if (result == CTL_OK && c->json)
		result = ctl_print(&out);
	else if (result == CTL_OK)
		listing_print(l, c);
	buf_free(&out);
	listing_free(l);
	return result;
}

int reads_list(struct ctl *c, const struct reads *r, const char *name, const struct listing_column *columns, bool all)
{
	struct reads asked = *r;
	struct reads_parameter *cursor = asked.query;
	struct buf body;
	int result;

	while (cursor->name != NULL && strcmp(cursor->name, "cursor") != 0)
		cursor++;
	cursor->name = "cursor";
	if (all || !c->json)
		return list_all(c, &asked, cursor, name, columns, all);
	buf_init(&body, LIST_MAX);
	result = reads_get(c, &asked, &body);
	if (result == CTL_OK)
		result = ctl_print(&body);
	buf_free(&body);
	return result;
}
