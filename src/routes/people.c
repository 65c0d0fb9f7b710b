#include "routes/people.h"

#include <string.h>

#include "routes/api/render.h"
#include "routes/show.h"

#define PAGE_DEFAULT 20
#define PAGE_MAX 100

bool people_parse_member(struct parse *p, struct call *c, const char **member)
{
	const char *asked = parse_account(p, "member");

	*member = c->member[0] != '\0' ? c->member : asked;
	if (asked == NULL || strcmp(asked, *member) == 0)
		return true;
	render_outcome(c, OUTCOME_FORBIDDEN);
	return false;
}

void people_parse(struct parse *p, struct people *page)
{
	const char *cursor = parse_text(p, "cursor", 1, ID_ACCOUNT_MAX);

	memset(page, 0, sizeof(*page));
	page->limit = (int)parse_int(p, "limit", 1, PAGE_MAX, PAGE_DEFAULT);
	page->after = cursor != NULL ? cursor : "";
	if (cursor != NULL && !id_account_valid(cursor, strlen(cursor)))
		parse_wrong(p, "cursor", PARSE_CURSOR);
}

int people_read(struct call *c, struct db *d, const struct account_key *key, struct people *page)
{
	return reader_members(d, c->request->arena, key, page->after, page->limit, &page->rows, &page->count,
	                      &page->more);
}

int people_read_one(struct call *c, struct db *d, const struct account_key *key, const char *id, struct people *page)
{
	bool found = false;

	memset(page, 0, sizeof(*page));
	page->rows = arena_alloc(c->request->arena, sizeof(*page->rows));
	if (page->rows == NULL || reader_member(d, c->request->arena, key, id, page->rows, &found) < 0)
		return -1;
	page->count = found ? 1 : 0;
	return 0;
}

void people_put(struct json_writer *w, const char *key, const struct call *c, const struct reader_account *a,
                const struct people *page)
{
	json_open_list(w, key);
	for (int i = 0; i < page->count; i++) {
		json_open_record(w, NULL);
		show_member(w, c, a, &page->rows[i]);
		json_close_record(w);
	}
	json_close_list(w);
	if (page->more)
		json_put_text(w, "nextCursor", page->rows[page->count - 1].id);
	else
		json_put_null(w, "nextCursor");
}
