#include "meter/models.h"

#include <stdio.h>
#include <string.h>

#define LIST_BYTES_MAX ((size_t)768 * 1024)

void models_init(struct models *m)
{
	*m = (struct models){0};
	buf_init(&m->list, LIST_BYTES_MAX);
}

void models_free(struct models *m)
{
	buf_free(&m->list);
}

void models_path(const struct models *m, const char *provider, struct buf *path)
{
	buf_add_text(path, "/api/pricing?limit=1000&provider=");
	buf_add_encoded(path, provider);
	if (m->cursor[0] == '\0')
		return;
	buf_add_text(path, "&cursor=");
	buf_add_encoded(path, m->cursor);
}

static void add_listed(struct models *m, const char *text, const char *prefix, const char *provider)
{
	const size_t length = strlen(prefix);
	struct json_writer w;

	if (strncmp(text, prefix, length) != 0 || text[length] == '\0' || strlen(text + length) >= MODELS_NAME_MAX)
		return;
	text += length;
	if (m->count++ == 0)
		(void)snprintf(m->first, sizeof(m->first), "%s", text);
	else
		buf_add_char(&m->list, ',');
	json_writer_init(&w, &m->list);
	json_open_record(&w, NULL);
	json_put_text(&w, "id", text);
	json_put_text(&w, "object", "model");
	json_put_int(&w, "created", 0);
	json_put_text(&w, "owned_by", provider);
	json_close_record(&w);
}

bool models_add(struct models *m, const struct json *page, const char *prefix, const char *provider)
{
	const struct json *list = json_get(page, "models");
	const char *next = json_get_text(page, "nextCursor");

	for (size_t i = 0; list != NULL && json_type(list) == JSON_LIST && i < json_size(list); i++)
		add_listed(m, json_get_text(json_at(list, i), "model"), prefix, provider);
	m->cursor[0] = '\0';
	if (strlen(next) < sizeof(m->cursor))
		(void)snprintf(m->cursor, sizeof(m->cursor), "%s", next);
	return m->cursor[0] != '\0' && ++m->pages < MODELS_PAGES_MAX;
}

void models_put(const struct models *m, struct buf *out)
{
	buf_add_text(out, "{\"object\":\"list\",\"data\":[");
	if (m->list.length > 0)
		buf_add(out, m->list.data, m->list.length);
	buf_add_text(out, "]}");
	if (!buf_ok(&m->list))
		out->failed = true;
}
